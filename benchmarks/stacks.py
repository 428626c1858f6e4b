"""
What is measured: stacks of processes, as values. `processes` runs them.

In commands, folders and environments `{folder}` stands for a folder that is empty when a stack starts, and the names in
`PORTS` for ports that are chosen then.
"""

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from . import rabbitmq
from .environments import BENCHMARKS, REPOSITORY, environment

APPS = BENCHMARKS / "apps"
_OWN_FOLDER = Path("{folder}")
PORTS = ("port", "redis_port", "database_port", "rabbitmq_port", "rabbitmq_names_port", "rabbitmq_own_port")
ENGINE_FOLDER = "{{cookiecutter.project_slug}}"
# These need a visitor who is logged in.
SITE_WORKLOADS = ("site_echo", "site_echo_paced", "site_room")
# And these nothing but a channel layer.
GROUP_WORKLOADS = ("layer_group10", "layer_group100", "layer_group1000")
LAYER_WORKLOADS = ("layer_send", "layer_receive", "layer_round_trip", "layer_wake_up", *GROUP_WORKLOADS)
_VISITOR, _SESSION_KEY = "ann", "sessionofthebenchmark"
# What consumers do with each message.
VARIANTS = {
    "read": "session read, user not asked",
    "user": "user asked",
    "changed": "session changed",
}
_CHANNELS4_VARIANTS = {
    "connect": "user of the connect",
    "fresh": "user looked up again",
}

SERVERS = ("daphne", "uvicorn")
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
    Processes that serve `/hello`, `/echo/` and `/room/<name>/` together, or a channel layer alone.

    ``environments`` are those that must be installed; ``workloads`` those that make sense, None for all but those of
    sites and of layers. Sockets are opened with ``headers``, and ``prefix`` must stand before each message in its
    answer. ``load`` is what loads the stack, where that is not a load generator of the harness.
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
    load: Process | None = None

    @property
    def roles(self):
        return {process.role for process in self.processes}

    def runs(self, workload):
        special = (*SITE_WORKLOADS, *LAYER_WORKLOADS)
        return workload not in special if self.workloads is None else workload in self.workloads


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


def _rabbitmq():
    """Return the processes of a broker: what knows its nodes by name, which would go on running, and itself."""
    variables = {
        **rabbitmq.variables("{folder}", "{rabbitmq_names_port}", "{rabbitmq_own_port}", "bench"),
        "RABBITMQ_NODE_IP_ADDRESS": rabbitmq.ADDRESS,
        "RABBITMQ_NODE_PORT": "{rabbitmq_port}",
    }
    return [
        Process("rabbitmq", ["epmd"], _OWN_FOLDER, variables, listens="{rabbitmq_names_port}"),
        # Where it is killed while it starts, it leaves something in its working directory.
        Process("rabbitmq", [str(rabbitmq.PROGRAM)], _OWN_FOLDER, variables, listens="{rabbitmq_port}"),
    ]


class _Layer(NamedTuple):
    """A layer, the processes of its broker, and how many of workers the smallest site has."""

    title: str
    url: str
    brokers: Sequence[Process] = ()
    workers: int = 1


_LAYERS = {
    "redis": _Layer("Redis", "redis://127.0.0.1:{redis_port}/0", [_redis()]),
    "memory": _Layer("in-memory", "memory://", workers=0),
    "ipc": _Layer("IPC", "ipc://{folder}"),
    "rabbitmq": _Layer("RabbitMQ", "amqp://guest:guest@127.0.0.1:{rabbitmq_port}/", _rabbitmq()),
}


def _told(app, *paths, **more):
    """Return the environment of the processes of an app, with further places for modules."""
    places = os.pathsep.join(map(str, [APPS / app, *paths]))
    return {"PYTHONPATH": places, "DJANGO_SETTINGS_MODULE": "settings", **more}


def _server(server, environment_name, app, folder, variables):
    """Return the process of an ASGI server."""
    arguments = {
        "daphne": f"-b 127.0.0.1 -p {{port}} -v 0 {app}",
        "uvicorn": f"--host 127.0.0.1 --port {{port}} {_UVICORN} {app}",
    }[server]
    return Process("server", _program(environment_name, server, arguments), folder, variables)


# The stacks


def _ours(server, workers, engine, name="ours", layer="redis"):
    """Return a stack of ours; without worker processes, workers are threads beside the interface server."""
    folder, kind = APPS / "ours", _LAYERS[layer]
    variables = _told("ours", engine, CHANNEL_LAYER_URL=kind.url, WORKER_THREADS="0" if workers else "4")
    worker = Process("worker", _program("ours", "django-admin", f"runworker --processes {workers}"), folder, variables)
    return Stack(
        name=f"{_with_layer(name, layer)}-{workers}w-{server}",
        title=f"this engine, {server}, {kind.title} layer, {workers} worker process" + "es" * (workers != 1),
        environments=["ours"],
        processes=[
            *kind.brokers,
            *[worker] * bool(workers),
            _server(server, "ours", "asgi:channel_layer", folder, variables),
        ],
    )


def _with_layer(name, layer):
    return name if layer == "redis" else f"{name}-{layer}"


def _layer_alone(layer, engine, name="ours"):
    """Return a layer without a site, by its name; or one by the dotted path of what makes it."""
    kind = _LAYERS.get(layer) or _Layer(layer, layer)
    # Somebody's own layer lies where Python finds it already.
    paths = [str(REPOSITORY), str(engine), os.environ.get("PYTHONPATH", "")]
    variables = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    sender = Process("sender", _program("ours", "python", f"-m benchmarks.layer {kind.url}"), REPOSITORY, variables)
    reader = replace(sender, role="reader", command=[*sender.command, "read"])
    return Stack(
        name=f"{name}-layer-{layer}" if layer in _LAYERS else "own-layer",
        title=f"{kind.title} layer alone: a process that sends, another that reads",
        environments=["ours"],
        processes=[*kind.brokers, *[reader] * bool(kind.workers)],
        workloads=LAYER_WORKLOADS,
        hello="",
        load=sender,
    )


def _channels4(consumer, layer, server):
    folder = APPS / "channels4"
    variables = _told("channels4", REDIS_PORT="{redis_port}", LAYER=layer, CONSUMER=consumer)
    return Stack(
        name=f"channels4-{consumer}-{layer}-{server}",
        title=f"Channels 4, {consumer} consumer, channels_redis ({layer}), {server}",
        environments=["channels4"],
        processes=[_redis(), _server(server, "channels4", "asgi:application", folder, variables)],
    )


def _site(like, name, title, app, variant, server, on_postgresql):
    """Return a stack with the processes of another one, for a site in whose database a visitor is logged in."""
    folder, [environment_name] = APPS / app, like.environments
    brokers = [process for process in like.processes if process.role not in ("worker", "server")]
    if on_postgresql:
        name, title = f"{name}-postgres", f"{title}, on PostgreSQL"
        databases, database = [_postgresql()], {"POSTGRESQL_PORT": "{database_port}"}
    else:
        databases, database = [], {"SQLITE_FILE": "{folder}/site.sqlite3"}

    def on_site(process):
        _, *engine = process.variables["PYTHONPATH"].split(os.pathsep)
        variables = {
            **process.variables,
            **_told(app, APPS / "site", *engine, **database, USERNAME=_VISITOR, SESSION_KEY=_SESSION_KEY),
        }
        return replace(process, folder=folder, variables=variables)

    processes = list(map(on_site, like.processes[len(brokers) :]))
    prepare = replace(
        processes[0], role="prepare", command=_program(environment_name, "python", "-m prepare"), ends=True
    )
    return Stack(
        name=f"{name}-{server}",
        title=title,
        environments=like.environments,
        processes=[*brokers, *databases, prepare, *processes],
        workloads=SITE_WORKLOADS,
        echo=f"/{variant}/echo/",
        room=f"/{variant}/room/{{room}}/",
        headers={"Origin": "http://127.0.0.1", "Cookie": f"sessionid={_SESSION_KEY}"},
        prefix=f"{_VISITOR}: ",
    )


def _ours_site(variant, server, on_postgresql, engine, name="ours", layer="redis"):
    like = _ours(server, _LAYERS[layer].workers, engine, layer=layer)
    title = f"{like.title}: a site, {VARIANTS[variant]}"
    name = f"{_with_layer(name, layer)}-site-{variant}"
    return _site(like, name, title, "ours_site", variant, server, on_postgresql)


def _channels4_site(variant, server, on_postgresql):
    title = f"Channels 4, sync consumer, channels_redis (redis), {server}: a site, {_CHANNELS4_VARIANTS[variant]}"
    like = _channels4("sync", "redis", server)
    return _site(like, f"channels4-site-{variant}", title, "channels4_site", variant, server, on_postgresql)


def _django(server):
    folder = APPS / "django"
    process = _server(server, "plain", "asgi:application", folder, _told("django"))
    return Stack(f"django-{server}", f"Django alone, {server}", ["plain"], [process], workloads=["http"])


def _gunicorn(workers):
    folder = APPS / "django"
    arguments = f"-b 127.0.0.1:{{port}} -w {workers} --log-level warning wsgi:application"
    process = Process("server", _program("plain", "gunicorn", arguments), folder, _told("django"))
    title = f"Django alone, gunicorn, {workers} sync worker" + "s" * (workers > 1)
    return Stack(f"django-gunicorn-{workers}", title, ["plain"], [process], workloads=["http"])


def _bare(server):
    folder = APPS / "bare"
    process = _server(server, "plain", "app:application", folder, _told("bare"))
    return Stack(f"bare-{server}", f"an application without framework or broker, {server}", ["plain"], [process])


def _ceiling():
    command = (str(environment("load") / "bin" / "python"), str(APPS / "ceiling" / "server.py"), "{port}")
    return Stack(
        name="ceiling",
        title="picows, a server in C: how far the load generator goes",
        environments=["load"],
        processes=[Process("server", command, listens="{port}")],
        workloads=["echo", "echo_paced", "room1000", "rooms20x50", "burst", "storm_echo", "storm_room"],
        hello="",
    )


def _channels1(workers):
    folder = APPS / "channels1"
    variables = _told("channels1", REDIS_PORT="{redis_port}")
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


def all_stacks(engine=REPOSITORY, against=None, own_layer=None):
    """
    Return every stack by name.

    ``against`` is a second engine, to measure a change of the first; ``own_layer`` the dotted path of a further layer.
    """
    engines = {"ours": engine_folder(engine)}
    if against is not None:
        engines["against"] = engine_folder(against)
    # Two engines come one right after the other, so that they are measured so.
    alike = [(server, name, folder) for server in SERVERS for name, folder in engines.items()]
    layers = [(server, layer, *engine) for server in SERVERS for layer in _LAYERS for engine in engines.items()]
    sites = [(server, on_postgresql) for on_postgresql in (False, True) for server in SERVERS]
    stacks = [
        *(_ours(server, _LAYERS[layer].workers, folder, name, layer) for server, layer, name, folder in layers),
        *(_ours(server, 2, folder, name) for server, name, folder in alike),
        *(
            _ours_site(variant, server, on_postgresql, folder, name, layer)
            for on_postgresql in (False, True)
            for variant in VARIANTS
            for server, layer, name, folder in layers
            if layer == "redis" or (variant == "user" and not on_postgresql)
        ),
        *(_layer_alone(layer, folder, name) for layer in _LAYERS for name, folder in engines.items()),
        *(_layer_alone(own_layer, engines["ours"]) for _ in [own_layer] if own_layer),
        *(_channels4_site(variant, *site) for variant in _CHANNELS4_VARIANTS for site in sites),
        *(_channels4("async", layer, server) for layer in ("redis", "pubsub") for server in SERVERS),
        *(_channels4("sync", layer, server) for layer in ("redis", "pubsub") for server in SERVERS),
        *map(_django, SERVERS),
        *map(_gunicorn, (1, 2)),
        *map(_bare, SERVERS),
        _ceiling(),
        *map(_channels1, (1, 2)),
        _socketio(),
    ]
    return {stack.name: stack for stack in stacks}
