"""What a newcomer reads: the help of every command, and what happens where one is typed wrongly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from mien.cli import app


def commands() -> Iterator[tuple[str, Any]]:
    waiting: list[tuple[str, Any]] = [("", typer.main.get_command(app))]
    while waiting:
        name, command = waiting.pop()
        yield name, command
        waiting += [(f"{name} {one}".strip(), below) for one, below in getattr(command, "commands", {}).items()]


ALL = dict(commands())
LEAVES = [name for name, command in ALL.items() if not hasattr(command, "commands")]


@pytest.mark.parametrize("name", ALL)
def test_help_is_plain(name: str) -> None:
    done = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "100"})
    assert done.exit_code == 0
    assert "<bool>" not in done.output
    command = ALL[name]
    assert command.help
    assert command.help.strip().splitlines()[0].rstrip().endswith((".", ":"))
    for option in command.params:
        if not getattr(option, "hidden", False):
            assert option.help, (name, option.name)
            told = option.help.partition("[dim]")[0].rstrip()
            assert told.endswith((".", "?", ")")) or "completion" in option.name, (name, option.name)


@pytest.mark.parametrize("name", LEAVES)
def test_options_tell_their_default(name: str) -> None:
    out = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "200"}).output
    command = ALL[name]
    options = [one for one in command.params if one.param_type_name == "option" and not one.hidden]
    untold = [one for one in options if not (one.is_flag or one.required or one.show_default or one.default)]
    untold = [one for one in untold if not any(word in (one.help or "") for word in ("default", "needed"))]
    assert [one.name for one in untold] == []
    assert all(max(one.opts, key=len) in out for one in options)


@pytest.mark.parametrize("name", LEAVES)
def test_a_wrong_option_is_a_matter_of_usage(name: str) -> None:
    done = CliRunner().invoke(app, [*name.split(), "--no-such-option"])
    assert done.exit_code == 2
    assert "No such option" in done.output
    assert not done.stdout or "Usage" in done.output


@pytest.mark.parametrize("name", ALL)
def test_without_arguments_nothing_breaks(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name in RUNS_ALONE:
        pytest.skip("does its work without any")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, name.split())
    assert done.exit_code in {0, 2, 6}, done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert done.output.strip()
    assert list(tmp_path.iterdir()) == []


RUNS_ALONE = {"serve", "models", "doctor", "figures", "web"}


def test_verbose_shows_where(tmp_path: Path) -> None:
    for options, shown in ((["--verbose"], True), ([], False)):
        done = CliRunner().invoke(app, [*options, "predict", "x.jpg", "--model", "nope"])
        assert done.exit_code == 2
        assert ("Traceback" in done.output) is shown
        assert "unknown model" in done.output.splitlines()[-1]


def test_a_shell_can_learn_the_commands() -> None:
    done = CliRunner().invoke(app, ["--show-completion", "bash"])
    assert "complete" in done.output or done.exit_code == 0
