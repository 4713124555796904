"""Start weights from another network: all tensors that fit by name and shape.

Two networks seldom have the same heads, and the dense layers behind a feature map change with the side of the chips. So
a start need not fit whole: a network for ages lends its trunk to one for ages and genders. But at least half of the
trunk (`stages`) must be common to both: of the new network's, counted in single numbers, and of the file's, counted in
tensors, lest plain convolutions take those that were trained under a batch norm. Less is another architecture, and an
error.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import cast

from safetensors import SafetensorError, safe_open
from torch import nn

from mien.errors import DataError
from mien.learn.networks.answer_kinds import Network
from mien.learn.networks.heads import AgeGenderNet
from mien.learn.networks.weights import load_file
from mien.learn.run_folder import weights_file
from mien.names import plain_name

LEAST = 0.5
"""Share of the trunk that must be common to the network and the start."""

_NAMED = 6  # names of tensors in a line


def start_from(net: nn.Module, init: Path, report: Callable[[str], None] = lambda line: None) -> None:
    """Load start weights into a network, in place.

    Args:
        net: an `mien.learn.networks.answer_kinds.Network`.
        init: a file of tensors (safetensors), a folder that holds `model.safetensors` (a run, a model), or the name of
            a model that comes with mien.
        report: told in one line which tensors of the network the start does not hold, if any.

    Raises:
        DataError: there is no such file, or it holds too little of this network's trunk.
    """
    path = weights_file(init)
    if not path.is_file():
        raise DataError(f"the start weights {path} do not exist: set model.init to a file or bundle, or to null")
    try:
        with plain_name(path, DataError) as readable, safe_open(readable, framework="pt") as file:
            names = set(file.keys())
    except SafetensorError as error:
        raise DataError(f"{path} is not a safetensors file: {error}") from error
    if "stem.weight" in names and isinstance(net, AgeGenderNet):
        net.load_hse(path)
        return
    wanted = net.state_dict()
    stored = load_file(path)
    fitting = {
        name: tensor.float() for name, tensor in stored.items() if name in wanted and wanted[name].shape == tensor.shape
    }
    share = _common_trunk(net, stored, fitting)
    if share < LEAST:
        raise DataError(
            f"{path} does not fit this network: by name and shape {share:.0%} of the trunk is common to both, and at "
            f"least {LEAST:.0%} must be; start from a network of the same design, or set model.init to null"
        )
    net.load_state_dict(fitting, strict=False)
    if left := [name for name in wanted if name not in fitting]:
        more = f" and {len(left) - _NAMED} more" if len(left) > _NAMED else ""
        report(
            f"{len(left)} of {len(wanted)} tensors of the network do not fit {path} and keep their own start: "
            f"{', '.join(left[:_NAMED])}{more}"
        )


def _common_trunk(net: nn.Module, stored: Collection[str], fitting: Collection[str]) -> float:
    """The smaller of two shares: of the numbers of a network's trunk, and of a file's tensors for it, those that fit.

    A network without stages is all trunk.
    """
    tensors = net.state_dict(keep_vars=True)
    trunk = {
        id(tensor) for stage in cast(Network, net).stages() for tensor in stage.state_dict(keep_vars=True).values()
    }
    sizes: dict[str, int] = {
        name: tensor.numel() for name, tensor in tensors.items() if not trunk or id(tensor) in trunk
    }
    parts = {name.partition(".")[0] for name in sizes}
    theirs = [name for name in stored if name.partition(".")[0] in parts]
    mine: float = sum(size for name, size in sizes.items() if name in fitting) / max(1, sum(sizes.values()))
    return min(mine, sum(name in fitting for name in theirs) / max(1, len(theirs)))
