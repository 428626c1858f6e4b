"""The reference chapter of the notes, sentence by sentence."""

import pytest
from django.http import HttpRequest, HttpResponse

import channels
from channels import DEFAULT_CHANNEL_LAYER, Channel, Group, channel_layers, route
from channels.exceptions import InvalidName
from channels.handler import AsgiHandler, AsgiRequest
from channels.message import Message

from ..sites import Socket


def test_a_consumer_may_put_its_message_back_ten_times(make_site):
    runs = []

    def consumer(message):
        runs.append(message.content["text"])
        raise channels.ConsumeLater

    make_site([route("websocket.receive", consumer)]).consume("websocket.receive", text="hello")

    assert runs == ["hello"] * 11


def test_what_a_consumer_returns_is_ignored(make_site):
    site = make_site([route("websocket.receive", lambda message: "ignored")])

    assert site.consume("websocket.receive", text="hello") == []


def test_a_message_tells_where_it_came_from(make_site):
    messages = []
    site = make_site([route("websocket.receive", messages.append), route("thumbnail", messages.append)])
    Socket(site, "/kitchen/").send("hello")
    site.layer.send("thumbnail", {"size": 100})
    site.work()
    from_socket, from_nobody = messages

    assert from_socket.content["text"] == "hello"
    assert from_socket.channel.name == "websocket.receive"
    assert from_socket.reply_channel.name == from_socket.content["reply_channel"]
    assert from_socket.channel_layer is channel_layers["default"]
    assert from_nobody.reply_channel is None


@pytest.mark.parametrize("kind", [Channel, Group])
def test_channels_and_groups_are_made_by_name_with_an_alias_or_a_layer(make_site, kind):
    first, second = make_site().layer, make_site(alias="second").layer

    assert DEFAULT_CHANNEL_LAYER == "default"
    assert kind("my.name").channel_layer is first
    assert kind("my.name", alias="second").channel_layer is second
    assert kind("my.name", "second").channel_layer is second
    assert kind("my.name", channel_layer=second).channel_layer is second
    assert kind("my.name").name == str(kind("my.name")) == "my.name"


def test_names_have_fewer_than_200_characters_and_a_mark_for_replies():
    assert Channel("http.response!f5G3fE21f").name == "http.response!f5G3fE21f"
    assert Channel("a-z_A.Z0" * 24 + "1234567").name
    for name in ("a" * 200, "with space", "two!marks!here", "ünicode", ""):
        with pytest.raises(InvalidName):
            Channel(name)


def test_a_group_takes_channels_and_names_and_does_nothing_twice(make_site):
    site = make_site()
    layer = site.layer
    group = Group("liveblog")
    group.add(Channel("reply.test!1"))
    group.add("reply.test!1")
    group.add("ordinary")
    group.discard("reply.test!2")
    group.discard(Channel("ordinary"))

    assert layer.group_channels("liveblog") == ["reply.test!1"]
    group.send({"text": "hello"})
    assert site.received("reply.test!") == [{"text": "hello"}]


def test_a_layer_knows_its_alias_and_its_router(make_site):
    def consumer(message, room):
        pass

    make_site([route("websocket.receive", consumer, path=r"^/(?P<room>\w+)/$"), route("thumbnail", consumer)])
    layer = channel_layers["default"]

    assert layer.alias == "default"
    assert layer.router.channels == {"websocket.receive", "thumbnail"}
    assert layer.router.match(Message({"path": "/kitchen/"}, "websocket.receive", layer)) == (
        consumer,
        {"room": "kitchen"},
    )
    assert layer.router.match(Message({"path": "/"}, "websocket.receive", layer)) is None


def test_an_asgi_request_is_a_request_and_keeps_its_message(make_site):
    content = {"method": "GET", "path": "/", "reply_channel": "http.response!abc"}
    message = Message(content, "http.request", make_site().layer)
    request = AsgiRequest(message)

    assert isinstance(request, HttpRequest)
    assert request.message is message
    assert request.reply_channel.name == "http.response!abc"


def test_an_asgi_handler_yields_the_response_of_the_views(make_site, views):
    message = Message({"method": "GET", "path": "/hello/"}, "http.request", make_site().layer)
    [reply] = AsgiHandler(message)

    assert (reply["status"], reply["content"]) == (200, b"Hello, world")
    assert [*AsgiHandler.encode_response(HttpResponse("Hello, world"))] == [
        {**reply, "headers": [[b"content-type", b"text/html; charset=utf-8"]]}
    ]
