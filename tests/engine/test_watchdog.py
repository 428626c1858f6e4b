"""`channels.watchdog`: who runs too long is named, with the line it is at."""

import threading

from channels.watchdog import RunningConsumer, warn_of_slow, watch


def test_a_consumer_that_runs_too_long_is_warned_about_once_with_the_line_it_is_at(caplog):
    let_go, begun = threading.Event(), threading.Event()
    running = []

    def dawdle():
        running.append(RunningConsumer("shop.consumers.dawdle with <Message on orders>"))
        begun.set()
        let_go.wait(10)

    thread = threading.Thread(target=dawdle)
    thread.start()
    begun.wait(10)
    warn_of_slow(running, limit=10, now=running[0].started + 9)
    early = caplog.text
    warn_of_slow(running, limit=10, now=running[0].started + 11)
    warn_of_slow(running, limit=10, now=running[0].started + 22)
    let_go.set()
    thread.join()

    assert early == ""
    assert len(caplog.records) == 1
    assert "shop.consumers.dawdle with <Message on orders> has been running for 11 s" in caplog.text
    assert "let_go.wait(10)" in caplog.text


def test_a_worker_that_waits_is_not_slow(caplog):
    warn_of_slow([None], limit=0, now=1e9)

    assert caplog.text == ""


def test_the_watch_ends_when_it_is_told_to():
    stop, looks = threading.Event(), []

    def look():
        looks.append("look")
        stop.set()
        return []

    watch(look, limit=0.001, stop=stop)

    assert looks == ["look"]
