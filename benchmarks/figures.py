"""From measurements to figures: per second, per operation, medians over rounds. Values in, values out."""

import statistics

_IDENTITY = ("round", "stack", "workload")
_SHORT = (
    "rate",
    "cpu_us",
    "p50_us",
    "p99_us",
    "lost",
    "missing",
    "failed",
    "dropped",
    "kib_per_socket",
    "connects_per_s",
    "connect_pause_us",
    "pause_us",
    "cpu_share",
    "redis_calls_per_broadcast",
    "redis_calls_per_s",
    "load_share",
    "other_share",
)


def typical_probe_us(lines):
    """Return the median time of the speed probe in a run: the speed of the machine to which its costs are scaled."""
    return median([line.get("probe_us") for line in lines])


def derive(line, probe_us=None):
    """
    Return a measurement with what follows from it.

    ``rate`` is operations per second, ``cpu_us`` what all processes of the stack used per operation, scaled to the
    speed at which the machine's probe takes ``probe_us``. Shares are of one CPU.
    """
    figures = dict(line)
    seconds, ops = line.get("seconds"), line.get("ops")
    if not seconds:
        return figures
    figures |= _per_second(line, seconds)
    if ops is not None:
        figures["rate"] = ops / seconds
    if ops and "cpu_s" in line:
        scale = probe_us / line["probe_us"] if probe_us and line.get("probe_us") else 1
        figures["cpu_us"] = line["cpu_s"] / ops * 1e6 * scale
        by_role = line.get("cpu_s_by_role", {}).items()
        figures["cpu_us_by_role"] = {role: used / ops * 1e6 * scale for role, used in by_role}
    return figures


def _per_second(line, seconds):
    figures = {}
    if "cpu_s_by_role" in line:
        figures["cpu_share"] = {role: used / seconds for role, used in line["cpu_s_by_role"].items()}
    if "redis_calls" in line:
        figures["redis_calls_per_s"] = line["redis_calls"] / seconds
    for name in ("load", "other", "stolen"):
        if f"{name}_cpu_s" in line:
            figures[f"{name}_share"] = line[f"{name}_cpu_s"] / seconds
    return figures


def median(values):
    """Return the median of numbers, or of dicts key by key; of anything else the last value."""
    values = [value for value in values if value is not None]
    if not values:
        return None
    if all(isinstance(value, dict) for value in values):
        keys = dict.fromkeys(key for value in values for key in value)
        return {key: median([value.get(key) for value in values]) for key in keys}
    if all(isinstance(value, int | float) for value in values):
        return round(statistics.median(values), 4)
    return values[-1]


def summarise(lines):
    """Return {workload: {stack: {figure: median, "rounds": n, "cpu_us_range": [...], "failed_rounds": [...]}}}."""
    groups, probe_us = {}, typical_probe_us(lines)
    for line in lines:
        groups.setdefault(line["workload"], {}).setdefault(line["stack"], []).append(line)
    return {
        workload: {stack: _summarise_one(measured, probe_us) for stack, measured in stacks.items()}
        for workload, stacks in groups.items()
    }


def _summarise_one(lines, probe_us):
    good = [derive(line, probe_us) for line in lines if "error" not in line]
    names = dict.fromkeys(name for line in good for name in line if name not in _IDENTITY)
    summary = {name: median([line.get(name) for line in good]) for name in names}
    summary["rounds"] = len(good)
    for name in ("cpu_us", "rate"):
        values = [line[name] for line in good if name in line]
        if values:
            summary[f"{name}_range"] = [round(min(values), 1), round(max(values), 1)]
    if failed := [line["error"] for line in lines if "error" in line]:
        summary["failed_rounds"] = failed
    return summary


def one_line(line):
    """Return a measurement in short, for the terminal."""
    if "error" in line:
        return "FAILED " + line["error"].strip().replace("\n", " | ")[-200:]
    figures = derive(line)
    return " ".join(f"{name}={_short(figures[name])}" for name in _SHORT if name in figures)


def _short(value):
    if isinstance(value, dict):
        return ",".join(f"{name}:{_short(part)}" for name, part in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)
