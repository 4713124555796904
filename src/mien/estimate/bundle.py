"""A model is a folder: config.json, model.onnx, model.safetensors (its weights), LICENSE and a card, README.md.

config.json says everything that predicting needs to know: the crop contract of the chips, the age classes, the
calibration, and what the weights may be used for. age_checks.json, where there is one, holds the thresholds of age
checks. Both are parsed by hand, so that a wrong file gets a sentence.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from mien.errors import ModelError, UsageError
from mien.estimate.age_check import LEAST_FACES, SPAN, AgeChecks
from mien.estimate.calibrate import Calibration
from mien.faces.align import CropContract
from mien.native import Record
from mien.plain import plain
from mien.runtime import external_data
from mien.unfinished import write_whole

FORMAT = 1
"""Newest version of config.json that this mien reads."""

TASK = "age+gender"
CONFIG = "config.json"
NETWORK = "model.onnx"
WEIGHTS = "model.safetensors"
AGE_CHECKS = "age_checks.json"
MODELS = Path(__file__).resolve().parents[1] / "models"
"""Folder of the models that come with the package."""

USES = {
    "LicenseRef-mien-weights-research-only": "non-commercial research only",
    "Apache-2.0": "any use, commercial too, as far as its authors' licence goes",
    "MIT": "any use, commercial too",
}
"""Licence -> what a model may be used for, in words."""

LARGEST_JSON = 16 << 20
LONGEST_NAME = 100
MOST = 10**15

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BundleConfig(Record):
    """A model's config.json, checked.

    Attributes:
        name: the model's name, repeated in every result.
        contract: geometry of the chips that the network takes.
        licence: what the weights may be used for.
        licence_file: the file in the bundle with its text.
        format: version of the file format.
        task: always "age+gender".
        ages: first and last age class, both included; one probability each.
        calibration: temperatures and interval masses; None for a model that was never calibrated.
        data: names of the data sets that it learned from.
        parameters: number of weights; 0 where unknown.
        multiply_adds: of one chip; 0 where unknown.
        files: SHA-256 of each file of the bundle, checked by `mien doctor`.
        figures: measured figures, e.g. {"all_mae": 4.4}, for `mien models`.
        made: where the model comes from: recipe, versions, date.
        architecture: the "network" of `mien.learn.networks.build` and its "options", for those who need it in torch;
            empty where a model does not say, as those exported before 2026-12.
    """

    name: str
    contract: CropContract
    licence: str
    licence_file: str = "LICENSE"
    format: int = FORMAT
    task: str = TASK
    ages: tuple[int, int] = (0, 116)
    calibration: Calibration | None = None
    data: tuple[str, ...] = ()
    parameters: int = 0
    multiply_adds: int = 0
    files: dict[str, str] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)
    made: dict[str, Any] = field(default_factory=dict)
    architecture: dict[str, Any] = field(default_factory=dict)

    @property
    def use(self) -> str:
        """Permitted use of the weights, in words."""
        return USES.get(self.licence, f"what its {self.licence_file} says")

    def to_dict(self) -> dict[str, Any]:
        """The JSON record; `from_dict` reads it back."""
        return {
            "format": self.format,
            "name": self.name,
            "task": self.task,
            "input": {"contract": self.contract.to_dict()},
            "ages": {"first": self.ages[0], "last": self.ages[1]},
            "calibration": None if self.calibration is None else self.calibration.to_dict(),
            "licence": {"name": self.licence, "file": self.licence_file},
            "data": list(self.data),
            "parameters": self.parameters,
            "multiply_adds": self.multiply_adds,
            "files": dict(self.files),
            "figures": dict(self.figures),
            "made": dict(self.made),
            "architecture": dict(self.architecture),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> BundleConfig:
        """Read a record, checking it key by key.

        Raises:
            ModelError: something is missing, of the wrong type, or newer than this mien.
        """
        version = _take(record, "format", int)
        if version > FORMAT:
            raise ModelError(f"'format' is {version}, this mien reads up to {FORMAT}: install a newer mien")
        task = _take(record, "task", str)
        if task != TASK:
            raise ModelError(f"'task' is {task!r}, this mien knows only {TASK!r}")
        ages = _take(record, "ages", dict)
        first, last = _take(ages, "first", int, "ages."), _take(ages, "last", int, "ages.")
        if (first, last) != (0, 116):
            raise ModelError(f"'ages' are {first} to {last}, this mien knows only 0 to 116")
        licence = _take(record, "licence", dict)
        contract = _take(_take(record, "input", dict), "contract", dict, "input.")
        calibration = _take(record, "calibration", dict, default={})
        data = _take(record, "data", list, default=[])
        if architecture := _take(record, "architecture", dict, default={}):
            _take(architecture, "network", str, "architecture.")
            _take(architecture, "options", dict, "architecture.")
        name = _take(record, "name", str)
        if not name or len(name) > LONGEST_NAME or name != plain(name):
            raise ModelError(f"'name' must be a name of at most {LONGEST_NAME} letters, not {name!r:.60}")
        figures = _take(record, "figures", dict, default={})
        return cls(
            name=name,
            contract=_parse("input.contract", CropContract.from_dict, contract),
            licence=_take(licence, "name", str, "licence."),
            licence_file=_take(licence, "file", str, "licence."),
            format=version,
            task=task,
            ages=(first, last),
            calibration=_parse("calibration", Calibration.from_dict, calibration) if calibration else None,
            data=tuple(_each("data", data, str)),
            parameters=_count(record, "parameters"),
            multiply_adds=_count(record, "multiply_adds"),
            files=_hashes(_take(record, "files", dict, default={})),
            figures=dict(zip(figures, _each("figures", figures.values(), (int, float)), strict=True)),
            made=_take(record, "made", dict, default={}),
            architecture=architecture,
        )


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model folder and what its config.json says."""

    folder: Path
    config: BundleConfig

    @property
    def network(self) -> Path:
        """The ONNX file; its weights lie in model.safetensors beside it."""
        return self.folder / NETWORK

    def calibration(self) -> Calibration:
        """The calibration of the model.

        Raises:
            ModelError: it has learned nothing.
        """
        if self.config.calibration is None:
            raise ModelError(
                f"model {self.config.name} is not calibrated: run mien calibrate {self.folder} on held-out faces"
            )
        return self.config.calibration

    def age_checks(self) -> AgeChecks:
        """The thresholds of age checks.

        Raises:
            ModelError: it has none, or the file is wrong.
        """
        file = self.folder / AGE_CHECKS
        if not file.is_file():
            if self.folder in available().values():  # one that ships: not the user's to calibrate
                others = [name for name, folder in available().items() if (folder / AGE_CHECKS).is_file()]
                raise ModelError(f"model {self.config.name} has no age checks; these have: {', '.join(others)}")
            raise ModelError(
                f"model {self.config.name} has no age checks: run mien calibrate {self.folder} on held-out faces, "
                f"{LEAST_FACES} or more of up to {SPAN} years below a limit and as many above; fewer will not do"
            )
        try:
            return AgeChecks.from_dict(_load_json(file))
        except ModelError as error:
            raise ModelError(f"{file}: {error}") from error

    def size(self) -> int:
        """Size of all files together, in bytes."""
        return sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file())

    def sha256(self) -> str:
        """A hash of all that decides its answers: config.json, the network and its weights."""
        digest = hashlib.sha256()
        for name in (CONFIG, NETWORK, WEIGHTS):
            digest.update(f"{name} {_sha256(self.folder / name)}\n".encode())
        return digest.hexdigest()

    def check_network(self) -> None:
        """See that the network and its weights are files of this folder, and those that config.json means.

        Raises:
            ModelError: one is a link, lies elsewhere, or has another hash.
        """
        for name in (NETWORK, WEIGHTS):
            if (self.folder / name).is_symlink():
                raise ModelError(f"{self.folder / name} is a link: copy the file itself into the folder of the model")
            told = self.config.files.get(name)
            if told is not None and told != _sha256(self.folder / name):
                raise ModelError(
                    f"{self.folder / name} cannot be loaded: it is damaged, or not the file expected by {CONFIG}, "
                    "which states its hash; get the model again"
                )
        try:
            external_data.check(self.network)
        except OSError as error:
            raise ModelError(f"{self.network} cannot be read: {error.strerror}") from error

    def damaged(self) -> list[str]:
        """Files that are missing or do not have the hash that config.json states."""
        return [name for name, digest in self.config.files.items() if _sha256(self.folder / name) != digest]


def available() -> dict[str, Path]:
    """Names and folders of the models that come with the package."""
    return {path.parent.name: path.parent for path in sorted(MODELS.glob(f"*/{CONFIG}"))}


def find(name_or_path: str | Path) -> Path:
    """Folder of a model given by its name or by the path of its folder.

    Raises:
        UsageError: no model has this name, and no folder lies there.
        ModelError: the path is none of a model.
    """
    known = available()
    if isinstance(name_or_path, str) and name_or_path in known:
        return known[name_or_path]
    path = Path(name_or_path)
    if path.is_dir():
        return path
    if path.is_file():
        raise ModelError(f"model {path} is a file; give the folder in which {CONFIG} and {NETWORK} lie")
    if isinstance(name_or_path, Path) or len(path.parts) > 1:
        raise ModelError(f"model folder {path} does not exist")
    raise UsageError.unknown("model", name_or_path, known)


def where(bundle: Bundle) -> str | Path:
    """Name or absolute path by which `find` finds this model in another process or working folder."""
    known = {folder: name for name, folder in available().items()}
    folder = bundle.folder.absolute()
    return known.get(folder.resolve(), folder)


def read(folder: Path) -> Bundle:
    """Read a model folder; the network itself is not loaded yet.

    Raises:
        ModelError: a file is missing or config.json is wrong; the sentence names it.
    """
    file = folder / CONFIG
    if not file.is_file():
        raise ModelError(f"model folder {folder} has no {CONFIG}")
    record = _load_json(file)
    try:
        config = BundleConfig.from_dict(record)
    except ModelError as error:
        raise ModelError(f"{file}: {error}") from error
    if not (folder / NETWORK).is_file():
        raise ModelError(f"model folder {folder} has no {NETWORK}")
    return Bundle(folder, config)


def write_config(folder: Path, config: BundleConfig) -> None:
    """Write config.json into a model folder, whole or not at all."""
    _write(folder / CONFIG, json.dumps(config.to_dict(), indent=2))


def write_age_checks(folder: Path, checks: AgeChecks) -> None:
    """Write age_checks.json into a model folder, a line for each limit, whole or not at all."""
    record = checks.to_dict()
    limits = ",\n".join(f"  {json.dumps(limit)}: {json.dumps(entry)}" for limit, entry in record.pop("limits").items())
    head = json.dumps(record, indent=1)[:-2]
    _write(folder / AGE_CHECKS, f'{head},\n "limits": {{\n{limits}\n }}\n}}')


def _write(file: Path, text: str) -> None:
    write_whole(file, f"{text}\n".encode())


def _load_json(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            data = stream.read(LARGEST_JSON + 1)
        if len(data) > LARGEST_JSON:
            raise ValueError(f"it has more than {LARGEST_JSON:,} bytes")
        record = json.loads(data.decode("utf-8"))
    except RecursionError as error:
        raise ModelError(f"{file} cannot be read as JSON: it is nested too deeply") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read as JSON: {error}") from error
    if not isinstance(record, dict):
        raise ModelError(f"{file} holds no table of settings")
    return record


def _take(record: Mapping[str, Any], key: str, kind: type[T], inside: str = "", default: T | None = None) -> T:
    value = record.get(key)
    if value is None:
        if default is None:
            raise ModelError(f"{inside + key!r} is missing")
        return default
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ModelError(f"{inside + key!r} must be {_KINDS[kind]}, not {value!r:.60}")
    return value


def _each(key: str, values: Iterable[Any], kind: type[T] | tuple[type[T], ...]) -> Iterator[T]:
    """The values of a list or table, which must all be of a kind."""
    for value in values:
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ModelError(f"{key!r} cannot hold {value!r:.60}")
        yield value


def _count(record: Mapping[str, Any], key: str) -> int:
    number = _take(record, key, int, default=0)
    if not 0 <= number <= MOST:
        raise ModelError(f"{key!r} must be a number from 0 to {MOST:.0e}")
    return number


def _hashes(files: dict[str, Any]) -> dict[str, str]:
    """Names of files in the folder, and their hashes."""
    for name in files:
        if name != Path(name).name or name in {"", ".", ".."}:
            raise ModelError(f"'files' may name files of the folder only, not {name!r:.60}")
    return dict(zip(files, _each("files", files.values(), str), strict=True))


_KINDS: dict[type, str] = {int: "a whole number", str: "a text", dict: "a table", list: "a list"}


def _parse(key: str, reader: Any, record: dict[str, Any]) -> Any:
    try:
        return reader(record)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise ModelError(f"{key!r} cannot be read: {type(error).__name__}: {error!s:.200}") from error


def _sha256(path: Path) -> str | None:
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
