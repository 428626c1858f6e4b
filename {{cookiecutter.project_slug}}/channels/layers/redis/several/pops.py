"""
Take a message from one of several stores, or wait for one on all of them.

While one waits, a blocking pop is under way at each of them. As soon as one brings something the others are told to
stop waiting, and their answers are read: one of them may have brought a message in that very moment, so what comes back
may be more than one.

A store that does not answer then keeps nobody waiting, and its connection stays open: whatever it has popped, or pops
when it wakes up, is read at a later turn of the same thread.

A thread is given one message. Whatever else its pops have brought is put back, so that it does not wait for the end of
a consumer.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ....exceptions import ChannelLayerUnavailable
from ..connections import Command, checked, readable
from ..hosts import StoreHost
from ..thread_connections import ThreadConnection

logger = logging.getLogger(__name__)

# A store that was told to stop waiting answers within so many seconds, or its answer is left for later.
PROMPT = 0.5
# An answer that has not come after so many seconds is not waited for any longer: the network may have lost it.
GIVE_UP = 10.0

Popped = list[tuple[StoreHost, Any]]
# By the descriptors of their connections.
Waiting = dict[int, tuple[StoreHost, ThreadConnection]]


def pop_from_any(pops: Mapping[StoreHost, Command]) -> Popped:
    """
    Do a pop that does not block on one store after the other, until one brings something; return that.

    Raises ``ChannelLayerUnavailable`` when all fail.
    """
    asked = _asked(pops, _late(pops))
    # A random order, so that no store can starve another.
    random.shuffle(asked)
    failures = []
    for host in asked:
        begun, failed = _begin({host: pops[host]}, blocks=False)
        popped, failed_too = _answers(begun, readable(begun, PROMPT))
        if any(answer is not None for _, answer in popped):
            return popped
        failures += failed + failed_too
    if len(failures) == len(asked):
        raise failures[0] if failures else _silence()
    return []


def pop_from_all(pops: Mapping[StoreHost, Command], patience: float) -> Popped:
    """
    Do a blocking pop on several stores; return what comes first, and what comes with it.

    Stores that fail are left out, for a while. Raises ``ChannelLayerUnavailable`` when all do, or none answers for
    ``patience`` seconds. What a store brings that had been silent is the answer to an earlier pop.
    """
    late = _late(pops)
    begun, failures = _begin({host: pops[host] for host in _asked(pops, late)}, blocks=True)
    waiting = late | begun
    try:
        ready = readable(waiting, patience)
        if ready:
            ready |= _unblock({number: begun[number] for number in begun.keys() - ready})
    except BaseException:
        # A signal handler has raised: the answers must not be taken for those of the next commands.
        for host, connection in waiting.values():
            host.pops.leave(connection)
            host.connections.leave(host.connections.own())
        raise
    popped, failed = _answers({number: waiting[number] for number in ready | begun.keys()}, ready)
    failures += failed
    if not popped and (failures or waiting):
        raise failures[0] if failures else _silence()
    return popped


def late_answers(hosts: Collection[StoreHost], patience: float = 0.0) -> Popped:
    """Return what stores bring that were silent in an earlier turn of this thread, within ``patience`` seconds."""
    popped: Popped = []
    deadline = time.monotonic() + patience
    while late := _late(hosts):
        ready = readable(late, max(0.0, deadline - time.monotonic()))
        if not ready:
            break
        popped += _answers({number: late[number] for number in ready}, ready)[0]
    return popped


def _late(hosts: Iterable[StoreHost]) -> Waiting:
    connections = ((host, host.pops.own()) for host in hosts)
    late = {connection.descriptor: (host, connection) for host, connection in connections if connection.pending_since}
    latest = time.monotonic() - GIVE_UP
    overdue = {number for number, (_, connection) in late.items() if connection.pending_since < latest}
    # The answer may have come long ago: it was this thread that was at something else.
    for number in overdue - readable(overdue, 0.0):
        host, connection = late.pop(number)
        host.pops.leave(connection)
    return late


def _asked(pops: Iterable[StoreHost], late: Waiting) -> list[StoreHost]:
    """Return the stores to begin a pop on: those that have failed lately only if there is no other."""
    silent = {host for host, _ in late.values()}
    idle = [host for host in pops if host not in silent]
    return [host for host in idle if not host.rests] or idle


def _begin(pops: Mapping[StoreHost, Command], blocks: bool) -> tuple[Waiting, list[ChannelLayerUnavailable]]:
    begun: Waiting = {}
    failures = []
    for host, pop in pops.items():
        try:
            if blocks:
                # Over this connection it is told to stop waiting. Were it made only then, that could take long.
                host.connections.begin(())
            connection = host.pops.begin([pop], identify=blocks)
        except ChannelLayerUnavailable as error:
            host.failed(error, "pops")
            failures.append(error)
            continue
        connection.pending_since = time.monotonic()
        begun[connection.descriptor] = (host, connection)
    return begun, failures


def _unblock(begun: Waiting) -> set[int]:
    """Tell stores to stop waiting; return the descriptors of those that have answered."""
    told = []
    for number, (host, connection) in begun.items():
        try:
            told.append((number, host, host.connections.begin([("CLIENT", "UNBLOCK", connection.identity)])))
        except ChannelLayerUnavailable as error:
            # Its pop comes back by itself, a little later.
            logger.debug("A store of the channel layer could not be told to stop waiting: %s", error)
    left, seconds, deadline = set(begun), PROMPT, time.monotonic() + PROMPT
    while left:
        answered = readable(left, max(0.0, seconds))
        left -= answered
        # A last look after the deadline: it may be us who have stood still.
        if not answered and seconds <= 0:
            break
        seconds = deadline - time.monotonic()
    for number, host, connection in told:
        try:
            host.connections.leave(connection) if number in left else host.connections.finish(connection, 1)
        except ChannelLayerUnavailable as error:
            logger.debug("A store of the channel layer has not confirmed that it stops waiting: %s", error)
    return set(begun) - left


def _answers(waiting: Waiting, ready: Collection[int]) -> tuple[Popped, list[ChannelLayerUnavailable]]:
    """Read the answers that have come. The others are silent, and theirs are read later."""
    popped, failures = [], []
    for number, (host, connection) in waiting.items():
        try:
            if number not in ready:
                raise _silence()
            connection.pending_since = 0.0
            popped.append((host, checked(host.pops.finish(connection, 1))[0]))
            host.works("pops")
        except ChannelLayerUnavailable as error:
            host.failed(error, "pops")
            failures.append(error)
    return popped, failures


def _silence() -> ChannelLayerUnavailable:
    error = ChannelLayerUnavailable("The store does not answer.")
    error.__cause__ = TimeoutError()
    return error
