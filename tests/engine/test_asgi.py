import asyncio

import pytest

from channels import channel_layers
from channels.asgi import get_channel_layer
from channels.exceptions import InvalidChannelLayerError


@pytest.fixture
def configure(settings):
    """Return a function that configures the layer "own"."""

    def configure():
        settings.CHANNEL_LAYERS = {"own": {"BACKEND": "channels.layers.inmemory.InMemoryChannelLayer", "ROUTING": []}}

    yield configure
    channel_layers.set("own", None)


def test_a_layer_is_served_as_an_asgi_application(configure, settings, monkeypatch):
    # The application listens to the signals that stop a server; this run of tests has handlers of its own.
    monkeypatch.setattr("signal.signal", lambda *args: None)
    settings.CHANNELS_INTERFACE = {"http_timeout": 0.0}
    configure()
    layer, body, events = get_channel_layer("own"), [{"type": "http.request", "body": b""}], []

    async def receive():
        return body.pop() if body else await asyncio.Future()

    async def send(event):
        events.append(event)

    asyncio.run(layer({"type": "http", "method": "GET", "path": "/", "headers": []}, receive, send))

    assert events[0]["status"] == 503
    assert layer.receive(["http.request"])[1]["path"] == "/"


def test_what_is_served_is_the_layer_that_the_project_sends_to(configure):
    configure()

    assert get_channel_layer("own") is channel_layers["own"]


def test_a_mistake_in_the_limits_is_told_at_the_start(configure, settings):
    settings.CHANNELS_INTERFACE = {"http_timout": 7}
    configure()

    with pytest.raises(InvalidChannelLayerError, match="CHANNELS_INTERFACE has the unknown key 'http_timout'"):
        get_channel_layer("own")
