"""What pytest runs of this project."""

import urllib.request

import pytest
from django.contrib.auth import get_user_model
from websockets.sync.client import connect

from channels import Channel, channel_layers, route
from channels.test import apply_routes


@pytest.mark.django_db
def test_a_client(ws_client):
    ws_client.send_and_consume("websocket.connect")
    ws_client.send_and_consume("websocket.receive", text="anna")

    assert ws_client.receive(json=False) == "welcome anna"


@pytest.mark.parametrize("number", [1, 2])
def test_a_layer_is_fresh(channel_layer, number):
    assert channel_layer is channel_layers["default"]
    assert channel_layer.receive(["news"]) == (None, None)
    Channel("news").send({"number": number})


@apply_routes([route("input", lambda message: message["value"])])
def test_routes(channel_layer, ws_client):
    assert ws_client.send_and_consume("input", {"value": 7}) == 7


@pytest.mark.parametrize("name", ["anna", "ben"])
def test_a_live_server(channel_live_server, name):
    with connect(channel_live_server.ws_url, origin=channel_live_server.url) as socket:
        socket.send(name)
        assert socket.recv(timeout=20) == f"welcome {name}"
    with urllib.request.urlopen(channel_live_server.url, timeout=20) as page:
        assert page.read() == b"1"
    assert get_user_model().objects.get().username == name


class TestOfSeveralLayers:
    @pytest.fixture
    def channel_aliases(self):
        return ["default"]

    def test_aliases_can_be_chosen(self, channel_aliases, channel_layer):
        assert channel_aliases == [channel_layer.alias]
