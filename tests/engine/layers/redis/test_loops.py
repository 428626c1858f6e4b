"""`channels.layers.redis.loops`: what is to be sent at the same time leaves together."""

import asyncio

from channels.layers.base import Send
from channels.layers.redis.loops import GAP, Outgoing, Pace


def test_whoever_comes_back_soon_waits_and_whoever_comes_seldom_does_not():
    async def come(pauses):
        pace, loop = Pace(), asyncio.get_running_loop()
        waits = []
        for pause in pauses:
            await asyncio.sleep(pause)
            before = loop.time()
            await pace.keep()
            waits.append(loop.time() - before)
        return waits

    waits = asyncio.run(come([0, 0, 0, 10 * GAP]))

    assert [wait > 0.5 * GAP for wait in waits] == [False, True, True, False]


def sends(*names):
    return [Send(name, b"") for name in names]


def test_what_is_asked_for_meanwhile_leaves_in_one_write_and_everybody_hears_what_was_refused():
    written = []

    async def write(link, batch):
        written.append([send.name for send in batch])
        await asyncio.sleep(GAP)
        return [send for send in batch if send.name == "full"]

    async def send_all():
        outgoing = Outgoing(None, write)
        batches = [sends("a"), sends("b", "full"), sends("c")]
        first = asyncio.create_task(outgoing.send(batches[0]))
        await asyncio.sleep(GAP / 2)
        others = [asyncio.create_task(outgoing.send(batch)) for batch in batches[1:]]
        return await asyncio.gather(first, *others)

    refused = asyncio.run(send_all())

    assert written == [["a"], ["b", "full", "c"]]
    assert refused == [[], sends("full"), []]


def test_everybody_hears_of_a_failure():
    async def fail(link, batch):
        raise OSError("gone")

    async def send_all():
        outgoing = Outgoing(None, fail)
        return await asyncio.gather(*(outgoing.send(sends(name)) for name in "ab"), return_exceptions=True)

    failures = asyncio.run(send_all())

    assert [str(failure) for failure in failures] == ["gone", "gone"]
