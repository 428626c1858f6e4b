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
    "redis-py": "redis",
}


def versions(valkey):
    """Return the versions of everything that figures depend on, by name; ``valkey`` is a running server."""
    return {
        "template": json.loads((REPOSITORY / "cookiecutter.json").read_text())["_template_version"],
        "Python": platform.python_version(),
        **{name: version(package) for name, package in _PACKAGES.items()},
        "Valkey": valkey.client().info("server")["valkey_version"],
    }
