"""The workloads, and how each is run against a started stack."""

import json
import resource
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field

from . import procstat
from .environments import BENCHMARKS, REPOSITORY, environment

_WRK_SCRIPT = BENCHMARKS / "load" / "wrk.lua"
_TIMEOUT = 120


class WorkloadError(Exception):
    """The load generator failed; the message is the end of its output."""


@dataclass(frozen=True)
class Workload:
    """
    One kind of load. ``operation`` is what rates and costs are counted by.

    ``mode`` is one of the load generator's, or `http` for wrk; ``kind`` the consumer it talks to, or `layer` where it
    talks to that alone.
    """

    title: str
    operation: str
    mode: str
    kind: str = "echo"
    options: Mapping[str, float] = field(default_factory=dict)


WORKLOADS = {
    "quiet": Workload("No connection at all, 20 s", "", "quiet", options={"duration": 20}),
    "idle": Workload("1,000 idle sockets, 10 s", "socket", "idle", options={"connections": 1000, "duration": 10}),
    "http": Workload("HTTP hello, 32 connections", "request", "http", options={"connections": 32, "duration": 3}),
    "echo": Workload("Echo, 100 sockets, closed loop", "echo", "echo", options={"connections": 100, "duration": 3}),
    "echo_paced": Workload(
        "Echo at low load, 10 sockets, 10 messages/s each",
        "echo",
        "paced",
        options={"connections": 10, "rate": 10, "duration": 5},
    ),
    "site_echo": Workload(
        "Echo of a site that knows its visitors, 100 sockets, closed loop",
        "echo",
        "echo",
        options={"connections": 100, "duration": 3},
    ),
    "site_echo_paced": Workload(
        "Echo of a site that knows its visitors, at low load: 10 sockets, 10 messages/s each",
        "echo",
        "paced",
        options={"connections": 10, "rate": 10, "duration": 5},
    ),
    "room1000": Workload(
        "One room of 1,000, closed loop", "delivery", "broadcast", "room", {"members": 1000, "duration": 4}
    ),
    "rooms20x50": Workload(
        "20 rooms of 50, a closed loop in each",
        "delivery",
        "broadcast",
        "room",
        {"rooms": 20, "members": 50, "duration": 3},
    ),
    "site_room": Workload(
        "One room of 50 on a site that knows its visitors, closed loop",
        "delivery",
        "broadcast",
        "room",
        {"members": 50, "duration": 3},
    ),
    **{
        f"scale{members}": Workload(
            f"One room of {members:,}: opened, then a closed loop",
            "delivery",
            "scale",
            "room",
            {"members": members, "duration": 5},
        )
        for members in (1000, 5000, 15_000)
    },
    "burst": Workload(
        "300 messages at once into a room of 100", "delivery", "burst", "room", {"members": 100, "count": 300}
    ),
    "broker10": Workload(
        "The broker's work for a broadcast to a room of 10",
        "delivery",
        "broker",
        "room",
        {"members": 10},
    ),
    "broker1000": Workload(
        "The broker's work for a broadcast to a room of 1,000",
        "delivery",
        "broker",
        "room",
        {"members": 1000},
    ),
    "storm_echo": Workload(
        "1,000 sockets opened, 100 at a time, echo",
        "connect",
        "storm",
        options={"connections": 1000, "concurrency": 100},
    ),
    "storm_room": Workload(
        "1,000 sockets opened, 100 at a time, one room",
        "connect",
        "storm",
        "room",
        {"connections": 1000, "concurrency": 100},
    ),
    "layer_send": Workload("A layer alone: one process sends, one by one", "message", "send", "layer", {"duration": 3}),
    "layer_receive": Workload(
        "A layer alone: one process takes what waits, one by one", "message", "receive", "layer", {"duration": 3}
    ),
    "layer_round_trip": Workload(
        "A layer alone: one process asks, another answers, closed loop",
        "round trip",
        "round_trip",
        "layer",
        {"duration": 3},
    ),
    "layer_wake_up": Workload(
        "A layer alone: from the send until a worker that slept has the message, 50 a second",
        "message",
        "wake_up",
        "layer",
        {"rate": 50, "duration": 5},
    ),
    **{
        f"layer_group{members}": Workload(
            f"A layer alone: a group with {members:,} members in one process, 20 broadcasts at a time",
            "broadcast",
            "broadcasts",
            "layer",
            {"members": members, "duration": 3},
        )
        for members in (10, 100, 1000)
    },
}


def run(workload, stack, **options):
    """Run a workload against a running stack and return what was measured. Raises ``WorkloadError``."""
    options = {**workload.options, **options}
    if workload.mode == "http":
        return _http(stack, **options)
    more = ["--roles", json.dumps(stack.roles()), *(f"--{name}={value}" for name, value in options.items())]
    if load := stack.stack.load:
        return _run([*stack.expand(load.command), workload.mode, *more], env=stack.environment(load))
    return _run([*_load_command(workload, stack), *more])


def _load_command(workload, stack):
    command = [environment("load") / "bin" / "python", "-m", "benchmarks.load", workload.mode]
    command += ["--url", stack.ws_url(workload.kind), "--dialect", stack.stack.dialect]
    command += ["--headers", json.dumps(dict(stack.stack.headers)), "--prefix", stack.stack.prefix]
    return command + ([f"--redis-port={stack.redis_port}"] if stack.redis_port else [])


def _http(stack, connections, duration):
    def load(seconds):
        options = f"-t1 -c{connections} -d{seconds}s --latency --timeout 5s -s".split()
        return _run(["wrk", *options, str(_WRK_SCRIPT), stack.http_url])

    load(1)
    window = procstat.CpuWindow(stack.roles(), _children_cpu)
    result = load(duration)
    cpu = window.stop()
    return {"ops": result["requests"], "failed": sum(result["errors"].values()), **result, **cpu}


def _children_cpu():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _run(command, **options):
    try:
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=_TIMEOUT, **options)
    except subprocess.TimeoutExpired as error:
        raise WorkloadError(f"not done after {_TIMEOUT} s") from error
    if done.returncode:
        raise WorkloadError((done.stdout + done.stderr)[-1500:])
    return parse_result(done.stdout)


def parse_result(text):
    """Return the result in the output of a load generator. Raises ``WorkloadError``."""
    for line in text.splitlines():
        if line.startswith("RESULT "):
            return json.loads(line.removeprefix("RESULT "))
    raise WorkloadError("no result in: " + text[-500:])
