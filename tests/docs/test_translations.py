"""Pages in other languages say the same: code, commands, tables and links are those of the page in English."""

import re

import pytest

from ..baking import REPOSITORY, repository_files
from .pages import TRANSLATIONS, blocks_of

pytestmark = pytest.mark.parametrize(("page", "original"), TRANSLATIONS.items())


def read(page):
    return (REPOSITORY / page).read_text("utf-8")


def targets_of(page):
    """Return where the links of a page lead, those to a page that is translated as if it were not."""
    names = {name.rpartition("/")[2]: original.rpartition("/")[2] for name, original in TRANSLATIONS.items()}
    targets = set(re.findall(r"\]\(([^)]+)\)", read(page)))
    return {re.sub(r"[^/]+$", lambda name: names.get(name[0], name[0]), target) for target in targets}


def test_it_has_the_code_and_the_commands(page, original):
    def code(page):
        return [(block.file, block.language, block.marks, block.text) for block in blocks_of(page)]

    assert code(page) == code(original)


def test_it_has_the_parts_and_the_rows(page, original):
    def outline(page):
        return re.findall(r"^#+ |^\| `.+?` \|", read(page), re.MULTILINE)

    assert outline(page) == outline(original)


def test_it_leads_where_the_original_leads(page, original):
    assert targets_of(page) - {original.rpartition("/")[2]} == targets_of(original) - {original.rpartition("/")[2]}


def test_both_lead_to_each_other(page, original):
    assert f"]({original.rpartition('/')[2]})" in read(page)
    assert f"]({page.rpartition('/')[2]})" in read(original)


def test_every_translation_is_held_to_its_original(page, original):
    translated = {path.as_posix() for path in repository_files() if re.search(r"\.\w\w-\w\w\.md$", path.name)}

    assert translated == set(TRANSLATIONS)
