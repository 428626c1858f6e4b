"""Figures by the number of members, as curves, written as SVG by hand."""

from .charts import picture, text

_LEFT, _TOP, _PANEL, _HEIGHT, _GAP, _LINE = 24, 70, 250, 170, 74, 18
_COLOURS = ["#4c78a8", "#f58518", "#54a24b", "#b279a2", "#9d755d", "#e45756"]

# What is drawn by the mode of workloads: panels with title, figure, by what it is multiplied, digits.
PANELS = {
    "scale": [
        ("CPU µs per delivery", "cpu_us", 1, 1),
        ("KiB per socket", "kib_per_socket", 1, 1),
        ("sockets opened per second", "connects_per_s", 1, 0),
        ("longest pause while opening, ms", "connect_pause_us", 1e-3, 0),
        ("longest pause while speaking, ms", "pause_us", 1e-3, 0),
    ],
    "broadcasts": [("CPU µs per broadcast", "cpu_us", 1, 0)],
}
TITLES = {"scale": "A room by the number of its sockets", "broadcasts": "A group by the number of its members"}


def curves(mode, by_members, order):
    """Return the picture of ``by_members``, {number: {stack: figures}}; None without any figures."""
    panels = PANELS[mode]
    stacks = [stack for stack in order if any(_points(by_members, stack, figure) for _, figure, _, _ in panels)]
    if not stacks:
        return None
    colours = {stack: _COLOURS[number % len(_COLOURS)] for number, stack in enumerate(stacks)}
    parts = []
    for number, (name, figure, factor, digits) in enumerate(panels):
        by_stack = {stack: _points(by_members, stack, figure, factor) for stack in stacks}
        parts += _panel(_LEFT + number * (_PANEL + _GAP), name, by_stack, colours, digits)
    bottom = _TOP + _HEIGHT + 44
    for number, stack in enumerate(stacks):
        y = bottom + number * _LINE
        parts += [_line([(_LEFT, y - 4), (_LEFT + 24, y - 4)], colours[stack]), text(_LEFT + 32, y, stack)]
    width, height = _LEFT + len(panels) * (_PANEL + _GAP), bottom + len(stacks) * _LINE
    return picture(TITLES[mode], width, height, parts)


def _points(by_members, stack, figure, factor=1):
    """Return pairs of a number of members and a value, where there is one."""
    measured = {number: by_stack.get(stack, {}).get(figure) for number, by_stack in sorted(by_members.items())}
    return [(number, value * factor) for number, value in measured.items() if value is not None]


def _panel(left, name, curves, colours, digits):
    """Return one pair of axes, both of which begin at nothing, and its curves with their values."""
    points = [point for curve in curves.values() for point in curve]
    most_sockets, highest = (max((point[axis] for point in points), default=0) or 1 for axis in (0, 1))
    bottom = _TOP + _HEIGHT

    def place(point):
        return left + point[0] / most_sockets * _PANEL, bottom - point[1] / highest * _HEIGHT

    parts = [text(left, _TOP - 22, name, weight="bold")]
    parts.append(_line([(left, _TOP), (left, bottom), (left + _PANEL, bottom)], "#888888"))
    for sockets in sorted({point[0] for point in points}):
        parts.append(text(place((sockets, 0))[0], bottom + 16, f"{sockets:,}", anchor="middle", size=11))
    for stack, curve in curves.items():
        parts.append(_line(map(place, curve), colours[stack]))
        for point in curve:
            x, y = place(point)
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colours[stack]}"/>')
            parts.append(text(round(x, 1), round(y - 6, 1), f"{point[1]:,.{digits}f}", anchor="middle", size=11))
    return parts


def _line(points, colour):
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
