"""The tests that every project comes with, in a generated project."""

from ..baking import run

TESTS = ("-m", "pytest", "-p", "no:cacheprovider")


def test_the_projects_own_tests_pass(bake):
    assert " passed" in run(bake(), *TESTS).stdout


def test_the_projects_own_tests_pass_on_postgresql(bake, postgresql):
    project = bake(database="postgres")

    # A deploy asks the database for nothing that these do not.
    tested = run(project, *TESTS, "--deselect", "chat/tests/test_deploy.py", DATABASE_URL=postgresql)

    assert " passed" in tested.stdout
