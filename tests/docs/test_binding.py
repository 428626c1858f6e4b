import json

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from channels.binding.base import BindingMetaclass
from chat.models import Message, Room

from .pages import program


@pytest.fixture
def users(transactional_db):
    return {name: get_user_model().objects.create_user(name) for name in ("anna", "ben")}


@pytest.fixture
def open_stream(serve, open_socket, users):
    """Return a function that opens a socket to room 3 for a user, and sends payloads on the stream of messages."""
    Room.objects.create(pk=3, name="Hall")
    site = serve("docs/binding.md", "Streams")

    def open_stream(name):
        client = Client()
        client.force_login(users[name])
        cookie = client.cookies.output(header="", sep=";").strip()
        socket = open_socket(site, "/messages/3/", cookie=cookie)
        assert socket.connect() == [{"accept": True}]

        def ask(**payload):
            contents = socket.send(json.dumps({"stream": "messages", "payload": payload})) if payload else None
            contents = socket.received() if contents is None else contents
            return [json.loads(content["text"])["payload"] for content in contents]

        return ask

    return open_stream


def test_the_members_of_a_room_are_told_and_change_what_is_their_own(open_stream, users):
    anna, ben = open_stream("anna"), open_stream("ben")
    message = Message.objects.create(room_id=3, author=users["anna"], text="Hello")
    data = {"room": 3, "text": "Hello", "author__get_username": "anna"}
    told = {"action": "create", "pk": message.pk, "data": data, "model": "chat.message"}

    assert anna() == ben() == [told]
    changed = {**told, "action": "update", "data": {**data, "text": "Hallo"}}
    assert anna(action="update", pk=message.pk, data={"text": "Hallo"}) == ben() == [changed]
    assert ben(action="delete", pk=message.pk) == [
        {"error": "forbidden", "detail": "You may not delete this.", "refused": "delete", "pk": message.pk}
    ]
    assert anna(action="delete", pk=message.pk) == ben() == [{**changed, "action": "delete"}]
    assert ben(action="create", data={"text": "Mine"})[0]["error"] == "forbidden"


def test_a_browser_need_not_say_who_it_is(make_site, users):
    room = Room.objects.create(name="Hall")
    binding = program("docs/binding.md", "OwnMessages").OwnMessages()
    binding.user = users["anna"]
    binding.run_action("create", None, {"room": room.pk, "text": "Hello"})

    assert [(message.author.username, message.text) for message in Message.objects.all()] == [("anna", "Hello")]


def test_the_bindings_of_a_page_end_with_their_test():
    assert not [binding for binding in BindingMetaclass.binding_classes if binding.__module__.startswith("block_")]
