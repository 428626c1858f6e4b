import inspect
import unittest

import pytest

from channels.test import Socket
from channels.test.fixtures import channel_aliases, channel_layer, ws_client  # noqa: F401

from .pages import program


@pytest.fixture(autouse=True)
def hosts_of_tests(settings):
    settings.ALLOWED_HOSTS = ["testserver"]


@pytest.mark.parametrize(
    ("page", "name", "count"),
    [
        ("docs/testing.md", "RoomTests", 2),
        ("docs/testing.md", "StepTests", 1),
        ("docs/testing.md", "EchoTests", 1),
        ("docs/testing.md", "SquareTests", 2),
        ("docs/testing.md", "LiveTests", 1),
    ],
)
def test_its_cases_pass(page, name, count, transactional_db):
    case, result = getattr(program(page, name), name), unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)

    assert (result.errors, result.failures, result.testsRun) == ([], [], count)


def test_its_function_passes(request):
    test = program("docs/testing.md", "test_echo").test_echo

    test(**{name: request.getfixturevalue(name) for name in inspect.signature(test).parameters})


def test_its_plugin_is_there():
    assert program("docs/testing.md", "pytest_plugins").pytest_plugins == [channel_layer.__module__]


def test_its_consumers_do_what_it_says(serve):
    serve("docs/testing.md", "connect")
    socket = Socket("/rooms/hall/")

    assert socket.connect()
    assert socket.send("Hello") == ["somebody: Hello"]
