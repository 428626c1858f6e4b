"""The layers that the page configures can be made as they stand; none of them is asked to connect."""

from channels import channel_layers

from .pages import defined_in, namespaces_of


def test_every_layer_on_the_page_can_be_made_and_finds_its_routing(settings, monkeypatch, tmp_path):
    # Where nothing else is said, the IPC layer makes a folder there.
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = []
    for block, names in namespaces_of("docs/layers.md"):
        if "CHANNEL_LAYERS" in defined_in(block):
            settings.CHANNEL_LAYERS = names["CHANNEL_LAYERS"]
            layer = channel_layers.make_backend("default")
            made.append(type(layer.channel_layer).__name__)
            assert "websocket.connect" in layer.router.channels

    assert made == [
        "InMemoryChannelLayer",
        "IPCChannelLayer",
        "RedisChannelLayer",
        "RedisSentinelChannelLayer",
        "RabbitmqChannelLayer",
    ]
