"""The repository itself: names that every system accepts, text that is true, nothing of the machine it was made on."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from .baking import REPOSITORY, repository_files

FILES = repository_files()
# What Windows accepts in no name, and the names it takes for devices.
ILLEGAL = re.compile(r'[<>:"|?*\x00-\x1f\\]|[. ]$|^(con|prn|aux|nul|com\d|lpt\d)(\.|$)', re.IGNORECASE)
DOCUMENTS = [path for path in FILES if path.suffix == ".md"]


def read(name):
    return (REPOSITORY / name).read_text("utf-8")


def test_every_path_is_legal_on_windows_and_short():
    for path in FILES:
        for name in path.parts:
            assert ILLEGAL.search(name) is None, path
        assert len(path.as_posix()) < 150, path


def test_no_two_paths_differ_in_case_only():
    assert len({path.as_posix().casefold() for path in FILES}) == len(FILES)


def test_every_folder_of_tests_is_a_package():
    folders = {REPOSITORY / path.parent for path in FILES if path.parts[0] == "tests" and path.suffix == ".py"}

    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_lines_end_as_on_unix():
    text = [path for path in FILES if path.suffix not in {".ico", ".mo", ".png"}]
    assert [path for path in text if b"\r\n" in (REPOSITORY / path).read_bytes()] == []


def test_no_file_names_a_place_on_this_machine():
    # A folder right below the root, such as /app, may well be meant as an example.
    folders = [Path.home(), *(folder for folder in (REPOSITORY, *REPOSITORY.parents) if len(folder.parts) > 2)]
    places = [f"{folder}/".encode() for folder in folders]

    for path in FILES:
        content = (REPOSITORY / path).read_bytes()
        assert [place for place in places if place in content] == [], path


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_lead_to_files_and_headings_that_exist(document):
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", text_of(document)):
        page = REPOSITORY / document.parent / target if target else REPOSITORY / document

        assert page.exists(), f"{document} leads to {target}, which is not there"
        assert not anchor or anchor in anchors_of(page), f"{document} leads to {target}#{anchor}, which is no heading"


def text_of(page):
    """Return the text of a page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", read(page), flags=re.MULTILINE | re.DOTALL)


def anchors_of(page):
    """Return what GitHub, and the site of the documents, call the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_the_folders_and_files_a_document_names_exist(document):
    text = read(document)
    # Those that it has its reader write stand alone in a line, above their text.
    named = {*re.findall(r"`((?:[\w{}.-]+/)+[\w.-]*)`", text)} - {*re.findall(r"^`(\S+)`:$", text, re.MULTILINE)}
    paths = [f"/{path.as_posix()}" for path in FILES]

    for name in named:
        known = any(f"/{name}" in path for path in paths)
        assert known or name.startswith("build/"), f"{document} names {name}, which is not there"


def test_make_without_a_target_lists_every_target():
    shown = subprocess.run(["make"], cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout

    listed = re.findall(r"^make ([\w-]+)", shown, re.MULTILINE)
    assert set(listed) | {"help"} == set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))


@pytest.mark.parametrize("target", ["demo", "test"])
def test_make_refuses_a_python_that_is_too_old(tmp_path, target):
    old = tmp_path / "python3.9"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\nexit 1\n')
    old.chmod(0o755)

    command = ["make", "-f", REPOSITORY / "Makefile", target, f"PYTHON={old}", "UV="]
    (tmp_path / "pyproject.toml").touch()
    refused = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    assert refused.returncode != 0
    assert f"This needs Python 3.11 or newer; {old} is Python 3.9.2." in refused.stdout
    assert f"make {target} PYTHON=python3.12" in refused.stdout


def test_the_changelog_opens_with_this_version():
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]

    assert re.search(r"^## (\S+)", read("CHANGELOG.md"), re.MULTILINE)[1] == version
