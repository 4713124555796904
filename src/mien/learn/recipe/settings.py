"""What a recipe may set: one table a part of a training run, each setting with its bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

RETIRED_TERMS = frozenset({"ordinal", "squared", "variance"})
"""Loss terms that brought nothing and are gone (docs/accuracy.md)."""

RETIRED_OPTIONS = frozenset({"tail", "batch_norm", "places"})
"""Likewise options of our own network, mobilenet-v1."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSource(_Part):
    """One data set: what `mien.learn.data.readers.read` takes, and the fold to use of it."""

    data: Path
    folds: Path | None = None
    fold: str | None = None
    only: str | None = Field(default=None, description="take the rows of this source of a table alone, e.g. mps")
    times: float = Field(
        default=1.0,
        gt=0,
        le=100,
        description="how often an epoch shows its faces, on average: its share of the training; not for val",
    )
    balance: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="show faces of rare ages more often, by this power of their rarity: 0 for all alike, 1 for "
        "each age as often as any other; not for val",
    )
    ages: bool = Field(default=True, description="false: take no ages from this data, e.g. if they are guesses")


class Data(_Part):
    """Training sources (joined) and those that validation is measured on, each for itself."""

    train: tuple[DataSource, ...] = Field(min_length=1)
    val: DataSource | tuple[DataSource, ...] = Field(
        description="one source, or several: each is measured for itself, and the mean of their figures counts"
    )
    crop: Literal["chip", "haar", "mtcnn"] = Field(
        default="chip",
        description="the chip as it is, or what a detector finds in it; see `mien.learn.data.detector_boxes`",
    )
    drop_misses: bool = Field(
        default=False, description="true: leave out of training the faces in which the detector of `crop` finds none"
    )
    min_bytes: int = Field(default=0, ge=0, description="leave smaller files out of training; 0 leaves none out")
    grey: bool = Field(default=False, description="take the colour away, in training and after")
    women: bool = Field(default=True, description="false: train on men only")
    men: bool = Field(default=True, description="false: train on women only")
    teacher: Path | tuple[Path, ...] | None = Field(
        default=None,
        description="answers for training faces (`mien lab crossfit`, `mien evaluate`); of several the mean",
    )
    teacher_ages: bool = Field(default=True, description="false: the teacher speaks of genders alone")
    guide: Path | None = Field(
        default=None,
        description="a model that answers for each picture as it is shown; see `mien.learn.data.teachers`",
    )
    views: int = Field(
        default=0,
        ge=0,
        description="make so many pictures of each face, once, keep them in memory with what the guide says of them, "
        "and go through them again and again; 0 makes a new one for each epoch",
    )
    limit: int | None = Field(default=None, ge=1, description="use only the first so many faces of each: for trials")
    workers: int = Field(default=1, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _without_retired(cls, given: Any) -> Any:
        """Recipes of older runs may name doubted labels, which are gone, as none, and their one guide in a list."""
        if not isinstance(given, dict):
            return given
        kept = dict(given)
        if kept.get("doubt", ...) is None:
            del kept["doubt"]
        if "doubt" not in kept:
            kept.pop("unlikely", None)
        if isinstance(guides := kept.get("guide"), list | tuple):
            if len(guides) != 1:
                raise ValueError("data.guide names one model, not a list of them")
            kept["guide"] = guides[0]
        return kept

    @model_validator(mode="after")
    def _misses_need_a_detector(self) -> Data:
        if self.drop_misses and self.crop == "chip":
            raise ValueError("drop_misses needs a detector that can miss: set data.crop to haar or mtcnn")
        return self

    @property
    def vals(self) -> tuple[DataSource, ...]:
        """The sources of validation, one or several."""
        return self.val if isinstance(self.val, tuple) else (self.val,)

    @model_validator(mode="after")
    def _some_to_validate_on(self) -> Data:
        if not self.vals:
            raise ValueError("data.val names no source to validate on")
        return self

    @model_validator(mode="after")
    def _one_who_teaches(self) -> Data:
        if self.guide is not None and self.teacher is not None:
            raise ValueError("a run learns from data.teacher or from data.guide, not from both: set one to null")
        if self.teacher == ():
            raise ValueError("data.teacher names one or several; none is null")
        return self


class Model(_Part):
    """The network, where its weights start from, and what it is fed with."""

    network: str = Field(default="mobilenet-v1", description="one of `mien.learn.networks.build.NETWORKS`")
    options: dict[str, Any] = Field(default_factory=dict, description="arguments of that network's class")
    init: Path | None = Field(default=None, description="start weights: a file, a model's folder, or its name")
    size: int = Field(default=192, ge=32, le=512, description="side of the input chip in pixels")
    freeze: int = Field(default=0, ge=0, description="stages that keep their weights, counted from the input")

    @model_validator(mode="before")
    @classmethod
    def _without_retired(cls, given: Any) -> Any:
        """Recipes of older runs may turn off options of our own network that are gone."""
        if not isinstance(given, dict) or given.get("network", "mobilenet-v1") != "mobilenet-v1":
            return given
        options = given.get("options")
        if not isinstance(options, dict):
            return given
        return {
            **given,
            "options": {key: value for key, value in options.items() if key not in RETIRED_OPTIONS or value},
        }


class Loss(_Part):
    """Weights of the loss terms; see `mien.learn.training.losses`. What a network does not answer takes no part."""

    years: Literal["mae", "mse"] = Field(default="mae", description="for networks that answer a number of years")
    age: float = Field(default=1.0, ge=0, description="weight of a loss on years or classes")
    sigma: float = Field(default=1.0, gt=0, description="spread of the age label at age 0, years")
    sigma_slope: float = Field(default=0.04, ge=0, description="added spread a year of age")
    sigma_max: float = Field(default=4.0, gt=0)
    divergence: float = Field(default=1.0, ge=0, description="weight of the distance from the label's distribution")
    l1: float = Field(default=0.5, ge=0, description="weight of the expected age's error, years")
    gender: float = Field(default=2.0, ge=0)
    teacher: float = Field(default=0.0, ge=0, le=1, description="share of the teacher's answer in the targets")
    hint: float = Field(
        default=0.0,
        ge=0,
        description="weight of the squared distance from the guide's features, as a share of their variance",
    )

    @model_validator(mode="before")
    @classmethod
    def _without_retired(cls, given: Any) -> Any:
        """Recipes of older runs name terms that are gone; at a weight of 0 they took no part."""
        if not isinstance(given, dict):
            return given
        return {key: value for key, value in given.items() if key not in RETIRED_TERMS or value != 0}


class Augment(_Part):
    """Strength of each augmentation; 0 turns one off. See `mien.learn.data.dataset.augment`."""

    flip: bool = True
    rotation: float = Field(default=12.0, ge=0, description="degrees, either way")
    zoom_out: float = Field(default=0.25, ge=0, lt=1, description="smallest scale is 1 - zoom_out")
    zoom_in: float = Field(default=0.12, ge=0)
    shift: float = Field(default=0.05, ge=0, description="share of the side")
    light: float = Field(default=0.25, ge=0, description="brightness, contrast, gamma and channel gains")
    grey: float = Field(default=0.05, ge=0, le=1, description="probability")
    degrade: float = Field(default=0.25, ge=0, le=1, description="probability of blur, low resolution, noise or JPEG")
    erase: float = Field(default=0.2, ge=0, le=1, description="probability")
    corrupt: float = Field(
        default=0.0, ge=0, le=1, description="probability of one corruption of the robustness audit, severity 1 to 4"
    )
    old_print: float = Field(
        default=0.0, ge=0, le=1, description="probability of looking like the scan of an old print"
    )
    mix: float = Field(
        default=0.0, ge=0, le=1, description="probability of a blend with another face, for which data.guide answers"
    )


class Optimiser(_Part):
    """Method, its rates over the steps and the layers, and an average of the weights."""

    method: Literal["adamw", "adam", "sgd", "soap"] = Field(
        default="adamw", description="sgd has a momentum of 0.9; soap is Adam along the gradients' main directions"
    )
    schedule: Literal["cosine", "constant"] = Field(default="cosine", description="after the warm-up")
    patience: int | None = Field(
        default=None, ge=1, description="stop after so many epochs without a lower validation loss, and keep the best"
    )
    epochs: int = Field(ge=0, description="0 trains nothing: the start weights become a run as they are")
    head_epochs: int = Field(default=0, ge=0, description="first epochs that train the heads alone")
    batch: int = Field(default=64, ge=1)
    lr: float = Field(default=3e-4, gt=0, description="of the last stage of the backbone")
    head_lr: float = Field(default=1e-3, gt=0)
    layer_decay: float = Field(default=0.85, gt=0, le=1, description="factor from each stage to the one before it")
    relative: bool = Field(
        default=False, description="true: lr and head_lr are shares of the size that each tensor's weights start with"
    )
    weight_decay: float = Field(default=0.02, ge=0)
    warmup: float = Field(default=0.05, ge=0, lt=1, description="share of all steps")
    ema: float = Field(default=0.998, ge=0, lt=1, description="decay a step of the averaged weights; 0 turns it off")
    clip: float = Field(default=5.0, gt=0, description="largest norm of the gradient")
    sizes: dict[int, int] = Field(default_factory=dict, description="chip side from an epoch on, e.g. {0: 160, 8: 192}")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="auto: bfloat16 where the machine computes in it, which is most often faster there"
    )

    @model_validator(mode="after")
    def _steps_as_large_as_the_rate(self) -> Optimiser:
        if self.relative and self.method == "sgd":
            raise ValueError("relative rates are for adamw, adam and soap, whose steps are as large as the rate says")
        return self


class About(_Part):
    """What travels with the exported weights: on what they learned, and what they may be used for."""

    title: str = Field(default="", description="the run's name in tables")
    system: Literal["", "compact", "regularised", "hybrid", "one-or-two", "baseline", "mien"] = Field(
        default="", description="the published design it rebuilds; see `mien lab systems`"
    )
    budget: str = Field(default="", description="how the run differs in size and length from the published one")
    data: tuple[str, ...] = ()
    notes: tuple[str, ...] = Field(default=(), description="what the card is to say about limits")
    licence: str = "unstated"
    licence_text: str = (
        "No licence was stated for these weights. The data they were trained on may restrict their use.\n"
    )


class Recipe(_Part):
    """A whole run."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    seed: int = 0
    about: About = About()
    data: Data
    model: Model = Model()
    loss: Loss = Loss()
    augment: Augment = Augment()
    optimiser: Optimiser

    @model_validator(mode="after")
    def _guide_and_its_settings_agree(self) -> Recipe:
        if self.augment.mix > 0 and self.data.guide is None:
            raise ValueError("augment.mix needs a model that answers for blends: set data.guide")
        if self.data.guide is not None and self.loss.teacher == 0 and self.loss.hint == 0:
            raise ValueError("data.guide is not listened to while loss.teacher and loss.hint are 0")
        if self.loss.hint > 0 and self.data.guide is None:
            raise ValueError("loss.hint needs a model whose features can be learned: set data.guide")
        if self.loss.hint > 0 and self.optimiser.batch == 1:
            raise ValueError("loss.hint goes by the variance within a batch: set optimiser.batch to 2 or more")
        if self.data.views > 0 and self.optimiser.sizes:
            raise ValueError("data.views keeps pictures of one size: leave optimiser.sizes empty")
        return self

    def to_yaml(self) -> str:
        """The resolved recipe, as it is kept beside the weights."""
        return str(yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False))
