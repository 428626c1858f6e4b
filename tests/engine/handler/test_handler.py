import asyncio
import json
import logging

import pytest
from django.core import signals
from django.http import HttpResponse, JsonResponse
from django.urls import path, reverse

from channels import Channel, route
from channels.exceptions import RequestAborted, RequestTimeout, ResponseLater
from channels.handler import AsgiHandler, AsgiRequest, handler
from channels.message import Message

from ..sites import request_to

pytestmark = pytest.mark.urls(__name__)
BODY_CHANNEL = "http.request.body?1"


def show(request):
    return JsonResponse(
        {
            "method": request.method,
            "path": request.path,
            "url": request.build_absolute_uri(),
            "query": request.GET.dict(),
            "cookies": request.COOKIES,
            "agent": request.headers.get("User-Agent"),
            "form": request.POST.dict(),
            "files": {name: file.read().decode() for name, file in request.FILES.items()},
            "client": request.META.get("REMOTE_ADDR"),
            "secure": request.is_secure(),
            "reversed": reverse(show),
        }
    )


def show_name(request, name):
    return HttpResponse(name)


def set_headers(request):
    response = HttpResponse("ok", headers={"X-One": "1", "X-Latin": "Grüße"})
    response.set_cookie("a", "1", httponly=True)
    response.set_cookie("b", "2")
    return response


def wrong_header(request):
    response = HttpResponse()
    # Past what Django checks.
    response.headers._store["x-city"] = ("X-City", "日本")
    return response


def no_content(request):
    return HttpResponse(status=204)


async def async_view(request):
    await asyncio.sleep(0)
    return HttpResponse(f"async {request.path}")


def fail(request):
    raise RuntimeError("the view failed")


def later(request):
    Channel("answers").send({"reply_channel": request.reply_channel.name})
    raise AsgiRequest.ResponseLater


async def async_later(request):
    raise ResponseLater


def big(request):
    return HttpResponse(b"x" * 25)


urlpatterns = [
    path("show/<str:name>/", show_name),
    path("show/", show),
    path("headers/", set_headers),
    path("no-content/", no_content),
    path("wrong-header/", wrong_header),
    path("async/", async_view),
    path("fail/", fail),
    path("later/", later),
    path("async-later/", async_later),
    path("big/", big),
]


@pytest.fixture
def site(make_site, settings):
    settings.MIDDLEWARE, settings.TEMPLATES = [], []
    return make_site([route("answers", answer)], default_routes=True)


def answer(message):
    message.reply_channel.send({"status": 200, "headers": [], "content": b"at last"})


def shown(replies):
    """Return what the view "show" has seen of its request."""
    [reply] = replies
    assert reply["status"] == 200
    return json.loads(reply["content"])


def headers_of(reply):
    return [(name.decode(), value.decode("latin-1")) for name, value in reply["headers"]]


# Requests


def test_a_view_sees_the_request_that_the_client_made(site):
    seen = shown(
        site.request(
            "/show/",
            method="POST",
            query_string=b"page=2&name=K%C3%BCche",
            headers=[
                [b"Host", b"testserver"],
                [b"user-agent", b"test"],
                [b"cookie", b"a=1; b=2"],
                [b"Content-Type", b"application/x-www-form-urlencoded"],
                [b"content-length", b"13"],
            ],
            body=b"text=hello%21",
            client=["203.0.113.7", 1234],
        )
    )

    assert seen == {
        "method": "POST",
        "path": "/show/",
        "url": "http://testserver/show/?page=2&name=K%C3%BCche",
        "query": {"page": "2", "name": "Küche"},
        "cookies": {"a": "1", "b": "2"},
        "agent": "test",
        "form": {"text": "hello!"},
        "files": {},
        "client": "203.0.113.7",
        "secure": False,
        "reversed": "/show/",
    }


def test_a_request_over_https_is_secure(site):
    seen = shown(site.request("/show/", scheme="https"))

    assert seen["secure"]
    assert seen["url"] == "https://testserver/show/"


def test_a_site_below_a_path_finds_and_makes_its_urls(site):
    seen = shown(site.request("/below/show/", root_path="/below"))

    assert (seen["path"], seen["reversed"]) == ("/below/show/", "/below/show/")
    assert shown(site.request("/show/"))["reversed"] == "/show/"


def test_cookies_in_several_headers_are_all_seen(site):
    headers = [[b"host", b"testserver"], [b"cookie", b"a=1"], [b"cookie", b"b=2"]]

    assert shown(site.request("/show/", headers=headers))["cookies"] == {"a": "1", "b": "2"}


def test_a_path_is_text_in_any_alphabet(site):
    assert site.request("/show/Küche/")[0]["content"] == "Küche".encode()


def test_a_query_string_that_is_no_text_is_a_bad_request(site, caplog):
    [reply] = site.request("/show/\nforged", query_string=b"\xff")

    assert (reply["status"], reply["content"]) == (400, b"Bad request\n")
    assert r"the query string of '/show/\nforged' is not valid" in caplog.text


# Bodies


def put_body(site, *parts):
    for part in parts:
        site.layer.send(BODY_CHANNEL, part)


def upload(site, **content):
    """Make the request whose body comes on a channel of its own, and return it."""
    message = Message(request_to(method="POST", body_channel=BODY_CHANNEL, **content), "http.request", site.layer)
    return AsgiRequest(message)


def test_a_big_body_comes_in_parts(site):
    put_body(site, {"content": b"a" * 10, "more_content": True}, {"content": b"b" * 10})
    request = upload(site, body=b"first ")

    assert request.body == b"first aaaaaaaaaabbbbbbbbbb"
    assert site.received(BODY_CHANNEL) == []


def test_a_big_body_is_kept_on_disk_until_the_request_is_closed(site, settings):
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 15
    put_body(site, {"content": b"a" * 10}, {"content": b"a" * 10, "more_content": True}, {"content": b"b" * 10})
    small, big = upload(site), upload(site)
    files = [request._stream for request in (small, big)]

    assert [file._rolled for file in files] == [False, True]
    assert big.read() == b"a" * 10 + b"b" * 10
    big.close()
    assert [file.closed for file in files] == [False, True]


def test_a_response_closes_the_body_of_its_request(site, monkeypatch):
    bodies = []
    read_body = handler._read_body

    def remember_body(message):
        bodies.append(read_body(message))
        return bodies[-1]

    monkeypatch.setattr(handler, "_read_body", remember_body)
    site.request("/show/")

    assert [body.closed for body in bodies] == [True]


def test_a_form_with_a_file_may_come_in_parts(site):
    body = (
        b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\nNotes\r\n'
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nthe file\r\n--x--\r\n'
    )
    put_body(site, {"content": body[:90], "more_content": True}, {"content": body[90:]})
    headers = [
        [b"host", b"testserver"],
        [b"content-type", b"multipart/form-data; boundary=x"],
        [b"content-length", str(len(body)).encode()],
    ]
    seen = shown(site.request("/show/", method="POST", headers=headers, body_channel=BODY_CHANNEL))

    assert (seen["form"], seen["files"]) == ({"title": "Notes"}, {"file": "the file"})


def test_a_body_of_which_nothing_comes_any_more_is_given_up(site, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "channels")
    monkeypatch.setattr(handler, "BODY_TIMEOUT", 0.01)
    put_body(site, {"content": b"a", "more_content": True})

    assert site.request("/show/", method="POST", body_channel=BODY_CHANNEL) == []
    assert caplog.messages == ["Request '/show/' abandoned: The interface server has sent nothing of the body for 0 s."]
    with pytest.raises(RequestTimeout):
        upload(site)


def test_a_request_whose_client_left_is_answered_by_nobody(site, caplog):
    part, end = {"content": b"a", "more_content": True}, {"closed": True}
    put_body(site, part, end)

    assert site.request("/show/", method="POST", body_channel=BODY_CHANNEL) == []
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    put_body(site, end)
    with pytest.raises(RequestAborted, match="The client has left"):
        upload(site)


# Responses


def test_headers_and_cookies_reach_the_client(site):
    [reply] = site.request("/headers/")

    assert headers_of(reply) == [
        ("x-one", "1"),
        ("x-latin", "Grüße"),
        ("content-type", "text/html; charset=utf-8"),
        ("set-cookie", "a=1; HttpOnly; Path=/"),
        ("set-cookie", "b=2; Path=/"),
    ]


def test_a_header_that_is_no_latin_1_is_left_for_the_interface_server_to_refuse(site):
    [reply] = site.request("/wrong-header/")

    assert [b"x-city", "日本"] in reply["headers"]


def test_an_empty_response_is_one_message(site):
    [reply] = site.request("/no-content/")

    assert (reply["status"], reply["content"], reply["more_content"]) == (204, b"", False)


def test_head_gets_the_headers_of_get(site, settings):
    settings.MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
    [get], [head] = site.request("/big/"), site.request("/big/", method="HEAD")

    assert head["status"] == 200
    assert head["headers"] == get["headers"]
    assert ("content-length", "25") in headers_of(head)


def test_a_view_may_be_a_coroutine(site):
    assert site.request("/async/")[0]["content"] == b"async /async/"


def test_a_view_that_fails_is_answered_with_500(site, caplog):
    [reply] = site.request("/fail/")

    assert reply["status"] == 500
    assert "the view failed" in caplog.text
    assert site.request("/no-content/")[0]["status"] == 204


def test_an_unknown_path_is_answered_with_404(site):
    assert site.request("/nowhere/")[0]["status"] == 404


@pytest.mark.parametrize("path", ["/later/", "/async-later/"])
def test_another_consumer_may_answer_later(site, path, caplog):
    replies = site.request(path)

    assert replies == ([{"status": 200, "headers": [], "content": b"at last"}] if path == "/later/" else [])
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_middleware_stands_around_the_views_and_is_loaded_once(site, settings):
    loaded = []

    class Middleware:
        def __init__(self, get_response):
            loaded.append(self)
            self.get_response = get_response

        def __call__(self, request):
            response = self.get_response(request)
            response["X-Path"] = request.path
            return response

    settings.MIDDLEWARE = ["channels.handler.handler.Middleware"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handler, "Middleware", Middleware, raising=False)
        [first], [second] = site.request("/big/"), site.request("/no-content/")

    assert len(loaded) == 1
    assert ("x-path", "/big/") in headers_of(first)
    assert ("x-path", "/no-content/") in headers_of(second)


def test_a_request_begins_and_finishes_with_the_signals_of_django(site):
    heard = []

    def started(sender, **kwargs):
        heard.append("started")

    def finished(sender, **kwargs):
        heard.append("finished")

    signals.request_started.connect(started)
    signals.request_finished.connect(finished)
    site.request("/headers/")
    signals.request_started.disconnect(started)
    signals.request_finished.disconnect(finished)

    assert heard == ["started", "finished"]


def test_a_handler_can_be_called_and_one_made_with_a_message_iterated_over(site):
    message = Message(request_to("/no-content/"), "http.request", site.layer)

    assert [*AsgiHandler()(message)] == [*AsgiHandler(message)]
    with pytest.raises(TypeError, match="Only an AsgiHandler made with a message"):
        iter(AsgiHandler())
