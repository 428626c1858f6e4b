"""Measure stacks under workloads, and keep every measurement as a line of JSON."""

import json
import resource
import time

from . import figures, postgresql, procstat, rabbitmq
from .environments import MissingProgram, install, require_programs
from .processes import RunningStack, StackError
from .speed import SpeedProbe
from .targets import BUSY
from .workloads import WORKLOADS, WorkloadError, run

# From the start of a stack to the load, in seconds: what servers do once is then done.
_SETTLE = 0.7


def prepare(stacks):
    """Install what stacks need, and return those that can run here. Raises ``MissingProgram``."""
    require_programs()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 20000)), hard))
    install("load")
    return [stack for stack in stacks if _installed(stack)]


def _installed(stack):
    try:
        for name in stack.environments:
            install(name)
        if "postgresql" in stack.roles:
            postgresql.program("postgres")
        if "rabbitmq" in stack.roles and not rabbitmq.PROGRAM.exists():
            raise MissingProgram("RabbitMQ is not installed. On Debian or Ubuntu: apt-get install rabbitmq-server")
    except MissingProgram as error:
        print(f"Left out: {stack.name}. {error}", flush=True)
        return False
    return True


def measure(plan, rounds, patience, output, first=1):
    """
    Make the measurements of a plan, ``(workload, stack)``, in every round, and write a line for each to ``output``.

    Rounds are counted from ``first`` on.

    Before each one, wait up to ``patience`` seconds until other programs leave the machine alone.
    """
    for number in range(first, first + rounds):
        for name, stack in plan:
            _wait_for_silence(patience)
            line = {"round": number, "stack": stack.name, "workload": name, **_measure(stack, name)}
            print(json.dumps(line), file=output, flush=True)
            print(f"{number} {name:11} {stack.name:30} {figures.one_line(line)}", flush=True)


def _measure(stack, name):
    """Run one workload on a stack that has served nothing before, and return what was measured."""
    try:
        with RunningStack(stack) as running:
            time.sleep(_SETTLE)
            with SpeedProbe() as probe:
                measured = run(WORKLOADS[name], running)
    except (StackError, WorkloadError) as error:
        return {"error": str(error)}
    return {**measured, "probe_us": probe.mean_us()}


def _wait_for_silence(patience):
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        window = procstat.CpuWindow({}, time.process_time)
        time.sleep(0.5)
        if window.stop()["other_cpu_s"] < BUSY * 0.5:
            return
