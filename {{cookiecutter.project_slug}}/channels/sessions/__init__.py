"""
The decorators around sessions, in one place.

``channel_session`` belongs to the socket and lives as long as it, ``http_session`` to the visitor, and
``enforce_ordering`` keeps in the first which message of a socket comes next. They may be stacked in any order, on
functions and on methods.
"""

from .channel_session import channel_session, session_for_reply_channel
from .http_session import channel_and_http_session, http_session
from .ordering import enforce_ordering

__all__ = [
    "channel_and_http_session",
    "channel_session",
    "enforce_ordering",
    "http_session",
    "session_for_reply_channel",
]
