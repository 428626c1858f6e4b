"""Measure stacks under workloads, and keep every measurement as a line of JSON."""

import json
import resource
import time

from . import figures
from .environments import MissingProgram, install, require_programs
from .processes import RunningStack, StackError
from .speed import SpeedProbe
from .workloads import WORKLOADS, WorkloadError, run


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
    except MissingProgram as error:
        print(f"Left out: {stack.name}. {error}", flush=True)
        return False
    return True


def measure(stacks, names, rounds, output):
    """
    Run the named workloads on every stack, and write a line for each to ``output``.

    Rounds are the outer loop: so the stacks are measured in turn, and what the machine does meanwhile meets all.
    """
    for number in range(1, rounds + 1):
        for stack in stacks:
            wanted = [name for name in WORKLOADS if name in names and stack.runs(name)]
            for name, measured in _measure_stack(stack, wanted):
                line = {"round": number, "stack": stack.name, "workload": name, **measured}
                print(json.dumps(line), file=output, flush=True)
                print(f"{number} {stack.name:30} {name:11} {figures.one_line(line)}", flush=True)


def _measure_stack(stack, names):
    """Yield ``(workload, what was measured)``; the stack is started anew where a workload wants it fresh."""
    for group in fresh_starts(names):
        try:
            with RunningStack(stack) as running:
                time.sleep(1)
                for name in group:
                    yield name, _measure_workload(running, name)
        except StackError as error:
            yield from ((name, {"error": str(error)}) for name in group)


def fresh_starts(names):
    """Return workloads in lists: before each list the stack is started."""
    groups = []
    for name in names:
        if WORKLOADS[name].fresh or not groups:
            groups.append([])
        groups[-1].append(name)
    return groups


def _measure_workload(running, name):
    try:
        with SpeedProbe() as probe:
            measured = run(WORKLOADS[name], running)
    except WorkloadError as error:
        return {"error": str(error)}
    return {**measured, "probe_us": probe.mean_us()}
