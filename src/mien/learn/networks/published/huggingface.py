"""Any CNN of the Hugging Face hub as a feature map, for users with a network; needs the extra `hub`.

Nothing is downloaded unless a recipe names such a backbone, no code of a model's author is run, and weights are read
from safetensors files only. Once downloaded, or given as a folder, a model needs no network.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from mien.errors import DataError, MissingExtra

PREFIX = "hf:"
"""What a recipe writes before the name of such a model, e.g. "hf:microsoft/resnet-18"."""

_PROBE = 64


class HubBackbone(nn.Module):
    """A model of the hub, from a normalised image [N, 3, S, S] to its last feature map [N, C, H, W].

    Attributes:
        channels_out: C.
        mean_rgb: taken off the pixels (0 to 255) ...
        std_rgb: ... which are then divided by this, as the model's own settings say; of ImageNet if they do not.
    """

    def __init__(self, name: str, *, pretrained: bool = True, freeze_norm: bool = False) -> None:
        """Fetch or find a model.

        Args:
            name: on the hub, e.g. "microsoft/resnet-18", or a folder that holds one.
            pretrained: with its weights; otherwise only its shape, with random weights.
            freeze_norm: never touch the statistics of batch norm.

        Raises:
            MissingExtra: transformers is not installed.
            DataError: there is no such model, or no network to fetch it.
            ValueError: the model has no feature map: it is no CNN.
        """
        super().__init__()
        self.freeze_norm = freeze_norm
        self.model, settings = _fetch(name, pretrained)
        self.mean_rgb = _three(settings.get("image_mean"), (0.485, 0.456, 0.406))
        self.std_rgb = _three(settings.get("image_std"), (0.229, 0.224, 0.225))
        with torch.inference_mode():
            answer = self.model.eval()(pixel_values=torch.zeros(1, 3, _PROBE, _PROBE)).last_hidden_state
        if answer.ndim != 4:
            raise ValueError(f"{name} answers with {answer.ndim - 1} dimensions, not with a map of cells: take a CNN")
        self.channels_out = int(answer.shape[1])
        self.train()

    def forward(self, x: Tensor) -> Tensor:
        """Feature map [N, C, H, W] of a normalised image [N, 3, S, S]."""
        return cast(Tensor, self.model(pixel_values=x).last_hidden_state)

    def train(self, mode: bool = True) -> HubBackbone:
        """Switch to training or evaluation; with `freeze_norm`, batch norm stays in evaluation."""
        super().train(mode)
        if self.freeze_norm:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def stages(self) -> list[nn.Module]:
        """The whole model: what its parts are called differs from model to model."""
        return [self.model]


def _fetch(name: str, pretrained: bool) -> tuple[nn.Module, dict[str, Any]]:
    """The model, and its settings for pictures."""
    try:
        from transformers import AutoConfig, AutoModel
        from transformers.image_processing_base import ImageProcessingMixin
    except ImportError:
        raise MissingExtra.named(f"the backbone {PREFIX}{name}", "hub") from None
    try:
        settings, _ = ImageProcessingMixin.get_image_processor_dict(name)
        if pretrained:
            return AutoModel.from_pretrained(name, use_safetensors=True), settings
        return AutoModel.from_config(AutoConfig.from_pretrained(name)), settings
    except OSError as error:  # what transformers raises for an unknown name and for a missing network alike
        reason = str(error).strip().splitlines()[0]
        raise DataError(
            f"the backbone {PREFIX}{name} is not on this machine and could not be fetched: check its name and the "
            f"network, or name a folder that holds it ({reason})"
        ) from error


def _three(shares: Any, otherwise: tuple[float, float, float]) -> tuple[float, float, float]:
    """Three numbers of a model's settings, which are shares of 255."""
    red, green, blue = otherwise if shares is None else shares
    return 255.0 * red, 255.0 * green, 255.0 * blue
