"""Time and arithmetic of every step of the main job on some photos, against the machine's measured peak.

Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for multicore architectures", CACM
2009, in its plainest form: a step that computes can be no faster than its multiply-adds at the machine's peak, so the
ratio of the two says how much there is left to gain without other mathematics.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from mien.analyzer import Analyzer
from mien.errors import DataError, PhotoError
from mien.faces.mtcnn import MTCNN
from mien.native import UNWRITTEN, Record, record, written
from mien.photos.decode import decode
from mien.photos.item import Item
from mien.speed.work import CASCADE, Account, Metered, multiply_adds

T = TypeVar("T")

REPEATS = 5

ABOVE = (
    "more than the peak. The peak is one product of matrices, measured before the steps: other work on the machine may "
    "have slowed it then, and a convolution's kernels may be faster than those of the product. Measure again with the "
    "machine idle; what stays above 100 % is as fast as this yardstick can tell."
)
"""Why a step may do more than the measured peak."""


@dataclass(frozen=True)
class Step:
    """One step of the main job, a photo on average.

    Attributes:
        name: in words.
        milliseconds: median over the rounds.
        multiply_adds: of its networks; None where nothing is counted.
        part_of: name of the step whose time holds this one's; "" for a step of its own.
    """

    name: str
    milliseconds: float
    multiply_adds: float | None = None
    part_of: str = ""


@dataclass(frozen=True)
class Bench(Record):
    """Figures that `mien bench` measured.

    Attributes:
        model: name of the model.
        detector: name of the detector.
        threads: cores that one photo may use.
        peak: multiply-adds a second of the machine on that many cores.
        photos: that were read.
        failed: that were not.
        faces: found in them.
        megapixels: of a photo on average.
        steps: in order.
        whole: milliseconds of a photo from bytes to answer, measured apart from the steps.
    """

    model: str
    detector: str
    threads: int
    peak: float = field(metadata=written("peak_multiply_adds_per_second", digits=0))
    photos: int
    failed: int
    faces: int
    megapixels: float = field(metadata=written("megapixels_per_photo", digits=3))
    whole: float = field(metadata=written("milliseconds_per_photo", digits=3))
    steps: tuple[Step, ...] = field(default=(), metadata=UNWRITTEN)

    def to_dict(self) -> dict[str, Any]:
        """As JSON wants it, rates in multiply-adds a second and shares of 1."""
        return record(self) | {"steps": [self._step(step) for step in self.steps]}

    def _step(self, step: Step) -> dict[str, Any]:
        record: dict[str, Any] = {
            "name": step.name,
            "part_of": step.part_of or None,
            "milliseconds": round(step.milliseconds, 3),
            "multiply_adds": None if step.multiply_adds is None else round(step.multiply_adds),
            "share_of_peak": None,
            "milliseconds_at_peak": None,
        }
        if step.multiply_adds is not None:
            at_peak = 1000 * step.multiply_adds / self.peak
            record["milliseconds_at_peak"] = round(at_peak, 3)
            record["share_of_peak"] = round(at_peak / step.milliseconds, 4) if step.milliseconds else None
        return record

    def to_table(self) -> str:
        """As Markdown, with a line about the machine."""
        lines = [
            f"{self.model} with {self.detector} on {self.threads} core{'s' * (self.threads > 1)}: {self.photos} photos "
            f"of {self.megapixels:.2f} megapixels, {self.faces} faces; {self.whole:.1f} ms a photo.",
            f"Peak of this machine on as many cores: {2 * self.peak / 1e9:.0f} GFLOP/s (two a multiply-add), measured "
            "on a product of float32 matrices in ONNX Runtime.",
            "",
            "| step | ms a photo | share | million multiply-adds | of the peak | ms at the peak |",
            "|---|---:|---:|---:|---:|---:|",
        ]
        for step in self.to_dict()["steps"]:
            name = f"- {step['name']}" if step["part_of"] else step["name"]
            counted = step["multiply_adds"] is not None
            cells = (
                f"{step['milliseconds']:.2f}",
                f"{step['milliseconds'] / self.whole:.0%}",
                f"{step['multiply_adds'] / 1e6:.1f}" if counted else "",
                f"{step['share_of_peak'] or 0:.0%}" if counted else "",
                f"{step['milliseconds_at_peak']:.2f}" if counted else "",
            )
            lines.append(f"| {name} | {' | '.join(cells)} |")
        if above := [step["name"] for step in self.to_dict()["steps"] if (step["share_of_peak"] or 0) > 1]:
            lines += ["", f"{', '.join(above)}: {ABOVE}"]
        return "\n".join(lines)


def measure(
    analyzer: Analyzer,
    items: Iterable[Item],
    *,
    peak: float,
    repeats: int = REPEATS,
    progress: Callable[[int], None] = lambda done: None,
) -> Bench:
    """Run photos through the main job step by step, one photo at a time, and take the time of each step.

    Args:
        analyzer: its networks are metered from now on; use it for nothing else.
        items: the photos; all of their bytes are held in memory, so that no disk is measured.
        peak: multiply-adds a second of the machine, see `mien.speed.peak`.
        repeats: rounds over all photos, after one that warms up.
        progress: told how many photos were done since the last call.

    Raises:
        DataError: no photo can be read.
    """
    photos, failed, megapixels = _read(analyzer, items)
    meters = _meter(analyzer)
    rounds: list[_Round] = []
    for number in range(repeats + 1):
        this = _Round(meters)
        for source, data in photos:
            this.take(analyzer, source, data)
            progress(1)
        if number:
            rounds.append(this)
    count = len(photos)

    def milliseconds(name: str) -> float:
        return 1000 * statistics.median(one.seconds(name) for one in rounds) / count

    last = rounds[-1]
    steps = []
    for name, parts in _parts(meters).items():
        steps.append(Step(name, milliseconds(name), sum(last.work(part) for part in parts) / count if parts else None))
        if len(parts) > 1:
            steps += [Step(part, milliseconds(part), last.work(part) / count, name) for part in parts]
            rest = steps[-len(parts) - 1].milliseconds - sum(step.milliseconds for step in steps[-len(parts) :])
            steps.append(Step("pyramid, crops and choice between them", max(rest, 0.0), None, name))
    return Bench(
        model=analyzer.config.name,
        detector=analyzer.detector.name,
        threads=analyzer.threads,
        peak=peak,
        photos=count,
        failed=failed,
        faces=last.faces,
        megapixels=megapixels,
        whole=milliseconds(_WHOLE),
        steps=tuple(steps),
    )


_WHOLE, _DECODE, _FIND, _CUT, _ESTIMATE, _WRITE = (
    "whole",
    "decode",
    "find faces",
    "cut and judge the chips",
    "estimate",
    "intervals and records",
)


class _Round:
    """One pass over all photos: seconds of each step, and what the meters of the networks say more than before."""

    def __init__(self, meters: dict[str, Metered]) -> None:
        self._meters = meters
        self._spent = dict.fromkeys((_WHOLE, _DECODE, _FIND, _CUT, _ESTIMATE, _WRITE), 0.0)
        self._inside = {name: Account() for name in meters}
        self.faces = 0

    def seconds(self, name: str) -> float:
        """Of a step or a network."""
        return self._inside[name].seconds if name in self._inside else self._spent[name]

    def work(self, name: str) -> int:
        """Multiply-adds of a network for one run."""
        return self._inside[name].work

    def take(self, analyzer: Analyzer, source: str, data: bytes) -> None:
        """One photo, at once and then step by step; the meters count in the second pass only."""
        self._timed(_WHOLE, analyzer, data)
        before = {name: replace(meter.account) for name, meter in self._meters.items()}
        picture = self._timed(_DECODE, decode, data, analyzer.options.decode)
        found = self._timed(_FIND, analyzer.detector.detect, picture.pixels)
        draft = self._timed(_CUT, analyzer.cut_chips, picture, found, source)
        size = analyzer.estimator.contract.size
        chips = np.asarray(draft.chips, np.uint8).reshape(-1, size, size, 3)
        estimates = self._timed(_ESTIMATE, analyzer.estimator, chips)
        self._timed(_WRITE, lambda: [photo.to_dict() for photo in analyzer.results(estimates, [draft])])
        self.faces += len(found)
        for name, meter in self._meters.items():
            self._inside[name].seconds += meter.account.seconds - before[name].seconds
            self._inside[name].work += meter.account.work - before[name].work

    def _timed(self, name: str, step: Callable[..., T], *arguments: Any) -> T:
        start = time.perf_counter()
        result = step(*arguments)
        self._spent[name] += time.perf_counter() - start
        return result


def _read(analyzer: Analyzer, items: Iterable[Item]) -> tuple[list[tuple[str, bytes]], int, float]:
    """Names and bytes of the photos that can be decoded, how many cannot, and the megapixels of one on average."""
    photos: list[tuple[str, bytes]] = []
    pixels: list[int] = []
    failed = 0
    for item in items:
        try:
            data = item.read()
            picture = decode(data, analyzer.options.decode)
        except PhotoError:
            failed += 1
            continue
        photos.append((item.source, data))
        pixels.append(picture.width * picture.height)
    if not photos:
        raise DataError("there is no readable photo to measure with")
    return photos, failed, statistics.fmean(pixels) / 1e6


def _meter(analyzer: Analyzer) -> dict[str, Metered]:
    """Put a meter before each network whose multiply-adds are known."""
    meters: dict[str, Metered] = {}
    if isinstance(analyzer.detector, MTCNN):
        meters = {
            name: Metered(net, partial(multiply_adds, layers))
            for (name, layers), net in zip(CASCADE.items(), analyzer.detector.nets, strict=True)
        }
        analyzer.detector.nets = tuple(meters.values())
    each = analyzer.config.multiply_adds
    if each:
        meters[_NETWORK] = Metered(analyzer.estimator.session, lambda shape: each * shape[0])
        analyzer.estimator.session = meters[_NETWORK]
    return meters


_NETWORK = "network"


def _parts(meters: dict[str, Metered]) -> dict[str, list[str]]:
    """The steps in order and the metered networks inside of each."""
    nets = [name for name in CASCADE if name in meters]
    return {_DECODE: [], _FIND: nets, _CUT: [], _ESTIMATE: [name for name in meters if name == _NETWORK], _WRITE: []}
