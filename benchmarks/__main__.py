"""
Measure the engine next to its peers, on this machine, over loopback.

    python -m benchmarks list
    python -m benchmarks run --stacks targets --rounds 3
    python -m benchmarks run --stacks 'ours-1w-*' --workloads echo,room1000 --rounds 1 --engine ../other-checkout
    python -m benchmarks run --stacks 'ours-1w-*,against-1w-*' --workloads echo,room1000,http --against ../before
    python -m benchmarks run --stacks layers --rounds 3
    python -m benchmarks run --stacks layers --workloads 'layer_*' --layer mylayer.MyChannelLayer
    python -m benchmarks report
    python -m benchmarks profile ours-1w-daphne room1000
    python -m benchmarks serve ours-1w-uvicorn
"""

import argparse
import fnmatch
import os
import signal
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from .environments import BUILD, REPOSITORY, MissingProgram, install
from .measure import measure, prepare
from .plans import NEEDED, choose, plan
from .processes import RunningStack
from .profiling import profile
from .report import read_runs, write_conditions, write_report
from .stacks import all_stacks, copy_engine
from .tables import targets_table
from .workloads import WORKLOADS


def command_list(arguments):
    for stack in _stacks(arguments).values():
        print(f"{stack.name:30} {stack.title}")
    print()
    for name, workload in WORKLOADS.items():
        print(f"{name:30} {workload.title}")


def command_run(arguments):
    named = _workloads(arguments.workloads)
    stacks = prepare(_chosen(arguments, arguments.stacks))
    needed = arguments.stacks if arguments.stacks in NEEDED and not named else None
    measurements = plan(stacks, named or WORKLOADS, needed)
    arguments.output.mkdir(parents=True, exist_ok=True)
    before = [line["round"] for line in read_runs(arguments.output)] if arguments.append else []
    with open(arguments.output / "runs.jsonl", "a" if arguments.append else "w") as output:
        write_conditions(arguments.output, arguments.checkout)
        measure(measurements, arguments.rounds, arguments.patience, output, first=max(before, default=0) + 1)
    command_report(arguments)


def command_report(arguments):
    titles = {name: stack.title for name, stack in _stacks(arguments).items()}
    outcomes = write_report(arguments.output, titles, arguments.page)
    if outcomes:
        print(f"\n{targets_table(outcomes)}")
    print(f"\nThe results are in {arguments.output}/")


def command_profile(arguments):
    [stack] = prepare(_chosen(arguments, arguments.stack))
    install("profiler")
    print(profile(stack, arguments.workload, arguments.seconds, arguments.lines, arguments.native))


def command_serve(arguments):
    [stack] = prepare(_chosen(arguments, arguments.stack))
    with RunningStack(stack) as running:
        print(f"{running.http_url} ports: {running.ports}, processes: {running.roles()}", flush=True)
        while True:
            time.sleep(3600)


def _stacks(arguments):
    return all_stacks(arguments.engine, arguments.against, arguments.layer)


def _chosen(arguments, wanted):
    return choose(_stacks(arguments), wanted)


def _workloads(wanted):
    """Return the workloads in a list of names or patterns separated by commas, in their own order."""
    chosen = set()
    for pattern in filter(None, wanted.split(",")):
        found = set(fnmatch.filter(WORKLOADS, pattern))
        if not found:
            raise LookupError(f"No workload is named {pattern!r}; there are {', '.join(WORKLOADS)}.")
        chosen |= found
    return [name for name in WORKLOADS if name in chosen]


def _parser():
    parser = argparse.ArgumentParser(
        prog="benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--engine",
        default=os.environ.get("BENCH_ENGINE") or REPOSITORY,
        help="a checkout whose engine is measured; default: $BENCH_ENGINE, or this one",
    )
    common.add_argument("--against", help="a second checkout, measured in the same run as against-*")
    common.add_argument("--layer", help="dotted path of a layer of your own, measured as own-layer")
    results = argparse.ArgumentParser(add_help=False)
    results.add_argument("--output", type=Path, default=BUILD / "results", help="folder of the results")
    results.add_argument("--page", type=Path, help="a document whose table of layers is replaced by what was measured")
    commands = parser.add_subparsers(required=True)

    commands.add_parser("list", parents=[common]).set_defaults(function=command_list)

    run = commands.add_parser("run", parents=[common, results], help="measure stacks under workloads")
    run.add_argument(
        "--stacks", default="targets", help="names or patterns, comma-separated; 'targets', 'layers', 'all'"
    )
    run.add_argument("--workloads", default="", help="names or patterns, comma-separated; default: all")
    run.add_argument("--rounds", type=int, default=3)
    run.add_argument("--patience", type=float, default=0, help="seconds to wait for a machine that is busy otherwise")
    run.add_argument("--append", action="store_true", help="add to the measurements that are there")
    run.set_defaults(function=command_run)

    again = commands.add_parser("report", parents=[common, results], help="write tables and pictures again")
    again.set_defaults(function=command_report)

    look = commands.add_parser("profile", parents=[common], help="show where the time goes")
    look.add_argument("stack")
    look.add_argument("workload", choices=WORKLOADS)
    look.add_argument("--seconds", type=int, default=5)
    look.add_argument("--lines", action="store_true", help="by line, not by function")
    look.add_argument("--native", action="store_true", help="with the functions of extensions in C")
    look.set_defaults(function=command_profile)

    serve = commands.add_parser("serve", parents=[common], help="start a stack and leave it running")
    serve.add_argument("stack")
    serve.set_defaults(function=command_serve)
    return parser


def _run(arguments):
    """Run the command, on copies of the engines: nobody has to stop working on them meanwhile."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=BUILD, prefix="engine-") as folder:
        arguments.checkout = arguments.engine
        arguments.engine = copy_engine(arguments.engine, Path(folder) / "ours")
        if arguments.against:
            arguments.against = copy_engine(arguments.against, Path(folder) / "against")
        arguments.function(arguments)


def main():
    arguments = _parser().parse_args()
    # So that the stacks are stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _run(arguments)
    except (MissingProgram, LookupError, FileNotFoundError) as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
