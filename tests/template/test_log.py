"""`config/log.py`: one line for each record, for people or for programs."""

import json
import logging
import sys

from config.log import JsonFormatter, LineFormatter


def record(message, *arguments, error=None, **extra):
    made = logging.makeLogRecord({"name": "chat", "levelname": "INFO", "msg": message, "args": arguments, **extra})
    if error:
        try:
            raise error
        except type(error):
            made.exc_info = sys.exc_info()
    return made


def test_what_people_write_begins_no_line_of_its_own_and_reaches_no_terminal():
    line = LineFormatter().format(record("%s has come", "anna\nERROR chat: \x1b[2Jno\u2028no\x9b1m"))

    assert line.endswith("INFO chat: anna\\x0aERROR chat: \\x1b[2Jno\\u2028no\\x9b1m has come")


def test_a_traceback_stands_below_its_line():
    lines = LineFormatter().format(record("It failed", error=ValueError("so"))).splitlines()

    assert lines[0].endswith("INFO chat: It failed")
    assert (lines[1], lines[-1]) == ("Traceback (most recent call last):", "ValueError: so")


def test_a_program_gets_one_object_for_each_record():
    made = record("%s has\ncome", "anna", error=ValueError("so"), room=3, level="odd", what=object)
    text = JsonFormatter().format(made)
    line = json.loads(text)

    assert "\n" not in text
    assert (line["level"], line["logger"], line["message"], line["room"]) == ("INFO", "chat", "anna has\ncome", 3)
    assert line["time"].endswith("+00:00") and line["process"] > 0
    assert line["exception"].endswith("ValueError: so")
    assert line["what"] == "<class 'object'>"
