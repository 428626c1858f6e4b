"""
Keep what waits for slow clients, or has come from them, out of everybody's way.

A ``Buffer`` holds the bytes of one request or response, first in first out. What comes to more than a block is kept in
memory while the process has some to spare, and then in a temporary file, which is gone as soon as all of it has been
read. All buffers of a process share one ``Spool``, which is what they may use together.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from typing import IO, Any

logger = logging.getLogger(__name__)

# So much is read or written at a time, in bytes.
BLOCK_SIZE = 64 * 1024


class SpoolFailed(Exception):
    """Is raised when something cannot be kept, or cannot be read again. The log says why."""


class SpoolFull(SpoolFailed):
    """Is raised when there is no more room for what a client sends."""


class Spool:
    """The room of one process: ``memory_size`` and ``file_size`` in bytes."""

    def __init__(self, memory_size: int, file_size: int) -> None:
        self._memory = memory_size // BLOCK_SIZE
        self._file = file_size // BLOCK_SIZE
        # In the order in which they began to wait for room.
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def is_full(self) -> bool:
        """Whether there is no room for another block."""
        return not self._memory and not self._file

    def take_memory(self) -> bool:
        """Take room for a block in memory; return False if there is none."""
        if self._memory:
            self._memory -= 1
            return True
        return False

    def take_file(self) -> bool:
        """Take room for a block in a file; return False if there is none."""
        if self._file:
            self._file -= 1
            return True
        return False

    def give(self, memory: int = 0, file: int = 0) -> None:
        """Give blocks back."""
        self._memory += memory
        self._file += file
        self.wake_next()

    def wake_next(self) -> None:
        """Have the next one that waits look for room, if there is any: whoever has done so wakes the one behind it."""
        while self._waiting and not self.is_full:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                return

    def enlist(self, future: asyncio.Future[None]) -> None:
        """Have a future told when there is room."""
        self._waiting.append(future)


class Buffer:
    """
    Bytes, first in first out, of which at most ``limit`` lie in a file.

    ``put`` takes anything at once, into memory; whoever puts much in waits for ``settle`` in between.
    """

    __slots__ = ("_blocks", "_busy", "_file", "_limit", "_spool", "_tail", "_tail_size", "_waiter", "size")

    def __init__(self, spool: Spool, limit: int) -> None:
        self._spool = spool
        self._limit = max(1, limit // BLOCK_SIZE)
        # What has come last, and will be a block if nobody reads it before.
        self._tail: list[bytes] = []
        self._tail_size = 0
        self._blocks: deque[bytes | _Stored] = deque()
        self._file: _BlockFile | None = None
        # Threads at work on the file, which cannot be closed meanwhile.
        self._busy = 0
        # Whoever waits for room in here.
        self._waiter: asyncio.Future[None] | None = None
        self.size = 0

    def put(self, data: bytes) -> None:
        """Add bytes at the end."""
        if data:
            self._tail.append(data)
            self._tail_size += len(data)
            self.size += len(data)

    async def settle(self, wait: bool = False) -> None:
        """
        Bring what has been put in to where it is kept, but for less than a block.

        Without room, ``wait`` for it; otherwise ``SpoolFull`` is raised, and for a disk that fails ``SpoolFailed``.
        """
        while self._tail_size >= BLOCK_SIZE:
            if self._is_at_limit:
                await self._wait(wait, everybody=False)
            elif self._spool.take_memory():
                self._blocks.append(self._cut_block())
            elif self._has_free_slot or self._spool.take_file():
                await self._store()
            else:
                await self._wait(wait, everybody=True)

    async def _wait(self, may: bool, everybody: bool) -> None:
        """Wait until something has been read in here, or, if ``everybody`` has too little room, anywhere."""
        if not may:
            raise SpoolFull
        self._waiter = asyncio.get_running_loop().create_future()
        if everybody:
            self._spool.enlist(self._waiter)
        try:
            await self._waiter
        finally:
            self._waiter.cancel()
            self._waiter = None
            # There may be more room than is needed here.
            asyncio.get_running_loop().call_soon(self._spool.wake_next)

    async def get(self) -> bytes:
        """
        Take the next bytes, a block at most or else all that there are; nothing if there are none.

        Raises ``SpoolFailed``.
        """
        if not self._blocks:
            data = self._tail[0] if len(self._tail) == 1 else b"".join(self._tail)
            self._tail.clear()
            self._tail_size = 0
        else:
            block = self._blocks.popleft()
            if isinstance(block, bytes):
                data = block
                self._spool.give(memory=1)
            else:
                data = await self._fetch(block)
        self.size -= len(data)
        self._wake()
        return data

    def close(self) -> None:
        """Drop everything."""
        memory = sum(isinstance(block, bytes) for block in self._blocks)
        self._blocks.clear()
        self._tail.clear()
        self._tail_size = self.size = 0
        if memory:
            self._spool.give(memory=memory)
        self._drop_file()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _cut_block(self) -> bytes:
        data = self._tail[0] if len(self._tail) == 1 else b"".join(self._tail)
        rest = data[BLOCK_SIZE:]
        self._tail = [rest] if rest else []
        self._tail_size = len(rest)
        return data[:BLOCK_SIZE]

    # The file

    @property
    def _is_at_limit(self) -> bool:
        return self._file is not None and self._file.unread >= self._limit

    @property
    def _has_free_slot(self) -> bool:
        return self._file is not None and bool(self._file.free)

    async def _store(self) -> None:
        """Write a block, for which there is room."""
        if self._file is None:
            self._file = self._new_file()
        block = _Stored(self._cut_block(), self._file, self._file.push())
        self._blocks.append(block)
        # Should that fail, nothing is lost: the block stays in memory. But nobody shall put more in.
        await self._work(block.file.write, block.slot, block.data)
        block.data = None

    def _new_file(self) -> _BlockFile:
        try:
            return _BlockFile()
        except OSError as error:
            self._spool.give(file=1)
            raise _failed(error) from error

    async def _fetch(self, block: _Stored) -> bytes:
        # It may not have been written yet.
        data = block.data or await self._work(block.file.read, block.slot)
        block.file.pop(block.slot)
        self._drop_file()
        return data

    async def _work(self, action: Callable[..., bytes], *arguments: Any) -> bytes:
        """Do something with the file in a thread: a slow disk must not stop the event loop."""
        self._busy += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(None, action, *arguments)
        except OSError as error:
            raise _failed(error) from error
        finally:
            self._busy -= 1
            self._drop_file()

    def _drop_file(self) -> None:
        """Give the file back when nothing in it is waited for."""
        file = self._file
        if file is not None and not self._busy and not any(isinstance(block, _Stored) for block in self._blocks):
            self._file = None
            asyncio.get_running_loop().run_in_executor(None, file.close)
            self._spool.give(file=file.length)


class _Stored:
    """A block in a slot of a file; ``data`` until it has been written there."""

    __slots__ = ("data", "file", "slot")

    def __init__(self, data: bytes, file: _BlockFile, slot: int) -> None:
        self.data: bytes | None = data
        self.file = file
        self.slot = slot


class _BlockFile:
    """
    A temporary file of blocks, no longer than most that have waited in it at a time.

    Threads write and read, one at a time: each has to move to its place first.
    """

    def __init__(self) -> None:
        # The slots that the file has grown to, and those of them that hold nothing that is waited for.
        self.length = 0
        self.free: list[int] = []
        self._moving = threading.Lock()
        self._file: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115

    @property
    def unread(self) -> int:
        """How many blocks are waited for."""
        return self.length - len(self.free)

    def push(self) -> int:
        """Return the slot for the next block."""
        if self.free:
            return heapq.heappop(self.free)
        self.length += 1
        return self.length - 1

    def pop(self, slot: int) -> None:
        """Be done with a block."""
        heapq.heappush(self.free, slot)

    def write(self, slot: int, data: bytes) -> bytes:
        """Write a block, and return it."""
        with self._moving:
            self._file.seek(slot * BLOCK_SIZE)
            left = memoryview(data)
            while left:
                left = left[self._file.write(left) :]
        return data

    def read(self, slot: int) -> bytes:
        """Read a block."""
        with self._moving:
            self._file.seek(slot * BLOCK_SIZE)
            return self._file.read(BLOCK_SIZE)

    def close(self) -> None:
        """Give the disk its room back."""
        with self._moving:
            self._file.close()


def _failed(error: OSError) -> SpoolFailed:
    logger.error("What waits for a client cannot be kept in a temporary file: %s", error)
    return SpoolFailed(str(error))
