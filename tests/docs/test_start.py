"""Each step of the tutorial does what it says."""

import importlib
import unittest

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

# A model's table is made, and what is saved is committed.
with_tables = pytest.mark.django_db(transaction=True)


@pytest.fixture
def open_as(open_socket):
    """Return a function that opens a socket for a user."""

    def open_as(site, name, path="/talk/hall/"):
        client = Client()
        client.force_login(get_user_model().objects.get_or_create(username=name)[0])
        socket = open_socket(site, path, cookie=client.cookies.output(header="", sep=";").strip())
        accepted, *socket.greeting = socket.connect()
        assert accepted == {"accept": True}
        return socket

    return open_as


def test_an_empty_consumer_answers_nothing(write_step, open_socket, capsys):
    site = write_step("docs/start.md", "1. An empty consumer")

    assert open_socket(site, "/talk/").connect() == []
    assert capsys.readouterr().out == "Somebody opens a socket at /talk/\n"


def test_a_frame_is_answered(write_step, open_socket):
    socket = open_socket(write_step("docs/start.md", "2. An answer"), "/talk/")

    assert socket.connect() == [{"accept": True}]
    assert socket.send("Hello") == [{"text": "You have said: Hello"}]
    assert socket.consume("websocket.receive", bytes=b"Hello") == []


def test_a_room_hears_what_is_said_in_it(write_step, open_socket):
    site = write_step("docs/start.md", "3. Rooms")
    anna, ben, elsewhere = (open_socket(site, f"/talk/{room}/") for room in ("hall", "hall", "attic"))
    for socket in (anna, ben, elsewhere):
        socket.connect()

    assert anna.send("Hello") == ben.received() == [{"text": "Hello"}]
    assert elsewhere.received() == []
    ben.disconnect()
    assert site.layer.group_channels("talk-hall") == [anna.reply_channel]


def test_the_room_is_for_users_and_for_pages_of_the_site(write_step, open_socket, open_as):
    site = write_step("docs/start.md", "4. Who it is")
    anna = open_as(site, "anna")

    assert open_socket(site, "/talk/hall/").connect() == [{"accept": False}]
    foreign = open_socket(site, "/talk/hall/", "https://elsewhere.example")
    assert foreign.connect() == [{"accept": False}]
    assert anna.send("Hello") == [{"text": "anna: Hello"}]


def test_each_frame_knows_its_number(write_step, open_as):
    site = write_step("docs/start.md", "5. One after the other")
    anna = open_as(site, "anna")

    assert anna.send("a") + anna.send("b") == [{"text": "anna (1): a"}, {"text": "anna (2): b"}]
    assert all(finish.keeps_order for _, finish in site.finishes)
    anna.disconnect()
    assert site.layer.group_channels("talk-hall") == []


@with_tables
def test_the_room_hears_of_each_line_that_is_saved_and_shows_the_last_ones(write_step, open_as):
    site = write_step("docs/start.md", "6. A model that tells of itself")
    line = importlib.import_module("talk.models").Line
    anna = open_as(site, "anna")
    said = anna.send("Hello")
    line.objects.create(room="hall", author=get_user_model().objects.get(), text="From elsewhere")
    heard = anna.received()

    assert said + heard == [{"text": "anna: Hello"}, {"text": "anna: From elsewhere"}]
    assert open_as(site, "ben").greeting == said + heard


@with_tables
def test_its_test_passes(write_step, settings):
    write_step("docs/start.md", "7. A test")
    settings.ALLOWED_HOSTS = ["testserver"]
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels.layers.inmemory.InMemoryChannelLayer",
            "ROUTING": "talk.routing.channel_routing",
        }
    }
    result = unittest.TestResult()
    case = importlib.import_module("talk.tests").TalkTests
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)

    assert (result.errors, result.failures, result.testsRun) == ([], [], 2)
