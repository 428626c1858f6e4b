"""What lies in a generated project, for every choice."""

import itertools
import json
import os
import re
import stat
import subprocess
import sys
import tomllib
from fnmatch import fnmatch

import pytest

from ..baking import FOLDER, REPOSITORY, read_env

QUESTIONS = json.loads((REPOSITORY / "cookiecutter.json").read_text("utf-8"))
CHOICES = {name: answers for name, answers in QUESTIONS.items() if isinstance(answers, list) and name[0] != "_"}
COMBINATIONS = [dict(zip(CHOICES, answers, strict=True)) for answers in itertools.product(*CHOICES.values())]


def combination_name(answers):
    return "-".join(answers.values())


@pytest.fixture(params=COMBINATIONS, ids=combination_name)
def combination(request, bake):
    return bake(**request.param), request.param


def test_every_combination_is_rendered_to_the_end(combination):
    project, _ = combination

    for path in files_of(project):
        text = path.read_bytes().decode("utf-8", errors="ignore")
        assert "cookiecutter." not in text, path
        if not is_copied(path.relative_to(project)):
            assert re.search(r"\{\{|\}\}|\{%|%\}", text) is None, path
            assert text.strip(), path
            assert text.endswith("\n"), path
            assert not text.endswith("\n\n"), path
            assert "\n\n\n" not in text, path


def test_every_combination_names_what_it_needs(combination):
    project, answers = combination

    requirements = (project / "requirements.txt").read_text("utf-8")
    assert ("uvicorn" in requirements) == (answers["interface_server"] == "uvicorn")
    assert ("redis" in requirements) == (answers["channel_layer"] == "redis")
    assert ("lmdb" in requirements) == (answers["channel_layer"] == "ipc")
    assert ("pika" in requirements) == (answers["channel_layer"] == "rabbitmq")
    assert ("worker: " in (project / "Procfile").read_text("utf-8")) == (answers["channel_layer"] != "memory")
    assert ("psycopg" in requirements) == (answers["database"] == "postgres")
    assert f"web: {answers['interface_server']} " in (project / "Procfile").read_text("utf-8")
    variables = read_env(project / ".env")
    assert variables["DATABASE_URL"].split(":")[0] == answers["database"]
    assert variables["CHANNEL_LAYER_URL"].startswith(QUESTIONS["_channel_layers"][answers["channel_layer"]]["url"])


def test_choices_change_no_code(project, combination):
    other, _ = combination

    changed = {
        path.name for path in files_of(project) if path.read_bytes() != (other / path.relative_to(project)).read_bytes()
    }
    assert changed <= {
        *(".env", ".env.example", "Dockerfile", "Procfile", "README.md", "requirements.txt", "requirements-dev.txt"),
        *("supervisord.conf", "web.service", "worker.service"),
    }


def test_every_choice_has_a_readable_label():
    prompts = QUESTIONS["__prompts__"]

    asked = [name for name in QUESTIONS if name[0] != "_"]
    assert list(prompts) == asked
    for name, answers in CHOICES.items():
        assert list(prompts[name]) == ["__prompt__", *answers]


def test_every_layer_on_offer_has_an_address_and_a_number_of_threads():
    assert set(QUESTIONS["_channel_layers"]) == set(CHOICES["channel_layer"])
    for layer in QUESTIONS["_channel_layers"].values():
        assert set(layer) == {"url", "worker_threads"}


def test_the_project_holds_exactly_the_files_of_the_template(project, template):
    made = {path.relative_to(project).as_posix() for path in files_of(project)}
    ours = {path.relative_to(template / FOLDER).as_posix() for path in files_of(template / FOLDER)}

    assert made == ours | {".env"}


def test_only_the_listed_files_are_rendered(project, template):
    rendered = {path.name for path in files_of(project) if not is_copied(path.relative_to(project))}

    assert rendered <= {
        *(".env", ".env.example", "LICENSE", "Procfile", "README.md", "pyproject.toml"),
        *("requirements.txt", "requirements-dev.txt", ".dockerignore", "Dockerfile"),
        *("supervisord.conf", "web.service", "worker.service", "release.service"),
    }


def test_the_generated_code_is_formatted_and_clean(project):
    for command in (["format", "--check"], ["check"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, "--no-cache"], cwd=project, check=True)


def test_all_python_compiles(project):
    for path in files_of(project):
        if path.suffix == ".py":
            compile(path.read_text("utf-8"), path, "exec")


def test_the_project_knows_which_template_made_it(project):
    metadata = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))
    ours = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))

    assert metadata["tool"]["chan-template"]["version"] == QUESTIONS["_template_version"]
    assert ours["project"]["version"] == QUESTIONS["_template_version"]


def test_the_development_group_installs_all_that_any_project_needs(combination):
    project, _ = combination
    group = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["dependency-groups"]["dev"]

    for name in ("requirements.txt", "requirements-dev.txt"):
        lines = (project / name).read_text("utf-8").splitlines()
        needed = {line for line in lines if line and line[0] not in "#-"}
        assert needed <= set(group), "these lists must name the same versions"


def test_the_secret_key_lies_in_the_env_file_only(project):
    key = read_env(project / ".env")["SECRET_KEY"]

    assert len(key) >= 50
    assert [path.name for path in files_of(project) if key in path.read_text("utf-8", errors="ignore")] == [".env"]
    assert read_env(project / ".env.example")["SECRET_KEY"] == ""


def test_only_the_owner_can_read_the_env_file(project):
    assert stat.S_IMODE((project / ".env").stat().st_mode) == 0o600


def test_git_ignores_the_env_file_and_the_database(project, tmp_path):
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", tmp_path], check=True)
    (tmp_path / ".gitignore").write_bytes((project / ".gitignore").read_bytes())
    for name in (".env", ".ipc/channels", "db.sqlite3", "db.sqlite3-wal", "staticfiles/app.js", ".venv/pyvenv.cfg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    listed = subprocess.run(["git", "status", "--porcelain"], cwd=tmp_path, check=True, capture_output=True, text=True)

    assert listed.stdout == "?? .gitignore\n"


def test_twenty_projects_have_twenty_keys(bake):
    keys = {read_env(bake(project_slug=f"chat_{number}") / ".env")["SECRET_KEY"] for number in range(20)}

    assert len(keys) == 20


def test_manage_py_can_be_started_by_its_name(project):
    assert os.access(project / "manage.py", os.X_OK)


def files_of(folder):
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def is_copied(path):
    """Tell whether cookiecutter copies a path without rendering it."""
    names = [path.as_posix(), *(parent.as_posix() for parent in path.parents)]
    return any(fnmatch(name, pattern) for name in names for pattern in QUESTIONS["_copy_without_render"])
