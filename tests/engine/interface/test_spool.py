"""Where bytes wait for slow clients."""

import asyncio
import random
import tempfile

import pytest

from channels.interface import spool
from channels.interface.spool import BLOCK_SIZE, Buffer, Spool, SpoolFailed, SpoolFull

from .simulated_time import settle


def blocks(number, spare=0):
    """Return so many different blocks and some bytes more."""
    return b"".join(bytes([number % 256]) * BLOCK_SIZE for number in range(number)) + b"x" * spare


async def take_all(buffer):
    parts = []
    while buffer.size:
        parts.append(await buffer.get())
    return b"".join(parts)


def room(spool):
    """Return what a spool has left, in blocks of memory and of files."""
    memory = file = 0
    while spool.take_memory():
        memory += 1
    while spool.take_file():
        file += 1
    spool.give(memory, file)
    return memory, file


async def test_what_is_put_in_comes_out_in_its_order():
    buffer = Buffer(Spool(0, 0), 0)
    for part in (b"one", b"", b"two"):
        buffer.put(part)
    assert (buffer.size, await buffer.get(), buffer.size) == (6, b"onetwo", 0)

    buffer.put(b"three")
    assert (await buffer.get(), await buffer.get()) == (b"three", b"")


async def test_blocks_lie_in_memory_while_there_is_some_and_then_in_a_file():
    spool = Spool(2 * BLOCK_SIZE, 10 * BLOCK_SIZE)
    buffer = Buffer(spool, 10 * BLOCK_SIZE)
    buffer.put(blocks(5, spare=7))
    await buffer.settle()
    assert room(spool) == (0, 7)

    assert await take_all(buffer) == blocks(5, spare=7)
    assert room(spool) == (2, 10)


async def test_without_room_nothing_more_is_taken_and_nothing_is_lost():
    buffer = Buffer(Spool(BLOCK_SIZE, BLOCK_SIZE), 10 * BLOCK_SIZE)
    buffer.put(blocks(4))

    with pytest.raises(SpoolFull):
        await buffer.settle()

    assert await take_all(buffer) == blocks(4)


@pytest.mark.parametrize("limit", [2, 10], ids=["its own limit", "that of all"])
async def test_whoever_waits_for_room_goes_on_when_something_has_been_read(limit):
    spool = Spool(0, 4 * BLOCK_SIZE)
    other, buffer = Buffer(spool, 10 * BLOCK_SIZE), Buffer(spool, limit * BLOCK_SIZE)
    other.put(blocks(2))
    await other.settle()
    buffer.put(blocks(4))
    settling = asyncio.create_task(buffer.settle(wait=True))
    await settle()
    assert not settling.done()

    if limit == 2:
        read = await buffer.get() + await buffer.get()
    else:
        await take_all(other)
        read = b""
    await settle()

    assert settling.done()
    assert read + await take_all(buffer) == blocks(4)
    await take_all(other)
    assert room(spool) == (0, 4)


async def test_a_file_grows_no_longer_than_what_waits_in_it():
    spool = Spool(0, 100 * BLOCK_SIZE)
    buffer = Buffer(spool, 50 * BLOCK_SIZE)
    read = []
    for number in range(20):
        buffer.put(bytes([number]) * BLOCK_SIZE)
        await buffer.settle()
        assert room(spool)[1] >= 97
        if number >= 2:
            read.append((await buffer.get())[:1])

    assert b"".join(read) == bytes(range(18))


async def test_room_is_offered_to_as_many_as_there_is_room_for_in_their_order():
    spool = Spool(2 * BLOCK_SIZE, 0)
    holder = Buffer(spool, BLOCK_SIZE)
    holder.put(blocks(2))
    await holder.settle()
    buffers = [Buffer(spool, BLOCK_SIZE) for _ in range(4)]
    for buffer in buffers:
        buffer.put(blocks(1))
    settling = [asyncio.create_task(buffer.settle(wait=True)) for buffer in buffers]
    await settle()

    await holder.get()
    await settle()
    assert [task.done() for task in settling] == [True, False, False, False]

    # Whoever goes away passes on what it was offered.
    settling[1].cancel()
    holder.close()
    await settle()
    assert [task.done() for task in settling] == [True, True, True, False]


async def test_whoever_reads_wakes_nobody_that_has_no_use_for_it():
    spool = Spool(0, 0)
    waiting = [Buffer(spool, BLOCK_SIZE) for _ in range(100)]
    for buffer in waiting:
        buffer.put(blocks(1))
    settling = [asyncio.create_task(buffer.settle(wait=True)) for buffer in waiting]
    await settle()
    before = list(spool._waiting)

    small = Buffer(spool, BLOCK_SIZE)
    small.put(b"x")
    assert await small.get() == b"x"
    small.close()
    await settle()

    assert list(spool._waiting) == before
    assert not any(task.done() for task in settling)


async def test_what_is_dropped_gives_everything_back():
    spool = Spool(BLOCK_SIZE, 10 * BLOCK_SIZE)
    buffer = Buffer(spool, 10 * BLOCK_SIZE)
    buffer.put(blocks(4, spare=1))
    await buffer.settle()

    buffer.close()

    assert (buffer.size, room(spool)) == (0, (1, 10))


async def test_a_disk_that_is_full_is_no_room_and_costs_nothing(monkeypatch, caplog):
    def fails(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", fails)
    spool = Spool(0, 10 * BLOCK_SIZE)
    buffer = Buffer(spool, 10 * BLOCK_SIZE)
    buffer.put(blocks(2))

    with pytest.raises(SpoolFailed):
        await buffer.settle(wait=True)

    assert caplog.messages == [
        "What waits for a client cannot be kept in a temporary file: [Errno 28] No space left on device"
    ]
    assert await take_all(buffer) == blocks(2)
    assert room(spool) == (0, 10)


async def test_a_block_that_is_read_while_its_writing_fails_costs_no_room(monkeypatch):
    def fails(self, slot, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool._BlockFile, "write", fails)
    shared = Spool(0, 10 * BLOCK_SIZE)
    buffer = Buffer(shared, 10 * BLOCK_SIZE)
    buffer.put(blocks(1))

    with pytest.raises(SpoolFailed):
        await buffer.settle()

    assert await take_all(buffer) == blocks(1)
    assert room(shared) == (0, 10)


async def test_a_disk_that_cannot_be_read_is_told_as_such(monkeypatch, caplog):
    def fails(self, slot):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(spool._BlockFile, "read", fails)
    buffer = Buffer(Spool(0, 10 * BLOCK_SIZE), 10 * BLOCK_SIZE)
    buffer.put(blocks(1))
    await buffer.settle()

    with pytest.raises(SpoolFailed):
        await buffer.get()

    assert "Input/output error" in caplog.text


def test_room_that_a_thread_gives_back_late_wakes_those_that_wait():
    async def wait_for_room():
        one, other = Buffer(shared, BLOCK_SIZE), Buffer(shared, BLOCK_SIZE)
        one.put(blocks(1))
        storing = asyncio.create_task(one.settle())
        other.put(blocks(1))
        await asyncio.sleep(0)
        settling = asyncio.create_task(other.settle(wait=True))
        await asyncio.sleep(0)
        # Its thread may still write.
        one.close()
        async with asyncio.timeout(20):
            await asyncio.gather(storing, settling)
        other.close()

    shared = spool.Spool(0, BLOCK_SIZE)
    for _ in range(50):
        asyncio.run(wait_for_room())
    assert room(shared) == (0, 1)


def test_with_real_threads_and_files_everything_comes_out_in_its_order():
    async def copy(seed):
        chance = random.Random(seed)
        buffer = Buffer(shared, chance.randint(1, 20) * BLOCK_SIZE)
        sent, got = bytearray(), bytearray()

        async def put_all():
            for _ in range(60):
                part = chance.randbytes(chance.choice([1, 1000, BLOCK_SIZE, 3 * BLOCK_SIZE]))
                sent.extend(part)
                buffer.put(part)
                await buffer.settle(wait=True)
            sent_all.append(True)

        sent_all = []
        putting = asyncio.create_task(put_all())
        while buffer.size or not sent_all:
            got += await buffer.get()
            await asyncio.sleep(chance.choice([0, 0, 0.001]))
        await putting
        return got == sent

    async def copy_all():
        return await asyncio.gather(*(copy(seed) for seed in range(10)))

    shared = spool.Spool(5 * BLOCK_SIZE, 40 * BLOCK_SIZE)
    assert asyncio.run(copy_all()) == [True] * 10
    assert room(shared) == (5, 40)
