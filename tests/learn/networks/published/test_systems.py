"""What every network that a recipe trains must do, whatever its design, and what is combined of them.

The hybrids, which need a small CNN in place of theirs, do the same in `test_hybrid.py`.
"""

from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mien.learn.networks.answer_kinds import Deployed, Output
from mien.learn.networks.build import as_network, build
from mien.learn.networks.onnx_graph import to_proto
from mien.learn.networks.published.combination import Combination, Mode
from mien.learn.recipe import Loss, Model, load_recipe, recipe_names
from mien.learn.training.losses import AgeGenderLoss

SIZE = 48
REGULARISED = {"widths": [6, 8, 10], "hidden": [16, 12], "dropout": [0.1, 0.1], "spatial_dropout": [0.1]}
SEPARATE = {"widths": [4, 6, 8], "hidden": 16}

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "compact": ("compact-cnn", {"widths": [4, 6, 8, 10], "hidden": [16, 12]}),
    "regularised age": ("regularised-cnn", REGULARISED),
    "regularised classes": ("regularised-cnn", {**REGULARISED, "task": "classes"}),
    "regularised gender": ("regularised-cnn", {**REGULARISED, "task": "gender"}),
    "regularised both": ("regularised-cnn", {**REGULARISED, "task": "both"}),
    "four conv": ("four-conv-gender", {"widths": [4, 6, 8, 10], "hidden": 16}),
    "three conv": ("three-conv-gender", {"widths": [4, 6, 8], "hidden": 16}),
    "vgg": ("vgg16", {"width": 1 / 16}),
    "vgg, batch norm": ("vgg16", {"width": 1 / 32, "batch_norm": True}),
    "combined": ("combined-cnn", {"widths": [4, 6, 8, 10], "hidden": 16}),
    "separate age": ("separate-cnn", SEPARATE),
    "separate gender": ("separate-cnn", {**SEPARATE, "task": "gender"}),
    "mien": ("mobilenet-v1", {"width": 1 / 16}),
    "hse": ("hse-mobilenet", {"width": 1 / 16}),
}

COMBINED: dict[str, tuple[str, tuple[str, ...]]] = {
    "pair": ("pair", ("age: separate age", "gender: separate gender")),
    "gated": ("gated", ("gate: four conv", "women: separate age", "men: separate age")),
    "mean": ("mean", ("first: combined", "second: separate age", "third: three conv")),
}
"""Mode and parts, each a role and a case."""

ANSWERS = {
    "compact": ((5, 24), (5, 2)),
    "regularised age": ((5,), None),
    "regularised classes": ((5, 24), None),
    "regularised gender": (None, (5, 2)),
    "regularised both": ((5,), (5, 2)),
    "four conv": (None, (5,)),
    "three conv": (None, (5, 2)),
    "vgg": ((5,), None),
    "vgg, batch norm": ((5,), None),
    "combined": ((5,), (5,)),
    "separate age": ((5,), None),
    "separate gender": (None, (5,)),
    "mien": ((5, 117), (5,)),
    "hse": ((5, 117), (5,)),
}


@pytest.fixture(params=list(CASES))
def case(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Gallery(nn.Module):
    """Networks side by side: one graph is exported much faster than many."""

    def __init__(self) -> None:
        super().__init__()
        noise = {"vgg": 0.3}  # more grows from layer to layer of a deep network without batch norm
        nets = {case: moved(make(case), noise.get(case, 1.0)) for case in CASES} | {
            mode: combine(mode) for mode in COMBINED
        }
        self.nets = nn.ModuleList(Deployed(net) for net in nets.values())
        self.names = [f"{case}: {name}" for case, net in nets.items() for name in Deployed(net).names]

    def forward(self, chips: Tensor) -> tuple[Tensor, ...]:
        return tuple(answer for net in self.nets for answer in net(chips))


@pytest.fixture(scope="module")
def gallery() -> tuple[Gallery, onnxruntime.InferenceSession]:
    nets = Gallery().eval()
    graph = to_proto(nets, faces(2)[0], "chips", nets.names)
    return nets, onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])


def make(case: str, seed: int = 0) -> nn.Module:
    network, options = CASES[case]
    torch.manual_seed(seed)
    return build(Model(network=network, size=SIZE, options=options))


def combine(mode: str, seed: int = 0) -> Combination:
    """The parts of a combination with weights off their start, no two of them alike."""
    torch.manual_seed(seed)
    roles = dict(part.split(": ") for part in COMBINED[mode][1])
    parts = {role: {"network": CASES[case][0], "options": CASES[case][1]} for role, case in roles.items()}
    net = build(Model(network="combination", size=SIZE, options={"mode": COMBINED[mode][0], "parts": parts}))
    assert isinstance(net, Combination)
    return cast(Combination, moved(net))


def faces(count: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Chips whose age is their brightness and whose gender is their colour."""
    rng = np.random.default_rng(seed)
    age, female = rng.integers(0, 100, count), rng.integers(0, 2, count)
    colour = np.where(female[:, None] == 1, [1.0, 0.4, 0.4], [0.4, 0.4, 1.0])
    flat = ((40 + 2 * age)[:, None] * colour)[:, None, None, :]
    pixels = (flat + rng.normal(0, 6, (count, SIZE, SIZE, 3))).clip(0, 255).astype(np.uint8)
    return torch.from_numpy(pixels), torch.from_numpy(age).float(), torch.from_numpy(female)


def answers(net: nn.Module, chips: Tensor) -> Output:
    with torch.inference_mode():
        output: Output = net.eval()(chips)
    return output


def moved(net: nn.Module, noise: float = 1.0) -> nn.Module:
    """The network with its weights and batch statistics off their start, where many are 0 or 1."""
    generator = torch.Generator().manual_seed(1)
    for p in net.parameters():
        scale = noise * p[0].numel() ** -0.5 if p.ndim > 1 else 0.2
        p.data += scale * torch.randn(p.shape, generator=generator)
    with torch.no_grad():
        net.train()(faces(8)[0])
    return net


def design(network: str, options: dict[str, Any]) -> tuple[object, ...]:
    """What sets networks apart, whatever their widths."""
    default = "age" if network in {"regularised-cnn", "separate-cnn", "vgg16"} else None
    return network, options.get("task", default), options.get("batch_norm", False)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_trains_a_network_that_is_tested(name: str) -> None:
    model = load_recipe(name).model
    tested = {design(*case) for case in CASES.values()}
    assert model.network == "hybrid" or design(model.network, model.options) in tested


def test_every_way_to_combine_is_tested() -> None:
    assert {mode for mode, _ in COMBINED.values()} == set(get_args(Mode))


def test_answers_have_the_shape_of_their_kinds(case: str) -> None:
    net = make(case)
    output = answers(net, faces(5)[0])
    kinds = as_network(net).age_kind, as_network(net).gender_kind
    for raw, kind, shape in zip((output.age, output.gender), kinds, ANSWERS[case], strict=True):
        assert (raw is None) == (kind is None) == (shape is None)
        if raw is not None:
            assert tuple(raw.shape) == shape
            assert (raw.ndim == 2) == (kind in {"distribution", "classes", "softmax"})
            assert raw.dtype == torch.float32


def test_stages_and_heads_hold_every_weight_once(case: str) -> None:
    net = make(case)
    held = [id(p) for part in (*as_network(net).stages(), *as_network(net).heads()) for p in part.parameters()]
    assert sorted(held) == sorted(id(p) for p in net.parameters())


def fit(net: nn.Module, loss: AgeGenderLoss) -> None:
    """Forty steps."""
    chips, age, female = faces(64)
    optimiser = torch.optim.Adam(net.parameters(), lr=6e-3)
    for step in range(40):
        rows = slice(16 * (step % 4), 16 * (step % 4) + 16)
        optimiser.zero_grad()
        loss(net.train()(chips[rows]), age[rows], female[rows]).backward()  # type: ignore[no-untyped-call]
        optimiser.step()


def test_loss_falls(case: str) -> None:
    net = make(case)
    chips, age, female = faces(64)
    loss = AgeGenderLoss(Loss(gender=10.0), as_network(net))  # ten, so that years do not drown the gender
    before = loss(answers(net, chips), age, female).item()
    fit(net, loss)
    assert loss(answers(net, chips), age, female).item() < 0.85 * before


@pytest.mark.parametrize("mode", COMBINED)
def test_a_combination_gains_when_its_parts_learn(mode: str) -> None:
    """Nothing trains it as a whole: its parts are runs of their own."""
    net = combine(mode)
    before = errors(net)
    for part in net.parts.values():
        alone = cast(Deployed, part).net
        fit(alone, AgeGenderLoss(Loss(), as_network(alone)))
    assert all(now < 0.85 * then for now, then in zip(errors(net), before, strict=True))


def errors(net: Combination) -> tuple[float, float]:
    """MAE in years and cross-entropy of the gender."""
    chips, age, female = faces(64)
    with torch.inference_mode():
        pmf, probability = Deployed(net).eval()(chips)
    years = pmf @ torch.arange(pmf.shape[1], dtype=torch.float32)
    return (years - age).abs().mean().item(), F.binary_cross_entropy(probability, female.float()).item()


def test_saved_and_loaded_it_answers_the_same(case: str, tmp_path: Path) -> None:
    _survives_saving(moved(make(case)), make(case, seed=1), tmp_path)


@pytest.mark.parametrize("mode", COMBINED)
def test_a_combination_saved_and_loaded_answers_the_same(mode: str, tmp_path: Path) -> None:
    _survives_saving(combine(mode), combine(mode, seed=1), tmp_path)


def _survives_saving(net: nn.Module, other: nn.Module, folder: Path) -> None:
    chips = faces(5)[0]
    save_file(net.state_dict(), folder / "model.safetensors")
    assert any(not torch.equal(a, b) for a, b in zip(net.parameters(), other.parameters(), strict=True))
    other.load_state_dict(load_file(folder / "model.safetensors"))
    for mine, theirs in zip(answers(net, chips), answers(other, chips), strict=True):
        if mine is not None:
            assert theirs is not None
            assert torch.equal(mine, theirs)


@pytest.mark.parametrize("count", [1, 5])
def test_onnx_answers_as_torch_does(gallery: tuple[Gallery, onnxruntime.InferenceSession], count: int) -> None:
    nets, session = gallery
    chips = faces(count, seed=count)[0]
    with torch.inference_mode():
        expected = nets(chips)
    for name, theirs, mine in zip(nets.names, session.run(nets.names, {"chips": chips.numpy()}), expected, strict=True):
        assert theirs.shape == tuple(mine.shape), name
        np.testing.assert_allclose(theirs, mine.numpy(), atol=1e-4, err_msg=name)
    flat = [name for name, mine in zip(nets.names, nets(faces(5)[0]), strict=True) if mine.std(dim=0).max() < 1e-3]
    assert not flat, "these answer everyone alike, so that their agreement says nothing"


def test_the_same_seed_makes_the_same_network(case: str) -> None:
    for (name, mine), theirs in zip(make(case).state_dict().items(), make(case).state_dict().values(), strict=True):
        assert torch.equal(mine, theirs), name
