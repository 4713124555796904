"""The rewritten networks must compute what the files say."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest

from mien.faces.mtcnn import weights_folder
from mien.faces.prelu import expand_prelu
from mien.faces.session import open_session

SHAPES = {"pnet": (1, 30, 41, 3), "rnet": (3, 24, 24, 3), "onet": (2, 48, 48, 3)}


@pytest.mark.parametrize("net", SHAPES)
def test_outputs_are_those_of_the_file(net: str) -> None:
    model = (weights_folder() / f"{net}.onnx").read_bytes()
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    plain = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    fast = open_session(expand_prelu(model), threads=1)
    pixels = np.random.default_rng(0).standard_normal(SHAPES[net]).astype(np.float32)
    feed = {plain.get_inputs()[0].name: pixels}
    for ours, theirs in zip(fast.run(None, feed), plain.run(None, feed), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_no_prelu_is_left_and_all_else_stays() -> None:
    model = (weights_folder() / "rnet.onnx").read_bytes()
    expanded = expand_prelu(model)
    assert b"PRelu" in model
    assert b"PRelu" not in expanded
    assert expand_prelu(expanded) == expanded
