"""`channels.worker.database`: a worker thread keeps no connection that is broken or too old."""

import threading

from django.db import connection, connections

from channels import route
from channels.signals import consumer_finished
from channels.worker.database import close_old_connections, keep_connections


def in_a_thread(*actions):
    """Call functions in a thread of its own, which has its own connections."""
    thread = threading.Thread(target=lambda: [action() for action in actions])
    thread.start()
    thread.join()


def open_an_old_connection(closed):
    """Open one that is beyond its age, and note when it is closed: one to a database in memory never really is."""
    connection.ensure_connection()
    connection.close_at = 0
    connections["default"].close = lambda: closed.append("closed")


def test_an_old_connection_is_closed(transactional_db):
    closed = []

    in_a_thread(lambda: open_an_old_connection(closed), close_old_connections)

    assert closed == ["closed"]


def test_where_connections_are_kept_none_is_closed_and_afterwards_they_are(transactional_db):
    closed = []

    def keep_some():
        with keep_connections():
            close_old_connections()
        closed.append("kept")

    in_a_thread(lambda: open_an_old_connection(closed), keep_some, close_old_connections)

    assert closed == ["kept", "closed"]


def test_a_thread_that_has_had_no_connection_makes_none(transactional_db):
    made = []

    in_a_thread(close_old_connections, lambda: made.extend(connections.all(initialized_only=True)))

    assert made == []


def test_what_the_end_of_a_consumer_opens_is_closed_too(make_site, transactional_db):
    """Channel sessions are removed when the disconnect consumer has ended."""
    closed = []

    def use_database(**kwargs):
        open_an_old_connection(closed)

    site = make_site([route("jobs", lambda message: None)])
    site.layer.send("jobs", {})
    consumer_finished.connect(use_database)
    try:
        in_a_thread(site.worker.step)
    finally:
        consumer_finished.disconnect(use_database)

    assert closed == ["closed"]
