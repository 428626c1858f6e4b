"""The routing of the page routes the chat, and refuses sockets at any other address."""

import pytest

from chat.models import Message, Room


@pytest.fixture
def site(serve):
    return serve("docs/routing.md", "channel_routing")


def test_sockets_come_into_their_room(site, open_socket):
    Room.objects.create(name="Hall", slug="hall")

    assert open_socket(site, "/rooms/hall/").connect() == [{"accept": True}]


@pytest.mark.parametrize("path", ["/", "/rooms/hall/more/", "/rooms/attic/", "/rooms/中文/"])
def test_sockets_at_any_other_address_are_refused(site, open_socket, path):
    assert open_socket(site, path).connect() == [{"accept": False}]


def test_a_request_goes_to_its_consumer_by_path_and_method(site):
    Message.objects.create(room=Room.objects.create(name="Hall"), text="Hello")
    [listed] = site.request("/live.txt")
    [elsewhere] = site.request("/live.txt", method="POST", headers=[[b"host", b"chat.example"]])

    assert listed["content"].endswith(b"[Hall] the site: Hello\n")
    assert elsewhere["status"] == 404
