"""The server goes away and comes back. Nobody loses a message, and nobody sees one twice."""

import signal

import pytest


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_restart_loses_and_doubles_nothing(site, person, number):
    anna, ben = person(f"anna-{number.name}"), person(f"ben-{number.name}")
    room = f"A room with {number.name}"
    for somebody in (anna, ben):
        somebody.open_room(room)

    for count in range(4):
        anna.say(f"Before {count}")
    site.stop(number)  # with some of them perhaps on their way
    anna.wait_until("Not connected")
    ben.wait_until("Not connected")
    for count in range(3):
        anna.say(f"Meanwhile {count}")
    ben.say("I am here, too")
    site.manage("say", f"a-room-with-{number.name.lower()}", "Back in a moment")
    site.start()
    for somebody in (anna, ben):
        somebody.wait_until("Live")
        somebody.wait_for("Meanwhile 2")
        somebody.wait_for("I am here, too")
        somebody.wait_for("Back in a moment")

    seen = anna.sees()
    annas = [text for author, text in seen if author.startswith("anna")]
    assert annas == [f"Before {count}" for count in range(4)] + [f"Meanwhile {count}" for count in range(3)]
    assert len(seen) == 9
    assert ben.sees() == seen
    assert anna.unsent() == ben.unsent() == []


def test_what_was_written_survives_a_reload_while_the_server_is_away(site, person):
    anna = person("anna-reload")
    anna.open_room("A room to reload")
    site.stop()
    anna.wait_until("Not connected")
    anna.say("Written in the dark")
    site.start()
    anna.page.reload()
    anna.wait_for("Written in the dark")

    assert anna.sees() == [("anna-reload", "Written in the dark")]
    assert anna.unsent() == []


def test_a_server_that_hangs_is_noticed_and_survived(site, person):
    anna = person("anna-hang")
    anna.open_room("A room that hangs")
    site.send_signal(signal.SIGSTOP)
    try:
        anna.look()
        anna.say("Is anybody there?")
        anna.wait_until("Not connected", seconds=20)
    finally:
        site.send_signal(signal.SIGCONT)
    anna.wait_until("Live")
    anna.wait_for("Is anybody there?")

    assert anna.sees() == [("anna-hang", "Is anybody there?")]


def test_a_room_that_went_away_meanwhile_is_given_up(site, person):
    anna = person("anna-gone")
    anna.open_room("A room to remove")
    site.stop()
    anna.wait_until("Not connected")
    site.manage("shell", code="from chat.models import *; Room.objects.get(name='A room to remove').delete()")
    site.start()
    anna.wait_until("This room is gone")

    assert anna.page.get_by_role("button", name="Try now").count() == 0
