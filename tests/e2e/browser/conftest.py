import shutil

import pytest
from playwright.sync_api import sync_playwright

from ...baking import Baker, copy_repository
from ...services import missing
from .live_site import Person, Site

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="package")
def chromium():
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        missing("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        # Without a sandbox it also runs for root, as in a container; it only ever sees our own pages.
        arguments = ["--no-sandbox", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def project(tmp_path_factory):
    template = copy_repository(tmp_path_factory.mktemp("repository") / "chan-template")
    project = Baker(template, tmp_path_factory.mktemp("browser"))()
    site = Site(project)
    site.manage("migrate")
    site.manage("collectstatic", "--noinput")
    (project / "db.sqlite3").rename(project / "empty.sqlite3")
    return project


@pytest.fixture(scope="module")
def site(project):
    """A site that nobody has been to yet."""
    site = Site(project)
    for left in project.glob("db.sqlite3*"):
        left.unlink()
    shutil.copy(project / "empty.sqlite3", project / "db.sqlite3")
    try:
        site.work()
        site.start()
        yield site
    finally:
        site.close()


@pytest.fixture
def person(chromium, site):
    """Return a function that gives somebody a browser of their own."""
    people = []

    def person(name=None, **options):
        options = {"locale": "en-GB", "viewport": {"width": 900, "height": 720}} | options
        somebody = Person(chromium.new_context(**options), site)
        people.append(somebody)
        if name:
            somebody.sign_up(name)
        return somebody

    yield person
    complaints = [complaint for somebody in people for complaint in somebody.complaints]
    for somebody in people:
        somebody.context.close()
    assert complaints == []
