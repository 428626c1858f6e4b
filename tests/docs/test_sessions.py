import pytest


@pytest.fixture
def site(serve):
    return serve("docs/sessions.md", "connect")


def test_a_socket_talks_in_the_room_it_came_to(site, open_socket):
    ada, bob, eve = (open_socket(site, path) for path in ("/hall/", "/hall/", "/attic/"))
    connected = [socket.connect() for socket in (ada, bob, eve)]

    assert connected == [[{"accept": True}]] * 3
    assert ada.send("hello") == bob.received() == [{"text": "hello"}]
    assert eve.received() == []


def test_a_page_of_another_site_is_refused(site, open_socket):
    assert open_socket(site, origin="https://elsewhere.example").connect() == [{"accept": False}]


def test_work_that_is_handed_on_brings_the_session_along(serve, open_socket):
    socket = open_socket(serve("docs/sessions.md", "ask"))

    assert socket.send("what?") == [{"text": "You have asked: what?"}]
    assert socket.session == {}
