"""How often a Redis was asked for what, counted by itself."""

import re
import socket


def read_commands(port):
    """Return {command: (calls, microseconds)} of the Redis on a port since it was started."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(b"INFO commandstats\r\n")
        reply = connection.makefile("rb")
        size = int(reply.readline()[1:])
        return parse_commands(reply.read(size).decode())


def parse_commands(text):
    """Return {command: (calls, microseconds)} from the text of INFO commandstats."""
    found = re.findall(r"cmdstat_(\S+?):calls=(\d+),usec=(\d+)", text)
    return {name: (int(calls), int(microseconds)) for name, calls, microseconds in found}


def spent(before, after):
    """Return what lies between two readings, the most costly first, without our own INFO."""
    commands = {}
    for name, (calls, microseconds) in after.items():
        calls0, microseconds0 = before.get(name, (0, 0))
        if calls > calls0 and name != "info":
            commands[name] = (calls - calls0, microseconds - microseconds0)
    return dict(sorted(commands.items(), key=lambda item: -item[1][1]))
