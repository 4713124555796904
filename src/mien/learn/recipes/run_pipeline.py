"""The steps of a model in order: one that is done is not done again, one that was stopped goes on.

What is done is written in PIPELINE.steps.json beside the results, with all that decided it. If that has changed since,
the step is not silently taken for done, nor is its result overwritten: the user is told which it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate import PartialState

from mien.errors import DataError, UsageError
from mien.learn.data.counting import Report, unheard
from mien.learn.recipe.library import FOLDER, load_pipeline
from mien.learn.recipe.pipeline import FILE, Average, Pipeline, Train
from mien.learn.recipes.steps import Workshop
from mien.learn.training.ancestry import write_lineage
from mien.unfinished import write_whole


@dataclass(frozen=True)
class Planned:
    """One step as it stands.

    Attributes:
        number: counted from 1.
        name: of the step.
        does: in words.
        result: where what it makes lies.
        done: whether it is there.
    """

    number: int
    name: str
    does: str
    result: Path
    done: bool

    def __str__(self) -> str:
        return f"{self.number:2} {'done' if self.done else '    '} {self.name}: {self.does} -> {self.result}"


class PipelineRun:
    """A pipeline in a folder.

    Args:
        name_or_path: of a model that is made in steps, or a YAML file of steps.
        folder: of the results.
        settings: "optimiser.epochs=1"-like changes of every recipe that is trained, e.g. for a trial of the whole way.
        root: folder of data; None: that of the environment.
        threads: cores to use; 0 for all.
        report: takes one line at a time.

    Raises:
        UsageError: there is no such pipeline.
    """

    def __init__(
        self,
        name_or_path: str,
        folder: Path = Path("runs"),
        *,
        settings: Sequence[str] = (),
        root: Path | None = None,
        threads: int = 0,
        report: Report = unheard,
    ) -> None:
        found = load_pipeline(name_or_path)
        if found is None:
            raise UsageError(f"{name_or_path} is no model that is made in steps: they are listed in a file {FILE}")
        file = Path(name_or_path)
        beside = file.parent if file.is_file() else FOLDER / name_or_path
        self.pipeline: Pipeline = found
        self._tell = report
        self._shop = Workshop(found, folder, beside, settings, root, threads, self._say)

    def planned(self) -> list[Planned]:
        """The steps and where they stand; nothing is read but what was written of those done."""
        done = self._done()
        return [
            Planned(number, name, step.words(), self._shop.result(name), name in done and self._there(name))
            for number, (name, step) in enumerate(self.pipeline.steps.items(), start=1)
        ]

    def run(self, until: str | None = None) -> Path:
        """Do what is left.

        Args:
            until: the last step to do; None for all.

        Returns:
            Where the result of the last step lies.

        Raises:
            UsageError: there is no such step.
            DataError: a step was done otherwise before, or cannot be done.
        """
        names = list(self.pipeline.steps)
        if until is not None and until not in names:
            raise UsageError.unknown("step", until, names)
        names = names if until is None else names[: names.index(until) + 1]
        processes = PartialState()
        self._shop.folder.mkdir(parents=True, exist_ok=True)
        for number, name in enumerate(names, start=1):
            if self._finished(name):
                self._say(f"step {number} of {len(names)}, {name}: done before")
                continue
            step = self.pipeline.steps[name]
            self._say(f"step {number} of {len(names)}, {name}: {step.words()}")
            if isinstance(step, Train) or processes.is_main_process:  # only training is shared by several processes
                self._shop.do(name)
            if processes.is_main_process:
                self._note(name)
            processes.wait_for_everyone()
        return self._shop.result(names[-1])

    def _say(self, line: str) -> None:
        if PartialState().is_main_process:
            self._tell(line)

    @property
    def _record(self) -> Path:
        return self._shop.folder / f"{self.pipeline.name}.steps.json"

    def _done(self) -> dict[str, Any]:
        if not self._record.is_file():
            return {}
        try:
            found = json.loads(self._record.read_text(encoding="utf-8"))
        except ValueError as error:
            raise DataError(f"{self._record} is damaged: delete it, and results that are there are taken") from error
        return dict(found)

    def _plan(self, name: str) -> dict[str, Any]:
        """All that decides what a step makes, the results that it takes too."""
        used = [one for one in self.pipeline.steps[name].used() if one in self.pipeline.steps]
        return self._shop.plan(name) | {"takes": {one: _digest(self._shop.result(one)) for one in used}}

    def _there(self, name: str) -> bool:
        return self._shop.result(name).exists()

    def _finished(self, name: str) -> bool:
        """Whether a step is done as it is planned now."""
        done, plan = self._done(), self._plan(name)
        if name in done and self._there(name):
            if done[name] != plan:
                differing = ", ".join(_differences(done[name], plan)) or "its steps"
                raise DataError(
                    f"step {name} was done otherwise before, it differs in {differing}: choose another --output, or "
                    f"delete {self._shop.result(name)} and all that was made of it"
                )
            return True
        step = self.pipeline.steps[name]
        if name not in done and step.suffix is not None and not isinstance(step, Train) and self._there(name):
            self._say(f"{self._shop.result(name)} is there already and is taken as it is")
            self._note(name)
            return True
        return False

    def _note(self, name: str) -> None:
        """Write down that a step is done."""
        if isinstance(self.pipeline.steps[name], Train | Average):
            write_lineage(self._shop.result(name))
        record = {**self._done(), name: self._plan(name)}
        write_whole(self._record, (json.dumps(record, indent=1) + "\n").encode())


def _digest(result: Path) -> str:
    """Of a result's weights or answers; a model may have been calibrated since."""
    file = result / "model.safetensors" if result.is_dir() else result
    if not file.is_file():
        return ""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _differences(old: Any, new: Any, place: str = "") -> list[str]:
    """Where two plans differ, as dotted names."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
        return [
            one for key in keys for one in _differences(old.get(key), new.get(key), f"{place}.{key}" if place else key)
        ]
    return [place.removeprefix("recipe.")]
