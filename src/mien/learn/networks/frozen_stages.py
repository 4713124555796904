"""Frozen stages run by ONNX Runtime while the rest trains: on a CPU that is faster than torch's forward pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from mien.learn.networks.onnx_graph import to_proto
from mien.runtime.sessions import open_network


class FrozenStages:
    """The first stages of a backbone, fixed; a function of the input without a gradient."""

    def __init__(self, stages: Sequence[nn.Module], channels: int, size: int, threads: int) -> None:
        """Export the stages.

        Args:
            stages: what to run, in order.
            channels: of the input.
            size: side of an input that they can take; others work too.
            threads: cores to use.
        """
        self.count = len(stages)
        example = torch.zeros(2, channels, size, size)
        graph = to_proto(nn.Sequential(*stages).eval(), example, "x", ["y"], sides=True)
        # Threads that wait awake would hold the cores that torch needs next.
        self._session = open_network(graph.SerializeToString(), threads, spinning=False)

    def __call__(self, x: Tensor) -> Tensor:
        """Map [N, C, H, W] to the output of the last of these stages, channels last as training wants it."""
        answer = self._session.run(None, {"x": np.ascontiguousarray(x.detach().numpy())})[0]
        return torch.from_numpy(answer).contiguous(memory_format=torch.channels_last)
