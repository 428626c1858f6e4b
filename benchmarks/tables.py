"""The results as Markdown."""

from .targets import BUSY
from .workloads import WORKLOADS

# The layers that a page compares, with the names of their stacks.
_LAYERS = {
    title: (f"ours-{stack}-daphne", f"ours-{stack}-uvicorn", f"ours-layer-{layer}")
    for title, stack, layer in [
        ("in-memory", "memory-0w", "memory"),
        ("IPC", "ipc-1w", "ipc"),
        ("Redis", "1w", "redis"),
        ("RabbitMQ", "rabbitmq-1w", "rabbitmq"),
    ]
}
_LAYER_COLUMNS = [
    ("echoes per second", "echo", "rate"),
    ("CPU time of an echo", "echo", "cpu_us"),
    ("p99 of echoes at low load", "echo_paced", "p99_us"),
    ("CPU time of a delivery in a room of 1,000", "room1000", "cpu_us"),
    ("time until a sleeping worker has a message", "layer_wake_up", "p50_us"),
]
# Between these the table stands on the page that has it.
_BEGIN, _END = "<!-- measured: -->\n\n", "\n\n<!-- end of what was measured -->"


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
    **{name: [*_CLOSED_LOOP, _OTHERS] for name, workload in WORKLOADS.items() if workload.kind == "layer"},
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


def layers_table(summary):
    """Return the table of what each layer does and costs next to Redis, on each server where there are several."""
    rows = [
        [title, *(_next_to_redis(summary, names, workload, figure) for _, workload, figure in _LAYER_COLUMNS)]
        for title, names in _LAYERS.items()
    ]
    table = _table(["", *(head for head, _, _ in _LAYER_COLUMNS)], rows)
    shares = [
        summary[workload][name].get("other_share", 0)
        for _, workload, _ in _LAYER_COLUMNS
        for names in _LAYERS.values()
        for name in names
        if name in summary.get(workload, {})
    ]
    busy = max(shares, default=0)
    if busy <= BUSY:
        return table
    return f"{table}\n\nOther programs used up to {busy:.1f} CPUs meanwhile, so this is a trial: ratios may be far off."


def _next_to_redis(summary, names, workload, figure):
    pairs = [
        (summary.get(workload, {}).get(name, {}).get(figure), summary.get(workload, {}).get(redis, {}).get(figure))
        for name, redis in zip(names, _LAYERS["Redis"], strict=True)
    ]
    return ", ".join(_number(value / redis, 2) for value, redis in pairs if value is not None and redis)


def with_layers_table(text, summary):
    """Return the text of a document with another table of layers in it."""
    before, _, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not end:
        raise LookupError(f"The page has no place for the table of layers: {_BEGIN!r} and below it {_END!r}.")
    return f"{before}{_BEGIN}{layers_table(summary)}{end}{after}"


def page(conditions, outcomes, summary, stacks, charts):
    """
    Return the whole page of results.

    ``summary`` is {workload: {stack: figures}}, ``stacks`` {name: title} in the order of rows, ``charts`` {workload:
    file name}, among them the curves by their titles.
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
    for title in [title for title in charts if title not in WORKLOADS]:
        parts += [f"## {title}", f"![{title}]({charts[title]})"]
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
Written by `make bench`; [the page above]({readme}) tells what the figures mean and how far to trust them. Stacks
were measured side by side in up to {rounds} rounds, medians, {cpus} CPUs, Python {python}, {brokers}. Where a table
names fewer rounds than for others, the rest was added by a shorter run (`--append`). The engine is that of {commit}.
Ratios hold elsewhere; rates and latencies are those of this machine. A star marks a round in which other programs used
more than a quarter of a CPU."""
