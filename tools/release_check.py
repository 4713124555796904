"""Builds wheel and sdist, looks into both, installs each into an empty environment and runs the main job there.

    python tools/release_check.py            # needs uv (extra dev) and a package index; about two minutes
    python tools/release_check.py --keep DIR # leaves wheel and sdist in DIR

Prints one line a check; exit code 1 if any failed. What it guards against has happened: an sdist of 38 MB, recipes that
name folders of the machine on which they were written.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LARGEST = {".whl": 18e6, ".gz": 19e6}
"""Bytes: three models are 15.6 MB of each."""
WHEEL_FOLDERS = ("mien/", "mien-")
"""What a wheel may have at its top: the package and its metadata."""
REFUSED = ("docs/results/", "docs/images/", "node_modules/", "__pycache__/", "runs/", "web/dist/")
"""Folders that belong into no sdist."""
CODE = {".py": rb"""["']\.\./\w""", ".js": rb"\.\./shared", ".css": rb"\.\./shared"}
"""What must not stand in code: strings that lead out of the package. `../` may be an import there, or an example;
in all other files it must not stand at all."""

Files = Mapping[str, bytes]


def main() -> None:
    """Run all checks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="where wheel and sdist are left")
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="mien-release-") as name:
        folder = Path(name)
        dist = options.keep or folder / "dist"
        build(dist)
        for what, check in checks(dist, folder):
            try:
                print(f"ok      {what}: {check()}")
            except (AssertionError, OSError, ValueError, subprocess.CalledProcessError) as error:
                failed += 1
                print(f"FAILED  {what}: {getattr(error, 'stderr', None) or error}")
    sys.exit(bool(failed))


def checks(dist: Path, folder: Path) -> Iterator[tuple[str, Callable[[], str]]]:
    """Each check with its name; it returns what it found and raises where something is wrong."""
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    in_wheel, in_sdist = read_wheel(wheel), read_sdist(sdist)
    yield "size of the wheel", lambda: size(wheel)
    yield "size of the sdist", lambda: size(sdist)
    yield "contents of the wheel", lambda: wheel_contents(in_wheel)
    yield "contents of the sdist", lambda: sdist_contents(in_sdist)
    yield "paths in the wheel", lambda: foreign_paths(in_wheel)
    yield "metadata", lambda: metadata(in_wheel)
    yield "changelog", changelog
    yield "main job from the wheel", lambda: main_job(wheel, folder / "from-wheel")
    yield "main job from the sdist", lambda: main_job(sdist, folder / "from-sdist")


def build(dist: Path) -> None:
    """Build the sdist, and the wheel from it."""
    subprocess.run([sys.executable, "-m", "uv", "build", "--quiet", "--out-dir", str(dist), str(ROOT)], check=True)


def read_wheel(path: Path) -> Files:
    """Names and contents of a wheel's files."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def read_sdist(path: Path) -> Files:
    """Names, without the folder that holds them all, and contents of an sdist's files."""
    files = {}
    with tarfile.open(path) as archive:
        for member in archive:
            if (stream := archive.extractfile(member)) is not None:
                files[member.name.partition("/")[2]] = stream.read()
    return files


def size(path: Path) -> str:
    """The size of an archive in MB."""
    found, most = path.stat().st_size, LARGEST[path.suffix]
    assert found <= most, f"{found / 1e6:.1f} MB, at most {most / 1e6:.0f} are allowed"
    return f"{found / 1e6:.1f} MB"


def wheel_contents(files: Files) -> str:
    """The package, its type marker, models, recipes and licences, and nothing else."""
    foreign = [name for name in files if not name.startswith(WHEEL_FOLDERS) or "/tests/" in name or "test_" in name]
    assert not foreign, f"not part of the package: {foreign[:5]}"
    assert "mien/py.typed" in files, "py.typed is missing, without which type checkers ignore the annotations"
    for part in ("/licenses/LICENSE", "mien/learn/recipes/", "mien/service/static/index.html", "mien-open/model.onnx"):
        assert any(part in name for name in files), f"{part} is missing"
    return f"{len(files)} files"


def sdist_contents(files: Files) -> str:
    """Sources, tests and documentation without results and pictures."""
    foreign = [name for name in files if any(part in name for part in REFUSED)]
    assert not foreign, f"not to be published: {foreign[:5]}"
    for name in ("CHANGELOG.md", "Makefile", "docs/cli.md", "tests/conftest.py", "examples/hopper.jpg"):
        assert name in files, f"{name} is missing"
    return f"{len(files)} files"


def foreign_paths(files: Files) -> str:
    """No file names a folder outside of the package."""
    found = []
    for name, data in files.items():
        wanted = CODE.get(Path(name).suffix, rb"(?<![\w.])\.\./")
        if b"\0" not in data[:1024] and re.search(wanted, data):
            found.append(name)
    assert not found, f"`../` in {len(found)} files: {', '.join(sorted(found)[:5])}"
    return "none leads out of it"


def version() -> str:
    """The version that the sources state."""
    found = re.search(r'__version__ = "([^"]+)"', (ROOT / "src" / "mien" / "__init__.py").read_text(encoding="utf-8"))
    assert found is not None, "src/mien/__init__.py states no version"
    return found[1]


def metadata(files: Files) -> str:
    """Version, licence and dependencies as pip sees them."""
    (name,) = (name for name in files if name.endswith(".dist-info/METADATA"))
    told = Parser().parsestr(files[name].decode())
    assert told["Version"] == version(), told["Version"]
    assert told["License-Expression"], "no licence is stated"
    placeholders = [url for url in told.get_all("Project-URL", []) if "example." in url or "TODO" in url]
    assert not placeholders, f"placeholders: {placeholders}"
    core = [one for one in told.get_all("Requires-Dist", []) if "extra ==" not in one]
    return f"mien {told['Version']}, {len(core)} packages for the core"


def changelog() -> str:
    """The version that is built has a section, and so has what comes after it."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## \[([^\]]+)\]", text, re.MULTILINE)
    assert sections[:1] == ["Unreleased"], "CHANGELOG.md does not begin with a section [Unreleased]"
    assert version() in sections, f"CHANGELOG.md has no section [{version()}]"
    return ", ".join(sections)


def main_job(archive: Path, folder: Path) -> str:
    """Install into an empty environment and predict the sample portraits from an empty folder."""
    folder.mkdir()
    uv = [sys.executable, "-m", "uv"]
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    environment.setdefault("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv"))
    environment["HOME"] = str(folder)
    binaries = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    python = binaries / "python"

    def call(*command: str | Path) -> str:
        words = [str(word) for word in command]
        return subprocess.run(words, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout

    call(*uv, "venv", "--quiet", "--python", sys.executable, folder / "venv")
    call(*uv, "pip", "install", "--quiet", "--python", python, archive.resolve())
    call(binaries / "mien", "predict", ROOT / "examples", "--output", "faces.json")
    photos = json.loads((folder / "faces.json").read_text(encoding="utf-8"))
    ages = {Path(photo["source"]).name: [face["age"]["years"] for face in photo["faces"]] for photo in photos}
    assert sorted(ages) == ["astronaut.jpg", "hopper.jpg"], ages
    assert [len(found) for found in ages.values()] == [1, 1], ages
    assert 30 < ages["astronaut.jpg"][0] < 60 and 65 < ages["hopper.jpg"][0] < 95, ages  # noqa: PT018
    typed = call(python, "-c", "import mien, importlib.resources as r; print((r.files(mien) / 'py.typed').is_file())")
    assert typed == "True\n", typed
    left = sorted(path.name for path in folder.iterdir())
    assert left == ["faces.json", "venv"], f"left behind: {left}"
    return ", ".join(f"{name} {found[0]}" for name, found in sorted(ages.items()))


if __name__ == "__main__":
    main()
