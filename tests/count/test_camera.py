"""Counting at a camera that is lost: nobody is lost with it."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typer.testing import CliRunner

from mien.cli import app
from mien.video import camera as room


@pytest.fixture(scope="module")
def cameras() -> Any:
    place = Path(__file__).parents[1] / "video" / "cameras.py"
    spec = importlib.util.spec_from_file_location("cameras", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def visit(clip: ModuleType) -> list[Any]:
    """Two people who stand still for 12 frames."""
    return [frame[:, :, ::-1] for frame in clip.frames(1, size=(240, 180)) * 12]


def visitors(database: Path) -> int:
    done = CliRunner().invoke(app, ["counts", str(database), "--format", "json"])
    assert done.exit_code == 0, done.output
    return sum(row["visitors"] for row in json.loads(done.stdout))


def test_a_lost_camera_ends_a_count_with_all_that_were_seen(
    cameras: Any, visit: list[Any], tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "TICK", 0.05)
    fixed = ["--model", str(tiny_bundle), "--threads", "1", "--min-face", "20", "--name", "door"]
    for turn, more in enumerate(([], ["--reconnect", "0.7", "--survive", "0.5"]), 1):
        with cameras.NetworkCamera(visit, most=1, pause=0.1) as sender:
            done = CliRunner().invoke(
                app, ["count", "--camera", sender.address, *fixed, *more, "--database", str(tmp_path / "counts.db")]
            )
        assert done.exit_code == 3, done.output
        assert "gives no more frames" in done.stderr
        assert "secret" not in done.stderr
        assert visitors(tmp_path / "counts.db") == 2 * turn


def test_who_was_seen_is_counted_while_the_camera_is_sought(
    cameras: Any, visit: list[Any], tiny_bundle: Path, tmp_path: Path
) -> None:
    """Even a kill in the meantime loses nobody, and an interrupt ends the wait at once."""
    database = tmp_path / "counts.db"
    fixed = ["--model", tiny_bundle, "--threads", "1", "--min-face", "20", "--name", "door"]
    for turn, number in enumerate((signal.SIGKILL, signal.SIGTERM), 1):
        with cameras.NetworkCamera(visit, most=1, pause=0.1) as sender:
            command = ["count", "--camera", sender.address, *fixed, "--reconnect", "60", "--database", database]
            with subprocess.Popen([sys.executable, "-m", "mien", *map(str, command)], stderr=-1) as running:
                deadline = time.monotonic() + 60
                while time.monotonic() < deadline and not (database.exists() and _counted(database) >= 2 * turn):
                    time.sleep(0.2)
                running.send_signal(number)
                begun = time.monotonic()
                running.communicate(timeout=60)
                assert time.monotonic() - begun < 10
        assert running.returncode == (-number if number == signal.SIGKILL else 130)
        assert visitors(database) == 2 * turn


def _counted(database: Path) -> int:
    import sqlite3

    try:
        with sqlite3.connect(database) as connection:
            return int(connection.execute("SELECT COALESCE(SUM(visitors), 0) FROM mien_counts").fetchone()[0])
    except sqlite3.OperationalError:  # not made yet
        return 0
