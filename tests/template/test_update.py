"""Cruft: it makes a project, links one, and brings it up to date without touching what its owner has changed."""

import json
import subprocess
import sys
import tomllib

import pytest

from ..baking import FOLDER, clean_environment, copy_repository, read_env

ENGINE = f"{FOLDER}/channels/values/names.py"
OLD_RELEASE = "# As it was in an older release.\n"
OWN_CHANGE = "\n\ndef of_our_own():\n    return 1\n"


def git(folder, *arguments):
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, env=clean_environment())


def commit(folder):
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "So it is now.")


def cruft(folder, *arguments):
    """Run a command of cruft; return what it has said."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-m", "cruft", *arguments],
        cwd=folder,
        env=clean_environment() | {"HOME": str(home), "PWD": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def releases(tmp_path):
    """The template in a repository whose only commit is an older release, and a function that makes the next one."""
    repository = copy_repository(tmp_path / "chan-template")
    engine = repository / ENGINE
    now = engine.read_text("utf-8")
    engine.write_text(OLD_RELEASE + now, "utf-8")
    (repository / FOLDER / "chat" / "removed_later.py").touch()
    git(repository, "init", "--quiet")
    commit(repository)

    def release():
        engine.write_text(now, "utf-8")
        (repository / FOLDER / "chat" / "removed_later.py").unlink()
        commit(repository)

    return repository, release


def be_used(project):
    """Do with a project what its owner does: keep it in git, change the chat, set a variable."""
    git(project, "init", "--quiet")
    commit(project)
    views, env = project / "chat" / "views.py", project / ".env"
    views.write_text(views.read_text("utf-8") + OWN_CHANGE, "utf-8")
    env.write_text(env.read_text("utf-8") + "OWN=1\n", "utf-8")
    commit(project)
    return env.read_text("utf-8")


def is_up_to_date(project, env):
    now = copy_of_engine(project)
    return (
        OLD_RELEASE not in now
        and (project / "chat" / "views.py").read_text("utf-8").endswith(OWN_CHANGE)
        and (project / ".env").read_text("utf-8") == env
        and not (project / "chat" / "removed_later.py").exists()
        and not list(project.rglob("*.rej"))
    )


def copy_of_engine(project):
    return (project / "channels" / "values" / "names.py").read_text("utf-8")


def test_a_project_made_by_cruft_is_brought_up_to_date_and_keeps_its_own_changes(tmp_path, releases):
    repository, release = releases
    answers = json.dumps({"project_name": "Village Hall", "channel_layer": "redis", "database": "postgres"})

    said = cruft(tmp_path, "create", str(repository), "--no-input", "--extra-context", answers)
    project = tmp_path / "village_hall"
    assert OLD_RELEASE in copy_of_engine(project)
    assert len(read_env(project / ".env")["SECRET_KEY"]) > 50
    assert "Your project is ready." in said
    env = be_used(project)
    release()
    said = cruft(project, "update", "--skip-apply-ask")

    assert is_up_to_date(project, env)
    assert tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]["name"] == "village_hall"
    assert "Your project is ready." not in said
    commit(project)
    assert "up to date" in cruft(project, "check")


def test_a_project_made_by_cookiecutter_is_linked_and_then_brought_up_to_date(bake, releases):
    repository, release = releases
    project = bake(template=repository, project_slug="my_chat")
    env = be_used(project)

    cruft(project, "link", str(repository), "--no-input", "--extra-context", json.dumps({"project_slug": "my_chat"}))
    commit(project)
    release()
    cruft(project, "update", "--skip-apply-ask")

    assert is_up_to_date(project, env)
