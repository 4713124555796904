"""Chips in, calibrated age distributions and gender probabilities out, by ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.errors import ModelError
from mien.estimate.bundle import Bundle, find, read, where
from mien.estimate.calibrate import AGES
from mien.faces.align import CropContract
from mien.names import plain_name, printable
from mien.runtime.providers import providers
from mien.runtime.sessions import FAULTS, Network, Session, open_network

ROUNDING = 1e-2
"""How far from a probability an answer may be: networks in float16 and int8 add up to 1 only nearly."""
INPUT, OUTPUTS = "chips", ("age_pmf", "p_female")


@dataclass(frozen=True, slots=True)
class Estimates:
    """Estimates for N chips: age distributions and probabilities of "female".

    Attributes:
        pmf: float32 [N, 117], probability of each whole year of age 0..116; rows sum to 1.
        female: float32 [N], probability of "female".
    """

    pmf: NDArray[np.float32]
    female: NDArray[np.float32]


class Estimator:
    """One network with its calibration; may be called from several threads at once."""

    def __init__(self, bundle: Bundle, *, threads: int = 1, mirror: bool = False, batch_size: int = 8) -> None:
        """Load the network of a model into a session.

        Args:
            bundle: the model.
            threads: cores that one call may use.
            mirror: average the answers for each chip and its mirror image; twice the time.
            batch_size: most chips that are in the network at once; on a CPU more bring no speed, only memory.

        Raises:
            ModelError: the network cannot be loaded or has other inputs and outputs than documented.
            UsageError: MIEN_PROVIDER names no provider, see `mien.runtime.providers`.
        """
        self.bundle = bundle
        self.mirror = mirror
        self.batch_size = batch_size
        self.threads = threads
        bundle.check_network()
        self.session: Network = Session(partial(_open, bundle.network.absolute(), threads))
        names = [port.name for port in self.session.get_inputs()], [port.name for port in self.session.get_outputs()]
        if names[0] != [INPUT] or not set(OUTPUTS) <= set(names[1]):
            raise ModelError(f"{bundle.network} maps {names[0]} to {names[1]}, expected ['{INPUT}'] to {list(OUTPUTS)}")

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopened, (where(self.bundle), self.threads, self.mirror, self.batch_size)

    @property
    def contract(self) -> CropContract:
        """Geometry of the chips that the network takes."""
        return self.bundle.config.contract

    def __call__(self, chips: NDArray[np.uint8]) -> Estimates:
        """Estimate age and gender.

        Args:
            chips: uint8 [N, S, S, 3], RGB, cut to the contract; N may be 0.

        Raises:
            ModelError: the chips have another shape, or the network's answer is not finite.
        """
        size = self.contract.size
        if chips.dtype != np.uint8 or chips.shape[1:] != (size, size, 3):
            raise ModelError(f"{self._name} takes chips uint8 [N, {size}, {size}, 3], not {chips.dtype} {chips.shape}")
        pmf = np.zeros((len(chips), AGES), np.float32)
        female = np.zeros(len(chips), np.float32)
        for start in range(0, len(chips), self.batch_size):
            part = slice(start, start + self.batch_size)
            pmf[part], female[part] = self._run(chips[part])
            if self.mirror:
                mirrored = self._run(np.ascontiguousarray(chips[part, :, ::-1]))
                pmf[part], female[part] = (pmf[part] + mirrored[0]) / 2, (female[part] + mirrored[1]) / 2
        if not (np.isfinite(pmf).all() and np.isfinite(female).all()):
            raise ModelError(f"{self._name} answered with something that is not a number: its weights are damaged")
        if not _are_probabilities(pmf, female):
            raise ModelError(f"{self._name} answered with something that is no probability: it is no such model")
        calibration = self.bundle.config.calibration
        if calibration is not None and len(chips):
            pmf, female = calibration.apply(pmf, female)
        return Estimates(pmf, female)

    @property
    def _name(self) -> str:
        return f"model {self.bundle.config.name}"

    def _run(self, chips: NDArray[np.uint8]) -> tuple[Any, Any]:
        try:
            pmf, female = self.session.run(list(OUTPUTS), {INPUT: chips})
        except FAULTS as error:
            raise ModelError(f"{self._name} does not run on chips {chips.shape}: {error}") from error
        shapes = [pmf.shape, female.shape]
        if shapes != [(len(chips), AGES), (len(chips),)]:
            raise ModelError(f"{self._name} answers {shapes} for {len(chips)} chips, expected [N, {AGES}] and [N]")
        return pmf, female


def _are_probabilities(pmf: NDArray[np.float32], female: NDArray[np.float32]) -> bool:
    if not len(pmf):
        return True
    off = max(-float(pmf.min()), -float(female.min()), float(female.max()) - 1, float(np.abs(pmf.sum(1) - 1).max()))
    return off <= ROUNDING


def _open(network: Path, threads: int) -> Network:
    try:
        with plain_name(network.parent, ModelError) as folder:  # its weights lie beside it
            file = str(Path(folder) / network.name)
            return open_network(file, threads, spinning=False, providers=providers(threads))
    except (*FAULTS, OSError, RuntimeError, MemoryError, ValueError) as error:
        raise ModelError(f"{printable(str(network))} cannot be loaded: {error!s:.500}") from error


def _reopened(model: str | Path, threads: int, mirror: bool, batch_size: int) -> Estimator:
    """The network of a pickled estimator, read anew from its folder."""
    return Estimator(read(find(model)), threads=threads, mirror=mirror, batch_size=batch_size)
