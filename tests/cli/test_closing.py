"""Every command ends with a line on standard error, and tells the defaults of its options."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from mien import __version__
from mien.cli import app
from mien.cli.closing import Closed, close_with, duration, number
from mien.results import ABSTAIN


def commands(group: Any, path: str = "mien") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


ALL = dict(commands(get_command(app)))


@pytest.mark.parametrize("name", sorted(set(ALL) - {"mien serve"}))
def test_every_command_ends_with_a_line(name: str) -> None:
    assert isinstance(ALL[name], Closed)


def test_every_option_tells_its_default() -> None:
    for name, command in ALL.items():
        for option in command.params:
            if (
                option.param_type_name == "option"
                and not option.required
                and option.default is None
                and option.show_default
            ):
                told = isinstance(option.show_default, str) or "default" in option.help
                assert told, f"{name} {option.opts[0]} does not say what holds without it"


def test_the_help_shows_them() -> None:
    told = " ".join(CliRunner().invoke(app, ["predict", "--help"], env={"COLUMNS": "300"}).stdout.split())
    assert "Least score of a face, 0 to 1. [default: (the detector's own)]" in told
    assert "Folder for annotated pictures. [default: (none)]" in told
    for words in (["predict"], [], ["lab"], ["lab", "audit"], ["serve"], ["train"]):
        told = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "300"}).stdout.lower()
        assert "--help" in told
        assert not re.search(r"\bbool", told)


@pytest.mark.parametrize("name", ["predict", "batch", "video", "count"])
def test_the_default_of_abstain_is_the_one_that_was_chosen(name: str) -> None:
    option = next(one for one in ALL[f"mien {name}"].params if one.name == "abstain")
    assert option.default == ABSTAIN


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version(flag: str) -> None:
    assert CliRunner().invoke(app, [flag]).stdout == f"mien {__version__}\n"


def _app(words: tuple[str, ...] | None, code: int = 0) -> typer.Typer:
    made = typer.Typer()

    @made.command(cls=Closed)
    def work(*, quiet: bool = False) -> None:
        if words is not None:
            close_with(*words)
        if code:
            raise typer.Exit(code)

    @made.command()
    def other() -> None:
        pass

    return made


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (None, 0, r"mien: work is done, 0\.\d s\n"),
        (("2 photos",), 0, r"mien: 2 photos, 0\.\d s\n"),
        (("2 photos", "", "one failed"), 3, r"mien: 2 photos, 0\.\d s; one failed\n"),
        (("",), 0, ""),
        (("2 photos",), 130, ""),
    ],
)
def test_the_last_line(words: tuple[str, ...] | None, code: int, told: str) -> None:
    done = CliRunner().invoke(_app(words, code), ["work"])
    assert done.exit_code == code
    assert re.fullmatch(told, done.stderr)
    assert CliRunner().invoke(_app(words, code), ["work", "--quiet"]).stderr == ""


def test_a_command_does_not_end_with_the_words_of_the_one_before(tiny_bundle: Path) -> None:
    assert "3 models" in CliRunner().invoke(app, ["models"]).stderr
    done = CliRunner().invoke(app, ["lab", "systems", "--format", "json"])
    assert re.fullmatch(r"mien: lab systems is done, \d+\.\d s\n", done.stderr)
    failed = CliRunner().invoke(app, ["models", "--format", "xml"])
    assert (failed.exit_code, failed.stderr.count("mien:")) == (2, 1)


def test_words_and_times() -> None:
    assert (number(1, "face"), number(0, "face"), duration(59.96)) == ("1 face", "0 faces", "60 s")
