"""Clients that do not read, or write without end: S-14 to S-16."""

import asyncio
import contextlib
import json
import statistics
import threading
import time

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from .processes import resident_size
from .stalled import StalledSocket, masked_frame

FRAME_SIZE = 64 * 2**10
# So many frames fill what the system keeps for a client that does not read.
FRAMES_TO_STALL = 56


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
        with Peak(server.process.pid) as peak, StalledSocket(server.port, "/plain/hall/") as stalled:
            asyncio.run(_fill_room(server.port, frames))
            time.sleep(1)
            code = stalled.read_to_end(timeout=10)
    return {"rise": peak.rise, "before_mb": peak.before / 1e6, "sent_mb": frames * FRAME_SIZE / 1e6, "code": code}


async def _fill_room(port, frames):
    """Have large messages sent to a room, eight on their way at any time."""
    address = f"ws://127.0.0.1:{port}/plain/hall/"
    async with connect(address, compression=None, proxy=None, max_size=None, open_timeout=30) as reader:
        for number in range(frames):
            await reader.send(json.dumps({"number": number, "size": FRAME_SIZE}))
            if number >= 8:
                await reader.recv()
        for _ in range(8):
            await reader.recv()


def flood(session):
    """Write 40,000 frames at once to a consumer that takes two in a second (S-15)."""
    frames, patience = 40_000, session.size(30, 10)
    with session.stage() as stage:
        server = stage.serve()
        stage.work()
        with Peak(server.process.pid) as peak, StalledSocket(server.port, "/slow/hall/") as socket:
            begun = time.monotonic()
            written = _write_until_refused(socket, frames, patience)
            end = socket.read_to_end(timeout=5)
        seconds = time.monotonic() - begun
    return {"rise": peak.rise, "frames": frames, "written": written, "seconds": seconds, "end": end}


def _write_until_refused(socket, frames, patience):
    """Return how many frames the server has taken."""
    frame = masked_frame(b"x" * 1024)
    for number in range(frames):
        try:
            socket.write(frame, patience)
        except OSError:
            return number
    return frames


def stalled_members(session):
    """Speak in a room with and without members that do not read, in turn; compare the slowest hundredth (S-16)."""
    members, stalled, messages, turns = session.size((200, 5, 150, 5), (50, 3, 60, 2))
    pairs, codes, delivered = [], [], 0
    with session.stage() as stage:
        stage.work("--threads", "2")
        server = stage.serve()
        for _ in range(turns):
            plain = asyncio.run(_delays(server.port, members, messages))
            with contextlib.ExitStack() as stack:
                sockets = [stack.enter_context(StalledSocket(server.port, "/plain/hall/")) for _ in range(stalled)]
                asyncio.run(_fill_room(server.port, FRAMES_TO_STALL))
                delayed = asyncio.run(_delays(server.port, members - stalled, messages))
                codes += [socket.read_to_end(timeout=2) for socket in sockets]
            pairs.append((_p99(plain), _p99(delayed)))
            delivered += len(plain) + len(delayed)
        told = [code for _, code in stage.ends()]
    return {
        # Of several short turns the median: what else the machine does falls into one turn or the other.
        "ratio": statistics.median(delayed / plain for plain, delayed in pairs),
        "p99_plain": statistics.median(plain for plain, _ in pairs),
        "p99_stalled": statistics.median(delayed for _, delayed in pairs),
        "pairs": pairs,
        "stalled": len(codes),
        "closed_1013": told.count("1013"),
        "codes": [str(code) for code in codes],
        "dropped_readers": turns * messages * (2 * members - stalled) - delivered,
    }


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
