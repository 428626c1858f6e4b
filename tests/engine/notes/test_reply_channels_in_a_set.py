"""A broadcast without groups: reply channels in a set of one's own. It shows what groups are for."""
# ruff: noqa: DJ008

import json

from django.db import models
from django.db.models.signals import post_save
from django.dispatch import receiver

from channels import Channel, route

from ..sites import Socket


class BlogUpdate(models.Model):
    content = models.TextField()

    class Meta:
        app_label = "notes_with_a_set"


class RedisInMemory:
    """Stands in for ``redis.Redis("localhost", 6379)``, which gives bytes."""

    def __init__(self):
        self.sets = {}

    def sadd(self, name, value):
        self.sets.setdefault(name, set()).add(value)

    def srem(self, name, value):
        self.sets.setdefault(name, set()).discard(value)

    def smembers(self, name):
        return {value.encode() for value in self.sets.get(name, ())}


redis_conn = RedisInMemory()


@receiver(post_save, sender=BlogUpdate)
def send_update(sender, instance, **kwargs):
    # Loop through all reply channels and send the update
    for reply_channel in redis_conn.smembers("readers"):
        Channel(reply_channel).send({"text": json.dumps({"id": instance.id, "content": instance.content})})


# Connected to websocket.connect
def ws_connect(message):
    # Add to reader set
    redis_conn.sadd("readers", message.reply_channel.name)
    message.reply_channel.send({"accept": True})


# Connected to websocket.disconnect
def ws_disconnect(message):
    # Remove from reader set on clean disconnect
    redis_conn.srem("readers", message.reply_channel.name)


channel_routing = [
    route("websocket.connect", ws_connect),
    route("websocket.disconnect", ws_disconnect),
]


def test_each_reader_gets_the_update_and_one_that_has_left_does_not(make_site, create_table):
    create_table(BlogUpdate)
    site = make_site(channel_routing)
    anna, ben = Socket(site), Socket(site)
    anna.connect(), ben.connect()
    ben.disconnect()
    update = BlogUpdate.objects.create(content="It rains")

    assert [json.loads(reply["text"]) for reply in anna.received()] == [{"id": update.id, "content": "It rains"}]
    assert ben.received() == []
