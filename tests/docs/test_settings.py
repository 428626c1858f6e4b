"""The pages have every setting that the engine reads, with its default."""

import ast
import re
from dataclasses import fields

from channels.interface.limits import NO_KEYS, Limits
from channels.layers.content import MAX_SESSION_SIZE
from channels.worker.group import SLOW_CONSUMER
from channels.worker.supervisor import READY_VARIABLE

from .pages import engine_sources, first_column, table_rows

# What test cases and the live server ask for is Django's, and named where these are explained.
SOURCES = [text for name, text in engine_sources().items() if not name.startswith("test/")]


def test_the_page_has_every_setting_that_the_engine_reads():
    read = {
        name
        for text in SOURCES
        for names in re.findall(r'getattr\(settings, "([A-Z_]+)"|\bsettings\.([A-Z][A-Z_]+)\b', text)
        for name in names
        if name
    }

    assert sorted(first_column("docs/settings.md")) == sorted(read)


def test_the_defaults_on_the_page_are_those_of_the_code():
    defaults = {row[0].strip("`"): row[1].strip("`") for row in table_rows("docs/settings.md") if len(row) == 5}

    assert int(defaults["CHANNEL_SESSION_SIZE"]) == MAX_SESSION_SIZE
    assert float(defaults["CHANNELS_SLOW_CONSUMER"]) == SLOW_CONSUMER


def test_every_limit_of_interface_servers_is_explained_with_its_default():
    limits = {field.name: field.default for field in fields(Limits) if field.name not in NO_KEYS}
    explained = {}
    for names, defaults, *_ in table_rows("docs/interface.md", "Limits"):
        values = ast.literal_eval(f"[{defaults.replace('`', '')}]")
        explained |= zip(re.findall(r"\w+", names), values, strict=True)

    assert explained == {name: list(value) if type(value) is tuple else value for name, value in limits.items()}


def test_the_variables_of_the_environment_are_on_the_page():
    text = "".join(engine_sources().values())
    names = set(re.findall(r'= "(CHANNELS_[A-Z_]+)"', text))

    # The other one is between a supervisor and its processes.
    assert names == {"CHANNELS_TEST_SEED", READY_VARIABLE}
