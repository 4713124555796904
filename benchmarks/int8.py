"""What 8-bit integers would bring the age network: speed, size and accuracy against float32, in one run.

    .venv/bin/python benchmarks/int8.py --data ../shared/data/utkface/images --folds ../shared/data/utkface/splits.csv

Static quantisation by ONNX Runtime (weights a channel, activations a tensor), its ranges from chips of the train fold;
accuracy on the val fold. Needs the extra train. Nothing is written outside of a temporary folder.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from mien.estimate import bundle
from mien.estimate.calibrate import AGES
from mien.estimate.estimator import INPUT, OUTPUTS
from mien.faces.align import CropContract, resize_chip
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import each_picture
from mien.learn.data.readers import read

METHODS = {"least and largest": CalibrationMethod.MinMax, "percentile": CalibrationMethod.Percentile}
BATCH = 10


class Ranges(CalibrationDataReader):  # type: ignore[misc]
    """Batches of chips for the calibration."""

    def __init__(self, chips: NDArray[np.uint8]) -> None:
        self._batches: Iterator[NDArray[np.uint8]] = iter(np.array_split(chips, -(-len(chips) // BATCH)))

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """The next batch, None at the end."""
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mien-m")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--folds", type=Path, required=True)
    parser.add_argument("--ranges", type=int, default=200, help="chips of the train fold that ranges are taken from")
    parser.add_argument("--faces", type=int, default=1360, help="chips of the val fold to measure on")
    options = parser.parse_args()
    found = bundle.read(bundle.find(options.model))
    faces = read(options.data, options.folds)
    few, _ = chips_of(faces.select(fold="train"), options.ranges, found.config.contract)
    chips, labels = chips_of(faces.select(fold="val"), options.faces, found.config.contract)
    with tempfile.TemporaryDirectory() as folder:
        paths = {"float32": found.network}
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(found.network), str(prepared), skip_symbolic_shape=True)
        for name, method in METHODS.items():
            paths[f"int8, {name}"] = Path(folder) / f"{method.name}.onnx"
            quantize_static(
                str(prepared),
                str(paths[f"int8, {name}"]),
                Ranges(few),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                reduce_range=True,  # without VNNI two products of full range would overflow 16 bits
                op_types_to_quantize=["Conv", "Gemm", "MatMul"],
                calibrate_method=method,
            )
        sessions = {name: session(path) for name, path in paths.items()}
        spent = times(sessions, chips[:1])
        print(f"{len(chips)} faces of the val fold, ranges from {len(few)} of the train fold, one core\n")
        print("| weights | MAE, years | gender | ms a chip | ratio |\n|---|---:|---:|---:|---:|")
        for name, net in sessions.items():
            error, right = accuracy(net, chips, labels)
            print(f"| {name} | {error:.2f} | {right:.1%} | {spent[name]:.1f} | {spent[name] / spent['float32']:.2f} |")


def chips_of(faces: Manifest, count: int, contract: CropContract) -> tuple[NDArray[np.uint8], Manifest]:
    """So many faces at random, as chips [N, S, S, 3], and their labels."""
    rows = np.random.default_rng(0).permutation(len(faces))[:count]
    chosen = faces.take(rows).present()
    read_chips = each_picture(chosen, lambda file, pixels: resize_chip(pixels, contract), threads=1)
    chips = {file: chip for file, chip in read_chips if isinstance(chip, np.ndarray)}
    kept = chosen.take(np.array([file in chips for file in chosen.files.tolist()]))
    return np.stack([chips[file] for file in kept.files.tolist()]), kept


def session(path: Path) -> ort.InferenceSession:
    """On one core."""
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = 1
    settings.log_severity_level = 3
    return ort.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])


def times(sessions: dict[str, ort.InferenceSession], chip: NDArray[np.uint8]) -> dict[str, float]:
    """Median milliseconds of one chip, the sessions taking turns."""
    spent: dict[str, list[float]] = {name: [] for name in sessions}
    for _ in range(100):
        for name, net in sessions.items():
            start = time.perf_counter()
            net.run(list(OUTPUTS), {INPUT: chip})
            spent[name].append(time.perf_counter() - start)
    return {name: 1000 * float(np.median(seconds[10:])) for name, seconds in spent.items()}


def accuracy(net: ort.InferenceSession, chips: NDArray[np.uint8], labels: Manifest) -> tuple[float, float]:
    """MAE in years and share of genders as labelled."""
    answers = [net.run(list(OUTPUTS), {INPUT: part}) for part in np.array_split(chips, -(-len(chips) // 8))]
    pmf = np.concatenate([pmf for pmf, _ in answers])
    female = np.concatenate([female for _, female in answers])
    error = np.abs(pmf @ np.arange(AGES) - labels.age).mean()
    return float(error), float(((female >= 0.5) == (labels.female == 1)).mean())


if __name__ == "__main__":
    main()
