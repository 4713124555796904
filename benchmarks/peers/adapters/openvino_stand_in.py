"""Makes networks with the inputs and outputs of Intel's, to try the adapter without Intel's files.

    .peers/openvino/bin/python -m benchmarks.peers.adapters.openvino_stand_in DIR

They know nothing of faces: the detector always finds one face in the middle, the age is the mean brightness of the cut
(0 to 255 as 0 to 100 years), and the gender is "male" where red is stronger than blue. So each answer can be checked.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import openvino  # type: ignore[import-not-found]
from benchmarks.peers.adapters.openvino_adapter import ATTRIBUTES, DETECTORS
from openvino import opset13 as ops


def main() -> None:
    """Write both networks into the folder given."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    openvino.save_model(detector(), folder / f"{DETECTORS[0]}.xml", compress_to_fp16=False)
    openvino.save_model(attributes(), folder / f"{ATTRIBUTES}.xml", compress_to_fp16=False)


def detector() -> openvino.Model:
    """[1, 3, 300, 300] -> [1, 1, 3, 7]: a face from a quarter to three quarters, a poor one, the end of the list."""
    data = ops.parameter([1, 3, 300, 300], np.float32, name="data")
    rows = [[0, 1, 0.99, 0.25, 0.25, 0.75, 0.75], [0, 1, 0.1, 0, 0, 1, 1], [-1, 0, 0, 0, 0, 0, 0]]
    nothing = ops.multiply(ops.reduce_mean(data, np.array([1, 2, 3]), keep_dims=True), np.float32(0))
    found = ops.add(nothing, np.array(rows, np.float32).reshape(1, 1, 3, 7))
    return openvino.Model([named(found, "detection_out")], [data], DETECTORS[0])


def attributes() -> openvino.Model:
    """[1, 3, 62, 62] BGR -> age_conv3 [1, 1, 1, 1] in centuries, prob [1, 2, 1, 1] of female and male."""
    data = ops.parameter([1, 3, 62, 62], np.float32, name="data")
    means = ops.reduce_mean(data, np.array([2, 3]), keep_dims=True)
    age = ops.multiply(ops.reduce_mean(means, np.array([1]), keep_dims=True), np.float32(1 / 255))
    gender = ops.softmax(ops.gather(means, np.array([0, 2]), np.array(1)), 1)  # blue speaks for female, red for male
    return openvino.Model([named(age, "age_conv3"), named(gender, "prob")], [data], ATTRIBUTES)


def named(node: openvino.Node, name: str) -> openvino.Node:
    """A result under that name."""
    node.output(0).get_tensor().set_names({name})
    node.set_friendly_name(name)
    return ops.result(node, name=f"{name}/result")


if __name__ == "__main__":
    main()
