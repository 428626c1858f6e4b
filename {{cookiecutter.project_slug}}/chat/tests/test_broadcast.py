import pytest
from django.core.management import call_command
from django.db import transaction

from chat.models import Message

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_message_is_broadcast_when_it_is_committed(room, open_socket):
    socket = open_socket()
    with transaction.atomic():
        message = Message.objects.create(room=room, text="Hello")
        before_the_commit = socket.frames()

    assert before_the_commit == []
    assert [frame["pk"] for frame in socket.frames()] == [message.pk]


def test_a_message_that_is_rolled_back_is_never_seen(room, open_socket):
    socket = open_socket()
    with pytest.raises(RuntimeError), transaction.atomic():
        Message.objects.create(room=room, text="Hello")
        raise RuntimeError

    assert socket.frames() == []


def test_a_change_is_broadcast_under_the_same_number(room, open_socket):
    socket = open_socket()
    message = Message.objects.create(room=room, text="Helo")
    message.text = "Hello"
    message.save()

    assert [(frame["pk"], frame["text"]) for frame in socket.frames()] == [
        (message.pk, "Helo"),
        (message.pk, "Hello"),
    ]


def test_a_deletion_is_broadcast(room, open_socket):
    message = Message.objects.create(room=room, text="Hello")
    socket = open_socket()
    pk = message.pk
    message.delete()

    assert socket.frames() == [{"type": "removed", "pk": pk}]


def test_a_message_saved_in_the_admin_appears(room, open_socket, signed_in, admin_user):
    socket = open_socket()
    signed_in(admin_user).post("/admin/chat/message/add/", {"room": room.pk, "text": "Hello"})

    assert [(frame["author"], frame["text"]) for frame in socket.frames()] == [(None, "Hello")]


def test_a_message_from_a_command_appears(room, open_socket, anna):
    socket = open_socket()
    call_command("say", "boat-shed", "Hello", "--as", "anna")

    assert [(frame["author"], frame["text"]) for frame in socket.frames()] == [("anna", "Hello")]


def test_a_channel_layer_that_fails_does_not_undo_the_message(room, monkeypatch, caplog):
    def fail(self, content):
        raise ConnectionError("no layer")

    monkeypatch.setattr("channels.Group.send", fail)
    message = Message.objects.create(room=room, text="Hello")

    assert Message.objects.get() == message
    assert "no layer" in caplog.text
