"""Gives the new project its `.env` with a secret key, and says what to type next."""

import os
import secrets
import shlex
import shutil
import sys
from pathlib import Path

PROJECT = Path.cwd()


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


def remove_caches():
    """Remove what Python left in a template whose tests have run."""
    for cache in PROJECT.rglob("__pycache__"):
        shutil.rmtree(cache)


if __name__ == "__main__":
    remove_caches()
    write_env()
    # A folder's name that the terminal cannot show must not fail the hook, and with it the project.
    sys.stdout.reconfigure(errors="backslashreplace")
    print("Your project is ready. Start it with")
    print(*(f"    {command}" for command in next_commands()), sep="\n")
    print("and open http://127.0.0.1:8000/")
