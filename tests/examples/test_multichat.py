"""The chat with many rooms over one socket: commands as JSON, routed by what they say; rooms for staff only."""

import pytest

from .conftest import PASSWORD, Browser

SOCKET = "/chat/socket/"


@pytest.fixture(scope="module")
def example(make_example):
    return make_example("multichat")


@pytest.fixture(scope="module")
def worker(example):
    return example.work()


@pytest.fixture(scope="module")
def server(example, worker):
    example.execute(
        "from django.contrib.auth.models import User; from chat.models import Room\n"
        f"User.objects.create_user('anna', password={PASSWORD!r})\n"
        f"User.objects.create_user('ben', password={PASSWORD!r}, is_staff=True)\n"
        "Room.objects.create(title='Lobby'); Room.objects.create(title='Office', staff_only=True)"
    )
    return example.serve("daphne", "project.asgi:channel_layer", "-p", "{port}")


@pytest.fixture(scope="module")
def sign_in(server):
    """Return a function that signs a user in, and returns the browser."""

    def sign_in(name):
        browser = Browser(server)
        assert browser.read("/")[0] == "/accounts/login/"
        assert browser.fill_in("/accounts/login/?next=/", username=name, password=PASSWORD) == "/"
        return browser

    return sign_in


def event(name, user, text="", room=1):
    return {"room": room, "event": name, "user": user, "text": text}


def test_the_page_shows_the_rooms_that_one_may_enter(sign_in):
    assert "Office" not in sign_in("anna").read("/")[1]
    assert "Office" in sign_in("ben").read("/")[1]


def test_who_has_not_signed_in_may_open_a_socket_but_join_no_room(server):
    with Browser(server).socket(SOCKET) as stranger:
        assert stranger.ask(command="join", room=1) == {"refused": "sign in first"}
        assert stranger.ask(command="say", room=1, text="hello") == {"refused": "join the room first"}


def test_a_worker_that_is_asked_to_shows_what_it_runs(server, worker):
    with Browser(server).socket(SOCKET) as stranger:
        stranger.ask(command="leave", room=1)

    worker.wait_until(lambda: "Running chat.consumers.leave" in worker.log)


def test_people_in_a_room_hear_each_other_until_they_leave(sign_in):
    with sign_in("anna").socket(SOCKET) as anna, sign_in("ben").socket(SOCKET) as ben:
        assert anna.ask(2, command="join", room=1) == [{"joined": 1, "title": "Lobby"}, event("came", "anna")]
        assert ben.ask(2, command="join", room="1") == [{"joined": 1, "title": "Lobby"}, event("came", "ben")]
        assert anna.receive() == event("came", "ben")
        assert ben.ask(command="say", room="1", text="Hello!") == event("said", "ben", "Hello!")
        assert anna.receive() == event("said", "ben", "Hello!")

        # Leaving acts at once, while what is sent to the group waits for the end of the consumer.
        assert anna.ask(command="leave", room=1) == {"left": 1}
        assert ben.receive() == event("left", "anna")
        assert anna.ask(command="say", room=1, text="Am I there?") == {"refused": "join the room first"}
        assert ben.ask(command="say", room=1, text="Still here") == event("said", "ben", "Still here")
        # What was said came only to those in the room.
        assert anna.ask(command="join", room=7) == {"refused": "no such room"}


def test_one_socket_may_be_in_several_rooms_and_staff_are_among_themselves(sign_in):
    with sign_in("anna").socket(SOCKET) as anna, sign_in("ben").socket(SOCKET) as ben:
        anna.ask(2, command="join", room=1)
        ben.ask(2, command="join", room=1)
        anna.receive()
        assert ben.ask(2, command="join", room=2)[0] == {"joined": 2, "title": "Office"}

        assert anna.ask(command="join", room=2) == {"refused": "no such room"}
        assert ben.ask(command="say", room=2, text="Secret") == event("said", "ben", "Secret", room=2)
        assert ben.ask(command="say", room=1, text="Public") == event("said", "ben", "Public")
        assert anna.receive() == event("said", "ben", "Public")


def test_who_closes_the_page_leaves_every_room(sign_in, example, server):
    with sign_in("anna").socket(SOCKET) as anna:
        anna.ask(2, command="join", room=1)
        with sign_in("ben").socket(SOCKET) as ben:
            ben.ask(2, command="join", room=1)
            ben.ask(2, command="join", room=2)
            assert anna.receive() == event("came", "ben")

        assert anna.receive() == event("left", "ben")
        server.wait_until(lambda: example.layer().group_channels("room-2") == [])
        assert len(example.layer().group_channels("room-1")) == 1
