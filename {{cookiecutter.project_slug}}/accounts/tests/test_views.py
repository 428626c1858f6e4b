import re

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client

from accounts.models import User
from channels.test import Client as Worker

pytestmark = pytest.mark.django_db

PASSWORD = "river-stone-77"
CHLOE = {"username": "chloe", "password1": PASSWORD, "password2": PASSWORD}


def test_signing_up_signs_in_and_goes_on_where_the_visitor_was(client):
    fields = CHLOE | {"next": "/new/"}
    page = client.post("/accounts/signup/", fields, follow=True)

    assert page.redirect_chain == [("/new/", 302)]
    assert page.context["user"].username == "chloe"


@pytest.mark.parametrize("path", ["/accounts/login/", "/accounts/signup/"])
def test_the_account_pages_remember_where_the_visitor_came_from(client, path):
    page = client.get(path, {"next": "/new/?before=17"}).text

    assert '<input type="hidden" name="next" value="/new/?before=17">' in page
    for other in ("/accounts/login/", "/accounts/signup/"):
        assert f'href="{other}?next=/new/%3Fbefore%3D17"' in page
    assert "?next=/accounts/" not in page


def test_signing_up_goes_on_where_the_link_to_the_form_was(client):
    form = client.get("/accounts/signup/", {"next": "/new/"})
    fields = CHLOE | {"next": form.context["next"]}

    assert client.post("/accounts/signup/", fields)["Location"] == "/new/"


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


@pytest.mark.parametrize("target", ["https://elsewhere.example/", "//elsewhere.example", "javascript:alert(1)"])
@pytest.mark.parametrize("path", ["/accounts/login/", "/accounts/signup/"])
def test_nobody_is_sent_to_another_site(client, anna, path, target):
    fields = {"username": "anna", "password": PASSWORD}
    if "signup" in path:
        fields = CHLOE

    assert client.post(path, fields | {"next": target})["Location"] == "/"


def test_the_session_gets_a_new_key_at_sign_in(client, anna):
    client.get("/")
    session = client.session
    session["before"] = True
    session.save()
    client.post("/accounts/login/", {"username": "anna", "password": PASSWORD})

    assert client.cookies[settings.SESSION_COOKIE_NAME].value != session.session_key


def test_sign_up_shows_its_rules_in_short(client):
    page = client.get("/accounts/signup/").text

    assert page.count('class="helptext"') == 3
    assert "<ul" not in page


@pytest.mark.parametrize("password", ["short-7", "password", "48205719305", "chloe-chloe"])
def test_a_password_that_breaks_the_rules_says_which(client, password):
    page = client.post(
        "/accounts/signup/", CHLOE | {"username": "chloe-chloe", "password1": password, "password2": password}
    )

    assert page.status_code == 200
    assert page.context["form"].errors["password1"]
    assert not User.objects.exists()


@pytest.mark.parametrize("name", ["anna", "ANNA", "Ａｎｎａ", "chl\u043ee", "chl\u200boe", "\u3164", "x" * 31, "a b"])
def test_a_name_that_is_taken_or_could_be_mistaken_is_refused_in_the_form(client, anna, name):
    page = client.post("/accounts/signup/", CHLOE | {"username": name})

    assert page.status_code == 200
    assert len(page.context["form"].errors["username"]) == 1
    assert User.objects.get() == anna


def test_a_name_that_is_taken_at_that_very_moment_is_told_in_the_form(client, anna, monkeypatch):
    monkeypatch.setattr(User, "validate_unique", lambda self, exclude=None: None)
    page = client.post("/accounts/signup/", CHLOE | {"username": "Anna"})

    assert "This name is taken" in page.text


def test_nobody_makes_accounts_without_end(counting, client, settings):
    settings.RATE_LIMITS = {"signup": (1, 3600)}
    answers = [Client().post("/accounts/signup/", CHLOE | {"username": name}) for name in ("chloe", "dora")]
    elsewhere = client.post("/accounts/signup/", CHLOE | {"username": "emil"}, REMOTE_ADDR="10.0.0.9")

    assert [answer.status_code for answer in (*answers, elsewhere)] == [302, 429, 302]
    assert "That was too often." in answers[1].text and 'value="dora"' in answers[1].text
    assert 0 < int(answers[1]["Retry-After"]) <= 3600


def test_one_signs_in_with_the_name_as_one_writes_it(client, anna):
    assert client.post("/accounts/login/", {"username": "ANNA", "password": PASSWORD}).status_code == 302


@pytest.mark.parametrize("name", ["anna", "nobody"])
def test_a_wrong_password_and_an_unknown_name_have_the_same_answer(client, anna, name):
    page = client.post("/accounts/login/", {"username": name, "password": "wrong"})

    assert page.context["form"].non_field_errors() == [
        "This name and this password do not belong together. Mind capital letters in the password."
    ]


@pytest.mark.parametrize("limit", ["login", "login_address", "login_name"])
def test_wrong_passwords_have_an_end(counting, anna, settings, limit):
    settings.RATE_LIMITS = {limit: (2, 600)}
    wrong, right = ({"username": "anna", "password": password} for password in ("wrong", PASSWORD))

    def sign_in(fields, **extra):
        return Client().post("/accounts/login/", fields, **extra)

    before = [sign_in(fields).status_code for fields in (right, wrong, right, wrong, right)]
    refused = sign_in(right)
    elsewhere = sign_in(right, REMOTE_ADDR="10.0.0.9")

    assert before == [302, 200, 302, 200, 429]
    assert refused.status_code == 429 and "That was too often." in refused.text
    assert 0 < int(refused["Retry-After"]) <= 600
    assert elsewhere.status_code == (429 if limit == "login_name" else 302)


def test_nobody_makes_the_cache_forget_an_attempt_by_many_names(counting, anna, settings):
    settings.CACHES = {"default": settings.CACHES["default"] | {"OPTIONS": {"MAX_ENTRIES": 10}}}
    settings.RATE_LIMITS = {"login_address": (2, 600), "login": (1, 600)}

    def sign_in(name, address):
        fields = {"username": name, "password": "wrong"}
        return Client().post("/accounts/login/", fields, REMOTE_ADDR=address).status_code

    assert [sign_in("anna", "10.0.0.1"), sign_in("anna", "10.0.0.1")] == [200, 429]
    for number in range(20):
        sign_in(f"name-{number}", "10.0.0.2")
    assert sign_in("anna", "10.0.0.1") == 429


@pytest.mark.parametrize("path", ["email/", "password/"])
def test_who_finds_a_browser_signed_in_cannot_guess_the_password_there(counting, signed_in, anna, settings, path):
    settings.RATE_LIMITS = {"password": (2, 600)}
    new = {"email": "new@example.com", "new_password1": "another-stone-78", "new_password2": "another-stone-78"}
    browser = signed_in(anna)

    def change(password):
        return browser.post(f"/accounts/{path}", new | {"password": password, "old_password": password})

    answers = [change("wrong"), change("wrong"), change(PASSWORD)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert "That was too often." in answers[2].text and 0 < int(answers[2]["Retry-After"]) <= 600
    settings.RATE_LIMITS = {"password": (9, 600)}
    assert change(PASSWORD).status_code == 302


def test_the_admin_has_the_same_limits(counting, client, anna, settings):
    settings.RATE_LIMITS = {"login": (1, 600)}
    pages = [client.post("/admin/login/", {"username": "anna", "password": "wrong"}).text for _ in range(2)]

    assert "for a staff account" in pages[0] and "That was too often." not in pages[0]
    assert "That was too often." in pages[1]


def test_the_admin_makes_and_changes_users_and_refuses_the_same_names(signed_in, anna):
    root = signed_in(User.objects.create_superuser("root", password=PASSWORD))
    fields = {"username": "ANNA", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    taken = root.post("/admin/accounts/user/add/", fields)
    made = root.post("/admin/accounts/user/add/", fields | {"username": "chloe"})

    assert "This name is taken" in taken.text
    assert root.get(made["Location"]).status_code == 200
    assert User.objects.get_by_natural_key("Chloe").check_password(PASSWORD)


def test_signing_out_takes_a_form(signed_in, anna):
    browser = signed_in(anna)

    assert browser.get("/accounts/logout/").status_code == 405
    assert browser.post("/accounts/logout/")["Location"] == "/"
    assert settings.SESSION_COOKIE_NAME not in {name for name, cookie in browser.cookies.items() if cookie.value}


# A new password


def ask_for_link(client, email):
    """Ask for a link, have a worker send it, and return the page and the paths in the mail."""
    page = client.post("/accounts/reset/", {"email": email}, follow=True)
    Worker().consume("accounts-reset")
    return page, [re.search(r"http://testserver(\S+)", sent.body)[1] for sent in mail.outbox]


def test_a_forgotten_password_is_replaced_by_a_link_that_counts_once(client, anna):
    page, [path] = ask_for_link(client, "Anna@example.com")
    form = client.get(path, follow=True)
    fields = {"new_password1": "another-stone-78", "new_password2": "another-stone-78"}
    done = client.post(form.redirect_chain[-1][0], fields, follow=True)

    [sent] = mail.outbox
    assert "Look into your mail" in page.text
    assert (sent.to, sent.subject) == (["anna@example.com"], "A new password for Chat")
    assert "for anna on Chat" in sent.body
    assert "Sign in with the new one." in done.text
    assert client.login(username="anna", password="another-stone-78")
    assert "This link no longer counts" in Client().get(path, follow=True).text


def test_the_answer_is_the_same_for_an_address_that_nobody_has(client, anna):
    known, _ = ask_for_link(client, "anna@example.com")
    unknown, _ = ask_for_link(client, "nobody@example.com")

    assert without_token(known.text) == without_token(unknown.text)
    assert len(mail.outbox) == 1


def test_the_link_comes_in_the_language_of_the_page_it_was_asked_for_on(client, anna):
    client.post("/accounts/reset/", {"email": "anna@example.com"}, headers={"Accept-Language": "zh-CN"})
    Worker().consume("accounts-reset")

    assert mail.outbox[0].subject == "Chat 的新密码"
    assert "请在三天内" in mail.outbox[0].body


def without_token(page):
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", page)


def test_nobody_is_sent_links_without_end(counting, client, anna, settings):
    settings.RATE_LIMITS = {"reset_email": (1, 3600)}
    answers = [client.post("/accounts/reset/", {"email": email}) for email in ("anna@example.com", "ANNA@example.com")]

    assert [answer.status_code for answer in answers] == [302, 429]


def test_a_link_that_is_made_up_says_that_it_does_not_count(client):
    assert "This link no longer counts" in client.get("/accounts/reset/MQ/abc-def/").text


def test_a_new_password_signs_out_everywhere_else(signed_in, anna):
    here, elsewhere = signed_in(anna), signed_in(anna)
    fields = {"old_password": PASSWORD, "new_password1": "another-stone-78", "new_password2": "another-stone-78"}
    page = here.post("/accounts/password/", fields, follow=True)

    assert "Everywhere else you are signed out." in page.text
    assert elsewhere.get("/accounts/")["Location"] == "/accounts/login/?next=/accounts/"


def test_a_new_address_takes_the_password(signed_in, anna):
    browser = signed_in(anna)
    refused = browser.post("/accounts/email/", {"email": "new@example.com", "password": "wrong"})
    anna.refresh_from_db()
    before = anna.email
    page = browser.post("/accounts/email/", {"email": "new@example.com", "password": PASSWORD}, follow=True)

    assert "This is not your password." in refused.text and before == "anna@example.com"
    assert "Your e-mail address is changed." in page.text and "new@example.com" in page.text


@pytest.mark.parametrize("path", ["", "email/", "password/"])
def test_an_account_is_shown_to_its_user_only(client, path):
    assert client.get(f"/accounts/{path}")["Location"] == f"/accounts/login/?next=/accounts/{path}"


@pytest.mark.parametrize("path", ["", "email/", "password/", "reset/", "reset/sent/"])
def test_every_page_of_an_account_can_be_opened_and_is_kept_by_nobody_else(signed_in, anna, path):
    page = signed_in(anna).get(f"/accounts/{path}")

    assert page.status_code == 200
    assert "private" in page["Cache-Control"]


def test_pages_allow_what_comes_from_their_own_site_only(client):
    policy = client.get("/accounts/login/")["Content-Security-Policy"]
    directives = dict(part.split(" ", 1) for part in policy.split("; "))

    assert directives["default-src"] == "'self'"
    assert directives["object-src"] == directives["base-uri"] == directives["frame-ancestors"] == "'none'"
    assert directives["connect-src"] == "'self' ws://localhost:* ws://127.0.0.1:*"
    assert "unsafe" not in policy
