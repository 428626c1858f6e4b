import uuid

import pytest
from django.test import Client

from chat.models import RATE_MESSAGES, Message, Room

pytestmark = pytest.mark.django_db


def test_the_room_with_the_latest_message_comes_first(client, room):
    Room.objects.create(name="Harbour")
    Message.objects.create(room=room, text="Hello")
    page = client.get("/").text

    assert page.index("Boat shed") < page.index("Harbour")


def test_a_room_shows_its_newest_messages_to_anyone(client, room):
    for number in range(60):
        Message.objects.create(room=room, text=f"Number {number}.")
    page = client.get("/rooms/boat-shed/").text

    assert "Number 10." in page and "Number 59." in page
    assert "Number 9." not in page
    assert "To write:" in page


def test_earlier_messages_are_a_link_away(client, room):
    said = [Message.objects.create(room=room, text=f"Number {number}.") for number in range(60)]
    answer = client.get("/rooms/boat-shed/history/", {"before": said[55].pk}).json()
    page = client.get("/rooms/boat-shed/", {"before": said[10].pk}).text

    assert [message["pk"] for message in answer["messages"]] == [message.pk for message in said[5:55]]
    assert answer["more"] is True
    assert "Number 9." in page and "Number 10." not in page


@pytest.mark.parametrize("before", ["x", "-1", "9" * 40, "1.5", "²"])
def test_an_odd_place_in_history_is_the_newest_one(client, room, before):
    assert client.get("/rooms/boat-shed/", {"before": before}).status_code == 200


@pytest.mark.parametrize("path", ["/rooms/nowhere/", "/rooms/nowhere/history/", "/rooms/a%20b%21/"])
def test_a_room_that_is_not_there_is_not_found(client, path):
    assert client.get(path).status_code == 404


def test_a_room_is_opened_by_a_user(signed_in, anna):
    answer = signed_in(anna).post("/new/", {"name": "Überraschung & <Co>"})

    assert answer.status_code == 302
    assert Room.objects.get().get_absolute_url() == answer["Location"]


@pytest.mark.parametrize("name", ["Boat shed", "boat SHED", "Boat  shed", "В\u043eat shed"])
def test_a_room_whose_name_looks_like_another_is_refused(signed_in, anna, room, name):
    answer = signed_in(anna).post("/new/", {"name": name})

    assert answer.text.count("There is a room of this name already") == 1
    assert Room.objects.count() == 1


def test_what_was_written_is_offered_back_when_the_page_was_too_old(anna, room):
    client = Client(enforce_csrf_checks=True)
    client.force_login(anna)
    answer = client.post("/rooms/boat-shed/say/", {"text": "A long <text>"})

    assert answer.status_code == 403
    assert "A long &lt;text&gt;</textarea>" in answer.text


def test_what_has_just_been_said_is_new(client, room):
    Message.objects.create(room=room, text="Hello")
    page = client.get("/").text

    assert "0\xa0minutes" not in page and ">now</time>" in page


def test_nobody_opens_rooms_without_end(counting, signed_in, anna, ben, settings):
    settings.RATE_LIMITS = {"room": (2, 3600)}
    annas = signed_in(anna)
    answers = [annas.post("/new/", {"name": f"Room {number}"}) for number in range(3)]

    assert [answer.status_code for answer in answers] == [302, 302, 429]
    assert "That was too often. Please try again in" in answers[2].text and 'value="Room 2"' in answers[2].text
    assert int(answers[2]["Retry-After"]) <= 3600
    assert signed_in(ben).post("/new/", {"name": "Room 3"}).status_code == 302


def test_a_visitor_is_asked_to_sign_in_before_opening_a_room(client):
    assert client.post("/new/", {"name": "Harbour"})["Location"] == "/accounts/login/?next=/new/"


def test_a_message_is_said_by_a_plain_form(signed_in, room, anna):
    fields = {"text": "Hello", "client_id": uuid.uuid4()}
    answers = [signed_in(anna).post("/rooms/boat-shed/say/", fields) for _ in range(2)]

    assert [answer["Location"] for answer in answers] == ["/rooms/boat-shed/"] * 2
    assert Message.objects.get().author == anna


def test_a_mistake_in_the_form_is_shown_and_the_text_kept(signed_in, room, anna):
    fields = {"text": "x" * 2001, "client_id": uuid.uuid4()}
    answer = signed_in(anna).post("/rooms/boat-shed/say/", fields)

    assert answer.status_code == 422
    assert "at most 2000 characters" in answer.text and "x" * 2001 in answer.text


def test_the_rate_holds_for_the_form_as_well(signed_in, room, anna):
    browser = signed_in(anna)
    for _ in range(RATE_MESSAGES):
        browser.post("/rooms/boat-shed/say/", {"text": "Hello", "client_id": uuid.uuid4()})
    answer = browser.post("/rooms/boat-shed/say/", {"text": "Hello", "client_id": uuid.uuid4()})

    assert answer.status_code == 429
    assert "You are writing too fast" in answer.text


def test_a_visitor_is_asked_to_sign_in_before_writing(client, room):
    answer = client.post("/rooms/boat-shed/say/", {"text": "Hello"})

    assert answer["Location"] == "/accounts/login/?next=/rooms/boat-shed/"


def test_any_other_page_is_where_the_visitor_came_from(client, room):
    page = client.get("/rooms/boat-shed/").text

    assert 'href="/accounts/signup/?next=/rooms/boat-shed/"' in page


@pytest.mark.parametrize("path", ["/", "/accounts/login/", "/accounts/signup/", "/nowhere/"])
def test_every_page_shows_the_name_of_the_site(client, settings, path):
    settings.SITE_NAME = "Village Hall"
    page = client.get(path).text

    assert '<a class="home" href="/">Village Hall</a>' in page
    assert "Village Hall</title>" in page


def test_forms_from_elsewhere_are_refused(anna, room):
    client = Client(enforce_csrf_checks=True)
    client.force_login(anna)

    answer = client.post("/rooms/boat-shed/say/", {"text": "Hello"})

    assert answer.status_code == 403
    assert "This page was too old" in answer.text and 'href="/"' in answer.text and "<style" not in answer.text


@pytest.mark.parametrize("payload", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 }}"])
def test_what_people_write_stays_text(client, room, anna, payload):
    Room.objects.filter(pk=room.pk).update(name=payload)
    type(anna).objects.filter(pk=anna.pk).update(username=payload)
    anna.refresh_from_db()
    Message.objects.create(room=room, author=anna, text=payload)
    pages = client.get("/rooms/boat-shed/").text + client.get("/").text

    assert "<script>alert" not in pages and "<img" not in pages
    assert "{{ 7 }}" in pages or "&lt;" in pages
