import urllib.request

from channels.test import ChannelLiveServerTestCase
from chat.models import Room


class LiveTests(ChannelLiveServerTestCase):
    """The whole site over the network; a browser can be sent to the same address."""

    def read(self, path):
        with urllib.request.urlopen(self.live_server_url + path, timeout=30) as response:
            return response.read().decode()

    def test_the_page_of_a_room_comes_with_its_script(self):
        Room.objects.create(name="Boat shed")

        self.assertIn("Boat shed", self.read("/rooms/boat-shed/"))
        self.assertIn("WebSocket", self.read("/static/chat/connection.js"))
