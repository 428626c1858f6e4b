"""Every block of code in a document: it is run, with the names it has, and what it is about is tested."""

import ast

import pytest

from ..baking import REPOSITORY
from . import pages
from .pages import PAGES, blocks_of, defined_in, namespaces_of, program, steps_of

MARKS = {"continues", "given", "not run"}
# In which a block can be written, and what looks at it: besides this module, for consumers, the tests of its page.
LANGUAGES = {"python": "tests/docs/test_pages.py", "console": "tests/docs/test_console.py"}
WITH_PYTHON = [page for page in PAGES if blocks_of(page, "python")]


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_run_by_a_test_or_says_why_not(page):
    for block in blocks_of(page):
        assert set(block.marks) <= MARKS, f"{block} has a comment that means nothing; {pages.__file__} lists them."
        reason = block.marks.get("not run")
        assert reason != "", f"{block} has to say why it is not run."
        assert reason or block.language in LANGUAGES, (
            f"{block} is written in {block.language or 'no language'}, which nothing runs. "
            f"Write it in one of {', '.join(LANGUAGES)}, or say above it why not: <!-- not run: reason -->"
        )


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_python_of_a_page_runs(page, db):
    namespaces_of(page)


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_consumers_of_a_page_get_messages_in_a_test_of_that_page(page):
    tests = module_for(page)
    asked = tests.read_text("utf-8") if tests.is_file() else ""

    for block in blocks_of(page, "python"):
        consumers = [] if block.file else consumers_of(block)
        named = any(f'"{page}", "{name}"' in asked for name in defined_in(block))
        assert not consumers or named, (
            f"{block} defines the consumer {consumers[0]}. Show in {tests.relative_to(REPOSITORY)} that it does "
            f'what the page says; serve("{page}", "{consumers[0]}") makes a site of the block.'
        )


@pytest.mark.parametrize("page", [page for page in WITH_PYTHON if steps_of(page)])
def test_each_step_of_a_page_that_writes_files_is_tried(page):
    asked = module_for(page).read_text("utf-8")

    for step in steps_of(page):
        assert f'"{page}", "{step}"' in asked, (
            f'Try in {module_for(page)} what is there by then: write_step("{page}", "{step}")'
        )


def module_for(page):
    name = page.rpartition("/")[2].removesuffix(".md").lower().replace(".", "_")
    return REPOSITORY / "tests" / "docs" / f"test_{name}.py"


def consumers_of(block):
    functions = [node for node in ast.parse(block.text).body if isinstance(node, ast.FunctionDef)]
    return [node.name for node in functions if [argument.arg for argument in node.args.args][:1] == ["message"]]


# What is said about a block that does not run


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that writes a page and returns its name."""
    monkeypatch.setattr(pages, "REPOSITORY", tmp_path)

    def write(*blocks):
        (tmp_path / "page.md").write_text("\n\n".join(blocks) + "\n")
        return "page.md"

    return write


def test_a_name_that_is_not_imported_is_named(write):
    page = write("```python\nimport json\n```", "```python\ndef late():\n    return lambda: json.dumps(1)\n```")

    with pytest.raises(AssertionError, match=r"^block 2 of page.md uses the name json, which it does not import"):
        namespaces_of(page)


def test_a_block_may_go_on_from_the_one_above(write):
    page = write("```python\nimport json\n```", "<!-- continues -->\n```python\ntext = json.dumps(1)\n```")

    assert program(page, "text").text == "1"


def test_a_block_may_be_given_a_message(write):
    page = write("<!-- given: message -->\n```python\nname = message.reply_channel.name\n```")

    assert program(page, "name").name == "reply.test!1"


def test_a_block_that_is_not_meant_to_be_run_is_left_alone(write):
    page = write("<!-- not run: an example of a mistake -->\n```python\nnonsense(\n```")

    assert namespaces_of(page) == []


def test_an_error_has_the_line_of_the_page(write):
    page = write("Words.", "```python\ntext = None\ntext.upper()\n```")

    with pytest.raises(AttributeError) as failed:
        namespaces_of(page)

    assert failed.traceback[-1].lineno + 1 == 5
