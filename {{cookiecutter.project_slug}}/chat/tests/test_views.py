import uuid

import pytest
from django.conf import settings
from django.test import Client

from chat.models import RATE_MESSAGES, Message, Room

pytestmark = pytest.mark.django_db

PASSWORD = "river-stone-77"


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
    assert "Sign in</a> or" in page


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


def test_signing_up_signs_in_and_goes_on_where_the_visitor_was(client, room):
    fields = {"username": "chloe", "password1": PASSWORD, "password2": PASSWORD, "next": "/rooms/boat-shed/"}
    page = client.post("/accounts/signup/", fields, follow=True)

    assert page.redirect_chain == [("/rooms/boat-shed/", 302)]
    assert page.context["user"].username == "chloe"


@pytest.mark.parametrize("path", ["/accounts/login/", "/accounts/signup/"])
def test_the_account_pages_remember_where_the_visitor_came_from(client, path):
    page = client.get(path, {"next": "/rooms/boat-shed/?before=17"}).text

    assert '<input type="hidden" name="next" value="/rooms/boat-shed/?before=17">' in page
    for other in ("/accounts/login/", "/accounts/signup/"):
        assert f'href="{other}?next=/rooms/boat-shed/%3Fbefore%3D17"' in page
    assert "?next=/accounts/" not in page


def test_any_other_page_is_where_the_visitor_came_from(client, room):
    page = client.get("/rooms/boat-shed/").text

    assert 'href="/accounts/signup/?next=/rooms/boat-shed/"' in page


def test_signing_up_goes_on_where_the_link_to_the_form_was(client, room):
    form = client.get("/accounts/signup/", {"next": "/rooms/boat-shed/"})
    fields = {"username": "chloe", "password1": PASSWORD, "password2": PASSWORD, "next": form.context["next"]}

    assert client.post("/accounts/signup/", fields)["Location"] == "/rooms/boat-shed/"


@pytest.mark.parametrize("target", ["https://elsewhere.example/", "//elsewhere.example", "/accounts/login/"])
@pytest.mark.parametrize("path", ["/accounts/login/", "/accounts/signup/"])
def test_the_account_pages_remember_no_other_site_and_not_themselves(client, path, target):
    page = client.get(path, {"next": target})

    assert page.context["next"] == "/"
    assert "elsewhere" not in page.text and "?next=/accounts/" not in page.text


@pytest.mark.parametrize(
    "target",
    [
        *("/accounts/login/", "/accounts/login/?next=/accounts/login/", "/accounts/logout/", "/accounts/"),
        *("http://testserver/accounts/signup/", "/rooms/../accounts/login/", "../login/", "?next=/accounts/login/"),
    ],
)
def test_who_is_signed_in_already_is_not_sent_round_in_circles(signed_in, anna, target):
    answer = signed_in(anna).get("/accounts/login/", {"next": target})

    assert (answer.status_code, answer["Location"]) == (302, "/")


@pytest.mark.parametrize("path", ["/", "/accounts/login/", "/accounts/signup/", "/nowhere/"])
def test_every_page_shows_the_name_of_the_site(client, settings, path):
    settings.SITE_NAME = "Village Hall"
    page = client.get(path).text

    assert '<a class="home" href="/">Village Hall</a>' in page
    assert "Village Hall</title>" in page


@pytest.mark.parametrize("target", ["https://elsewhere.example/", "//elsewhere.example", "javascript:alert(1)"])
@pytest.mark.parametrize("path", ["/accounts/login/", "/accounts/signup/"])
def test_nobody_is_sent_to_another_site(client, anna, path, target):
    fields = {"username": "anna", "password": PASSWORD}
    if "signup" in path:
        fields = {"username": "chloe", "password1": PASSWORD, "password2": PASSWORD}

    assert client.post(path, fields | {"next": target})["Location"] == "/"


def test_the_session_gets_a_new_key_at_sign_in(client, anna):
    client.get("/")
    session = client.session
    session["before"] = True
    session.save()
    client.post("/accounts/login/", {"username": "anna", "password": PASSWORD})

    assert client.cookies[settings.SESSION_COOKIE_NAME].value != session.session_key


def test_forms_from_elsewhere_are_refused(anna, room):
    client = Client(enforce_csrf_checks=True)
    client.force_login(anna)

    assert client.post("/rooms/boat-shed/say/", {"text": "Hello"}).status_code == 403


@pytest.mark.parametrize("payload", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 }}"])
def test_what_people_write_stays_text(client, room, anna, payload):
    Room.objects.filter(pk=room.pk).update(name=payload)
    type(anna).objects.filter(pk=anna.pk).update(username=payload)
    anna.refresh_from_db()
    Message.objects.create(room=room, author=anna, text=payload)
    pages = client.get("/rooms/boat-shed/").text + client.get("/").text

    assert "<script>alert" not in pages and "<img" not in pages
    assert "{{ 7 }}" in pages or "&lt;" in pages
