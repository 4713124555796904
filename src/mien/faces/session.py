"""How the detectors open their networks in ONNX Runtime."""

from __future__ import annotations

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as state

from mien.runtime.sessions import Session

NOT_A_MODEL = (state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf, state.NotImplemented)
"""What ONNX Runtime raises for bytes it cannot run."""


def open_session(model: bytes, threads: int) -> Session:
    """A session on the CPU; its `run` may be called by several threads at once, and in forked processes."""
    return Session(lambda: _opened(model, threads))


def _opened(model: bytes, threads: int) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # it would keep a memory plan for every picture size ever seen
    options.log_severity_level = 3  # errors are raised, not logged
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
