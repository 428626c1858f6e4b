"""The live blog: an entry that is saved, wherever that happens, appears on the page of every reader."""

import sys

import pytest

from ..servers.processes import until_closed
from .conftest import PASSWORD, Browser


@pytest.fixture(scope="module")
def example(make_example):
    return make_example("liveblog")


@pytest.fixture(scope="module")
def server(example):
    example.execute(
        "from django.contrib.auth.models import User; from blogs.models import Blog\n"
        f"User.objects.create_superuser('anna', 'anna@example.com', {PASSWORD!r})\n"
        "for slug in ('tour', 'match'): Blog.objects.create(title=slug.title(), slug=slug)"
    )
    return example.serve(sys.executable, "manage.py", "runserver", "127.0.0.1:{port}")


def test_an_entry_written_in_the_admin_appears_on_the_page_of_each_reader_of_its_blog(server):
    editor = Browser(server)
    assert editor.fill_in("/admin/login/?next=/admin/", username="anna", password=PASSWORD) == "/admin/"

    with (
        Browser(server).socket("/stream/tour/") as first,
        Browser(server).socket("/stream/tour/") as second,
        Browser(server).socket("/stream/match/") as other,
    ):
        path = editor.fill_in("/admin/blogs/entry/add/", blog="1", text="The first hill.\n\n<b>Rain</b>")
        entry = first.receive()
        editor.fill_in("/admin/blogs/entry/add/", blog="2", text="Kick-off")

        assert path == "/admin/blogs/entry/"
        assert entry["html"] == "<p>The first hill.</p>\n\n<p>&lt;b&gt;Rain&lt;/b&gt;</p>"
        assert second.receive() == entry
        # Nothing of the other blog came before this.
        assert other.receive()["html"] == "<p>Kick-off</p>"
    assert f'<article id="entry-{entry["id"]}">{entry["html"]}</article>' in Browser(server).read("/tour/")[1]


def test_an_entry_saved_by_another_process_appears_too_and_so_does_its_change(example, server):
    with Browser(server).socket("/stream/match/") as reader:
        example.execute("from blogs.models import Entry; Entry.objects.create(blog_id=2, text='One nil')")
        written = reader.receive()
        example.execute(
            f"from blogs.models import Entry; e = Entry.objects.get(pk={written['id']}); e.text += '!'; e.save()"
        )

        assert written["html"] == "<p>One nil</p>"
        assert reader.receive() == {**written, "html": "<p>One nil!</p>"}


def test_a_reader_of_a_blog_that_is_not_there_is_told_before_the_socket_closes(server):
    with server.open_socket("/stream/nothing/", origin=f"http://127.0.0.1:{server.port}") as websocket:
        assert until_closed(websocket) == (['{"error": "There is no such blog"}'], 1000)


def test_who_has_left_is_in_no_group(example, server):
    with Browser(server).socket("/stream/tour/"):
        assert len(example.layer().group_channels("blog-1")) == 1

    server.wait_until(lambda: example.layer().group_channels("blog-1") == [])
