"""torch module -> ONNX graph, without the exporter's chatter and without traces of this machine."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Sequence

import onnx
import torch
from torch import Tensor, nn

OPSET = 18


def to_proto(
    module: nn.Module, example: Tensor, source: str, targets: Sequence[str], *, sides: bool = False
) -> onnx.ModelProto:
    """Export a module of one input.

    Args:
        module: in evaluation mode.
        example: an input [N, ...] with N = 2.
        source: name of the input.
        targets: names of the outputs.
        sides: let the last two dimensions vary too, not only the first.
    """
    free = {0: torch.export.Dim.DYNAMIC}
    if sides:
        free |= {example.ndim - 2: torch.export.Dim.DYNAMIC, example.ndim - 1: torch.export.Dim.DYNAMIC}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns that torchvision is absent: it is not needed
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # torch's exporter warns of its own deprecated calls
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[source],
            output_names=list(targets),
            dynamic_shapes=(free,),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for item in (*model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output, model.graph):
        item.ClearField("metadata_props")  # they name files of the machine that exported
    return model
