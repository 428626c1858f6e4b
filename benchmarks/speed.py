"""
How fast is this machine at this moment?

On a shared host the same work costs more or less CPU time from one second to the next. While a measurement runs, a
thread times a small fixed job, half Python and half system calls on a socket like the servers measured here, four
times a second.
"""

import json
import socket
import statistics
import threading
import time

_INTERVAL = 0.25


def _job(left, right):
    message = {"type": "websocket.send", "text": "x" * 64}
    for number in range(400):
        message["n"] = number
        left.send(json.dumps(message).encode())
        message = json.loads(right.recv(4096))


class SpeedProbe(threading.Thread):
    """`with SpeedProbe() as probe: ...` and then `probe.mean_us()`."""

    def __init__(self):
        super().__init__(daemon=True)
        self._samples = []
        self._done = threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc_info):
        self._done.set()
        self.join()

    def run(self):
        left, right = socket.socketpair()
        with left, right:
            _job(left, right)
            while not self._done.wait(_INTERVAL):
                start = time.thread_time()
                _job(left, right)
                self._samples.append(time.thread_time() - start)

    def mean_us(self):
        """Return the mean CPU time of a job, in microseconds; None where there was no time for one."""
        return round(statistics.mean(self._samples) * 1e6, 1) if self._samples else None
