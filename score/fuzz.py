"""Odd requests, odd frames, odd entries in the store: S-22."""

import asyncio
import contextlib
import http.client
import re
import time

from websockets.sync.client import connect

from . import corpus
from .mutations import mutate, mutate_content

AT_ONCE = 32
# Between two looks at whether the site still serves.
ROUND = 500
# A server that does not answer for so long, in seconds, hangs.
HANG = 5.0
# What lies in the store should have been read after so long, in seconds.
PATIENCE = 15
# So long an answer is waited for before the client is done, since most odd input gets none.
ANSWER = 0.4
_STATUS = re.compile(rb"^HTTP/1\.[01] (\d{3}) ", re.MULTILINE)


class Findings:
    """What the fuzz has found."""

    def __init__(self):
        self.crashes = 0
        self.hangs = 0
        self.statuses = {}
        # The first inputs that were answered by what they should not be.
        self.examples = []
        # By kind of input, in the logs of each process, the interface server last. Odd messages make consumers fail, so
        # the workers have some.
        self.tracebacks = {}

    def take(self, data, answer):
        """Note the statuses of an answer, None if there was no end to it."""
        if answer is None:
            self.hangs += 1
            self.remember("hang", data)
            return
        for status in map(int, _STATUS.findall(answer)):
            self.statuses[status] = self.statuses.get(status, 0) + 1
            if status >= 500 and status != 503:
                self.remember(str(status), data)

    def remember(self, what, data=b""):
        """Keep an example, so that somebody can try it again."""
        if len(self.examples) < 20:
            self.examples.append([what, repr(data[:2000])])

    @property
    def unplanned_5xx(self):
        """How often the server has answered with a server error; 503 says that it is full."""
        return sum(count for status, count in self.statuses.items() if status >= 500 and status != 503)


def fuzz(session):
    """Throw mutated requests, frames and stored envelopes at sites, until one does not serve any more (S-22)."""
    count, chance, findings = session.size(10_000, 1_000), session.random("S-22"), Findings()
    kinds = {"http": _throw_requests, "websocket": _throw_frames, "envelopes": _throw_envelopes}
    thrown = {kind: _throw_at_a_site(session, throw, count, chance, findings) for kind, throw in kinds.items()}
    return {
        **thrown,
        "crashes": findings.crashes,
        "hangs": findings.hangs,
        "unplanned_5xx": findings.unplanned_5xx,
        "statuses": {str(status): number for status, number in sorted(findings.statuses.items())},
        "tracebacks": findings.tracebacks,
        "server_tracebacks": sum(counts[-1] for counts in findings.tracebacks.values()),
        "examples": findings.examples,
    }


def _throw_at_a_site(session, throw, count, chance, findings):
    """Throw one kind of input at a site of its own; return how many were thrown before that served no more."""
    with session.stage() as stage:
        processes = [*stage.start_workers(2, "--threads", "2"), stage.serve()]
        server, thrown = processes[-1], 0
        while _serves(server, processes, findings, f"{throw.__name__}, {thrown} thrown") and thrown < count:
            throw(stage, server, chance, findings)
            thrown += ROUND
        findings.tracebacks[throw.__name__] = [process.log.count("Traceback") for process in processes]
    return thrown


def _throw_requests(stage, server, chance, findings):
    inputs = [[mutate(chance.choice(corpus.REQUESTS), chance)] for _ in range(ROUND)]
    asyncio.run(_throw(server.port, inputs, findings))


def _throw_frames(stage, server, chance, findings):
    asyncio.run(_throw(server.port, [_odd_frames(chance) for _ in range(ROUND)], findings))


def _odd_frames(chance):
    """Return a handshake and frames; one handshake in ten is odd itself."""
    frames = b"".join(chance.choices(corpus.FRAMES, k=chance.randint(1, 4)))
    if chance.random() < 0.1:
        return [mutate(corpus.HANDSHAKE, chance), frames]
    return [corpus.HANDSHAKE, mutate(frames, chance)]


async def _throw(port, inputs, findings):
    """Send inputs, each on a connection of its own, some at a time."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(parts):
        async with free:
            findings.take(b"".join(parts), await _exchange(port, parts))

    await asyncio.gather(*map(one, inputs))


async def _exchange(port, parts):
    """Send parts, waiting for an answer to each, and leave; return the answer, None if the server does not end it."""
    answer = b""
    try:
        async with asyncio.timeout(HANG + len(parts) * ANSWER):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for part in parts:
                writer.write(part)
                with contextlib.suppress(TimeoutError):
                    answer += await asyncio.wait_for(reader.read(2**16), ANSWER)
            with contextlib.suppress(OSError):
                writer.write_eof()
            answer += await reader.read()
    except TimeoutError:
        return None
    except OSError:
        # The server has cut the connection, as it may.
        pass
    finally:
        with contextlib.suppress(UnboundLocalError):
            writer.close()
    return answer


def _throw_envelopes(stage, server, chance, findings):
    """Put entries into the store behind the layer's back, and wait until they have been read."""
    from channels.layers.envelope import VERSION

    client = stage.valkey.client()
    with contextlib.closing(client):
        prefix = f"{stage.folder.name}:"
        own = client.zrange(f"{prefix}processes", 0, 0)[0].decode()
        pipeline, queues = client.pipeline(transaction=False), set()
        for _ in range(ROUND):
            channel, content = chance.choice(corpus.MESSAGES)
            queues.add(queue := f"{prefix}queue:{channel or own}")
            pipeline.rpush(queue, _odd_entry(content, VERSION, chance))
        pipeline.execute()
        deadline = time.monotonic() + PATIENCE
        while any(client.llen(queue) for queue in queues) and time.monotonic() < deadline:
            time.sleep(0.05)


def _odd_entry(content, version, chance):
    import ormsgpack

    envelope = {"v": version, "c": mutate_content(content, chance)}
    if chance.random() < 0.2:
        envelope = mutate_content({**envelope, "l": "1", "g": "room"}, chance)
    death = int(time.time() * 1000) + 60_000
    entry = b"%013d" % death + ormsgpack.packb(envelope)
    return mutate(entry, chance) if chance.random() < 0.3 else entry


def _serves(server, processes, findings, when):
    """Say whether all processes live, a page comes, and a socket answers; note it if not."""
    ended = [process.process.args[0] for process in processes if process.process.poll() is not None]
    if ended:
        findings.crashes += len(ended)
        findings.remember(f"{', '.join(ended)} ended: {when}")
        return False
    try:
        _use(server)
    except Exception as error:
        findings.hangs += 1
        findings.remember(f"{type(error).__name__}: {when}")
        return False
    return True


def _use(server):
    """Ask for a page and talk on a socket. Raises what goes wrong, or what takes too long."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=HANG)
    with contextlib.closing(connection):
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"Hello, world!"
    with connect(f"ws://127.0.0.1:{server.port}/echo/look/", proxy=None, open_timeout=HANG) as socket:
        socket.send("still there?")
        assert socket.recv(timeout=HANG) == "still there?"
