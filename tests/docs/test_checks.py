"""The page has every check of the engine."""

import re

from .pages import engine_sources, first_column


def test_the_page_has_the_ids_of_all_checks():
    given = {found for text in engine_sources().values() for found in re.findall(r'id="(channels\.[A-Z]\d+)"', text)}

    assert first_column("docs/checks.md") == sorted(given)
