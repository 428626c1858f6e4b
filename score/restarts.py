"""Workers that are restarted, stopped and killed while visitors speak: S-01 to S-04, S-24, S-36, S-37."""

import asyncio
import itertools
import signal
import time

from .visitors import Visitors

# Messages that have to be sent for each restart, stop or kill, so that there is something to lose.
PER_RESTART = 10
# What of the rate that was asked for has to be reached: a slower row would be an easier one.
REACHED = 0.9
# Looks at what lies unfinished after a kill, and the time between them in seconds.
LOOKS, BETWEEN_LOOKS = 20, 0.01


def replace_workers(session):
    """Replace four workers one after the other, the new one up first, for several rounds (S-01 to S-03)."""
    rounds, rate = session.size(5, 1), session.size(1_000, 100)
    with session.stage() as stage:
        visitors = Visitors(stage.serve().port, rooms=session.size(40, 10), per_room=5, path="rooms")
        workers, statuses = stage.start_workers(4), []

        def restart():
            for _ in range(rounds):
                for index, old in enumerate(workers):
                    workers[index] = stage.work()
                    statuses.append(old.stop())

        asyncio.run(visitors.visit(rate, meanwhile=restart))
        session.account("rolling restart", stage, visitors)
    return {
        **visitors.figures(),
        "wanted": round(REACHED * rate * visitors.seconds),
        "restarts": len(statuses),
        "failed_stops": sum(status != 0 for status in statuses),
    }


def kill_workers(session):
    """Kill one of four workers after the other, each with two threads at work, and start another one (S-04)."""
    if not session.has_ledgers:
        return None
    kills, threads, chance = session.size(100, 10), 2, session.random("S-04")
    with session.stage() as stage:
        visitors = Visitors(stage.serve().port, rooms=20, per_room=5, path="working")
        workers, layer, unfinished = stage.start_workers(4, "--threads", str(threads)), stage.layer(), [0]

        def look():
            unfinished.append(_left_by_the_killed(layer))

        _kill_one_by_one(stage, workers, visitors, kills, threads, chance, look)
        account = session.account("killed workers", stage, visitors)
    return {
        **visitors.figures(),
        "wanted": PER_RESTART * kills,
        "kills": kills,
        "threads": threads,
        "most_per_kill": max(after - before for before, after in itertools.pairwise(unfinished)),
        "unfinished": account.unfinished,
    }


def kill_unseen(session):
    """Kill workers as in S-04 where nobody can say what they leave: the visitors' own counts decide (S-37)."""
    if session.has_ledgers:
        return None
    kills, threads, chance = session.size(100, 10), 2, session.random("S-37")
    with session.stage() as stage:
        visitors = Visitors(stage.serve().port, rooms=20, per_room=5, path="working")
        workers = stage.start_workers(4, "--threads", str(threads))
        _kill_one_by_one(stage, workers, visitors, kills, threads, chance)
    return {**visitors.figures(), "wanted": PER_RESTART * kills, "kills": kills, "in_hand": kills * threads}


def _kill_one_by_one(stage, workers, visitors, kills, threads, chance, after=lambda: None):
    """Kill one worker after the other at random moments while visitors speak, and start another one each time."""

    def kill():
        for _ in range(kills):
            time.sleep(chance.uniform(0, 0.2))
            index = chance.randrange(len(workers))
            workers[index].process.kill()
            workers[index] = stage.work("--threads", str(threads))
            after()

    asyncio.run(visitors.visit(200, meanwhile=kill))


def kill_ordered(session):
    """Kill workers as in S-04 while sockets speak that are promised their order (S-36)."""
    if not session.has_ledgers:
        return None
    kills, threads, chance = session.size(30, 5), 2, session.random("S-36")
    with session.stage() as stage:
        visitors = Visitors(stage.serve().port, rooms=session.size(40, 20), per_room=5, path="ordered")
        workers = stage.start_workers(4, "--threads", str(threads))
        _kill_one_by_one(stage, workers, visitors, kills, threads, chance)
        account = session.account("killed workers of sockets in order", stage, visitors)
    codes = [code for _, _, code in visitors.dropped]
    return {
        **visitors.figures(),
        "wanted": PER_RESTART * kills,
        "kills": kills,
        "closed_otherwise": len(codes) - codes.count(1013),
        # Those who have missed something and were never told.
        "silent": len(visitors.senders_with_missing() - {(room, number) for room, number, _ in visitors.dropped}),
        "unfinished": account.unfinished,
        "unexplained": account.unexplained,
    }


def _left_by_the_killed(layer):
    """Return how many messages killed workers have not finished: the least seen, for those alive work on some too."""
    counts = []
    for _ in range(LOOKS):
        counts.append(layer.channel_statistics("websocket.receive")["messages_unfinished"])
        time.sleep(BETWEEN_LOOKS)
    return min(counts)


def stop_workers(session):
    """Stop a worker at a random moment, again and again, with one other to take over (S-24)."""
    stops, chance = session.size(100, 10), session.random("S-24")
    with session.stage() as stage:
        visitors = Visitors(stage.serve().port, rooms=10, per_room=5, path="working")
        worker, statuses, seconds = stage.work("--threads", "2"), [], []

        def stop():
            nonlocal worker
            for _ in range(stops):
                replacement = stage.work("--threads", "2")
                time.sleep(chance.uniform(0, 0.1))
                begun = time.monotonic()
                worker.process.send_signal(signal.SIGTERM)
                statuses.append(worker.process.wait(30))
                seconds.append(time.monotonic() - begun)
                worker = replacement

        asyncio.run(visitors.visit(100, meanwhile=stop))
        session.account("stopped workers", stage, visitors)
    clean = statuses.count(0)
    return {
        **visitors.figures(),
        "wanted": PER_RESTART * stops,
        "stops": stops,
        "clean": clean,
        "slowest": round(max(seconds), 2),
    }
