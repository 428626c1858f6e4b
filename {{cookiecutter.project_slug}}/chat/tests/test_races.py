"""
The chat in every order that is possible, and with bad luck: workers are killed, messages are lost, channels are full.

A schedule that fails is told with the command that repeats it.
"""

import uuid

import pytest

from channels.test.lossy import NO_LOSSES, Losses
from channels.test.schedules import for_all_schedules
from chat.models import Message

pytestmark = pytest.mark.django_db

# After so many rounds luck turns, and within so many more everybody is to have everything.
UNLUCKY_ROUNDS = 3
ROUNDS = 5


class Window:
    """What a browser does: it says again what has not come back, connects again, and asks for what it has missed."""

    def __init__(self, scheduler, client=None, texts=()):
        self.scheduler = scheduler
        self.client = client
        self.unsent = {str(uuid.uuid4()): text for text in texts}
        # By their numbers, and how often each has come as a broadcast.
        self.messages = {}
        self.came = {}
        self.open()

    def open(self):
        self.socket = self.scheduler.connect("/rooms/boat-shed/", self.client)

    def go_on(self):
        """Take what has come; then ask for what may be missing, and say what nobody has answered."""
        for frame in self.socket.received_json():
            if frame["type"] == "message":
                self.came[frame["pk"]] = self.came.get(frame["pk"], 0) + 1
                self.put(frame)
            for message in frame.get("messages", ()):
                self.put(message)
        if not self.socket.is_open:
            self.open()
        self.socket.send({"type": "sync", "after": 0})
        for client_id, text in list(self.unsent.items())[:1]:
            self.socket.send({"type": "say", "id": client_id, "text": text})

    def put(self, message):
        assert Message.objects.filter(pk=message["pk"], text=message["text"]).exists(), "what is seen is saved"
        self.messages[message["pk"]] = message["text"]
        self.unsent.pop(message["id"], None)

    @property
    def texts(self):
        return [text for _, text in sorted(self.messages.items())]


@for_all_schedules(10, workers=3, servers=2)
def test_each_window_sees_each_message_once(room, anna, ben, signed_in, scheduler):
    windows = [Window(scheduler, signed_in(user), [f"{user} {n}" for n in range(3)]) for user in (anna, ben)]
    windows.append(Window(scheduler))
    for _ in range(ROUNDS):
        scheduler.run()
        for window in windows:
            window.go_on()

    saved = [*Message.objects.values_list("text", flat=True)]
    for window in windows:
        assert window.texts == saved
        assert window.came == dict.fromkeys(window.messages, 1)
    for user in anna, ben:
        own = [text for text in saved if text.startswith(str(user))]
        assert own == [f"{user} {n}" for n in range(3)], "whoever says one thing after another is not mixed up"


@for_all_schedules(15, workers=3, servers=2, losses=Losses())
def test_whatever_is_lost_all_windows_have_all_that_was_said_in_the_end(room, anna, ben, signed_in, scheduler):
    windows = [Window(scheduler, signed_in(user), [f"{user} {n}" for n in range(2)]) for user in (anna, ben)]
    windows.append(Window(scheduler))
    for number in range(UNLUCKY_ROUNDS + ROUNDS):
        if number == UNLUCKY_ROUNDS:
            scheduler.losses = NO_LOSSES
        scheduler.run()
        for window in windows:
            window.go_on()

    saved = [*Message.objects.values_list("text", flat=True)]
    assert sorted(saved) == ["anna 0", "anna 1", "ben 0", "ben 1"]
    assert [window.texts for window in windows] == [saved] * 3
