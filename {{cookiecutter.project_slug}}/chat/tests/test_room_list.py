import json

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from channels.test import Socket
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
    """Return what has come since the last look: (action, name, said) of rooms, (room, said) of what was read."""
    of_rooms, of_reads = [], []
    for frame in socket.frames():
        data = frame["payload"]["data"]
        if frame["stream"] == "rooms":
            of_rooms.append((frame["payload"]["action"], data["name"], data["said"]))
        else:
            of_reads.append((data["room"], data["said"]))
    return of_rooms, of_reads


def unread(answer):
    """Return the numbers that a list shows, by the names of the rooms."""
    return {
        room["data"]["name"]: room["data"]["said"] - answer["reads"].get(str(room["pk"]), 0) for room in answer["rooms"]
    }


def test_a_room_that_is_opened_renamed_written_in_or_removed_is_told_to_all_lists(open_list, room, anna):
    lists = [open_list(), open_list(anna)]
    harbour = Room.objects.create(name="Harbour")
    harbour.name = "Quay"
    harbour.save()
    Message.objects.create(room=harbour, text="Hello")
    harbour.delete()

    rooms = [("create", "Harbour", 0), ("update", "Quay", 0), ("update", "Quay", 1), ("delete", "Quay", 1)]
    assert [told(each) for each in lists] == [(rooms, [])] * 2


def test_a_list_shows_the_newest_message(open_list, room):
    socket = open_list()
    message = Message.objects.create(room=room, text="<b>" + "x" * 200)

    [frame] = socket.frames()
    latest = {"pk": message.pk, "text": "<b>" + "x" * 116 + "…", "created": message.created.isoformat()}
    assert frame["payload"]["data"] == {"name": "Boat shed", "url": "/rooms/boat-shed/", "said": 1, "latest": latest}


def test_a_sync_gives_the_page_and_what_its_user_has_read(open_list, room, anna, ben):
    for text in ("One", "Two", "Three"):
        Message.objects.create(room=room, text=text)
    LastRead.objects.mark(anna, room.pk, 2)

    assert [unread(sync(open_list(user))) for user in (anna, ben, None)] == [
        {"Boat shed": 1},
        {"Boat shed": 3},
        {"Boat shed": 3},
    ]
    assert [sync(open_list(user))["user"] for user in (anna, None)] == ["anna", None]


def test_a_sync_gives_one_page_of_rooms_after_the_other(open_list, db):
    Room.objects.bulk_create(Room(name=f"Room {number}", slug=f"room-{number}") for number in range(60))
    socket = open_list()
    names = [[room["data"]["name"] for room in sync(socket, page)["rooms"]] for page in (1, 2, 99)]

    assert names[0] == [f"Room {number}" for number in range(59, 9, -1)]
    assert names[1] == names[2] == [f"Room {number}" for number in range(9, -1, -1)]


def test_what_somebody_reads_is_told_to_his_own_lists_and_to_nobody_else(open_list, signed_in, room, anna, ben):
    Message.objects.create(room=room, text="Hello")
    annas, bens, nobodys = open_list(anna), open_list(ben), open_list()
    signed_in(anna).get("/rooms/boat-shed/")

    assert told(annas) == ([], [(room.pk, 1)])
    assert told(bens) == told(nobodys) == ([], [])


def test_an_open_window_reads_as_long_as_somebody_looks_at_it(open_socket, open_list, room, anna):
    window, annas = open_socket(anna), open_list(anna)
    Message.objects.create(room=room, text="Hello")
    window.send(json.dumps({"type": "sync", "after": 0}))
    hidden = unread(sync(annas))
    window.send(json.dumps({"type": "sync", "after": 0, "read": True}))

    assert (hidden, unread(sync(annas))) == ({"Boat shed": 1}, {"Boat shed": 0})


def test_a_sync_that_is_not_complete_has_not_read_everything(open_socket, room, anna):
    for number in range(60):
        Message.objects.create(room=room, text=f"Number {number}.")
    window = open_socket(anna)
    [frame] = window.send(json.dumps({"type": "sync", "after": 0, "read": True}))
    before = LastRead.objects.count()
    window.send(json.dumps({"type": "sync", "after": frame["messages"][-1]["pk"], "read": True}))

    assert (before, LastRead.objects.get().said) == (0, 60)


def test_a_window_without_a_login_reads_nothing(open_socket, room):
    Message.objects.create(room=room, text="Hello")
    open_socket().send(json.dumps({"type": "sync", "after": 0, "read": True}))

    assert LastRead.objects.count() == 0


def test_who_writes_has_read_what_is_there(open_list, room, anna, ben):
    Message.objects.create(room=room, author=ben, text="Hello")
    Message.objects.create(room=room, author=anna, text="Hello, Ben")

    assert unread(sync(open_list(anna))) == {"Boat shed": 0}
    assert unread(sync(open_list(ben))) == {"Boat shed": 1}


def test_nobody_unreads_anything(room, anna):
    for said in (3, 5, 4):
        LastRead.objects.mark(anna, room.pk, said)

    assert LastRead.objects.get().said == 5


def test_a_message_costs_the_same_however_many_have_read(room, anna, django_user_model, django_assert_num_queries):
    def queries():
        with django_assert_num_queries(number):
            Message.objects.create(room=room, text="Hello")

    # The message; its room: locked, looked up as it was, counted, with its newest message.
    number = 7
    queries()
    for name in range(20):
        LastRead.objects.mark(django_user_model.objects.create(username=f"user{name}"), room.pk, 1)

    queries()


def test_messages_at_the_same_time_are_all_counted_although_a_room_is_in_hand(room):
    in_hand = Room.objects.get()
    Message.objects.create(room=room, text="Hello")
    in_hand.name = "Boat house"
    in_hand.save()
    Message.objects.create(room=in_hand, text="Hello again")

    assert [(each.name, each.said) for each in Room.objects.all()] == [("Boat house", 2)]


def test_the_page_shows_the_numbers_of_its_user_without_javascript(signed_in, client, room, anna, ben):
    for text in ("One", "Two", "Three"):
        Message.objects.create(room=room, text=text)
    LastRead.objects.mark(anna, room.pk, 2)

    one = '<span class="unread"><span class="number">1</span>'
    three = '<span class="unread"><span class="number">3</span>'
    assert one in signed_in(anna).get("/").text and three in signed_in(ben).get("/").text
    assert '<span class="unread">' not in client.get("/").text


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
        ({"stream": "reads", "payload": {"action": "create", "data": {"said": 1}}}, "reads", "forbidden"),
    ],
)
def test_what_a_list_must_not_ask_is_answered_and_changes_nothing(open_list, room, anna, frame, stream, error):
    socket = open_list(anna)
    [answer] = socket.send(json.dumps(frame))

    assert (answer["stream"], answer["payload"]["error"]) == (stream, error)
    assert list(Room.objects.values_list("name")) == [("Boat shed",)] and not LastRead.objects.exists()
    assert sync(socket)["page"] == 1


def test_a_list_that_asks_without_end_is_closed(open_list, db):
    socket = open_list()
    answers = [socket.send(json.dumps({"stream": "sync", "payload": {"page": 1}})) for _ in range(100)]

    assert answers[:50] == [answers[0]] * 50
    assert [{"close": POLICY_VIOLATION}] in answers


def test_messages_from_before_are_counted_by_the_migration(room):
    call_command("migrate", "chat", "0001", verbosity=0)
    try:
        old = MigrationExecutor(connection).loader.project_state([("chat", "0001_initial")]).apps
        for text in ("One", "Two"):
            old.get_model("chat", "Message").objects.create(room_id=room.pk, text=text)
        old.get_model("chat", "Room").objects.create(name="Empty", slug="empty")
    finally:
        call_command("migrate", "chat", verbosity=0)

    assert dict(Room.objects.values_list("name", "said")) == {"Boat shed": 2, "Empty": 0}
