"""What the rest of an interface process knows of a connection, be it a request or a socket."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from ..layers.base import Content, Finish, Send, UnderWay


class Connection(ABC):
    """One connection, by the name of the ``reply_channel`` on which it gets what it is sent."""

    __slots__ = ("reply_channel", "will_is_old")

    # Whether it is closed when a stop begins. A request has a grace to end.
    is_socket: ClassVar[bool] = False
    reply_channel: str
    # Whether the last will that the layer has shows another session than the one that there is.
    will_is_old: bool

    # From the layer

    @abstractmethod
    def reply(self, content: Content) -> None:
        """Take a message sent to this connection."""

    @abstractmethod
    def broadcast(self, content: Content) -> None:
        """Take a message sent to a group this connection is in. It is shared: read only."""

    @abstractmethod
    def finished(self, finish: Finish) -> None:
        """Be told that a worker has done with a message of this connection."""

    def overdue(self, now: float, patience: float) -> list[UnderWay]:
        """Return the messages of its lane that have been under way for so many seconds or longer."""
        return []

    def lose(self, number: int) -> None:  # noqa: B027
        """Be told that a message of its lane is lost."""

    @abstractmethod
    def take_will(self, again: bool) -> Send | None:
        """Return the last will if the layer does not have it as it is now, or in any case ``again``."""

    def recheck(self) -> None:  # noqa: B027
        """Have consumers look whether its user may still have it."""

    # Ends

    def stop(self) -> None:  # noqa: B027
        """Be closed because the server stops."""

    @abstractmethod
    def write_off(self) -> None:
        """End; consumers have been told so already."""

    @abstractmethod
    def end_grace(self) -> None:
        """Wait no longer for consumers: the server stops and has waited long enough."""
