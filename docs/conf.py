"""How ``make docs`` makes a site of these pages, by Sphinx. They are plain Markdown, and know nothing of it."""

import re
import shutil
from pathlib import Path

project = html_title = "chan-template"
# The list of pages, here and on GitHub.
root_doc = "README"
extensions = ["myst_parser"]
html_theme = "furo"
# Headings have the anchors that GitHub gives them.
myst_heading_anchors = 4
smartquotes = False
html_copy_source = False


def add_navigation(app, page, source):
    """Make the navigation of the list of pages: a part for each heading, with the pages of its table in their order."""
    if page == root_doc:
        for part in re.split(r"^## ", source[0], flags=re.MULTILINE)[1:]:
            pages = re.findall(r"^\| \[[^\]]+\]\((\S+)\.md\)", part, re.MULTILINE)
            caption = f":caption: {part.splitlines()[0]}"
            source[0] += "\n".join(["", "```{toctree}", ":hidden:", caption, *pages, "```", ""])


def name_files(app, page, source):
    """Name the files of the repository that a page leads to: they are no pages of the site."""
    source[0] = re.sub(r"\[([^\]]+)\]\(\.\./([^)]+)\)", r"\1 (`\2`)", source[0])


def name_language(app, page, template, context, doctree):
    """Say in which language a page is written: its name ends in that, unless it is English."""
    context["language"] = page.partition(".")[2] or "en"


def add_front_page(app, error):
    """Put the list of pages where a web server looks for the front page, too."""
    if error is None:
        shutil.copy(Path(app.outdir) / f"{root_doc}.html", Path(app.outdir) / "index.html")


def setup(app):
    app.connect("source-read", add_navigation)
    app.connect("source-read", name_files)
    app.connect("html-page-context", name_language)
    app.connect("build-finished", add_front_page)
    return {"parallel_read_safe": True}
