"""`config/headers.py`: what browsers are told, whatever the page."""

import pytest
from django.core.exceptions import DisallowedHost
from django.http import HttpResponse
from django.test import RequestFactory

from config.headers import BrowserPolicyMiddleware


def answer(status=200, headers=None, **request):
    middleware = BrowserPolicyMiddleware(lambda _: HttpResponse(status=status, headers=headers))
    return middleware(RequestFactory().get("/", **request))


def test_a_page_may_use_what_comes_from_its_own_site_only():
    policy = directives(answer())

    assert policy["default-src"] == "'self'"
    assert policy["object-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in str(policy)


def test_a_page_may_open_sockets_to_its_own_host_only(settings):
    settings.ALLOWED_HOSTS = ["chat.example"]

    assert directives(answer(HTTP_HOST="chat.example"))["connect-src"] == "'self' ws://chat.example"
    secure = answer(secure=True, HTTP_HOST="chat.example:8443")
    assert directives(secure)["connect-src"] == "'self' wss://chat.example:8443"


def test_a_page_may_not_use_the_devices():
    assert "camera=()" in answer()["Permissions-Policy"]


def test_a_host_that_is_not_allowed_never_reaches_the_header(settings):
    settings.ALLOWED_HOSTS = ["chat.example"]

    with pytest.raises(DisallowedHost):
        answer(HTTP_HOST="evil.example")


def test_a_view_may_set_a_policy_of_its_own():
    assert answer(headers={"Content-Security-Policy": "sandbox"})["Content-Security-Policy"] == "sandbox"


def test_only_the_browser_may_keep_a_page_unless_the_view_says_more():
    assert answer()["Cache-Control"] == "private"
    assert answer(headers={"Cache-Control": "public, max-age=60"})["Cache-Control"] == "public, max-age=60"


@pytest.mark.parametrize("status", [404, 500])
def test_debug_pages_keep_their_style(settings, status):
    settings.DEBUG = True
    assert "Content-Security-Policy" not in answer(status=status)

    settings.DEBUG = False
    assert "Content-Security-Policy" in answer(status=status)


def directives(response):
    return dict(part.split(" ", 1) for part in response["Content-Security-Policy"].split("; "))
