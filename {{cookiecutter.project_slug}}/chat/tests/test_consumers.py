import pytest

from channels import Channel
from channels.test import Socket, work
from chat import consumers
from chat.models import RATE_MESSAGES, Message, Room

from .sockets import RoomSocket

# Broadcasts leave after the commit, so there has to be one.
pytestmark = pytest.mark.django_db(transaction=True)

CLIENT_ID = "6f1e9f0e-0d57-4b6e-9a55-0c7f2f4ad0b1"


def test_what_one_says_the_others_see(open_socket, anna, ben):
    annas, bens, readers = open_socket(anna), open_socket(ben), open_socket()
    [frame] = annas.say("Hello", CLIENT_ID)

    assert (frame["type"], frame["author"], frame["text"], frame["id"]) == ("message", "anna", "Hello", CLIENT_ID)
    assert bens.frames() == readers.frames() == [frame]


def test_a_message_stays_in_its_room(open_socket, anna):
    Room.objects.create(name="Harbour")
    elsewhere = RoomSocket("/rooms/harbour/")
    elsewhere.connect()
    open_socket(anna).say("Hello", CLIENT_ID)

    assert elsewhere.frames() == []


def test_a_message_sent_again_is_saved_once_and_answered_again(open_socket, anna, ben):
    annas, bens = open_socket(anna), open_socket(ben)

    assert annas.say("Hello", CLIENT_ID) == annas.say("Hello", CLIENT_ID)
    assert Message.objects.count() == len(bens.frames()) == 1


def test_a_room_that_is_not_there_refuses_the_socket(db):
    assert not Socket("/rooms/nowhere/").connect()


def test_another_site_is_refused(room):
    socket = Socket("/rooms/boat-shed/")
    socket.browser.set_header("origin", "http://elsewhere.example")

    assert not socket.connect()


@pytest.mark.parametrize("origin", ["http://testserver", "http://elsewhere.example"])
def test_the_disconnect_of_a_refused_socket_waits_for_nothing(db, origin):
    socket = Socket("/rooms/nowhere/")
    socket.browser.set_header("origin", origin)
    accepted = socket.connect()
    socket.disconnect()

    assert not accepted
    assert socket.received() == [{"accept": False}]


@pytest.mark.parametrize("path", ["/nowhere/", "/rooms/", "/rooms/boat-shed/history/"])
def test_sockets_at_other_addresses_are_refused(room, path):
    socket = Socket(path)

    assert not socket.connect()
    assert [answer["accept"] for answer in socket.received()] == [False]


def test_who_is_not_signed_in_may_read_but_not_write(room, open_socket):
    Message.objects.create(room=room, text="Welcome")
    socket = open_socket()
    [answer] = socket.sync()
    [refused] = socket.say("Hello", CLIENT_ID)

    assert answer["user"] is None
    assert [message["text"] for message in answer["messages"]] == ["Welcome"]
    assert (refused["type"], refused["reason"], refused["id"]) == ("refused", "login", CLIENT_ID)


@pytest.mark.parametrize("change", [{"is_active": False}, {"password": "another"}], ids=["closed", "new-password"])
def test_who_no_longer_has_a_login_cannot_write_on_even_where_no_signal_was_sent(open_socket, anna, change):
    socket = open_socket(anna)
    type(anna).objects.filter(pk=anna.pk).update(**change)

    assert socket.say("Hello", CLIENT_ID)[0]["reason"] == "login"
    assert socket.sync()[0]["user"] is None


def test_a_new_password_and_a_closed_account_close_the_sockets_of_the_user(open_socket, anna, ben):
    annas, bens = open_socket(anna), open_socket(ben)
    anna.set_password("another-stone-78")
    anna.save()
    ben.is_active = False
    ben.save()

    assert annas.received() == bens.received() == [{"close": 4401}]


def test_what_else_changes_of_a_user_closes_nothing(client, open_socket, anna):
    socket = open_socket(anna)
    client.post("/accounts/login/", {"username": "anna", "password": "river-stone-77"})
    anna.email = "elsewhere@example.com"
    anna.save()

    assert socket.received() == []


def test_signing_out_closes_the_sockets_of_the_user(room, signed_in, open_socket, ben):
    client, bens = signed_in(ben), open_socket(ben)
    reader = open_socket()
    client.post("/accounts/logout/")

    assert bens.received() == [{"close": 4401}]
    assert reader.received() == []


def test_a_sync_gives_what_came_after_a_page_at_a_time(room, open_socket, anna):
    said = [Message.objects.create(room=room, author=anna, text=str(number)) for number in range(120)]
    socket = open_socket(anna)
    socket.frames()
    [first] = socket.sync(after=said[9].pk)
    [last] = socket.sync(after=said[109].pk)

    assert [message["text"] for message in first["messages"]] == [str(number) for number in range(10, 60)]
    assert (first["more"], last["more"], first["user"]) == (True, False, "anna")
    assert len(last["messages"]) == 10


@pytest.mark.parametrize("text", ["", "{", "[]", '{"type": "sync", "after": "x"}', "[" * 100_000])
def test_a_frame_that_makes_no_sense_is_answered(open_socket, text):
    [refused] = open_socket().send(text)

    assert (refused["type"], refused["reason"]) == ("refused", "malformed")


def test_bytes_are_refused(open_socket):
    socket = open_socket()
    [refused] = socket.send(bytes=b"{}")

    assert refused["reason"] == "malformed"


def test_text_that_is_too_long_is_refused(open_socket, anna):
    [refused] = open_socket(anna).say("x" * 2001, CLIENT_ID)

    assert (refused["reason"], refused["id"]) == ("text", CLIENT_ID)
    assert not Message.objects.exists()


def test_who_writes_too_fast_is_told_how_long_to_wait(open_socket, anna):
    socket = open_socket(anna)
    for number in range(RATE_MESSAGES):
        socket.say("Hello", f"6f1e9f0e-0d57-4b6e-9a55-{number:012}")
    [refused] = socket.say("Hello", CLIENT_ID)

    assert (refused["reason"], refused["id"]) == ("rate", CLIENT_ID)
    assert 1 <= refused["seconds"] <= 11


def test_a_socket_that_floods_is_closed(open_socket, monkeypatch):
    monkeypatch.setattr(consumers, "SOCKET_FRAMES", 3)
    socket = open_socket()
    answers = [socket.send("{}") for _ in range(3)]

    assert all(answers)
    assert socket.send("{}") == [{"close": 1008}]


def test_a_removed_room_closes_its_sockets(room, open_socket, anna):
    socket = open_socket(anna)
    room.delete()

    assert socket.received() == [{"close": 4404}]
    assert socket.say("Hello", CLIENT_ID)[0]["reason"] == "gone"


def test_a_socket_that_has_gone_is_in_no_room(room, open_socket):
    socket = open_socket()
    socket.disconnect()
    Message.objects.create(room=room, text="Hello")

    assert socket.received() == []


def test_the_own_channel_takes_messages_from_anywhere(room, open_socket, anna):
    socket = open_socket()
    content = {"room": room.pk, "author": anna.pk, "text": "Hello", "client_id": CLIENT_ID}
    Channel("chat-messages").send(content)
    work()

    assert [frame["text"] for frame in socket.frames()] == ["Hello"]


@pytest.mark.parametrize(("method", "statuses"), [("GET", [200]), ("HEAD", [200]), ("POST", []), ("GETS", [])])
def test_live_txt_can_be_read_and_nothing_else(db, method, statuses):
    socket = Socket("/live.txt")
    socket.put("http.request", method=method)

    assert [response["status"] for response in socket.received()] == statuses


def test_live_txt_shows_the_newest_messages_one_a_line(room, anna):
    Message.objects.create(room=room, text="The shed is open")
    Message.objects.create(room=room, author=anna, text="Good\nmorning")
    socket = Socket("/live.txt")
    socket.put("http.request")
    response = socket.received()[0]
    first, second = response["content"].decode().splitlines()

    assert response["status"] == 200
    assert first.endswith("[Boat shed] the site: The shed is open")
    assert second.endswith("[Boat shed] anna: Good morning")
