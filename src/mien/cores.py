"""How many cores this process may really use: not the machine's count where a container or a mask allows fewer."""

from __future__ import annotations

import os
from pathlib import Path

_SIBLINGS = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


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
    """Whole cores of the control group's quota; 0 where there is none."""
    quota, _, period = _read(_QUOTA).partition(" ")
    return max(1, int(quota) // int(period)) if quota.isdigit() and period.isdigit() else 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
