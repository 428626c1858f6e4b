"""What an interface server needs."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from ...layers.base import BaseChannelLayer, Entry
from ..process_queue import read_entries
from .promises import LayerPromises, pass_turns, side_by_side, wait_for


class InterfacePromises(LayerPromises):
    """What an interface server needs."""

    def test_a_process_queue_tells_its_reader_of_messages_and_members_in_order(self, layer: BaseChannelLayer) -> None:
        layer.group_add("room", "reply.x!1")
        layer.send("reply.x!2", {"number": 1})
        layer.send_group("room", {"number": 2})
        layer.group_discard("room", "reply.x!1")
        layer.send("reply.x!1", {"number": 3})

        assert self.run(read_entries(layer, "reply.x!", 5)) == [
            Entry(local="1", group="room", joins=True),
            Entry(local="2", content={"number": 1}),
            Entry(group="room", content={"number": 2}),
            Entry(local="1", group="room", joins=False),
            Entry(local="1", content={"number": 3}),
        ]

    def test_the_reader_of_a_process_queue_gets_a_broadcast_once(self, layer: BaseChannelLayer) -> None:
        for number in range(3):
            layer.group_add("room", f"reply.x!{number}")
        self.run(read_entries(layer, "reply.x!", 3))

        layer.send_group("room", {"number": 1})
        layer.send("reply.x!1", {"number": 2})

        assert self.run(read_entries(layer, "reply.x!", 2)) == [
            Entry(group="room", content={"number": 1}),
            Entry(local="1", content={"number": 2}),
        ]

    def test_a_process_queue_does_not_hand_out_what_has_expired(self) -> None:
        layer = self.make_layer(expiry=self.expiry, group_expiry=10 * self.expiry)
        layer.group_add("room", "reply.x!1")
        layer.send("reply.x!1", {"number": 1})
        self.advance(layer, 1.1 * self.expiry)
        layer.send("reply.x!1", {"number": 2})

        assert self.run(read_entries(layer, "reply.x!", 2)) == [
            Entry(local="1", group="room", joins=True),
            Entry(local="1", content={"number": 2}),
        ]

    def test_the_async_reader_is_woken_by_other_threads_within_milliseconds(self, layer: BaseChannelLayer) -> None:
        rounds = 200

        def answer() -> list[float]:
            for _ in range(rounds):
                assert wait_for(layer, "parts?ping") == ("parts?ping", {})
                layer.send("reply.x!pong", {})
            return []

        async def ask() -> list[float]:
            times = []
            for _ in range(rounds):
                start = time.monotonic()
                await layer.send_many_async([layer.prepare("parts?ping", {})])
                assert await read_entries(layer, "reply.x!", 1) == [Entry(local="pong", content={})]
                times.append(time.monotonic() - start)
                assert times[-1] < 5
            return times

        _, times = side_by_side(answer, lambda: self.run(ask()))

        assert sorted(times)[rounds // 2] < self.wake_within

    def test_the_async_reader_uses_no_processor_while_it_waits(self, layer: BaseChannelLayer) -> None:
        seconds = 0.5

        async def wait() -> float:
            start = time.process_time()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(layer.read_queue("reply.x!"), seconds)
            return time.process_time() - start

        assert self.run(wait()) < seconds / 20

    def test_others_on_the_loop_have_their_turn_although_there_is_always_more_to_read(
        self, layer: BaseChannelLayer
    ) -> None:
        turns = 0

        async def count_turns() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        async def read_on_and_on() -> int:
            counting = asyncio.create_task(count_turns())
            for number in range(20):
                await layer.send_many_async([layer.prepare("reply.x!1", {"number": number})])
                assert await layer.read_queue("reply.x!") == [Entry(local="1", content={"number": number})]
            counting.cancel()
            return turns

        assert self.run(read_on_and_on()) >= 19

    def test_a_cancelled_reader_loses_nothing(self, layer: BaseChannelLayer) -> None:
        complaints: list[dict[str, Any]] = []

        async def read_with_interruptions() -> list[int]:
            asyncio.get_running_loop().set_exception_handler(lambda loop, complaint: complaints.append(complaint))
            numbers: list[int] = []
            for turns_before in range(4):
                for turns_after in range(4):
                    reader = asyncio.create_task(layer.read_queue("reply.x!"))
                    await pass_turns(turns_before)
                    await layer.send_many_async([layer.prepare("reply.x!1", {"number": len(numbers)})])
                    await pass_turns(turns_after)
                    reader.cancel()
                    taken, *_ = await asyncio.gather(reader, return_exceptions=True)
                    entries = taken if isinstance(taken, list) else await read_entries(layer, "reply.x!", 1)
                    numbers += [(entry.content or {})["number"] for entry in entries]
            return numbers

        assert self.run(read_with_interruptions()) == list(range(16))
        assert complaints == []

    def test_a_reader_that_was_cancelled_while_it_waited_harms_no_successor(self, layer: BaseChannelLayer) -> None:
        async def cancel_one_and_read() -> list[Entry]:
            reader = asyncio.create_task(layer.read_queue("reply.x!"))
            await asyncio.sleep(0.01)
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
            successor = asyncio.create_task(read_entries(layer, "reply.x!", 1))
            await asyncio.sleep(0.01)
            await layer.send_many_async([layer.prepare("reply.x!1", {})])
            return await successor

        assert self.run(cancel_one_and_read()) == [Entry(local="1", content={})]

    def test_closed_channels_leave_their_groups_together(self, layer: BaseChannelLayer) -> None:
        for group, channel in (
            ("room", "reply.x!1"),
            ("hall", "reply.x!1"),
            ("room", "reply.x!2"),
            ("room", "reply.y!1"),
        ):
            layer.group_add(group, channel)

        self.run(layer.leave_groups("reply.x!", [("room", "1"), ("hall", "1"), ("unknown", "1")]))

        assert sorted(layer.group_channels("room")) == ["reply.x!2", "reply.y!1"]
        assert layer.group_channels("hall") == []

    def test_a_queue_without_members_hears_no_more_of_a_group(self, layer: BaseChannelLayer) -> None:
        for local in "1", "2":
            layer.group_add("room", f"reply.x!{local}")
        self.run(read_entries(layer, "reply.x!", 2))

        self.run(layer.leave_groups("reply.x!", [("room", "1")]))
        layer.send_group("room", {"number": 1})
        self.run(layer.leave_groups("reply.x!", [("room", "2")]))
        layer.send_group("room", {"number": 2})
        layer.send("reply.x!1", {"number": 3})

        assert self.run(read_entries(layer, "reply.x!", 2)) == [
            Entry(group="room", content={"number": 1}),
            Entry(local="1", content={"number": 3}),
        ]

    def test_living_channels_stay_in_their_groups(self) -> None:
        layer = self.make_layer(group_expiry=self.group_expiry)
        for group, channel in ("room", "reply.x!1"), ("hall", "reply.x!2"), ("room", "reply.x!dead"):
            layer.group_add(group, channel)

        self.advance(layer, 0.6 * self.group_expiry)
        self.run(layer.renew_groups("reply.x!", [("room", "1"), ("hall", "2")]))
        self.advance(layer, 0.6 * self.group_expiry)

        assert layer.group_channels("room") == ["reply.x!1"]
        assert layer.group_channels("hall") == ["reply.x!2"]

    def test_a_reader_registers_its_groups_again_after_the_layer_has_lost_its_data(
        self, layer: BaseChannelLayer
    ) -> None:
        layer.group_add("room", "reply.x!1")
        layer.flush()

        self.run(layer.renew_groups("reply.x!", [("room", "1")]))
        layer.send_group("room", {"number": 1})

        assert layer.group_channels("room") == ["reply.x!1"]
        assert self.run(read_entries(layer, "reply.x!", 1)) == [Entry(group="room", content={"number": 1})]
