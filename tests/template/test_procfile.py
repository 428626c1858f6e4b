"""The lines of the `Procfile`, started as a process manager starts them, with production settings."""

import contextlib
import re
import subprocess
import sys

import pytest

from ..baking import clean_environment
from ..services import free_port
from .serving import serve

PRODUCTION = {"DEBUG": "false", "ALLOWED_HOSTS": "chat.example", "BEHIND_PROXY": "true"}
# What a proxy sends that has ended HTTPS.
FORWARDED = {"Host": "chat.example", "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize(("interface_server", "layer"), [("daphne", "ipc"), ("uvicorn", "memory")])
def test_the_lines_serve_the_site(bake, interface_server, layer):
    project = bake(interface_server=interface_server, channel_layer=layer)
    lines = dict(re.findall(r"^(\w+): (.+)$", (project / "Procfile").read_text("utf-8"), re.MULTILINE))
    port = free_port()
    environment = clean_environment() | PRODUCTION | {"PORT": str(port)}

    subprocess.run(lines["release"], shell=True, cwd=project, env=environment, check=True)
    with contextlib.ExitStack() as stack:
        if "worker" in lines:
            command = f"exec {sys.executable} {lines['worker'].removeprefix('python ')}"
            worker = stack.enter_context(subprocess.Popen(command, shell=True, cwd=project, env=environment))
            stack.callback(worker.terminate)
        server = stack.enter_context(serve(lines["web"], project, port, environment))
        page = server.fetch("/", **FORWARDED)
        style = re.search(r'href="(/static/[^"]+\.[0-9a-f]{12}\.css)"', page.read().decode())
        asset = server.fetch(style[1], **FORWARDED)
        plain = server.fetch("/", Host="chat.example")

    modules = [path.read_text("utf-8") for path in (project / "staticfiles/chat").glob("room.????????????.js")]
    imported = re.findall(r'from\s*"(\./[^"]+)"', modules[0])

    assert page.status == 200
    assert len(modules) == 1
    assert imported
    assert all(re.search(r"\.[0-9a-f]{12}\.js$", path) for path in imported)
    assert page.headers["Strict-Transport-Security"] == "max-age=60; includeSubDomains; preload"
    assert page.headers["X-Frame-Options"] == "DENY"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "same-origin"
    assert page.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "connect-src 'self' wss://chat.example;" in page.headers["Content-Security-Policy"]
    assert asset.status == 200
    assert "immutable" in asset.headers["Cache-Control"]
    assert (plain.status, plain.headers["Location"]) == (301, "https://chat.example/")
