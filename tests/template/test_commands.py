"""Django's own commands, and the project's own tests, in a generated project."""

import pytest

from ..baking import read_env, run

PRODUCTION = {"DEBUG": "false", "ALLOWED_HOSTS": "example.com", "BEHIND_PROXY": "true"}


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
@pytest.mark.parametrize("interface_server", ["daphne", "uvicorn"])
def test_the_checks_find_nothing(bake, database, interface_server):
    project = bake(database=database, interface_server=interface_server)

    checked = run(project, "-W", "error", "manage.py", "check", "--fail-level", "WARNING")

    assert checked.stdout == "System check identified no issues (0 silenced).\n"


def test_the_deployment_checks_find_nothing(bake):
    checked = run(bake(), "manage.py", "check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)

    assert checked.stdout == "System check identified no issues (0 silenced).\n"


def test_the_migrations_are_complete(bake):
    assert run(bake(), "manage.py", "makemigrations", "--check", "--dry-run").stdout == "No changes detected\n"


def test_the_static_files_can_be_collected_for_production(bake):
    project = bake()

    run(project, "manage.py", "collectstatic", "--noinput", **PRODUCTION)

    assert (project / "staticfiles" / "staticfiles.json").is_file()


def test_the_projects_own_tests_pass(bake):
    tested = run(bake(), "-m", "pytest", "-p", "no:cacheprovider")

    assert " passed" in tested.stdout


def test_the_projects_own_tests_pass_on_postgresql(bake, postgresql):
    project = bake(database="postgres")

    tested = run(project, "-m", "pytest", "-p", "no:cacheprovider", DATABASE_URL=postgresql)

    assert " passed" in tested.stdout


def test_the_projects_own_tests_need_no_env_file_and_no_environment(bake):
    project = bake(accept_hooks=False)

    collected = run(project, "-m", "pytest", "-p", "no:cacheprovider", "--collect-only", "--quiet")

    assert "::test_" in collected.stdout
    assert not (project / ".env").exists()


def test_without_hooks_the_project_works_from_the_environment(bake):
    project = bake(accept_hooks=False)
    key = {"SECRET_KEY": "from the environment, and long enough to be a secret key"}

    run(project, "manage.py", "check", "--deploy", "--fail-level", "WARNING", **PRODUCTION, **key)
    run(project, "manage.py", "migrate", "--verbosity", "0", **key)

    assert (project / "db.sqlite3").is_file()


def test_without_hooks_the_example_file_can_be_filled_in_by_hand(bake):
    project = bake(accept_hooks=False)
    example = (project / ".env.example").read_text("utf-8")

    (project / ".env").write_text(example.replace("SECRET_KEY=", "SECRET_KEY=typed by hand", 1), "utf-8")

    assert read_env(project / ".env")["SECRET_KEY"] == "typed by hand"
    run(project, "manage.py", "check")
