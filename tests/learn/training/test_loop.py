import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from mien.errors import DataError, MienError, UsageError
from mien.learn.data import dataset
from mien.learn.data.detector_boxes import Boxes
from mien.learn.data.manifest import Manifest
from mien.learn.networks.build import build
from mien.learn.networks.heads import AgeGenderNet
from mien.learn.recipe import Model, load_recipe
from mien.learn.training import loop
from mien.learn.training.loop import train
from mien.learn.training.optimisers import make_optimiser, parameter_groups


def test_loss_falls_and_a_run_leaves_what_it_should(settings: list[str], tmp_path: Path) -> None:
    lines: list[str] = []
    weights = loop.train(load_recipe("mien-m", settings), tmp_path / "run", report=lines.append)
    with (tmp_path / "run" / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["size"] for row in rows] == ["32", "64", "64"]
    assert float(rows[-1]["loss"]) < 0.95 * float(rows[0]["loss"])
    assert weights == tmp_path / "run" / "model.safetensors"
    assert (tmp_path / "run" / "curves.png").stat().st_size > 5000
    assert yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())["optimiser"]["epochs"] == 3
    assert lines[0].startswith("40 faces to train on, 8 to validate on")
    assert not list((tmp_path / "run").glob("*.part"))


def test_the_averaged_weights_are_the_ones_kept(settings: list[str], tmp_path: Path) -> None:
    kept = load_file(loop.train(load_recipe("mien-m", [*settings, "optimiser.ema=0.9"]), tmp_path))
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    for name, averaged in state["average"].items():
        if name != "updates":
            assert torch.equal(kept[name], averaged), name
            assert not torch.equal(kept[name], state["net"][name]), name


@pytest.mark.parametrize("relative", [False, True])
def test_an_interrupted_run_ends_where_an_undisturbed_one_does(
    relative: bool, settings: list[str], tmp_path: Path
) -> None:
    start = {name: 8 * tensor for name, tensor in build(load_recipe("mien-m", settings).model).state_dict().items()}
    save_file(start, tmp_path / "start.safetensors")
    plan = [*settings, f"optimiser.relative={relative}", f"model.init={tmp_path / 'start.safetensors'}"]
    recipe = load_recipe("mien-m", plan)
    straight = load_file(loop.train(recipe, tmp_path / "straight"))

    class KilledError(Exception):
        pass

    def kill(line: str) -> None:
        if line.startswith("epoch 2/3"):
            raise KilledError

    with pytest.raises(KilledError):
        loop.train(recipe, tmp_path / "broken", report=kill)
    resumed = load_file(loop.train(recipe, tmp_path / "broken", resume=True))
    assert straight.keys() == resumed.keys()
    for name, tensor in straight.items():
        assert torch.equal(tensor, resumed[name]), name


def test_a_folder_with_a_run_is_not_overwritten(settings: list[str], tmp_path: Path) -> None:
    recipe = load_recipe("mien-m", [*settings, "optimiser.epochs=1"])
    loop.train(recipe, tmp_path)
    with pytest.raises(DataError, match="--resume"):
        loop.train(recipe, tmp_path)
    with pytest.raises(DataError, match="another run"):
        loop.train(load_recipe("mien-m", [*settings, "name=other"]), tmp_path, resume=True)


def test_frozen_stages_and_head_epochs_leave_the_start_weights_alone(settings: list[str], tmp_path: Path) -> None:
    loop.train(load_recipe("mien-m", [*settings, "optimiser.epochs=1"]), tmp_path / "start")
    init = f"model.init={tmp_path / 'start' / 'model.safetensors'}"
    frozen = [*settings, init, "model.freeze=4", "optimiser.epochs=2", "optimiser.head_epochs=1"]
    before = load_file(tmp_path / "start" / "model.safetensors")
    after = load_file(loop.train(load_recipe("mien-m", frozen), tmp_path / "tuned"))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert "age.weight" in moved
    assert "backbone.blocks.12.pw.weight" in moved
    assert not {
        name for name in moved if name.startswith(("backbone.stem", "backbone.blocks.0.", "backbone.blocks.2."))
    }
    heads_only = [*frozen, "optimiser.epochs=1"]
    after = load_file(loop.train(load_recipe("mien-m", heads_only), tmp_path / "heads"))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"age.weight", "age.bias", "gender.weight", "gender.bias"}


def test_later_stages_learn_faster_and_vectors_do_not_decay(settings: list[str]) -> None:
    recipe = load_recipe("mien-m", settings)
    net = build(recipe.model)
    assert isinstance(net, AgeGenderNet)
    groups = parameter_groups(net, recipe)
    rates = {id(p): group["base_lr"] for group in groups for p in group["params"]}
    decays = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert len(rates) == len(list(net.parameters()))
    assert rates[id(net.age.weight)] == recipe.optimiser.head_lr
    last, first = net.backbone.get_parameter("blocks.12.pw.weight"), net.backbone.get_parameter("stem.weight")
    assert rates[id(last)] == pytest.approx(1e-3)
    assert rates[id(first)] == pytest.approx(1e-3 * 0.85**13)
    assert decays[id(last)] == 0.02
    assert decays[id(net.age.bias)] == 0


def test_relative_rates_are_shares_of_the_size_of_each_tensor(settings: list[str]) -> None:
    recipe = load_recipe("mien-m", [*settings, "optimiser.relative=true", "optimiser.layer_decay=1"])
    net = build(recipe.model)
    assert isinstance(net, AgeGenderNet)
    small, large = net.backbone.get_parameter("stem.weight"), net.backbone.get_parameter("blocks.3.pw.weight")
    unit = torch.randn(large.shape)
    with torch.no_grad():
        small.mul_(1e-2)
        large.copy_(unit * 5)
        large[0].mul_(1e6)  # one output that no other is like must not make all of them fast
    groups = parameter_groups(net, recipe)
    rates = {id(p): group["base_lr"] for group in groups for p in group["params"]}
    decays = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert len(rates) == len(groups) == len(list(net.parameters()))
    assert rates[id(large)] == pytest.approx(5e-3, rel=0.1)
    assert rates[id(small)] == pytest.approx(1e-3 * float(small.detach().square().mean().sqrt()), rel=0.2)
    assert rates[id(net.age.bias)] == pytest.approx(1e-2 * 0.01)  # zero as yet, and still to learn
    assert (decays[id(large)], decays[id(net.age.bias)]) == (0.02, 0)
    for p in net.parameters():
        p.grad = torch.randn(p.shape)
    before = {id(p): p.detach().clone() for p in net.parameters()}
    make_optimiser(net, recipe).step()
    moved = {id(p): float((p - before[id(p)]).detach().abs().median()) for p in net.parameters()}
    assert moved[id(large)] == pytest.approx(5e-3, rel=0.2)
    assert moved[id(small)] == pytest.approx(rates[id(small)], rel=0.2)


def test_relative_rates_want_a_method_whose_steps_have_the_size_of_the_rate(settings: list[str]) -> None:
    with pytest.raises(UsageError, match="relative rates are for adamw, adam and soap"):
        load_recipe("mien-m", [*settings, "optimiser.relative=true", "optimiser.method=sgd"])


def test_diverging_training_stops_with_a_sentence(settings: list[str], tmp_path: Path) -> None:
    wild = [*settings, "optimiser.lr=1e12", "optimiser.head_lr=1e12", "optimiser.warmup=0"]
    with pytest.raises(DataError, match="lower the learning rate"):
        loop.train(load_recipe("mien-m", wild), tmp_path)


@pytest.mark.parametrize(
    ("model", "error", "told"),
    [
        (Model(network="mobilenetv1"), UsageError, "did you mean 'mobilenet-v1'"),
        (Model(init=Path("nowhere.safetensors")), DataError, "do not exist"),
        (Model(init=Path(__file__)), DataError, "not a safetensors file"),
    ],
)
def test_a_network_that_cannot_be_built(model: Model, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        build(model)


def test_a_run_goes_on_only_with_its_own_recipe(settings: list[str], tmp_path: Path) -> None:
    loop.train(load_recipe("mien-m", [*settings, "optimiser.epochs=1"]), tmp_path)
    with pytest.raises(DataError, match="differs in loss, seed"):
        loop.train(load_recipe("mien-m", [*settings, "loss.gender=9", "seed=8"]), tmp_path, resume=True)


def test_several_sources_are_validated_each_for_itself(settings: list[str], chips_folder: Path, tmp_path: Path) -> None:
    rows = (chips_folder / "labels.csv").read_text().splitlines()[1:]
    lines = []
    for number, row in enumerate(rows):  # the same chips, of which only bounds are known
        file, age, gender, fold = row.split(",")
        lines.append(f"{file},,{max(0, int(age) - 3)},{age},{gender},{fold},{'ab'[number % 2]}")
    table = tmp_path / "bounds" / "labels.csv"
    table.parent.mkdir()
    table.write_text("file,age,age_low,age_high,gender,fold,source\n" + "\n".join(lines) + "\n")
    for row in rows:
        (table.parent / row.split(",")[0]).symlink_to(chips_folder / row.split(",")[0])
    given = [
        *settings,
        f"data.train=[{{data: {table.parent}, fold: train, only: a, times: 2.5, balance: 0.3}}]",
        f"data.val=[{{data: {chips_folder}, fold: val}}, {{data: {table.parent}, fold: val, only: b}}]",
        "augment.old_print=0.5",
        "optimiser.epochs=1",
    ]
    told: list[str] = []
    train(load_recipe("mien-m", given), tmp_path / "run", report=told.append)
    assert told[0].endswith(" faces to train on, 8 + 4 to validate on, 1 epochs")
    assert 40 <= int(told[0].split()[0]) <= 60
    with (tmp_path / "run" / "curves.csv").open() as curves:
        (row_,) = csv.DictReader(curves)
    parts = [float(row_[f"mae {name}"]) for name in (chips_folder.name, "bounds/b")]
    assert float(row_["mae"]) == pytest.approx(sum(parts) / 2, abs=1e-4)
    assert "bounds/b" in told[-1]


def test_a_damaged_picture_is_named(settings: list[str], chips_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes((chips_folder / "00.png").read_bytes()[:300])
    (tmp_path / "labels.csv").write_text("file,age,gender\nbad.png,30,f\n")
    broken = load_recipe("mien-m", [*settings, f"data.train=[{{data: {tmp_path}}}]"])
    with pytest.raises(DataError, match=r"bad\.png: "):
        loop.train(broken, tmp_path / "run")


def test_a_resumed_run_does_not_read_its_start_again(settings: list[str], tmp_path: Path) -> None:
    start = loop.train(load_recipe("mien-m", [*settings, "optimiser.epochs=1"]), tmp_path / "start")
    plan = [*settings, f"model.init={start}", "model.freeze=2"]
    loop.train(load_recipe("mien-m", [*plan, "optimiser.epochs=1"]), tmp_path / "next")
    before = load_file(tmp_path / "next" / "model.safetensors")
    start.unlink()
    lines: list[str] = []
    after = load_file(
        loop.train(
            load_recipe("mien-m", [*plan, "optimiser.epochs=2"]), tmp_path / "next", resume=True, report=lines.append
        )
    )
    assert "going on after epoch 1" in lines
    assert torch.equal(before["backbone.stem.weight"], after["backbone.stem.weight"])
    with pytest.raises(DataError, match="do not exist"):
        loop.train(load_recipe("mien-m", plan), tmp_path / "fresh")


def test_a_run_from_before_a_setting_existed_goes_on(settings: list[str], tmp_path: Path) -> None:
    recipe = load_recipe("mien-m", [*settings, "optimiser.epochs=1"])
    loop.train(recipe, tmp_path)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    tree = yaml.safe_load(state["recipe"])
    del tree["data"]["drop_misses"], tree["data"]["min_bytes"]
    torch.save(state | {"recipe": yaml.safe_dump(tree)}, tmp_path / "state.pt")
    assert loop.train(recipe, tmp_path, resume=True).is_file()


@pytest.mark.parametrize(
    "fault",
    [
        "data.train=[{data: nowhere}]",
        "model.init=nowhere",
        "model.freeze=99",
        "data.teacher=nowhere.parquet",
        "data.min_bytes=1000000",
    ],
)
def test_a_run_that_cannot_begin_leaves_no_folder(settings: list[str], fault: str, tmp_path: Path) -> None:
    with pytest.raises(MienError):
        loop.train(load_recipe("mien-m", [*settings, fault]), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_misses_and_small_files_are_left_out_of_training_alone(
    settings: list[str], chips_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sorted(path.stat().st_size for path in chips_folder.glob("[0-3]?.png"))[3]
    smaller = [path.name for path in chips_folder.glob("[0-3]?.png") if path.stat().st_size < size]

    def find(manifest: Manifest, detector: str, **_: object) -> Boxes:
        """Misses every third chip."""
        files = manifest.files.tolist()
        return Boxes({file: None if int(file[:2]) % 3 == 0 else (0, 0, 64, 64) for file in files}, {}, detector)

    monkeypatch.setattr(dataset, "find_boxes", find)
    lines: list[str] = []
    plan = [*settings, "optimiser.epochs=1", "optimiser.sizes={}", "model.size=32", "data.crop=haar"]
    recipe = load_recipe("mien-m", [*plan, "data.drop_misses=true", f"data.min_bytes={size}"])
    loop.train(recipe, tmp_path / "run", report=lines.append)
    misses = [f"{at:02}.png" for at in range(0, 40, 3) if f"{at:02}.png" not in smaller]
    assert lines[:3] == [
        f"{len(smaller)} faces in files under {size} bytes are left out of training",
        f"{len(misses)} faces in which haar found none are left out of training",
        f"{40 - len(smaller) - len(misses)} faces to train on, 8 to validate on, 1 epochs",
    ]
    loop.train(load_recipe("mien-m", plan), tmp_path / "all", report=lines.append)
    assert lines[-2] == "40 faces to train on, 8 to validate on, 1 epochs"


def test_two_processes_take_the_steps_of_one(
    settings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the boxes are kept in runs/boxes
    plan = [*settings, "optimiser.epochs=2", "model.options={dropout: 0}", "data.train.0.fold=train", "data.crop=haar"]
    recipe = load_recipe("mien-m", plan)
    loop.train(recipe, tmp_path / "one")
    (tmp_path / "runs" / "boxes" / "haar.csv").unlink()
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    launch = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--cpu",
        "--num_processes",
        "2",
        "--num_machines",
        "1",
    ]
    launch += ["--num_cpu_threads_per_process", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    launch += ["--main_process_port", "0", "-m", "mien", "train", str(tmp_path / "recipe.yaml")]
    done = subprocess.run(
        [*launch, "--output", str(tmp_path / "two")], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    for line in ("haar: no face in", "40 faces to train on", "epoch 1/2", "epoch 2/2"):
        assert done.stderr.count(line) == 1  # of the main process
    assert done.stdout.count("model.safetensors") == 1
    assert [path.name for path in (tmp_path / "runs" / "boxes").iterdir()] == ["haar.csv"]
    one, two = (_losses(tmp_path / name / "curves.csv") for name in ("one", "two"))
    assert two == pytest.approx(one, rel=1e-3)


def _losses(curves: Path) -> list[float]:
    with curves.open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def test_a_batch_norm_never_gets_a_single_face(settings: list[str], tmp_path: Path) -> None:
    plan = [
        *settings,
        "optimiser.epochs=1",
        "optimiser.batch=13",
        "model.size=32",
        "optimiser.sizes={}",
    ]  # 40 = 3 x 13 + 1
    plan += ["model.network=regularised-cnn", "model.options={task: both, widths: [4, 4, 4]}"]
    lines: list[str] = []
    loop.train(load_recipe("mien-m", plan), tmp_path, report=lines.append)
    assert lines[-1].startswith("epoch 1/1")


def test_a_run_is_held_against_its_start(settings: list[str], tmp_path: Path) -> None:
    start = loop.train(load_recipe("mien-m", [*settings, "optimiser.epochs=1"]), tmp_path / "start")
    lines: list[str] = []
    plan = [*settings, f"model.init={start}"]
    loop.train(load_recipe("mien-m", [*plan, "optimiser.epochs=1"]), tmp_path / "next", report=lines.append)
    assert any(line.startswith("the start on the validation faces: MAE ") for line in lines)
    state = torch.load(tmp_path / "next" / "state.pt", weights_only=True)
    assert state["start"]["errors"].shape == state["best"]["errors"].shape == (8,)
    resumed: list[str] = []
    again = load_recipe("mien-m", [*plan, "optimiser.epochs=2"])
    loop.train(again, tmp_path / "next", resume=True, report=resumed.append)
    assert not any(line.startswith("the start") for line in resumed)
