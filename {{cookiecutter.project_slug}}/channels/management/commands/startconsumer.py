"""``manage.py startconsumer``: a consumer to begin with, its routing and its test."""

from __future__ import annotations

import keyword
import re
from importlib.util import find_spec
from pathlib import Path
from string import Template
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from channels.registry import DEFAULT_CHANNEL_LAYER, channel_layers

_TEMPLATES = Path(__file__).parents[1] / "start_consumer"
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_MAX_LENGTH = 50
_SUFFIX = "_consumer"


class Command(BaseCommand):
    """Writes three files into an app of the project; none that is there is touched."""

    help = "Writes a class-based consumer, its routing and its test into an app, and says where to include them."

    def add_arguments(self, parser: CommandParser) -> None:
        """Add the arguments."""
        parser.add_argument("name", help="What the consumer is about: live_scores gives LiveScoresConsumer.")
        parser.add_argument("--app", help="The app that gets it; may be left out if the project has just one.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the files."""
        name, app = _checked(options["name"]), _app(options["app"])
        files = _files(Path(app.path), name)
        for path in files:
            if path.exists():
                raise CommandError(f"{_shown(path)} is there already, and is left as it is. Choose another name.")
        words = {
            "name": name,
            "class_name": "".join(map(str.capitalize, name.split("_"))) + "Consumer",
            "path": f"/{name.replace('_', '-')}/",
        }
        for path, template in files.items():
            # How the test, which may lie in a package of its own, names the app.
            words["package"] = "." if path.parent == Path(app.path) else ".."
            text = Template((_TEMPLATES / template).read_text("utf-8")).substitute(words)
            path.write_text(text, "utf-8")
            self.stdout.write(f"Written: {_shown(path)}")
        self.stdout.write(_advice(f"{app.name}.{name}_routing.channel_routing"))


def _checked(name: str) -> str:
    if _is_sound(name):
        return name
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", name).lower().strip("_")
    better = spaced.removesuffix(_SUFFIX)[:_MAX_LENGTH]
    hint = f" Write {better}, for example." if _is_sound(better) else ""
    raise CommandError(
        f"The name {name!r} cannot be used; expected {_MAX_LENGTH} small letters, digits and underscores at most, "
        f"no word of Python, and no {_SUFFIX!r} at its end, which is added.{hint}"
    )


def _is_sound(name: str) -> bool:
    is_module = _NAME.fullmatch(name) and len(name) <= _MAX_LENGTH and not keyword.iskeyword(name)
    return bool(is_module) and not name.endswith(_SUFFIX)


def _app(label: str | None) -> AppConfig:
    """Return the app of the project that is meant."""
    own = {config.label: config for config in apps.get_app_configs() if _is_own(config)}
    known = ", ".join(sorted(own)) or "none; manage.py startapp makes one, INSTALLED_APPS names it"
    if label is None and len(own) != 1:
        raise CommandError(f"Say by --app which app of this project gets the consumer. There are: {known}.")
    found = next(iter(own.values())) if label is None else own.get(label)
    if found is None:
        raise CommandError(f"There is no app {label!r} in this project. There are: {known}.")
    return found


def _is_own(config: AppConfig) -> bool:
    path = Path(config.path).resolve()
    is_engine = path.is_relative_to(_TEMPLATES.parents[1])
    return path.is_relative_to(_root()) and "site-packages" not in path.parts and not is_engine


def _root() -> Path:
    return Path(getattr(settings, "BASE_DIR", Path.cwd())).resolve()


def _files(app: Path, name: str) -> dict[Path, str]:
    """Return the files to be written, with their templates."""
    tests = app / "tests" if (app / "tests").is_dir() else app
    return {
        app / f"{name}{_SUFFIX}.py": "consumer.py-tpl",
        app / f"{name}_routing.py": "routing.py-tpl",
        tests / f"test_{name}{_SUFFIX}.py": "test.py-tpl",
    }


def _shown(path: Path) -> str:
    path = path.resolve()
    return str(path.relative_to(_root()) if path.is_relative_to(_root()) else path)


def _advice(routing: str) -> str:
    return (
        f"\nInclude it in {_place()}, above a route that refuses what is left:\n\n"
        f'    include("{routing}"),\n\n'
        "include comes from channels. The test runs without that."
    )


def _place() -> str:
    """Say where the routing of the site stands."""
    routing = channel_layers.configs.get(DEFAULT_CHANNEL_LAYER, {}).get("ROUTING")
    if not isinstance(routing, str):
        return "the ROUTING in CHANNEL_LAYERS"
    module, _, name = routing.rpartition(".")
    spec = find_spec(module) if module else None
    return f"{name} in {_shown(Path(spec.origin))}" if spec and spec.origin else routing
