import importlib
import sys
import unittest

import pytest
from django.test import override_settings

from channels import Channel, channel_layers
from channels.layers.inmemory import InMemoryChannelLayer
from channels.test import ChannelTestCase, TransactionChannelTestCase, WSClient, memory_layers


class NoLayer(InMemoryChannelLayer):
    """A layer that no test may reach."""

    def send_many(self, batch):
        raise AssertionError("This is the layer of the site.")


LAYERS = {alias: {"BACKEND": f"{__name__}.NoLayer", "ROUTING": []} for alias in ("default", "other", "real")}


def run(case):
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    return result


@pytest.fixture
def real_layers():
    old = {alias: channel_layers.set(alias, None) for alias in LAYERS}
    with override_settings(CHANNEL_LAYERS=LAYERS):
        yield
    for alias, layer in old.items():
        channel_layers.set(alias, layer)


class Fresh(ChannelTestCase):
    # Run by the tests below.
    __test__ = False
    test_channel_aliases = ["default", "other"]
    databases = set()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        Channel("news").send({"from": "the class"})

    def setUp(self):
        assert self.get_next_message("news") is None
        Channel("news").send({})
        Channel("news", alias="other").send({})

    def test_one(self):
        assert self.get_next_message("news", require=True)
        assert self.get_next_message("news", "other", require=True)

    test_another = test_one


def test_each_test_has_layers_of_its_own_under_all_aliases(real_layers):
    before = [channel_layers[alias] for alias in LAYERS]
    result = run(Fresh)

    assert (result.testsRun, result.errors, result.failures) == (2, [], [])
    assert [channel_layers[alias] for alias in LAYERS] == before


def test_other_layers_are_those_of_the_site(real_layers):
    with memory_layers(["default"]):
        Channel("news").send({})
        with pytest.raises(AssertionError, match="the layer of the site"):
            Channel("news", alias="real").send({})


def test_layers_are_put_back_when_a_class_fails(real_layers):
    class Failing(Fresh):
        @classmethod
        def setUpClass(cls):
            super().setUpClass()
            raise LookupError

    before = channel_layers["default"]

    assert len(run(Failing).errors) == 1
    assert channel_layers["default"] is before


class OnCommit(TransactionChannelTestCase):
    client_class = WSClient

    def test_the_client_of_the_class_may_be_one_of_channels(self):
        self.client.send("websocket.receive", text="1")

        assert self.get_next_message("websocket.receive", require=True)["text"] == "1"

    def test_what_is_sent_on_commit_is_sent(self):
        from django.db import transaction

        with transaction.atomic():
            transaction.on_commit(lambda: Channel("news").send({}))
            assert self.get_next_message("news") is None

        assert self.get_next_message("news", require=True).content == {}


def test_the_old_name_gives_the_same_and_says_the_new_one():
    sys.modules.pop("channels.tests", None)
    with pytest.warns(DeprecationWarning, match="old name of channels.test"):
        old = importlib.import_module("channels.tests")
    new = importlib.import_module("channels.test")

    assert {name: getattr(old, name) for name in new.__all__} == {name: getattr(new, name) for name in new.__all__}
