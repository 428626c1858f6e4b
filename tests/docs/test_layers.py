"""The layers that the page configures can be made as they stand; none of them is asked to connect."""

import inspect

from channels import channel_layers
from channels.layers.base import BaseChannelLayer

from .pages import defined_in, namespaces_of, table_rows


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


def test_the_arguments_of_every_layer_are_explained_with_their_defaults():
    # The clock is for tests.
    parameters = [*inspect.signature(BaseChannelLayer.__init__).parameters.values()][1:-1]
    explained = {row[0].strip("`"): row[1] for row in table_rows("docs/layers.md", "Channel layers") if len(row) == 3}

    assert [parameter.name for parameter in parameters if parameter.name not in explained] == []
    numbers = {parameter.name: str(parameter.default) for parameter in parameters if "size" not in parameter.name}
    numbers["channel_capacity"] = "{}"
    assert {name: explained[name] for name in numbers} == numbers
