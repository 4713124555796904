"""Number of cores that this process may use: not the machine's count where a container or a mask allows fewer."""

from __future__ import annotations

import os
from pathlib import Path

_SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
_GROUPS = Path("/proc/self/cgroup")
_TREE = Path("/sys/fs/cgroup")


def physical_cores() -> int:
    """Physical cores open to this process, at least one.

    Two hardware threads of one core share its arithmetic units, so inference gains nothing from the second. On Linux
    the process's mask and its control group's quota count too; elsewhere it is the system's count of processors.
    """
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    allowed = os.sched_getaffinity(0)
    cores = {_read(Path(_SIBLINGS.format(cpu))) or str(cpu) for cpu in allowed}
    return max(1, min(len(cores), _quota() or len(cores)))


def _quota() -> int:
    """Whole cores of the strictest quota of the control groups that this process lies in; 0 where there is none.

    Version 2 has one tree of groups, and version 1 one for each controller; both may be there. Within a container the
    group's own files often lie at the tree's root, whatever path the system tells.
    """
    found = []
    for line in [*_read(_GROUPS).splitlines(), "0::/", ":cpu:/"]:
        _, controllers, path = ([*line.split(":", 2), "", ""])[:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        trees = [_TREE] if not controllers else [_TREE / controllers, _TREE / "cpu", _TREE / "cpu,cpuacct"]
        for tree in trees:
            group = tree / path.strip("/")
            for folder in (group, *group.parents):
                found.append(_cores_of(folder))
                if folder == tree:
                    break
    return min((cores for cores in found if cores), default=0)


def _cores_of(folder: Path) -> int:
    """Whole cores of one group's quota, at least 1; 0 where it has none."""
    quota, _, period = _read(folder / "cpu.max").partition(" ")
    if not quota:
        quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
    return max(1, int(quota) // int(period)) if quota.isdigit() and period.isdigit() and int(period) else 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
