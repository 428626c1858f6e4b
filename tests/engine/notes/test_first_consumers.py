"""Views as consumers, and the echo: the first examples of the notes."""
# ruff: noqa: UP031

from django.http import HttpResponse

from channels.handler import AsgiHandler, AsgiRequest
from channels.routing import route

from ..sites import Socket

TEXT = [[b"content-type", b"text/html; charset=utf-8"]]


def do_nothing(message):
    pass


def view(request):
    return HttpResponse(f"{request.method} {request.path}?{request.GET['page']}")


# Listens on http.request
def my_consumer(message):
    # Decode the request from message format to a Request object
    django_request = AsgiRequest(message)
    django_response = view(django_request)
    for chunk in AsgiHandler.encode_response(django_response):
        message.reply_channel.send(chunk)


def http_consumer(message):
    # Make standard HTTP response - access ASGI path attribute directly
    response = HttpResponse("Hello world! You asked for %s" % message.content["path"])
    # Encode that response into message format (ASGI)
    for chunk in AsgiHandler.encode_response(response):
        message.reply_channel.send(chunk)


def ws_message(message):
    # ASGI WebSocket packet-received and send-packet message types
    # both have a "text" key for their textual data.
    message.reply_channel.send(
        {
            "text": message.content["text"],
        }
    )


channel_routing = [
    route("http.request", "tests.engine.notes.test_first_consumers.http_consumer"),
    route("websocket.receive", ws_message),
]


def test_a_consumer_may_do_nothing(make_site):
    site = make_site([route("thumbnail", do_nothing)])

    assert site.consume("thumbnail", size=100) == []


def test_a_view_is_almost_a_consumer(make_site):
    site = make_site([route("http.request", my_consumer)])
    [reply] = site.request("/books/", query_string=b"page=2")

    assert reply == {"status": 200, "headers": TEXT, "content": b"GET /books/?2", "more_content": False}


def test_hello_world_says_what_was_asked_for(make_site):
    [reply] = make_site("tests.engine.notes.test_first_consumers.channel_routing").request("/books/")

    content = b"Hello world! You asked for /books/"
    assert reply == {"status": 200, "headers": TEXT, "content": content, "more_content": False}


def test_the_echo_sends_back_what_it_gets_and_sockets_are_accepted_without_a_route(make_site):
    socket = Socket(make_site(channel_routing, default_routes=True))

    assert socket.connect() == [{"accept": True}]
    assert socket.send("hello") == [{"text": "hello"}]
    assert socket.disconnect() == []
