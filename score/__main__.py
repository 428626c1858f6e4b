"""
Run the scorecard: ``python -m score [--rows S-01,S-07] [--seed N] [--layer ipc] [--quick] [--busy N] [--json FILE]``.

Exits with 0 if none of the rows that were run has failed.
"""

import argparse
import resource
import secrets
import sys
import tempfile
import time
from pathlib import Path

from .busy import busy_loops
from .rows import ROWS
from .run import run
from .session import LAYERS, Session
from .table import Report, as_json, as_text
from .versions import versions

JSON = Path("build/score.json")
# Four thousand sockets, at either end.
OPEN_FILES = 20_000


def main(arguments=None):
    """Run what the command line asks for; return the exit status."""
    options = _parse(arguments)
    _allow_many_files()
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="score-") as folder,
        Session(Path(folder), options.seed, options.quick, options.layer) as session,
        busy_loops(options.busy),
    ):
        outcomes = run(ROWS, options.rows, session, _tell)
        seconds = round(time.monotonic() - started, 1)
        report = Report(outcomes, options.seed, options.quick, versions(session), seconds, options.busy, options.layer)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(as_json(report))
    print(as_text(report))
    return 1 if report.failed else 0


def _parse(arguments):
    parser = argparse.ArgumentParser(prog="python -m score", description="Run the reliability scorecard.")
    parser.add_argument("--rows", type=_ids, default=[row.id for row in ROWS], help="ids, separated by commas")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="repeats the choices of a run")
    parser.add_argument("--layer", choices=LAYERS, default=LAYERS[0], help=f"the channel layer, {LAYERS[0]}")
    parser.add_argument("--quick", action="store_true", help="smaller counts, in a few minutes")
    parser.add_argument("--busy", type=int, default=0, metavar="N", help="beside so many busy loops")
    parser.add_argument("--json", type=Path, default=JSON, metavar="FILE", help=f"where the figures go, {JSON}")
    return parser.parse_args(arguments)


def _ids(text):
    ids = [part.strip().upper() for part in text.split(",") if part.strip()]
    unknown = sorted(set(ids) - {row.id for row in ROWS})
    if unknown or not ids:
        raise argparse.ArgumentTypeError(
            f"there is no row {', '.join(unknown) or 'to run'}; {ROWS[0].id} to {ROWS[-1].id} are known"
        )
    return ids


def _allow_many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _tell(line):
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
