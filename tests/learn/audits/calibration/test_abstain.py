"""What a threshold silences and avoids: against counts by hand, and the command on saved answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from mien.cli import app
from mien.errors import DataError, UsageError
from mien.learn.audits.calibration.abstain import AbstainReport, measure
from mien.learn.data.manifest import Manifest
from mien.learn.data.predictions import Predictions
from mien.results import ABSTAIN


def faces(ages: list[float], female: list[int]) -> Manifest:
    count = len(ages)
    files = np.array([f"{at}.jpg" for at in range(count)])
    blank = np.full(count, "")
    return Manifest(
        files=files,
        paths=tuple(Path(name) for name in files.tolist()),
        exists=np.ones(count, np.bool_),
        age=np.array(ages, np.float32),
        female=np.array(female, np.int8),
        group=blank,
        fold=blank,
        coral=blank,
        coral_twin=np.zeros(count, np.bool_),
        race=np.full(count, -1, np.int8),
        source=np.full(count, "here"),
    )


def answered(female: list[float], labels: list[int], ages: list[float] | None = None, **how: Any) -> AbstainReport:
    manifest = faces(ages or [30.0] * len(labels), labels)
    pmf = np.full((len(labels), 117), 1 / 117, np.float32)
    return measure(Predictions(manifest.files, pmf, np.array(female, np.float32), {}, "m"), manifest, **how)


def test_shares_are_counted_as_by_hand() -> None:
    babies, adults = ([0.52, 0.45, 0.58, 0.9], [0, 1, 1, 1]), ([0.99] * 10 + [0.05, 0.55], [1] * 10 + [1, 1])
    report = answered(babies[0] + adults[0], babies[1] + adults[1], [1.0] * 4 + [40.0] * 12, at=0.6)
    whole = next(cut for cut in report.groups["all"] if cut.threshold == 0.6)
    assert (whole.faces, whole.silenced, whole.errors, whole.avoided) == (16, 4, 3, 2)
    assert (whole.risk, whole.wrong) == (1 / 12, 0.5)
    young = next(cut for cut in report.groups["0-2"] if cut.threshold == 0.6)
    assert (young.faces, young.silenced, young.errors, young.avoided) == (4, 3, 2, 2)
    assert set(report.groups) == {"all", "0-2", "40-49"}
    table = " ".join(report.to_markdown().split())
    assert "| 40-49 | 12 | 8.3 | | 0 of 1 | 9.1 |" in table
    assert "| 0-2 | 4 | | | 2 of 2 | |" in table  # too few for percentages


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.floats(0, 1), st.integers(-1, 1)), min_size=12, max_size=60))
def test_more_caution_silences_and_avoids_more(rows: list[tuple[float, int]]) -> None:
    known = [row for row in rows if row[1] >= 0]
    if len(known) < 10:
        with pytest.raises(DataError, match="too few"):
            answered([row[0] for row in rows], [row[1] for row in rows])
        return
    report = answered([row[0] for row in rows], [row[1] for row in rows])
    cuts = report.groups["all"]
    assert {cut.faces for cut in cuts} == {len(known)}
    assert [cut.silenced for cut in cuts] == sorted(cut.silenced for cut in cuts)
    assert [cut.avoided for cut in cuts] == sorted(cut.avoided for cut in cuts)
    for cut in cuts:
        female = np.array([row[0] for row in known], np.float32).astype(np.float64)
        assert cut.silenced == (np.maximum(female, 1 - female) < cut.threshold).sum()


def test_the_threshold_that_is_proposed() -> None:
    coin = ([0.57] * 10 + [0.62] * 10 + [0.99] * 30, [1, 0] * 5 + [1] * 10 + [1] * 30)
    assert answered(*coin).proposed == 0.6  # of the ten below 0.6 five are wrong, of the twenty below 0.65 a quarter
    assert answered([0.99] * 12, [1] * 12).proposed is None


def test_an_impossible_threshold_is_refused() -> None:
    with pytest.raises(UsageError, match=r"between 0\.5 and 1"):
        answered([0.9] * 12, [1] * 12, at=0.3)


def test_the_command_reads_saved_answers(tiny_bundle: Path, tmp_path: Path) -> None:
    lines = [f"{at}.jpg,{at + 1},{'fm'[at % 2]}" for at in range(20)]
    (tmp_path / "faces.csv").write_text("file,age,gender\n" + "\n".join(lines) + "\n")
    for at in range(20):
        (tmp_path / f"{at}.jpg").touch()
    female = np.array([0.9 if at % 4 else 0.56 for at in range(20)], np.float32)
    files = np.array([f"{at}.jpg" for at in range(20)])
    Predictions(files, np.full((20, 117), 1 / 117, np.float32), female, {}, "tiny").save(tmp_path / "saved.parquet")
    saved = ["--data", str(tmp_path / "faces.csv"), "--predictions", str(tmp_path / "saved.parquet")]
    done = CliRunner().invoke(app, ["audit", "abstain", str(tiny_bundle), *saved, "--format", "json"])
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    assert (record["model"], record["at"]) == ("tiny", ABSTAIN)
    cut = next(one for one in record["groups"]["all"] if one["threshold"] == 0.6)
    assert (cut["faces"], cut["silenced"], cut["errors"], cut["avoided"]) == (20, 5, 10, 0)
    table = CliRunner().invoke(app, ["audit", "abstain", str(tiny_bundle), *saved])
    assert "By true age, at 0.6:" in table.stdout
