"""The TypeScript in `web/`: its types, and its pure parts against golden values of the Python code, under Node."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "web"


def npm(*arguments: str, cwd: Path = WEB) -> str:
    done = subprocess.run(["npm", *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def needs_modules(built: Path) -> None:
    if built != WEB / "dist" or not (WEB / "node_modules").is_dir():
        pytest.skip("needs web/node_modules: run `make web`")


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


def test_the_package_installs_in_an_empty_project_and_answers(built: Path, tmp_path: Path, examples: Path) -> None:
    """The README's example under Node, from what `npm pack` makes."""
    needs_modules(built)
    (packed,) = json.loads(npm("pack", "--json", "--pack-destination", str(tmp_path)))
    archive = tmp_path / packed["filename"].replace("@", "").replace("/", "-")
    with tarfile.open(archive) as tar:
        names = tar.getnames()
    assert "package/dist/models/mien-s/LICENSE" in names
    assert not [name for name in names if "node_modules" in name or re.search(r"(?<!\.d)\.ts$", name)]
    project = tmp_path / "project"
    project.mkdir()
    (project / "package.json").write_text('{"type": "module", "private": true}')
    npm("install", "--offline", "--no-audit", "--no-fund", str(archive), cwd=project)
    example = (WEB / "README.md").read_text(encoding="utf-8").partition("<!-- node -->")[2]
    code = example.partition("```js\n")[2].partition("```")[0]
    assert "@mien/browser" in code
    from mien.photos.decode import decode

    pixels = decode((examples / "hopper.jpg").read_bytes()).pixels
    (project / "hopper.rgb").write_bytes(pixels.tobytes())
    (project / "example.js").write_text(code)
    done = subprocess.run(["node", "example.js"], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    years, outcome = done.stdout.split()
    assert 65 < float(years) < 95
    assert outcome == "pass"
    done = subprocess.run(
        ["npx", "--no-install", "mien-assets", "public/mien"], cwd=project, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (project / "public" / "mien" / "worker.js").is_file()
