"""Networks in ONNX Runtime that still work in a process that was forked after they were used.

A session has threads of its own, and a forked process has not: in it a run waits for ever, and so does the destructor,
which joins them. So a forked process leaves what it inherited where it is, and opens each network anew when it needs
it.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from weakref import WeakSet

import onnxruntime as ort

_OPEN: WeakSet[Session] = WeakSet()


class Network(Protocol):
    """What a `Session` looks like to who runs it."""

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, Any]) -> list[Any]:
        """As `onnxruntime.InferenceSession.run`."""
        ...

    def get_inputs(self) -> list[Any]:
        """As `onnxruntime.InferenceSession.get_inputs`."""
        ...

    def get_outputs(self) -> list[Any]:
        """As `onnxruntime.InferenceSession.get_outputs`."""
        ...


class Session:
    """One network; its `run` may be called by several threads at once, and in forked processes."""

    def __init__(self, opener: Callable[[], ort.InferenceSession]) -> None:
        """Open it.

        Args:
            opener: opens the network; called again in forked processes.
        """
        self._opener = opener
        self._lock = threading.Lock()
        self._session: ort.InferenceSession | None = opener()
        _OPEN.add(self)

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, Any]) -> list[Any]:
        """As `onnxruntime.InferenceSession.run`."""
        answers: list[Any] = self._opened().run(names, feeds)
        return answers

    def get_inputs(self) -> list[Any]:
        """As `onnxruntime.InferenceSession.get_inputs`."""
        return list(self._opened().get_inputs())

    def get_outputs(self) -> list[Any]:
        """As `onnxruntime.InferenceSession.get_outputs`."""
        return list(self._opened().get_outputs())

    def _opened(self) -> ort.InferenceSession:
        session = self._session
        if session is None:
            with self._lock:
                if self._session is None:
                    self._session = self._opener()
                session = self._session
        return session

    def _abandon(self) -> None:
        """Never run nor destroy what a forked process inherited; a lock may be held by a thread that is not here."""
        self._lock = threading.Lock()
        if self._session is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._session))
            self._session = None


def _abandon_all() -> None:
    for session in tuple(_OPEN):
        session._abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)
