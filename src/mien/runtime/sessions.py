"""Networks in ONNX Runtime, which nothing else imports: how they are opened, and how they work in forked processes.

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

# From 1.29 on, ONNX Runtime reports to its maker from every system unless this is set before it is imported, and keeps
# an identifier on the disk. Nothing is to leave the machine.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as faults

from mien.runtime.pauses import pause

NOT_A_NETWORK = (
    faults.Fail,
    faults.InvalidArgument,
    faults.InvalidGraph,
    faults.InvalidProtobuf,
    faults.NotImplemented,
)
"""What ONNX Runtime raises for bytes it cannot run."""

FAULTS = (*NOT_A_NETWORK, faults.NoModel, faults.NoSuchFile, faults.RuntimeException)
"""What it raises for files that it cannot open, and networks that fail at work."""

CPU = "CPUExecutionProvider"

Provider = str | tuple[str, dict[str, Any]]
"""Kernels that run a network, and their settings where they have any; see `mien.runtime.providers`."""


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


def open_network(
    network: bytes | str,
    threads: int = 0,
    *,
    spinning: bool = True,
    memory_plans: bool = True,
    providers: Sequence[Provider] = (CPU,),
) -> Network:
    """Open a network for this process alone; a forked one must not use it, see `Session`.

    Args:
        network: the bytes of an ONNX file, or its path.
        threads: cores that one run may use; 0 for all.
        spinning: idle threads wait awake for the next run, which takes the cores from others.
        memory_plans: keep a plan of the memory for each shape of input ever seen.
        providers: kernels, in order of preference.

    Raises:
        FAULTS: it cannot be opened.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = memory_plans
    options.log_severity_level = 3  # errors are raised; warnings about the graph mean nothing to who uses it
    if not spinning:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    opened: Network = ort.InferenceSession(network, options, providers=list(providers))
    return opened


def available_providers() -> list[str]:
    """Names of the kernels that this ONNX Runtime has."""
    return list(ort.get_available_providers())


class Session:
    """One network; its `run` may be called by several threads at once, and in forked processes."""

    def __init__(self, opener: Callable[[], Network]) -> None:
        """Open it.

        Args:
            opener: opens the network, as by `open_network`; called again in forked processes.
        """
        self._opener = opener
        self._lock = threading.Lock()
        self._session: Network | None = opener()
        _OPEN.add(self)

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, Any]) -> list[Any]:
        """As `onnxruntime.InferenceSession.run`."""
        answers: list[Any] = self._opened().run(names, feeds)
        pause()
        return answers

    def get_inputs(self) -> list[Any]:
        """As `onnxruntime.InferenceSession.get_inputs`."""
        return list(self._opened().get_inputs())

    def get_outputs(self) -> list[Any]:
        """As `onnxruntime.InferenceSession.get_outputs`."""
        return list(self._opened().get_outputs())

    def _opened(self) -> Network:
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
