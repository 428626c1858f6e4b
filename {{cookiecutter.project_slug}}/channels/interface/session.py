"""The channel session of a connection, where it is kept: with the connection."""

from __future__ import annotations

import logging

from ..exceptions import MessageTooLarge
from ..layers.base import Content, Finish
from ..layers.content import MAX_SESSION_SIZE, copy_message

logger = logging.getLogger(__name__)


def merged(session: Content, finish: Finish, max_size: int = MAX_SESSION_SIZE) -> Content:
    """
    Return the values of a session with what a consumer has changed; others may have changed others meanwhile.

    What several have added at the same time is not taken where all of it comes to more than ``max_size`` bytes.
    """
    kept = {key: value for key, value in session.items() if key not in finish.removed}
    try:
        return copy_message(kept | finish.changed, max_size)
    except MessageTooLarge:
        logger.warning(
            "What a consumer has changed in its channel session is lost: with what others have added meanwhile, the "
            "session is larger than the %d bytes that CHANNEL_SESSION_SIZE allows",
            max_size,
        )
        return session
