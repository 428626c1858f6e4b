"""Rooms of any name: every page opens, and no name leads to the group of another room or of a user."""

import random
import string

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from channels import channel_layers
from channels.test import Socket
from chat.models import Room

ODD = [
    "user-7",
    "room-1",
    "room-1!",
    "http.request",
    "reply.x!7",
    "?",
    "!!!",
    "..",
    "../../etc/passwd",
    "%2e%2e%2f",
    "a/b",
    "new",
    "?page=2",
    "#top",
    "&amp;",
    "\ufdfa" * 80,
    "İstanbul",
    "ß" * 80,
    "早上好",
    "\u202egnp.exe",
    "👩‍👩‍👧‍👦",
    "Z̴̡̛̲a̵̧l̶̢g̷̨o̸̢",
    "None",
    "0",
    "-",
    "_",
    "x" * 80,
]
ALPHABET = string.punctuation + string.ascii_letters + string.digits + " áßøЖ語한🎉ﷺ٣²\u00ad\u200d"


def names():
    choose = random.Random(7)
    made = ("".join(choose.choices(ALPHABET, k=choose.randint(1, 80))) for _ in range(150))
    return ODD + sorted({name.strip() for name in made} - {""})


@pytest.mark.django_db
def test_every_name_gives_a_room_that_opens_and_groups_of_its_own():
    anna = get_user_model().objects.create_user("anna")
    client = Client(raise_request_exception=False)
    client.force_login(anna)
    answers = [client.post("/new/", {"name": name}) for name in names()]
    opened = [client.get(answer["Location"]).status_code for answer in answers if answer.status_code == 302]
    refused = [answer.status_code for answer in answers if answer.status_code != 302]

    assert len(answers) > 150
    assert set(opened) == {200} and len(opened) == Room.objects.count() > 150
    assert set(refused) <= {200}  # shown again, with what is wrong with it


@pytest.mark.django_db(transaction=True)
def test_a_room_named_like_a_group_is_not_in_it(django_user_model):
    for name in ODD:
        room = Room.objects.create(name=name)
        socket = Socket(f"/rooms/{room.slug}/")

        assert socket.connect(), name
        layer = channel_layers["default"]
        assert layer.group_channels(f"room-{room.pk}") == [socket.browser.reply_channel]
        assert layer.group_channels("user-7") == []
