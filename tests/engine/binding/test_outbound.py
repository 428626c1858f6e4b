"""`channels.binding.outbound`: what is saved and deleted is told to its groups, once it is committed."""

import contextlib
import pickle

import pytest
from django.core import serializers
from django.db import DatabaseError, transaction
from django.db.models import F
from django.db.models.signals import post_save

from channels import channel_layers, route
from channels.exceptions import ChannelLayerUnavailable
from channels.layers.inmemory import InMemoryChannelLayer

from ..sites import Site
from .conftest import Member
from .models import Book, Keyed, ProxyBook, Shelf


@pytest.fixture
def shelves(tables):
    return Shelf.objects.create(pk=1, name="Left"), Shelf.objects.create(pk=2, name="Right")


@pytest.fixture
def left(look_at, shelves):
    return look_at("shelf-1")


@pytest.fixture
def right(look_at, shelves):
    return look_at("shelf-2")


def test_what_is_created_changed_and_deleted_is_told_to_its_group(book_binding, left, right):
    book_binding()
    book = Book.objects.create(title="Emma", shelf_id=1)
    pk = book.pk
    book.title = "Persuasion"
    book.save()
    book.delete()

    assert left.payloads() == [
        {"action": "create", "pk": pk, "data": {"title": "Emma"}, "model": "bound.book"},
        {"action": "update", "pk": pk, "data": {"title": "Persuasion"}, "model": "bound.book"},
        {"action": "delete", "pk": pk, "data": {"title": "Persuasion"}, "model": "bound.book"},
    ]
    assert right.payloads() == []


def test_the_frame_names_the_stream(book_binding, left):
    book_binding()
    Book.objects.create(title="Emma", shelf_id=1)

    [content] = left.site.received(left.channel)
    assert content["text"].startswith('{"stream": "books", "payload": {')


# From one group to another


def move_loaded(book):
    book = Book.objects.get(pk=book.pk)
    book.shelf_id = 2
    book.save()


def move_the_one_that_was_created(book):
    book.shelf_id = 2
    book.save()


def move_one_with_deferred_fields(book):
    book = Book.objects.only("title").get(pk=book.pk)
    book.shelf_id = 2
    book.save(update_fields=["shelf_id"])


def move_by_an_instance_made_by_hand(book):
    Book(pk=book.pk, title=book.title, shelf_id=2, added=book.added).save()


def move_by_related_object(book):
    book.shelf = Shelf.objects.get(pk=2)
    book.save()


@pytest.mark.parametrize(
    "move",
    [
        move_loaded,
        move_the_one_that_was_created,
        move_one_with_deferred_fields,
        move_by_an_instance_made_by_hand,
        move_by_related_object,
    ],
    ids=lambda move: move.__name__,
)
def test_what_moves_is_deleted_in_one_group_and_created_in_the_other(book_binding, left, right, move):
    book_binding()
    book = Book.objects.create(title="Emma", shelf_id=1)
    left.told()
    move(book)

    assert left.told() == [("delete", book.pk, "Emma")]
    assert right.told() == [("create", book.pk, "Emma")]


def test_what_has_moved_is_found_where_it_was_last_whoever_moved_it(book_binding, left, right):
    """Somebody else has moved it since it was loaded; it is put back without knowing that it had gone."""
    book_binding()
    book = Book.objects.create(title="Emma", shelf_id=1)
    Book.objects.filter(pk=book.pk).update(shelf_id=2)
    left.told()
    book.save()

    assert right.told() == [("delete", book.pk, "Emma")]
    assert left.told() == [("create", book.pk, "Emma")]


def test_a_group_that_something_leaves_is_not_told_what_it_has_become(book_binding, left, right):
    book_binding()
    book = Book.objects.create(title="Draft", shelf_id=1)
    left.told()
    book.title, book.shelf_id = "Secret", 2
    book.save()

    assert left.told() == [("delete", book.pk, "Draft")]
    assert right.told() == [("create", book.pk, "Secret")]


def test_each_group_learns_what_concerns_it_and_departures_come_first(book_binding, look_at, site):
    groups = {"1": ["a", "b"], "2": ["b", "c"]}
    book_binding(group_names=classmethod(lambda cls, book: groups[str(book.pages)]))
    a, b, c = map(look_at, "abc")
    book = Book.objects.create(title="Emma", pages=1)
    for member in (a, b, c):
        member.told()
    book.pages = 2
    book.save()

    told = [member.told()[0][0] for member in (a, b, c)]
    assert told == ["delete", "update", "create"]


def test_an_instance_that_was_changed_and_not_saved_is_deleted_where_its_row_is(book_binding, left, right):
    book_binding()
    book = Book.objects.create(title="Emma", shelf_id=1)
    pk = book.pk
    left.told()
    book.shelf_id = 2
    book.delete()

    assert (left.told(), right.told()) == ([("delete", pk, "Emma")], [])


def test_what_update_fields_leaves_out_is_told_as_it_is_in_the_row(book_binding, left, right):
    book_binding(fields=["title", "pages"])
    book = Book.objects.create(title="Emma", shelf_id=1)
    left.payloads()
    book.title, book.pages, book.shelf_id = "Draft", 7, 2
    book.save(update_fields=["pages"])

    assert [(told["action"], told["data"]) for told in left.payloads()] == [("update", {"title": "Emma", "pages": 7})]
    assert right.payloads() == []


def test_what_is_deleted_by_a_query_or_along_with_something_is_told_as_it_was(book_binding, left, shelves):
    book_binding(send_members=["shelf.name"])
    books = [Book.objects.create(title=title, shelf_id=1) for title in ("Emma", "Persuasion")]
    left.told()
    Book.objects.filter(title="Emma").delete()
    shelves[0].delete()

    told = left.payloads()
    assert [(one["action"], one["pk"], one["data"]) for one in told] == [
        ("delete", books[0].pk, {"title": "Emma", "shelf__name": "Left"}),
        ("delete", books[1].pk, {"title": "Persuasion", "shelf__name": "Left"}),
    ]


def test_a_change_costs_one_query_more_and_a_creation_none(book_binding, site, django_assert_num_queries):
    book = Book.objects.create(title="Emma")
    with django_assert_num_queries(1):
        book.save()
    book_binding()
    with django_assert_num_queries(2):
        book.save()
    with django_assert_num_queries(1):
        Book.objects.create(title="Persuasion")


def test_a_row_with_a_key_by_default_is_inserted_without_asking(book_binding, look_at, django_assert_num_queries):
    book_binding(model=Keyed, fields=["name"], group_names=classmethod(lambda cls, instance: ["keyed"]))
    member = look_at("keyed")
    with django_assert_num_queries(1):
        keyed = Keyed.objects.create(name="One")

    assert [(one["action"], one["pk"]) for one in member.payloads()] == [("create", str(keyed.pk))]


# When


def test_nothing_is_told_before_the_commit(book_binding, left):
    book_binding()
    with transaction.atomic():
        book = Book.objects.create(title="Emma", shelf_id=1)
        before = left.told()
        book.title = "Not saved"

    assert (before, left.told()) == ([], [("create", book.pk, "Emma")])


def test_nothing_is_told_of_what_is_rolled_back(book_binding, left, right):
    book_binding()
    book = Book.objects.create(title="Emma", shelf_id=1)
    left.told()
    with pytest.raises(RuntimeError), transaction.atomic():
        Book.objects.create(title="Persuasion", shelf_id=1)
        book.shelf_id = 2
        book.save()
        Book.objects.all().delete()
        raise RuntimeError
    with transaction.atomic():
        with pytest.raises(RuntimeError), transaction.atomic():
            book.save()
            raise RuntimeError
        Book.objects.create(title="Sanditon", shelf_id=2)

    assert left.told() == []
    assert [title for _, _, title in right.told()] == ["Sanditon"]


def test_several_steps_in_one_transaction_are_told_in_their_order(book_binding, left, right):
    book_binding()
    with transaction.atomic():
        book = Book.objects.create(title="Emma", shelf_id=1)
        book.shelf_id = 2
        book.save()
        book.shelf_id = 1
        book.save()
        pk = book.pk
        book.delete()

    assert [action for action, _, _ in left.told()] == ["create", "delete", "create", "delete"]
    assert right.told() == [("create", pk, "Emma"), ("delete", pk, "Emma")]


def test_a_consumer_tells_when_it_has_ended(book_binding, make_site, tables):
    book_binding()
    seen = []

    def save(message):
        Book.objects.create(title="Emma")
        seen.append(member.told())

    site = make_site([route("jobs", save)])
    member = Member(site, "shelf-None")
    site.consume("jobs")

    assert seen == [[]]
    assert [action for action, _, _ in member.told()] == ["create"]


# Whatever happens, the save stays


class AwayLayer(InMemoryChannelLayer):
    error = ChannelLayerUnavailable("The store does not answer.")

    def send_many(self, sends, **kwargs):
        raise self.error


@pytest.mark.parametrize("is_in_transaction", [True, False])
def test_a_layer_with_a_fault_of_its_own_undoes_no_save(
    book_binding, make_site, tables, caplog, monkeypatch, is_in_transaction
):
    monkeypatch.setattr(AwayLayer, "error", ZeroDivisionError("A fault."))
    make_site(layer=AwayLayer())
    book_binding()
    with transaction.atomic() if is_in_transaction else contextlib.nullcontext():
        Book.objects.create(title="Emma")

    assert Book.objects.count() == 1
    assert "A fault." in caplog.text


def test_a_layer_that_is_away_undoes_no_save_and_is_counted(book_binding, make_site, tables, caplog):
    site = make_site(layer=AwayLayer())
    book_binding()
    with transaction.atomic():
        book = Book.objects.create(title="Emma")
    book.delete()

    assert site.layer.channel_statistics("shelf-None")["dropped"] == {"not sent by a binding": 2}
    assert "The store does not answer." in caplog.text


def test_a_message_that_no_layer_can_carry_undoes_no_save(book_binding, site, left, right, caplog):
    book_binding(send_members=["label"], group_names=classmethod(lambda cls, book: ["shelf-1", "shelf-2"]))
    Book.label, label = (lambda book: "x" * 2_000_000), Book.label
    try:
        Book.objects.create(title="Emma", shelf_id=1)
    finally:
        Book.label = label

    assert Book.objects.count() == 1
    assert "A binding could not send" in caplog.text
    dropped = [site.layer.channel_statistics(f"shelf-{number}")["dropped"] for number in (1, 2)]
    assert dropped == [{"not sent by a binding": 1}] * 2


def test_a_full_queue_undoes_no_save(book_binding, make_site, tables):
    site = make_site(channel_capacity={"reply.*!": 1})
    book_binding()
    Member(site, "shelf-None")
    for number in range(4):
        Book.objects.create(title=f"Volume {number}")

    assert Book.objects.count() == 4


def test_a_save_that_fails_leaves_nothing_behind(book_binding, left):
    book_binding()
    Book.objects.create(title="Emma", shelf_id=1)
    twin = Book(title="Emma", shelf_id=1)
    with pytest.raises(DatabaseError):
        twin.save()
    twin.title = "Emma again"
    twin.save()

    assert [told[0::2] for told in left.told()] == [("create", "Emma"), ("create", "Emma again")]


# Which saves


def test_what_a_receiver_saves_once_more_is_told_twice(book_binding, left):
    book_binding()

    def count(sender, instance, created, **kwargs):
        if created:
            instance.pages = 2
            instance.save()

    post_save.connect(count, sender=Book)
    try:
        book = Book.objects.create(title="Emma", shelf_id=1)
        book.save()
    finally:
        post_save.disconnect(count, sender=Book)

    assert sorted(action for action, _, _ in left.told()) == ["create", "update", "update"]


def test_what_is_saved_as_a_proxy_is_told_too(book_binding, left):
    book_binding()
    book = ProxyBook.objects.create(title="Emma", shelf_id=1)
    ProxyBook.objects.get().delete()

    assert left.told() == [("create", book.pk, "Emma"), ("delete", book.pk, "Emma")]


def test_a_value_that_the_database_works_out_is_told_as_it_is_there(book_binding, left):
    book_binding(fields=["pages"])
    book = Book.objects.create(title="Emma", shelf_id=1)
    book.pages = F("pages") + 41
    book.save()

    assert [told["data"] for told in left.payloads()] == [{"pages": 1}, {"pages": 42}]


def test_what_is_saved_as_text_is_told_as_what_it_means(book_binding, left):
    book_binding(fields=["title", "pages", "published"])
    book = Book.objects.create(title="Emma", pages="400", published="1815-12-23", shelf_id="1")
    book.published = "1816-01-01"
    book.save()

    assert [payload["data"] for payload in left.payloads()] == [
        {"title": "Emma", "pages": 400, "published": "1815-12-23"},
        {"title": "Emma", "pages": 400, "published": "1816-01-01"},
    ]
    # The one in hand is its owner's.
    assert (book.pages, book.published) == ("400", "1816-01-01")


def test_fixtures_are_loaded_in_silence(book_binding, left):
    book_binding(send_members=["shelf.name"])
    text = serializers.serialize("json", [Book(pk=5, title="Emma", shelf_id=1, pages=3)])
    for loaded in serializers.deserialize("json", text.replace('"added": null', '"added": "2020-01-01T00:00:00Z"')):
        loaded.save()

    assert Book.objects.get().pages == 3
    assert left.told() == []


def test_bulk_changes_are_not_told(book_binding, left):
    book_binding()
    Book.objects.bulk_create([Book(title="Emma", shelf_id=1)])
    Book.objects.update(shelf_id=2)

    assert left.told() == []


def test_an_instance_can_be_pickled_after_it_was_saved(book_binding, site):
    book_binding()
    book = Book.objects.create(title="Emma")

    assert pickle.loads(pickle.dumps(book)) == book


def test_several_bindings_of_one_model_ask_for_the_row_once(book_binding, look_at, django_assert_num_queries):
    for group in "ab":
        book_binding(group_names=classmethod(lambda cls, book, group=group: [group]))
    a, b = map(look_at, "ab")
    book = Book.objects.create(title="Emma")
    with django_assert_num_queries(2):
        book.save()

    assert a.told() == b.told() == [("create", book.pk, "Emma"), ("update", book.pk, "Emma")]


def test_a_binding_sends_over_its_own_layer(book_binding, make_site, settings, tables):
    settings.CHANNEL_LAYERS = {**settings.CHANNEL_LAYERS, "other": settings.CHANNEL_LAYERS["default"]}
    make_site()
    other = make_site(alias="other")
    book_binding(alias="other")
    member, elsewhere = Member(other, "shelf-None", "other"), Member(Site(channel_layers["default"]), "shelf-None")
    Book.objects.create(title="Emma")

    assert [action for action, _, _ in member.told()] == ["create"]
    assert elsewhere.told() == []


def test_group_names_that_are_one_text_are_refused(book_binding, site):
    book_binding(group_names=classmethod(lambda cls, book: "books"))

    with pytest.raises(TypeError, match=r"BookBinding.group_names has returned 'books'; expected a list of names."):
        Book.objects.create(title="Emma")
