"""A process that decodes, watched from outside: what each file costs in time and memory, as the system counts them."""

from __future__ import annotations

import os
import resource
import select
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

CODE = """
import sys
from pathlib import Path
from mien.errors import MienError
from mien.photos import DecodeOptions, decode
options = DecodeOptions(max_pixels=50_000_000)
print("ready", flush=True)
for line in sys.stdin:
    try:
        decode(Path(line.rstrip("\\n")).read_bytes(), options)
    except MienError as error:
        print(error.kind, flush=True)
    except BaseException as error:
        print("raised", type(error).__name__, flush=True)
    else:
        print("picture", flush=True)
"""
MOST = 3 << 30
"""Bytes of address space: a file that takes them does not harm the machine."""


@dataclass(frozen=True)
class Cost:
    """What a file took: its kind of failure, "picture" or "killed"; bytes at the peak; seconds of processor."""

    kind: str
    memory: int
    seconds: float


class Measured:
    """Decodes files one after the other; a context."""

    def __enter__(self) -> Measured:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def cost(self, file: Path, patience: float = 20) -> Cost:
        """What decoding a file costs; its process is ended after so many seconds."""
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")  # the peak begins anew
        memory, seconds = self._status("VmRSS"), self._seconds()
        assert self._process.stdin is not None
        self._process.stdin.write(f"{file}\n")
        self._process.stdin.flush()
        kind = self._line(patience) or "killed"
        cost = Cost(kind, self._status("VmHWM") - memory, self._seconds() - seconds) if kind != "killed" else None
        if cost is None:
            self._end()
            self._start()
        return cost or Cost(kind, MOST, patience)

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", CODE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"},
        )
        resource.prlimit(self._process.pid, resource.RLIMIT_AS, (MOST, MOST))
        assert self._line(300) == "ready"

    def _end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _line(self, patience: float) -> str:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], patience)[0]:
            return ""
        return self._process.stdout.readline().strip()

    def _status(self, name: str) -> int:
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{name}:"))

    def _seconds(self) -> float:
        words = Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
