"""The live blog: saving a model broadcasts to a group."""
# ruff: noqa: DJ008

import json

from django.db import models
from django.db.models.signals import post_save
from django.dispatch import receiver

from channels import Group, route

from ..sites import Socket


class BlogUpdate(models.Model):
    content = models.TextField()

    class Meta:
        app_label = "notes_liveblog"


@receiver(post_save, sender=BlogUpdate)
def send_update(sender, instance, **kwargs):
    Group("liveblog").send({"text": json.dumps({"id": instance.id, "content": instance.content})})


# Connected to websocket.connect
def ws_connect(message):
    # Add to reader group
    Group("liveblog").add(message.reply_channel)
    # Accept the connection request
    message.reply_channel.send({"accept": True})


# Connected to websocket.disconnect
def ws_disconnect(message):
    # Remove from reader group on clean disconnect
    Group("liveblog").discard(message.reply_channel)


channel_routing = [
    route("websocket.connect", ws_connect),
    route("websocket.disconnect", ws_disconnect),
]


def test_each_reader_gets_the_update_and_one_that_has_left_does_not(make_site, create_table):
    create_table(BlogUpdate)
    site = make_site(channel_routing)
    anna, ben = Socket(site), Socket(site)
    assert anna.connect() == ben.connect() == [{"accept": True}]
    ben.disconnect()
    update = BlogUpdate.objects.create(content="It rains")

    assert [json.loads(reply["text"]) for reply in anna.received()] == [{"id": update.id, "content": "It rains"}]
    assert ben.received() == []
    assert site.layer.group_channels("liveblog") == [anna.reply_channel]


def test_an_update_made_by_a_consumer_is_sent_when_it_has_ended(make_site, create_table):
    create_table(BlogUpdate)
    seen = []

    def publish(message):
        BlogUpdate.objects.create(content=message["content"])
        seen.extend(socket.received())

    site = make_site([*channel_routing, route("publish", publish)])
    socket = Socket(site)
    socket.connect()
    site.consume("publish", content="It rains")

    assert seen == []
    assert json.loads(socket.received()[0]["text"])["content"] == "It rains"
