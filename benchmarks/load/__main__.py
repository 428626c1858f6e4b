"""
Put one kind of load on a server and print what was measured, as JSON.

The server's processes are named by their ids: their CPU time and memory are sampled here, exactly around the
measured window.
"""

import argparse
import gc
import json
import resource
import sys

import uvloop

from .connections import DIALECTS, Run
from .echo import echo, paced
from .rooms import broadcast, broker, burst
from .scale import scale
from .sockets import idle, quiet, storm

MODES = {mode.__name__: mode for mode in (echo, paced, broadcast, broker, burst, scale, storm, idle, quiet)}


def main():
    parser = argparse.ArgumentParser(prog="benchmarks.load", description=__doc__)
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("--url", required=True, help="{room} in it stands for the name of a room")
    parser.add_argument("--roles", type=json.loads, default={}, help="ids of the server's processes by role, as JSON")
    parser.add_argument("--redis-port", type=int, help="count the commands of this Redis")
    parser.add_argument("--headers", type=json.loads, default={}, help="of the handshake, as JSON")
    parser.add_argument("--prefix", default="", help="what must stand before a message in its answer")
    parser.add_argument("--dialect", choices=DIALECTS, default="plain")
    parser.add_argument("--connections", type=int, default=100)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--rooms", type=int, default=1)
    parser.add_argument("--members", type=int, default=1000)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--rate", type=float, default=10, help="messages per second and socket")
    parser.add_argument("--duration", type=float, default=3, help="seconds that are measured")
    parser.add_argument("--warmup", type=float, default=1, help="seconds before")
    arguments = parser.parse_args()

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 20000)), hard))
    # A collection would show as a latency of the server.
    gc.freeze()
    gc.disable()
    run = Run(arguments)
    measured = uvloop.run(MODES[arguments.mode](run))
    if run.wrong_answer is not None:
        sys.exit(f"An answer was {run.wrong_answer!r}, expected was one that begins with {run.prefix!r}.")
    print("RESULT " + json.dumps(measured), flush=True)


if __name__ == "__main__":
    main()
