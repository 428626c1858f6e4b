import json

import pytest

from channels.test import Socket
from chat.binding import LATEST_TEXT
from chat.consumers import POLICY_VIOLATION
from chat.models import LastRead, Message, Room

# Bindings send after the commit, so there has to be one.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def open_list(signed_in):
    """Return a function that opens the socket of the list, for a user or for nobody."""

    def open_list(user=None):
        socket = Socket("/", signed_in(user) if user else None)
        assert socket.connect()
        return socket

    return open_list


def sync(socket, page=1):
    frame = socket.send(json.dumps({"stream": "sync", "payload": {"page": page}}))[-1]
    assert frame["stream"] == "sync"
    return frame["payload"]


def told(socket):
    """Return what has come since the last look: (stream, action, data)."""
    return [(frame["stream"], frame["payload"]["action"], frame["payload"]["data"]) for frame in socket.frames()]


def unread(answer):
    """Return the numbers that a list shows, by the names of the rooms."""
    return {room["name"]: room["unread"] for room in answer["rooms"]}


def say(room, *texts, author=None):
    """Save messages, and return their numbers."""
    return [Message.objects.create(room=room, author=author, text=text).pk for text in texts]


def in_json(time):
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_a_room_that_is_opened_renamed_or_removed_is_told_to_all_lists(open_list, room, anna):
    lists = [open_list(), open_list(anna)]
    harbour = Room.objects.create(name="Harbour")
    harbour.name = "Quay"
    harbour.save()
    harbour.delete()

    old, new = ({"name": name, "get_absolute_url": "/rooms/harbour/"} for name in ("Harbour", "Quay"))
    expected = [("rooms", "create", old), ("rooms", "update", new), ("rooms", "delete", new)]
    assert [told(each) for each in lists] == [expected] * 2


def test_of_a_room_that_is_removed_with_its_messages_there_is_one_word(open_list, room, anna):
    say(room, *["Hello"] * 3, author=anna)
    socket = open_list()
    Room.objects.filter(pk=room.pk).delete()
    harbour = Room.objects.create(name="Harbour")
    say(harbour, *["Hello"] * 3, author=anna)
    harbour.delete()

    assert [frame[:2] for frame in told(socket)] == [
        ("rooms", "delete"),
        ("rooms", "create"),
        *[("messages", "create")] * 3,
        ("rooms", "delete"),
    ]


def test_each_message_is_told_to_all_lists_with_its_author_and_the_start_of_its_text(open_list, room, anna):
    lists = [open_list(), open_list(anna)]
    message = Message.objects.create(room=room, author=anna, text="<b>" + "x" * 200)
    message.text = "Hello"
    message.save()
    message.delete()

    long, short = (
        {"room": room.pk, "author": anna.pk, "text": text, "created": in_json(message.created)}
        for text in ("<b>" + "x" * (LATEST_TEXT - 4) + "…", "Hello")
    )
    expected = [("messages", "create", long), ("messages", "update", short), ("messages", "delete", short)]
    assert [told(each) for each in lists] == [expected] * 2


def test_a_sync_shows_the_newest_message(open_list, room):
    message = Message.objects.create(room=room, text="<b>" + "x" * 200)

    latest = {"pk": message.pk, "text": "<b>" + "x" * (LATEST_TEXT - 4) + "…", "created": in_json(message.created)}
    shown = {"pk": room.pk, "name": "Boat shed", "url": "/rooms/boat-shed/", "unread": 0, "latest": latest}
    assert sync(open_list())["rooms"] == [shown]


def test_a_sync_gives_what_its_user_has_not_read(open_list, room, anna, ben):
    _, two, _ = say(room, "One", "Two", "Three")
    LastRead.objects.mark(anna, room.pk, two)

    assert [unread(sync(open_list(user))) for user in (anna, ben, None)] == [
        {"Boat shed": 1},
        {"Boat shed": 3},
        {"Boat shed": 0},
    ]
    assert [sync(open_list(user))["user"] for user in (anna, None)] == [anna.pk, None]


def test_what_one_says_oneself_is_not_unread_and_marks_nothing(open_list, room, anna, ben):
    say(room, "Hello", author=ben)
    say(room, "Hello, Ben", "How are you?", author=anna)
    say(room, "The workshop opens at ten.")

    assert [unread(sync(open_list(user))) for user in (anna, ben)] == [{"Boat shed": 2}, {"Boat shed": 3}]
    assert not LastRead.objects.exists()


@pytest.mark.parametrize(("said", "number"), [(99, 99), (100, 100), (101, 100), (130, 100)])
def test_a_sync_counts_up_to_a_hundred(open_list, room, anna, said, number):
    harbour = Room.objects.create(name="Harbour")
    for each in (room, harbour) * said:
        say(each, "Hello")

    assert unread(sync(open_list(anna))) == {"Harbour": number, "Boat shed": number}


def test_a_message_that_is_deleted_is_not_unread_and_what_was_read_stays_read(open_list, room, anna):
    one, two, three = say(room, "One", "Two", "Three")
    LastRead.objects.mark(anna, room.pk, two)
    Message.objects.filter(pk__in=[one, two]).delete()
    before = unread(sync(open_list(anna)))
    Message.objects.filter(pk=three).delete()

    assert (before, unread(sync(open_list(anna)))) == ({"Boat shed": 1}, {"Boat shed": 0})


def test_a_sync_costs_the_same_however_much_there_is(open_list, room, anna, django_assert_num_queries):
    socket = open_list(anna)
    for _ in range(2):
        # The user; how many rooms, and those of the page.
        with django_assert_num_queries(3):
            sync(socket)
        for name in ("Harbour", "Quay", "Pier"):
            say(Room.objects.get_or_create(name=name)[0], *["Hello"] * 5)


def test_a_sync_gives_one_page_of_rooms_after_the_other(open_list, db):
    Room.objects.bulk_create(Room(name=f"Room {number}", slug=f"room-{number}") for number in range(60))
    socket = open_list()
    names = [[room["name"] for room in sync(socket, page)["rooms"]] for page in (1, 2, 99)]

    assert names[0] == [f"Room {number}" for number in range(59, 9, -1)]
    assert names[1] == names[2] == [f"Room {number}" for number in range(9, -1, -1)]


def test_what_somebody_reads_is_told_to_his_own_lists_and_to_nobody_else(open_list, signed_in, room, anna, ben):
    [pk] = say(room, "Hello")
    annas, bens, nobodys = open_list(anna), open_list(ben), open_list()
    signed_in(anna).get("/rooms/boat-shed/")

    assert told(annas) == [("reads", "create", {"room": room.pk, "message": pk})]
    assert told(bens) == told(nobodys) == []


def test_an_open_window_reads_as_long_as_somebody_looks_at_it(open_socket, open_list, room, anna):
    window, annas = open_socket(anna), open_list(anna)
    [pk] = say(room, "Hello")
    window.sync(pk)
    hidden = unread(sync(annas))
    window.sync(pk, read=True)

    assert (hidden, unread(sync(annas))) == ({"Boat shed": 1}, {"Boat shed": 0})


def test_a_sync_that_is_not_complete_has_not_read_everything(open_socket, room, anna):
    pks = say(room, *["Hello"] * 60)
    window = open_socket(anna)
    [frame] = window.sync(read=True)
    before = LastRead.objects.count()
    window.sync(frame["messages"][-1]["pk"], read=True)

    assert (before, LastRead.objects.get().message) == (0, pks[-1])


def test_nothing_is_written_when_nothing_newer_was_seen(
    open_socket, open_list, signed_in, room, anna, django_assert_num_queries
):
    window, annas, browser = open_socket(anna), open_list(anna), signed_in(anna)
    window.sync(read=True)
    browser.get("/rooms/boat-shed/")
    empty = LastRead.objects.count()
    [pk] = say(room, "Hello")
    window.sync(read=True)
    annas.received()
    for after in (0, pk):
        # The messages; the user; what he has read.
        with django_assert_num_queries(3):
            window.sync(after, read=True)
    browser.get("/rooms/boat-shed/")

    assert (empty, told(annas)) == (0, [])


def test_a_window_without_a_login_reads_nothing(open_socket, room):
    say(room, "Hello")
    open_socket().sync(read=True)

    assert LastRead.objects.count() == 0


def test_a_window_of_a_room_that_is_gone_reads_nothing(open_socket, room, anna):
    window = open_socket(anna)
    Room.objects.all()._raw_delete(using="default")  # as another process does, which cannot reach the layer in memory
    [frame] = window.sync(17, read=True)

    assert frame["messages"] == [] and not LastRead.objects.exists()


def test_nobody_unreads_anything(room, anna):
    for message in (3, 5, 4):
        LastRead.objects.mark(anna, room.pk, message)

    assert LastRead.objects.get().message == 5


def test_of_two_windows_that_read_at_the_same_moment_the_one_ahead_is_right(room, anna, monkeypatch):
    LastRead.objects.mark(anna, room.pk, 3)
    behind = LastRead.objects.get()
    LastRead.objects.mark(anna, room.pk, 5)
    monkeypatch.setattr(LastRead.objects, "get_or_create", lambda **kwargs: (behind, False))
    LastRead.objects.mark(anna, room.pk, 4)

    assert LastRead.objects.get().message == 5


def test_saving_a_message_takes_one_query_however_many_have_read(
    room, anna, django_user_model, django_assert_num_queries
):
    for name in range(20):
        LastRead.objects.mark(django_user_model.objects.create(username=f"user{name}"), room.pk, 1)

    with django_assert_num_queries(1):
        say(room, "Hello", author=anna)


def test_saying_something_takes_what_it_took_without_a_list(open_socket, room, anna, django_assert_num_queries):
    window = open_socket(anna)
    # The user of the socket; room and author; and within a transaction: the author's lock, whether it was said before,
    # how fast he writes, and the message.
    with django_assert_num_queries(9):
        window.say("Hello", "5b0e9f4e-3c2b-4a51-8d9c-0d7f9a4f2f01")


def test_the_page_shows_the_numbers_of_its_user_without_javascript(signed_in, client, room, anna, ben):
    _, two, _ = say(room, "One", "Two", "Three")
    LastRead.objects.mark(anna, room.pk, two)

    one = '<span class="unread"><span class="number">1</span>'
    three = '<span class="unread"><span class="number">3</span>'
    assert one in signed_in(anna).get("/").text and three in signed_in(ben).get("/").text
    assert '<span class="unread">' not in client.get("/").text
    say(room, *["Hello"] * 100)
    assert '<span class="unread"><span class="number">99+</span>' in signed_in(anna).get("/").text


def test_earlier_pages_of_a_room_are_not_its_newest_messages(signed_in, room, anna):
    message = Message.objects.create(room=room, text="Hello")
    signed_in(anna).get("/rooms/boat-shed/", {"before": message.pk})

    assert LastRead.objects.count() == 0


def test_who_signs_out_is_told_nothing_more(open_list, signed_in, room, anna):
    socket = open_list(anna)
    signed_in(anna).post("/accounts/logout/")

    assert {"close": 4401} in socket.received()


@pytest.mark.parametrize(
    ("frame", "stream", "error"),
    [
        ({"stream": "sync", "payload": {}}, "sync", "malformed"),
        ({"stream": "sync", "payload": {"page": 0}}, "sync", "malformed"),
        ({"stream": "sync", "payload": {"page": "1"}}, "sync", "malformed"),
        ({"stream": "sync", "payload": {"page": 10**30}}, "sync", "malformed"),
        ({"stream": "rooms", "payload": {"action": "create", "data": {"name": "Mine"}}}, "rooms", "forbidden"),
        ({"stream": "rooms", "payload": {"action": "delete", "pk": 1}}, "rooms", "forbidden"),
        ({"stream": "reads", "payload": {"action": "create", "data": {"message": 1}}}, "reads", "forbidden"),
        ({"stream": "messages", "payload": {"action": "create", "data": {"text": "Hi"}}}, "messages", "forbidden"),
    ],
)
def test_what_a_list_must_not_ask_is_answered_and_changes_nothing(open_list, room, anna, frame, stream, error):
    socket = open_list(anna)
    [answer] = socket.send(json.dumps(frame))

    assert (answer["stream"], answer["payload"]["error"]) == (stream, error)
    assert list(Room.objects.values_list("name")) == [("Boat shed",)] and not LastRead.objects.exists()
    assert sync(socket)["page"] == 1


def test_a_list_that_asks_without_end_is_closed(open_list, db, monkeypatch):
    monkeypatch.setattr("chat.consumers.SOCKET_FRAMES_PER_SECOND", 0)  # however long they take
    socket = open_list()
    answers = [socket.send(json.dumps({"stream": "sync", "payload": {"page": 1}})) for _ in range(51)]

    assert answers == [answers[0]] * 50 + [[{"close": POLICY_VIOLATION}]]
