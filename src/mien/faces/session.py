"""How the detectors open their networks, which see pictures of every size."""

from __future__ import annotations

from functools import partial

from mien.runtime.sessions import Session, open_network


def open_session(model: bytes, threads: int) -> Session:
    """A session on the CPU; its `run` may be called by several threads at once, and in forked processes.

    Args:
        model: an ONNX file.
        threads: cores that one run may use.
    """
    return Session(partial(open_network, model, threads, memory_plans=False))
