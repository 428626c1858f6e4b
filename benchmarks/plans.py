"""Which stacks and workloads are measured, and in which order."""

import fnmatch

from .stacks import GROUP_WORKLOADS, LAYER_WORKLOADS, SERVERS, VARIANTS


def choose(stacks, wanted):
    """
    Return the stacks of a list of names or patterns, separated by commas, in their own order.

    `all` means all, a name in `NEEDED` those in that table. Raises ``LookupError``.
    """
    chosen = set()
    for part in wanted.split(","):
        patterns = NEEDED.get(part, ["*" if part == "all" else part])
        found = {name for name in stacks for pattern in patterns if fnmatch.fnmatchcase(name, pattern)}
        if not found:
            raise LookupError(f"No stack is named {part!r}; there are {', '.join(stacks)}.")
        chosen |= found
    return [stack for name, stack in stacks.items() if name in chosen]


_SCALE = ["scale1000", "scale5000", "scale15000"]
_COMPARED = ["idle", "http", "echo", "echo_paced", "room1000", "rooms20x50", "burst", "storm_echo"]
# Which workloads are needed of which stacks, for the targets or to compare the layers: no more saves half of the time.
_TARGETS = {
    "ours-1w-daphne": ["quiet", *_COMPARED, *_SCALE],
    "ours-1w-uvicorn": ["quiet", *_COMPARED, "broker10", "broker1000", *_SCALE],
    "channels4-async-redis-*": _COMPARED,
    "channels4-async-pubsub-daphne": ["room1000"],
    "bare-*": ["http", "echo", "room1000", "storm_echo"],
    "ceiling": ["echo", "room1000"],
    **{f"ours-site-{variant}-{server}": ["site_echo", "site_echo_paced"] for variant in VARIANTS for server in SERVERS},
    "ours-site-user-postgres-*": ["site_echo", "site_echo_paced"],
    "channels4-site-*": ["site_echo"],
    "ours-ipc-1w-*": ["echo"],
    "ours-rabbitmq-1w-*": ["echo"],
    "ours-layer-ipc": GROUP_WORKLOADS,
    "ours-layer-rabbitmq": GROUP_WORKLOADS,
}
_COMPARISON = {
    **{f"ours-{kind}-*": ["echo", "echo_paced", "room1000"] for kind in ("1w", "memory-0w", "ipc-1w", "rabbitmq-1w")},
    "ours-site-user-[du]*": ["site_echo"],
    "ours-*-site-user-*": ["site_echo"],
    "*-layer*": LAYER_WORKLOADS,
}
NEEDED = {"targets": _TARGETS, "layers": _COMPARISON}


def is_needed(stack, workload, needed):
    """Tell whether a table of `NEEDED` has a workload of a stack."""
    return any(
        workload in workloads
        for pattern, workloads in NEEDED[needed].items()
        if fnmatch.fnmatchcase(stack.name, pattern)
    )


def plan(stacks, workloads, needed=None):
    """
    Return the measurements of one round as ``(workload, stack)``, in their order.

    The stacks of one workload are measured one right after the other, so that their ratios suffer least from a noisy
    machine. With ``needed``, what that table of `NEEDED` does not have is left out.
    """
    return [
        (workload, stack)
        for workload in workloads
        for stack in stacks
        if stack.runs(workload) and (needed is None or is_needed(stack, workload, needed))
    ]
