"""One process that decodes photos, as its parent sees it; `mien.photos.decoder` is what runs in it."""

from __future__ import annotations

import json
import mmap
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Pipe
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.photos.decode import DecodeOptions, Fit

AVAILABLE = os.name == "posix"
"""Whether the system has such processes."""

SHARED = hasattr(os, "memfd_create")
"""Whether it has memory to share with them; otherwise photos and pixels go through a pipe."""

GONE = (EOFError, OSError, TypeError, ValueError)
"""What is raised when a process has ended, or says what no process of ours would."""

_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from mien.photos.decoder import main; main(*map(int, sys.argv[2:]))"
)
_CPUCLOCK_SCHED = 2  # clock_getcpuclockid(3) makes the clock of a process so
_START_SECONDS = 60.0
_END_SECONDS = 2.0
_LONGEST_RECORD = 1 << 16
_KEPT = 4 << 20
"""Bytes of shared memory that stay in use between photos; four times as many of its own does a process keep."""


class Process:
    """A process that decodes one photo after the other."""

    def __init__(self, limits: DecodeOptions, *, shared: bool = SHARED) -> None:
        """Start it; `wait_until_ready` before it is given a photo.

        It is a new program, not a fork, whatever threads this process has; it gets neither its files nor its keys.

        Args:
            limits: `max_memory` is that of a photo.
            shared: hand photos and pixels over in shared memory.
        """
        self.pipe, theirs = Pipe()
        # Analyzers ask for any size where none is fixed. Pages count once they are used.
        fixed = limits.target_side if isinstance(limits.target_side, int) else None
        self._size = max(limits.max_bytes, 3 * (fixed**2 if fixed else limits.max_pixels))
        handle = -1
        self._sheet: mmap.mmap | None = None
        if shared:
            handle, self._sheet = _sheet(self._size)
        numbers = (theirs.fileno(), handle, self._size, limits.max_memory or 0)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START, json.dumps(_path()), *map(str, numbers)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[number for number in numbers[:2] if number >= 0],
                env=_environment(),
                start_new_session=True,
            )
        except BaseException:
            self.pipe.close()
            raise
        finally:
            theirs.close()
            if handle >= 0:
                os.close(handle)

    @property
    def number(self) -> int:
        """The process's number in the system."""
        return self._process.pid

    def seconds(self) -> float | None:
        """Processor seconds that it has used; None where the system does not tell, or it has ended."""
        if sys.platform == "linux":
            with suppress(OSError):
                return time.clock_gettime(~self.number << 3 | _CPUCLOCK_SCHED)
        return None

    def wait_until_ready(self) -> None:
        """Wait until it takes photos.

        Raises:
            EOFError, OSError: it has ended, or does not start.
        """
        if not self.pipe.poll(_START_SECONDS):
            raise EOFError
        self.pipe.recv_bytes(_LONGEST_RECORD)

    def order(self, data: bytes, options: DecodeOptions, seconds: float, fit: Fit | None = None) -> None:
        """Have a photo decoded.

        Args:
            data: the encoded photo, of no more bytes than the limits that the process was started with.
            options: limits.
            seconds: after which the process ends by itself.
            fit: size to decode at, in place of that of the limits.

        Raises:
            OSError: it has ended.
        """
        if self._sheet is not None:
            self._sheet[: len(data)] = data
        told = None if fit is None else asdict(fit)
        record = {"size": len(data), "options": asdict(options), "seconds": seconds, "fit": told}
        self.pipe.send_bytes(json.dumps(record).encode())
        if self._sheet is None:
            self.pipe.send_bytes(data)

    def answer(self) -> tuple[dict[str, Any], NDArray[np.uint8] | None]:
        """What became of the photo, see `mien.photos.decoder.attempt`; whatever the process says, no more than that.

        Raises:
            EOFError, OSError, ValueError: it has ended, or speaks nonsense.
        """
        record = json.loads(self.pipe.recv_bytes(_LONGEST_RECORD))
        if not isinstance(record, dict):
            raise ValueError("no record")
        if "shape" not in record:
            return record, None
        high, wide = map(int, record["shape"])
        size = high * wide * 3
        if min(high, wide) < 1 or size > self._size:
            raise ValueError("no shape of a picture")
        if self._sheet is None:
            return record, np.frombuffer(self.pipe.recv_bytes(size), np.uint8, size).reshape(high, wide, 3)
        pixels = np.frombuffer(self._sheet, np.uint8, size).reshape(high, wide, 3).copy()
        if hasattr(mmap, "MADV_REMOVE") and size > _KEPT:
            self._sheet.madvise(mmap.MADV_REMOVE)
        return record, pixels

    def yield_to_others(self) -> None:
        """Let it have the processor only where others leave it."""
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, self.number, os.getpriority(os.PRIO_PROCESS, self.number) + 10)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def wait(self) -> int:
        """Its exit code, negative for the signal that ended it; it is killed unless it ends soon."""
        try:
            return self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()

    def forget(self) -> None:
        """Give back what belongs to it here, and leave it alone: another process is its parent."""
        self._process.returncode = 0  # or it would be waited for
        self.pipe.close()
        if self._sheet is not None:
            self._sheet.close()

    def bury(self) -> int:
        """Like `wait`, and give back what belongs to it; nobody else may use it any more."""
        code = self.wait()
        self.pipe.close()
        if self._sheet is not None:
            self._sheet.close()
        return code


def _sheet(size: int) -> tuple[int, mmap.mmap]:
    """Memory to share: its file descriptor and its map. Pages count once they are written to."""
    import fcntl

    handle = os.memfd_create("mien", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(handle, size)
    # A process that shortened it would end its parent, which reads there.
    fcntl.fcntl(handle, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return handle, mmap.mmap(handle, size)


def _path() -> list[str]:
    """Where this process finds its modules, for another one."""
    return [entry or str(Path.cwd()) for entry in sys.path if isinstance(entry, str)]


def _environment() -> dict[str, str]:
    """The environment without the service's own settings and keys; one thread and one pool of memory will do."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("MIEN_")}
    one = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
    # glibc would give each buffer back to the system, which takes longer to hand out its pages anew than a small photo.
    return ours | one | {"MALLOC_MMAP_THRESHOLD_": str(_KEPT), "MALLOC_TRIM_THRESHOLD_": str(4 * _KEPT)}
