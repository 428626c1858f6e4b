"""
Share an event loop: whoever has much to do does it in turns of a millisecond, and gives way in between.

What is done in a turn makes others work too, often many times as long: a message that is handed to a socket is sent by
a task, and written by the server. All of that comes before the next turn, so a turn is short.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

# In seconds. To give way takes some hundredths of it.
LENGTH = 0.001


class Turn:
    """
    One piece of work's time on its event loop, which begins at once; ``clock`` returns seconds.

        turn = Turn(clock)
        for part in work:
            if turn.is_over:
                await turn.give_way()
            do(part)
    """

    __slots__ = ("_clock", "_ends")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ends = clock() + LENGTH

    @property
    def is_over(self) -> bool:
        """Whether it is time to give way."""
        return self._clock() >= self._ends

    async def give_way(self) -> None:
        """Let all others on the loop have their turn, and begin the next one."""
        await asyncio.sleep(0)
        self._ends = self._clock() + LENGTH
