"""What a worker for delayed messages does with rows and messages, whatever fails meanwhile."""

import contextlib
import datetime
import json
import time

import pytest
from django.db import OperationalError, connection, connections
from django.utils import timezone

from channels import Channel, channel_layers
from channels.exceptions import ChannelLayerUnavailable
from channels.layers.inmemory import InMemoryChannelLayer
from channels.registry import ChannelLayerWrapper

CHANNEL = "asgi.delay"
PATIENCE = 20.0
# Of rows that are sent together.
BATCH = 100


class FailingLayer(InMemoryChannelLayer):
    """A layer that does not answer as long as ``error`` is set."""

    error = None

    def send_many(self, batch):
        if self.error is not None:
            raise self.error
        return super().send_many(batch)


@pytest.fixture
def layer(delay_app):
    """A layer under the alias default, on which channels hold three messages."""
    wrapper = ChannelLayerWrapper(FailingLayer(capacity=3), "default")
    old = channel_layers.set("default", wrapper)
    yield wrapper
    channel_layers.set("default", old)


@pytest.fixture
def add(delay_app):
    """Return a function that adds a row with some content, due now."""

    def add(channel="mail", content="{}", **fields):
        return delay_app.objects.create(channel_name=channel, content=content, **{"due_date": timezone.now(), **fields})

    return add


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "Waited in vain."
        time.sleep(0.01)


def received(layer, channel="mail"):
    """Wait for the next message on a channel."""
    content = layer.receive([channel], block=True, timeout=PATIENCE)[1]
    assert content is not None
    return content


def ask_for(layer, content, delay=0, channel="mail"):
    layer.send(CHANNEL, {"channel": channel, "delay": delay, "content": content})


def test_a_message_arrives_as_it_was_sent_and_when_it_is_due(layer, run_worker, delay_app):
    run_worker()
    sent = time.monotonic()
    Channel("mail").send({"data": b"\xff", "list": [b"a", "a", None, 1.5, {"deep": b""}]}, delay=0.5)

    assert received(layer) == {"data": b"\xff", "list": [b"a", "a", None, 1.5, {"deep": b""}]}
    assert 0.45 < time.monotonic() - sent < 1.5
    wait_until(lambda: not delay_app.objects.exists())


def test_the_one_that_is_due_first_is_sent_first(layer, run_worker):
    run_worker(sleep=30)
    for delay in (700, 300, 500):
        ask_for(layer, {"delay": delay}, delay)

    assert [received(layer)["delay"] for _ in range(3)] == [300, 500, 700]


def test_a_row_that_somebody_else_has_stored_is_found_soon(layer, run_worker, add):
    run_worker(sleep=0.2)
    time.sleep(0.3)
    add(content='{"from": "somebody else"}')

    assert received(layer) == {"from": "somebody else"}


@pytest.mark.parametrize(
    "message",
    [{}, {"channel": "mail", "delay": 1}, {"channel": "no name!", "delay": 1, "content": {}}]
    + [{"channel": "mail", "delay": delay, "content": {}} for delay in ("1", None, float("nan"), 2**60)],
)
def test_a_malformed_message_is_logged_and_counted_and_the_next_one_is_sent(layer, run_worker, message, caplog):
    run_worker()
    layer.send(CHANNEL, message)
    ask_for(layer, {"number": 2})

    assert received(layer) == {"number": 2}
    assert any(CHANNEL in record.getMessage() and "malformed" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    ("channel", "content", "note"),
    [
        ("no name!", "{}", "InvalidName: 'no name!' is no valid channel name"),
        ("mail", "no JSON", "JSONDecodeError: "),
        ("mail", "[]", "InvalidMessage: The content of a message is a dict, not list"),
        ("mail", json.dumps({"text": "a" * 2_000_000}), "MessageTooLarge: "),
        ("mail", "[" * 100_000, "RecursionError: "),
    ],
    ids=["name", "text", "list", "size", "depth"],
)
def test_a_row_that_cannot_be_sent_is_parked_with_the_reason(
    layer, run_worker, delay_app, add, channel, content, note, caplog
):
    add(channel, content)
    add(content='{"number": 2}')
    run_worker()

    assert received(layer) == {"number": 2}
    wait_until(lambda: delay_app.objects.count() == 1)
    row = delay_app.objects.get()
    assert (row.state, row.content) == ("parked", content)
    assert row.note.startswith(note)
    assert f"The delayed message {row.pk} to {channel} is parked: {note}" in caplog.text


def test_a_full_channel_keeps_its_rows_and_holds_up_no_other(layer, run_worker, delay_app, add, caplog):
    for number in range(10):
        add("full", json.dumps({"number": number}))
    add("other", '{"number": 10}')
    run_worker(sleep=0.2)

    assert received(layer, "other") == {"number": 10}
    wait_until(lambda: delay_app.objects.filter(state="waiting").count() == 7)
    assert [received(layer, "full")["number"] for _ in range(10)] == [*range(10)]
    wait_until(lambda: not delay_app.objects.exists())
    assert caplog.text.count("Delayed messages are kept and tried again. The channel 'full' holds 3 messages") == 1


def test_however_many_wait_for_a_full_channel_others_are_sent(layer, run_worker, delay_app, add):
    early = timezone.now() - datetime.timedelta(hours=1)
    delay_app.objects.bulk_create(
        delay_app(channel_name="full", content="{}", due_date=early) for _ in range(2 * BATCH)
    )
    add("other", '{"number": 1}')
    run_worker()

    assert received(layer, "other") == {"number": 1}


def test_messages_of_other_layers_are_left_to_their_own_process(layer, run_worker, delay_app, add):
    add(layer="other")
    run_worker(sleep=0.1)
    ask_for(layer, {"number": 1})

    assert received(layer) == {"number": 1}
    wait_until(lambda: [row.layer for row in delay_app.objects.all()] == ["other"])


# Failures


def test_while_the_layer_is_away_rows_wait_and_are_sent_once_when_it_is_back(layer, run_worker, delay_app, add, caplog):
    layer.channel_layer.error = ChannelLayerUnavailable("It is away.")
    for number in range(3):
        add(content=json.dumps({"number": number}))
    run_worker(sleep=0.1)
    wait_until(lambda: layer.outage.lasts("delayed messages"))
    time.sleep(0.5)
    layer.channel_layer.error = None

    assert [received(layer)["number"] for _ in range(3)] == [0, 1, 2]
    wait_until(lambda: not delay_app.objects.exists())
    assert caplog.text.count("This process cannot reach the channel layer") == 1
    assert caplog.text.count("This process reaches the channel layer again") == 1


@pytest.mark.parametrize("error", [ChannelLayerUnavailable("It broke.", uncertain=True), RuntimeError("A bug.")])
def test_what_may_have_been_sent_is_not_sent_again_but_parked(layer, run_worker, delay_app, add, error, caplog):
    layer.channel_layer.error = error
    add(content='{"number": 1}')
    run_worker(sleep=0.1)
    wait_until(lambda: delay_app.objects.filter(state="parked").exists())
    layer.channel_layer.error = None
    add(content='{"number": 2}')

    assert received(layer) == {"number": 2}
    assert "so it may have been sent or not" in delay_app.objects.get(state="parked").note


@contextlib.contextmanager
def table_away(model):
    """Take the table away from everybody for a while."""
    name = connection.ops.quote_name(model._meta.db_table)
    rename(name, "away")
    try:
        yield
    finally:
        rename("away", name)


def rename(one, other):
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with connection.cursor() as cursor:
                cursor.execute(f"ALTER TABLE {one} RENAME TO {other}")
        except OperationalError:
            # Somebody reads it just now, for whom SQLite does not wait here.
            assert time.monotonic() < deadline
        else:
            return


def test_while_the_database_is_away_messages_wait_on_the_channel(layer, run_worker, delay_app, caplog):
    worker = run_worker(sleep=0.1)
    with table_away(delay_app):
        wait_until(lambda: worker._outage.lasts("work"))
        for number in range(3):
            ask_for(layer, {"number": number})
        time.sleep(0.5)
        assert layer.channel_statistics(CHANNEL)["messages_count"] == 3

    assert [received(layer)["number"] for _ in range(3)] == [0, 1, 2]
    assert caplog.text.count("This process cannot reach the database 'default' for delayed messages") == 1
    assert caplog.text.count("This process reaches the database 'default' for delayed messages again") == 1


def test_a_message_in_hand_when_the_database_goes_is_stored_when_it_is_back(layer, run_worker, delay_app):
    worker = run_worker(sleep=30)
    time.sleep(0.3)
    with table_away(delay_app):
        ask_for(layer, {"number": 1})
        wait_until(lambda: worker._outage.lasts("work"))

    assert received(layer) == {"number": 1}


def test_a_message_that_was_stored_without_an_answer_is_not_stored_twice(layer, run_worker, delay_app, monkeypatch):
    save = delay_app.save

    def save_and_fail(row, **options):
        save(row, **options)
        monkeypatch.setattr(delay_app, "save", save)
        raise OperationalError("The connection broke before the answer.")

    monkeypatch.setattr(delay_app, "save", save_and_fail)
    run_worker()
    ask_for(layer, {"number": 1}, delay=1000)

    assert received(layer) == {"number": 1}
    assert layer.receive(["mail"], block=True, timeout=1.5) == (None, None)


@pytest.fixture
def break_connection(delay_app, monkeypatch):
    """Return a function: from now on connections break while a row is saved, which is done by what it is given."""

    def break_connection(save):
        def fail(row, **options):
            save(row, **options)
            raise OperationalError("The connection broke before the answer.")

        monkeypatch.setattr(type(connections["default"]), "is_usable", lambda self: False)
        monkeypatch.setattr(delay_app, "save", fail)

    return break_connection


def test_what_another_process_may_have_sent_meanwhile_is_parked(
    layer, run_worker, delay_app, break_connection, monkeypatch
):
    """It was stored without an answer, then it was due; and whoever has sent it has deleted its row."""
    save = delay_app.save

    def save_and_delete(row, **options):
        monkeypatch.setattr(delay_app, "save", save)
        save(row, **options)
        row.delete()

    break_connection(save_and_delete)
    run_worker()
    ask_for(layer, {"number": 1})
    parked = delay_app.objects.filter(state="parked")
    wait_until(lambda: parked.exists() or layer.channel_statistics("mail")["messages_count"])
    row = parked.get()

    assert row.content == '{"number":1}'
    assert "may have been sent or not" in row.note
    assert layer.receive(["mail"], block=True, timeout=0.5) == (None, None)


def test_a_stop_leaves_nothing_to_others_that_may_be_stored(layer, run_worker, break_connection, caplog):
    break_connection(lambda row, **options: None)
    worker = run_worker(sleep=30)
    ask_for(layer, {"number": 1}, delay=60_000)
    wait_until(lambda: worker._outage.lasts("work"))
    worker.end()

    assert layer.receive([CHANNEL]) == (None, None)
    assert "uncertain" in caplog.text


def test_what_was_sent_while_the_database_went_is_not_sent_again(layer, run_worker, delay_app, add, monkeypatch):
    """The row cannot be deleted at once; that is done later."""
    queries = type(delay_app.objects.all())
    taken, failures = queries.taken, [OperationalError("It is away."), OperationalError("It is still away.")]

    def fail(rows, *arguments):
        if failures:
            raise failures.pop()
        return taken(rows, *arguments)

    monkeypatch.setattr(queries, "taken", fail)
    add(content='{"number": 1}')
    run_worker(sleep=0.1)

    assert received(layer) == {"number": 1}
    wait_until(lambda: not delay_app.objects.exists())
    assert layer.receive(["mail"], block=True, timeout=0.5) == (None, None)


# Stopping


def test_a_stop_stores_what_waits_on_the_channel(layer, run_worker, delay_app):
    worker = run_worker(sleep=30)
    for number in range(3):
        ask_for(layer, {"number": number}, delay=60_000)
    worker.end()

    assert delay_app.objects.count() == 3
    assert layer.channel_statistics(CHANNEL)["messages_unfinished"] == 0


def test_a_stop_without_the_database_leaves_the_message_in_hand_to_others(layer, run_worker, delay_app):
    worker = run_worker(sleep=30)
    time.sleep(0.3)
    with table_away(delay_app):
        ask_for(layer, {"number": b"1"}, delay=60_000)
        wait_until(lambda: worker._outage.lasts("work"))
        worker.end()

    [message] = [layer.receive([CHANNEL])[1]]
    assert message["channel"] == "mail"
    assert message["content"] == {"number": b"1"}
    assert 50_000 < message["delay"] <= 60_000


def test_a_stop_comes_at_once_although_the_next_look_is_far_away(layer, run_worker):
    worker = run_worker(sleep=30)
    time.sleep(0.3)
    began = time.monotonic()
    worker.end()

    assert time.monotonic() - began < 5


def test_without_time_zones_a_message_is_due_when_it_should_be(layer, run_worker, settings, delay_app):
    settings.USE_TZ = False
    run_worker()
    ask_for(layer, {"number": 1}, delay=300)

    assert received(layer) == {"number": 1}
