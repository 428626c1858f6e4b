"""Ordered sockets whose consumer fails once: S-23."""

import asyncio

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

MESSAGES = 20
ANSWERED = [str(number) for number in range(1, MESSAGES + 1) if number != 7]
PATIENCE = 60


def fail_once(session):
    """Send twenty messages on each socket, the seventh of which fails (S-23)."""
    count = session.size(100, 20)
    with session.stage() as stage:
        workers, server = stage.start_workers(4), stage.serve()
        heard = asyncio.run(_speak(server.port, count))
        server.wait_until(lambda: len(stage.ends()) >= count)
        logged = sum(worker.log.count("RuntimeError: The seventh") for worker in workers)
    complete = [answers for answers in heard if sorted(answers, key=int) == ANSWERED]
    return {
        "sockets": count,
        "wedged": count - len(complete),
        "disordered": sum(answers != ANSWERED for answers in complete),
        "disconnects": len(set(stage.ends())),
        "logged_exceptions": logged,
    }


async def _speak(port, count):
    # All at once: then the messages of one socket do reach several workers.
    return await asyncio.gather(*(_speak_on_one(port, number) for number in range(count)))


async def _speak_on_one(port, number):
    await asyncio.sleep(number * 0.02)
    answers = []
    async with connect(f"ws://127.0.0.1:{port}/failing/room{number}/", compression=None, proxy=None) as socket:
        for message in range(1, MESSAGES + 1):
            await socket.send(str(message))
        try:
            async with asyncio.timeout(PATIENCE):
                while len(answers) < len(ANSWERED):
                    answers.append(await socket.recv())
        except (TimeoutError, ConnectionClosed):
            pass
    return answers
