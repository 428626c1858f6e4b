"""
Keep what waits for slow clients, or has come from them, out of everybody's way.

A ``Buffer`` holds the bytes of one request or response, first in first out. What comes to more than a block is kept in
memory while the process has some to spare, and then in a temporary file, which is gone as soon as all of it has been
read. All buffers of a process share one ``Spool``, which is what they may use together.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
import threading
from collections import deque
from collections.abc import Callable
from typing import IO, Any

logger = logging.getLogger(__name__)

# So much is read or written at a time, in bytes.
BLOCK_SIZE = 64 * 1024


class SpoolFull(Exception):
    """Is raised when there is no more room for what a client sends."""


class Spool:
    """The room of one process: ``memory_size`` and ``file_size`` in bytes."""

    def __init__(self, memory_size: int, file_size: int) -> None:
        self._memory = memory_size // BLOCK_SIZE
        self._file = file_size // BLOCK_SIZE
        self._waiting: set[asyncio.Future[None]] = set()

    def take_memory(self) -> bool:
        """Take room for a block in memory; return False if there is none."""
        if self._memory:
            self._memory -= 1
            return True
        return False

    def give_memory(self) -> None:
        """Give it back."""
        self._memory += 1

    def take_file(self) -> bool:
        """Take room for a block in a file; return False if there is none."""
        if self._file:
            self._file -= 1
            return True
        return False

    def give_file(self, blocks: int) -> None:
        """Give it back."""
        self._file += blocks
        # A thread may have been at work on the file for longer than anybody needed it.
        self.wake()

    async def changed(self) -> None:
        """Wait until something has been read, here or elsewhere."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)

    def wake(self) -> None:
        """Have those that wait look again."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)


class Buffer:
    """
    Bytes, first in first out, of which at most ``limit`` lie in a file.

    ``put`` takes anything at once, into memory; whoever puts much in waits for ``settle`` in between.
    """

    __slots__ = ("_blocks", "_busy", "_file", "_slots", "_spool", "_tail", "_tail_size", "size")

    def __init__(self, spool: Spool, limit: int) -> None:
        self._spool = spool
        self._slots = max(1, limit // BLOCK_SIZE)
        # What has come last, and will be a block if nobody reads it before.
        self._tail: list[bytes] = []
        self._tail_size = 0
        self._blocks: deque[bytes | _Stored] = deque()
        self._file: _RingFile | None = None
        # Threads at work on the file, which cannot be closed meanwhile.
        self._busy = 0
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

        Without room, ``wait`` for it until something has been read, here or elsewhere; otherwise ``SpoolFull`` is
        raised, and so it is for a disk that is full.
        """
        while self._tail_size >= BLOCK_SIZE:
            if self._spool.take_memory():
                self._blocks.append(self._cut_block())
            elif self._may_store():
                await self._store()
            elif wait:
                await self._spool.changed()
            else:
                raise SpoolFull

    async def get(self) -> bytes:
        """Take the next bytes, a block at most or else all that there are; nothing if there are none."""
        if not self._blocks:
            data = self._tail[0] if len(self._tail) == 1 else b"".join(self._tail)
            self._tail.clear()
            self._tail_size = 0
        else:
            block = self._blocks.popleft()
            if isinstance(block, bytes):
                data = block
                self._spool.give_memory()
            else:
                data = await self._fetch(block)
        self.size -= len(data)
        self._spool.wake()
        return data

    def close(self) -> None:
        """Drop everything."""
        for block in self._blocks:
            if isinstance(block, bytes):
                self._spool.give_memory()
        self._blocks.clear()
        self._tail.clear()
        self._tail_size = self.size = 0
        if self._file is not None:
            self._file.unread = 0
            self._drop_file()
        self._spool.wake()

    def _cut_block(self) -> bytes:
        data = self._tail[0] if len(self._tail) == 1 else b"".join(self._tail)
        rest = data[BLOCK_SIZE:]
        self._tail = [rest] if rest else []
        self._tail_size = len(rest)
        return data[:BLOCK_SIZE]

    # The file

    def _may_store(self) -> bool:
        """Say whether the file has room for a block more, and take that from the spool if the file has to grow."""
        file = self._file
        if file is not None and file.unread == self._slots:
            return False
        return (file is not None and not file.grows) or self._spool.take_file()

    async def _store(self) -> None:
        try:
            if self._file is None:
                self._file = _RingFile(self._slots)
            block = _Stored(self._cut_block(), self._file)
            self._blocks.append(block)
            await self._work(block.file.write, block.file.push(), block.data)
        except OSError as error:
            # Nothing is lost: what has been cut stays in memory. But nobody shall put more in.
            if self._file is None:
                self._spool.give_file(1)
            logger.error("What waits for a client cannot be written to a temporary file: %s", error)
            raise SpoolFull from error
        block.data = None

    async def _fetch(self, block: _Stored) -> bytes:
        # It may not have been written yet.
        data = block.data or await self._work(block.file.read, block.file.first)
        block.file.pop()
        self._drop_file()
        return data

    async def _work(self, action: Callable[..., bytes], *arguments: Any) -> bytes:
        """Do something with the file in a thread: a slow disk must not stop the event loop."""
        self._busy += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(None, action, *arguments)
        finally:
            self._busy -= 1
            self._drop_file()

    def _drop_file(self) -> None:
        """Give the file back when all of it has been read."""
        file = self._file
        if file is not None and not file.unread and not self._busy:
            self._file = None
            asyncio.get_running_loop().run_in_executor(None, file.close)
            self._spool.give_file(file.length)


class _Stored:
    """A block in a file; ``data`` until it has been written there."""

    __slots__ = ("data", "file")

    def __init__(self, data: bytes, file: _RingFile) -> None:
        self.data: bytes | None = data
        self.file = file


class _RingFile:
    """
    A temporary file of ``slots`` blocks, which are used one after the other and then again from the first.

    Threads write and read, one at a time: each has to move to its place first.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        # The blocks that the file has grown to, those in it that have not been read, and the first of these.
        self.length = self.unread = self.first = 0
        self._moving = threading.Lock()
        self._file: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115

    @property
    def _next(self) -> int:
        return (self.first + self.unread) % self._slots

    @property
    def grows(self) -> bool:
        """Whether the next block makes the file longer."""
        return self._next == self.length

    def push(self) -> int:
        """Return the slot for the next block."""
        slot = self._next
        self.length = max(self.length, slot + 1)
        self.unread += 1
        return slot

    def pop(self) -> None:
        """Be done with the first block."""
        self.first = (self.first + 1) % self._slots
        self.unread -= 1

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
