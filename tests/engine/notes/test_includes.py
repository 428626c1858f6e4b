"""Routings in routings: a prefix of the path is cut off, and a filter looks at the method."""

from django.http import HttpResponse

from channels import include
from channels.handler import AsgiHandler
from channels.routing import route

from ..sites import Socket


def poll_consumer(message):
    for chunk in AsgiHandler.encode_response(HttpResponse("polled")):
        message.reply_channel.send(chunk)


def chat_connect(message, room_name):
    message.reply_channel.send({"accept": True, "text": f"{room_name} {message['path']}"})


def chat_disconnect(message):
    message.reply_channel.send({"text": "gone"})


http_routing = [
    route("http.request", poll_consumer, path=r"^/poll/$", method=r"^POST$"),
]
chat_routing = [
    route("websocket.connect", chat_connect, path=r"^/(?P<room_name>[a-zA-Z0-9_]+)/$"),
    route("websocket.disconnect", chat_disconnect),
]
routing = [
    include(chat_routing, path=r"^/chat"),
    include(http_routing),
]
routing_by_path = [
    # You can use a string import path as the first argument as well.
    include("tests.engine.notes.test_includes.chat_routing", path=r"^/chat"),
    include("tests.engine.notes.test_includes.http_routing"),
]


def test_only_a_post_is_for_the_poll_consumer(make_site, views):
    site = make_site(routing, default_routes=True)

    assert site.request("/poll/", method="POST")[0]["content"] == b"polled"
    assert site.request("/poll/", method="GET")[0]["status"] == 404


def test_the_prefix_is_cut_off_for_matching_and_stays_in_the_message(make_site):
    socket = Socket(make_site(routing), "/chat/kitchen/")

    assert socket.connect() == [{"accept": True, "text": "kitchen /chat/kitchen/"}]
    assert socket.disconnect() == [{"text": "gone"}]


def test_a_path_without_the_prefix_is_for_others(make_site):
    assert Socket(make_site(routing), "/kitchen/").connect() == []


def test_dotted_paths_do_the_same(make_site):
    site = make_site(routing_by_path)

    assert Socket(site, "/chat/kitchen/").connect() == [{"accept": True, "text": "kitchen /chat/kitchen/"}]
    assert site.request("/poll/", method="POST")[0]["content"] == b"polled"
