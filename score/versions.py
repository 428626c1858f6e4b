"""The versions a run depends on."""

import json
import platform
from importlib.metadata import version

from tests.baking import REPOSITORY

_PACKAGES = {
    "Django": "Django",
    "daphne": "daphne",
    "autobahn": "autobahn",
    "Twisted": "Twisted",
    "uvicorn": "uvicorn",
    "websockets": "websockets",
}


def versions(session):
    """Return the versions of everything that figures depend on, by name."""
    if session.layer == "ipc":
        store = {"lmdb": version("lmdb")}
    elif session.layer == "rabbitmq":
        number = session.broker.evaluate("rabbit_misc:version()").strip('"')
        store = {"pika": version("pika"), "RabbitMQ": number}
    else:
        server = session.valkey.client().info("server")
        store = {"redis-py": version("redis"), "Valkey": server["valkey_version"]}
    return {
        "template": json.loads((REPOSITORY / "cookiecutter.json").read_text())["_template_version"],
        "Python": platform.python_version(),
        **{name: version(package) for name, package in _PACKAGES.items()},
        **store,
    }
