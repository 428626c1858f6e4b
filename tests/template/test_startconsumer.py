"""``manage.py startconsumer`` in a generated project. Its refusals: tests/engine/management/."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ..baking import clean_environment, run

FILES = ["chat/live_scores_consumer.py", "chat/live_scores_routing.py", "chat/tests/test_live_scores_consumer.py"]


@pytest.fixture
def project(project, tmp_path):
    """Give a copy of the project that others only look at."""
    return Path(shutil.copytree(project, tmp_path / project.name))


@pytest.fixture
def started(project):
    """Give what the command has said."""
    return run(project, "manage.py", "startconsumer", "live_scores", "--app", "chat").stdout


def test_it_writes_a_consumer_its_routing_and_its_test_and_says_where_to_include_them(project, started):
    assert started.splitlines() == [
        *(f"Written: {file}" for file in FILES),
        "",
        "Include it in channel_routing in config/routing.py, above a route that refuses what is left:",
        "",
        '    include("chat.live_scores_routing.channel_routing"),',
        "",
        "include comes from channels. The test runs without that.",
    ]
    assert all((project / file).is_file() for file in FILES)


def test_the_test_passes_with_either_runner_and_the_checks_find_nothing(project, started):
    assert "3 passed" in run(project, "-m", "pytest", "-p", "no:cacheprovider", FILES[2]).stdout
    tested = run(project, "manage.py", "test", "chat.tests.test_live_scores_consumer", "--settings", "config.testing")
    assert "Ran 3 tests" in tested.stdout
    for check in (["format", "--check", "--diff"], ["check"]):
        checked = subprocess.run(
            [sys.executable, "-m", "ruff", *check, "--no-cache", *FILES],
            cwd=project,
            env=clean_environment(),
            capture_output=True,
            text=True,
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_line_that_it_tells_is_all_there_is_to_do(project, started):
    routing = project / "config" / "routing.py"
    (line,) = [line for line in started.splitlines() if line.startswith("    include(")]
    last = "    # The last one: without it"
    assert routing.read_text().count(last) == 1
    routing.write_text(routing.read_text().replace(last, f"{line}\n{last}"))
    code = """
from channels.test import WSClient, memory_layers
with memory_layers():
    client = WSClient()
    client.send_and_consume("websocket.connect", path="/live-scores/")
    client.send_and_consume("websocket.receive", text={"text": "Hello"}, path="/live-scores/")
    print(client.receive())
"""

    said = run(project, "manage.py", "shell", "-c", code, ALLOWED_HOSTS="testserver").stdout

    assert said.splitlines()[-1] == "{'text': 'Hello', 'user': ''}"


@pytest.mark.parametrize("file", FILES)
def test_nothing_is_written_over_and_nothing_is_left_half_done(project, file):
    (project / file).write_text("# mine\n")

    refused = run(project, "manage.py", "startconsumer", "live_scores", "--app", "chat", check=False)

    assert refused.returncode == 1
    assert f"{file} is there already, and is left as it is. Choose another name." in refused.stdout
    assert [path for path in FILES if (project / path).exists()] == [file]
    assert (project / file).read_text() == "# mine\n"


def test_an_app_without_a_folder_of_tests_gets_the_test_beside_its_consumer(project):
    run(project, "manage.py", "startapp", "scores")
    with (project / "config" / "settings.py").open("a") as settings:
        settings.write('\nINSTALLED_APPS += ["scores"]\n')

    refused = run(project, "manage.py", "startconsumer", "live", check=False)
    run(project, "manage.py", "startconsumer", "live", "--app", "scores")

    assert (
        "Say by --app which app of this project gets the consumer. There are: accounts, chat, scores." in refused.stdout
    )
    assert "3 passed" in run(project, "-m", "pytest", "-p", "no:cacheprovider", "scores").stdout
