"""Runs a peer's adapter in its environment, on one core, and reads what it prints."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.peers.catalogue import Peer
from benchmarks.peers.environments import ROOT, Failed

from mien.speed.peak import matrix_rate

PHOTO_SECONDS = 60
"""An answer, or loading, that takes longer than this on average is given up."""

COLD_STARTS = 5


@dataclass(frozen=True)
class Place:
    """A peer that is installed.

    Attributes:
        peer: which.
        folder: its environment.
        models: a folder of model files of the user's, if any.
    """

    peer: Peer
    folder: Path
    models: Path | None = None

    def command(self) -> list[str]:
        """What starts its adapter."""
        adapters = Path(__file__).resolve().parent / "adapters"
        if self.peer.is_node:
            start = ["node", str(adapters / self.peer.adapter)]
        else:
            start = [str(self.folder / "bin" / "python"), "-m", f"benchmarks.peers.adapters.{self.peer.adapter}"]
        return [*start, *self.peer.options, *(["--models", str(self.models)] if self.models else [])]

    def variables(self) -> dict[str, str]:
        """The environment variables that it runs with: one thread wherever one can be set, and no reports to anyone."""
        single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        modules = {"NODE_PATH": str(self.folder / "node_modules")} if self.peer.is_node else {}
        alone = {"PYTHONPATH": "", "PYTHONNOUSERSITE": "1", "ORT_DISABLE_TELEMETRY": "1"}
        return {**os.environ, **single, **modules, **alone}


@dataclass(frozen=True)
class Answer:
    """What a peer said of one photo.

    Attributes:
        faces: each with box, age, gender and probability, as the protocol has them.
        seconds: wall seconds of each round.
        processor: processor seconds of each round, of all threads.
        error: why there is no answer.
    """

    faces: list[dict[str, Any]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    error: str | None = None


@dataclass(frozen=True)
class Run:
    """What one process of an adapter said.

    Attributes:
        answers: by file.
        about: versions and settings.
        peak: bytes resident at most.
        wall: seconds from the start of the process to its end.
    """

    answers: dict[str, Answer]
    about: dict[str, Any]
    peak: int
    wall: float

    def milliseconds(self, files: Sequence[str], clock: str = "seconds") -> float:
        """Median over the photos of each one's median over its rounds; NaN without an answer."""
        times = [getattr(self.answers[file], clock) for file in files]
        medians = [statistics.median(rounds) for rounds in times if rounds]
        return statistics.median(medians) * 1e3 if medians else float("nan")


def run(place: Place, files: Sequence[str], *, warm_up: int = 0, rounds: int = 1, whole: bool = False) -> Run:
    """Answer files in one fresh process.

    Raises:
        Failed: the process could not load the peer, ended before its time, or took too long.
    """
    command = [*place.command(), "--warm-up", str(warm_up), "--rounds", str(rounds), *(["--whole"] if whole else [])]
    limit = PHOTO_SECONDS * (1 + warm_up + rounds * len(files))
    start = time.perf_counter()
    try:
        done = subprocess.run(
            command, input="\n".join(files) + "\n", capture_output=True, text=True, cwd=ROOT, env=place.variables(),
            timeout=limit, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise Failed(f"took longer than {limit} s") from error
    wall = time.perf_counter() - start
    records = list(_records(done.stdout))
    said = {key: value for record in records for key, value in record.items() if key in {"unusable", "ready", "done"}}
    if "unusable" in said:
        raise Failed(str(said["unusable"]))
    if done.returncode or "done" not in said:
        last = done.stderr.strip().splitlines()[-1:] or ["no word"]
        raise Failed(f"its process ended with {done.returncode}: {last[0]}")
    answers = {record.pop("file"): Answer(**record) for record in records if "file" in record}
    return Run(answers, said["ready"], int(said["done"]["peak_bytes"]), wall)


def cold_start(place: Place, photo: str) -> float:
    """Median wall seconds of fresh processes that load everything and answer one photo; a first one does not count."""
    return statistics.median([run(place, [photo]).wall for _ in range(COLD_STARTS + 1)][1:])


def machine_rate() -> float:
    """GFLOP/s of a float32 matrix product in ONNX Runtime on the core that peers run on, now."""
    return 2e-9 * matrix_rate(1)


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """This process and those it starts run on one core, the last that is open to it."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _records(printed: str) -> Iterator[dict[str, Any]]:
    for line in printed.splitlines():
        if line.startswith("{"):  # some libraries greet on standard output
            with contextlib.suppress(json.JSONDecodeError):
                yield json.loads(line)
