"""Maps by gradients, with torch; and the torch network of a model, as it is and with its last weights shuffled.

These methods weigh the activations A of a feature map by the gradients g of the answer. Each is as its paper has it,
ends in a ReLU and so shows only what speaks for the answer: for older where the chip is taken for older than its veiled
copy (`mien.estimate.maps.veiled`), else for younger; for "female" or "male" likewise.

- `gradcam`: Selvaraju et al., "Grad-CAM", ICCV 2017.
- `gradcam++`: Chattopadhay et al., "Grad-CAM++", WACV 2018.
- `layercam`: Jiang et al., "LayerCAM", IEEE TIP 2021; on a finer feature map than the last one.
"""

from __future__ import annotations

import copy
import threading
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mien.arrays import Chips, Doubles
from mien.errors import MienError, ModelError, UsageError
from mien.estimate import explain
from mien.estimate.bundle import CONFIG, Bundle
from mien.estimate.calibrate import AGES, FLOOR, Calibration
from mien.estimate.class_activation import SIGHT, ClassActivation, Heads
from mien.estimate.estimator import Estimates, Estimator
from mien.estimate.maps import MapMaker, check_target, veiled
from mien.estimate.occlusion import Occlusion
from mien.faces.align import CropContract
from mien.learn.networks.answer_kinds import age_pmf, female_probability
from mien.learn.networks.build import as_network, build_empty
from mien.learn.networks.heads import AgeGenderNet
from mien.learn.networks.hse import HSENet
from mien.learn.networks.weights import load_file
from mien.learn.recipe import Model, load_recipe, pipeline_names, recipe_names

METHODS = ("gradcam", "gradcam++", "layercam")

ALL_METHODS = (*explain.METHODS, *METHODS)

FINE = 8
"""Least cells along a side of the feature map that LayerCAM takes."""
COARSE = 2
"""Likewise for the other two: the last map there is."""
FINE_SIGHT = 2.0
"""How far around its middle a cell of the finer map sees, in cells: 30 to 33 of 192 pixels, measured as `SIGHT` was."""

HALF = frozenset({"mien-s-half-start", "mien-s-half-middle", "mien-s-half", "mien-s-guided"})
"""Recipes that are gone, for models that name only their recipe: our own network with half of its channels."""
LOW = frozenset({"mien-s-low", "mien-s-low-fresh"})
"""Likewise: the network of mien-s."""

TOLERANCE = 1e-3
"""Largest difference in probability between a model and its network in torch."""


class TorchModel:
    """A network in torch that answers as an `Estimator` does, and shows the slopes of its answers."""

    def __init__(self, net: nn.Module, contract: CropContract, calibration: Calibration | None = None) -> None:
        """Take a network; it is put into evaluation mode.

        Args:
            net: an `mien.learn.networks.answer_kinds.Network` that answers age and gender.
            contract: geometry of its chips.
            calibration: its temperatures are applied to the answers.

        Raises:
            ModelError: the network answers only one of the two.
        """
        age_kind, gender_kind = as_network(net).age_kind, as_network(net).gender_kind
        if age_kind is None or gender_kind is None:
            raise ModelError("this network does not answer both age and gender: only such can be explained")
        self.net = net.eval()
        self._age_kind, self._gender_kind = age_kind, gender_kind
        self.contract = contract
        self.calibration = calibration or Calibration.identity()
        self.lock = threading.Lock()  # a hook on the network sees whoever calls it

    def __call__(self, chips: Chips) -> Estimates:
        """Calibrated estimates for chips uint8 [N, S, S, 3]."""
        with self.lock, torch.inference_mode():
            pmf, female = self.probabilities(torch.from_numpy(chips))
        return Estimates(*self.calibration.apply(pmf.numpy(), female.numpy()))

    def probabilities(self, chips: Tensor) -> tuple[Tensor, Tensor]:
        """Distributions over the ages [N, 117] and probabilities of "female" [N], not calibrated."""
        output = as_network(self.net)(chips)
        assert output.age is not None
        assert output.gender is not None
        return age_pmf(output.age, self._age_kind), female_probability(output.gender, self._gender_kind)

    def values(self, chips: Tensor, target: str) -> Tensor:
        """What is explained, [N], calibrated and differentiable: expected years, or the log-odds of "female"."""
        pmf, female = self.probabilities(chips)
        if target == "gender":
            return torch.logit(female, eps=1e-7) / self.calibration.gender_temperature
        logs = torch.log(pmf.clamp_min(FLOOR)) / self.calibration.age_temperature
        return torch.softmax(logs, dim=1) @ torch.arange(AGES, dtype=logs.dtype)

    def shuffled(self, seed: int) -> TorchModel:
        """A copy with the weights of both heads and of the last stage in another order.

        Each tensor keeps its values but not their places, so that all sizes stay as they were and nothing that was
        learned there is left.
        """
        net = copy.deepcopy(self.net)
        network = as_network(net)
        chance = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for part in (*network.stages()[-1:], *network.heads()):
                for weight in part.parameters():
                    order = torch.randperm(weight.numel(), generator=chance)
                    weight.copy_(weight.flatten()[order].view_as(weight))
        return TorchModel(net, self.contract, self.calibration)


def of_model(estimator: Estimator) -> TorchModel:
    """The torch network of a model, rebuilt from its weights and checked against it.

    Raises:
        ModelError: it cannot be rebuilt.
    """
    model = TorchModel(_rebuilt(estimator.bundle), estimator.contract, estimator.bundle.config.calibration)
    size = estimator.contract.size
    coarse = torch.from_numpy(np.random.default_rng(0).uniform(0, 255, (2, 3, 12, 12)))
    smooth = nn.functional.interpolate(coarse, size=(size, size), mode="bilinear").permute(0, 2, 3, 1)
    chips = smooth.to(torch.uint8).contiguous().numpy()
    mine, theirs = estimator(chips), model(chips)
    away = max(np.abs(mine.pmf - theirs.pmf).max(), np.abs(mine.female - theirs.female).max())
    if not away < TOLERANCE:
        raise _refusal(estimator.bundle, f"what was rebuilt answers otherwise, by up to {away:.2g}")
    return model


def _rebuilt(bundle: Bundle) -> nn.Module:
    """The network that the bundle names, with its weights."""
    path = bundle.folder / "model.safetensors"
    if not path.is_file():
        raise _refusal(bundle, f"there is no {path.name}")
    state = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in load_file(path).items()}
    fault: Exception | None = None
    for model in _architectures(bundle):
        try:
            net = build_empty(model)
            net.load_state_dict(state)
        except (MienError, RuntimeError) as error:
            fault = error
        else:
            return net
    raise _refusal(bundle, f"its weights do not fit the network that its {CONFIG} names") from fault


def _architectures(bundle: Bundle) -> list[Model]:
    """What a bundle says of its network; where it does not, the recipe that it names, and our own at full width."""
    config, plain = bundle.config, Model()
    if stated := config.architecture:
        found = [plain.model_copy(update={"network": stated["network"], "options": stated["options"]})]
    else:
        recipe = str(config.made.get("recipe", ""))
        known = "mien-s" if recipe in LOW else recipe
        found = [load_recipe(known).model] if known in (*recipe_names(), *pipeline_names()) else []
        found += [plain.model_copy(update={"options": {"width": 0.5}})] if recipe in HALF else []
        found.append(plain)
    return [model.model_copy(update={"size": config.contract.size}) for model in found]


def _refusal(bundle: Bundle, reason: str) -> ModelError:
    return ModelError(
        f"the network of model {bundle.config.name} cannot be rebuilt in torch, which the methods "
        f"{', '.join(METHODS)} need: {reason}. The method occlusion works with any model"
    )


def make(model: TorchModel, method: str) -> MapMaker:
    """The maker of any method's maps for a network in torch.

    Raises:
        UsageError: unknown method.
        ModelError: the network cannot be explained by it.
    """
    if method == "cam":
        return class_activation(model)
    if method == "occlusion":
        return Occlusion(model)
    if method not in METHODS:
        raise UsageError.unknown("method", method, ALL_METHODS)
    return GradientMaps(model, method)


def class_activation(model: TorchModel) -> ClassActivation:
    """Class activation maps of our own network in torch.

    Raises:
        ModelError: it is another network.
    """
    net = model.net
    if not isinstance(net, AgeGenderNet):
        raise ModelError(
            f"{type(net).__name__} has no linear heads on the mean of a feature map, which class activation maps (cam) "
            "need: use another method"
        )

    def features(chips: Chips) -> Any:
        with model.lock, torch.inference_mode():
            return net.features(torch.from_numpy(chips)).numpy()

    age, gender = _doubles(net.age), _doubles(net.gender)
    hidden = _doubles(net.embed) if isinstance(net, HSENet) else None
    heads = Heads(age[0], age[1], gender[0][0], float(gender[1][0]), model.calibration, hidden)
    return ClassActivation(features, heads)


def _doubles(layer: nn.Linear) -> tuple[Doubles, Doubles]:
    weight, bias = (tensor.detach().double().numpy() for tensor in (layer.weight, layer.bias))
    return weight, bias


class GradientMaps:
    """Maps of one gradient method."""

    signed = False

    def __init__(self, model: TorchModel, method: str) -> None:
        """Choose the feature map for one of `METHODS`.

        Raises:
            ModelError: the network has no feature map.
        """
        self.method = method
        self.spread = FINE_SIGHT if method == "layercam" else SIGHT
        self._model = model
        self.layer = feature_layer(model.net, model.contract.size, FINE if method == "layercam" else COARSE)

    def __call__(self, chips: Chips, target: str) -> Doubles:
        """Maps [N, h, w], 0 or above, of chips uint8 [N, S, S, 3]."""
        check_target(target)
        with self._model.lock:
            maps = [self._map(*pair, target) for pair in zip(chips, veiled(chips), strict=True)]
        return np.array(maps).reshape(len(chips), *(maps[0].shape if maps else (0, 0)))

    def _map(self, chip: Chips, veil: Chips, target: str) -> Doubles:
        with torch.inference_mode():
            without = self._model.values(torch.from_numpy(veil[None]), target)[0].item()
        kept: list[Tensor] = []

        def keep(layer: nn.Module, inputs: Any, output: Tensor) -> Tensor:
            kept.append(output.detach().requires_grad_())
            return kept[-1].clone()  # so that what follows may change it in place

        hook = self.layer.register_forward_hook(keep)
        try:
            value = self._model.values(torch.from_numpy(chip[None]), target)[0]
        finally:
            hook.remove()
        (slope,) = torch.autograd.grad(value if value.item() >= without else -value, kept[-1])
        cells = _WEIGHTED[self.method](kept[-1].detach()[0].double(), slope[0].double())
        return torch.relu(cells).numpy()


def gradcam(activations: Tensor, slopes: Tensor) -> Tensor:
    """[C, h, w] twice -> [h, w]: each channel by the mean of its gradients."""
    return (slopes.mean(dim=(1, 2), keepdim=True) * activations).sum(dim=0)


def gradcam_plus_plus(activations: Tensor, slopes: Tensor) -> Tensor:
    """[C, h, w] twice -> [h, w]: each channel by the weighted mean of its positive gradients (equation 19)."""
    squares = slopes**2
    below = 2 * squares + slopes**3 * activations.sum(dim=(1, 2), keepdim=True)
    alpha = torch.where(squares > 0, squares / (below + 1e-8), 0)
    weights = (alpha * torch.relu(slopes)).sum(dim=(1, 2), keepdim=True)
    return (weights * activations).sum(dim=0)


def layercam(activations: Tensor, slopes: Tensor) -> Tensor:
    """[C, h, w] twice -> [h, w]: each activation by its own positive gradient."""
    return (torch.relu(slopes) * activations).sum(dim=0)


_WEIGHTED = {"gradcam": gradcam, "gradcam++": gradcam_plus_plus, "layercam": layercam}


def feature_layer(net: nn.Module, size: int, least: int = COARSE) -> nn.Module:
    """The last module of a network whose output is a feature map [N, C, h, w] of at least `least` cells a side.

    Raises:
        ModelError: there is none.
    """
    found: list[nn.Module] = []

    def look(layer: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and min(output.shape[2:]) >= least:
            found.append(layer)

    hooks = [layer.register_forward_hook(look) for layer in net.modules() if layer is not net]
    try:
        with torch.inference_mode():
            net(torch.zeros(1, size, size, 3, dtype=torch.uint8))
    finally:
        for hook in hooks:
            hook.remove()
    if not found:
        raise ModelError(f"{type(net).__name__} has no feature map of {least}x{least} cells: use the method occlusion")
    return found[-1]
