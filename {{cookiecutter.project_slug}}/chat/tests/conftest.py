"""What the tests share: a room, two users, and sockets to the room."""

import pytest
from django.contrib.auth import get_user_model

from accounts.tests.conftest import anna, counting, fresh_layer, language_of_the_site, signed_in  # noqa: F401
from chat.models import Room

from .sockets import RoomSocket


@pytest.fixture
def room(db):
    return Room.objects.create(name="Boat shed")


@pytest.fixture
def ben(db):
    return get_user_model().objects.create_user("ben", password="river-stone-77")


@pytest.fixture
def open_socket(room, signed_in):  # noqa: F811
    """Return a function that opens a socket to the room, for a user or for nobody."""

    def open_socket(user=None):
        socket = RoomSocket("/rooms/boat-shed/", signed_in(user) if user else None)
        assert socket.connect()
        return socket

    return open_socket
