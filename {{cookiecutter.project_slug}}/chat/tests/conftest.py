"""What the tests share: a room, two users, and sockets to the room."""

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client

from channels.test import memory_layers
from chat.models import Room

from .sockets import RoomSocket


@pytest.fixture(autouse=True)
def fresh_layer():
    with memory_layers():
        yield


@pytest.fixture
def room(db):
    return Room.objects.create(name="Boat shed")


@pytest.fixture
def anna(db):
    return get_user_model().objects.create_user("anna", password="river-stone-77")


@pytest.fixture
def ben(db):
    return get_user_model().objects.create_user("ben", password="river-stone-77")


@pytest.fixture
def signed_in():
    """Return a function that gives the browser of a user."""

    def sign_in(user):
        client = Client()
        client.force_login(user)
        assert settings.SESSION_COOKIE_NAME in client.cookies
        return client

    return sign_in


@pytest.fixture
def open_socket(room, signed_in):
    """Return a function that opens a socket to the room, for a user or for nobody."""

    def open_socket(user=None):
        socket = RoomSocket("/rooms/boat-shed/", signed_in(user) if user else None)
        assert socket.connect()
        return socket

    return open_socket
