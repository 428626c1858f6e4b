"""Signing up and in, and what goes wrong there, on a phone. Browsers complain of what the site's policy forbids."""

import re
import time

import pytest

from .live_site import PASSWORD
from .test_pictures import SIZES, fits

NEW_PASSWORD = "another-stone-78"


@pytest.fixture
def anna(person):
    anna = person(viewport=SIZES["phone"])
    anna.page.on("load", lambda page: anna.complaints.extend([] if fits(page) else [f"{page.url} is too wide"]))
    return anna


def fill(page, button, **fields):
    for name, text in fields.items():
        page.locator(f"[name={name}]").fill(text)
    page.locator("main").get_by_role("button", name=button).click()


def link_in_mail(site):
    """Return the address in the mail that was sent; a worker sends it."""
    deadline = time.monotonic() + 30
    while True:
        for path in site.mail.glob("*.log"):
            if found := re.search(rf"{site.url}\S+", path.read_text("utf-8")):
                return found[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_an_account_is_made_its_password_is_forgotten_and_replaced(site, anna):
    page = anna.page
    page.goto(f"{site.url}/accounts/signup/?next=/new/")
    fill(page, "Sign up", username="\u0430nna", email="anna@example.com", password1="1234", password2="1234")
    page.get_by_text("these are Cyrillic and Latin").wait_for()
    page.get_by_text("entirely numeric").wait_for()
    fill(page, "Sign up", username="anna", password1=PASSWORD, password2=PASSWORD)
    page.get_by_label("Name of the new room").wait_for()
    page.get_by_role("link", name="anna").click()
    page.get_by_text("anna@example.com").wait_for()
    page.get_by_role("button", name="Sign out").click()

    page.get_by_role("link", name="Sign in", exact=True).click()
    fill(page, "Sign in", username="Anna", password="wrong")
    page.get_by_text("do not belong together").wait_for()
    page.get_by_role("link", name="Forgotten your password?").click()
    fill(page, "Send the link", email="anna@example.com")
    page.get_by_role("heading", name="Look into your mail").wait_for()

    page.goto(link_in_mail(site))
    fill(page, "Save the password", new_password1=NEW_PASSWORD, new_password2=NEW_PASSWORD)
    page.get_by_text("Your password is changed.").wait_for()
    fill(page, "Sign in", username="ANNA", password=NEW_PASSWORD)
    page.get_by_role("button", name="Sign out").wait_for()


def test_a_form_that_was_open_too_long_says_what_to_do_and_nothing_is_lost(site, anna):
    anna.page.goto(f"{site.url}/accounts/signup/")
    other = anna.context.new_page()
    other.goto(f"{site.url}/accounts/signup/")
    fill(other, "Sign up", username="berta", password1=PASSWORD, password2=PASSWORD)
    other.get_by_role("button", name="Sign out").wait_for()
    fill(anna.page, "Sign up", username="clara", password1=PASSWORD, password2=PASSWORD)

    anna.page.get_by_role("heading", name="This page was too old").wait_for()
    anna.page.get_by_role("link", name="All rooms").click()
    anna.page.get_by_role("link", name="berta").wait_for()
