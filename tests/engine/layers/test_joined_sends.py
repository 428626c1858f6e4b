"""`channels.layers.joined_sends`: what is to be sent at the same time leaves together."""

import asyncio

from channels.exceptions import ChannelLayerUnavailable
from channels.layers.base import Send
from channels.layers.joined_sends import GAP, JoinedSends, Pace


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

    async def write(batch):
        written.append([send.name for send in batch])
        await asyncio.sleep(GAP)
        return [send for send in batch if send.name == "full"]

    async def send_all():
        outgoing = JoinedSends(write)
        batches = [sends("a"), sends("b", "full"), sends("c")]
        first = outgoing.send(batches[0])
        await asyncio.sleep(GAP / 2)
        others = [outgoing.send(batch) for batch in batches[1:]]
        return await asyncio.gather(first, *others)

    refused = asyncio.run(send_all())

    assert written == [["a"], ["b", "full", "c"]]
    assert refused == [[], sends("full"), []]


def test_everybody_hears_of_a_failure():
    async def fail(batch):
        raise OSError("gone")

    async def send_all():
        outgoing = JoinedSends(fail)
        return await asyncio.gather(*(outgoing.send(sends(name)) for name in "ab"), return_exceptions=True)

    failures = asyncio.run(send_all())

    assert [str(failure) for failure in failures] == ["gone", "gone"]


async def send_many(write, number):
    outgoing = JoinedSends(write)
    return await asyncio.gather(*(outgoing.send(sends("a")) for _ in range(number)), return_exceptions=True)


def test_of_very_much_a_part_leaves_in_one_write():
    written = []

    async def write(batch):
        written.append(len(batch))
        return []

    assert asyncio.run(send_many(write, 250)) == [[]] * 250
    assert written == [100, 100, 50]


def test_when_the_store_is_away_all_hear_of_it_after_one_try_and_who_was_not_written_may_try_again():
    tries = []

    async def fail(batch):
        tries.append(len(batch))
        raise ChannelLayerUnavailable("It does not answer.", uncertain=True)

    failures = asyncio.run(send_many(fail, 250))

    assert tries == [100]
    assert {str(failure) for failure in failures} == {"It does not answer."}
    assert [failure.uncertain for failure in failures] == [True] * 100 + [False] * 150


def test_those_who_hear_that_the_store_is_away_do_not_all_go_on_in_one_turn_of_the_loop():
    passes = set()

    async def fail(batch):
        raise ChannelLayerUnavailable("It does not answer.")

    async def send_all():
        outgoing, number = JoinedSends(fail), 0

        async def send():
            try:
                await outgoing.send(sends("a"))
            except ChannelLayerUnavailable:
                passes.add(number)

        sending = [asyncio.create_task(send()) for _ in range(250)]
        while not all(task.done() for task in sending):
            await asyncio.sleep(0)
            number += 1

    asyncio.run(send_all())

    assert len(passes) >= 3
