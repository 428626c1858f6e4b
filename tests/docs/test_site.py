"""The list of pages, which is the navigation of the site; ``make docs`` looks at the rest."""

import re
from pathlib import PurePath

from ..baking import REPOSITORY, repository_files


def test_the_list_of_pages_has_each_page_once_in_one_of_four_parts():
    text = (REPOSITORY / "docs" / "README.md").read_text("utf-8")
    pages = [path.name for path in repository_files() if path.parent == PurePath("docs") and path.suffix == ".md"]

    assert re.findall(r"^## (.+)", text, re.MULTILINE) == ["Start here", "How to", "Reference", "Explanation"]
    assert sorted([*re.findall(r"^\| \[[^\]]+\]\((\S+)\)", text, re.MULTILINE), "README.md"]) == sorted(pages)
