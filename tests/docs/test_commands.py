"""The page has every command and its options, with their defaults."""

import pytest
from daphne.management.commands.runserver import Command as DaphneCommand
from django.core.management import load_command_class
from django.core.management.base import BaseCommand

from ..baking import FOLDER, REPOSITORY
from .pages import first_column, table_rows

APPS = {
    path.stem: ".".join(path.relative_to(REPOSITORY / FOLDER).parts[:-3])
    for path in sorted((REPOSITORY / FOLDER).rglob("management/commands/[a-z]*.py"))
}


def test_the_page_has_every_command():
    commands = [name.split()[0] for name in first_column("docs/commands.md") if name.split()[0] in APPS]

    assert sorted(set(commands)) == sorted(APPS)


@pytest.mark.parametrize("name", APPS)
def test_the_page_has_every_option_with_its_default(name):
    parser = load_command_class(APPS[name], name).create_parser("manage.py", name)
    base = (DaphneCommand if name == "runserver" else BaseCommand)().create_parser("manage.py", name)
    options = {
        option: action.default
        for option, action in parser._option_string_actions.items()
        if option not in base._option_string_actions
    }
    rows = [(row[0].strip("`").split(), row[1].strip("`")) for row in table_rows("docs/commands.md", "Options")]
    explained = {words[1]: default for words, default in rows if words[0] == name}

    assert explained.keys() == options.keys()
    # A default that is None is said in words.
    given = {option: str(default) for option, default in options.items() if type(default) in (str, int, float)}
    assert {option: explained[option] for option in given} == given
