"""Processor time of processes that have nothing to do: S-25."""

import time

from .processes import processor_seconds


def use_while_idle(session):
    """Let an interface server and four workers do nothing for a minute (S-25)."""
    seconds = session.size(60, 15)
    with session.stage() as stage:
        processes = {"interface": stage.serve()}
        processes |= {f"worker {number}": worker for number, worker in enumerate(stage.start_workers(4), 1)}
        # What is left to do after the start.
        time.sleep(3)
        before = {name: processor_seconds(process.process.pid) for name, process in processes.items()}
        time.sleep(seconds)
        used = {name: processor_seconds(process.process.pid) - before[name] for name, process in processes.items()}
    shares = {name: round(100 * use / seconds, 2) for name, use in used.items()}
    interface = shares.pop("interface")
    return {"seconds": seconds, "interface": interface, "worker": max(shares.values()), "workers": shares}
