"""
How a line of the log is written: for people, or as JSON for a program that collects logs.

One record is one line, whatever people have written: what would end a line, or change the terminal, is spelled out.
"""

import json
import logging
from datetime import UTC, datetime

# What a record has of itself; the rest was given as ``extra``.
OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
SPELLED = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))} | {
    9: "\t",
    0x2028: "\\u2028",
    0x2029: "\\u2029",
}


class LineFormatter(logging.Formatter):
    """Writes ``2026-11-29 08:15:30,123 INFO chat: What has happened``, and a traceback below it."""

    def __init__(self):
        super().__init__("{asctime} {levelname} {name}: {message}", style="{")

    def formatMessage(self, record):
        return super().formatMessage(record).translate(SPELLED)


class JsonFormatter(logging.Formatter):
    """Writes an object for each record; what was given as ``extra`` stands in it under its own name."""

    def format(self, record):
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
            "thread": record.threadName,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        extra = {name: value for name, value in vars(record).items() if name not in OWN}
        return json.dumps(extra | line, default=str)
