"""Checks the answers before a file is written: each bad one gets a sentence that says what to do."""

import json
import keyword
import os
import re
import sys
import unicodedata
from pathlib import Path

# JSON inside a raw string: no quote, backslash or brace in an answer can end it.
ANSWERS = json.loads(r"""{{ cookiecutter | tojson }}""")

FREE_TEXT = ("project_name", "description", "author_name")
LONGEST = {"project_name": 100, "project_slug": 50, "description": 200, "author_name": 100}
# Packages of the generated project, and what it imports: a folder of that name would hide them.
TAKEN = {
    *("accounts", "channels", "chat", "config", "tests", "manage"),
    *("argon2", "asgiref", "autobahn", "daphne", "django", "environ", "lmdb", "ormsgpack", "pika", "psycopg", "pytest"),
    *("redis", "sentry_sdk", "twisted", "uvicorn", "whitenoise"),
}
HOST_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*", re.IGNORECASE)
EMAIL = re.compile(r"[^@\s\"\\<>,;]+@[^@\s\"\\<>,;]+")
# What a project gathers when it is used: keys, packages, data.
PRIVATE = (".env", ".ipc", ".venv", "db.sqlite3", "staticfiles")
# Control characters, lone surrogates, line and paragraph separators.
BREAKING = {"Cc", "Cs", "Zl", "Zp"}


def problem_with_slug(slug):
    if not re.fullmatch(r"[a-z][a-z0-9_]*", slug, re.ASCII):
        return (
            "must start with a lower-case letter and go on with lower-case letters, digits and "
            f"underscores, for example my_chat; {slug!r} does not."
        )
    if keyword.iskeyword(slug):
        return f"cannot be {slug!r}, a word of the Python language: try {slug}_project."
    # "test" is a package of Python's own, but not in that list.
    if slug in sys.stdlib_module_names or slug == "test":
        return f"cannot be {slug!r}, a module of Python's own library: try {slug}_project."
    if slug in TAKEN:
        return f"cannot be {slug!r}, a package the project itself uses: try {slug}_project."
    return None


def problem_with_text(text):
    if not text.strip():
        return "is empty: please give one."
    if any(unicodedata.category(character) in BREAKING for character in text):
        return "must be a single line without control characters."
    return None


def problem_with_domain(domain):
    if len(domain) > 253 or not HOST_NAME.fullmatch(domain):
        return (
            "must be a plain host name such as chat.example.com, without https://, port or path "
            f"(write others than ASCII letters as xn--...); {domain!r} is not."
        )
    return None


def problem_with_email(email):
    if not EMAIL.fullmatch(email) or problem_with_text(email):
        return f"must be one plain address such as you@example.com; {email!r} is not."
    return None


def problem_with_layer(layer, system):
    if layer == "ipc" and system == "nt":
        return "cannot be ipc on Windows, which has not what that layer needs: take memory, or redis."
    return None


def problem_with_template(repository):
    """
    Return a sentence if the template was used as a project: cookiecutter would copy what has gathered in it.

    Cruft, which names no repository, has a clone of its own.
    """
    if repository is None:
        return None
    # The path may be relative to where cookiecutter was started; hooks run in the new project.
    folders = Path(os.environ.get("PWD", ""), repository).glob("*cookiecutter.project_slug*")
    found = [name for folder in folders for name in PRIVATE if (folder / name).exists()]
    if not found:
        return None
    return (
        f"The template holds {' and '.join(found)} of somebody's own, which every new project would get: "
        "remove them (git clean -fdX does), or make the project from a fresh clone."
    )


def problems(answers):
    """Yield one sentence for each answer that cannot be used, and for a template that cannot be."""
    if "__prompts__" in answers:
        # Whoever does not know what these are takes them for answers, and would be wrong about others too.
        yield "This needs cookiecutter 2.2 or newer: python3 -m pip install --upgrade cookiecutter"
        return
    if problem := problem_with_template(answers.get("_repo_dir")):
        yield problem
    checks = dict.fromkeys(FREE_TEXT, problem_with_text) | {
        "project_slug": problem_with_slug,
        "domain_name": problem_with_domain,
        "email": problem_with_email,
    }
    for name, check in checks.items():
        answer = answers[name]
        if len(answer) > LONGEST.get(name, 254):
            yield f"{name} must be at most {LONGEST.get(name, 254)} characters long; it has {len(answer)}."
        elif problem := check(answer):
            yield f"{name} {problem}"
    if problem := problem_with_layer(answers["channel_layer"], os.name):
        yield f"channel_layer {problem}"


if __name__ == "__main__":
    found = list(problems(ANSWERS))
    for sentence in found:
        print(f"chan-template: {sentence}", file=sys.stderr)
    sys.exit(1 if found else 0)
