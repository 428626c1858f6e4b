"""A site of class-based consumers, and the sockets of its visitors."""

import pytest
from django.conf import settings as site_settings
from django.contrib.auth import get_user_model
from django.test import Client

from ..interface.conftest import pytest_pyfunc_call, signal_handlers  # noqa: F401
from ..sites import Socket

HOST = "chat.example"


@pytest.fixture
def open_socket(make_site, settings):
    """Return a function that gives a browser's socket to a site of some routes, from one of the site's own pages."""
    settings.ALLOWED_HOSTS = [HOST]

    def open_socket(*routes, path="/", site=None, origin=f"http://{HOST}", cookie="", **config):
        headers = [[b"cookie", cookie.encode()]]
        if origin is not None:
            headers.append([b"origin", origin.encode()])
        return Socket(site or make_site(routes, **config), path, headers=headers)

    return open_socket


@pytest.fixture
def cookie(db):
    """Give the cookie of a browser in which Anna is signed in."""
    client = Client()
    client.force_login(get_user_model().objects.create_user("anna"))
    return f"{site_settings.SESSION_COOKIE_NAME}={client.cookies[site_settings.SESSION_COOKIE_NAME].value}"
