"""What could happen next to a site under a scheduler."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Step(NamedTuple):
    """Something that could happen next: who would do what."""

    who: str
    what: str
    do: Callable[[], Any]

    def __str__(self) -> str:
        return f"{self.who} {self.what}"


Choose = Callable[[Sequence[Step]], Step]
