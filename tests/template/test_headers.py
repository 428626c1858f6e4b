"""`config/headers.py`: what browsers are told, whatever the page."""

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from config import headers
from config.headers import socket_origins


@pytest.fixture
def answer(settings):
    """Return a function that makes the response to a page, which the middleware of 5.2 has gone through."""

    def answer(status=200, headers_of_view=None, middleware=headers.ContentSecurityPolicyMiddleware):
        view = middleware(lambda _: HttpResponse(status=status, headers=headers_of_view))
        return view(RequestFactory().get("/"))

    return answer


def test_the_policy_is_written_as_browsers_read_it(answer, settings):
    settings.SECURE_CSP = {"default-src": ["'self'"], "connect-src": ["'self'", "wss://a.example:*"]}

    assert answer()["Content-Security-Policy"] == "default-src 'self'; connect-src 'self' wss://a.example:*"


def test_a_page_may_open_sockets_to_the_hosts_of_its_own_site_only():
    assert socket_origins(["chat.example", "[::1]"], secure=True) == ["wss://chat.example"]
    assert socket_origins([".chat.example"], secure=False) == ["ws://chat.example:*", "ws://*.chat.example:*"]
    assert socket_origins(["*"], secure=True) == []


def test_a_page_may_not_use_the_devices(answer):
    assert "camera=()" in answer(middleware=headers.BrowserPolicyMiddleware)["Permissions-Policy"]


def test_a_view_may_set_a_policy_of_its_own(answer):
    own = answer(headers_of_view={"Content-Security-Policy": "sandbox"})

    assert own["Content-Security-Policy"] == "sandbox"


def test_only_the_browser_may_keep_a_page_unless_the_view_says_more(answer):
    middleware = headers.BrowserPolicyMiddleware
    public = {"Cache-Control": "public, max-age=60"}

    assert answer(middleware=middleware)["Cache-Control"] == "private"
    assert answer(headers_of_view=public, middleware=middleware)["Cache-Control"] == public["Cache-Control"]


@pytest.mark.parametrize("status", [404, 500])
def test_debug_pages_keep_their_style(answer, settings, status):
    settings.DEBUG = True
    assert "Content-Security-Policy" not in answer(status)

    settings.DEBUG = False
    assert "Content-Security-Policy" in answer(status)
