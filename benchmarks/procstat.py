"""CPU time and memory of trees of processes, and CPU time of the whole machine, from /proc."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def tree(root):
    """Return the ids of a process and all its living descendants."""
    children = {}
    for entry in os.listdir("/proc"):
        fields = _stat_fields(entry) if entry.isdigit() else None
        if fields:
            children.setdefault(int(fields[1]), []).append(int(entry))
    found, todo = [], [root]
    while todo:
        pid = todo.pop()
        found.append(pid)
        todo.extend(children.get(pid, ()))
    return found


def cpu_seconds(root):
    """Return the CPU time of a tree of processes, user and system, ended children included."""
    fields = [_stat_fields(pid) for pid in tree(root)]
    return sum(cpu_ticks(values) for values in fields if values) / _TICKS


def cpu_ticks(fields):
    """Return the CPU time in the fields of a process, that of its ended children included."""
    return sum(int(value) for value in fields[11:15])


def pss_kib(root):
    """Return the proportional set size of a tree of processes, in KiB."""
    total = 0
    for pid in tree(root):
        try:
            total += parse_pss(Path(f"/proc/{pid}/smaps_rollup").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total


def parse_pss(text):
    """Return the proportional set size, in KiB, from the text of smaps_rollup."""
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))


def parse_stat(text):
    """Return the fields of /proc/<pid>/stat after the name of the command, which may itself contain spaces."""
    return text[text.rindex(")") + 2 :].split()


def parse_machine(text):
    """Return (busy, stolen) CPU seconds of the whole machine from the text of /proc/stat."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, text.splitlines()[0].split()[1:9])
    return (user + nice + system + irq + softirq) / _TICKS, steal / _TICKS


def _stat_fields(pid):
    try:
        return parse_stat(Path(f"/proc/{pid}/stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None


class CpuWindow:
    """CPU time used between construction and ``stop()``, by role; ``own_seconds`` tells that of the load generator."""

    def __init__(self, roles, own_seconds):
        self._roles = roles
        self._own_seconds = own_seconds
        self._start = self._sample()

    def _sample(self):
        by_role = {role: sum(map(cpu_seconds, pids)) for role, pids in self._roles.items()}
        busy, stolen = parse_machine(Path("/proc/stat").read_text())
        return by_role, self._own_seconds(), busy, stolen

    def stop(self):
        by_role0, own0, busy0, stolen0 = self._start
        by_role1, own1, busy1, stolen1 = self._sample()
        servers = {role: by_role1[role] - by_role0[role] for role in self._roles}
        own, total = own1 - own0, sum(servers.values())
        return {
            "cpu_s": round(total, 3),
            "cpu_s_by_role": {role: round(value, 3) for role, value in servers.items()},
            "load_cpu_s": round(own, 3),
            "other_cpu_s": round(busy1 - busy0 - own - total, 3),
            "stolen_cpu_s": round(stolen1 - stolen0, 3),
        }
