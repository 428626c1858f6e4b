"""``Channel.send(content, delay=…)``: what it sends, and when."""

import math

import pytest
from django.core.exceptions import ImproperlyConfigured

from channels import Channel, Group, route
from channels.exceptions import InvalidMessage, MessageTooLarge

CHANNEL = "asgi.delay"


@pytest.fixture
def site(make_site, settings):
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "channels.delay"]
    return make_site(max_message_size=1000)


def test_a_delayed_message_travels_on_the_channel_of_channels_1(site):
    Channel("mail").send({"to": b"\xff"}, delay=1.5)

    assert site.received(CHANNEL) == [{"channel": "mail", "delay": 1500, "content": {"to": b"\xff"}}]
    assert site.received("mail") == []


@pytest.mark.parametrize("delay", [0, -1, -0.0])
def test_what_is_due_already_goes_where_it_is_meant_for(site, delay):
    Channel("mail").send({"to": 1}, delay=delay)

    assert site.received("mail") == [{"to": 1}]


@pytest.mark.parametrize("delay", [math.nan, math.inf, 1e10, "5", None])
def test_a_delay_that_makes_no_sense_is_refused_at_once(site, delay):
    with pytest.raises(ValueError, match="cannot be delayed by"):
        Channel("mail").send({}, delay=delay)


@pytest.mark.parametrize(
    ("content", "error"),
    [([], InvalidMessage), ({"to": object()}, InvalidMessage), ({"a": "b" * 2000}, MessageTooLarge)],
)
def test_content_that_cannot_travel_is_refused_at_once(site, content, error):
    with pytest.raises(error):
        Channel("mail").send(content, delay=5)


def test_without_the_app_it_is_refused_with_what_to_do(make_site):
    site = make_site()

    with pytest.raises(
        ImproperlyConfigured, match=r"Add 'channels\.delay' to INSTALLED_APPS, and run 'manage\.py migrate'"
    ):
        Channel("mail").send({}, delay=5)
    Channel("mail").send({}, delay=0)

    assert site.received(CHANNEL) == []
    assert site.received("mail") == [{}]


def test_inside_a_consumer_it_is_held_until_that_has_ended(make_site, settings):
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "channels.delay"]
    seen = []

    def consumer(message):
        Channel("mail").send({"number": 1}, delay=5)
        Channel("mail").send({"number": 2}, delay=5, immediately=True)
        seen.extend(content["content"]["number"] for content in site.received(CHANNEL))
        raise RuntimeError("It leaves after an exception, too.")

    site = make_site([route("work", consumer)])
    site.layer.send("work", {})
    site.work()

    assert seen == [2]
    assert [content["content"]["number"] for content in site.received(CHANNEL)] == [1]


def test_a_message_with_the_sender_s_reply_channel_takes_no_channel_session_along(make_site, settings):
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "channels.delay"]

    def consumer(message):
        Channel("mail").send({"reply_channel": message.reply_channel.name}, delay=5)

    site = make_site([route("websocket.connect", consumer)])
    site.put("websocket.connect", {"reply_channel": "reply.a!1", "order": 0})
    site.work()
    delivery = site.layer.take([CHANNEL])

    assert delivery.ticket is None
    assert delivery.content["content"] == {"reply_channel": "reply.a!1"}


def test_a_full_channel_for_delays_is_told_like_any_other(make_site, settings):
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "channels.delay"]
    site = make_site(capacity=1)
    Channel("mail").send({}, delay=5)

    with pytest.raises(site.layer.ChannelFull, match=r"asgi\.delay"):
        Channel("mail").send({}, delay=5)


def test_a_group_knows_no_delay(site):
    with pytest.raises(TypeError):
        Group("all").send({}, delay=5)
