"""The list of rooms in two windows: rooms appear, numbers of unread messages rise, and vanish when they are read."""

import json

import pytest


class List:
    """The list of rooms in a tab of its own."""

    def __init__(self, person):
        self.page = person.context.new_page()
        self.page.on("pageerror", lambda error: person.complaints.append(str(error)))
        self.page.on("console", person.listen)
        self.page.goto(person.site.url)
        self.page.locator("#list-state", has_text="Live").wait_for()

    def room(self, name):
        return self.page.locator("#rooms li", has=self.page.get_by_role("link", name=name, exact=True))

    def shows(self, name, number):
        """Wait until a room has this number of unread messages; 0 for none that is shown."""
        badge = self.room(name).locator(".unread")
        if number:
            badge.get_by_text(str(number), exact=True).wait_for()
        else:
            badge.wait_for(state="hidden")


@pytest.fixture(scope="module")
def names():
    return iter(f"reader{number}" for number in range(100))


@pytest.fixture
def two(person, names):
    return [person(next(names)) for _ in range(2)]


def test_a_new_room_and_what_is_said_in_it_appear_live_and_are_unread_until_they_are_read(two):
    anna, ben = two
    annas, bens = List(anna), List(ben)
    ben.open_room("Harbour <b>")
    annas.room("Harbour <b>").wait_for()
    annas.shows("Harbour <b>", 0)
    for number, text in enumerate(("Hello", "Anybody here?", "<i>Well</i>"), 1):
        ben.say(text)
        annas.shows("Harbour <b>", number)
    annas.room("Harbour <b>").get_by_text("<i>Well</i>").wait_for()
    bens.shows("Harbour <b>", 0)

    # Anna reads it in another tab.
    anna.open_room("Harbour <b>")
    annas.shows("Harbour <b>", 0)
    # What comes while she looks is read when she goes.
    ben.say("One more")
    anna.wait_for("One more")
    anna.page.get_by_role("link", name="All rooms").click()
    annas.shows("Harbour <b>", 0)
    anna.page.locator("#list-state", has_text="Live").wait_for()
    badge = anna.page.locator("#rooms li", has_text="Harbour <b>").locator(".unread")
    badge.wait_for(state="hidden")

    assert annas.page.locator("#rooms b, #rooms i").count() == 0


def test_the_room_with_the_newest_message_comes_first(two):
    anna, ben = two
    for name in ("Quay", "Pier"):
        ben.open_room(name)
        ben.say("First")
        ben.wait_for("First")
    annas = List(anna)
    before = annas.page.locator("#rooms bdi").all_text_contents()[:2]
    ben.open_room("Quay")
    ben.say("Second")
    annas.shows("Quay", 2)
    after = annas.page.locator("#rooms bdi").all_text_contents()[:2]

    assert (before, after) == (["Pier", "Quay"], ["Quay", "Pier"])


def test_a_room_that_is_renamed_or_removed_changes_on_the_screen(two, site):
    anna, ben = two
    ben.open_room("Jetty")
    annas = List(anna)
    site.manage(
        "shell", code="from chat.models import *; r = Room.objects.get(name='Jetty'); r.name = 'Mole'; r.save()"
    )
    annas.room("Mole").wait_for()
    site.manage("shell", code="from chat.models import *; Room.objects.get(name='Mole').delete()")
    annas.room("Mole").wait_for(state="detached")


def test_who_has_not_signed_in_sees_rooms_appear_and_no_numbers(two, person):
    _, ben = two
    reader = List(person())
    ben.open_room("Lighthouse")
    ben.say("Hello")
    reader.room("Lighthouse").get_by_text("Hello").wait_for()
    reader.shows("Lighthouse", 0)


def test_a_list_without_javascript_shows_the_numbers_too(two, person):
    anna, ben = two
    ben.open_room("Buoy")
    ben.say("Hello")
    ben.wait_for("Hello")
    plain = person(java_script_enabled=False)
    plain.sign_in(anna.page.locator("bdi").first.text_content())
    numbers = plain.page.locator("#rooms li", has_text="Buoy").locator(".unread:not([hidden]) .number")
    before = numbers.all_text_contents()
    plain.page.get_by_role("link", name="Buoy").click()
    plain.page.get_by_role("link", name="All rooms").click()

    assert (before, numbers.all_text_contents()) == (["1"], [])


def test_a_list_counts_what_others_say_once_and_on_from_what_a_sync_has_counted(person, names):
    anna = person(next(names))
    page = anna.context.new_page()
    sockets, questions = [], []

    def play_the_server(socket):
        sockets.append(socket)
        socket.on_message(lambda question: questions.append(question))

    page.route_web_socket("**/", play_the_server)
    page.goto(anna.site.url)
    me = int(page.locator("#rooms").get_attribute("data-user"))
    other = me + 1
    item = page.locator('#rooms li[data-pk="3"]')

    def tell(stream, **payload):
        sockets[-1].send(json.dumps({"stream": stream, "payload": payload}))

    def tell_message(pk, author, action="create", room=3):
        data = {"room": room, "author": author, "text": f"Message {pk}", "created": "2026-11-28T12:00:00Z"}
        tell("messages", action=action, pk=pk, data=data)

    def answer(latest, unread, user=me):
        latest = {"pk": latest, "text": f"Message {latest}", "created": "2026-11-28T12:00:00Z"}
        room = {"pk": 3, "name": "Hall", "url": "/rooms/hall/", "unread": unread, "latest": latest}
        tell("sync", page=1, user=user, rooms=[room])

    def sees(latest, number):
        item.filter(has=page.get_by_text(latest, exact=True)).wait_for()
        badge = item.locator(".unread")
        badge.get_by_text(number, exact=True).wait_for() if number else badge.wait_for(state="hidden")

    def ask():
        asked = len(questions)
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        while len(questions) == asked:
            page.wait_for_timeout(10)

    while not questions:
        page.wait_for_timeout(10)
    tell_message(10, other)  # in the answer as well
    answer(10, 2)
    sees("Message 10", "2")
    for _ in range(2):
        tell_message(11, other)
    tell_message(9, other)  # committed after a higher number, and counted by the sync
    sees("Message 11", "3")
    tell_message(12, me)
    sees("Message 12", "3")
    tell_message(13, None)  # the site itself
    sees("Message 13", "4")
    for read in (12, 11):
        tell("reads", action="update", pk=1, data={"room": 3, "message": read})
    tell_message(13, None, "update")
    sees("Message 13", "1")
    tell_message(13, None, "delete")
    sees("Message deleted", None)
    ask()
    tell_message(14, other)
    answer(12, 0)  # made before message 14
    sees("Message 14", "1")
    ask()
    answer(12, 0)  # made after its end, of which no word has come
    sees("Message 12", None)
    answer(20, 100)
    sees("Message 20", "99+")
    asked = len(questions)
    answer(20, 3, user=None)  # signed out elsewhere: the page is loaded anew, since it shows a name
    while len(questions) == asked:
        page.wait_for_timeout(10)
    answer(20, 3, user=None)
    sees("Message 20", None)
    asked = len(questions)
    tell_message(30, other, room=4)  # a room that this page does not have
    while len(questions) == asked:
        page.wait_for_timeout(10)
