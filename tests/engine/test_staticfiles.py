import pytest

from channels.handler import view_consumer
from channels.staticfiles import StaticFilesConsumer, default_http_consumer
from channels.worker import prepare_router

from .sites import Site


@pytest.fixture
def site(make_site, settings, views, tmp_path):
    """Give a site that serves a folder with a style sheet in it."""
    (tmp_path / "site.css").write_text("body {}")
    settings.STATICFILES_DIRS = [tmp_path]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    layer = make_site().layer
    layer.router.check_default(StaticFilesConsumer())
    return Site(layer)


def body(replies):
    return b"".join(reply["content"] for reply in replies)


def test_files_are_served_below_the_static_url(site):
    replies = site.request("/static/site.css")

    assert replies[0]["status"] == 200
    assert [b"content-type", b"text/css"] in replies[0]["headers"]
    assert body(replies) == b"body {}"


@pytest.mark.parametrize("static_url", ["/static/", "/app/static/"])
def test_files_are_served_below_a_prefix(site, settings, static_url):
    settings.STATIC_URL = static_url

    assert body(site.request("/app/static/site.css", root_path="/app")) == b"body {}"


def test_a_file_that_is_not_there_is_answered_with_404(site):
    assert site.request("/static/nothing.css")[0]["status"] == 404


def test_nothing_outside_of_the_folders_is_served(site, tmp_path):
    (tmp_path.parent / "secret.txt").write_text("secret")

    assert site.request("/static/../secret.txt")[0]["status"] == 400


def test_all_other_paths_are_for_the_views(site):
    assert body(site.request("/hello/")) == b"Hello, world"


def test_files_on_another_host_are_not_ours_to_serve(settings, site):
    settings.STATIC_URL = "https://static.example/static/"

    assert site.request("/static/site.css")[0]["status"] == 404
    assert body(site.request("/hello/")) == b"Hello, world"


@pytest.mark.parametrize("debug", [True, False])
def test_files_are_served_while_debug_is_on_or_as_asked(settings, debug):
    settings.DEBUG = debug

    assert isinstance(default_http_consumer(), StaticFilesConsumer) is debug
    assert isinstance(default_http_consumer(serve_static=True), StaticFilesConsumer)
    assert default_http_consumer(serve_static=False) is view_consumer


def test_without_the_app_no_files_are_served(settings):
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "django.contrib.staticfiles"]

    assert default_http_consumer(serve_static=True) is view_consumer


def test_a_worker_serves_them_without_more_ado(settings, make_site, views):
    settings.DEBUG = True
    layer = make_site().layer
    prepare_router(layer)
    replies = Site(layer).request("/static/chat/chat.css")

    assert replies[0]["status"] == 200
    assert layer.router.channels == {
        "http.request",
        "websocket.connect",
        "websocket.receive",
        "websocket.recheck",
        "websocket.disconnect",
    }
