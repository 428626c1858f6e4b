import pytest

from channels import Channel, channel_layers

from ..engine.delay.conftest import delay_app, run_worker  # noqa: F401
from .pages import program


@pytest.fixture(autouse=True)
def installed(delay_app):  # noqa: F811
    """The app, with its table."""


@pytest.fixture
def arrived(run_worker):  # noqa: F811
    """Return a function that waits for the next message on a channel, while delayed ones are sent."""
    run_worker(sleep=0.1)
    return lambda channel: channel_layers["default"].receive([channel], block=True, timeout=20)[1]


def test_a_visitor_who_takes_too_long_is_told(serve, open_socket):
    socket = open_socket(serve("docs/delay.md", "too_late"))

    assert socket.connect() == [{"accept": True}]
    asked = channel_layers["default"].receive(["asgi.delay"])[1]
    assert asked == {"channel": "game.too-late", "delay": 30_000, "content": {"reply_channel": socket.reply_channel}}
    Channel(asked["channel"]).send(asked["content"])
    socket.site.work()
    assert socket.received() == [{"text": "Time is up"}]


def test_the_way_of_channels_1_asks_for_the_same(serve):
    site = serve("docs/delay.md", "remind", "mail")
    site.layer.send("mail", {})
    site.work()

    assert site.received("asgi.delay") == [{"channel": "mail.remind", "delay": 600_000, "content": {"member": 17}}]


def test_a_row_of_one_s_own_is_sent(delay_app, arrived):  # noqa: F811
    program("docs/delay.md", "remind_later").remind_later(17)
    delay_app.objects.update(due_date="2020-01-01T00:00:00Z")

    assert arrived("mail.remind") == {"member": 17}


def test_what_waits_can_be_forgotten_and_what_is_parked_tried_again(delay_app):  # noqa: F811
    block = program("docs/delay.md", "forget_reminders")
    program("docs/delay.md", "remind_later").remind_later(17)
    program("docs/delay.md", "remind_later").remind_later(18)
    delay_app.objects.filter(content__contains="18").update(state="parked")
    block.forget_reminders()
    block.try_parked_again()

    assert list(delay_app.objects.values_list("content", "state")) == [('{"member": 18}', "waiting")]
