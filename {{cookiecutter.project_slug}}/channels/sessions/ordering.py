"""
Run the messages of one socket in their order, whichever workers they reach.

The channel session holds the number of the message that comes next. A message that is early waits on a channel
of its own for its socket. When the one before it is done, whether that succeeded or not, the worker that has done that
handles it: its own channel may be full meanwhile. A gap that does not close, because a message was lost, closes the
socket with 1013: the client can connect again and catch up, which is better than a socket that never answers.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from ..exceptions import ChannelFull, ChannelLayerUnavailable, ConsumeLater
from ..layers.base import Send
from ..layers.sends import after_sends
from ..message import Message
from ..signals import worker_ready
from ..worker.deadlines import Waiting, call_later
from ..worker.outgoing import send_and_receive, send_with_patience
from .channel_session import Consumer, channel_session, message_of, session_for_reply_channel

logger = logging.getLogger(__name__)

# A message that is missing for so long, in seconds, is taken for lost. It is looked for twice meanwhile, with more time
# in between than workers let pass before they say what they have in hand.
GAP_TIMEOUT = 5.0
_LOOKS = 2
# So often, in seconds, workers look for messages that nobody has looked after for ``GAP_TIMEOUT``: whoever should have
# may have been killed, or has stopped.
ADOPT_INTERVAL = 2.0
TRY_AGAIN_LATER = 1013

_WAITING = "websocket.waiting?"
_GIVEN_UP = "its socket was closed, for a message before it was missing"
_NEXT = "_next_order"
_BROKEN = "_order_broken"
# Which message comes next could not be found out.
_UNKNOWN = -1

# What the threads of this process are about. Single operations on a set or a dict are atomic.
# The messages that consumers of this process are working on: these are late, but not lost.
_running: set[tuple[str, int]] = set()
# The sockets that were given up, the latest of them: what still comes of them is dropped, and counted.
_given_up: dict[str, None] = {}
_MOST_GIVEN_UP = 10_000
# The sockets whose gap a worker is going to look at, and that gap.
_watched: dict[str, _Gap] = {}
# When somebody has looked for sockets that nobody watches, on each layer.
_adopted_at: dict[Any, float] = {}


class _Gap(NamedTuple):
    """The message that is missing, and how often it has been looked for."""

    expected: int
    looks: int = 0


def enforce_ordering(consumer: Consumer | None = None, slight: bool = False) -> Any:
    """
    Run a consumer only when those of all earlier messages of its socket have ended.

    Decorate every websocket consumer of the route with it. It brings ``channel_session`` along. Raises
    ``ValueError`` for a message without ``order``, and for ``slight``, which Channels 1 has given up.
    """
    if slight:
        raise ValueError("enforce_ordering has no slight mode any more: connect always comes first. Leave it out.")
    if consumer is None:
        return enforce_ordering
    return _in_order(consumer)


def _in_order(consumer: Consumer) -> Consumer:
    worker_ready.connect(_begin_adopting, dispatch_uid=__name__)

    @channel_session
    @functools.wraps(consumer)
    def inner(*args: Any, **kwargs: Any) -> Any:
        message = message_of(args)
        order = message.get("order")
        is_disconnect = _is_disconnect(message.channel.name)
        if order is None and not is_disconnect:
            raise ValueError(
                f"A message on {message.channel} has no order. enforce_ordering is for websocket.* messages."
            )
        if order is None or _socket_of(message) in _given_up or message.channel_session.get(_BROKEN):
            # The end of a socket that was given up, or whose server has died, waits for nothing.
            if is_disconnect:
                return consumer(*args, **kwargs)
            message.channel_layer.statistics.count_dropped(message.channel.name, _GIVEN_UP)
            return None
        if is_disconnect and _was_refused(message, order):
            return consumer(*args, **kwargs)
        expected = _expected(message.channel_session)
        if order == expected:
            return _run(functools.partial(consumer, *args, **kwargs), message, order)
        if order < expected:
            _log_twice(order, _socket_of(message))
        elif not _park(message, order):
            if is_disconnect:
                return consumer(*args, **kwargs)
            message.channel_layer.statistics.count_dropped(message.channel.name, _GIVEN_UP)
        return None

    return inner


def _run(call: Callable[[], Any], message: Message, order: int) -> Any:
    socket = _socket_of(message)
    _running.add((socket, order))
    # Not before its sends have left, or the next message might be answered before this one.
    advance = functools.partial(_advance, message, order)
    try:
        result = call()
    except ConsumeLater:
        # It comes again under its number, and the later ones go on waiting for it.
        _running.discard((socket, order))
        raise
    except BaseException:
        after_sends(advance)
        raise
    after_sends(advance)
    return result


def _advance(message: Message, order: int) -> None:
    """Let the next message of the socket run."""
    socket = _socket_of(message)
    try:
        message.channel_session[_NEXT] = order + 1
        message.channel_session.save()
    finally:
        _running.discard((socket, order))
    _resume_soon(socket, message.channel_layer, order + 1)


def _park(message: Message, order: int) -> bool:
    """Let a message wait; return False if too many do, and the socket has been given up."""
    socket, layer = _socket_of(message), message.channel_layer
    try:
        layer.send(_waiting_channel(socket), {"channel": message.channel.name, "content": message.content})
    except ChannelFull:
        _give_up(socket, layer, "too many of its messages are waiting for an earlier one")
        return False
    message.comes_again = True
    # The message before this one may have ended after we looked and before this one was parked.
    expected = _expected(session_for_reply_channel(socket))
    if expected >= order:
        _resume_soon(socket, layer, expected)
    else:
        _watch(socket, layer, _Gap(expected))
    return True


def _resume_soon(socket: str, layer: Any, expected: int) -> None:
    """
    Have this worker handle the message that comes next, if it waits: ``expected``, or a later one by then.

    Not at once: between two messages of one socket a worker takes one of all the others.
    """
    call_later(0, functools.partial(_take_next, socket, layer, expected))


def _take_next(socket: str, layer: Any, expected: int) -> Waiting | None:
    """Take the message of a socket that comes next, if it waits. When that fails, it is looked for later."""
    found: Waiting | None = None
    gap: _Gap | None = _Gap(_UNKNOWN)
    try:
        found, gap = _search(socket, layer, expected)
    except ChannelLayerUnavailable as error:
        logger.debug("What waits for socket %s cannot be looked for now: %s", socket, error)
    finally:
        if gap is not None:
            _watch(socket, layer, gap)
    return found


def _search(socket: str, layer: Any, expected: int) -> tuple[Waiting | None, _Gap | None]:
    """
    Take the message of a socket that comes next, if it waits; where others do, return the gap before them too.

    ``expected`` may have run meanwhile: that matters only where others wait, and usually nothing does.
    """
    while True:
        found, others_wait = _find(expected, socket, layer)
        if found or not others_wait:
            return found, _Gap(expected) if others_wait else None
        # While we held one of the others it may have become the next one, and not been found by whoever looked.
        before, expected = expected, _expected(session_for_reply_channel(socket))
        if expected == before:
            return None, _Gap(expected)


def _find(expected: int, socket: str, layer: Any) -> tuple[Waiting | None, bool]:
    """
    Take one message from those of a socket that wait, if it is there, and say whether there were others.

    The others go to the end, one at a time: a worker that is killed meanwhile loses one, and that counts as unfinished.
    """
    channel, finished = _waiting_channel(socket), ""
    back: list[Send] = []
    seen: set[int] = set()
    while (item := send_and_receive(layer, back, (channel,), 0.0, finished)[1]) is not None:
        order, finished = item["content"]["order"], channel
        if order == expected:
            return Waiting(item["channel"], item["content"], channel), bool(seen)
        if order < expected:
            _log_twice(order, socket)
            back = []
            continue
        back = [layer.prepare(channel, item)]
        if order in seen:
            send_and_receive(layer, back, (), 0.0, finished)
            break
        seen.add(order)
    return None, bool(seen)


# Gaps


def _watch(socket: str, layer: Any, gap: _Gap, at_once: bool = False) -> None:
    """Look at a socket with messages that wait, a while from now unless ``at_once``."""
    # In one step: were two threads to look, they would count two looks at once.
    known = _watched.setdefault(socket, gap)
    if known is gap:
        call_later(0 if at_once else GAP_TIMEOUT / _LOOKS, functools.partial(_check_gap, socket, layer))
    elif known.expected == gap.expected and known.looks < gap.looks:
        _watched[socket] = gap


def _check_gap(socket: str, layer: Any) -> Waiting | None:
    """Look after a socket with messages that wait: hand on the next one, look again later, or give the socket up."""
    # Whoever holds one of its messages just now, and watches it then, must not do so in vain: so it is forgotten first.
    before = _watched.pop(socket, _Gap(_UNKNOWN))
    found: Waiting | None = None
    after: _Gap | None = _Gap(_UNKNOWN)
    try:
        found, after = _look(socket, layer, before)
    except ChannelLayerUnavailable as error:
        logger.debug("Socket %s cannot be looked after now: %s", socket, error)
    finally:
        if after is not None:
            _watch(socket, layer, after)
    return found


def _look(socket: str, layer: Any, before: _Gap) -> tuple[Waiting | None, _Gap | None]:
    """Return the message that comes next, if it waits, and the gap to look at again, if there is one."""
    expected = _expected(session_for_reply_channel(socket))
    if (socket, expected) in _running or layer.is_held(socket, expected):
        return None, _Gap(expected)
    # Whoever should have handled it may have been killed.
    found, gap = _search(socket, layer, expected)
    if found or gap is None or gap.expected > before.expected:
        return found, gap
    if before.looks + 1 < _LOOKS:
        return None, gap._replace(looks=before.looks + 1)
    _give_up(socket, layer, f"message {gap.expected} has not come for {GAP_TIMEOUT:.0f} s")
    return None, None


def _begin_adopting(sender: Any, **kwargs: Any) -> None:
    """Have a worker that begins look for sockets whose messages wait, and that nobody looks after any more."""
    # Otherwise nothing is left behind: the layer ends with its processes.
    if sender.channel_layer.lease_interval is not None:
        call_later(ADOPT_INTERVAL, functools.partial(_adopt, sender))


def _adopt(worker: Any) -> None:
    layer, now = worker.channel_layer, time.monotonic()
    try:
        # One thread of a process is enough.
        if now - _adopted_at.get(layer, -math.inf) < ADOPT_INTERVAL / 2:
            return
        _adopted_at[layer] = now
        for _, item in layer.find_waiting(_WAITING, GAP_TIMEOUT):
            if item["channel"] in worker.channels:
                _watch(item["content"]["reply_channel"], layer, _Gap(_UNKNOWN), at_once=True)
    except ChannelLayerUnavailable as error:
        logger.debug("Nobody can look for messages that wait: %s", error)
    finally:
        call_later(ADOPT_INTERVAL, functools.partial(_adopt, worker))


def _give_up(socket: str, layer: Any, reason: str) -> None:
    _given_up[socket] = None
    if len(_given_up) > _MOST_GIVEN_UP:
        _given_up.pop(next(iter(_given_up)), None)
    session = session_for_reply_channel(socket)
    if _NEXT in session:
        session[_BROKEN] = True
        session.save()
    else:
        # Nothing is kept for a socket that has ended; its session would never be removed.
        reason += "; it has ended, or its websocket.connect consumer lacks enforce_ordering"
    waiting = _take_waiting(socket, layer)
    ends = [item for item in waiting if _is_disconnect(item["channel"])]
    logger.warning(
        "Socket %s closed with %d and %d of its messages dropped: %s",
        socket,
        TRY_AGAIN_LATER,
        len(waiting) - len(ends),
        reason,
    )
    for item in waiting:
        if item not in ends:
            layer.statistics.count_dropped(item["channel"], _GIVEN_UP)
    batch = [layer.prepare(item["channel"], {**item["content"], "order": None}) for item in ends]
    send_with_patience(layer, [layer.prepare(socket, {"close": TRY_AGAIN_LATER}), *batch])


def _take_waiting(socket: str, layer: Any) -> list[dict[str, Any]]:
    channel, finished = _waiting_channel(socket), ""
    waiting: list[dict[str, Any]] = []
    try:
        while (item := send_and_receive(layer, [], (channel,), 0.0, finished)[1]) is not None:
            waiting.append(item)
            finished = channel
    except ChannelLayerUnavailable as error:
        # What is left is found again. The others are in our hands, and so is the client.
        logger.debug("Not all that waits for socket %s could be taken: %s", socket, error)
    return sorted(waiting, key=lambda item: item["content"]["order"])


def _expected(session: Any) -> int:
    expected: int = session.get(_NEXT, 0)
    return expected


def _log_twice(order: int, socket: str) -> None:
    logger.warning("Message %d of socket %s came twice and is dropped", order, socket)


def _was_refused(message: Message, order: int) -> bool:
    """Say whether a socket ends of which no consumer with this decorator has ever run."""
    return order == 1 and _NEXT not in message.channel_session and (_socket_of(message), 0) not in _running


def _is_disconnect(channel: str) -> bool:
    return channel == "websocket.disconnect"


def _socket_of(message: Message) -> str:
    return str(message.reply_channel)


def _waiting_channel(socket: str) -> str:
    return f"{_WAITING}{hashlib.sha256(socket.encode()).hexdigest()[:40]}"
