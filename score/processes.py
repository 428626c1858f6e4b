"""What Linux knows of a running process: memory, processor time, threads, open files."""

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


def count_files(pid):
    """Return the number of open files of a process, sockets among them."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def processor_seconds(pid):
    """Return the processor time that a process has used, in seconds."""
    # The name, in brackets, may hold blanks; user and system time are the 14th and 15th field of the line.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _status(pid, name):
    found = re.search(rf"^{name}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0
