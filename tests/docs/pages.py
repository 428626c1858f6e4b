"""
The code in the documents: its blocks, and what comes of them when they are run as a reader would.

A block of Python is a program of its own, with all its imports. One that is not says so in a comment above it,
which no reader of the page sees:

    <!-- continues -->          it goes on where the block above it has ended
    <!-- given: message -->     a reader has this where the block goes; `GIVEN` makes it
    <!-- not run: reason -->    nothing runs it: code of another version, say

Two of them stand in one comment with a semicolon in between. A block below a line that is the name of a file and a
colon (`talk/models.py`:) is all of this file of an app, from its heading on; the fixture `write_step` writes it.
"""

import builtins
import dataclasses
import dis
import re
import types

from django.contrib.auth import get_user_model

from channels import channel_layers
from channels.message import Message
from chat.models import Room

from ..baking import FOLDER, REPOSITORY, repository_files

# Pages in other languages, and those whose code they have: it is not run again.
TRANSLATIONS = {"README.zh-CN.md": "README.md", "docs/start.zh-CN.md": "docs/start.md"}
PAGES = [path.as_posix() for path in repository_files() if path.suffix == ".md" and path.as_posix() not in TRANSLATIONS]

# What a block may be given, each made when it is asked for.
GIVEN = {
    "message": lambda: Message(
        {"reply_channel": "reply.test!1", "path": "/hall/", "text": "Hello", "order": 1},
        "websocket.receive",
        channel_layers["default"],
    ),
    "room": lambda: Room.objects.create(name="Hall"),
    "user": lambda: get_user_model().objects.create_user("anna"),
}

_BLOCK = re.compile(
    r"(?:^`([\w/]+\.py)`:\n\n)?(?:^<!-- ((?:(?!-->).)+) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclasses.dataclass
class Block:
    """A block of code: where it stands, what it is written in, and what its comment says."""

    page: str
    number: int
    line: int
    heading: str
    file: str | None
    language: str
    text: str
    marks: dict

    def __str__(self):
        return f"block {self.number} of {self.page}"


def blocks_of(page, language=None):
    """Return the blocks of a page; with a language, those that are written in it and meant to be run."""
    text = (REPOSITORY / page).read_text("utf-8")
    blocks = []
    for number, found in enumerate(_BLOCK.finditer(text), 1):
        file, note, written_in, code = found.groups()
        line = text.count("\n", 0, found.start(4)) + 1
        headings = re.findall(r"^#+ (.+)$", _BLOCK.sub("", text[: found.start()]), re.MULTILINE)
        blocks.append(Block(page, number, line, "".join(headings[-1:]), file, written_in, code, _marks(note or "")))
    fences = re.findall(r"^ *```", text, re.MULTILINE)
    assert len(fences) == 2 * len(blocks), (
        f"{page} has a block that is set in, or does not begin and end with ``` alone."
    )
    return [block for block in blocks if language in (None, block.language) and (not language or _is_run(block))]


def namespaces_of(page):
    """Run the Python of a page; return each block with the names that there were at its end."""
    ran, names = [], {}
    for block in blocks_of(page, "python"):
        if block.file:
            continue
        names = _run(block, dict(names) if "continues" in block.marks else {})
        ran.append((block, names))
    return ran


def program(page, name):
    """Run the Python of a page; return the names of the first block that defines this one."""
    for block, names in namespaces_of(page):
        if name in defined_in(block):
            return types.SimpleNamespace(**names)
    raise AssertionError(f"No block of {page} defines {name}.")


def steps_of(page):
    """Return the files of a project that a page writes, after each of its headings that writes some."""
    steps, files = {}, {}
    for block in blocks_of(page, "python"):
        if block.file:
            files = {**files, block.file: block.text}
            steps[block.heading] = files
    return steps


def defined_in(block):
    """Return the names that a block itself makes at its top level."""
    return _stored(_compile(block))


def table_rows(page, heading=""):
    """Return the cells of each row of the tables of a page, or of those below a heading, without their headings."""
    text = (REPOSITORY / page).read_text("utf-8")
    if heading:
        text = re.split(rf"^#+ {re.escape(heading)}\n", text, flags=re.MULTILINE)[1].split("\n## ")[0]
    tables = re.findall(r"^\|[-|: ]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [[cell.strip() for cell in row[1:-1].split(" | ")] for table in tables for row in table.splitlines()]


def first_column(page, heading=""):
    """Return the code in the first column of the tables of a page."""
    return [name for row in table_rows(page, heading) for name in re.findall(r"`([^`]+)`", row[0])]


def measured(heading, figure, stack):
    """Return what the last run of the benchmarks says, by the heading of its page, of a figure of a stack."""
    results = "benchmarks/results/README.md"
    part = (REPOSITORY / results).read_text("utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    [columns] = [line.split(" | ") for line in re.findall(r"^\| (stack .+) \|$", part, re.MULTILINE)]
    [cells] = [row for row in table_rows(results, heading) if row[0] == f"`{stack}`"]
    return cells[columns.index(figure)]


def engine_sources():
    """Return the text of each module of the engine, by its path in there."""
    engine = REPOSITORY / FOLDER / "channels"
    return {path.relative_to(engine).as_posix(): path.read_text("utf-8") for path in sorted(engine.rglob("*.py"))}


def _marks(note):
    marks = {}
    for mark in filter(None, note.split(";")):
        name, _, rest = mark.partition(":")
        marks[name.strip()] = rest.strip()
    return marks


def _is_run(block):
    return "not run" not in block.marks


def _run(block, names):
    code = _compile(block)
    for name in filter(None, re.split(r"[,\s]+", block.marks.get("given", ""))):
        assert name in GIVEN, f"{block} is given {name}, which GIVEN in {__name__} does not make."
        names[name] = GIVEN[name]()
    for name in sorted(_read(code) - _stored(code) - names.keys() - vars(builtins).keys()):
        raise AssertionError(f"{block} uses the name {name}, which it does not import.")
    names |= {"__name__": f"block_{block.number}"}
    exec(code, names)
    return names


def _compile(block):
    # Empty lines in front, so that a traceback shows the line of the page.
    return compile("\n" * (block.line - 1) + block.text, str(REPOSITORY / block.page), "exec", dont_inherit=True)


def _stored(code):
    return {step.argval for step in dis.get_instructions(code) if step.opname in ("STORE_NAME", "STORE_GLOBAL")}


def _read(code):
    """Return the global names that some code reads, and the functions and classes in it."""
    names = {step.argval for step in dis.get_instructions(code) if step.opname in ("LOAD_NAME", "LOAD_GLOBAL")}
    inner = [_read(part) - _stored(part) for part in code.co_consts if isinstance(part, types.CodeType)]
    return names.union(*inner)
