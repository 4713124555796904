from __future__ import annotations

import csv
import io
import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from mien.cli import app
from mien.count.store import Store

MIEN = (sys.executable, "-m", "mien")
FIXED = ("--threads", "1", "--min-face", "20", "--survive", "0.2", "--interval", "2")


@pytest.fixture(scope="module")
def shop(clip: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two doors with visitors who come and go, so that at times nobody, one or two are in view: 8 visitors."""

    def door(*stays: tuple[int, int]) -> list[np.ndarray]:
        frames = []
        for seed, (people, count) in enumerate(stays):
            frames += clip.frames(count, size=(200, 200), people=people, seed=seed)
        return frames

    left = door((1, 15), (0, 15), (1, 25), (0, 20), (1, 15), (0, 10), (1, 30), (0, 10))
    right = door((0, 30), (1, 30), (0, 15), (1, 15), (0, 10), (1, 15), (0, 10), (1, 15))
    frames = [np.hstack(pair) for pair in zip(left, right, strict=True)]
    return clip.write(tmp_path_factory.mktemp("shop") / "shop.mp4", frames)  # type: ignore[no-any-return]


@pytest.fixture
def mien(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `mien` inside of this process and an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(command: str, *arguments: str | Path) -> Result:
        fixed = ["--model", str(tiny_bundle), *FIXED] if command == "count" else []
        return CliRunner().invoke(app, [command, *fixed, *map(str, arguments)])

    return run


def rows(database: str) -> list[tuple[Any, ...]]:
    with Store(database) as store:
        return [(row.source, row.start, row.band, row.gender, row.visitors) for row in store.counts()]


@pytest.fixture(scope="module")
def undisturbed(shop: Path, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, ...]]:
    database = f"sqlite:///{tmp_path_factory.mktemp('whole')}/counts.db"
    done = CliRunner().invoke(
        app, ["count", str(shop), "--model", str(tiny_bundle), *FIXED, "--database", database, "--bands", "0-49,50+"]
    )
    assert (done.exit_code, done.stdout) == (0, "")
    assert re.fullmatch(r"mien: 8 visitors of shop\.mp4 -> /\S+counts\.db, .+ s\n", done.stderr)
    return rows(database)


def test_each_visitor_is_counted_once(undisturbed: list[tuple[Any, ...]]) -> None:
    assert sum(row[-1] for row in undisturbed) == 8
    assert {row[1] for row in undisturbed} == {0, 2, 4}


def test_a_killed_count_loses_nothing_and_doubles_nothing(
    database: str, shop: Path, tiny_bundle: Path, undisturbed: list[tuple[Any, ...]]
) -> None:
    arguments = ["count", shop, "--model", tiny_bundle, *FIXED, "--database", database, "--bands", "0-49,50+"]
    dice, killed = random.Random(6), 0
    for _ in range(5):
        command = ["nice", "-n", "19", *MIEN, *map(str, arguments)]  # lest it is done before anybody looks
        with subprocess.Popen(command, stderr=subprocess.PIPE) as running:
            if killed < 3:
                _wait_for_a_run(database, killed + 1)
                time.sleep(killed * dice.uniform(0, 0.1))  # at once at first: a fast machine is soon done
                running.kill()
            _, errors = running.communicate(timeout=300)
        last_words = errors.startswith(b"mien: 8 visitors") or b"was counted to its end before" in errors
        assert errors == b"" or last_words  # killed after its last word
        if running.returncode == 0:
            break
        assert running.returncode == -signal.SIGKILL
        killed += 1
    assert killed >= 1
    assert rows(database) == undisturbed


def test_a_second_run_of_the_same_file_changes_nothing(mien: Any, shop: Path) -> None:
    assert mien("count", shop, "--every", "2").exit_code == 0
    before = rows("counts.db")
    again = mien("count", shop, "--every", "2")
    assert again.exit_code == 0
    assert "counted to its end before" in again.stderr
    assert rows("counts.db") == before
    other = mien("count", shop, "--every", "3")
    assert other.exit_code == 2
    assert "was begun with every 2" in other.stderr
    assert mien("count", shop, "--every", "3", "--name", "other").exit_code == 0
    assert {row[0] for row in rows("counts.db")} == {"shop.mp4", "other"}


def test_a_file_may_play_the_camera(mien: Any, shop: Path) -> None:
    for visitors in (8, 16):
        assert mien("count", "--camera", shop, "--name", "door", "--abstain", "1").exit_code == 0
        assert sum(row[-1] for row in rows("counts.db")) == visitors
    assert {row[3] for row in rows("counts.db")} == {"uncertain"}
    assert abs(min(row[1] for row in rows("counts.db")) - time.time()) < 600


def test_counts_are_printed(mien: Any, shop: Path) -> None:
    assert mien("count", shop, "--start", "2026-11-22T09:59:58", "--bands", "0+").exit_code == 0
    printed = list(csv.DictReader(io.StringIO(mien("counts").stdout)))
    assert printed[0]["start"] == "2026-11-22T09:59:58Z"
    assert sum(int(row["visitors"]) for row in printed) == 8
    joined = json.loads(mien("counts", "sqlite:///counts.db", "--interval", "3600", "--format", "json").stdout)
    assert {row["start"] for row in joined} == {"2026-11-22T09:00:00Z", "2026-11-22T10:00:00Z"}
    assert sum(row["visitors"] for row in joined) == 8
    table = mien("counts", "counts.db", "--format", "table").stdout.splitlines()
    assert table[0].split() == ["source", "interval", "from", "age", "female", "male", "uncertain", "all"]
    assert table[-1].split()[-1] == "8"
    assert mien("counts", "--output", "counts.csv").stdout == "counts.csv\n"
    assert list(csv.DictReader(io.StringIO(Path("counts.csv").read_text(encoding="utf-8")))) == printed


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["count"], 2, "name one video file, or a camera"),
        (["count", "none.mp4"], 3, "no file lies at none.mp4"),
        (["count", "--camera", "63"], 3, "camera:63 does not open"),
        (["count", "{shop}", "--bands", "1-17,18+"], 2, "from 0"),
        (["count", "{shop}", "--interval", "0"], 2, "1 second or longer"),
        (["count", "{shop}", "--database", "mysql://x/y"], 2, "unknown database 'mysql'"),
        (["count", "{shop}", "--database", "postgresql:///x?host=/nowhere"], 7, "cannot be used"),
        (["count", "--camera", "{shop}", "--start", "2026-01-01T00:00:00"], 2, "--start is for files"),
        (["counts"], 2, "no database lies at counts.db"),
        (["counts", "--format", "xml"], 2, "unknown format 'xml'"),
    ],
)
def test_faults_are_a_sentence_and_a_code(
    mien: Any, shop: Path, arguments: list[str], code: int, sentence: str
) -> None:
    done = mien(*(argument.format(shop=shop) for argument in arguments))
    assert (done.exit_code, done.stdout) == (code, "")
    assert sentence in done.stderr
    assert list(Path.cwd().iterdir()) == []


def test_an_interrupt_leaves_the_rest_to_the_next_run(
    shop: Path, tiny_bundle: Path, tmp_path: Path, undisturbed: list[tuple[Any, ...]]
) -> None:
    database = f"sqlite:///{tmp_path}/counts.db"
    arguments = ["count", shop, "--model", tiny_bundle, *FIXED, "--database", database, "--bands", "0-49,50+"]
    with subprocess.Popen([*MIEN, *map(str, arguments)], stderr=subprocess.PIPE) as running:
        _wait_for_a_run(database, 1)
        time.sleep(0.3)
        running.send_signal(signal.SIGTERM)
        assert b"interrupted: what was seen until then is counted" in running.communicate(timeout=120)[1]
    assert running.returncode == 130
    told = subprocess.run([*MIEN, *map(str, arguments)], check=True, capture_output=True, text=True).stderr
    assert re.fullmatch(r"mien: \d+ visitors? of \S+ -> \S+, .+ s\n", told)
    assert rows(database) == undisturbed


def _wait_for_a_run(database: str, number: int) -> None:
    """Until the process has taken its source for the so many-th time."""
    import sqlalchemy as sa

    from mien.count.store import SOURCES
    from mien.errors import StoreError

    for _ in range(1200):
        time.sleep(0.05)
        if database.startswith("sqlite") and not Path(database.removeprefix("sqlite:///")).exists():
            continue
        try:
            with Store(database) as store, store._engine.connect() as connection:
                if (connection.execute(sa.select(SOURCES.c.run)).scalar() or 0) >= number:
                    return
        except StoreError:
            continue
    raise TimeoutError("mien count does not begin")
