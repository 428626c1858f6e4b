"""What ``rundelay`` says when it cannot begin."""

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from channels import channel_layers
from channels.layers.redis import RedisChannelLayer
from channels.registry import ChannelLayerWrapper


@pytest.fixture
def redis_layer(request):
    old = channel_layers.set("default", ChannelLayerWrapper(RedisChannelLayer(hosts=[("127.0.0.1", 1)]), "default"))
    request.addfinalizer(lambda: channel_layers.set("default", old))


def test_a_layer_that_is_not_there_is_named(delay_app):
    with pytest.raises(CommandError, match="CHANNEL_LAYERS has no layer 'other'"):
        call_command("rundelay", layer="other")


def test_without_its_table_it_says_that_migrate_makes_it(delay_app, redis_layer):
    call_command("migrate", "channels_delay", "zero", verbosity=0)
    try:
        with pytest.raises(
            CommandError, match=r"has no table 'channels_delay_delayedmessage'\. Run 'manage\.py migrate'"
        ):
            call_command("rundelay")
    finally:
        call_command("migrate", "channels_delay", verbosity=0)
    assert "channels_delay_delayedmessage" in connection.introspection.table_names()


@pytest.mark.parametrize("sleep", ["0", "-1", "nan", "inf", "soon"])
def test_a_time_that_makes_no_sense_is_refused(delay_app, sleep):
    with pytest.raises(CommandError, match="--sleep"):
        call_command("rundelay", f"--sleep={sleep}")
