"""The training loop: a recipe in, a run folder out, resumable after every epoch.

A run folder holds recipe.yaml (as resolved), curves.csv and curves.png, state.pt (all that resuming needs) and
model.safetensors (the averaged weights after the last finished epoch, or the best where the recipe has patience).

Under Accelerate's launcher (`accelerate launch --cpu --num_processes 2 -m mien train ...`) the processes share each
batch, so that a run takes the same steps however many there are. Only the main process reports and writes. Dropout and
batch norm are not the same: each process draws its own units, and normalises its part of a batch by the mean and
variance of that part, as if the batch were smaller; the running statistics that are kept are the main process's. Shared
statistics (SyncBatchNorm) would need CUDA, and we do without. Nor is `loss.hint` quite: each process goes by the
variance of its part. SOAP finds its directions in each process again, where rounding decides about those in which a
gradient has next to nothing; processes on unlike machines would drift apart. And each keeps its own `data.views`,
filled with what it is given itself.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, PartialState
from accelerate.data_loader import prepare_data_loader
from safetensors.torch import save
from torch import nn
from torch.utils.data import DataLoader

from mien.errors import DataError
from mien.learn.data.dataset import Chips, ShownPart
from mien.learn.data.kept_pictures import KeptPictures
from mien.learn.data.predictions import Predictions, mean_answers
from mien.learn.data.selection import detected_faces, joined_sources, large_enough, of_gender
from mien.learn.data.teachers import Guide
from mien.learn.networks.build import as_network, build, freeze
from mien.learn.networks.frozen_stages import FrozenStages
from mien.learn.networks.heads import AgeGenderNet
from mien.learn.recipe import Data, Recipe, located
from mien.learn.run_folder import RunFolder
from mien.learn.training import curves
from mien.learn.training.ema import Average
from mien.learn.training.loaders import leftover, loader, typed
from mien.learn.training.losses import AgeGenderLoss
from mien.learn.training.optimisers import make_optimiser, rate_factor
from mien.learn.training.progress import FaceErrors, change_in_words
from mien.learn.training.resuming import read_state, replace_file
from mien.learn.training.validation import validate

Report = Callable[[str], None]


def train(recipe: Recipe, output: Path, *, resume: bool = False, report: Report = lambda line: None) -> Path:
    """Train a recipe.

    Args:
        recipe: what to train.
        output: the run folder; made when there is something to write.
        resume: go on after the last finished epoch of this folder, if there is one.
        report: takes one line of progress at a time.

    Returns:
        Path of the final `model.safetensors`.

    Raises:
        DataError: the data has no usable face, the folder holds another run, or the loss is not finite.
        UsageError: the recipe names data below `$MIEN_DATA`, and the environment does not say where that is.
    """
    recipe, state = located(recipe), None
    if RunFolder(output).state.exists():
        if not resume:
            raise DataError(f"{output} already holds a run: pass --resume to go on with it, or another --output")
        state = read_state(recipe, output)
    return Trainer(recipe, output, report, state).fit()


def is_main() -> bool:
    """Whether this is the process that speaks for all, the only one unless Accelerate's launcher started several."""
    return bool(PartialState().is_main_process)


class Trainer:
    """State of one run: network, optimiser, average, and where it stands.

    Args:
        recipe: what to train.
        output: the run folder; made when there is something to write.
        report: takes one line of progress at a time, of the main process only.
        state: of the last finished epoch, to go on with; the recipe's start weights are not read then.
    """

    def __init__(self, recipe: Recipe, output: Path, report: Report, state: dict[str, Any] | None = None) -> None:
        _seed(recipe.seed)
        # Epochs that train the heads alone leave weights without a gradient, which several processes must expect.
        ddp = DistributedDataParallelKwargs(find_unused_parameters=recipe.optimiser.head_epochs > 0)
        self.processes = Accelerator(cpu=not torch.cuda.is_available(), kwargs_handlers=[ddp])
        self.device = self.processes.device
        self.recipe, self.folder = recipe, RunFolder(output)
        self.report: Report = report if self.processes.is_main_process else lambda line: None
        precision = recipe.optimiser.precision
        self.bfloat16 = precision == "bfloat16" or (precision == "auto" and computes_bfloat16(self.device))
        self.net = build(recipe.model if state is None else recipe.model.model_copy(update={"init": None}), self.report)
        if state is not None:
            self.net.load_state_dict(state["net"])  # before frozen stages are exported below
        self.net.to(self.device)
        self.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        freeze(self.net, recipe.model.freeze)
        self._read_data(recipe.data)
        stages = as_network(self.net).stages()
        carrier = getattr(self.net, "backbone", self.net)
        if recipe.model.freeze and self.device.type == "cpu" and hasattr(carrier, "shortcut"):
            frozen = stages[: recipe.model.freeze]
            carrier.shortcut = FrozenStages(frozen, 3, recipe.model.size, torch.get_num_threads())
        self.fine_tuned = [p for stage in stages for p in stage.parameters() if p.requires_grad]
        self.loss = AgeGenderLoss(recipe.loss, as_network(self.net))
        self.optimiser = make_optimiser(self.net, recipe)
        self.model = self.processes.prepare_model(self.net)  # the same, or wrapped to share gradients
        torch.manual_seed(recipe.seed + self.processes.process_index)  # each process drops other units
        self.average = Average(self.net, recipe.optimiser.ema)
        self.epoch = 0
        self.curves: list[dict[str, float]] = []
        self.start: FaceErrors | None = None  # of the start weights, where there are any
        self.best: FaceErrors | None = None
        self.steps_an_epoch = math.ceil(
            (len(self.train_set) - leftover(len(self.train_set), recipe)) / recipe.optimiser.batch
        )
        if state is not None:
            self._restore(state)

    def _read_data(self, data: Data) -> None:
        """Find the faces to train and validate on, and what is shown of each."""
        train = large_enough(of_gender(joined_sources(data.train, data.limit), data), data, self.report)
        self.val_sets = [of_gender(joined_sources((source,), data.limit), data) for source in data.vals]
        with self.processes.local_main_process_first():  # the others read the boxes that it found
            self.shown = ShownPart.of(data, (train, *self.val_sets), self.report)
        self.train_set = detected_faces(train, data, self.shown.boxes, self.report)

    def _chips(self) -> Chips:
        """The faces to train on as the recipe disturbs them, with the answers of its teachers or its guide."""
        size = self.recipe.model.size
        teachers = _named(self.recipe.data.teacher)
        answers = mean_answers([Predictions.load(file) for file in teachers]) if teachers else None
        if answers is not None and not self.recipe.data.teacher_ages:
            answers = replace(answers, pmf=np.full_like(answers.pmf, np.nan))
        guide = Guide(self.recipe.data.guide) if self.recipe.data.guide is not None else None
        hinted = shared_features(guide, self.net) if guide is not None and self.recipe.loss.hint > 0 else 0
        kept = self.recipe.data.views
        return Chips(
            self.train_set,
            size,
            self.recipe.augment,
            self.recipe.seed,
            teacher=answers,
            guide=guide,
            hinted=hinted > 0,
            kept=KeptPictures(len(self.train_set), kept, size, hinted) if kept else None,
            shown=self.shown,
        )

    def fit(self) -> Path:
        """Train the epochs that are left; after each, validate and write the state."""
        epochs = self.recipe.optimiser.epochs
        size = self.recipe.model.size
        to_validate = " + ".join(str(len(faces)) for faces in self.val_sets)
        self.report(f"{len(self.train_set)} faces to train on, {to_validate} to validate on, {epochs} epochs")
        vals = [loader(Chips(faces, size, shown=self.shown), self.recipe, shuffle_seed=None) for faces in self.val_sets]
        chips = self._chips()
        if self.processes.is_main_process:
            self.folder.path.mkdir(parents=True, exist_ok=True)
            self.folder.recipe_file.write_text(self.recipe.to_yaml(), encoding="utf-8")
        self._start(vals)
        while self.epoch < epochs and not self._settled():
            chips.epoch = self.epoch
            chips.size = self._size_now()
            start = time.perf_counter()
            loss = self._train_epoch(self._share(chips))
            seconds = time.perf_counter() - start
            with self.average.applied(self.net):
                metrics, answers_now = self._validate(vals)
            self.epoch += 1
            self.curves.append(
                {
                    "epoch": self.epoch,
                    "size": chips.size,
                    "loss": loss,
                    **metrics,
                    "seconds": seconds,
                    "rate": len(chips) / seconds,
                }
            )
            if self._best() == self.epoch:
                self.best = answers_now
            if self.processes.is_main_process:
                self._save()
            self.report(
                f"epoch {self.epoch}/{epochs} at {chips.size} px: loss {loss:.3f}, validation loss "
                f"{metrics['val_loss']:.3f}, {', '.join(self._figures(metrics))}, {len(chips) / seconds:.0f} faces/s"
            )
            if self.start is not None and (told := change_in_words(answers_now, self.start)):
                self.report(f"  against the start: {told}")
        self._conclude()
        return self.folder.weights

    def _start(self, vals: list[DataLoader[Any]]) -> None:
        """Measure the start weights; where nothing is to be trained they are the run."""
        epochs, size = self.recipe.optimiser.epochs, self.recipe.model.size
        if epochs == 0 and not self.curves:
            metrics, _ = self._validate(vals)
            self.curves.append({"epoch": 0, "size": size, "loss": math.nan, **metrics, "seconds": 0.0, "rate": 0.0})
            if self.processes.is_main_process:
                self._save()
            told = ", ".join(self._figures(metrics))
            self.report(f"nothing is trained, the start weights are the run: {told}")
        if self.epoch == 0 and self.recipe.model.init is not None and epochs > 0:
            metrics, self.start = self._validate(vals)
            self.report(f"the start on the validation faces: {', '.join(self._figures(metrics)) or 'no figures'}")

    def _figures(self, metrics: dict[str, float]) -> list[str]:
        """MAE and gender in words, where there are such."""
        told = [f"MAE {self._each('mae', metrics, '.3f')} years"] if not math.isnan(metrics["mae"]) else []
        return told + ([f"gender {self._each('gender', metrics, '.2%')}"] if not math.isnan(metrics["gender"]) else [])

    def _conclude(self) -> None:
        """Say at the end whether the best epoch is better than the start, and whether its weights are those kept."""
        if self.start is None or self.best is None or not (told := change_in_words(self.best, self.start)):
            return
        best = self._best()
        self.report(f"epoch {best}, of the lowest validation loss, against the start: {told}")
        if self.recipe.optimiser.patience is None and best != self.epoch:
            self.report(
                f"the weights kept are those of epoch {self.epoch}: --set optimiser.patience=N keeps the best, and "
                "stops N epochs after it"
            )

    def _validate(self, vals: list[DataLoader[Any]]) -> tuple[dict[str, float], FaceErrors]:
        """Means over the sources, and where there are several the figures of each, as "mae appa"; and each face's."""
        both = [validate(self.net, val, self.device, self.loss) for val in vals]
        found, answers = [metrics for metrics, _ in both], FaceErrors.join([each for _, each in both])
        if len(found) == 1:
            return found[0], answers
        means = {key: _mean_known([one[key] for one in found]) for key in found[0]}
        named = zip(self._val_names(), found, strict=True)
        return means | {f"{key} {name}": one[key] for name, one in named for key in ("mae", "gender")}, answers

    def _val_names(self) -> list[str]:
        """A name for each source of validation, e.g. "appa" or "officials/mps"."""
        names = ["+".join(dict.fromkeys(faces.source.tolist())) for faces in self.val_sets]
        return [name if names.count(name) == 1 else f"{name} {at + 1}" for at, name in enumerate(names)]

    def _each(self, key: str, metrics: dict[str, float], style: str) -> str:
        """A figure in words, with those of each source behind the mean."""
        parts = {name: metrics.get(f"{key} {name}", math.nan) for name in self._val_names()}
        known = [f"{name} {format(value, style)}" for name, value in parts.items() if not math.isnan(value)]
        return format(metrics[key], style) + (f" ({', '.join(known)})" if known else "")

    def _share(self, chips: Chips) -> DataLoader[Any]:
        """Shuffled batches; of each, every process takes an equal part."""
        batches = loader(chips, self.recipe, shuffle_seed=self.recipe.seed + self.epoch)
        if self.processes.num_processes == 1:
            return batches
        shared = prepare_data_loader(batches, split_batches=True, rng_types=["generator"])
        return cast(DataLoader[Any], shared)

    def _restore(self, state: dict[str, Any]) -> None:
        """Take up where the last finished epoch ended; the network has its weights already."""
        self.optimiser.load_state_dict(state["optimiser"])
        self.average.load_state_dict(state["average"])
        self.epoch, self.curves = state["epoch"], state["curves"]
        self.start, self.best = (
            FaceErrors(**kept) if (kept := state.get(name)) else None for name in ("start", "best")
        )
        torch.set_rng_state(state["rng"])
        self.report(f"going on after epoch {self.epoch}")

    def _train_epoch(self, batches: DataLoader[Any]) -> float:
        self.net.train()
        for weight in self.fine_tuned:  # heads first, so that their first wild gradients do not spoil the start weights
            weight.requires_grad_(self.epoch >= self.recipe.optimiser.head_epochs)
        total, seen, start = 0.0, 0, time.perf_counter()
        for number, given in enumerate(typed(batches)):
            self._set_rate(self.epoch * self.steps_an_epoch + number)
            batch = given.to(self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
                output = self.model(batch.chips)
            loss = self.loss(output, *batch[1:5], features=batch.features, bounds=batch.bounds)
            if not torch.isfinite(loss):
                raise DataError(f"the loss became {loss.item()} in epoch {self.epoch + 1}: lower the learning rate")
            self.optimiser.zero_grad(set_to_none=True)
            self.processes.backward(loss)
            nn.utils.clip_grad_norm_(self.net.parameters(), self.recipe.optimiser.clip)
            self.optimiser.step()
            self.average.update(self.net)
            total, seen = total + loss.item() * len(batch.chips), seen + len(batch.chips)
            if number % 50 == 49:
                rate = seen * self.processes.num_processes / (time.perf_counter() - start)
                self.report(self._progress(number + 1, total / seen, rate))
        sums = self.processes.reduce(torch.tensor([total, seen], dtype=torch.float64, device=self.device))
        return float(sums[0] / sums[1])

    def _progress(self, steps: int, loss: float, rate: float) -> str:
        left = (self.recipe.optimiser.epochs - self.epoch - steps / self.steps_an_epoch) * len(self.train_set) / rate
        return (
            f"  epoch {self.epoch + 1}, {steps}/{self.steps_an_epoch}: loss {loss:.3f}, {rate:.0f} faces/s, "
            f"{left / 60:.0f} min left"
        )

    def _set_rate(self, step: int) -> None:
        factor = rate_factor(self.recipe.optimiser, step, self.recipe.optimiser.epochs * self.steps_an_epoch)
        for group in self.optimiser.param_groups:
            group["lr"] = group["base_lr"] * factor

    def _best(self) -> int:
        """The epoch of the lowest validation loss so far."""
        return int(min(self.curves, key=lambda row: row["val_loss"])["epoch"])

    def _settled(self) -> bool:
        """Whether validation has not improved for as long as the recipe waits."""
        patience = self.recipe.optimiser.patience
        return patience is not None and bool(self.curves) and self.epoch - self._best() >= patience

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
            "start": self.start and vars(self.start),
            "best": self.best and vars(self.best),
        }
        replace_file(self.folder.state, lambda path: torch.save(state, path))
        with self.average.applied(self.net):  # copies, since the network's own tensors change back after it
            weights = {
                name: tensor.cpu().clone(memory_format=torch.contiguous_format)
                for name, tensor in self.net.state_dict().items()
            }
        if self.recipe.optimiser.patience is None or self._best() == self.epoch:
            replace_file(self.folder.weights, lambda path: path.write_bytes(save(weights)))
        self.folder.write_curves(self.curves)
        curves.draw(self.curves, self.recipe.name).savefig(self.folder.curves_picture, dpi=120)


def computes_bfloat16(device: torch.device) -> bool:
    """Whether a device has units for bfloat16; on processors without, it is emulated and up to 20 times slower."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    processor = Path("/proc/cpuinfo")
    flags = processor.read_text(encoding="utf-8") if processor.is_file() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


def _mean_known(values: list[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - libraries may draw from the old global state
    torch.manual_seed(seed)


def _named(paths: Path | tuple[Path, ...] | None) -> tuple[Path, ...]:
    """What a setting names that takes one path or several."""
    return () if paths is None else (paths,) if isinstance(paths, Path) else paths


def shared_features(guide: Guide, net: nn.Module) -> int:
    """How many features a network of ours and its guide have in common.

    Raises:
        DataError: they have unequally many, or one of them gives none.
    """
    mine = net.backbone.channels_out if isinstance(net, AgeGenderNet) else None
    if mine != guide.features:
        has = "none to teach" if mine is None else str(mine)
        raise DataError(
            f"the guide has {guide.features} features and the network {has}: set model.options so that both have "
            "as many, or loss.hint to 0"
        )
    return guide.features
