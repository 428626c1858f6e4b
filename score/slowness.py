"""Clients that do not read, or write without end: S-14 to S-16."""

import asyncio
import contextlib
import json
import math
import statistics
import threading
import time

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from .processes import resident_size, unsent_bytes
from .stalled import StalledSocket, masked_frame

FRAME_SIZE = 64 * 2**10
# So many answers a loud consumer gives to each frame.
LOUDNESS = 17
# So many frames are more than may wait for a socket.
FRAMES_TO_CLOSE = 24
# Frames on their way to a room at any time.
WINDOW = 8


class Peak:
    """Watches the memory of a process in a ``with`` block; ``rise`` is what it rose by at most, in MB."""

    def __init__(self, pid):
        self._pid = pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.before = self.highest = resident_size(pid)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._done.set()
        self._thread.join()

    def _watch(self):
        while not self._done.wait(0.02):
            self.highest = max(self.highest, resident_size(self._pid))

    @property
    def rise(self):
        """What the memory rose by, in MB."""
        return (self.highest - self.before) / 1e6


def never_read(session):
    """Send 60 MB to a room of two, one of whom never reads (S-14)."""
    frames = session.size(960, 320)
    with session.stage() as stage:
        server = stage.serve()
        stage.work("--threads", "2")
        # What two readers cost is known before the other one comes.
        asyncio.run(_fill_room(server.port, 100))
        with Peak(server.process.pid) as peak, StalledSocket(server.port, "/plain/hall/"):
            asyncio.run(_fill_room(server.port, frames))
            code = _code_told(stage)
            # What a closed socket still sends must not be kept either.
            time.sleep(1)
    answers = _never_read_answers(session, frames)
    return {
        "rise": peak.rise,
        "before_mb": peak.before / 1e6,
        "sent_mb": frames * FRAME_SIZE / 1e6,
        "code": code,
        **answers,
    }


def _never_read_answers(session, frames):
    """Let a client send 60 MB and read none of the answers; those to one frame are more than may wait for a socket."""
    with session.stage() as stage:
        server = stage.serve()
        stage.work("--threads", "2")
        asyncio.run(_hear_answers(server.port, 20))
        with Peak(server.process.pid) as peak, StalledSocket(server.port, "/loud/hall/") as stalled:
            written = _write_until_refused(stalled, b"x" * FRAME_SIZE, frames, patience=15)
            code = _code_told(stage)
            # What a closed socket still sends must not be kept either.
            time.sleep(1)
    return {"talker_rise": peak.rise, "talker_mb": written * FRAME_SIZE / 1e6, "talker_code": code}


async def _hear_answers(port, questions):
    """Read the answers to frames of half the size, all of which may wait for a socket."""
    async with connect(f"ws://127.0.0.1:{port}/loud/hall/", compression=None, proxy=None, open_timeout=30) as socket:
        for _ in range(questions):
            await socket.send("x" * (FRAME_SIZE // 2))
            for _ in range(LOUDNESS):
                await socket.recv()


def _code_told(stage):
    """
    Return the close code that consumers were told of the client that does not read, None if it was not closed.

    It does not take its close frame, and is cut off without it; readers leave with 1000.
    """
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        for _, code in stage.ends():
            if code != "1000":
                return int(code)
        time.sleep(0.1)
    return None


async def _fill_room(port, frames):
    """Have large messages sent to a room, some on their way at any time."""
    address = f"ws://127.0.0.1:{port}/plain/hall/"
    async with connect(address, compression=None, proxy=None, max_size=None, open_timeout=30) as reader:
        for number in range(frames):
            await reader.send(json.dumps({"number": number, "size": FRAME_SIZE}))
            if number >= WINDOW:
                await reader.recv()
        for _ in range(min(frames, WINDOW)):
            await reader.recv()


def flood(session):
    """Write 40,000 frames at once to a consumer that takes two in a second (S-15)."""
    frames, patience = 40_000, session.size(30, 10)
    with session.stage() as stage:
        server = stage.serve()
        stage.work()
        with Peak(server.process.pid) as peak, StalledSocket(server.port, "/slow/hall/") as socket:
            begun = time.monotonic()
            written = _write_until_refused(socket, b"x" * 1024, frames, patience, begun + 2 * patience)
            handled = _count_handled(stage)
            code = socket.read_to_end(timeout=5)
            handled_since = _count_handled(stage) - handled
        seconds = time.monotonic() - begun
    return {
        "rise": peak.rise,
        "frames": frames,
        "written": written,
        "seconds": seconds,
        "handled": handled,
        "handled_since": handled_since,
        "end": end_of_flood(code, written < frames, handled_since),
    }


def end_of_flood(code, refused, handled_since):
    """
    Say what came of a flood: the close code, or else "throttled", "stuck", or "taken" where the server took all of it.

    A client that is ``refused`` more is throttled only if its consumer goes on meanwhile.
    """
    if code != "open":
        return code
    if not refused:
        return "taken"
    return "throttled" if handled_since else "stuck"


def _count_handled(stage):
    return stage.notes.count("taken")


def _write_until_refused(socket, payload, frames, patience, until=math.inf):
    """Return how many frames the server has taken; one that takes them ever so slowly refuses the others."""
    frame = masked_frame(payload)
    for number in range(frames):
        if time.monotonic() > until:
            return number
        try:
            socket.write(frame, patience)
        except OSError:
            return number
    return frames


def stalled_members(session):
    """Speak in a room with and without members that do not read, in turn; compare the slowest hundredth (S-16)."""
    members, not_reading, messages, turns = session.size((200, 5, 150, 5), (50, 3, 30, 5))
    pairs, codes, delivered, stalled = [], [], 0, 0
    with session.stage() as stage:
        stage.work("--threads", "2")
        server = stage.serve()
        for _ in range(turns):
            plain = asyncio.run(_delays(server.port, members, messages))
            closed_before = _count_closed(stage)
            with contextlib.ExitStack() as stack:
                sockets = [stack.enter_context(StalledSocket(server.port, "/plain/hall/")) for _ in range(not_reading)]
                _fill_until_stalled(server.port, sockets)
                # One that is closed already would stall nobody while we measure.
                stalled += sum(size > 0 for size in _unsent(server.port, sockets))
                stalled -= _count_closed(stage) - closed_before
                delayed = asyncio.run(_delays(server.port, members - not_reading, messages))
                asyncio.run(_fill_room(server.port, FRAMES_TO_CLOSE))
                codes += [socket.read_to_end(timeout=2) for socket in sockets]
            pairs.append((_p99(plain), _p99(delayed)))
            delivered += len(plain) + len(delayed)
        closed = _count_closed(stage)
    # Of several short turns the medians: what else the machine does falls into one turn or the other.
    p99_plain, p99_stalled = (statistics.median(p99s) for p99s in zip(*pairs, strict=True))
    return {
        "ratio": p99_stalled / p99_plain,
        "p99_plain": p99_plain,
        "p99_stalled": p99_stalled,
        "pairs": pairs,
        "not_reading": turns * not_reading,
        "stalled": stalled,
        "closed_1013": closed,
        "codes": [str(code) for code in codes],
        "dropped_readers": turns * messages * (2 * members - not_reading) - delivered,
    }


def _fill_until_stalled(port, sockets):
    """Fill what the system keeps for clients that do not read: from then on the server has to."""
    before = None
    while (unsent := _unsent(port, sockets)) != before:
        before = unsent
        asyncio.run(_fill_room(port, 4))


def _unsent(port, sockets):
    return [unsent_bytes(port, socket.port) for socket in sockets]


def _count_closed(stage):
    return [code for _, code in stage.ends()].count("1013")


async def _delays(port, members, messages):
    """Let one member of a room speak ten times a second; return the delays of all deliveries, in milliseconds."""
    address, delays = f"ws://127.0.0.1:{port}/plain/hall/", []
    sockets = [await connect(address, compression=None, proxy=None, open_timeout=30) for _ in range(members)]

    async def listen(socket):
        with contextlib.suppress(ConnectionClosed):
            async for text in socket:
                delays.append(1000 * (time.monotonic() - json.loads(text)["sent"]))

    listening = [asyncio.create_task(listen(socket)) for socket in sockets]
    for _ in range(messages):
        await sockets[0].send(json.dumps({"sent": time.monotonic(), "size": 4096}))
        await asyncio.sleep(0.1)
    await asyncio.sleep(2)
    await asyncio.gather(*(socket.close() for socket in sockets))
    await asyncio.gather(*listening)
    return delays


def _p99(delays):
    return sorted(delays)[int(0.99 * len(delays))]
