"""What holds for all tests."""

import signal

import pytest

# Its assertions are to explain themselves like those of a test module.
pytest.register_assert_rewrite("channels.test.conformance")

# A shell has the commands that it runs in the background ignore Ctrl+C, and so does whatever they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Tests that load many processes, or are about times, and would hinder each other.
ALONE = (
    "tests/deploy/test_deploy.py",
    "tests/deploy/test_kills.py::test_what_killed_workers_lose",
    "tests/deploy/test_kills.py::test_with_ordering",
    "tests/deploy/test_store_failures.py::test_a_slow_store",
    "tests/deploy/test_store_failures.py::test_sockets_outlive_a_redis_that_is_stopped",
    "tests/deploy/test_store_failures.py::test_want_of_memory",
    "tests/deploy/test_workers.py::test_twenty_stops",
    "tests/score/test_score.py::test_the_command_measures",
    "tests/engine/delay/test_processes.py::test_an_idle_process",
    "tests/engine/layers/redis/test_failures.py::test_a_slow_store",
    "tests/engine/layers/redis/test_failures.py::test_a_store_that_pauses",
    "tests/engine/layers/ipc/test_kills.py",
    "tests/engine/layers/test_joined_sends.py",
    "tests/engine/layers/redis/several/test_pops.py::test_an_event_loop_waits",
    "tests/engine/layers/redis/several/test_pops.py::test_messages_go_where",
    "tests/engine/layers/redis/several/test_pops.py::test_silent_hosts_keep",
)
# The files that take longest begin first: one of them begun last would go on when all others have ended.
LONGEST = (
    "tests/engine/layers/redis/test_layer.py",
    "tests/deploy/",
    "tests/servers/",
    "tests/engine/delay/test_processes.py",
    "tests/engine/layers/redis/",
    "tests/template/",
    "tests/e2e/",
    "tests/examples/",
    "tests/engine/worker/test_supervisor.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark the tests that `make test` runs one by one, after all others; have those begin first that take longest."""
    for item in items:
        if item.nodeid.startswith(ALONE):
            item.add_marker("alone")
    items.sort(key=place)


def place(item):
    """Return what to sort a test by: where its file stands among the longest, or after them, as it was collected."""
    name = item.nodeid
    return next((number for number, file in enumerate(LONGEST) if name.startswith(file)), len(LONGEST))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    """Spell what a test has logged so that it can leave its process: some tests are about text that is no UTF-8."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report
