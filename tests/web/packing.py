"""npm, for tests of what it makes of `web/`."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

WEB = Path(__file__).resolve().parents[2] / "web"


def npm(*arguments: str, cwd: Path = WEB) -> str:
    """What a command of npm prints."""
    done = subprocess.run(["npm", *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def needs_modules(built: Path) -> None:
    """Skip where npm's packages are not installed."""
    if built != WEB / "dist" or not (WEB / "node_modules").is_dir():
        pytest.skip("needs web/node_modules: run `make web`")
