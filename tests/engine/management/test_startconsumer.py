"""What the command refuses. What it writes is tested in a project: tests/template/test_startconsumer.py."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

import chat


@pytest.fixture(autouse=True)
def nothing_is_written():
    before = sorted(Path(chat.__file__).parent.rglob("*.py"))
    yield
    assert sorted(Path(chat.__file__).parent.rglob("*.py")) == before


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("LiveScores", "live_scores"),
        ("live-scores", "live_scores"),
        ("Live scores!", "live_scores"),
        ("../live", "live"),
        ("live.scores", "live_scores"),
        ("_live", "live"),
        ("live__scores", "live_scores"),
        ("live_scores_consumer", "live_scores"),
        ("LiveScoresConsumer", "live_scores"),
        ("x" * 51, "x" * 50),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_with_one_that_can(name, better):
    with pytest.raises(CommandError) as refused:
        call_command("startconsumer", name)

    assert str(refused.value).startswith(f"The name {name!r} ")
    assert str(refused.value).endswith(f" Write {better}, for example.")


@pytest.mark.parametrize("name", ["", "1", "class", "é", "_"])
def test_a_name_that_says_nothing_is_refused(name):
    with pytest.raises(CommandError, match=r"small letters, digits and underscores at most, .* added[.]$"):
        call_command("startconsumer", name)


@pytest.mark.parametrize("app", ["nonsense", "auth", "channels", "channels_delay"])
def test_only_apps_of_the_project_get_consumers(app, settings):
    settings.INSTALLED_APPS = sorted({*settings.INSTALLED_APPS, "channels.delay"})

    with pytest.raises(CommandError, match=f"There is no app '{app}' in this project. There are: accounts, chat[.]$"):
        call_command("startconsumer", "scores", app=app)


def test_without_an_app_there_has_to_be_just_one(settings, tmp_path):
    with pytest.raises(CommandError, match=r"There are: accounts, chat[.]$"):
        call_command("startconsumer", "scores")

    settings.BASE_DIR = tmp_path

    with pytest.raises(CommandError, match=r"There are: none; manage.py startapp makes one"):
        call_command("startconsumer", "scores")
