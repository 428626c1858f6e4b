"""
What is measured: stacks of processes, as values. `processes` runs them.

In commands and environments `{port}`, `{redis_port}` and `{database_port}` stand for ports that are chosen when a stack
starts, and `{folder}` for a folder that is empty then.
"""

import fnmatch
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from .environments import BENCHMARKS, REPOSITORY, environment

APPS = BENCHMARKS / "apps"
ENGINE_FOLDER = "{{cookiecutter.project_slug}}"
# These need a visitor who is logged in.
SITE_WORKLOADS = ("site_echo", "site_echo_paced", "site_room")
_VISITOR, _SESSION_KEY = "ann", "sessionofthebenchmark"
# What consumers do with each message.
_VARIANTS = {
    "read": "session read, user not asked",
    "user": "user asked",
    "changed": "session changed",
}
_CHANNELS4_VARIANTS = {
    "connect": "user of the connect",
    "fresh": "user looked up again",
}

_SERVERS = ("daphne", "uvicorn")
_UVICORN = "--loop uvloop --http httptools --ws websockets-sansio --no-access-log --log-level warning"


@dataclass(frozen=True)
class Process:
    """
    One command. Before the next is started, it must listen on the port ``listens``, and the command ``ready`` must end
    well.

    All run as long as the stack, but for one that ``ends``: it must have done so, well, before the next is started.
    """

    role: str
    command: Sequence[str]
    folder: Path = BENCHMARKS
    variables: Mapping[str, str] = field(default_factory=dict)
    listens: str = ""
    ready: Sequence[str] = ()
    ends: bool = False


@dataclass(frozen=True)
class Stack:
    """
    Processes that serve `/hello`, `/echo/` and `/room/<name>/` together.

    ``environments`` are those that must be installed; ``workloads`` those that make sense, None for all but those of
    sites. Sockets are opened with ``headers``, and ``prefix`` must stand before each message in its answer.
    """

    name: str
    title: str
    environments: Sequence[str]
    processes: Sequence[Process]
    workloads: Sequence[str] | None = None
    hello: str = "/hello"
    echo: str = "/echo/"
    room: str = "/room/{room}/"
    dialect: str = "plain"
    headers: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""

    @property
    def needs_postgresql(self):
        return any(process.role == "postgresql" for process in self.processes)

    def runs(self, workload):
        return workload not in SITE_WORKLOADS if self.workloads is None else workload in self.workloads


def engine_folder(path):
    """Return the folder that holds the package `channels`, in a checkout of this repository or the folder itself."""
    path = Path(path).resolve()
    for folder in (path / ENGINE_FOLDER, path):
        if (folder / "channels" / "__init__.py").is_file():
            return folder
    raise FileNotFoundError(
        f"There is no engine in {path}: expected a checkout of this repository, with channels in it."
    )


def copy_engine(path, folder):
    """Copy the engine of a checkout, so that it stays as it is while it is measured, and return the folder."""
    shutil.copytree(engine_folder(path) / "channels", folder / "channels")
    return folder


# The parts of stacks


def _program(environment_name, program, arguments):
    return (str(environment(environment_name) / "bin" / program), *arguments.split())


def _redis():
    command = ["redis-server", "--port", "{redis_port}", "--bind", "127.0.0.1", "--appendonly", "no", "--save", ""]
    return Process("redis", command, listens="{redis_port}")


def _postgresql():
    command = (sys.executable, "-m", "benchmarks.postgresql", "{database_port}")
    return Process("postgresql", command, REPOSITORY, ready=[*command, "--accepts"])


def _server(server, environment_name, app, folder, variables=()):
    """Return the process of an ASGI server."""
    arguments = {
        "daphne": f"-b 127.0.0.1 -p {{port}} -v 0 {app}",
        "uvicorn": f"--host 127.0.0.1 --port {{port}} {_UVICORN} {app}",
    }[server]
    return Process("server", _program(environment_name, server, arguments), folder, dict(variables))


# The stacks


def _ours(server, workers, engine, name="ours"):
    folder = APPS / "ours"
    variables = {
        "PYTHONPATH": os.pathsep.join([str(folder), str(engine)]),
        "DJANGO_SETTINGS_MODULE": "settings",
        "CHANNEL_LAYER_URL": "redis://127.0.0.1:{redis_port}/0",
    }
    worker = _program("ours", "django-admin", f"runworker --processes {workers}")
    return Stack(
        name=f"{name}-{workers}w-{server}",
        title=f"this engine, {server}, {workers} worker process" + "es" * (workers > 1),
        environments=["ours"],
        processes=[
            _redis(),
            Process("worker", worker, folder, variables),
            _server(server, "ours", "asgi:channel_layer", folder, variables),
        ],
    )


def _channels4(consumer, layer, server):
    folder = APPS / "channels4"
    variables = {
        "PYTHONPATH": str(folder),
        "DJANGO_SETTINGS_MODULE": "settings",
        "REDIS_PORT": "{redis_port}",
        "LAYER": layer,
        "CONSUMER": consumer,
    }
    return Stack(
        name=f"channels4-{consumer}-{layer}-{server}",
        title=f"Channels 4, {consumer} consumer, channels_redis ({layer}), {server}",
        environments=["channels4"],
        processes=[_redis(), _server(server, "channels4", "asgi:application", folder, variables)],
    )


def _site(like, name, title, app, variant, server, on_postgresql):
    """Return a stack with the processes of another one, for a site in whose database a visitor is logged in."""
    folder, [environment_name] = APPS / app, like.environments
    redis, *others = like.processes
    if on_postgresql:
        name, title = f"{name}-postgres", f"{title}, on PostgreSQL"
        databases, database = [_postgresql()], {"POSTGRESQL_PORT": "{database_port}"}
    else:
        databases, database = [], {"SQLITE_FILE": "{folder}/site.sqlite3"}

    def on_site(process):
        _, *engine = process.variables["PYTHONPATH"].split(os.pathsep)
        variables = {
            **process.variables,
            "PYTHONPATH": os.pathsep.join([str(folder), str(APPS / "site"), *engine]),
            **database,
            "USERNAME": _VISITOR,
            "SESSION_KEY": _SESSION_KEY,
        }
        return replace(process, folder=folder, variables=variables)

    processes = list(map(on_site, others))
    prepare = replace(
        processes[0], role="prepare", command=_program(environment_name, "python", "-m prepare"), ends=True
    )
    return Stack(
        name=f"{name}-{server}",
        title=title,
        environments=like.environments,
        processes=[redis, *databases, prepare, *processes],
        workloads=SITE_WORKLOADS,
        echo=f"/{variant}/echo/",
        room=f"/{variant}/room/{{room}}/",
        headers={"Origin": "http://127.0.0.1", "Cookie": f"sessionid={_SESSION_KEY}"},
        prefix=f"{_VISITOR}: ",
    )


def _ours_site(variant, server, on_postgresql, engine, name="ours"):
    title = f"this engine, {server}, 1 worker process: a site, {_VARIANTS[variant]}"
    like = _ours(server, 1, engine)
    return _site(like, f"{name}-site-{variant}", title, "ours_site", variant, server, on_postgresql)


def _channels4_site(variant, server, on_postgresql):
    title = f"Channels 4, sync consumer, channels_redis (redis), {server}: a site, {_CHANNELS4_VARIANTS[variant]}"
    like = _channels4("sync", "redis", server)
    return _site(like, f"channels4-site-{variant}", title, "channels4_site", variant, server, on_postgresql)


def _django(server):
    folder = APPS / "django"
    variables = {"PYTHONPATH": str(folder), "DJANGO_SETTINGS_MODULE": "settings"}
    process = _server(server, "plain", "asgi:application", folder, variables)
    return Stack(f"django-{server}", f"Django alone, {server}", ["plain"], [process], workloads=["http"])


def _gunicorn(workers):
    folder = APPS / "django"
    variables = {"PYTHONPATH": str(folder), "DJANGO_SETTINGS_MODULE": "settings"}
    arguments = f"-b 127.0.0.1:{{port}} -w {workers} --log-level warning wsgi:application"
    process = Process("server", _program("plain", "gunicorn", arguments), folder, variables)
    title = f"Django alone, gunicorn, {workers} sync worker" + "s" * (workers > 1)
    return Stack(f"django-gunicorn-{workers}", title, ["plain"], [process], workloads=["http"])


def _bare(server):
    folder = APPS / "bare"
    process = _server(server, "plain", "app:application", folder, {"PYTHONPATH": str(folder)})
    return Stack(f"bare-{server}", f"an application without framework or broker, {server}", ["plain"], [process])


def _ceiling():
    command = (str(environment("load") / "bin" / "python"), str(APPS / "ceiling" / "server.py"), "{port}")
    return Stack(
        name="ceiling",
        title="picows, a server in C: how far the load generator goes",
        environments=["load"],
        processes=[Process("server", command)],
        workloads=["echo", "echo_paced", "room1000", "rooms20x50", "burst", "storm_echo", "storm_room"],
        hello="",
    )


def _channels1(workers):
    folder = APPS / "channels1"
    variables = {"PYTHONPATH": str(folder), "DJANGO_SETTINGS_MODULE": "settings", "REDIS_PORT": "{redis_port}"}
    daphne = _program("channels1", "daphne", "-b 127.0.0.1 -p {port} -v 0 --force-sync asgi:channel_layer")
    worker = Process("worker", _program("channels1", "django-admin", "runworker -v 0"), folder, variables)
    return Stack(
        name=f"channels1-{workers}w-daphne",
        title=f"Channels 1.1.8, daphne 1, {workers} worker process" + "es" * (workers > 1),
        environments=["channels1"],
        processes=[_redis(), *[worker] * workers, Process("server", daphne, folder, variables)],
    )


def _socketio():
    variables = {
        "NODE_PATH": str(environment("node") / "node_modules"),
        "PORT": "{port}",
        "REDIS_PORT": "{redis_port}",
    }
    command = ("node", str(APPS / "node" / "socketio_server.js"))
    return Stack(
        name="socketio",
        title="node, socket.io with its Redis adapter",
        environments=["node"],
        processes=[_redis(), Process("server", command, variables=variables)],
        echo="/socket.io/?EIO=4&transport=websocket",
        room="/socket.io/?EIO=4&transport=websocket&room={room}",
        dialect="socketio",
    )


def all_stacks(engine=REPOSITORY, against=None):
    """Return every stack by name; ``against`` is a second engine, to measure a change of the first."""
    engines = {"ours": engine_folder(engine)}
    if against is not None:
        engines["against"] = engine_folder(against)
    # Two engines come one right after the other, so that they are measured so.
    alike = [(server, name, folder) for server in _SERVERS for name, folder in engines.items()]
    sites = [(server, on_postgresql) for on_postgresql in (False, True) for server in _SERVERS]
    stacks = [
        *(_ours(server, workers, folder, name) for workers in (1, 2) for server, name, folder in alike),
        *(
            _ours_site(variant, server, on_postgresql, folder, name)
            for on_postgresql in (False, True)
            for variant in _VARIANTS
            for server, name, folder in alike
        ),
        *(_channels4_site(variant, *site) for variant in _CHANNELS4_VARIANTS for site in sites),
        *(_channels4("async", layer, server) for layer in ("redis", "pubsub") for server in _SERVERS),
        *(_channels4("sync", layer, server) for layer in ("redis", "pubsub") for server in _SERVERS),
        *map(_django, _SERVERS),
        *map(_gunicorn, (1, 2)),
        *map(_bare, _SERVERS),
        _ceiling(),
        *map(_channels1, (1, 2)),
        _socketio(),
    ]
    return {stack.name: stack for stack in stacks}


def choose(stacks, wanted):
    """
    Return the stacks of a list of names or patterns, separated by commas, in their own order.

    `all` means all, `targets` those that the targets compare. Raises ``LookupError``.
    """
    chosen = set()
    for part in wanted.split(","):
        patterns = list(TARGET_WORKLOADS) if part == "targets" else ["*" if part == "all" else part]
        found = {name for name in stacks for pattern in patterns if fnmatch.fnmatchcase(name, pattern)}
        if not found:
            raise LookupError(f"No stack is named {part!r}; there are {', '.join(stacks)}.")
        chosen |= found
    return [stack for name, stack in stacks.items() if name in chosen]


_SCALE = ["scale1000", "scale5000", "scale15000"]
_COMPARED = ["idle", "http", "echo", "echo_paced", "room1000", "rooms20x50", "burst", "storm_echo"]
# Which workloads the targets need of which stacks: measuring no more halves the time.
TARGET_WORKLOADS = {
    "ours-1w-daphne": ["quiet", *_COMPARED, *_SCALE],
    "ours-1w-uvicorn": ["quiet", *_COMPARED, "broker10", "broker1000", *_SCALE],
    "channels4-async-redis-*": _COMPARED,
    "channels4-async-pubsub-daphne": ["room1000"],
    "bare-*": ["http", "echo", "room1000", "storm_echo"],
    "ceiling": ["echo", "room1000"],
    **{
        f"ours-site-{variant}-{server}": ["site_echo", "site_echo_paced"]
        for variant in _VARIANTS
        for server in _SERVERS
    },
    "ours-site-user-postgres-*": ["site_echo", "site_echo_paced"],
    "channels4-site-*": ["site_echo"],
}


def needed_for_targets(stack, workload):
    return any(
        workload in workloads
        for pattern, workloads in TARGET_WORKLOADS.items()
        if fnmatch.fnmatchcase(stack.name, pattern)
    )


def plan(stacks, workloads, only_targets=False):
    """
    Return the measurements of one round as ``(workload, stack)``, in their order.

    The stacks of one workload are measured one right after the other, so that their ratios suffer least from a noisy
    machine. With ``only_targets``, what no target needs is left out.
    """
    return [
        (workload, stack)
        for workload in workloads
        for stack in stacks
        if stack.runs(workload) and (not only_targets or needed_for_targets(stack, workload))
    ]
