"""The commands in the documents: some pages have tests that type them; of the others each command exists."""

import importlib.util
import re
import shlex
import shutil
import subprocess

import pytest
from django.core.management import CommandError, get_commands, load_command_class

from channels.exceptions import InvalidChannelLayerError
from channels.routing import import_target

from ..baking import FOLDER, REPOSITORY, clean_environment
from .pages import PAGES, blocks_of

# Pages whose console blocks are typed as they stand, and the test that does it.
TYPED = {
    "README.md": "tests/docs/test_readme.py",
    "docs/deploy.md": "tests/template/test_deploy_files.py",
    "docs/redis.md": "tests/template/test_redis.py",
    f"{FOLDER}/README.md": "tests/template/test_readme.py",
}


def check_python(arguments):
    """``python manage.py …`` and ``python -m …``."""
    first, name, *rest = arguments
    if first == "manage.py":
        # Whose app is installed by those who need it.
        commands = {**get_commands(), "rundelay": "channels.delay"}
        assert name in commands, f"there is no command {name}"
        command = load_command_class(commands[name], name)
        command.create_parser(first, name).parse_args(rest)
        return
    assert first == "-m"
    assert importlib.util.find_spec(name), f"there is no module {name}"
    for path in rest if name == "pytest" else []:
        assert "/" not in path or (REPOSITORY / path).exists(), f"there is no {path}"


def check_server(arguments):
    """An interface server: it knows its options, and what it is to serve is there."""
    program, *arguments = arguments
    known = subprocess.run([program, "--help"], env=clean_environment(), capture_output=True, text=True, check=True)
    for option in arguments:
        assert option[0] != "-" or option in known.stdout, f"{program} has no option {option}"
    [application] = [argument for argument in arguments if ":" in argument]
    assert callable(import_target(application.replace(":", ".")))


def check_make(arguments):
    """Targets and variables: those of the Makefile."""
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    for argument in arguments:
        name, is_variable, _ = argument.partition("=")
        pattern = rf"\$\(?{name}\b" if is_variable else rf"^{name}:"
        assert re.search(pattern, makefile, re.MULTILINE), f"the Makefile has no {name}"


def check_program(arguments):
    assert shutil.which(arguments[0], path=clean_environment()["PATH"]), (
        f"{arguments[0]} is not installed, and CHECKS in {__name__} knows nothing of it."
    )


CHECKS = {
    r"(\.venv/bin/|build/tools/bin/)?python[0-9.]*": lambda words: check_python(words[1:]),
    "daphne|uvicorn|hypercorn|granian": check_server,
    "make": lambda words: check_make(words[1:]),
    # The shell's own.
    r"cd|\.": lambda words: None,
}


@pytest.mark.parametrize("page", [page for page in PAGES if page not in TYPED and blocks_of(page, "console")])
def test_the_commands_of_a_page_exist(page):
    for block in blocks_of(page, "console"):
        for command in commands_in(block.text):
            check(command)


@pytest.mark.parametrize(
    "text",
    [
        "python manage.py runworkers",
        "python manage.py runworker --thread 4 --nonsense",
        "python -m nonsense",
        "python -m pytest tests/nonsense.py",
        "make nonsense",
        "make test NONSENSE=1",
        "daphne --nonsense config.asgi:channel_layer",
        "daphne config.asgi:nonsense",
        "PORT=1 nonsense # a comment",
    ],
)
def test_a_command_that_does_not_exist_is_noticed(text):
    with pytest.raises((AssertionError, CommandError, InvalidChannelLayerError), match=r"nonsense|runworkers|NONSENSE"):
        check(*commands_in(text))


@pytest.mark.parametrize("page", PAGES)
def test_the_make_commands_in_the_sentences_of_a_page_exist(page):
    for command in re.findall(r"`make ([^`]+)`", (REPOSITORY / page).read_text("utf-8")):
        check_make(shlex.split(command))


@pytest.mark.parametrize("page", TYPED)
def test_the_commands_of_other_pages_are_typed_by_a_test(page):
    assert "blocks_of(" in (REPOSITORY / TYPED[page]).read_text("utf-8")


def check(command):
    """Fail unless a command, a list of words, exists."""
    next((check for name, check in CHECKS.items() if re.fullmatch(name, command[0])), check_program)(command)


def commands_in(text):
    """Return the words of each command, without variables that are set in front of it."""
    for line in re.split(r"\n|&&", text.replace("\\\n", " ")):
        words = shlex.split(line, comments=True)
        while words and re.match(r"[A-Z_]+=", words[0]):
            words.pop(0)
        if words:
            yield words
