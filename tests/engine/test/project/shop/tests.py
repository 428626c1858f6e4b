"""Each class runs in one of the processes."""

import urllib.request

from django.contrib.auth import get_user_model
from websockets.sync.client import connect

from channels.test import ChannelLiveServerTestCase, ChannelTestCase, WSClient


class Live(ChannelLiveServerTestCase):
    def test_a_socket_and_a_page(self):
        for name in ("anna", "ben"):
            with connect(self.live_server_ws_url, origin=self.live_server_url) as socket:
                socket.send(name)
                self.assertEqual(socket.recv(timeout=20), f"welcome {name}")
                self.assertEqual(socket.recv(timeout=20), f"hurry up, {name}")
        with urllib.request.urlopen(self.live_server_url, timeout=20) as page:
            self.assertEqual(page.read(), b"2")
        self.assertEqual(get_user_model().objects.count(), 2)

    test_the_same_again = test_a_socket_and_a_page


class LiveToo(Live):
    worker_threads = 2


class LiveAsWell(Live):
    serve_static = False


class Clients(ChannelTestCase):
    @classmethod
    def setUpTestData(cls):
        get_user_model().objects.create_user("anna")

    def test_clients(self):
        client = WSClient()
        client.send_and_consume("websocket.connect")
        client.send_and_consume("websocket.receive", text="ben")
        self.assertEqual(client.receive(json=False), "welcome ben")
        self.assertEqual(get_user_model().objects.count(), 2)

    test_the_same_again = test_clients


class ClientsToo(Clients):
    pass
