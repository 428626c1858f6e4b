"""Django's own commands in a generated project, and its tests on another database."""

import pytest

from ..baking import read_env, run
from ..services import free_port

PRODUCTION = {"DEBUG": "false", "ALLOWED_HOSTS": "example.com", "BEHIND_PROXY": "true", "EMAIL_URL": "smtp://mail"}


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


def test_the_projects_own_tests_pass_on_postgresql(bake, postgresql):
    project = bake(database="postgres")

    # A deploy asks the database for nothing that these do not.
    tests = ["-m", "pytest", "-p", "no:cacheprovider", "--deselect", "chat/tests/test_deploy.py"]
    tested = run(project, *tests, DATABASE_URL=postgresql)

    assert " passed" in tested.stdout


@pytest.mark.parametrize("command", [["migrate"], ["createsuperuser"], ["runserver", "--noreload", "0"]])
def test_a_database_that_is_not_there_is_told_in_a_sentence(bake, command):
    project = bake(database="postgres")
    nobody = f"postgres://127.0.0.1:{free_port()}/my_chat"

    refused = run(project, "manage.py", *command, check=False, DATABASE_URL=nobody)

    assert refused.returncode == 1
    assert "The database cannot be reached: " in refused.stdout
    assert refused.stdout.endswith("if the server has no such database yet, make it: createdb my_chat\n")
    assert "Traceback" not in refused.stdout
    assert "Traceback" in run(project, "manage.py", *command, "--traceback", check=False, DATABASE_URL=nobody).stdout


def test_a_database_that_does_not_exist_yet_is_told_in_a_sentence(bake, postgresql):
    project = bake(database="postgres")

    url = postgresql.removesuffix("/postgres") + "/absent"
    refused = run(project, "manage.py", "migrate", check=False, DATABASE_URL=url)

    assert refused.returncode == 1
    assert 'database "absent" does not exist' in refused.stdout
    assert "createdb absent" in refused.stdout
    assert "Traceback" not in refused.stdout


def test_other_failures_of_the_database_keep_their_traceback(bake):
    failed = run(
        bake(),
        "manage.py",
        "createsuperuser",
        "--noinput",
        check=False,
        DJANGO_SUPERUSER_USERNAME="a",
        DJANGO_SUPERUSER_PASSWORD="b",
        DJANGO_SUPERUSER_EMAIL="c@example.com",
    )

    assert failed.returncode == 1
    assert "Traceback" in failed.stdout
    assert "no such table: accounts_user" in failed.stdout


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
