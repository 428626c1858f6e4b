"""
What the engine is meant to reach, and whether it does: ratios to its peers within one run.

A ratio is taken in each round, where both sides are measured one right after the other; its median over the rounds
counts. Rounds in which other programs kept the machine busy count only where there is no better one. Values in,
values out.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from .figures import derive, typical_probe_us

OURS = "ours-1w-{server}"
AGAINST = "against-1w-{server}"
IPC, RABBITMQ = "ours-ipc-1w-{server}", "ours-rabbitmq-1w-{server}"
IPC_ALONE, RABBITMQ_ALONE = "ours-layer-ipc", "ours-layer-rabbitmq"
CHANNELS4 = "channels4-async-redis-{server}"
PUBSUB = "channels4-async-pubsub-{server}"
BARE = "bare-{server}"
SITE_READ, SITE_USER, SITE_CHANGED = "ours-site-read-{server}", "ours-site-user-{server}", "ours-site-changed-{server}"
USER_POSTGRES = "ours-site-user-postgres-{server}"
CONNECT_POSTGRES, FRESH_POSTGRES = "channels4-site-connect-postgres-{server}", "channels4-site-fresh-postgres-{server}"
CHANNELS4_CONNECT, CHANNELS4_FRESH = "channels4-site-connect-{server}", "channels4-site-fresh-{server}"

ALONE = ("",)
# Where other programs used more, in CPUs, a measurement is disturbed.
BUSY = 0.25


@dataclass(frozen=True)
class Target:
    """
    A limit for a figure of a ``stack`` of our engine, or for its ratio to the same figure ``of`` another stack or
    workload.

    ``figure`` may name a part: `cpu_share.worker`. With ``every_round`` the worst round counts, not the median. Where
    the stack has no server, ``servers`` is `ALONE`.
    """

    subject: str
    what: str
    workload: str
    figure: str
    of: str = ""
    of_workload: str = ""
    at_least: float | None = None
    at_most: float | None = None
    servers: Sequence[str] = ("daphne", "uvicorn")
    every_round: bool = False
    unit: str = ""
    scale: float = 1
    stack: str = OURS

    @property
    def sides(self):
        """What has to be measured: stacks, still without a server, and workloads."""
        own, other = (self.stack, self.workload), (self.of, self.of_workload or self.workload)
        return [own, other] if self.of else [own]

    def is_met_by(self, value):
        if self.at_least is not None:
            return value >= self.at_least
        return value <= self.at_most


@dataclass(frozen=True)
class Round:
    """The value of one round, and whether other programs disturbed it."""

    value: float
    disturbed: bool = False


@dataclass(frozen=True)
class Outcome:
    """What the rounds have shown for a target on one server. ``value`` is None without any."""

    target: Target
    server: str
    rounds: Sequence[Round]

    @property
    def is_disturbed(self):
        """Whether there is no undisturbed round."""
        return all(one.disturbed for one in self.rounds)

    @property
    def value(self):
        if not self.rounds:
            return None
        if self.target.every_round:
            values = [one.value for one in self.rounds]
            return min(values) if self.target.at_least is not None else max(values)
        return statistics.median(one.value for one in self.rounds if self.is_disturbed or not one.disturbed)

    @property
    def is_met(self):
        return None if self.value is None else self.target.is_met_by(self.value)


_DAPHNE, _UVICORN = ("daphne",), ("uvicorn",)
_RATE, _CPU = "rate, to Channels 4", "CPU per operation, to Channels 4"
_ROOM, _HTTP, _ECHO, _LOW = "room of 1,000", "HTTP", "echo", "echo at low load"
_READ, _USER, _CHANGED = (
    "site's echo, session read, user not asked",
    "site's echo, user asked",
    "site's echo, session changed",
)
_LIMIT_LOW = {"at_most": 10, "unit": "ms", "scale": 1e-3}

TARGETS = [
    Target(_ROOM, _RATE, "room1000", "rate", CHANNELS4, at_least=3.5, servers=_DAPHNE),
    Target(_ROOM, "rate, to Channels 4 on pub/sub", "room1000", "rate", PUBSUB, at_least=2.5, servers=_DAPHNE),
    Target(_ROOM, _RATE, "room1000", "rate", CHANNELS4, at_least=8, servers=_UVICORN),
    Target(_ROOM, "CPU, to a bare application", "room1000", "cpu_us", BARE, at_most=1.25, servers=_DAPHNE),
    Target(_ROOM, "CPU, to a bare application", "room1000", "cpu_us", BARE, at_most=2, servers=_UVICORN),
    Target("burst into a room of 100", "deliveries lost in any round", "burst", "missing", at_most=0, every_round=True),
    Target(
        _ROOM,
        "commands of the broker per broadcast, to a room of 10",
        "broker1000",
        "redis_calls_per_broadcast",
        OURS,
        "broker10",
        at_most=1.1,
        servers=_UVICORN,
    ),
    Target(_HTTP, _RATE, "http", "rate", CHANNELS4, at_least=2, servers=_DAPHNE),
    Target(_HTTP, _RATE, "http", "rate", CHANNELS4, at_least=2.5, servers=_UVICORN),
    Target(_HTTP, _CPU, "http", "cpu_us", CHANNELS4, at_most=0.5, servers=_DAPHNE),
    Target(_HTTP, _CPU, "http", "cpu_us", CHANNELS4, at_most=0.45, servers=_UVICORN),
    Target(_ECHO, _RATE, "echo", "rate", CHANNELS4, at_least=1.2, servers=_DAPHNE),
    Target(_ECHO, _RATE, "echo", "rate", CHANNELS4, at_least=1, servers=_UVICORN),
    Target(_ECHO, _CPU, "echo", "cpu_us", CHANNELS4, at_most=1.3, servers=_DAPHNE),
    Target(_ECHO, _CPU, "echo", "cpu_us", CHANNELS4, at_most=1.8, servers=_UVICORN),
    Target(_LOW, "p50", "echo_paced", "p50_us", at_most=2.5, unit="ms", scale=1e-3),
    Target(_LOW, "p99", "echo_paced", "p99_us", at_most=10, unit="ms", scale=1e-3),
    Target(_READ, "rate, to the bare echo", "site_echo", "rate", OURS, "echo", at_least=0.8, stack=SITE_READ),
    *(
        Target(f"{_USER}{on}", what, "site_echo", figure, other, stack=stack, **limit)
        for on, stack, fresh, connect in [
            ("", SITE_USER, CHANNELS4_FRESH, CHANNELS4_CONNECT),
            (", on PostgreSQL", USER_POSTGRES, FRESH_POSTGRES, CONNECT_POSTGRES),
        ]
        for what, figure, other, limit in [
            (f"{_RATE}, user fresh", "rate", fresh, {"at_least": 2}),
            (f"{_CPU}, user fresh", "cpu_us", fresh, {"at_most": 0.5}),
            (f"{_RATE}, user of the connect", "rate", connect, {"at_least": 1}),
            (f"{_CPU}, user of the connect", "cpu_us", connect, {"at_most": 1}),
        ]
    ),
    Target(_CHANGED, "rate, to session read", "site_echo", "rate", SITE_READ, at_least=0.8, stack=SITE_CHANGED),
    Target(f"{_READ}, at low load", "p99", "site_echo_paced", "p99_us", stack=SITE_READ, **_LIMIT_LOW),
    Target(f"{_USER}, at low load", "p99", "site_echo_paced", "p99_us", stack=SITE_USER, **_LIMIT_LOW),
    Target(
        f"{_USER}, on PostgreSQL, at low load", "p99", "site_echo_paced", "p99_us", stack=USER_POSTGRES, **_LIMIT_LOW
    ),
    Target(f"{_CHANGED}, at low load", "p99", "site_echo_paced", "p99_us", stack=SITE_CHANGED, **_LIMIT_LOW),
    Target("idle", "CPU of the worker", "quiet", "cpu_share.worker", at_most=1, unit="%", scale=100),
    Target("idle", "CPU of the interface server", "quiet", "cpu_share.server", at_most=1, unit="%", scale=100),
    # A reader that polled every 50 ms would already need as many; a script and each command in it count.
    Target("idle", "commands of the broker: no polling", "quiet", "redis_calls_per_s", at_most=20, unit="/s"),
    Target("connects", _RATE, "storm_echo", "rate", CHANNELS4, at_least=1.2),
    Target(
        "delivery in a room of 15,000",
        "CPU, to a room of 1,000",
        "scale15000",
        "cpu_us",
        OURS,
        "scale1000",
        at_most=1.2,
    ),
    Target(
        "memory per socket in a room of 15,000",
        "to a room of 1,000",
        "scale15000",
        "kib_per_socket",
        OURS,
        "scale1000",
        at_most=1.05,
    ),
    Target("memory per idle socket", "to Channels 4", "idle", "kib_per_socket", CHANNELS4, at_most=0.75),
    Target("echo over IPC", "rate, to Redis", "echo", "rate", OURS, at_least=1.5, stack=IPC),
    Target("echo over IPC", "CPU per operation, to Redis", "echo", "cpu_us", OURS, at_most=0.7, stack=IPC),
    Target("echo over RabbitMQ", "rate, to Redis", "echo", "rate", OURS, at_least=0.4, stack=RABBITMQ),
    *(
        Target(
            f"broadcast over {name} to {members:,} members",
            "CPU per broadcast, to a group of 10",
            f"layer_group{members}",
            "cpu_us",
            stack,
            "layer_group10",
            at_most=1.2,
            servers=ALONE,
            stack=stack,
        )
        for name, stack in [("IPC", IPC_ALONE), ("RabbitMQ", RABBITMQ_ALONE)]
        for members in (100, 1000)
    ),
]

# Of a run with ``--against``: not slower than the other engine. What two runs of one engine differ by is allowed.
_AGAINST_RATE, _AGAINST_CPU = "rate, to the other engine", "CPU per operation, to the other engine"
PAIRED = [
    target
    for subject, workload in [(_ECHO, "echo"), (_ROOM, "room1000"), (_HTTP, "http")]
    for target in (
        Target(subject, _AGAINST_RATE, workload, "rate", AGAINST, at_least=0.97),
        Target(subject, _AGAINST_CPU, workload, "cpu_us", AGAINST, at_most=1.03),
    )
]


def targets_of(lines):
    """Return the targets that a run can be about: those to another engine only where one was measured."""
    paired = any(line["stack"].startswith("against-1w-") for line in lines)
    return [*PAIRED, *TARGETS] if paired else TARGETS


def judge(lines, targets=None):
    """Return an ``Outcome`` for every target and server of which all sides were tried, from the lines of one run."""
    targets = targets_of(lines) if targets is None else targets
    probe_us = typical_probe_us(lines)
    measured = {
        (line["round"], line["stack"], line["workload"]): derive(line, probe_us)
        for line in lines
        if "error" not in line
    }
    numbers = sorted({line["round"] for line in lines})
    tried = {(line["stack"], line["workload"]) for line in lines}
    outcomes = []
    for target in targets:
        for server in target.servers:
            if all((name.format(server=server), workload) in tried for name, workload in target.sides):
                rounds = [_round(target, server, measured, number) for number in numbers]
                outcomes.append(Outcome(target, server, [one for one in rounds if one is not None]))
    return outcomes


def _round(target, server, measured, number):
    sides = [measured.get((number, name.format(server=server), workload), {}) for name, workload in target.sides]
    value, *others = [_figure(figures, target.figure) for figures in sides]
    if value is None or not all(others):
        return None
    return Round(value / others[0] if others else value * target.scale, any(map(_is_disturbed, sides)))


def _figure(figures, name):
    """Return a figure, or with a dot in its name a part of one; None where it was not measured."""
    value = figures
    for part in name.split("."):
        value = None if value is None else value.get(part)
    return value


def _is_disturbed(figures):
    return figures.get("other_share", 0) > BUSY
