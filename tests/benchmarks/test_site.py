"""The site that is measured: its visitor is known, and its sessions are kept."""

import importlib
import os
import sqlite3
import subprocess
import sys

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from benchmarks.stacks import APPS, all_stacks

from ..engine.conftest import make_site, nothing_is_left_over  # noqa: F401
from ..engine.sites import Socket

VARIANTS = ["read", "user", "changed"]


@pytest.fixture
def open_socket(make_site, monkeypatch):  # noqa: F811
    """Return a function that opens a socket of the site as a stack's clients do, with a session that knows Ann."""
    monkeypatch.syspath_prepend(APPS / "ours_site")
    site = make_site(importlib.import_module("routing").channel_routing)
    browser = Client()
    browser.force_login(get_user_model().objects.create(username="ann"))
    cookie = f"sessionid={browser.cookies['sessionid'].value}"

    def open_socket(path, cookie=cookie, origin="http://127.0.0.1"):
        headers = [[b"host", b"testserver"], [b"cookie", cookie.encode()], [b"origin", origin.encode()]]
        socket = Socket(site, path, headers=headers)
        socket.answer = socket.connect()
        return socket

    yield open_socket
    for name in ("routing", "consumers"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("variant", VARIANTS)
def test_answers_begin_with_the_name_of_the_visitor(variant, open_socket):
    socket = open_socket(f"/{variant}/echo/")

    assert socket.answer == [{"accept": True}]
    assert [reply["text"] for reply in socket.send("hello")] == ["ann: hello"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_visitor_who_is_not_logged_in_gets_no_such_answer(variant, open_socket):
    socket = open_socket(f"/{variant}/echo/", cookie="")

    assert [reply["text"] for reply in socket.send("hello")] == [": hello"]


def test_a_foreign_page_gets_no_socket(open_socket):
    assert open_socket("/read/echo/", origin="http://elsewhere.test").answer == [{"accept": False}]


def test_a_room_has_what_a_member_says_for_all_until_they_leave(open_socket):
    ann, other = open_socket("/user/room/r1/"), open_socket("/user/room/r1/")

    assert [reply["text"] for reply in ann.send("hello")] == ["ann: hello"]
    assert [reply["text"] for reply in other.received()] == ["ann: hello"]
    other.disconnect()
    ann.send("still there?")
    assert [reply["text"] for reply in other.received()] == []


@pytest.mark.parametrize(("variant", "said"), [("read", 0), ("user", 0), ("changed", 2)])
def test_a_message_changes_the_session_where_the_variant_says_so(variant, said, open_socket):
    socket = open_socket(f"/{variant}/echo/")
    socket.send("one")
    socket.send("two")

    assert socket.session["said"] == said


def test_a_visitor_is_logged_in_before_a_site_starts(tmp_path):
    stack = all_stacks()["ours-site-read-daphne"]
    [prepare] = [process for process in stack.processes if process.ends]
    variables = {name: value.replace("{folder}", str(tmp_path)) for name, value in prepare.variables.items()}

    subprocess.run([sys.executable, *prepare.command[1:]], cwd=prepare.folder, env=os.environ | variables, check=True)

    [[key]] = sqlite3.connect(tmp_path / "site.sqlite3").execute("select session_key from django_session")
    assert stack.headers["Cookie"] == f"sessionid={key}"
