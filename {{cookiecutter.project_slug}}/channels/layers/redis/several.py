"""
Wait for a message on several stores at once.

A blocking pop is under way at each of them. As soon as one brings something the others are told to stop waiting, over a
connection of its own, and their answers are read: one of them may have brought a message in that very moment, so what
comes back may be more than one.
"""

from __future__ import annotations

import logging
import select
from collections.abc import Mapping
from typing import Any

from ...exceptions import ChannelLayerUnavailable
from .hosts import StoreHost
from .links import Command, checked
from .thread_links import ThreadLink

logger = logging.getLogger(__name__)

Popped = list[tuple[StoreHost, Any]]


def pop_from_all(pops: Mapping[StoreHost, Command], patience: float) -> Popped:
    """
    Do a blocking pop on several stores; return what comes first, and what comes with it.

    Stores that fail are left out. Raises ``ChannelLayerUnavailable`` when all do, or none answers for ``patience``
    seconds.
    """
    waiting, failures = _begin(pops)
    try:
        ready = _first_ready(waiting, patience)
        for descriptor, (host, link) in waiting.items():
            if descriptor not in ready:
                _unblock(host, link)
    except BaseException:
        # A signal handler has raised: the answers must not be taken for those of the next commands.
        for _, link in waiting.values():
            link.close()
        raise
    popped: Popped = []
    for host, link in waiting.values():
        try:
            popped.append((host, checked(host.threads.finish(link, 1))[0]))
        except ChannelLayerUnavailable as error:
            failures.append(error)
    for failure in failures:
        logger.error("One of %d stores of the channel layer failed: %s", len(pops), failure)
    if failures and not popped:
        raise failures[0]
    return popped


def _begin(
    pops: Mapping[StoreHost, Command],
) -> tuple[dict[int, tuple[StoreHost, ThreadLink]], list[ChannelLayerUnavailable]]:
    waiting, failures = {}, []
    for host, command in pops.items():
        try:
            link = host.threads.begin([command], identify=True)
            waiting[link.descriptor] = (host, link)
        except ChannelLayerUnavailable as error:
            failures.append(error)
    return waiting, failures


def _first_ready(waiting: Mapping[int, Any], patience: float) -> set[int]:
    poll = select.poll()
    for descriptor in waiting:
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(patience * 1000)} if waiting else set()


def _unblock(host: StoreHost, link: ThreadLink) -> None:
    try:
        host.control.exchange([("CLIENT", "UNBLOCK", link.identity)])
    except ChannelLayerUnavailable as error:
        # Its pop comes back by itself, a little later.
        logger.warning("A store of the channel layer could not be told to stop waiting: %s", error)
