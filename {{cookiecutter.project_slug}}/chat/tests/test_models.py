import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError
from django.utils import timezone

from chat.models import RATE_MESSAGES, RATE_SECONDS, Message, Room, TooFast

pytestmark = pytest.mark.django_db


def say(room, author, text="Hello", client_id=None):
    return Message.objects.say(room, author, text, client_id or uuid.uuid4())


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Boat shed", "boat-shed"),
        ("早上好", "早上好"),
        ("!!!", "room"),
        ("../user-7", "user-7"),
        ("\ufdfa" * 80, "\u0635\u0644\u0649-\u0627\u0644\u0644\u0647"),
    ],
)
def test_any_name_gives_an_address(name, slug):
    assert Room.objects.create(name=name).slug.startswith(slug)


def test_names_that_look_alike_in_an_address_get_a_number():
    rooms = [Room.objects.create(name=name) for name in ("Boat shed", "Boat-shed", "boat shed!")]

    assert [room.slug for room in rooms] == ["boat-shed", "boat-shed-2", "boat-shed-3"]


def test_a_room_whose_address_is_taken_while_it_is_opened_gets_the_next_one(room, monkeypatch):
    free_slug = Room.free_slug
    before_the_other = iter(["boat-shed"])
    monkeypatch.setattr(Room, "free_slug", lambda self: next(before_the_other, None) or free_slug(self))

    assert Room.objects.create(name="Boat-shed").slug == "boat-shed-2"


def test_a_room_gives_up_when_every_address_is_taken(room, monkeypatch):
    monkeypatch.setattr(Room, "free_slug", lambda self: "boat-shed")
    with pytest.raises(IntegrityError):
        Room.objects.create(name="Boat-shed")

    assert Room.objects.get() == room


def test_a_name_that_is_taken_is_no_matter_of_the_address(room):
    with pytest.raises(IntegrityError):
        Room.objects.create(name="Boat shed")

    assert Room.objects.get() == room


def test_a_new_name_keeps_the_address(room):
    room.name = "Harbour"
    room.save()

    assert room.slug == "boat-shed"


def test_what_is_said_twice_under_one_id_is_saved_once(room, anna):
    client_id = uuid.uuid4()
    first, first_is_new = say(room, anna, client_id=client_id)
    second, second_is_new = say(room, anna, client_id=client_id)

    assert (first, first_is_new, second_is_new) == (second, True, False)


def test_two_users_may_use_the_same_id(room, anna, ben):
    client_id = uuid.uuid4()
    say(room, anna, client_id=client_id)
    say(room, ben, client_id=client_id)

    assert Message.objects.count() == 2


def test_a_user_who_is_too_fast_is_told_when_to_go_on(room, anna, ben):
    for _ in range(RATE_MESSAGES):
        say(room, anna)
    with pytest.raises(TooFast) as too_fast:
        say(room, anna)

    assert too_fast.value.seconds == RATE_SECONDS
    assert say(room, ben)


def test_a_user_who_waited_may_go_on(room, anna):
    for _ in range(RATE_MESSAGES):
        say(room, anna)
    Message.objects.update(created=timezone.now() - timedelta(seconds=RATE_SECONDS))

    assert say(room, anna)


def test_line_breaks_are_kept_in_one_form(room):
    assert Message.objects.create(room=room, text="two\r\nlines").text == "two\nlines"
