"""A room says the truth about its connection, and keeps what was typed."""

from playwright.sync_api import expect

# Holds back what the page's sockets say, as a network that is away does.
MUTE = """
const { prototype } = WebSocket;
const send = prototype.send;
prototype.send = function (data) { if (!window.mute) send.call(this, data); };
"""


def text(person):
    return person.page.get_by_label("Message", exact=True)


def state(person):
    return person.page.locator("#state")


def test_an_unanswered_message_ends_live_within_three_seconds(person):
    anna = person("anna-mute")
    anna.page.add_init_script(MUTE)
    anna.open_room("A mute room")
    anna.page.evaluate("window.mute = true")
    anna.say("Does anybody hear me?")
    shown_at_once = anna.page.locator("#unsent .hint").is_visible()

    expect(anna.page.locator("#unsent .hint")).to_be_visible(timeout=2_000)
    expect(state(anna)).to_have_text("No answer yet", timeout=3_000)
    assert not shown_at_once
    anna.page.evaluate("window.mute = false")
    anna.wait_for("Does anybody hear me?")
    expect(state(anna)).to_have_text("Live")


def test_the_network_is_heeded_at_once(person):
    anna = person("anna-offline")
    anna.open_room("A room without a network")
    anna.context.set_offline(True)
    expect(state(anna)).to_have_text("Not connected, trying again", timeout=1_000)
    anna.context.set_offline(False)
    expect(state(anna)).to_have_text("Live", timeout=10_000)


def test_enter_on_a_phone_breaks_the_line(person):
    anna = person("anna-phone", has_touch=True, is_mobile=True)
    anna.open_room("A room on a phone")
    text(anna).press_sequentially("One")
    text(anna).press("Enter")
    text(anna).press_sequentially("two")

    assert text(anna).input_value() == "One\ntwo"


def test_a_long_text_stays_whole_and_is_not_sent(person):
    anna = person("anna-long")
    anna.open_room("A room for long texts")
    anna.say("\N{GRINNING FACE}" * 3_000)

    expect(anna.page.locator("#room-left")).to_have_text("3,000 of 2,000 characters. Shorten the text to send it.")
    assert text(anna).input_value() == "\N{GRINNING FACE}" * 3_000
    assert anna.unsent() == []


def test_a_room_that_is_gone_takes_no_text(person, site):
    anna = person("anna-removed")
    anna.open_room("A room to be removed")
    text(anna).fill("A draft")
    site.manage("shell", code="from chat.models import *; Room.objects.get(name='A room to be removed').delete()")
    anna.page.evaluate("dispatchEvent(new Event('offline')); dispatchEvent(new Event('online'))")
    anna.wait_until("This room is gone")

    assert text(anna).get_attribute("readonly") is not None
    assert text(anna).input_value() == "A draft"
    assert anna.page.get_by_role("button", name="Send").is_disabled()


def test_who_signs_out_in_another_tab_is_named_nowhere(person):
    anna = person("anna-leaves")
    anna.open_room("A room to leave")
    rooms = anna.context.new_page()
    rooms.goto(anna.site.url)
    rooms.get_by_text("Live").wait_for()
    tab = anna.context.new_page()
    tab.goto(anna.site.url)
    tab.get_by_role("button", name="Sign out").click()

    expect(anna.page.get_by_role("link", name="anna-leaves")).to_be_hidden()
    expect(rooms.get_by_role("link", name="anna-leaves")).to_be_hidden()
