"""The most arithmetic this machine does a second, measured: the roof that the networks' rates are held against."""

from __future__ import annotations

import time
from importlib.resources import files

import numpy as np

from mien.runtime.sessions import open_network

_PRODUCT = "product.onnx"
"""`product = a @ b` of square float32 matrices, and nothing else; tests/speed/test_peak.py makes it."""

_SIDE = 1024


def matrix_rate(threads: int) -> float:
    """Multiply-adds a second of a float32 product of two matrices of a thousand rows, at best of many.

    ONNX Runtime multiplies, as it does in the networks. NumPy's library may know less of a processor: on one of them
    its product took 1.8 times as long, and the networks seemed to do half more than the machine can.

    Args:
        threads: cores to use.
    """
    graph = files("mien.speed").joinpath(_PRODUCT).read_bytes()
    session = open_network(graph, threads)
    matrix = np.random.default_rng(0).standard_normal((_SIDE, _SIDE), dtype=np.float32)
    session.run(None, {"a": matrix, "b": matrix})
    seconds: list[float] = []
    while len(seconds) < 10 or (sum(seconds) < 1 and len(seconds) < 200):
        start = time.perf_counter()
        session.run(None, {"a": matrix, "b": matrix})
        seconds.append(time.perf_counter() - start)
    return _SIDE**3 / min(seconds)
