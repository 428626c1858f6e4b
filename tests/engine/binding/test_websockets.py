"""`channels.binding.websockets`: bindings as streams of a socket, in both directions."""

import datetime
import json

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import CharField, ProtectedError

from channels import route
from channels.auth import channel_session_user_from_http
from channels.binding.base import _misread
from channels.generic.websockets import WebsocketDemultiplexer

from ..sites import Socket
from .conftest import Member
from .models import Book, Keyed, Shelf, Tag

# What is sent


def data_of(binding, instance):
    self = binding()
    return self.serialize_data(instance)


def test_values_are_those_that_json_has(book_binding, tables):
    binding = book_binding(fields=["title", "pages", "published", "shelf", "tags"])
    shelf, tag = Shelf.objects.create(name="Left"), Tag.objects.create(name="Novel")
    book = Book.objects.create(title="Emma", published=datetime.date(1815, 12, 23), shelf=shelf)
    book.tags.add(tag)

    assert data_of(binding, book) == {
        "title": "Emma",
        "pages": 1,
        "published": "1815-12-23",
        "shelf": shelf.pk,
        "tags": [tag.pk],
    }


def test_members_are_attributes_properties_methods_and_paths_to_them(book_binding, tables):
    binding = book_binding(send_members=["is_long", "label", "published", "shelf.name", "shelf.name.upper"])
    book = Book(title="Emma", published=datetime.date(1815, 12, 23), shelf=Shelf(name="Left"))

    assert data_of(binding, book) == {
        "title": "Emma",
        "is_long": False,
        "label": "EMMA",
        "published": "1815-12-23",
        "shelf__name": "Left",
        "shelf__name__upper": "LEFT",
    }


def test_a_path_that_leads_through_nothing_is_null(book_binding):
    assert data_of(book_binding(send_members=["shelf.name"]), Book(title="Emma")) == {
        "title": "Emma",
        "shelf__name": None,
    }


def test_a_member_that_is_not_there_is_named(book_binding):
    with pytest.raises(AttributeError, match="colour"):
        data_of(book_binding(send_members=["colour"]), Book(title="Emma"))


def test_what_json_does_not_have_is_null(book_binding):
    assert data_of(book_binding(fields=["pages"]), Book(pages=float("nan"))) == {"pages": None}


def test_a_binding_without_a_stream_says_what_it_needs(book_binding, tables):
    book_binding(stream=None)

    with pytest.raises(ValueError, match=r"BookBinding has no stream. Name the one its payloads are sent on."):
        Book.objects.create(title="Emma")


def test_a_payload_that_is_empty_is_not_sent(book_binding, look_at):
    book_binding(serialize=lambda self, instance, action: {} if action == "create" else {"now": instance.title})
    member = look_at("shelf-None")
    book = Book.objects.create(title="Emma")
    book.save()

    assert member.payloads() == [{"now": "Emma"}]


def test_what_the_signal_said_is_known(book_binding, look_at):
    def serialize(self, instance, action):
        return {"fields": sorted(self.signal_kwargs["update_fields"] or ()), "same": self.instance is instance}

    book_binding(serialize=serialize)
    member = look_at("shelf-None")
    book = Book.objects.create(title="Emma")
    book.save(update_fields=["pages"])

    assert member.payloads() == [{"fields": [], "same": True}, {"fields": ["pages"], "same": True}]


def test_what_a_deletion_began_with_is_known(book_binding, look_at):
    book_binding(serialize=lambda self, instance, action: {action: repr(self.signal_kwargs.get("origin"))})
    member = look_at("shelf-None")
    book = Book.objects.create(title="Emma")
    origin = repr(book)
    book.delete()

    assert member.payloads() == [{"create": "None"}, {"delete": origin}]


# What a socket asks for


def allow(self, user, action, pk):
    return True


@pytest.fixture
def open_stream(make_site, tables):
    """Return a function that opens a socket with the stream of a binding, for a user or for nobody."""

    def open_stream(binding, user=None):
        def connect(message):
            if user is not None:
                message.channel_session["_auth_user_id"] = str(user.pk)
                message.channel_session["_auth_user_backend"] = "django.contrib.auth.backends.ModelBackend"
                message.channel_session["_auth_user_hash"] = user.get_session_auth_hash()
            message.reply_channel.send({"accept": True})

        class Streams(WebsocketDemultiplexer):
            consumers = {"books": binding.consumer}

        connect = channel_session_user_from_http(connect)
        site = make_site([route("websocket.connect", connect), Streams.as_route()])
        socket = Socket(site)
        socket.connect()
        return socket

    return open_stream


def ask(socket, **payload):
    """Send a payload on the stream, and return the answers."""
    answers = socket.send(json.dumps({"stream": "books", "payload": payload}))
    contents = [json.loads(answer["text"]) for answer in answers]
    assert {content["stream"] for content in contents} <= {"books"}
    return [content["payload"] for content in contents]


def refusals(socket, **payload):
    """Return the answers to a payload as (error, refused, pk, detail)."""
    return [(one["error"], one["refused"], one["pk"], one["detail"]) for one in ask(socket, **payload)]


@pytest.fixture
def stream(book_binding, open_stream):
    binding = book_binding(fields=["title", "pages", "published", "shelf", "added", "cover"], has_permission=allow)
    return open_stream(binding)


@pytest.fixture
def book(tables):
    return Book.objects.create(title="Emma", pages=400)


def everything():
    return list(Book.objects.order_by("pk").values())


def test_a_socket_creates_changes_and_deletes(stream):
    shelf = Shelf.objects.create(name="Left")
    answers = ask(stream, action="create", data={"title": "Emma", "published": "1815-12-23", "shelf": shelf.pk})
    book = Book.objects.get()
    created = (book.title, book.pages, book.published, book.shelf)
    answers += ask(stream, action="update", pk=book.pk, data={"pages": 400})
    book.refresh_from_db()
    updated = (book.title, book.pages, book.published, book.shelf)
    answers += ask(stream, action="delete", pk=book.pk)

    assert answers == []
    assert created == ("Emma", 1, datetime.date(1815, 12, 23), shelf)
    assert updated == ("Emma", 400, datetime.date(1815, 12, 23), shelf)
    assert Book.objects.count() == 0
    assert Book.deleted == ["Emma"]


def test_what_a_socket_has_done_is_told_to_the_groups(stream):
    member = Member(stream.site, "shelf-None")
    ask(stream, action="create", data={"title": "Emma"})

    assert [(action, title) for action, _, title in member.told()] == [("create", "Emma")]


@pytest.mark.parametrize(
    ("payload", "error", "detail"),
    [
        ({}, "malformed", "This payload has no action; expected create, update or delete."),
        ({"action": "drop"}, "unknown_action", 'There is no action "drop"; expected create, update or delete.'),
        ({"action": ["create"]}, "unknown_action", 'There is no action ["create"]; expected create, update or delete.'),
        ({"action": "create"}, "malformed", "The data of create is an object with a value for each field, not null."),
        (
            {"action": "create", "data": ["title"]},
            "malformed",
            'The data of create is an object with a value for each field, not ["title"].',
        ),
        ({"action": "create", "data": {}}, "invalid", "title: This field cannot be blank."),
        (
            {"action": "create", "data": {"title": "Emma", "colour": "red"}},
            "unknown_field",
            'There is no field "colour" that can be set; there are: title, pages, published, shelf.',
        ),
        ({"action": "create", "data": {"title": "Emma", "id": 7}}, "unknown_field", 'There is no field "id" that can'),
        ({"action": "create", "data": {"title": "Emma", "pk": 7}}, "unknown_field", 'There is no field "pk" that can'),
        ({"action": "create", "data": {"tags": []}}, "unknown_field", 'There is no field "tags" that can be set'),
        ({"action": "create", "data": {"cover": "/etc/passwd"}}, "unknown_field", 'There is no field "cover" that can'),
        ({"action": "create", "data": {"added": None}}, "unknown_field", 'There is no field "added" that can be set'),
        (
            {"action": "create", "data": {"title": "Emma"}},
            "invalid",
            "title: Book with this Title already exists.",
        ),
        ({"action": "create", "data": {"title": "x" * 21}}, "invalid", "title: Ensure this value has at most 20"),
        ({"action": "create", "data": {"title": "Untitled"}}, "invalid", "A book needs a title of its own."),
        (
            {"action": "create", "data": {"title": "New", "pages": "many"}},
            "invalid",
            "pages: “many” value must be an integer.",
        ),
        ({"action": "create", "data": {"title": "New", "pages": -1}}, "invalid", "pages: Ensure this value is greater"),
        (
            {"action": "create", "data": {"title": "New", "pages": 10**30}},
            "invalid",
            "pages: Ensure this value is less",
        ),
        (
            {"action": "create", "data": {"title": "New", "pages": {"a": []}}},
            "invalid",
            "pages: “{'a': []}” value must",
        ),
        ({"action": "create", "data": {"title": "New", "published": 5}}, "invalid", "published: 5 cannot be"),
        ({"action": "create", "data": {"title": ["New"]}}, "invalid", 'title: ["New"] is no text.'),
        ({"action": "create", "data": {"title": {"a": 1}}}, "invalid", 'title: {"a": 1} is no text.'),
        ({"action": "create", "data": {"title": True}}, "invalid", "title: true is no text."),
        ({"action": "create", "data": {"title": "New", "pages": 1.5}}, "invalid", "pages: 1.5 is no whole number."),
        ({"action": "create", "data": {"title": "New", "pages": True}}, "invalid", "pages: true is no whole number."),
        ({"action": "create", "data": {"title": "New", "shelf": True}}, "invalid", "shelf: true is no whole number."),
        ({"action": "create", "data": {"title": "New", "shelf": 99}}, "invalid", "shelf: shelf instance with id 99"),
        ({"action": "create", "data": {"title": "New", "shelf": [1]}}, "invalid", "shelf: “[1]” value must be an"),
        ({"action": "create", "data": {"title": "\ud800"}}, "invalid", "The data holds a value that cannot be taken."),
        ({"action": "update", "data": {"pages": 1}}, "malformed", "A pk of bound.book cannot be null."),
        ({"action": "update", "pk": "x", "data": {}}, "malformed", 'A pk of bound.book cannot be "x".'),
        ({"action": "update", "pk": True, "data": {}}, "malformed", "A pk of bound.book cannot be true."),
        ({"action": "update", "pk": 1.5, "data": {}}, "malformed", "A pk of bound.book cannot be 1.5."),
        ({"action": "update", "pk": [1], "data": {}}, "malformed", "A pk of bound.book cannot be [1]."),
        ({"action": "delete", "pk": {"gt": 0}}, "malformed", 'A pk of bound.book cannot be {"gt": 0}.'),
        ({"action": "delete", "pk": "\u0000"}, "malformed", 'A pk of bound.book cannot be "\\u0000".'),
        ({"action": "delete", "pk": 99}, "gone", "There is no bound.book 99, or no longer."),
        ({"action": "update", "pk": 10**30, "data": {}}, "gone", "There is no bound.book 1"),
        ({"action": "update", "pk": 99, "data": {"title": "New"}}, "gone", "There is no bound.book 99, or no longer."),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else "",
)
def test_what_makes_no_sense_is_answered_and_changes_nothing(stream, book, payload, error, detail):
    before = everything()
    [answer] = refusals(stream, **payload)

    assert answer[:3] == (error, payload.get("action"), payload.get("pk"))
    assert answer[3].startswith(detail)
    assert everything() == before
    # The socket is still there.
    assert ask(stream, action="update", pk=book.pk, data={"pages": 7}) == []
    assert Book.objects.get().pages == 7


def test_an_update_that_is_refused_changes_nothing(stream, book):
    for data in ({"pages": 7, "title": ""}, {"pages": 7, "id": 99}, {"pages": 7, "title": None}):
        [answer] = ask(stream, action="update", pk=book.pk, data=data)
        assert answer["error"] in ("invalid", "unknown_field")

    assert [(one["id"], one["title"], one["pages"]) for one in everything()] == [(book.pk, "Emma", 400)]


def test_numbers_and_texts_that_say_the_same_are_taken(stream):
    assert ask(stream, action="create", data={"title": 1815, "pages": 2.0}) == []
    assert ask(stream, action="create", data={"title": "Emma", "pages": "2"}) == []

    assert [(book.title, book.pages) for book in Book.objects.order_by("pk")] == [("1815", 2), ("Emma", 2)]


def test_a_field_of_another_kind_reads_its_values_itself():
    class Words(CharField):
        def to_python(self, value):
            return " ".join(value) if isinstance(value, list) else super().to_python(value)

    assert _misread(Words(), ["a", "b"]) == ""


def test_the_sentences_about_fields_come_by_their_names(stream):
    [answer] = ask(stream, action="create", data={"title": "", "pages": "x"})

    assert answer["fields"] == {
        "title": ["This field cannot be blank."],
        "pages": ["“x” value must be an integer."],
    }


@pytest.mark.parametrize("text", ["[1, 2]", '"create"', "nonsense", "NaN", "[" * 100_000])
def test_frames_that_are_no_payload_are_answered_without_a_demultiplexer_too(book_binding, make_site, tables, text):
    site = make_site([route("websocket.receive", book_binding(has_permission=allow).consumer)])
    [content] = Socket(site).send(text)

    frame = json.loads(content["text"])
    assert frame["stream"] == "books"
    assert frame["payload"]["error"] in ("malformed", "not_json")
    assert (frame["payload"]["refused"], frame["payload"]["pk"]) == (None, None)


def test_bytes_are_answered(book_binding, make_site, tables):
    site = make_site([route("websocket.receive", book_binding(has_permission=allow).consumer)])
    [content] = Socket(site).consume("websocket.receive", bytes=b"{}")

    assert json.loads(content["text"])["payload"]["error"] == "not_json"


def test_sockets_that_open_and_close_are_no_business_of_a_binding(book_binding, make_site, tables):
    consumer = book_binding().consumer
    site = make_site([route(["websocket.connect", "websocket.disconnect"], consumer)])
    socket = Socket(site)

    assert (socket.connect(), socket.disconnect()) == ([], [])


# Who may


@pytest.mark.parametrize("action", ["create", "update", "delete"])
def test_nobody_may_do_anything_unless_the_binding_says_so(book_binding, open_stream, book, action):
    stream, before = open_stream(book_binding()), everything()
    pk = None if action == "create" else book.pk

    answers = refusals(stream, action=action, pk=pk, data={"title": "Mine"})
    assert answers == [("forbidden", action, pk, f"You may not {action} this.")]
    assert everything() == before


def test_the_binding_is_asked_about_user_action_and_the_key_as_it_is(book_binding, open_stream, book):
    asked = []
    binding = book_binding(has_permission=lambda self, *asking: asked.append(asking))
    anna = get_user_model().objects.create_user("anna")
    ask(open_stream(binding, anna), action="delete", pk=str(book.pk))
    ask(open_stream(binding), action="create", pk=99, data={})

    assert asked == [(anna, "delete", book.pk), (AnonymousUser(), "create", None)]


def test_who_may_not_learns_nothing_of_what_there_is(book_binding, open_stream, book):
    stream = open_stream(book_binding())
    answers = [refusals(stream, action="update", pk=pk, data={"nonsense": 1}) for pk in (book.pk, 99)]

    assert [[answer[0] for answer in each] for each in answers] == [["forbidden"]] * 2


def test_permission_may_be_refused_by_an_exception_as_well(book_binding, open_stream, book):
    def update(self, pk, data):
        Book.objects.update(pages=7)
        raise PermissionDenied("Not on a Sunday.")

    stream = open_stream(book_binding(has_permission=allow, update=update))
    answers = refusals(stream, action="update", pk=book.pk, data={})

    assert answers == [("forbidden", "update", book.pk, "Not on a Sunday.")]
    assert Book.objects.get().pages == 400


def test_what_is_refused_while_the_permission_is_looked_up_is_answered(book_binding, open_stream, book):
    def has_permission(self, user, action, pk):
        if Book.objects.get(pk=pk).pages == 400:
            raise PermissionDenied("It is too long.")

    stream = open_stream(book_binding(has_permission=has_permission))
    answers = [refusals(stream, action="delete", pk=pk)[0] for pk in (book.pk, 99)]

    assert answers[0] == ("forbidden", "delete", book.pk, "It is too long.")
    assert answers[1][:3] == ("gone", "delete", 99)


# What a class does itself


def test_an_own_update_is_one_transaction(book_binding, open_stream, book):
    def update(self, pk, data):
        Book.objects.filter(pk=pk).update(pages=7)
        raise ValidationError({"pages": "Too few."})

    stream = open_stream(book_binding(has_permission=allow, update=update))
    [answer] = ask(stream, action="update", pk=book.pk, data={})

    assert (answer["error"], answer["fields"]) == ("invalid", {"pages": ["Too few."]})
    assert Book.objects.get().pages == 400


def test_an_own_update_need_not_look_whether_it_is_there(book_binding, open_stream, tables):
    stream = open_stream(book_binding(has_permission=allow, update=lambda self, pk, data: Book.objects.get(pk=pk)))

    assert refusals(stream, action="update", pk=99, data={})[0][0] == "gone"


def test_what_only_the_database_refuses_is_answered(book_binding, open_stream, book):
    def create(self, data):
        Book.objects.create(pages=7, title="Second")
        Book.objects.create(title="Emma")

    stream = open_stream(book_binding(has_permission=allow, create=create))

    assert refusals(stream, action="create", data={})[0][0] == "invalid"
    assert [one["title"] for one in everything()] == ["Emma"]


def test_what_others_protect_is_not_deleted(book_binding, open_stream, book):
    def delete(self, pk):
        raise ProtectedError("It is lent.", {book})

    stream = open_stream(book_binding(has_permission=allow, delete=delete))

    assert refusals(stream, action="delete", pk=book.pk) == [
        ("invalid", "delete", book.pk, "The database refuses to delete this.")
    ]


def test_a_field_that_the_binding_does_not_have_need_not_be_valid(book_binding, open_stream, tables):
    """As in a form: what is not asked for is the business of the model's own save()."""
    Book.objects.bulk_create([Book(title="", pages=1)])
    stream = open_stream(book_binding(fields=["pages"], has_permission=allow))
    answers = ask(stream, action="update", pk=Book.objects.get().pk, data={"pages": 2})

    assert (answers, Book.objects.get().pages) == ([], 2)


def test_keys_of_other_kinds_are_understood(book_binding, open_stream, tables):
    binding = book_binding(
        model=Keyed, fields=["name"], has_permission=allow, group_names=classmethod(lambda cls, instance: [])
    )
    keyed, stream = Keyed.objects.create(name="One"), open_stream(binding)
    answers = ask(stream, action="update", pk=str(keyed.pk), data={"name": "Two"})

    assert (answers, Keyed.objects.get().name) == ([], "Two")
    assert refusals(stream, action="delete", pk="x")[0][:3] == ("malformed", "delete", "x")


def test_strict_ordering_is_that_of_the_decorator(book_binding, open_stream, book):
    stream = open_stream(book_binding(has_permission=allow, strict_ordering=True))
    ask(stream, action="update", pk=book.pk, data={})

    assert stream.site.finishes[-1][1].keeps_order
