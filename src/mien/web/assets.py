"""What the browser fetches beside the page: the built modules, the models as they are, MTCNN's networks, and a list.

The modules come from `make web`, or from the wheel mien-web that it makes. The list, assets.json, holds the SHA-256 of
each file, so that the browser knows which of its kept files are still right and which were cut short.

    python -m mien.web.assets web/dist      # models, networks and list for the npm package
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mien import __version__
from mien.errors import MissingExtra
from mien.estimate import bundle
from mien.faces.mtcnn import weights_folder
from mien.faces.prelu import expand_prelu

FORMAT = 1
"""Version of assets.json."""

LIST = "assets.json"
PACKAGE = "mien_web"
MODULES = ("index.js", "worker.js", "worker-webgpu.js")
"""Files that a build must contain."""

_CHECKOUT = Path(__file__).resolve().parents[3] / "web" / "dist"
_PARTS = ("index.js", "worker*.js", "*.LEGAL.txt", "ort/*")


def built() -> Path:
    """Folder of the built modules: that of the wheel mien-web, or of the checkout.

    Raises:
        MissingExtra: there is neither.
    """
    spec = importlib.util.find_spec(PACKAGE)
    folders = [Path(folder) for folder in (spec and spec.submodule_search_locations) or ()]
    for folder in (_CHECKOUT, *folders):
        if all((folder / name).is_file() for name in MODULES):
            return folder
    raise MissingExtra(
        "mien in the browser needs its built modules: run `make web` in a checkout (it needs Node and npm), or install "
        "the wheel mien-web that it makes"
    )


def copy_built(target: Path) -> None:
    """Copy the built modules and ONNX Runtime's files into a folder."""
    source = built()
    for pattern in _PARTS:
        for file in source.glob(pattern):
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)


def add_models(target: Path, models: Iterable[str | Path] = ("mien-m", "mien-s")) -> dict[str, Any]:
    """Put models, MTCNN's networks and the list of all files into a folder of built modules.

    Args:
        target: the folder.
        models: names or folders of models; the first is the default.

    Returns:
        The list.

    Raises:
        UsageError, ModelError: a model is unknown or malformed.
    """
    found = [bundle.read(bundle.find(model)) for model in models]
    for each in found:
        folder = target / "models" / each.config.name
        folder.mkdir(parents=True, exist_ok=True)
        for file in each.folder.iterdir():
            if file.is_file():
                shutil.copyfile(file, folder / file.name)
    (target / "mtcnn").mkdir(parents=True, exist_ok=True)
    for net in ("pnet", "rnet", "onet"):
        graph = expand_prelu((weights_folder() / f"{net}.onnx").read_bytes())
        (target / "mtcnn" / f"{net}.onnx").write_bytes(graph)
    record = {
        "format": FORMAT,
        "version": __version__,
        "models": [each.config.name for each in found],
        "files": {str(file.relative_to(target).as_posix()): _entry(file) for file in _listed(target)},
    }
    (target / LIST).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return record


def _listed(target: Path) -> list[Path]:
    """Files fetched as data: runtime, models and networks. Modules are loaded by the browser itself."""
    files = [*target.glob("ort/*.wasm"), *target.glob("models/*/*"), *target.glob("mtcnn/*.onnx")]
    return sorted(file for file in files if file.suffix not in {".md", ""})


def _entry(file: Path) -> dict[str, Any]:
    with file.open("rb") as opened:
        return {"sha256": hashlib.file_digest(opened, "sha256").hexdigest(), "size": file.stat().st_size}


if __name__ == "__main__":
    add_models(Path(sys.argv[1]))
