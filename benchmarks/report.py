"""Write what a run has measured: JSON, a page with tables, and pictures."""

import json
import os
import platform
import subprocess

from . import rabbitmq
from .charts import chart
from .curves import TITLES, curves
from .environments import BENCHMARKS, requirements
from .figures import summarise
from .tables import page, with_layers_table
from .targets import judge
from .workloads import WORKLOADS


def read_runs(folder):
    """Return the measurements of a run."""
    return [json.loads(line) for line in (folder / "runs.jsonl").read_text("utf-8").splitlines()]


def write_conditions(folder, engine):
    """Keep under which conditions a run is measured."""
    conditions = {
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "brokers": f"Redis {_redis_version()}{_rabbitmq_version()}",
        "engine": _commit(engine),
        "packages": [line for line in requirements("ours").splitlines() if "==" in line],
    }
    (folder / "conditions.json").write_text(json.dumps(conditions, indent=1) + "\n", "utf-8")


def write_report(folder, stacks, document=None):
    """
    Write everything that follows from the measurements in a folder; ``stacks`` is {name: title}.

    ``document`` is the path of one that has a table of layers, which is written anew.
    """
    lines = read_runs(folder)
    conditions = json.loads((folder / "conditions.json").read_text("utf-8"))
    conditions["rounds"] = len({line["round"] for line in lines})
    conditions["readme"] = os.path.relpath(BENCHMARKS / "README.md", folder)
    summary, outcomes = summarise(lines), judge(lines)
    charts = _write_charts(folder, summary, stacks)
    page_text = page(conditions, outcomes, summary, stacks, charts)
    (folder / "README.md").write_text(page_text, "utf-8")
    if document is not None:
        document.write_text(with_layers_table(document.read_text("utf-8"), summary), "utf-8")
    kept = {"conditions": conditions, "targets": list(map(_as_json, outcomes)), "summary": summary}
    (folder / "summary.json").write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    return outcomes


def _write_charts(folder, summary, order):
    charts = {}
    for name, by_stack in summary.items():
        if WORKLOADS[name].mode not in TITLES:
            charts[name] = f"{name}.svg", chart(WORKLOADS[name], name, by_stack, order)
    for mode, title in TITLES.items():
        sizes = {name: WORKLOADS[name].options["members"] for name in summary if WORKLOADS[name].mode == mode}
        by_members = {size: summary[name] for name, size in sizes.items()}
        charts[title] = f"{mode}.svg", curves(mode, by_members, order)
    drawn = {name: (file, picture) for name, (file, picture) in charts.items() if picture is not None}
    for file, picture in drawn.values():
        (folder / file).write_text(picture, "utf-8")
    return {name: file for name, (file, _) in drawn.items()}


def _as_json(outcome):
    target = outcome.target
    return {
        "subject": target.subject,
        "figure": target.what,
        "server": outcome.server,
        "at_least": target.at_least,
        "at_most": target.at_most,
        "value": outcome.value,
        "rounds": [one.value for one in outcome.rounds],
        "disturbed": [one.disturbed for one in outcome.rounds],
        "met": outcome.is_met,
    }


def _redis_version():
    """Return the version in the first line of `redis-server --version`: `Redis server v=7.0.15 sha=...`."""
    shown = subprocess.run(["redis-server", "--version"], capture_output=True, text=True).stdout
    return next((word.removeprefix("v=") for word in shown.split() if word.startswith("v=")), "of unknown version")


def _rabbitmq_version():
    """Return the version in the name of the folder that Debian installs it in, where it is installed."""
    found = sorted((rabbitmq.PROGRAM.parents[1] / "lib").glob("rabbitmq_server-*"))
    return f", RabbitMQ {found[-1].name.rpartition('-')[2]}" if found else ""


def _commit(folder):
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()
