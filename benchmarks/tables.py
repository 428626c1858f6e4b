"""The results as Markdown."""

from .workloads import WORKLOADS

SCALE_TITLE = "A room by the number of its sockets"


def _number(value, digits=0):
    return "" if value is None else f"{value:,.{digits}f}"


def _milliseconds(value):
    return "" if value is None else _number(value / 1000, 2 if value < 100_000 else 0)


def _percent(share):
    return "" if share is None else f"{share:.1%}"


def _range(values):
    return "–".join(_number(value) for value in values or ())


def _roles(by_role, show):
    return ", ".join(f"{role} {show(value)}" for role, value in (by_role or {}).items())


def _lost(figures):
    if figures.get("missing") is None:
        return _number(figures.get("lost"))
    wanted = figures.get("wanted") or figures["ops"] + figures["missing"]
    return "0" if not figures["missing"] else _percent(figures["missing"] / wanted)


def _others(figures):
    """Return what other programs used; it is a difference of clocks of 10 ms each, which may fall below nothing."""
    share = figures.get("other_share")
    return "" if share is None else _percent(max(0.0, share))


_RATE = ("per s", lambda f: _number(f.get("rate")))
_RATES = ("per s, min–max", lambda f: _range(f.get("rate_range")))
_CPU = ("CPU µs each", lambda f: _number(f.get("cpu_us"), 1))
_CPUS = ("CPU µs, min–max", lambda f: _range(f.get("cpu_us_range")))
_BY_ROLE = ("of which", lambda f: _roles(f.get("cpu_us_by_role"), _number))
_P50 = ("p50 ms", lambda f: _milliseconds(f.get("p50_us")))
_P99 = ("p99 ms", lambda f: _milliseconds(f.get("p99_us")))
_LOST = ("lost", _lost)
_FAILED = ("failed", lambda f: _number(f.get("failed")))
_DROPPED = ("sockets dropped", lambda f: _number(f.get("dropped")))
_LOAD = ("load generator", lambda f: _percent(f.get("load_share")))
_SHARES = ("CPU while idle", lambda f: _roles(f.get("cpu_share"), _percent))
_CALLS = ("broker's commands per s", lambda f: _number(f.get("redis_calls_per_s"), 1))

_OTHERS = ("other programs", _others)

_MEMORY = ("KiB per socket", lambda f: _number(f.get("kib_per_socket"), 1))
_SCALE = [
    ("opened per s", lambda f: _number(f.get("connects_per_s"))),
    ("pause while opening, ms", lambda f: _milliseconds(f.get("connect_pause_us"))),
    _MEMORY,
    _RATE,
    _CPU,
    _CPUS,
    _BY_ROLE,
    ("pause while speaking, ms", lambda f: _milliseconds(f.get("pause_us"))),
    _LOST,
    _DROPPED,
    _LOAD,
    _OTHERS,
]
_CLOSED_LOOP = [_RATE, _RATES, _CPU, _CPUS, _BY_ROLE, _P50, _P99]
_COLUMNS = {
    "http": [*_CLOSED_LOOP, _FAILED, _LOAD, _OTHERS],
    "echo": [*_CLOSED_LOOP, _LOST, _LOAD, _OTHERS],
    "echo_paced": [_CPU, _P50, _P99, _LOST, _OTHERS],
    "site_echo": [*_CLOSED_LOOP, _LOST, _LOAD, _OTHERS],
    "site_echo_paced": [_CPU, _P50, _P99, _LOST, _OTHERS],
    "room1000": [*_CLOSED_LOOP, _LOST, _LOAD, _OTHERS],
    "rooms20x50": [*_CLOSED_LOOP, _LOST, _LOAD, _OTHERS],
    "site_room": [*_CLOSED_LOOP, _LOST, _LOAD, _OTHERS],
    **{name: _SCALE for name, workload in WORKLOADS.items() if workload.mode == "scale"},
    "burst": [_RATE, _CPU, _LOST, ("messages nobody got", lambda f: _number(f.get("untouched"))), _DROPPED, _OTHERS],
    "storm_echo": [_RATE, _RATES, _CPU, _P50, _P99, _FAILED, _LOAD, _OTHERS],
    "storm_room": [_RATE, _RATES, _CPU, _P50, _P99, _FAILED, _LOAD, _OTHERS],
    "idle": [_MEMORY, _SHARES, _CALLS, _DROPPED, _OTHERS],
    "quiet": [_SHARES, _CALLS, _OTHERS],
    "broker10": [("commands per broadcast", lambda f: _number(f.get("redis_calls_per_broadcast"), 1))],
    "broker1000": [("commands per broadcast", lambda f: _number(f.get("redis_calls_per_broadcast"), 1))],
}


def targets_table(outcomes):
    """Return the table of targets."""
    rows = []
    for outcome in outcomes:
        met = {True: "yes", False: "**no**", None: "not measured"}[outcome.is_met]
        rows.append([outcome.target.subject, outcome.server, outcome.target.what, *_measured(outcome), met])
    return _table(["", "server", "figure", "target", "measured", "each round", "met"], rows)


def _measured(outcome):
    target = outcome.target
    unit = f" {target.unit}" if target.unit else " times" if target.of else ""
    bound, limit = ("at most", target.at_most) if target.at_least is None else ("at least", target.at_least)
    wanted = f"{bound} {limit:g}{unit}"
    if outcome.value is None:
        return [wanted, "", ""]
    digits = 0 if target.figure == "missing" else 2
    rounds = [f"{_number(one.value, digits)}{'*' * one.disturbed}" for one in outcome.rounds]
    value = _number(outcome.value, digits) + unit
    return [wanted, value, ", ".join(rounds)]


def workload_table(workload, by_stack, order):
    """Return the table of one workload; ``by_stack`` are the figures by stack, which come in ``order``."""
    columns = _COLUMNS[workload]
    rows = []
    for stack in order:
        if stack in by_stack:
            figures = by_stack[stack]
            cells = [cell(figures) if figures["rounds"] else "" for _, cell in columns]
            failed = f", {len(figures['failed_rounds'])} failed" if figures.get("failed_rounds") else ""
            rows.append([f"`{stack}`", *cells, f"{figures['rounds']}{failed}"])
    return _table(["stack", *(head for head, _ in columns), "rounds"], rows)


def _table(heads, rows):
    # Columns in which no stack has anything to say are left out.
    used = [number for number in range(len(heads)) if any(row[number] for row in rows)]
    lines = [[heads[number] for number in used], ["---" if number == 0 else "---:" for number in used]]
    lines += [[row[number] for number in used] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def page(conditions, outcomes, summary, stacks, charts):
    """
    Return the whole page of results.

    ``summary`` is {workload: {stack: figures}}, ``stacks`` {name: title} in the order of rows, ``charts`` {workload:
    file name}, and `scale` among them for the picture of all sizes.
    """
    parts = ["# Results", _CONDITIONS.format(**conditions, commit=_commit(conditions["engine"]))]
    if outcomes:
        parts += ["## Targets", targets_table(outcomes)]
    for workload in WORKLOADS:
        if workload in summary:
            parts.append(f"## {WORKLOADS[workload].title}")
            if workload in charts:
                parts.append(f"![{WORKLOADS[workload].title}]({charts[workload]})")
            parts.append(workload_table(workload, summary[workload], stacks))
    measured = {stack for by_stack in summary.values() for stack in by_stack}
    if "scale" in charts:
        parts += [f"## {SCALE_TITLE}", f"![{SCALE_TITLE}]({charts['scale']})"]
    rows = [[f"`{name}`", title] for name, title in stacks.items() if name in measured]
    parts += ["## Stacks", _table(["name", "what"], rows)]
    return "\n\n".join(parts) + "\n"


def _commit(described):
    """Put into words what git describes: a commit, ``-dirty`` behind it where files had been changed."""
    commit = described.removesuffix("-dirty")
    if not commit:
        return "an unknown commit"
    return f"commit {commit}" + (", with changes not committed" if commit != described else "")


_CONDITIONS = """\
Written by `make bench`; [the page above](../README.md) tells what the figures mean and how far to trust them. Stacks
were measured side by side in up to {rounds} rounds, medians, {cpus} CPUs, Python {python}, Redis {redis}. Where a table
names fewer rounds than for others, the rest was added by a shorter run (`--append`). The engine is that of {commit}.
Ratios hold elsewhere; rates and latencies are those of this machine. A star marks a round in which other programs used
more than a quarter of a CPU."""
