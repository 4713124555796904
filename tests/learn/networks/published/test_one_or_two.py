import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

from mien.deploy import process_and_predict
from mien.errors import UsageError
from mien.estimate import bundle
from mien.estimate.estimator import Estimates, Estimator
from mien.learn.exporting.bundle import export_run
from mien.learn.networks.answer_kinds import Deployed
from mien.learn.networks.build import build
from mien.learn.networks.published.one_or_two import CombinedCNN, SeparateCNN
from mien.learn.recipe import Model, load_recipe
from mien.learn.training import loop
from mien.learn.training.combine import combine_runs

SMALL: dict[str, Any] = {"widths": [4, 6, 8], "hidden": 8}
BLACK_TO_WHITE = torch.arange(0, 256, 51, dtype=torch.uint8)[:, None, None, None].expand(-1, 40, 40, 3)


@pytest.mark.parametrize(("make", "size", "flat"), [(CombinedCNN, 128, 6 * 6 * 256), (SeparateCNN, 200, 23 * 23 * 128)])
def test_nothing_is_padded(make: type[CombinedCNN] | type[SeparateCNN], size: int, flat: int) -> None:
    with torch.device("meta"):
        net = make(size)
        net(torch.zeros(1, size, size, 3, dtype=torch.uint8))
    assert next(layer for layer in net.modules() if isinstance(layer, nn.Linear)).in_features == flat
    assert {layer.padding for layer in net.modules() if isinstance(layer, nn.Conv2d)} == {(0, 0)}


def test_branches_share_the_convolutions_and_nothing_else() -> None:
    torch.manual_seed(0)
    net = CombinedCNN(40, **SMALL)
    output = net(BLACK_TO_WHITE)
    output.age.sum().backward()
    assert all(p.grad is not None for p in [*net.blocks.parameters(), *net.age_branch.parameters()])
    assert all(p.grad is None for p in [*net.gender_branch.parameters(), *net.gender.parameters()])
    output = net(BLACK_TO_WHITE)
    output.gender.sum().backward()
    assert all(p.grad is not None for p in net.gender_branch.parameters())


@pytest.mark.parametrize("seed", range(5))
def test_the_rectified_age_is_alive_for_every_face_at_first(seed: int) -> None:
    torch.manual_seed(seed)
    years = CombinedCNN(40, **SMALL).eval()(BLACK_TO_WHITE).age
    assert (years - 33).abs().max() < 5


def test_the_rectified_age_is_never_negative() -> None:
    torch.manual_seed(0)
    rectified, linear = (CombinedCNN(40, **SMALL, age_output=output).eval() for output in ("relu", "linear"))
    linear.load_state_dict(rectified.state_dict())
    for net in (rectified, linear):
        with torch.no_grad():
            net.age.linear.bias.fill_(-3)
    assert (linear(BLACK_TO_WHITE).age < 0).all()
    assert (rectified(BLACK_TO_WHITE).age == 0).all()


def test_a_separate_network_answers_one_thing() -> None:
    age, gender = SeparateCNN(40, **SMALL, task="age"), SeparateCNN(40, **SMALL, task="gender")
    assert (age.age_kind, age.gender_kind, gender.age_kind, gender.gender_kind) == ("years", None, None, "sigmoid")
    assert age(BLACK_TO_WHITE).gender is None
    assert gender(BLACK_TO_WHITE).age is None


def test_a_separate_age_may_be_rectified() -> None:
    net = SeparateCNN(40, **SMALL, age_output="relu", age_start=-10).eval()
    assert (net(BLACK_TO_WHITE).age == 0).all()


@pytest.mark.parametrize("network", ["combined-cnn", "separate-cnn"])
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"widths": []}, "positive whole numbers"),
        ({"hidden": 0}, "hidden takes"),
        ({"dropout": 2}, "below 1"),
        ({"age_output": "exp"}, "'relu' or 'linear', not 'exp'"),
        ({"widths": [4] * 5}, "too small for 5 poolings"),
    ],
)
def test_a_wrong_option_is_told(network: str, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        build(Model(network=network, size=64, options=options))


def test_a_separate_network_cannot_answer_both() -> None:
    with pytest.raises(UsageError, match="task is 'age' or 'gender', not 'both'"):
        build(Model(network="separate-cnn", size=64, options={"task": "both"}))


@pytest.fixture(scope="module")
def separate(chips_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both separate networks, narrow ones at the paper's 200 px, trained on synthetic chips."""
    root = tmp_path_factory.mktemp("separate")
    data = [f"data.train=[{{data: {chips_folder}, fold: train}}]", f"data.val={{data: {chips_folder}, fold: val}}"]
    small = ["data.workers=0", "model.size=200", "optimiser.epochs=2", "optimiser.lr=1e-2", "optimiser.head_lr=1e-2"]
    for task in ("age", "gender"):
        options = f"model.options={{task: {task}, widths: [3, 4, 4], hidden: 8}}"
        loop.train(load_recipe(f"separate-{task}", [*data, *small, options]), root / task)
    return {task: root / task for task in ("age", "gender")}


def test_both_networks_are_deployed_as_the_paper_does(
    separate: dict[str, Path], examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Train, `mien lab combine pair`, `mien export`, `process_and_predict`."""
    combine_runs("pair", separate, tmp_path / "pair")
    model = export_run(tmp_path / "pair", tmp_path / "model", dtype="float32")
    assert bundle.read(model).config.contract.size == 200
    seen: list[np.ndarray] = []
    ask = Estimator.__call__

    def watch(self: Estimator, chips: np.ndarray) -> Estimates:
        seen.append(chips)
        return ask(self, chips)

    monkeypatch.setattr(Estimator, "__call__", watch)
    stream = io.StringIO()
    picture = process_and_predict(examples / "hopper.jpg", model, stream)

    with Image.open(examples / "hopper.jpg") as photo:
        side = min(photo.size)
        left, top = (photo.width - side) // 2, (photo.height - side) // 2
        assert left + top > 0, "the portrait is a square already"
        middle = photo.convert("RGB").crop((left, top, left + side, top + side))
    chip = np.asarray(middle.resize((200, 200), Image.Resampling.LANCZOS))
    assert len(seen) == 1
    np.testing.assert_array_equal(seen[0], chip[None])
    assert (picture.mode, picture.size) == ("RGB", (300, 300))
    np.testing.assert_array_equal(np.asarray(picture), np.asarray(middle.resize((300, 300), Image.Resampling.LANCZOS)))

    chips = torch.from_numpy(chip.copy())[None]
    years = alone(separate["age"], chips)[0] @ torch.arange(117.0)
    female = alone(separate["gender"], chips).item()
    label, probability = ("female", female) if female >= 0.5 else ("male", 1 - female)
    assert stream.getvalue() == f"age: {years.item():.0f} years\ngender: {label} ({probability:.0%})\n"


def alone(run: Path, chips: Tensor) -> Tensor:
    """The one answer of a run's network."""
    net = build(load_recipe(str(run / "recipe.yaml")).model)
    net.load_state_dict(load_file(run / "model.safetensors"))
    with torch.inference_mode():
        (answer,) = Deployed(net).eval()(chips)
    assert isinstance(answer, Tensor)
    return answer
