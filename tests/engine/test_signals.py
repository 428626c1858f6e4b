import threading

import pytest
from django.db import connection, transaction

from channels import Channel, route
from channels.signals import consumer_finished, consumer_started, worker_process_ready, worker_ready
from channels.worker import Worker, WorkerGroup


@pytest.fixture
def heard():
    """Give a list of the signals that are sent, as name and keywords."""
    heard, receivers = [], []
    names = {
        consumer_started: "started",
        consumer_finished: "finished",
        worker_ready: "ready",
        worker_process_ready: "process",
    }
    for signal, name in names.items():

        def receiver(signal, sender, name=name, **kwargs):
            heard.append((name, sender, kwargs))

        signal.connect(receiver)
        receivers.append((signal, receiver))
    yield heard
    for signal, receiver in receivers:
        signal.disconnect(receiver)


def test_a_consumer_runs_between_started_and_finished(make_site, heard):
    def consumer(message):
        heard.append(("consumer", None, {"message": message}))

    make_site([route("thumbnail", consumer)]).consume("thumbnail", size=100)

    assert [name for name, _, _ in heard] == ["started", "consumer", "finished"]
    assert {id(kwargs["message"]) for _, _, kwargs in heard} == {id(heard[1][2]["message"])}
    assert heard[0][1:] == heard[2][1:] == (Worker, {"environ": {}, "message": heard[1][2]["message"]})


def test_finished_is_sent_after_an_exception_too_and_what_its_receivers_send_leaves_with_the_rest(make_site, heard):
    def consumer(message):
        Channel("a").send({"by": "consumer"})
        raise RuntimeError

    def receiver(**kwargs):
        Channel("a").send({"by": "receiver"})

    site = make_site([route("thumbnail", consumer)])
    consumer_finished.connect(receiver)
    site.consume("thumbnail")
    consumer_finished.disconnect(receiver)

    assert [name for name, _, _ in heard] == ["started", "finished"]
    assert site.received("a") == [{"by": "consumer"}, {"by": "receiver"}]


def test_a_message_without_a_consumer_sends_none(make_site, heard):
    make_site([route("thumbnail", print, path="^/$")]).consume("thumbnail")

    assert heard == []


def test_a_receiver_that_fails_is_logged_and_the_worker_lives(make_site, caplog):
    def fail(**kwargs):
        raise RuntimeError("the receiver failed")

    runs = []
    site = make_site([route("thumbnail", runs.append)])
    for signal in (consumer_started, consumer_finished):
        signal.connect(fail)
        site.consume("thumbnail")
        signal.disconnect(fail)
        assert "the receiver failed" in caplog.text
        caplog.clear()
    site.consume("thumbnail")

    # The consumer did not run where the signal before it failed.
    assert len(runs) == 2


def test_a_group_says_once_that_its_process_is_ready_and_each_worker_that_it_is(make_site, heard):
    site, all_ready = make_site([route("thumbnail", print)]), threading.Semaphore(0)

    def count(**kwargs):
        all_ready.release()

    worker_ready.connect(count)
    group = WorkerGroup(site.layer, 3)
    group.start()
    for _ in group.workers:
        assert all_ready.acquire(timeout=10)
    group.stop()
    worker_ready.disconnect(count)

    assert heard[0] == ("process", group, {})
    assert {sender for name, sender, _ in heard[1:] if name == "ready"} == set(group.workers)
    assert len(heard) == 4


@pytest.mark.django_db(transaction=True)
def test_old_database_connections_are_closed_around_each_consumer(make_site, monkeypatch):
    events = []
    monkeypatch.setattr(connection, "close_if_unusable_or_obsolete", lambda: events.append("closed"))
    site = make_site([route("thumbnail", lambda message: events.append("consumer"))])
    site.consume("thumbnail")

    assert events == ["closed", "consumer", "closed"]


@pytest.mark.django_db(transaction=True)
def test_a_transaction_around_a_consumer_keeps_its_connection(make_site, monkeypatch):
    events = []
    monkeypatch.setattr(connection, "close_if_unusable_or_obsolete", lambda: events.append("closed"))
    site = make_site([route("thumbnail", lambda message: events.append("consumer"))])
    with transaction.atomic():
        site.consume("thumbnail")

    assert events == ["consumer"]
