"""Each server is started once for the tests of a module; a test that fails shows the log of its server."""

import contextlib

import pytest

from .processes import COMMANDS, ServerProcess, serve_site


@pytest.fixture(scope="module", params=COMMANDS)
def server(request, tmp_path_factory):
    """One server after the other, serving the site of these tests."""
    with serve_site(request.param, tmp_path_factory.mktemp(request.param)) as server:
        yield server


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a server for one test: give its name, and limits for its interface."""
    with contextlib.ExitStack() as stack:

        def start(name, **limits):
            return stack.enter_context(serve_site(name, tmp_path, **limits))

        yield start


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    for value in item.funcargs.values():
        if report.failed and isinstance(value, ServerProcess):
            report.sections.append((f"log of {value.command[0]}", value.log))
    return report
