"""The README: its commands are typed, its tables compared, its example is run."""

import json
import re
import subprocess

import pytest

from ..baking import REPOSITORY, clean_environment, copy_repository, read_env
from .pages import blocks_of

README = (REPOSITORY / "README.md").read_text("utf-8")
QUESTIONS = json.loads((REPOSITORY / "cookiecutter.json").read_text("utf-8"))


def test_the_readme_explains_every_question():
    rows = re.findall(r"^\| (`.+?`) \| (.+?) \|", README.split("## What is inside")[0], re.MULTILINE)
    proposed = {name: text for names, text in rows for name in re.findall(r"`(\w+)`", names)}

    assert list(proposed) == [name for name in QUESTIONS if name[0] != "_"]
    for name, answers in QUESTIONS.items():
        if isinstance(answers, list) and name[0] != "_":
            assert proposed[name] == ", or ".join(answers)


def test_the_readme_lists_every_channel_layer():
    table = README.split("## Channel layers")[1]

    rows = re.findall(r"^\| `(\w+)` \| `(\w+)://", table, re.MULTILINE)
    assert rows == [(name, layer["url"].split(":")[0]) for name, layer in QUESTIONS["_channel_layers"].items()]


def test_the_readmes_cookiecutter_commands_make_projects(tmp_path):
    copy_repository(tmp_path / "path" / "to" / "chan-template")
    environment = clean_environment() | {"HOME": str(tmp_path), "PIP_NO_INDEX": "1"}

    demo, ask, tell = (block.text for block in blocks_of("README.md", "console"))
    for commands in (ask, tell):
        shell = ["bash", "-e", "-c", commands]
        subprocess.run(shell, cwd=tmp_path, env=environment, input="\n" * 9, text=True, check=True)

    assert demo == "make demo\n"
    assert read_env(tmp_path / "my_chat" / ".env")["SITE_NAME"] == "My Chat"
    assert read_env(tmp_path / "village_hall" / ".env")["SITE_NAME"] == "Village Hall"


@pytest.fixture
def site(serve):
    return serve("README.md", "channel_routing")


def test_the_readmes_example_carries_messages_between_the_browsers_of_a_room(site, open_socket):
    ada, bob, eve = (open_socket(site, path) for path in ("/hall/", "/hall/", "/attic/"))
    connected = [socket.connect() for socket in (ada, bob, eve)]
    said = ada.send("hello")
    heard = [bob.received(), eve.received()]
    bob.disconnect()
    ada.send("still there?")

    assert connected == [[{"accept": True}]] * 3
    assert [said, *heard] == [[{"text": "hello"}], [{"text": "hello"}], []]
    assert bob.received() == []


@pytest.mark.parametrize("path", ["/中文/", "/Gruß/", "/a b/", f"/{'a' * 300}/", "/", "/hall/more/", "/../hall/"])
def test_the_readmes_example_refuses_what_can_be_no_name_of_a_group(site, open_socket, caplog, path):
    assert open_socket(site, path).connect() == [{"accept": False}]
    assert caplog.messages == []


@pytest.mark.parametrize("origin", ["https://elsewhere.example", "http://chat.example.org", "null", ""])
def test_the_readmes_example_refuses_pages_of_other_sites(site, open_socket, origin):
    assert open_socket(site, origin=origin).connect() == [{"accept": False}]
