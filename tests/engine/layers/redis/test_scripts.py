"""`channels.layers.redis.scripts`: what runs inside the store is whole, and each definition stands in one file."""

import re

import pytest

from channels.layers.redis import scripts

SCRIPTS = {name: script for name, script in vars(scripts).items() if isinstance(script, scripts.Script)}
FILES = {path.stem: path.read_text("utf-8") for path in scripts._FOLDER.iterdir()}
BUILT_IN = {"function", "ipairs", "pairs", "tonumber", "if", "while", "elseif", "and", "or", "not", "return", "for"}


def shared_of(text):
    return [name for line in re.findall(r"^ *-- include (.*)$", text, re.MULTILINE) for name in line.split(", ")]


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_store_understands_a_script(valkey, name):
    script = SCRIPTS[name]

    assert valkey.client().script_load(script.text) == script.digest


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_defines_what_it_calls_before_that(name):
    code = re.sub(r"--.*|'[^']*'", "", SCRIPTS[name].text.decode())
    defined = set(BUILT_IN)
    for name_of_definition, name_of_call in re.findall(r"local function (\w+)|(?<![.\w])([a-z_]+)\(", code):
        defined.add(name_of_definition)
        assert not name_of_call or name_of_call in defined


def test_each_file_is_a_script_or_shared_by_several():
    uses = [name for text in FILES.values() for name in shared_of(text)]
    scripts_in_store = {name.lower() for name in SCRIPTS}

    assert scripts_in_store == {name for name, text in FILES.items() if text.startswith("#!lua")}
    assert set(uses) == set(FILES) - scripts_in_store
    assert all(uses.count(name) > 1 for name in uses)


def test_no_function_is_defined_twice():
    names = [name for text in FILES.values() for name in re.findall(r"function (\w+)", text)]

    assert len(names) == len(set(names))
