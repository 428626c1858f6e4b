"""What travels beside the content of messages between a connection and workers, and which messages are lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ...layers.base import BaseChannelLayer, Content, Delivery, Entry, Finish, Send, Ticket, UnderWay
from ..process_queue import read_entries
from .messages import VALUES
from .promises import LayerPromises

REPLY = "reply.x!1"


class TicketPromises(LayerPromises):
    """What travels beside the content of messages between a connection and workers, and which messages are lost."""

    def put(
        self, layer: BaseChannelLayer, number: int | None, session: Content | None = None, channel: str = "jobs"
    ) -> UnderWay:
        """Put a message of a connection into a channel, as an interface server does; return it as that knows it."""
        content = {"reply_channel": REPLY, "number": number}
        self.run(_sent(layer, layer.prepare(channel, content, ticket=Ticket(number, session or {}))))
        return UnderWay(channel, REPLY, number)

    def taken(self, layer: BaseChannelLayer, channel: str = "jobs") -> Delivery:
        """Take a message as a worker does."""
        for _ in range(self.receive_tries):
            _, delivery = layer.send_and_take([], [channel], 0.0)
            if delivery is not None:
                return delivery
        raise AssertionError(f"There is no message on {channel}.")

    def told(self, layer: BaseChannelLayer, *batch: Send, finished: str = "jobs") -> None:
        """End a worker's turn with what it has to send."""
        assert layer.send_and_take(batch, [], 0.0, finished) == ([], None)

    def lost(self, layer: BaseChannelLayer, *under_way: UnderWay, seconds: float = 0.0) -> Sequence[UnderWay]:
        """Return what the layer calls lost of messages that have been under way for so long."""
        return self.run(layer.find_lost([message._replace(seconds=seconds) for message in under_way]))

    # Tickets

    @pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__}-{value!r:.20}")
    def test_a_ticket_comes_with_its_message_whatever_the_session_holds(
        self, layer: BaseChannelLayer, value: Any
    ) -> None:
        session = {"value": value, "deep": [[value], {"value": {"value": value}}]}
        for number in (0, 2**31, None):
            self.put(layer, number, session)
            delivery = self.taken(self.other_process(layer))

            assert repr(delivery) == repr(
                Delivery("jobs", {"reply_channel": REPLY, "number": number}, Ticket(number, session))
            )

    def test_a_message_without_a_ticket_has_none(self, layer: BaseChannelLayer) -> None:
        layer.send("jobs", {"reply_channel": REPLY, "t": [1, {}], "f": [1, {}, [], False, False], "ticket": 1})

        assert self.taken(layer).ticket is None

    def test_it_comes_with_take_too_and_by_a_channel_of_one_reader(self, layer: BaseChannelLayer) -> None:
        self.put(layer, 7, {"a": 1}, "parts?a1")
        delivery = layer.take(["parts?a1"])

        assert delivery is not None
        assert delivery.ticket == Ticket(7, {"a": 1})

    def test_it_stays_with_a_message_that_is_put_back(self, layer: BaseChannelLayer) -> None:
        self.put(layer, 7, {"a": 1})
        content = self.taken(layer).content
        self.told(layer, layer.prepare("jobs", content, ticket=Ticket(7, {"a": 2})))

        assert self.taken(layer).ticket == Ticket(7, {"a": 2})

    def test_the_session_that_a_sender_has_may_change_when_its_message_has_left(self, layer: BaseChannelLayer) -> None:
        session = {"a": 1}
        self.put(layer, 7, session)
        session = session | {"a": 2}

        assert self.taken(layer).ticket == Ticket(7, {"a": 1})

    # Finishes

    @pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__}-{value!r:.20}")
    def test_a_finish_comes_alone_and_with_a_reply_whatever_has_changed(
        self, layer: BaseChannelLayer, value: Any
    ) -> None:
        finish = Finish(7, {"value": value, "deep": [[value]]}, ["a", "👍"], keeps_order=True)
        self.told(
            self.other_process(layer),
            Send(REPLY, None, finish=finish),
            layer.prepare(REPLY, {"text": "hello"})._replace(finish=finish),
        )

        assert repr(self.run(read_entries(layer, "reply.x!", 2))) == repr(
            [Entry("1", finish=finish), Entry("1", content={"text": "hello"}, finish=finish)]
        )

    @pytest.mark.parametrize(
        "finish", [Finish(), Finish(0), Finish(None, {"a": 1}), Finish(3, {}, ["a"], False, True)], ids=repr
    )
    def test_a_finish_tells_what_there_is_to_tell(self, layer: BaseChannelLayer, finish: Finish) -> None:
        self.told(layer, Send(REPLY, None, finish=finish))
        [entry] = self.run(read_entries(layer, "reply.x!", 1))

        assert entry.finish is not None
        assert [*entry.finish[:2], *entry.finish[3:]] == [*finish[:2], *finish[3:]]
        assert list(entry.finish.removed) == list(finish.removed)

    def test_a_finish_takes_the_room_of_a_message_and_is_refused_without(self) -> None:
        layer = self.make_layer(channel_capacity={"reply.x!": 1})
        message, finish = self.put(layer, 7), Send(REPLY, None, finish=Finish(7))
        self.taken(layer)
        layer.send(REPLY, {})
        layer.renew_worker("worker", [message])

        assert layer.send_and_take([finish], [], 0.0, "jobs")[0] == [finish]
        assert self.lost(layer, message, seconds=1.0) == []
        assert self.run(read_entries(layer, "reply.x!", 1)) == [Entry("1", content={})]

    # Lost messages

    def test_a_message_that_waits_is_not_lost_for_as_long_as_it_waits(self, layer: BaseChannelLayer) -> None:
        async def wait_and_look() -> None:
            # Clocks that count in whole milliseconds would show in some of them.
            for number in range(100):
                content = {"reply_channel": REPLY}
                await _sent(layer, layer.prepare("jobs", content, ticket=Ticket(number)))
                sent = layer.clock()
                self.advance(layer, 0.003)
                assert await layer.find_lost([UnderWay("jobs", REPLY, number, layer.clock() - sent)]) == []
                self.taken(layer)

        self.run(wait_and_look())

    def test_neither_is_one_that_waits_behind_others(self, layer: BaseChannelLayer) -> None:
        messages = [self.put(layer, number) for number in range(20)]

        assert self.lost(layer, *messages) == []

    def test_one_that_a_worker_has_is_not_lost_however_long_that_takes(self, layer: BaseChannelLayer) -> None:
        message = self.put(layer, 7)
        self.taken(layer)
        worker = self.other_process(layer)
        worker.renew_worker("worker", [message._replace(seconds=1000.0)])

        assert self.lost(layer, message, seconds=1000.0) == []

    def test_one_that_is_finished_is_with_nobody(self, layer: BaseChannelLayer) -> None:
        messages = [self.put(layer, number) for number in range(2)]
        for _ in messages:
            self.taken(layer)
        layer.renew_worker("worker", messages)
        self.told(layer, Send(REPLY, None, finish=Finish(0)))
        layer.renew_worker("worker", messages[1:])

        assert self.lost(layer, *messages, seconds=1.0) == [messages[0]._replace(seconds=1.0)]

    def test_one_that_has_expired_is_lost_also_where_nobody_reads(self) -> None:
        layer = self.make_layer(expiry=self.expiry)
        message = self.put(layer, 7)
        self.advance(layer, 1.1 * self.expiry)
        self.put(layer, 8)

        assert [lost.number for lost in self.lost(layer, message, seconds=1.1 * self.expiry)] == [7]

    def test_so_is_one_that_the_layer_has_lost_with_all_its_data(self, layer: BaseChannelLayer) -> None:
        message = self.put(layer, 7)
        layer.flush()

        assert [lost.number for lost in self.lost(layer, message, seconds=1.0)] == [7]

    def test_one_that_is_put_back_waits_again(self, layer: BaseChannelLayer) -> None:
        message = self.put(layer, 7)
        content = self.taken(layer).content
        again = layer.prepare("jobs", content, ticket=Ticket(7))
        self.told(layer, again, Send(REPLY, None, finish=Finish(7, comes_again=True)))

        assert self.lost(layer, message) == []

    def test_numbers_are_those_of_their_connection(self, layer: BaseChannelLayer) -> None:
        message = self.put(layer, 7)
        self.taken(layer)
        layer.renew_worker("worker", [message])
        others = [message._replace(number=8), message._replace(reply_channel="reply.x!2")]

        assert len(self.lost(layer, message, *others, seconds=1.0)) == 2

    def test_nothing_is_lost_of_nothing(self, layer: BaseChannelLayer) -> None:
        assert self.lost(layer) == []


async def _sent(layer: BaseChannelLayer, send: Send) -> None:
    assert await layer.send_many_async([send]) == []
