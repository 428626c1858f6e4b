"""What a message says that is to be sent later: of which channel it is, and for how long it waits."""

from __future__ import annotations

from typing import Any

from .names import require_channel_name

# Such a message travels on this channel to whoever keeps it, as in Channels 1.
CHANNEL = "asgi.delay"
# Seconds: about a hundred years, which every database can still add to the time it is.
LONGEST = 36_525 * 86_400


def require_delay(seconds: float) -> float:
    """Return a delay in seconds; one that is over already is 0. Raises ``ValueError``."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds <= LONGEST:
        raise ValueError(f"A message cannot be delayed by {seconds!r}; expected seconds, at most {LONGEST}.")
    return max(0.0, seconds)


def delayed(channel: str, content: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Return the message that asks for another one to be sent later."""
    return {"channel": channel, "delay": round(seconds * 1000), "content": content}


def read_delayed(message: dict[str, Any]) -> tuple[str, dict[str, Any], float]:
    """Return channel, content and delay in seconds of such a message. Raises ``ValueError`` or ``TypeError``."""
    if missing := [key for key in ("channel", "delay", "content") if key not in message]:
        raise ValueError(f"A message on {CHANNEL} lacks {missing[0]!r}; it has {[*message]}.")
    content, milliseconds = message["content"], message["delay"]
    if not isinstance(content, dict):
        raise TypeError(f"The content of a delayed message is a dict, not {type(content).__name__}.")
    if isinstance(milliseconds, bool) or not isinstance(milliseconds, int | float):
        raise TypeError(f"The delay of a message is a number of milliseconds, not {milliseconds!r}.")
    return require_channel_name(message["channel"]), content, require_delay(milliseconds / 1000)
