"""Models that take several runs: numbered steps in a YAML file, each using results of those before it.

```yaml
name: mien-m
steps:
  start: {train: mien-m-start}
  polish: {train: mien-m-polish, from: start}
  mean: {average: {start: 1, polish: 1}}
  model: {export: mean, name: mien-m}
  sure: {calibrate: model, faces: {data: $MIEN_DATA/data/utkface/images, fold: val}}
```

What a step makes lies in the output folder as PIPELINE-STEP. Wherever a step is asked for, a path (with a slash) or the
name of a model that comes with mien may stand instead.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

import yaml
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from mien.errors import UsageError
from mien.estimate import bundle
from mien.learn.recipe.faults import in_words
from mien.learn.recipe.settings import DataSource

FILE = "pipeline.yaml"


class _Step(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    suffix: ClassVar[str | None] = ""
    """What the name of its result ends in; None: it makes nothing of its own."""

    def used(self) -> tuple[str, ...]:
        """The steps, paths and models that it takes."""
        return ()

    def words(self) -> str:
        """The step in a few words."""
        raise NotImplementedError


class Train(_Step):
    """Train a recipe, from an earlier step's weights or the recipe's own start."""

    train: str
    start: str | None = Field(default=None, alias="from")
    teacher: tuple[str, ...] = ()
    guide: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_teacher(cls, given: Any) -> Any:
        if isinstance(given, dict) and isinstance(given.get("teacher"), str):
            return {**given, "teacher": (given["teacher"],)}
        return given

    def used(self) -> tuple[str, ...]:
        """The steps, paths and models that it takes."""
        return tuple(filter(None, (self.start, *self.teacher, self.guide)))

    def words(self) -> str:
        """The step in a few words."""
        taught = f", taught by {' + '.join(self.teacher)}" if self.teacher else ""
        guided = f", guided by {self.guide}" if self.guide else ""
        return f"train {self.train}{f' from {self.start}' if self.start else ''}{taught}{guided}"


class Average(_Step):
    """The mean of runs' weights."""

    average: dict[str, int] = Field(min_length=2, description="step -> its weight, a whole number")
    size: int | None = None

    def used(self) -> tuple[str, ...]:
        """The steps, paths and models that it takes."""
        return tuple(self.average)

    def words(self) -> str:
        """The step in a few words."""
        shares = ":".join(str(share) for share in self.average.values())
        return f"average {', '.join(self.average)} at {shares}{f', for {self.size} px' if self.size else ''}"


class Crossfit(_Step):
    """Answers for faces by heads on frozen features that did not see them."""

    suffix: ClassVar[str | None] = ".parquet"
    crossfit: str
    faces: tuple[DataSource, ...] = Field(min_length=1)
    also: DataSource | None = None
    size: int = 192

    def used(self) -> tuple[str, ...]:
        """The steps, paths and models that it takes."""
        return (self.crossfit,)

    def words(self) -> str:
        """The step in a few words."""
        return f"cross-fit heads on the features of {self.crossfit}, and answer for the training faces"


class Answer(_Step):
    """A model's answers for a fold."""

    suffix: ClassVar[str | None] = ".parquet"
    answer: str
    faces: DataSource

    def used(self) -> tuple[str, ...]:
        """The steps, paths and models that it takes."""
        return (self.answer,)

    def words(self) -> str:
        """The step in a few words."""
        fold = f", fold {self.faces.fold}" if self.faces.fold else ""
        return f"answer by {self.answer} for {self.faces.data}{fold}"


class Slim(_Step):
    """Start weights of low rank out of a whole network, for the recipe of a later step."""

    suffix: ClassVar[str | None] = ".safetensors"
    slim: str
    recipe: str
    faces: DataSource

    def used(self) -> tuple[str, ...]:
        """The steps, paths and models that it takes."""
        return (self.slim,)

    def words(self) -> str:
        """The step in a few words."""
        return f"make start weights for {self.recipe} of {self.slim}"


class Export(_Step):
    """A run as a model."""

    export: str
    name: str | None = None

    def used(self) -> tuple[str, ...]:
        """The steps, paths and models that it takes."""
        return (self.export,)

    def words(self) -> str:
        """The step in a few words."""
        return f"export {self.export}{f' as {self.name}' if self.name else ''}"


class Calibrate(_Step):
    """Temperatures, intervals and age checks of a model, learned from held-out faces and written into it."""

    suffix: ClassVar[str | None] = None
    calibrate: str
    faces: DataSource | None = None
    collections: dict[str, dict[str, Any]] = Field(
        default={}, description="as in the file that `mien calibrate --collections` takes"
    )
    cross_fitted: str | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Calibrate:
        if (self.faces is None) == (not self.collections):
            raise ValueError("calibrate needs faces or collections, one of them")
        return self

    def used(self) -> tuple[str, ...]:
        """The steps, paths and models that it takes."""
        return tuple(filter(None, (self.calibrate, self.cross_fitted)))

    def words(self) -> str:
        """The step in a few words."""
        return f"calibrate {self.calibrate}"


KINDS: dict[str, type[_Step]] = {
    "train": Train,
    "average": Average,
    "crossfit": Crossfit,
    "answer": Answer,
    "slim": Slim,
    "export": Export,
    "calibrate": Calibrate,
}


def _kind(given: Any) -> str:
    if isinstance(given, _Step):
        return next(name for name, kind in KINDS.items() if isinstance(given, kind))
    named = [key for key in KINDS if isinstance(given, dict) and key in given]
    return named[0] if len(named) == 1 else ""


Step = Annotated[
    Annotated[Train, Tag("train")]
    | Annotated[Average, Tag("average")]
    | Annotated[Crossfit, Tag("crossfit")]
    | Annotated[Answer, Tag("answer")]
    | Annotated[Slim, Tag("slim")]
    | Annotated[Export, Tag("export")]
    | Annotated[Calibrate, Tag("calibrate")],
    Discriminator(
        _kind,
        custom_error_type="step",
        custom_error_message=f"a step does one of {', '.join(KINDS)}",
    ),
]


class Pipeline(BaseModel):
    """The steps of a model, in order."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    steps: dict[str, Step] = Field(min_length=1)

    @model_validator(mode="after")
    def _only_what_is_there(self) -> Pipeline:
        for at, (name, step) in enumerate(self.steps.items()):
            before = list(self.steps)[:at]
            makers = [one for one in before if self.steps[one].suffix is not None]
            for used in step.used():
                if used not in makers and "/" not in used and used not in bundle.available():
                    raise ValueError(
                        f"step {name} takes {used!r}, which no step before it makes; these do: {', '.join(makers)}"
                    )
        return self

    @property
    def runs(self) -> list[str]:
        """The recipes that are trained, in order."""
        return [step.train for step in self.steps.values() if isinstance(step, Train)]

    def result(self, step: str, output: Path) -> Path:
        """Where the result of a step lies; of a step that makes nothing what it changes; of a path or model itself."""
        if step not in self.steps:
            return Path(step)
        found = self.steps[step]
        if isinstance(found, Calibrate):
            return self.result(found.calibrate, output)
        return output / f"{self.name}-{step}{found.suffix}"

    def link(self, recipe: dict[str, Any], output: Path) -> None:
        """Let a recipe that is trained by a step take the results of those before it, in place.

        Args:
            recipe: its tables, as YAML has them.
            output: folder of the results.
        """
        for step in self.steps.values():
            if not isinstance(step, Train) or step.train != recipe.get("name"):
                continue
            model, data = recipe.setdefault("model", {}), recipe.setdefault("data", {})
            if step.start is not None:
                model["init"] = str(self.result(step.start, output))
            if step.teacher:
                data["teacher"] = [str(self.result(one, output)) for one in step.teacher]
            if step.guide is not None:
                data["guide"] = str(self.result(step.guide, output))
            return


def read(path: Path) -> Pipeline:
    """Read a file of steps.

    Raises:
        UsageError: it cannot be read, or does not fit; the sentence says where.
    """
    try:
        return Pipeline.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"the steps in {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid YAML: {error}") from error
    except ValidationError as error:
        raise UsageError(f"{path} does not fit: {in_words(error, Pipeline)}") from error
