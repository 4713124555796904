"""How much memory the service may take, and how many workers that is enough for."""

from __future__ import annotations

import os
from pathlib import Path

from mien.looking import most_pixels
from mien.photos.decode import FIRST_SIDE, DecodeOptions
from mien.runtime.cores import physical_cores
from mien.service.settings import MEBIBYTE, Settings

OF_THE_SERVICE = 320 * MEBIBYTE
"""Python, a model, the detector and what batches of faces take, with two workers under load."""

OF_A_MODEL = 80 * MEBIBYTE
"""Each further model."""

OF_A_PROCESS = 64 * MEBIBYTE
"""One that decodes: Python, its libraries, a photo's bytes and its pixels when they are reduced."""

_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def places(workers: int) -> int:
    """How many photos that take long are decoded at once, and how many may pause, beside one a worker.

    >>> [places(workers) for workers in (1, 2, 4, 8, 64)]
    [1, 1, 1, 2, 16]
    """
    return max(1, workers // 4)


def workers_that_fit(settings: Settings, models: int = 1) -> int:
    """Workers: one a physical core, or as many as there is memory for, but at least one.

    Args:
        settings: of the service.
        models: how many it answers with.
    """
    memory = settings.memory or available()
    return max(
        [workers for workers in range(1, physical_cores() + 1) if needed(settings, workers, models) <= memory] or [1]
    )


def needed(settings: Settings, workers: int, models: int = 1) -> int:
    """Bytes that the service takes at most: all its requests are held, and every worker decodes the costliest photo."""
    processes = workers + places(workers) if settings.decode_seconds else workers
    service = OF_THE_SERVICE + OF_A_MODEL * (models - 1) + settings.max_held
    service += places(workers) * (3 * FIRST_SIDE**2 + larger(settings))  # of photos that pause
    return service + processes * (settings.decode_memory + OF_A_PROCESS + larger(settings))


def larger(settings: Settings) -> int:
    """Bytes by which pictures may exceed those of 2,048 by 2,048, where a closer look is taken at small faces.

    The service has such a picture too, but only when the process has done with it.
    """
    limits = DecodeOptions(max_pixels=settings.max_pixels, target_side=settings.side)
    return 3 * max(0, most_pixels(settings.min_face, limits) - FIRST_SIDE**2)


def available() -> int:
    """Bytes that the container may take, or that the machine has."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 1 << 62
    return min([machine, *filter(None, map(_limit, _LIMITS))])


def _limit(path: Path) -> int:
    """Bytes of a control group's limit; 0 where there is none."""
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return 0
    return int(text) if text.isdigit() else 0
