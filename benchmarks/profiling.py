"""Where does the time go? py-spy on every Python process of a stack, and what its Redis counted."""

import re
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

from . import procstat
from .commandstats import read_commands, spent
from .environments import BUILD, environment
from .processes import RunningStack
from .workloads import WORKLOADS, run

PROFILES = BUILD / "profiles"
# Seconds from the start of the load to that of the samples: 1,000 sockets have to be opened first.
_SETTLE = 4
_RATE = 400
_TOP = 25
# Functions in which a thread waits. py-spy cannot always tell that from work.
_WAITING = re.compile(r"^(Condition\.wait|\w+Selector\.select|_HiredisParser\.read_from_socket|Popen\._try_wait) ")


def profile(stack, workload, seconds=5, by_line=False, native=False):
    """
    Run one workload once and return a report in plain text.

    The samples stay in build/bench/profiles/, one file for each process, in the format flame graphs are made of.
    """
    longer = {"duration": seconds + _SETTLE + 1} if "duration" in WORKLOADS[workload].options else {}
    with RunningStack(stack) as running:
        time.sleep(1)
        before = read_commands(running.redis_port) if running.redis_port else {}
        outcome = {}
        load = threading.Thread(target=lambda: outcome.update(run(WORKLOADS[workload], running, **longer)))
        load.start()
        if longer:
            time.sleep(_SETTLE)
        files, shares = _record(running, seconds, by_line, native)
        load.join()
        after = read_commands(running.redis_port) if running.redis_port else {}
    parts = [f"# {stack.name}, {workload}: {outcome.get('ops', 'no')} operations measured\n"]
    parts += [f"CPU time of {role}: {used / seconds:.0%} of one CPU" for role, used in shares.items()]
    parts += ["", *(section(role, file.read_text("utf-8").splitlines()) for role, file in files)]
    parts += [redis_section(spent(before, after))] if after else []
    return "\n".join(parts)


def _record(running, seconds, by_line, native):
    """Sample all Python processes at the same time; return ``(role, file)`` of each, and CPU seconds by role."""
    PROFILES.mkdir(parents=True, exist_ok=True)
    options = ["--duration", str(seconds), "--rate", str(_RATE), "--format", "raw"]
    options += [] if by_line else ["--function"]
    options += ["--native"] if native else []
    jobs = []
    for role, root in running.processes:
        for pid in filter(_is_python, procstat.tree(root.pid)):
            file = PROFILES / f"{running.stack.name}-{role}-{pid}.txt"
            command = [environment("profiler") / "bin" / "py-spy", "record", "--pid", str(pid), "--output", file]
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            jobs.append((role, file, subprocess.Popen([*command, *options], **quiet)))
    window = procstat.CpuWindow(running.roles(), time.process_time)
    time.sleep(seconds)
    shares = window.stop()["cpu_s_by_role"]
    for _, _, job in jobs:
        job.wait()
    return [(role, file) for role, file, _ in jobs if file.exists()], shares


def _is_python(pid):
    return b"python" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]


def short(frame):
    """Return a frame with the last two parts of its path: `f (a/b/site-packages/c/d.py:12)`, `f (c/d.py:12)`."""
    return re.sub(r"\([^()]*/([^/()]+/[^/()]+)\)", r"(\1)", frame)


def section(role, lines):
    """Return the report on one process from py-spy's lines; samples of threads that wait are left out."""
    own, inclusive = count_frames(lines)
    total = own.total() or 1
    rows = [f"## {role}: {own.total()} samples of threads at work\n", "own    with callees"]
    rows += [_row(frame, own, inclusive, total) for frame, _ in own.most_common(_TOP)]
    rows += ["\nmost with callees"]
    rows += [_row(frame, own, inclusive, total) for frame, _ in inclusive.most_common(_TOP + 10)]
    return "\n".join(rows) + "\n"


def _row(frame, own, inclusive, total):
    return f"{own[frame] / total:6.1%}  {inclusive[frame] / total:6.1%}  {frame}"


def count_frames(lines):
    """Return how often each frame was at work itself, and how often it or something it called was."""
    own, inclusive = Counter(), Counter()
    for line in lines:
        stack, count = line.rsplit(" ", 1)
        frames = [short(frame) for frame in stack.split(";")]
        if _WAITING.match(frames[-1]):
            continue
        own[frames[-1]] += int(count)
        for frame in set(frames):
            inclusive[frame] += int(count)
    return own, inclusive


def redis_section(commands):
    """Return the report on Redis; ``commands`` are {command: (calls, microseconds)}."""
    total = sum(microseconds for _, microseconds in commands.values()) or 1
    rows = ["## redis: calls in the whole run, share of its time\n"]
    rows += [f"{calls:10,}  {microseconds / total:6.1%}  {name}" for name, (calls, microseconds) in commands.items()]
    return "\n".join(rows) + "\n"
