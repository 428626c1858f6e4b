import json
import threading
import unittest
import urllib.error
import urllib.request

import pytest
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.http import HttpResponse, JsonResponse
from django.test import Client, override_settings
from django.urls import path
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from channels import Channel, Group, channel_layers, route
from channels.auth import channel_session_user, channel_session_user_from_http
from channels.security.websockets import allowed_hosts_only
from channels.test import ChannelLiveServerTestCase, apply_routes, liveserver


@allowed_hosts_only
@channel_session_user_from_http
def ws_connect(message):
    Group("room").add(message.reply_channel)
    message.reply_channel.send({"accept": True})


@channel_session_user
def ws_receive(message):
    get_user_model().objects.create_user(message["text"])
    Channel("say").send({"who": message.user.username, "text": message["text"]})


def say(message):
    Group("room").send({"text": f"{message['who']}: {message['text']}"})


def users(request):
    return JsonResponse(sorted(get_user_model().objects.values_list("username", flat=True)), safe=False)


def fail(request):
    return HttpResponse(status=418)


urlpatterns = [path("users/", users), path("teapot/", fail)]
ROUTES = [route("websocket.connect", ws_connect), route("websocket.receive", ws_receive), route("say", say)]


@override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=[])
@apply_routes(ROUTES)
class LiveServerTests(ChannelLiveServerTestCase):
    def setUp(self):
        self.client = Client()
        self.anna = get_user_model().objects.create_user("anna")

    def read(self, path):
        with urllib.request.urlopen(self.live_server_url + path, timeout=10) as response:
            return response.read()

    def open_socket(self, **headers):
        return connect(self.live_server_ws_url, additional_headers={"Origin": self.live_server_url} | headers)

    def test_pages_know_what_the_test_has_saved(self):
        assert json.loads(self.read("/users/")) == ["anna"]

    def test_sockets_have_the_user_of_a_cookie_and_the_test_sees_what_consumers_save(self):
        self.client.force_login(self.anna)
        with self.open_socket(Cookie=f"sessionid={self.client.cookies['sessionid'].value}") as socket:
            socket.send("ben")
            answer = socket.recv(timeout=10)

        assert answer == "anna: ben"
        assert get_user_model().objects.filter(username="ben").exists()

    def test_the_test_can_send_to_consumers_and_groups(self):
        with self.open_socket() as socket:
            Channel("say").send({"who": "the test", "text": "hello"})
            heard = [socket.recv(timeout=10)]
            Group("room").send({"text": "bye"})
            heard.append(socket.recv(timeout=10))

        assert heard == ["the test: hello", "bye"]

    def test_a_page_of_another_site_opens_no_socket(self):
        with self.assertRaises(InvalidStatus), self.open_socket(Origin="http://elsewhere.example"):
            pass

    def test_static_files_are_served(self):
        assert b"{" in self.read("/static/admin/css/base.css")

    def test_the_status_of_a_page_comes_through(self):
        with self.assertRaises(urllib.error.HTTPError) as failed:
            self.read("/teapot/")

        assert failed.exception.code == 418

    def test_a_socket_that_stays_open_does_not_keep_the_test_from_ending(self):
        type(self).enterClassContext(self.open_socket())

    def test_nothing_of_another_test_is_there(self):
        assert Session.objects.count() == 0
        assert channel_layers["default"].group_channels("room") == []


# What does not come to an end


@pytest.fixture
def stuck(monkeypatch):
    """Give a consumer that waits for a word of the test, and little patience."""
    monkeypatch.setattr(liveserver, "WORKERS_TIMEOUT", 0.3)
    released, started = threading.Event(), threading.Event()

    def never_ends(message):
        started.set()
        released.wait(30)

    @apply_routes([route("input", never_ends)])
    class Stuck(ChannelLiveServerTestCase):
        def test(self):
            Channel("input").send({})
            assert started.wait(10)

    yield Stuck
    released.set()


def test_a_consumer_that_never_ends_fails_the_test_and_is_named(stuck, db):
    result = unittest.TestResult()
    stuck("test")(result)
    [(_, text)] = result.failures

    assert "The live server does not come to an end" in text
    assert "still running is" in text and "never_ends" in text


def test_the_next_test_is_not_held_up_by_it(stuck, db):
    results = [unittest.TestResult() for _ in range(2)]
    stuck("test")(results[0])
    again = unittest.defaultTestLoader.loadTestsFromName(
        f"{__name__}.LiveServerTests.test_pages_know_what_the_test_has_saved"
    )
    again(results[1])

    assert [result.wasSuccessful() for result in results] == [False, True], results[1].errors


@pytest.mark.parametrize(("host", "url"), [("127.0.0.1", "http://127.0.0.1:"), ("localhost", "http://localhost:")])
def test_the_host_can_be_chosen(host, url, make_site):
    with liveserver.live_layers(["default"]), liveserver.LiveServer(host) as server:
        assert server.url.startswith(url)


def test_a_host_that_is_not_of_this_machine_is_an_error(make_site):
    with pytest.raises(RuntimeError, match=r"cannot listen on '192\.0\.2\.1'"), liveserver.live_layers(["default"]):
        liveserver.LiveServer("192.0.2.1").__enter__()
