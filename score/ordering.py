"""Ordered sockets whose consumer fails once: S-23."""

import asyncio

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

MESSAGES = 20
ANSWERED = [str(number) for number in range(1, MESSAGES + 1) if number != 7]
PATIENCE = 30
AT_ONCE = 4


def fail_once(session):
    """Send twenty messages on each socket, the seventh of which fails (S-23)."""
    count = session.size(100, 20)
    with session.stage() as stage:
        workers, server = stage.start_workers(4), stage.serve()
        heard = asyncio.run(_speak(server.port, count))
        server.wait_until(lambda: len(stage.ends()) >= count)
        logged = sum(worker.log.count("RuntimeError: The seventh") for worker in workers)
    complete = [answers for answers, _ in heard if sorted(answers, key=int) == ANSWERED]
    closed = sum(code is not None for _, code in heard)
    return {
        "sockets": count,
        # Neither answered in full nor closed.
        "wedged": count - len(complete) - closed,
        "closed": closed,
        "disordered": sum(answers != ANSWERED for answers in complete),
        "disconnects": len(set(stage.ends())),
        "logged_exceptions": logged,
    }


async def _speak(port, count):
    # What a few sockets say at once fits into a channel. All of a socket's messages together reach several workers.
    free = asyncio.Semaphore(AT_ONCE)
    return await asyncio.gather(*(_speak_on_one(port, number, free) for number in range(count)))


async def _speak_on_one(port, number, free):
    """Return the answers, and the code with which the server has closed the socket, None if it has not."""
    answers, address = [], f"ws://127.0.0.1:{port}/failing/room{number}/"
    async with free, connect(address, compression=None, proxy=None, open_timeout=30) as socket:
        for message in range(1, MESSAGES + 1):
            await socket.send(str(message))
        try:
            async with asyncio.timeout(PATIENCE):
                while len(answers) < len(ANSWERED):
                    answers.append(await socket.recv())
        except TimeoutError:
            return answers, None
        except ConnectionClosed as closed:
            return answers, closed.rcvd.code if closed.rcvd else 1006
    return answers, None
