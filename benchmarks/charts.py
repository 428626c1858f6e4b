"""The results as pictures: horizontal bars, written as SVG by hand."""

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

_ROW, _BAR, _LABELS, _PANEL, _GAP, _TOP = 22, 14, 250, 300, 90, 58
_ROLES = {
    "server": "#4c78a8",
    "worker": "#f58518",
    "redis": "#9d9da1",
    "rabbitmq": "#9d755d",
    "postgresql": "#b279a2",
    "sender": "#54a24b",
    "reader": "#eeca3b",
}
_COLOURS = {**_ROLES, "": "#8fb0d3", "ours": "#2e7d4f"}


@dataclass(frozen=True)
class Panel:
    """Bars for one figure: {label: {part: value}}; the parts of a bar lie end to end."""

    title: str
    bars: Mapping[str, Mapping[str, float]]
    digits: int = 0


def svg(title, panels):
    """Return a picture with the panels side by side; all have the labels of the first."""
    labels = list(panels[0].bars)
    width = _LABELS + len(panels) * (_PANEL + _GAP)
    height = _TOP + _ROW * len(labels) + 34
    parts = [_label(row, label) for row, label in enumerate(labels)]
    for number, panel in enumerate(panels):
        parts += _panel(panel, labels, _LABELS + number * (_PANEL + _GAP))
    return picture(title, width, height, [*parts, *_legend(panels, height - 12)])


def picture(title, width, height, parts):
    """Return an SVG picture of parts below a title."""
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        text(12, 24, title, size=15, weight="bold"),
    ]
    return "\n".join([*head, *parts, "</svg>"]) + "\n"


def text(x, y, content, anchor="start", size=12, weight="normal"):
    """Return a text of a picture."""
    style = f'text-anchor="{anchor}" font-size="{size}" font-weight="{weight}"'
    return f'<text x="{x:g}" y="{y:g}" {style}>{escape(content)}</text>'


def _label(row, label):
    weight = "bold" if _whose(label) else "normal"
    return text(_LABELS - 8, _baseline(row), label, anchor="end", weight=weight)


def _panel(panel, labels, left):
    longest = max((sum(bar.values()) for bar in panel.bars.values()), default=0) or 1
    parts = [text(left, _TOP - 12, panel.title, weight="bold")]
    for row, label in enumerate(labels):
        bar, x = panel.bars.get(label, {}), float(left)
        for part, value in bar.items():
            length = value / longest * _PANEL
            y = _TOP + row * _ROW + (_ROW - _BAR) / 2
            colour = _COLOURS.get(part, _COLOURS[""])
            parts.append(f'<rect x="{x:.1f}" y="{y:g}" width="{length:.1f}" height="{_BAR}" fill="{colour}"/>')
            x += length
        if bar:
            parts.append(text(x + 5, _baseline(row), f"{sum(bar.values()):,.{panel.digits}f}"))
    return parts


def _legend(panels, y):
    names = dict.fromkeys(part for panel in panels for bar in panel.bars.values() for part in bar)
    parts, x = [], _LABELS
    for name in names:
        if name in _ROLES:
            parts += [f'<rect x="{x}" y="{y - 10}" width="12" height="12" fill="{_COLOURS[name]}"/>']
            parts += [text(x + 18, y, name)]
            x += 90
    return parts


def _baseline(row):
    return _TOP + row * _ROW + _ROW / 2 + 4


def workload_chart(title, operation, by_stack, order):
    """Return the picture of one workload: what an operation costs, and how many were done; None without any."""
    stacks = [stack for stack in order if by_stack.get(stack, {}).get("cpu_us")]
    if not stacks:
        return None
    cost = {stack: by_stack[stack]["cpu_us_by_role"] for stack in stacks}
    rate = {stack: {_whose(stack): by_stack[stack]["rate"]} for stack in stacks}
    return svg(title, [Panel(f"CPU µs per {operation}", cost), Panel("per second", rate)])


def memory_chart(title, by_stack, order):
    """Return the picture of memory per idle socket; None without any."""
    stacks = [stack for stack in order if by_stack.get(stack, {}).get("kib_per_socket")]
    bars = {stack: {_whose(stack): by_stack[stack]["kib_per_socket"]} for stack in stacks}
    return svg(title, [Panel("KiB per socket", bars, digits=1)]) if bars else None


def latency_chart(title, by_stack, order):
    """Return the picture of latencies; None without any."""
    stacks = [stack for stack in order if by_stack.get(stack, {}).get("p99_us")]
    panels = []
    for name in ("p50", "p99"):
        bars = {stack: {_whose(stack): by_stack[stack][f"{name}_us"] / 1000} for stack in stacks}
        panels.append(Panel(f"{name}, ms", bars, digits=2))
    return svg(title, panels) if stacks else None


def _whose(stack):
    return "ours" if stack.startswith(("ours", "against", "own")) else ""


def chart(workload, name, by_stack, order):
    """Return the picture that suits a workload; None where there is nothing to show."""
    if name == "idle":
        return memory_chart(workload.title, by_stack, order)
    if workload.mode in ("paced", "wake_up"):
        return latency_chart(workload.title, by_stack, order)
    if name in ("quiet", "broker10", "broker1000"):
        return None
    return workload_chart(workload.title, workload.operation, by_stack, order)
