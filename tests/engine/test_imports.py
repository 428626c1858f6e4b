"""Who imports whom: one way, as ARCHITECTURE.md draws it, and in an interface server nothing of the site."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import channels

ENGINE = Path(channels.__file__).parent
REPOSITORY = Path(__file__).parents[2]


def levels():
    """Return the modules of the engine from the lowest to the highest; a package stands for all that is in it."""
    table = (REPOSITORY / "ARCHITECTURE.md").read_text("utf-8").split("## Modules")[1].split("\n\n")[2]
    ordered = []
    for row in table.splitlines()[2:]:
        ordered += re.findall(r"`(\w+)[\w/]*`", row.split("|")[2])
    return ordered


def place(path):
    """Return the module or package right below the engine that a file belongs to; commands belong together."""
    parts = path.relative_to(ENGINE).parts
    return "management" if "management" in parts else parts[0].removesuffix(".py")


def imports(path, types=False):
    """Yield what a file imports, as dotted names; what it imports for types alone is left out, but for ``types``."""
    package = ["channels", *path.relative_to(ENGINE).parts[:-1]]
    tree = ast.parse(path.read_text("utf-8"))
    for_types = {
        id(node)
        for test in ast.walk(tree)
        if isinstance(test, ast.If) and getattr(test.test, "id", "") == "TYPE_CHECKING"
        for node in ast.walk(test)
    }
    for node in ast.walk(tree):
        if id(node) in for_types and not types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def files():
    return [path for path in sorted(ENGINE.rglob("*.py")) if path != ENGINE / "__init__.py"]


def test_every_module_has_its_place():
    modules, placed = {place(path) for path in files()}, set(levels())

    assert sorted(modules - placed) == [], "the table of modules in ARCHITECTURE.md lacks these"
    assert sorted(placed - modules) == [], "the table of modules in ARCHITECTURE.md names these, which are not there"


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ENGINE)))
def test_imports_point_downwards(path):
    order, own = levels(), place(path)
    for name in imports(path):
        other = name.split(".")[1] if name.startswith("channels.") else ""
        if other not in order or own not in order:
            continue
        assert order.index(other) <= order.index(own), name
        assert other != own or path.parent != ENGINE, name


def module_of(path):
    """Return the dotted name of a module below the engine; a package is named by itself."""
    return ".".join(path.relative_to(ENGINE).with_suffix("").parts).removesuffix(".__init__")


def test_no_modules_know_each_other_in_a_circle():
    modules = {module_of(path): path for path in files()}

    def needs(module):
        for name in imports(modules[module], types=True):
            parts = name.removeprefix("channels.").split(".")
            found = [".".join(parts[:end]) for end in range(len(parts), 0, -1)]
            needed = next((name for name in found if name in modules), module)
            # A package that hands on what its modules have is part of itself.
            if needed != module and not module.startswith(f"{needed}."):
                yield needed

    left = {module: set(needs(module)) for module in modules}
    while free := [module for module, needed in left.items() if not needed & left.keys()]:
        for module in free:
            del left[module]

    assert left == {}


def test_the_engine_knows_neither_the_chat_nor_the_settings():
    names = {name.split(".")[0] for path in files() for name in imports(path)}

    assert names.isdisjoint({"accounts", "chat", "config", "tests"})


def test_layers_and_interface_servers_know_nothing_of_django():
    low = [path for path in files() if place(path) in ("exceptions", "values", "layers", "interface")]
    names = {name.split(".")[0] for path in low for name in imports(path)}

    assert "django" not in names


def test_every_module_can_be_imported_before_django_is_set_up():
    # Models are made when their app is loaded, and what works with them comes after.
    paths = [path for path in files() if "delay" not in path.parts or path.name == "apps.py"]
    names = [".".join(["channels", *path.relative_to(ENGINE).with_suffix("").parts]) for path in paths]
    names = [name.removesuffix(".__init__") for name in names]
    code = f"import importlib\nfor name in {names}: importlib.import_module(name)"
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    done = subprocess.run([sys.executable, "-c", code], cwd=ENGINE.parent, env=kept, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


# A process that only serves

SERVER = """
import asyncio, json, sys
import django

def refuse():
    raise AssertionError("django.setup was called")

django.setup = refuse
from config.asgi import channel_layer

async def serve(scope, *events):
    events, sent = list(events), []

    async def receive():
        return events.pop(0) if events else await asyncio.Future()

    async def send(event):
        sent.append(event["type"])

    serving = asyncio.ensure_future(channel_layer({"path": "/", "headers": [], **scope}, receive, send))
    names = ["http.request", "websocket.connect"]
    while (message := channel_layer.receive(names)[1]) is None:
        await asyncio.sleep(0.01)
    accepted = {"accept": True, "close": True} if scope["type"] == "websocket" else {"status": 200}
    channel_layer.send(message["reply_channel"], accepted)
    while len(sent) < 2:
        await asyncio.sleep(0.01)
    serving.cancel()
    return sent

async def main():
    return [
        await serve({"type": "http", "method": "GET"}, {"type": "http.request", "body": b""}),
        await serve({"type": "websocket"}, {"type": "websocket.connect"}),
    ]

served = asyncio.run(asyncio.wait_for(main(), 60))
from django.apps import apps
print(json.dumps({"served": served, "modules": sorted(sys.modules), "ready": apps.ready or apps.apps_ready}))
"""


@pytest.fixture(scope="module")
def interface_process():
    """Give what a process says of itself that has served a request and a socket of the site, and runs no workers."""
    environment = {"SECRET_KEY": "x" * 50, "CHANNEL_LAYER_URL": "memory://", "WORKER_THREADS": "0"}
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-c", SERVER],
        cwd=ENGINE.parent,
        env=kept | environment | {"DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_serves_requests_and_sockets(interface_process):
    assert interface_process["served"] == [
        ["http.response.start", "http.response.body"],
        ["websocket.accept", "websocket.close"],
    ]


def test_of_the_site_it_loads_the_settings_and_nothing_else(interface_process):
    loaded = {name for name in interface_process["modules"] if name.split(".")[0] in ("accounts", "chat", "config")}

    settings = ("config.settings", "config.environment", "config.headers", "config.log")
    assert loaded == {"config", "config.asgi", *settings}


def test_django_is_not_set_up_in_it_and_no_app_or_model_is_loaded(interface_process):
    loaded = [name for name in interface_process["modules"] if name.startswith(("django.contrib.", "django.db.models"))]

    assert not interface_process["ready"]
    assert loaded == []


def test_of_the_engine_it_loads_what_serves_and_nothing_that_runs_consumers(interface_process):
    loaded = {name.split(".")[1] for name in interface_process["modules"] if name.startswith("channels.")}

    assert "interface" in loaded
    assert loaded.isdisjoint({"handler", "worker", "sessions", "auth", "checks", "apps"})
