"""Paths below a prefix, as addresses have them: whole parts count, so ``/application`` is not below ``/app``."""

from __future__ import annotations


def behind(path: str, prefix: str) -> str | None:
    """Return what is left of a path behind a prefix, which has no slash at its end; None if it is not below it."""
    rest = path[len(prefix) :]
    return rest if path.startswith(prefix) and rest[:1] in ("", "/") else None
