"""The training loop: a recipe in, a run folder out, resumable after every epoch.

A run folder holds recipe.yaml (as resolved), curves.csv and curves.png, state.pt (all that resuming needs) and
model.safetensors (the averaged weights after the last finished epoch).
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
import torch
import yaml
from safetensors.torch import save
from torch import Tensor, nn
from torch.utils.data import DataLoader

from mien.errors import DataError
from mien.learn import curves
from mien.learn.backbones import MobileNetV1
from mien.learn.dataset import Batch, Chips
from mien.learn.ema import Average
from mien.learn.frozen import FrozenStages
from mien.learn.heads import AGES, AgeGenderLoss, AgeGenderNet
from mien.learn.manifest import Manifest, read
from mien.learn.network import backbone_stages, build, freeze
from mien.learn.recipe import DataSource, Recipe

Report = Callable[[str], None]


def run(recipe: Recipe, output: Path, *, resume: bool = False, report: Report = lambda line: None) -> Path:
    """Train a recipe.

    Args:
        recipe: what to train.
        output: the run folder; made if need be.
        resume: go on after the last finished epoch of this folder, if there is one.
        report: takes one line of progress at a time.

    Returns:
        Path of the final `model.safetensors`.

    Raises:
        DataError: the data has no usable face, the folder holds another run, or the loss is not finite.
    """
    trainer = Trainer(recipe, output, report)
    if (output / "state.pt").exists():
        if not resume:
            raise DataError(f"{output} already holds a run: pass --resume to go on with it, or another --output")
        trainer.restore()
    return trainer.fit()


class Trainer:
    """State of one run: network, optimiser, average, and where it stands."""

    def __init__(self, recipe: Recipe, output: Path, report: Report) -> None:
        _seed(recipe.seed)
        self.recipe, self.output, self.report = recipe, output, report
        output.mkdir(parents=True, exist_ok=True)
        self.train_set = join(recipe.data.train, recipe.data.limit)
        self.val_set = join((recipe.data.val,), recipe.data.limit)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.net = build(recipe.model).to(self.device)
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        freeze(self.net, recipe.model.freeze)
        if recipe.model.freeze and self.device.type == "cpu":
            stages = backbone_stages(self.net)[: recipe.model.freeze]
            shortcut = FrozenStages(stages, 3, recipe.model.size, torch.get_num_threads())
            cast(MobileNetV1, self.net.backbone).shortcut = shortcut
        self.fine_tuned = [p for p in self.net.backbone.parameters() if p.requires_grad]
        self.loss = AgeGenderLoss(**recipe.loss.model_dump())
        self.optimiser = torch.optim.AdamW(parameter_groups(self.net, recipe), weight_decay=0.0)
        self.average = Average(self.net, recipe.optimiser.ema)
        self.epoch = 0
        self.curves: list[dict[str, float]] = []
        self.steps_an_epoch = math.ceil(len(self.train_set) / recipe.optimiser.batch)

    def fit(self) -> Path:
        """Train the epochs that are left; after each, validate and write the state."""
        (self.output / "recipe.yaml").write_text(self.recipe.to_yaml(), encoding="utf-8")
        epochs = self.recipe.optimiser.epochs
        size = self.recipe.model.size
        self.report(f"{len(self.train_set)} faces to train on, {len(self.val_set)} to validate on, {epochs} epochs")
        val = loader(Chips(self.val_set, size), self.recipe, shuffle_seed=None)
        chips = Chips(self.train_set, size, self.recipe.augment, self.recipe.seed)
        while self.epoch < epochs:
            chips.epoch = self.epoch
            chips.size = self._size_now()
            start = time.perf_counter()
            loss = self._train_epoch(loader(chips, self.recipe, shuffle_seed=self.recipe.seed + self.epoch))
            seconds = time.perf_counter() - start
            with self.average.applied(self.net):
                metrics = validate(self.net, val, self.device)
            self.epoch += 1
            self.curves.append({"epoch": self.epoch, "size": chips.size, "loss": loss, **metrics, "seconds": seconds})
            self._save()
            self.report(
                f"epoch {self.epoch}/{epochs} at {chips.size} px: loss {loss:.3f}, validation MAE {metrics['mae']:.3f} "
                f"years, gender {metrics['gender']:.2%}, {len(chips) / seconds:.0f} faces/s"
            )
        return self.output / "model.safetensors"

    def restore(self) -> None:
        """Take up the state of the last finished epoch."""
        state = torch.load(self.output / "state.pt", map_location=self.device, weights_only=True)
        mine, theirs = (_identity(yaml.safe_load(text)) for text in (self.recipe.to_yaml(), state["recipe"]))
        if differing := sorted(key for key in mine if mine[key] != theirs.get(key)):
            raise DataError(
                f"{self.output} holds another run, which differs in {', '.join(differing)}: choose another --output"
            )
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average.load_state_dict(state["average"])
        self.epoch, self.curves = state["epoch"], state["curves"]
        torch.set_rng_state(state["rng"].cpu())
        self.report(f"going on after epoch {self.epoch}")

    def _train_epoch(self, batches: DataLoader[Any]) -> float:
        self.net.train()
        for weight in self.fine_tuned:  # heads first, so that their first wild gradients do not spoil the start weights
            weight.requires_grad_(self.epoch >= self.recipe.optimiser.head_epochs)
        total, seen, start = 0.0, 0, time.perf_counter()
        bfloat16 = self.recipe.optimiser.precision == "bfloat16"
        for number, batch in enumerate(batches):
            self._set_rate(self.epoch * self.steps_an_epoch + number)
            chips, age, female = (part.to(self.device, non_blocking=True) for part in batch)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=bfloat16):
                output = self.net(chips)
            loss = self.loss(output, age, female)
            if not torch.isfinite(loss):
                raise DataError(f"the loss became {loss.item()} in epoch {self.epoch + 1}: lower the learning rate")
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.net.parameters(), self.recipe.optimiser.clip)
            self.optimiser.step()
            self.average.update(self.net)
            total, seen = total + loss.item() * len(age), seen + len(age)
            if number % 50 == 49:
                self.report(self._progress(number + 1, total / seen, seen / (time.perf_counter() - start)))
        return total / seen

    def _progress(self, steps: int, loss: float, rate: float) -> str:
        left = (self.recipe.optimiser.epochs - self.epoch - steps / self.steps_an_epoch) * len(self.train_set) / rate
        return (
            f"  epoch {self.epoch + 1}, {steps}/{self.steps_an_epoch}: loss {loss:.3f}, {rate:.0f} faces/s, "
            f"{left / 60:.0f} min left"
        )

    def _set_rate(self, step: int) -> None:
        """Warm-up, then cosine decay to a hundredth."""
        plan = self.recipe.optimiser
        total = plan.epochs * self.steps_an_epoch
        warm = max(1, round(plan.warmup * total))
        factor = min(1.0, (step + 1) / warm)
        factor *= 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * max(0, step - warm) / max(1, total - warm)))
        for group in self.optimiser.param_groups:
            group["lr"] = group["base_lr"] * factor

    def _size_now(self) -> int:
        sizes = {0: self.recipe.model.size, **self.recipe.optimiser.sizes}
        return sizes[max(start for start in sizes if start <= self.epoch)]

    def _save(self) -> None:
        state = {
            "recipe": self.recipe.to_yaml(),
            "net": self.net.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.state_dict(),
            "epoch": self.epoch,
            "curves": self.curves,
            "rng": torch.get_rng_state(),
        }
        _replace(self.output / "state.pt", lambda path: torch.save(state, path))
        with self.average.applied(self.net):
            weights = {name: tensor.contiguous().cpu() for name, tensor in self.net.state_dict().items()}
        _replace(self.output / "model.safetensors", lambda path: path.write_bytes(save(weights)))
        curves.write_csv(self.curves, self.output / "curves.csv")
        curves.draw(self.curves, self.recipe.name).savefig(self.output / "curves.png", dpi=120)


def _identity(recipe: dict[str, Any]) -> dict[str, Any]:
    """The parts of a recipe that must not change when a run goes on; its length and its text may."""
    kept = {key: value for key, value in recipe.items() if key != "about"}
    kept["optimiser"] = {k: v for k, v in recipe["optimiser"].items() if k not in {"epochs", "sizes"}}
    kept["data"] = {k: v for k, v in recipe["data"].items() if k != "workers"}
    return kept


def join(sources: tuple[DataSource, ...], limit: int | None = None) -> Manifest:
    """Read and join data sets, at most `limit` faces of each.

    Raises:
        DataError: no face is left.
    """
    parts = []
    for source in sources:
        manifest = read(source.data, source.folds)
        if source.fold is not None:
            manifest = manifest.select(fold=source.fold)
        manifest = manifest.present()
        parts.append(manifest.take(np.arange(min(limit, len(manifest)))) if limit else manifest)
    joined = Manifest.concatenate(parts)
    if len(joined) == 0:
        raise DataError(f"no face to use in {', '.join(str(source.data) for source in sources)}")
    return joined


def parameter_groups(net: AgeGenderNet, recipe: Recipe) -> list[dict[str, Any]]:
    """Groups with their own base rate: heads first, then the stages, each slower than the one after it.

    Biases and other vectors take no weight decay.
    """
    plan = recipe.optimiser
    stages = backbone_stages(net)
    rated: list[tuple[nn.Module, float]] = [(nn.ModuleList([net.age, net.gender]), plan.head_lr)]
    rated += [(stage, plan.lr * plan.layer_decay ** (len(stages) - 1 - depth)) for depth, stage in enumerate(stages)]
    groups = []
    for module, rate in rated:
        for matrices, decay in ((True, plan.weight_decay), (False, 0.0)):
            chosen = [p for p in module.parameters() if p.requires_grad and (p.ndim > 1) == matrices]
            if chosen:
                groups.append({"params": chosen, "base_lr": rate, "lr": rate, "weight_decay": decay})
    return groups


def loader(chips: Chips, recipe: Recipe, shuffle_seed: int | None) -> DataLoader[Any]:
    """Batches of a data set, shuffled where a seed is given."""
    generator = torch.Generator().manual_seed(shuffle_seed or 0)
    return DataLoader(
        chips,
        batch_size=recipe.optimiser.batch,
        shuffle=shuffle_seed is not None,
        num_workers=recipe.data.workers,
        collate_fn=Chips.collate,
        generator=generator,
        worker_init_fn=_one_thread,
    )


@torch.inference_mode()
def validate(net: nn.Module, batches: DataLoader[Any], device: torch.device) -> dict[str, float]:
    """MAE of the expected age in years and the share of right genders."""
    net.eval()
    years = torch.arange(AGES, dtype=torch.float32, device=device)
    errors: list[Tensor] = []
    hits: list[Tensor] = []
    for batch in _typed(batches):
        output = net(batch.chips.to(device))
        expected = torch.softmax(output.age, dim=1) @ years
        errors.append((expected.cpu() - batch.age).abs())
        known = batch.female >= 0
        hits.append(((output.gender.cpu() >= 0) == (batch.female > 0))[known])
    return {"mae": torch.cat(errors).nanmean().item(), "gender": torch.cat(hits).float().mean().item()}


def _typed(batches: DataLoader[Any]) -> Iterator[Batch]:
    yield from batches


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - libraries may draw from the old global state
    torch.manual_seed(seed)


def _one_thread(_: int) -> None:
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside the path, then put the finished file in its place."""
    part = path.with_name(path.name + ".part")
    write(part)
    part.replace(path)
