import unittest

from channels.test.lossy import Losses
from channels.test.scheduler import Scheduler

from .pages import program


def test_the_race_on_the_page_is_found_and_repeated(db, monkeypatch):
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    case = program("docs/races.md", "count").CountingTests
    result = unittest.TestResult()
    case("test_every_frame_is_counted").run(result)
    [(_, text)] = result.failures

    assert "'1' != '2'" in text
    assert "worker 1 asks the database UPDATE" in text
    assert f"python manage.py test {case.__module__}.CountingTests.test_every_frame_is_counted" in text


def test_a_socket_that_keeps_order_is_closed_when_a_worker_is_killed_and_others_are_not(db):
    routing = program("docs/races.md", "connect").ROUTING
    codes = set()
    for seed in range(10):
        with Scheduler(seed, losses=Losses(killed=0.1, lost=0, full=0, late=0), routing=routing) as scheduler:
            socket = scheduler.connect("/")
            socket.send("a")
            scheduler.run()
            codes.add(socket.close_code)

    assert codes >= {None, 1013}
