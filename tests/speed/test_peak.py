"""The roof of `mien bench`, and the one-node graph that it is measured with."""

from importlib.resources import files

import numpy as np
import onnxruntime as ort
import pytest

from mien.speed.peak import matrix_rate


def test_the_peak_is_a_rate_that_a_computer_has() -> None:
    assert 1e8 < matrix_rate(1) < 1e13


def test_the_graph_is_a_product_of_matrices() -> None:
    graph = files("mien.speed").joinpath("product.onnx").read_bytes()
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    one, two = np.random.default_rng(0).standard_normal((2, 17, 17), dtype=np.float32)
    np.testing.assert_allclose(session.run(None, {"a": one, "b": two})[0], one @ two, rtol=1e-4, atol=1e-5)


def test_the_graph_is_made_by_these_lines() -> None:
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    a, b, product = (
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["side", "side"]) for name in ("a", "b", "product")
    )
    graph = helper.make_graph([helper.make_node("MatMul", ["a", "b"], ["product"])], "product", [a, b], [product])
    opset = helper.make_opsetid("", 13)
    made = helper.make_model(graph, opset_imports=[opset], ir_version=8, producer_name="mien")
    assert made == onnx.load_from_string(files("mien.speed").joinpath("product.onnx").read_bytes())
