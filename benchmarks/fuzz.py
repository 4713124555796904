"""Files by their structure, decoded in a process that is watched from outside, for as long as told.

    .venv/bin/python benchmarks/fuzz.py --minutes 10

What takes more than its limits, or ends otherwise than with a picture or a `PhotoError`, is written to
tests/photos/corpus/, from where the suite tries it each time. Exit code 1 when there was some.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.photos.measured import Cost, Measured  # noqa: E402
from tests.photos.structures import FILES  # noqa: E402
from tests.photos.test_structures import KINDS, MOST_MEMORY, MOST_SECONDS  # noqa: E402


def main() -> None:
    """Try files until the time is over, each kind in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    with Measured() as measured, tempfile.TemporaryDirectory() as folder:
        trial = Trial(measured, Path(folder) / "file", end)
        for turn in itertools.count(options.seed):
            for name in FILES:
                trial.round(name, turn)
            if time.monotonic() >= end:
                break
    for what, number in sorted(trial.kinds.items()):
        print(f"{number:7} {what}")
    for name, cost in trial.dearest.items():
        print(f"longest {name}: {cost.seconds:.2f} s, {cost.memory >> 20} MiB, {cost.kind}")
    print(f"{trial.kinds.total()} files, {trial.found} over their limits")
    sys.exit(bool(trial.found))


class Trial:
    """Tries files and keeps count."""

    def __init__(self, measured: Measured, file: Path, end: float) -> None:
        self.kinds: Counter[str] = Counter()
        self.dearest: dict[str, Cost] = {}
        self.found = 0
        self._measured, self._file, self._end = measured, file, end

    def round(self, name: str, turn: int) -> None:
        """Some files of one kind."""

        @seed(turn)
        @settings(
            max_examples=20,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(FILES[name])
        def attempt(data: bytes) -> None:
            self._try(name, data)

        if time.monotonic() < self._end:
            attempt()

    def _try(self, name: str, data: bytes) -> None:
        if time.monotonic() >= self._end:
            return
        self._file.write_bytes(data)
        cost = self._measured.cost(self._file)
        self.kinds[f"{name} {cost.kind}"] += 1
        if name not in self.dearest or cost.seconds > self.dearest[name].seconds:
            self.dearest[name] = cost
        if cost.kind not in KINDS or cost.memory >= MOST_MEMORY or cost.seconds >= MOST_SECONDS:
            self.found += 1
            keep(name, data, cost)


def keep(name: str, data: bytes, cost: Cost) -> None:
    """Write a file to the corpus."""
    corpus = ROOT / "tests" / "photos" / "corpus"
    corpus.mkdir(exist_ok=True)
    target = corpus / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}"
    target.write_bytes(data)
    print(f"{target.name}: {cost}", flush=True)


if __name__ == "__main__":
    main()
