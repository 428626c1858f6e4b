"""What holds for all tests."""

import signal

import pytest

# Its assertions are to explain themselves like those of a test module.
pytest.register_assert_rewrite("channels.test.conformance")

# A shell has the commands that it runs in the background ignore Ctrl+C, and so does whatever they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Tests that load many processes, or are about times and processor time, and would hinder each other.
ALONE = (
    "tests/deploy/",
    "tests/score/test_score.py",
    "tests/engine/worker/test_supervisor.py",
    "tests/engine/layers/ipc/test_kills.py",
    "tests/engine/layers/redis/test_failures.py",
    "tests/engine/layers/redis/test_joined_sends.py",
    "tests/engine/layers/redis/several/test_pops.py",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark the tests that `make test` runs one by one, after all others."""
    for item in items:
        # Another broker would cost more than the test.
        uses_no_processor = "uses_no_processor" in item.name and "/rabbitmq/" not in item.nodeid
        if item.nodeid.startswith(ALONE) or uses_no_processor:
            item.add_marker("alone")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item, call):
    """Spell what a test has logged so that it can leave its process: some tests are about text that is no UTF-8."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    return report
