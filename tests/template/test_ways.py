"""The ways to start cookiecutter, and to start it again."""

import json
import shutil
import subprocess
import sys

import pytest
from cookiecutter.exceptions import FailedHookException

from ..baking import FOLDER, clean_environment, copy_repository, read_env, run


def test_key_value_pairs_on_the_command_line(bake):
    said = cookiecutter(bake, "--no-input", bake.template, "project_name=Village Hall", "database=postgres")

    project = bake.output / "village_hall"
    assert read_env(project / ".env")["SITE_NAME"] == "Village Hall"
    assert read_env(project / ".env")["DATABASE_URL"] == "postgres:///village_hall"
    assert [line.strip() for line in said.splitlines()] == [
        "Your project is ready. Start it with",
        f"cd {project}",
        "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt",
        ".venv/bin/python manage.py migrate && .venv/bin/python manage.py runserver",
        "and open http://127.0.0.1:8000/",
        "What it needs to run first:",
        next(line.strip() for line in said.splitlines() if "PostgreSQL" in line),
    ]


def test_the_first_command_is_short_where_the_project_lies_in_the_current_folder(bake):
    command = [sys.executable, "-m", "cookiecutter", "--no-input", "--config-file", bake.config, bake.template]
    environment = clean_environment() | {"PWD": str(bake.output)}

    said = subprocess.run(command, cwd=bake.output, env=environment, check=True, capture_output=True, text=True)

    assert "    cd my_chat\n" in said.stdout


def test_enter_alone_accepts_every_default(bake):
    said = cookiecutter(bake, bake.template, typed="\n" * 9)

    assert (bake.output / "my_chat" / ".env").is_file()
    assert "Name of the site, as visitors read it (My Chat)" in said
    assert "1 - ipc: processes of one machine and deploys that drop no socket, nothing to install" in said


def test_a_zip_file(bake):
    archive = shutil.make_archive(bake.folder / "chan-template", "zip", bake.template.parent, bake.template.name)

    assert (bake(template=archive) / "manage.py").is_file()


def test_a_replay_repeats_the_answers_but_not_the_secret(bake):
    first = bake(project_name="Village Hall")
    kept = first.rename(first.with_name("first"))

    second = bake(replay=True)

    variables, again = read_env(kept / ".env"), read_env(second / ".env")
    assert variables.pop("SECRET_KEY") != again.pop("SECRET_KEY")
    assert variables == again
    assert "SECRET_KEY" not in (bake.folder / "replay" / "chan-template.json").read_text("utf-8")


def test_baking_over_a_project_keeps_its_env_file_and_its_database(bake):
    project = bake()
    (project / ".env").write_text("SECRET_KEY=mine\n", "utf-8")
    (project / "db.sqlite3").write_bytes(b"precious")

    cookiecutter(bake, "--no-input", "--overwrite-if-exists", bake.template)

    assert (project / ".env").read_text("utf-8") == "SECRET_KEY=mine\n"
    assert (project / "db.sqlite3").read_bytes() == b"precious"


def test_the_hooks_need_nothing_but_the_standard_library(bake, tmp_path):
    project = bake()
    before = (project / ".env").read_bytes()
    # As cookiecutter renders it.
    answers = {"channel_layer": "ipc", "database": "sqlite", "project_slug": "my_chat"}
    source = (bake.template / "hooks" / "post_gen_project.py").read_text("utf-8")
    hook = tmp_path / "hook.py"
    hook.write_text(source.replace("{{ cookiecutter | tojson }}", json.dumps(answers)), "utf-8")

    run(project, "-I", "-S", hook)

    assert (project / ".env").read_bytes() == before


def cookiecutter(bake, *arguments, typed=""):
    command = [sys.executable, "-m", "cookiecutter", "--config-file", bake.config, "--output-dir", bake.output]
    done = subprocess.run(
        [*command, *arguments],
        input=typed,
        env=clean_environment() | {"COLUMNS": "200"},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


@pytest.mark.parametrize("name", [".env", "db.sqlite3"])
def test_a_template_that_was_used_as_a_project_gives_nothing_of_that_away(bake, tmp_path, capfd, name):
    used = copy_repository(tmp_path / "used")
    (used / FOLDER / name).write_text("SECRET_KEY=ours\n")

    with pytest.raises(FailedHookException):
        bake(template=used)

    assert f"The template holds {name} of somebody's own" in capfd.readouterr().err
    assert list(bake.output.iterdir()) == []


def test_caches_of_the_template_do_not_get_into_the_project(bake, tmp_path):
    used = copy_repository(tmp_path / "used")
    (used / FOLDER / "chat" / "__pycache__").mkdir()
    (used / FOLDER / "chat" / "__pycache__" / "models.cpython-311.pyc").touch()

    assert list(bake(template=used).rglob("__pycache__")) == []
