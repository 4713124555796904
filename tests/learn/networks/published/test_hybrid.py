import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, get_args

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mien.errors import DataError, MissingExtra, UsageError
from mien.learn.networks.answer_kinds import Deployed, Output
from mien.learn.networks.build import build, freeze
from mien.learn.networks.onnx_graph import to_proto
from mien.learn.networks.published import efficientnet
from mien.learn.networks.published.efficientnet import SCALES, Scale
from mien.learn.networks.published.huggingface import HubBackbone
from mien.learn.networks.published.hybrid import HybridNet, Rnn, SequenceReader
from mien.learn.recipe import Loss, Model, load_recipe
from mien.learn.training.losses import AgeGenderLoss

RNNS: tuple[Rnn, ...] = get_args(Rnn)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CNN of seven narrow blocks, beside the real ones."""
    monkeypatch.setitem(SCALES, "tiny", Scale(0.25, 0.25))


def make(seed: int = 0, **options: Any) -> HybridNet:
    torch.manual_seed(seed)
    given: dict[str, Any] = {"backbone": "tiny", "pretrained": False, "reduce": 16, "hidden": 12, **options}
    return HybridNet(64, **given)


def faces(count: int, size: int = 64) -> tuple[Tensor, Tensor, Tensor]:
    """Chips whose age is their brightness and whose gender is their colour."""
    rng = np.random.default_rng(count)
    age, female = rng.integers(0, 100, count), rng.integers(0, 2, count)
    colour = np.where(female[:, None] == 1, [1.0, 0.4, 0.4], [0.4, 0.4, 1.0])
    flat = ((40 + 2 * age)[:, None] * colour)[:, None, None, :]
    pixels = (flat + rng.normal(0, 6, (count, size, size, 3))).clip(0, 255).astype(np.uint8)
    return torch.from_numpy(pixels), torch.from_numpy(age).float(), torch.from_numpy(female)


def answers(net: nn.Module, chips: Tensor) -> Output:
    with torch.inference_mode():
        output: Output = net.eval()(chips)
    return output


@pytest.mark.parametrize("rnn", RNNS)
@pytest.mark.parametrize("size", [32, 50])
def test_answers_years_and_two_genders(rnn: Rnn, size: int) -> None:
    output = answers(make(rnn=rnn), faces(3, size)[0])
    assert output.age is not None
    assert output.gender is not None
    assert (output.age.shape, output.gender.shape) == ((3,), (3, 2))
    assert output.age.dtype == output.gender.dtype == torch.float32


def test_an_age_head_may_answer_a_distribution() -> None:
    net = make(rnn="none", age="distribution")
    output = answers(net, faces(3)[0])
    assert output.age is not None
    assert (net.age_kind, output.age.shape) == ("distribution", (3, 117))
    deployed = Deployed(net.eval())(faces(3)[0])
    assert torch.allclose(deployed[0].sum(dim=1), torch.ones(3), atol=1e-5)


def test_before_training_everyone_is_about_as_old_as_the_mean() -> None:
    output = answers(make(), faces(8)[0])
    assert output.age is not None
    assert ((output.age - 33).abs() < 5).all()


@pytest.mark.parametrize("rnn", RNNS)
def test_stages_and_heads_hold_every_weight_once(rnn: Rnn) -> None:
    net = make(rnn=rnn)
    held = [id(p) for part in (*net.stages(), *net.heads()) for p in part.parameters()]
    assert sorted(held) == sorted(id(p) for p in net.parameters())


@pytest.mark.parametrize(
    ("rnn", "options"), [("lstm", {}), ("gru", {"bidirectional": True, "summary": "mean"}), ("none", {})]
)
def test_loss_falls(rnn: Rnn, options: dict[str, Any]) -> None:
    net = make(rnn=rnn, dropout=0.0, **options)
    chips, age, female = faces(16, 48)
    loss = AgeGenderLoss(Loss(years="mse", age=0.01, gender=1.0), net)
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-2)
    losses = []
    for _ in range(24):
        optimiser.zero_grad()
        now = loss(net.train()(chips), age, female)
        now.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(now.item())
    assert sum(losses[-3:]) / 3 < 0.6 * losses[0]


@pytest.mark.parametrize("rnn", RNNS)
def test_saved_and_loaded_it_answers_the_same(rnn: Rnn, tmp_path: Path) -> None:
    net, chips = make(rnn=rnn), faces(3)[0]
    net.train()(chips)  # moves the statistics of the norms
    save_file(net.state_dict(), tmp_path / "model.safetensors")
    other = make(seed=1, rnn=rnn)
    other.load_state_dict(load_file(tmp_path / "model.safetensors"))
    for mine, theirs in zip(answers(net, chips)[:2], answers(other, chips)[:2], strict=True):
        assert mine is not None
        assert theirs is not None
        assert torch.equal(mine, theirs)


class Gallery(nn.Module):
    """Networks side by side: one graph is exported faster than three."""

    def __init__(self, nets: dict[str, nn.Module]) -> None:
        super().__init__()
        self.nets = nn.ModuleList(Deployed(net) for net in nets.values())
        self.names = [f"{name}: {answer}" for name, net in nets.items() for answer in Deployed(net).names]

    def forward(self, chips: Tensor) -> tuple[Tensor, ...]:
        return tuple(answer for net in self.nets for answer in net(chips))


def test_onnx_answers_as_torch_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a CNN of one block that keeps its channels and one that widens them: the others have the same layers."""
    monkeypatch.setattr(efficientnet, "_GROUPS", (efficientnet._GROUPS[0], efficientnet._GROUPS[2]))
    readers: dict[Rnn, dict[str, Any]] = {"lstm": {"summary": "mean"}, "gru": {"bidirectional": True}, "none": {}}
    nets: dict[str, nn.Module] = {}
    for rnn, options in readers.items():
        nets[rnn] = make(rnn=rnn, **options)
        nets[rnn].train()(faces(4, 8)[0])
    gallery = Gallery(nets).eval()
    graph = to_proto(gallery, faces(2, 8)[0], "chips", gallery.names)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    for count in (1, 5):
        chips = faces(count, 8)[0]
        with torch.inference_mode():
            expected = gallery(chips)
        found = session.run(gallery.names, {"chips": chips.numpy()})
        for name, mine, theirs in zip(gallery.names, found, expected, strict=True):
            assert mine.shape[0] == count, name
            np.testing.assert_allclose(mine, theirs.numpy(), atol=1e-4, err_msg=name)


@pytest.mark.parametrize("rnn", ["lstm", "gru"])
@pytest.mark.parametrize("summary", ["last", "mean"])
def test_every_cell_is_a_step_row_by_row(rnn: Rnn, summary: Any) -> None:
    """The same weights in a cell that takes one step at a time, walked over the map by hand."""
    torch.manual_seed(0)
    reader = SequenceReader(5, rnn, reduce=0, hidden=4, bidirectional=False, summary=summary)
    cell: nn.LSTMCell | nn.GRUCell = nn.LSTMCell(5, 4) if rnn == "lstm" else nn.GRUCell(5, 4)
    cell.load_state_dict({name.removesuffix("_l0"): tensor for name, tensor in reader.rnn.state_dict().items()})
    x = torch.randn(2, 5, 3, 4)
    states: list[Tensor] = []
    state: Any = None
    for row in range(3):
        for column in range(4):
            state = cell(x[:, :, row, column], state)
            states.append(state[0] if rnn == "lstm" else state)
    wanted = states[-1] if summary == "last" else torch.stack(states).mean(dim=0)
    assert torch.allclose(reader(x), wanted, atol=1e-6)


def test_an_lstm_remembers_at_first() -> None:
    reader = SequenceReader(5, "lstm", reduce=0, hidden=4, bidirectional=True, summary="last")
    for name, weight in reader.rnn.named_parameters():
        if name.startswith("bias_ih"):
            assert weight.tolist() == [0.0] * 4 + [1.0] * 4 + [0.0] * 8
        elif name.startswith("weight_hh"):
            for gate in weight.view(-1, 4, 4):
                assert torch.allclose(gate @ gate.T, torch.eye(4), atol=1e-5)


@pytest.mark.parametrize(("scaling", "black", "white"), [("unit", 0.0, 1.0), ("standardised", -127 / 128, 1.0)])
def test_pixels_are_scaled_as_asked(scaling: Any, black: float, white: float) -> None:
    net = make(scaling=scaling)
    seen: list[Tensor] = []
    net.backbone.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    net(torch.stack([torch.zeros(32, 32, 3), torch.full((32, 32, 3), 255.0)]).to(torch.uint8))
    assert torch.allclose(seen[0][0], torch.tensor(black))
    assert torch.allclose(seen[0][1], torch.tensor(white))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"rnn": "lsmt"}, "rnn is 'lsmt', not one of lstm, gru, none"),
        ({"summary": "first"}, "summary is 'first', not one of last, mean"),
        ({"scaling": "0-1"}, "scaling is '0-1', not one of unit, standardised"),
        ({"backbone": "resnet"}, "backbone is 'resnet', not one of efficientnet-lite0"),
        ({"backbone": "hf:a/b", "drop_path": 0.1}, "drop_path is for efficientnet-lite0"),
    ],
)
def test_a_wrong_option_is_told(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        build(Model(network="hybrid", options={"pretrained": False, **options}))


def test_a_pretrained_start_without_its_wheel_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(efficientnet, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"ImageNet start of tiny needs the extra 'imagenet'"):
        make(pretrained=True)


@pytest.mark.parametrize("name", ["hybrid-cnn", "hybrid-lstm", "hybrid-gru"])
def test_recipes_differ_in_the_reader_and_the_seed_only(name: str) -> None:
    recipe, first = load_recipe(name), load_recipe("hybrid-gru")
    with torch.device("meta"):
        net = build(recipe.model.model_copy(update={"options": {**recipe.model.options, "pretrained": False}}))
    freeze(net, recipe.model.freeze)
    kept = sum(p.numel() for p in net.parameters() if not p.requires_grad)
    assert 0 < kept < 0.05 * sum(p.numel() for p in net.parameters())
    for part in ("data", "loss", "augment", "optimiser"):
        assert getattr(recipe, part) == getattr(first, part)
    assert (recipe.model.size, recipe.model.freeze) == (first.model.size, first.model.freeze)
    assert recipe.model.init is None  # ImageNet starts only
    shared = {"rnn", "reduce", "hidden", "bidirectional", "summary"}
    mine, theirs = recipe.model.options, first.model.options
    assert {k: v for k, v in mine.items() if k not in shared} == {k: v for k, v in theirs.items() if k not in shared}


def test_a_hub_backbone_without_transformers_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtra, match=r"hf:microsoft/resnet-18 needs the extra 'hub': pip install .*\[hub\]"):
        make(backbone="hf:microsoft/resnet-18")


def fake_transformers(monkeypatch: pytest.MonkeyPatch, model: nn.Module | OSError) -> None:
    """A stand-in for transformers whose hub holds one model, or none."""

    def fetch(name: str, **options: bool) -> Any:
        assert name == "some/model"
        if isinstance(model, OSError):
            raise model
        return model

    pictures = SimpleNamespace(get_image_processor_dict=lambda name: ({"image_mean": [0.5, 0.4, 0.3]}, {}))
    fake, processing = ModuleType("transformers"), ModuleType("transformers.image_processing_base")
    fake.__dict__.update(AutoModel=SimpleNamespace(from_pretrained=fetch), AutoConfig=None)
    processing.__dict__.update(ImageProcessingMixin=pictures)
    monkeypatch.setitem(sys.modules, "transformers", fake)
    monkeypatch.setitem(sys.modules, "transformers.image_processing_base", processing)


def test_a_hub_model_that_cannot_be_fetched_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_transformers(monkeypatch, OSError("We couldn't connect to the hub\nand more"))
    with pytest.raises(DataError, match=r"hf:some/model is not on this machine.*name a folder.*connect to the hub\)$"):
        make(backbone="hf:some/model", pretrained=True)


class Answers(nn.Module):
    """A model as transformers has them, with an answer of some shape."""

    def __init__(self, *, tokens: bool = False) -> None:
        super().__init__()
        self.conv, self.norm, self.tokens = nn.Conv2d(3, 7, 8, stride=8), nn.BatchNorm2d(7), tokens

    def forward(self, pixel_values: Tensor) -> SimpleNamespace:
        y = self.norm(self.conv(pixel_values))
        return SimpleNamespace(last_hidden_state=y.flatten(2).mT if self.tokens else y)


def test_a_hub_model_without_a_map_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_transformers(monkeypatch, Answers(tokens=True))
    with pytest.raises(ValueError, match="not with a map of cells: take a CNN"):
        HubBackbone("some/model")


def test_a_hub_model_is_read_as_any_other_cnn(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_transformers(monkeypatch, Answers())
    net = make(backbone="hf:some/model", pretrained=True)
    output = answers(net, faces(3)[0])
    assert output.age is not None
    assert output.age.shape == (3,)
    assert net.mean.flatten().tolist() == pytest.approx([127.5, 102.0, 76.5])
    assert net.std.flatten().tolist() == pytest.approx([58.395, 57.12, 57.375])
    held = [id(p) for part in (*net.stages(), *net.heads()) for p in part.parameters()]
    assert sorted(held) == sorted(id(p) for p in net.parameters())
    before = net.state_dict()["backbone.model.norm.running_mean"].clone()
    net.train()(faces(3)[0])
    assert torch.equal(before, net.state_dict()["backbone.model.norm.running_mean"])


def test_a_model_of_transformers_in_a_folder_needs_no_network(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="needs the hub extra")
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1], layer_type="basic")
    transformers.ResNetModel(config).save_pretrained(tmp_path)
    transformers.ConvNextImageProcessor(image_mean=[0.5] * 3, image_std=[0.2] * 3).save_pretrained(tmp_path)
    net = make(backbone=f"hf:{tmp_path}", pretrained=True)
    assert net.mean.flatten().tolist() == pytest.approx([127.5] * 3)
    output = answers(net, faces(2)[0])
    assert output.gender is not None
    assert output.gender.shape == (2, 2)
