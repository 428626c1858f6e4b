"""
A connection to the broker that is made again when it is lost, and the channels of AMQP that go over it.

Everything here runs in the I/O thread. What AMQP calls a channel is a ``Line`` here, for the word is taken.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pika
from pika.adapters.asyncio_connection import AsyncioConnection
from pika.frame import decode_frame

from ...exceptions import ChannelLayerUnavailable
from ...values.pauses import Pauses
from . import frames
from .addresses import CONNECT_TIMEOUT, Address

logger = logging.getLogger(__name__)

# It tells of each step it takes, and of each failure with a traceback. What matters of them is told here.
logging.getLogger("pika").setLevel(logging.CRITICAL)


ACCESS_REFUSED = 403


class Refused(Exception):
    """Is raised when the broker refuses something, and has closed the line for it."""

    def __init__(self, code: int, text: str) -> None:
        rights = " The layer needs the rights to configure, write and read: rabbitmqctl set_permissions."
        super().__init__(f"{code} {text}.{rights if code == ACCESS_REFUSED else ''}")
        self.code = code


def for_users(error: Exception) -> Exception:
    """Return an error as whoever uses the layer knows it."""
    return ChannelLayerUnavailable(f"The broker refuses: {error}") if isinstance(error, Refused) else error


def give(future: asyncio.Future[Any], value: Any) -> None:
    """Give a future its result, unless nobody waits for it any more."""
    if not future.done():
        future.set_result(value)


def call_in(loop: asyncio.AbstractEventLoop, call: Callable[..., object], *arguments: Any) -> None:
    """Have a loop call something, unless it was closed, and nobody waits any more."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(call, *arguments)


# Takes a message: the number by which it is acknowledged, and its body.
Take = Callable[[int, bytes], None]


class Line:
    """A channel of AMQP: asks the broker and waits for its answers, sends messages and takes them."""

    def __init__(self, raw: Any, on_closed: Callable[[], None]) -> None:
        self.raw = raw
        self._connection: Connection = raw.connection
        self._number: int = raw.channel_number
        self._on_closed = on_closed
        self._takers: dict[str, Take] = {}
        # Is told what the broker confirms of what was sent.
        self.on_confirmed: Callable[[frames.Confirmed], None] = lambda confirmed: None
        self._connection.lines[self._number] = self
        self._waiting: set[asyncio.Future[Any]] = set()
        raw.add_on_close_callback(self._closed)

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return bool(self.raw.is_open)

    async def ask(self, method: str, **arguments: Any) -> Any:
        """Call a method of pika's channel, and return the broker's answer. Raises ``Refused``."""
        if not self.raw.is_open:
            raise ChannelLayerUnavailable("The connection to the broker was lost.")
        return await self.wait(lambda done: getattr(self.raw, method)(callback=done, **arguments))

    async def wait(self, begin: Callable[[Callable[[Any], None]], object]) -> Any:
        """Begin something that calls back with its answer, and return that; raise what has closed the line."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.add(answer)
        try:
            begin(lambda frame: give(answer, frame))
            frame = await answer
        finally:
            self._waiting.discard(answer)
        return getattr(frame, "method", frame)

    async def confirm(self) -> None:
        """Have ``on_confirmed`` told what becomes of everything that is sent from now on."""
        await self.wait(lambda done: self.raw.confirm_delivery(lambda frame: None, callback=done))

    def publish(self, exchange: str, key: str, mandatory: bool, number: int, body: bytes) -> None:
        """Send a message, the id of which is its number."""
        if len(body) > self._connection.longest_body:
            properties = pika.BasicProperties(message_id=str(number))
            self.raw.basic_publish(exchange, key, body, properties, mandatory)
        else:
            self._connection.emit(frames.publish(self._number, exchange, key, mandatory, number, body))

    async def consume(self, queue: str, tag: str, take: Take) -> None:
        """Have the messages of a queue taken."""
        self._takers[tag] = take
        await self.ask(
            "basic_consume",
            queue=queue,
            on_message_callback=lambda raw, method, properties, body: take(method.delivery_tag, body),
            consumer_tag=tag,
        )

    async def cancel(self, tag: str) -> None:
        """Have them taken no longer: those that are on their way here are given back."""
        self._takers.pop(tag, None)
        await self.ask("basic_cancel", consumer_tag=tag)

    def acknowledge(self, number: int, multiple: bool = False) -> None:
        """Acknowledge a message, or all up to it."""
        self._connection.emit(frames.acknowledge(self._number, number, multiple))

    def hear(self, heard: frames.Delivered | frames.Confirmed) -> bool:
        """Take in what has come; return whether somebody here waits for it."""
        if not self.raw.is_open:
            return False
        if isinstance(heard, frames.Confirmed):
            self.on_confirmed(heard)
        elif heard.tag in self._takers:
            self._takers[heard.tag](heard.number, heard.body)
        else:
            return False
        return True

    def close(self) -> None:
        """Close it."""
        if self.raw.is_open:
            self.raw.close()

    def _closed(self, raw: Any, reason: Any) -> None:
        self._connection.lines.pop(self._number, None)
        code = getattr(reason, "reply_code", 0)
        error: Exception = ChannelLayerUnavailable("The connection to the broker was lost.", uncertain=True)
        if code >= 400:
            error = Refused(code, str(getattr(reason, "reply_text", reason)))
        for answer in list(self._waiting):
            if not answer.done():
                answer.set_exception(error)
        self._on_closed()


class Connection(AsyncioConnection):  # type: ignore[misc]
    """
    A connection of pika's that does in fewer steps what every message needs.

    It writes at once what one turn of the loop has to say, where pika writes each frame; and frames of messages and of
    confirms are read here, where pika makes several objects of each, and looks for callbacks.
    """

    _frame_buffer: bytes

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._frames: list[bytes] = []
        self.lines: dict[int, Line] = {}
        super().__init__(*arguments, **options)

    @property
    def longest_body(self) -> int:
        """The bytes of a body that fit into one frame."""
        return int(self._body_max_length)

    def emit(self, data: bytes) -> None:
        """Write frames with the others of this turn of the loop."""
        self._output_marshaled_frames([data])

    def _on_data_available(self, data_in: bytes) -> None:
        if not self.lines:
            super()._on_data_available(data_in)
            return
        data, start = self._frame_buffer + data_in, 0
        try:
            while end := frames.end_of(data, start):
                begun, start = start, end
                line, heard = frames.read(data, begun, end) or (0, None)
                if heard is not None and line in self.lines and self.lines[line].hear(heard):
                    start = max(end, getattr(heard, "end", 0))
                else:
                    self._process_frame(decode_frame(data[begun:end])[1])
        finally:
            self._frame_buffer = data[start:]
            self.bytes_received += start

    def _adapter_emit_data(self, data: bytes) -> None:
        if not self._frames:
            asyncio.get_running_loop().call_soon(self.flush)
        self._frames.append(data)

    def flush(self) -> None:
        """Write what there is to be said, as far as the socket takes it."""
        frames, self._frames = self._frames, []
        if frames and self._transport is not None:
            self._transport.write(b"".join(frames))
            self._transport._on_socket_writable()


class Link:
    """
    One connection, to any of some addresses.

    ``on_open`` makes ready what goes over it, and ``on_lost`` is told of its end. While the broker takes nothing, for
    want of memory or disk, ``blocked`` says why; ``on_blocked`` is told when that begins.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        on_open: Callable[[], Awaitable[None]] | None = None,
        on_lost: Callable[[], None] = lambda: None,
        on_blocked: Callable[[], None] = lambda: None,
    ) -> None:
        # All the processes of a site do not go to the same one.
        self._addresses = random.sample(addresses, len(addresses))
        self.on_open = on_open
        self._on_lost = on_lost
        self._on_blocked = on_blocked
        self._connection: Any = None
        self._lost = asyncio.Event()
        self._open = asyncio.Event()
        # Set when there has been a connection, or each address has been tried in vain.
        self._tried = asyncio.Event()
        # Why there is no connection; empty while nobody has tried.
        self._failure = ""
        self.blocked = ""

    async def keep(self) -> None:
        """Connect, and connect again, for ever."""
        pauses, number = Pauses(0.05, 2.0), 0
        while True:
            address = self._addresses[number % len(self._addresses)]
            number += 1
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    self._connection = await self._connect(address)
                    if self.on_open is not None:
                        await self.on_open()
            except Exception as error:
                self._failure = _describe(address, error)
                if number >= len(self._addresses):
                    self._tried.set()
                logger.debug("No connection to the broker: %s", self._failure)
                self.close()
            else:
                self._failure = ""
                self._open.set()
                self._tried.set()
                pauses.begin_anew()
                await self._lost.wait()
                self._open.clear()
                self._on_lost()
                number -= 1
            await asyncio.sleep(pauses.next())

    async def ready(self) -> None:
        """Wait for the connection; raise ``ChannelLayerUnavailable`` if there is none to be had."""
        if not self._open.is_set():
            await self._tried.wait()
        if not self._open.is_set():
            raise ChannelLayerUnavailable(self._failure or "There is no connection to the broker.")

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._open.is_set()

    async def line(self, on_closed: Callable[[], None] = lambda: None) -> Line:
        """Open a line."""
        if self._connection is None or not self._connection.is_open:
            raise ChannelLayerUnavailable("The connection to the broker was lost.")
        opened: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._connection.channel(on_open_callback=lambda raw: give(opened, raw))
        lost = asyncio.create_task(self._lost.wait())
        await asyncio.wait([opened, lost], return_when=asyncio.FIRST_COMPLETED)
        lost.cancel()
        if not opened.done():
            raise ChannelLayerUnavailable("The connection to the broker was lost.")
        return Line(opened.result(), on_closed)

    def flush(self) -> None:
        """Write what there is to be said, before anybody goes on."""
        if self._connection is not None:
            self._connection.flush()

    async def _connect(self, address: Address) -> Any:
        loop = asyncio.get_running_loop()
        opened: asyncio.Future[Any] = loop.create_future()
        self._lost = lost = asyncio.Event()

        def fail(_: Any, error: Any) -> None:
            if not opened.done():
                opened.set_exception(error if isinstance(error, BaseException) else ConnectionError(str(error)))

        connection = Connection(
            address.parameters(),
            on_open_callback=lambda made: give(opened, made),
            on_open_error_callback=fail,
            on_close_callback=lambda _, reason: self._closed(lost, address, reason),
            custom_ioloop=loop,
        )
        connection.add_on_connection_blocked_callback(self._is_blocked)
        connection.add_on_connection_unblocked_callback(self._is_unblocked)
        self._connection = connection
        return await opened

    def _closed(self, lost: asyncio.Event, address: Address, reason: Any) -> None:
        if self._open.is_set():
            # Else it is known already what was wrong with it.
            self._failure = f"{address.name} has closed the connection: {reason}."
        self.blocked = ""
        lost.set()

    def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None and connection.is_open:
            connection.close()

    def _is_blocked(self, _: Any, frame: Any) -> None:
        self.blocked = str(frame.method.reason)
        self._on_blocked()
        logger.warning("The broker takes no messages for now: %s. See rabbitmqctl status for its limits", self.blocked)

    def _is_unblocked(self, *_: Any) -> None:
        self.blocked = ""
        logger.warning("The broker takes messages again")


def _describe(address: Address, error: Exception) -> str:
    if isinstance(error, Refused | ChannelLayerUnavailable):
        return f"{address.name}: {error}"
    if isinstance(error, TimeoutError) and not str(error):
        return f"{address.name} does not answer within {CONNECT_TIMEOUT:.0f} s."
    return address.describe(error)
