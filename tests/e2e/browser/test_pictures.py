"""
The pages at the sizes and in the colours people use.

With SCREENSHOTS=docs/images in the environment, the pictures of the documentation are made anew.
"""

import base64
import os
from pathlib import Path

import pytest

from ...baking import REPOSITORY

SEED = """
from datetime import timedelta
from django.contrib.auth import get_user_model
from django.utils import timezone
from chat.models import Message, Room
names = ["anna", "ben", "chloe"]
people = {name: get_user_model().objects.create_user(name, password="river-stone-77") for name in names}
now = timezone.now()
rooms = {}
def say(room, name, text, minutes):
    if room not in rooms:
        rooms[room] = Room.objects.create(name=room)
    created = now - timedelta(minutes=minutes)
    Message.objects.create(room=rooms[room], author=people.get(name), text=text, created=created)
Room.objects.create(name="Lost & found")
say("Book club", "anna", "Next one: The Left Hand of Darkness. Two weeks should do.", 60 * 24 * 2)
say("Neighbours", "chloe", "The lift is working again.", 60 * 5)
say("Running on Sundays", "ben", "Nine o'clock at the bridge, as always?", 60)
say("General", None, "The workshop opens at ten tomorrow.", 42)
say("General", "ben", "Morning! Has anybody seen the key to the boat shed?", 9)
say("General", "anna", "It hangs behind the kitchen door, on the blue hook.", 7)
say("General", "anna", "If not, ask Chloe. She locked up on Saturday.", 7)
say("General", "chloe", "Found it in my coat, sorry!\\nI'll bring it over at lunch. And please take the spare oar "
    "from the rack: the left one is cracked near the blade.", 2)
"""

# The pictures that are shown somewhere.
SHOWN = {"rooms-wide-light", "room-wide-light", "rooms-wide-dark", "room-phone-light", "chat"}
SIZES = {"wide": {"width": 900, "height": 640}, "phone": {"width": 360, "height": 720}}

FRAME = """
<body style="margin: 0; padding: 28px; display: flex; gap: 28px; background: #cfd8dc">
{windows}
</body>
"""
WINDOW = (
    '<img src="data:image/png;base64,{data}" width="520" '
    'style="border-radius: 12px; box-shadow: 0 8px 28px rgb(0 0 0 / 25%)">'
)


@pytest.fixture(scope="module", autouse=True)
def conversations(site):
    site.manage("shell", code=SEED)


@pytest.fixture
def keep(tmp_path):
    """Return a function that takes a picture of a page."""

    def keep(page, name):
        shown = os.environ.get("SCREENSHOTS") if name in SHOWN else None
        name = name.removesuffix("-light").replace("-wide", "")
        path = (REPOSITORY / shown if shown else tmp_path) / f"{name}.png"
        page.wait_for_timeout(300)  # colours fade in
        page.screenshot(path=path)
        return path

    return keep


def fits(page):
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_pages_fit_the_window(person, keep, site, size, scheme):
    anna = person(viewport=SIZES[size], color_scheme=scheme)
    for path in ("/accounts/signup/", "/accounts/login/", "/nowhere/"):
        anna.page.goto(site.url + path)
        assert fits(anna.page), path
    anna.sign_in("anna")
    keep(anna.page, f"rooms-{size}-{scheme}")
    assert fits(anna.page)
    anna.open_room("General")
    keep(anna.page, f"room-{size}-{scheme}")
    assert fits(anna.page)


def test_long_words_and_names_fit_a_phone(person, site):
    long_word = "x" * 80
    code = (
        f"from chat.models import *; Room.objects.create(name={long_word!r}).messages.create(text={long_word!r} * 20)"
    )
    site.manage("shell", code=code)
    reader = person(viewport=SIZES["phone"])
    reader.page.goto(site.url)
    list_fits = fits(reader.page)
    reader.open_room(long_word)

    assert list_fits and fits(reader.page)


def test_two_windows_side_by_side(person, keep, tmp_path):
    size = {"width": 520, "height": 760}
    anna = person(viewport=size, device_scale_factor=2)
    ben = person(viewport=size, device_scale_factor=2, color_scheme="dark")
    for somebody, name in ((anna, "anna"), (ben, "ben")):
        somebody.sign_in(name)
        somebody.open_room("General")
    ben.say("No hurry, thank you both.")
    anna.wait_for("No hurry")
    anna.say("See you at the river!")
    ben.wait_for("See you")
    ben.page.get_by_label("Message", exact=True).fill("See you there")
    anna.page.get_by_label("Message", exact=True).blur()
    anna.page.mouse.move(0, 0)
    ben.page.mouse.move(0, 0)
    windows = []
    for somebody, name in ((anna, "anna"), (ben, "ben")):
        somebody.page.screenshot(path=tmp_path / f"{name}.png")
        data = base64.b64encode((tmp_path / f"{name}.png").read_bytes()).decode()
        windows.append(WINDOW.format(data=data))
    both = person(viewport={"width": 1124, "height": 816}, device_scale_factor=1.5)
    both.page.set_content(FRAME.format(windows="".join(windows)))

    assert Path(keep(both.page, "chat")).stat().st_size > 0
