"""A site of class-based consumers, and the sockets of its visitors."""

import pytest

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
