"""An environment for each peer: pinned, kept between runs, and weighed right after it is made."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
INSTALL_SECONDS = 1200


class Failed(Exception):
    """A peer could not be installed or run; the sentence says why and becomes its row."""


def prepare(name: str, cache: Path, *, node: bool, fresh: bool) -> tuple[Path, int]:
    """Make an environment, or take the one that is there if nothing it is made of has changed.

    Args:
        name: of the environment and of its requirements.
        cache: the folder of all environments.
        node: whether npm makes it, not pip.
        fresh: whether to make it anew in any case.

    Returns:
        Its folder, and its size on disk in bytes beyond a bare one: files of pip's virtual environment itself do not
        count, nor do Python and Node.

    Raises:
        Failed: the installer is absent or failed.
    """
    folder, stamp = cache / name, cache / f"{name}.json"
    recipe = fingerprint(name)
    if not fresh and stamp.exists():
        record = json.loads(stamp.read_text(encoding="utf-8"))
        if record["fingerprint"] == recipe and folder.exists():
            return folder, int(record["bytes"])
    stamp.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    cache.mkdir(parents=True, exist_ok=True)
    weight = _node(name, folder) if node else _python(name, folder)
    stamp.write_text(json.dumps({"fingerprint": recipe, "bytes": weight}) + "\n", encoding="utf-8")
    return folder, weight


def fingerprint(name: str) -> str:
    """Changes with what an environment is made of: its requirements, this Python, and for mien the checkout."""
    text, folder = HERE / "requirements" / f"{name}.txt", HERE / "requirements" / name
    files = [text] if text.exists() else sorted(folder.iterdir())
    if name == "mien":
        sources = (path for path in (ROOT / "src").rglob("*") if path.is_file() and path.suffix != ".pyc")
        files += [ROOT / "pyproject.toml", *sorted(sources)]
    digest = hashlib.sha256(sys.version.encode())
    for path in files:
        digest.update(str(path.relative_to(ROOT)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def size(folder: Path) -> int:
    """Bytes of all files below a folder, each counted once."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            status = path.stat()
            found[status.st_dev, status.st_ino] = status.st_size
    return sum(found.values())


def _python(name: str, folder: Path) -> int:
    _install([sys.executable, "-m", "venv", str(folder)])
    bare = size(folder)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    requirements = str(HERE / "requirements" / f"{name}.txt")
    _install([*pip, str(ROOT), "-c", requirements] if name == "mien" else [*pip, "-r", requirements])
    return size(folder) - bare


def _node(name: str, folder: Path) -> int:
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise Failed(f"{program} is not installed; it needs Node 20 or newer with npm")
    shutil.copytree(HERE / "requirements" / name, folder)
    _install(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], folder)
    return size(folder / "node_modules")


def _install(command: list[str], folder: Path = ROOT) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise Failed(f"installing took longer than {INSTALL_SECONDS} s") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"{command[0]} ended with {done.returncode}"]
        raise Failed(f"could not be installed: {said[-1]}")
