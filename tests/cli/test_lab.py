"""Two storeys: what users see at the top, what developers find under `mien lab`, and the names of before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from mien.cli import app

ROOT: Any = get_command(app)
SEEN = {
    *("predict", "check-age", "video", "count", "counts", "batch", "serve", "web", "explain", "models", "doctor"),
    *("bench", "evaluate", "train", "export", "calibrate", "report", "lab"),
}
FORMER = sorted(set(ROOT.commands) - SEEN)


def test_the_top_shows_what_users_need() -> None:
    assert {name for name, command in ROOT.commands.items() if not command.hidden} == SEEN
    told = CliRunner().invoke(app, ["--help"]).stdout
    assert not any(f"│ {name} " in told for name in FORMER)


@pytest.mark.parametrize("name", FORMER)
def test_a_former_name_is_hidden_and_leads_to_the_same_command(name: str) -> None:
    former, now = ROOT.commands[name], ROOT.commands["lab"].commands[name]
    assert former.hidden
    assert not now.hidden
    assert former.help == now.help
    assert [option.opts for option in former.params] == [option.opts for option in now.params]
    assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0


def test_every_command_of_the_lab_had_a_former_name() -> None:
    assert set(ROOT.commands["lab"].commands) == set(FORMER)


def test_a_former_name_answers_alike_and_says_the_new_one() -> None:
    former = CliRunner().invoke(app, ["systems", "--format", "json"])
    now = CliRunner().invoke(app, ["lab", "systems", "--format", "json"])
    assert (former.exit_code, former.stdout) == (now.exit_code, now.stdout)
    assert "mien: mien systems is now mien lab systems; its former name works for this version" in former.stderr
    assert "is now" not in now.stderr


def test_a_former_group_does_too(tmp_path: Path) -> None:
    words = ["audit", "fairness", "mien-m", "--data", str(tmp_path / "none")]
    former, now = CliRunner().invoke(app, words), CliRunner().invoke(app, ["lab", *words])
    assert former.exit_code == now.exit_code == 2
    assert former.stderr == "mien: mien audit is now mien lab audit; its former name works for this version and no " + (
        "longer\n" + now.stderr
    )
