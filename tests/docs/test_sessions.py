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


def test_what_comes_too_early_waits_for_its_turn(site, open_socket):
    socket = open_socket(site)
    socket.connect()
    first, second = (("websocket.receive", socket.message(text=text)) for text in ("first", "second"))
    for message in (second, first):
        site.layer.send(*message)
    site.work()

    assert socket.received() == [{"text": "first"}, {"text": "second"}]


def test_a_page_of_another_site_is_refused(site, open_socket):
    assert open_socket(site, origin="https://elsewhere.example").connect() == [{"accept": False}]
