"""Two people in two windows, and everything else that can say something in a room."""

import pytest


@pytest.fixture(scope="module")
def names():
    """Names nobody has yet."""
    return iter(f"person{number}" for number in range(100))


@pytest.fixture
def two(person, names):
    """Two people in one room."""
    first, second = next(names), next(names)
    anna, ben = person(first), person(second)
    anna.name, ben.name = first, second
    for somebody in (anna, ben):
        somebody.open_room(f"The room of {first}")
    return anna, ben


def test_each_sees_what_the_other_says_in_one_order(two):
    anna, ben = two
    for number in range(4):
        (anna, ben)[number % 2].say(f"Message {number}")
        anna.wait_for(f"Message {number}")
        ben.wait_for(f"Message {number}")

    said = [((anna, ben)[number % 2].name, f"Message {number}") for number in range(4)]
    assert anna.sees() == ben.sees() == said
    assert anna.unsent() == ben.unsent() == []


def test_a_window_without_a_login_reads_along(two, person):
    anna, _ = two
    reader = person()
    reader.open_room(f"The room of {anna.name}")
    anna.say("Hello")
    reader.wait_for("Hello")

    assert reader.page.get_by_label("Message", exact=True).count() == 0


def test_what_another_process_saved_is_there_when_somebody_looks(two, site):
    anna, _ = two
    slug = f"the-room-of-{anna.name}"
    site.manage("say", slug, "The site is closed at noon")
    anna.look()
    anna.wait_for("The site is closed at noon")

    assert anna.sees() == [("Riverside", "The site is closed at noon")]


def test_a_quick_writer_is_slowed_down_and_loses_nothing(two):
    anna, ben = two
    for number in range(14):
        anna.say(f"Message {number}.")
    anna.page.get_by_text("You are writing too fast").wait_for()
    ben.wait_for("Message 13.")

    assert ben.sees() == [(anna.name, f"Message {number}.") for number in range(14)]


def test_a_window_works_without_a_mouse(two):
    anna, ben = two
    keyboard = anna.page.keyboard
    for _ in range(20):
        keyboard.press("Tab")
        if anna.page.evaluate("document.activeElement.name") == "text":
            break
    keyboard.type("First line")
    keyboard.press("Shift+Enter")
    keyboard.type("second line")
    keyboard.press("Enter")
    ben.wait_for("second line")

    assert ben.sees() == [(anna.name, "First line\nsecond line")]


def test_a_page_without_javascript_works_too(two, chromium, site, person):
    anna, _ = two
    plain = person(java_script_enabled=False)
    plain.sign_in(anna.name)
    plain.page.get_by_role("link", name=f"The room of {anna.name}").click()
    plain.say("By a plain form")
    anna.wait_for("By a plain form")

    assert plain.sees() == [(anna.name, "By a plain form")]


def test_who_signs_out_in_another_tab_is_told_and_loses_no_message(two):
    anna, _ = two
    tab = anna.context.new_page()
    tab.goto(anna.site.url)
    tab.get_by_role("button", name="Sign out").click()
    anna.page.get_by_text("You are signed out").wait_for()
    anna.say("Written too late")
    anna.page.get_by_role("link", name="Sign in again").click()
    anna.fill_in(anna.name)
    anna.wait_for("Written too late")

    assert anna.sees() == [(anna.name, "Written too late")]


def test_earlier_messages_come_on_demand(two, site):
    anna, _ = two
    code = (
        "from chat.models import *\n"
        f"room = Room.objects.get(name='The room of {anna.name}')\n"
        "[Message.objects.create(room=room, text=f'Note {number}.') for number in range(120)]\n"
    )
    site.manage("shell", code=code)
    anna.page.reload()
    anna.wait_until("Live")
    first = len(anna.sees())
    anna.page.get_by_role("link", name="Earlier messages").click()
    anna.wait_for("Note 20.")
    anna.page.get_by_role("link", name="Earlier messages").click()
    anna.wait_for("Note 0.")

    assert first == 50
    assert anna.sees() == [("Riverside", f"Note {number}.") for number in range(120)]
    assert anna.page.get_by_role("link", name="Earlier messages").count() == 0


def test_a_window_that_missed_very_much_begins_anew(two, site):
    anna, _ = two
    anna.page.get_by_label("Message", exact=True).fill("A draft")
    code = (
        "from chat.models import *\n"
        f"room = Room.objects.get(name='The room of {anna.name}')\n"
        "Message.objects.bulk_create(Message(room=room, text=f'Note {number}.') for number in range(700))\n"
    )
    site.manage("shell", code=code)
    anna.look()
    anna.page.get_by_role("link", name="Earlier messages").wait_for()
    anna.wait_until("Live")

    assert anna.sees() == [("Riverside", f"Note {number}.") for number in range(650, 700)]
    assert anna.page.get_by_label("Message", exact=True).input_value() == "A draft"


def test_a_message_changed_or_deleted_in_the_admin_changes_on_the_screen(two, person, site):
    anna, ben = two
    code = (
        "from accounts.models import User\n"
        f"User.objects.filter(username={ben.name!r}).update(is_staff=True, is_superuser=True)\n"
    )
    site.manage("shell", code=code)
    anna.say("Helo")
    anna.say("Never mind")
    anna.wait_for("Never mind")
    admin = ben.context.new_page()
    admin.goto(f"{site.url}/admin/chat/message/")
    admin.get_by_role("link", name="Helo").click()
    admin.locator("#id_text").fill("Hello")
    admin.get_by_role("button", name="Save", exact=True).click()
    anna.wait_for("Hello")
    changed = anna.sees()
    admin.get_by_role("link", name="Never mind").click()
    admin.get_by_role("link", name="Delete").click()
    admin.get_by_role("button", name="Yes, I’m sure").click()
    anna.page.get_by_text("Never mind").wait_for(state="detached")

    assert changed == [(anna.name, "Hello"), (anna.name, "Never mind")]
    assert anna.sees() == [(anna.name, "Hello")]


def test_a_room_that_is_removed_says_so_and_gives_up(two, site):
    anna, _ = two
    site.manage("shell", code=f"from chat.models import *; Room.objects.get(name='The room of {anna.name}').delete()")
    anna.page.get_by_text("This room is gone.").wait_for()
    anna.page.reload()

    assert anna.page.get_by_text("There is nothing here").is_visible()
