"""What Linux knows of a running process: memory, processor time, threads, open files."""

import contextlib
import os
import re
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def resident_size(pid):
    """Return the memory that a process holds, in bytes."""
    return _status(pid, "VmRSS") * 1024


def count_threads(pid):
    """Return the number of threads of a process."""
    return _status(pid, "Threads")


def open_files(pid):
    """Return what each open file of a process leads to, sockets and pipes among them."""
    targets = []
    for number in os.listdir(f"/proc/{pid}/fd"):
        # One that is closed meanwhile is not open.
        with contextlib.suppress(FileNotFoundError):
            targets.append(os.readlink(f"/proc/{pid}/fd/{number}"))
    return targets


def unsent_bytes(port, client_port):
    """Return what a local client of a port has still to be sent by the system, in bytes."""
    ends = (f":{port:04X}", f":{client_port:04X}")
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        if (local[-5:], remote[-5:]) == ends:
            return int(queues.partition(":")[0], 16)
    return 0


def processor_seconds(pid):
    """Return the processor time that a process has used, in seconds."""
    # The name, in brackets, may hold blanks; user and system time are the 14th and 15th field of the line.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _status(pid, name):
    found = re.search(rf"^{name}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0
