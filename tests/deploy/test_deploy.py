"""New code for the workers while visitors go on: no socket closes, nothing is lost, doubled or out of order."""

import asyncio
import signal

from .ledger import Ledger

DEPLOYS = 3


def test_a_deploy_is_noticed_by_nobody(site):
    server = site.serve()
    workers = site.work("--processes", "2", "--threads", "2")

    async def visit():
        ledger = Ledger(server.port, rooms=10, per_room=20)
        await ledger.open()
        stop = asyncio.Event()
        visitors = asyncio.create_task(ledger.send_steadily(per_second=60, stop=stop, at_once=3))
        for deploy in range(1, DEPLOYS + 1):
            await asyncio.sleep(2)
            site.deploy(version=deploy + 1)
            workers.process.send_signal(signal.SIGHUP)
            await asyncio.to_thread(workers.wait_until, lambda: workers.log.count("has taken over") == 2 * deploy)  # noqa: B023
        await asyncio.sleep(2)
        stop.set()
        await visitors
        await ledger.settle()
        dropped = list(ledger.closed)
        await ledger.close()
        return ledger, dropped

    ledger, dropped = asyncio.run(visit())

    assert dropped == []
    assert ledger.count_missing() == 0
    assert ledger.count_repeated() == 0
    assert ledger.count_disordered() == 0
    assert ledger.versions == set(range(1, DEPLOYS + 2))
    assert sum(map(len, ledger.sent.values())) > 200
    assert workers.stop() == 0
    assert "Traceback" not in server.log + workers.log
