import asyncio

from channels import channel_layers
from channels.test.process_queue import MemberMessages

from .pages import namespaces_of


def test_a_socket_hears_what_is_sent_to_its_group_until_it_leaves(db):
    namespaces_of("docs/channel.md")
    layer = channel_layers["default"]

    assert layer.receive(["chat-messages"])[1] == {"room": 1, "text": "Hello"}
    assert asyncio.run(MemberMessages(layer).take("reply.test!")) == [
        ("reply.test!1", {"text": "Somebody has come in"})
    ]
    assert layer.group_channels("room-1") == []


def test_what_is_sent_on_commit_waits_for_it(db, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as sends:
        namespaces_of("docs/channel.md")
    layer = channel_layers["default"]
    layer.group_add("room-1", "reply.late!1")
    messages = MemberMessages(layer)
    before = asyncio.run(messages.take("reply.late!"))
    for send in sends:
        send()

    assert before == []
    assert asyncio.run(messages.take("reply.late!")) == [("reply.late!1", {"text": "…"})]
