"""The TypeScript in `web/`: its types, and its pure parts against golden values of the Python code, under Node."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.web.packing import WEB, needs_modules, npm

ROOT = WEB.parent


def test_types_are_strict(built: Path) -> None:
    needs_modules(built)
    npm("run", "--silent", "types")


def test_pure_parts_answer_as_the_python_code(built: Path, tmp_path: Path) -> None:
    needs_modules(built)
    golden = tmp_path / "golden.json"
    subprocess.run([sys.executable, str(WEB / "tests" / "golden.py"), str(golden)], check=True)
    told = npm("test", "--silent", "--", str(golden))
    assert "# fail 0" in told or "fail 0" in told, told


def test_the_list_of_files_is_of_these_models(built: Path) -> None:
    """A package built before the models changed would answer with the old ones."""
    needs_modules(built)
    listed = json.loads((built / "assets.json").read_text())["files"]
    for name in ("mien-m", "mien-s"):
        config = json.loads((ROOT / "src" / "mien" / "models" / name / "config.json").read_text())
        for file in ("model.onnx", "model.safetensors"):
            same = listed[f"models/{name}/{file}"]["sha256"] == config["files"][file]
            assert same, "the models are newer than web/dist: run `make web` again"
