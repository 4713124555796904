"""What a newcomer reads: the help of every command, and what happens where one is typed wrongly."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_type_hints

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


def numbers(name: str) -> list[Any]:
    """Options of a command that take a number."""
    kinds = get_type_hints(ALL[name].callback)
    asked = {one for one, kind in kinds.items() if {int, float} & {kind, *get_args(kind)}}
    return [one for one in ALL[name].params if one.name in asked]


@pytest.mark.parametrize("name", LEAVES)
def test_a_wrong_number_is_a_plain_sentence(name: str) -> None:
    for option in numbers(name):
        typed = max(option.opts, key=len)
        done = CliRunner().invoke(app, [*name.split(), typed, "few"])
        assert done.exit_code == 2
        told = done.stderr.splitlines()[-1]  # above it the new name, where the command has moved
        assert re.fullmatch(rf"mien: {typed} must be a (whole )?number( .+)?, not 'few'", told)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("serve --port 99999", "--port must be a whole number from 0 to 65535, not 99999"),
        ("bench p.jpg --threads 0", "--threads must be a whole number of 1 or more, not 0"),
        ("video a.mp4 --every 1.5", "--every must be a whole number, not 1.5"),
        ("lab audit abstain mien-s --data x --at 0.2", "--at must be a number from 0.5 to 1, not 0.2"),
        ("average a b -o c --size 7", "--size must be a whole number from 32 to 512, not 7"),
    ],
)
def test_a_number_out_of_its_range_is_told_with_the_range(words: str, sentence: str) -> None:
    done = CliRunner().invoke(app, words.split())
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == f"mien: {sentence}"


def test_a_wrong_number_of_the_environment_is_told_by_its_name_there() -> None:
    done = CliRunner().invoke(app, ["serve"], env={"MIEN_PORT": "http\x1b[31m"})
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("mien: MIEN_PORT must be a whole number from 0 to 65535, not 'http")
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize("name", ALL)
def test_without_arguments_nothing_breaks(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if name.rpartition(" ")[2] in RUNS_ALONE:
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
    done = CliRunner().invoke(app, [], prog_name="mien", env={"_MIEN_COMPLETE": "source_bash"})
    assert "_MIEN_COMPLETE=complete_bash" in done.output


WITHOUT_OUTPUT = {"serve", "web", "count", "card", "calibrate", "score"}
"""Those that answer to who asks, or write to a place that is their argument."""


@pytest.mark.parametrize("name", [name for name in LEAVES if name.rpartition(" ")[2] not in WITHOUT_OUTPUT])
def test_output_is_o_everywhere(name: str) -> None:
    names = {opt for option in ALL[name].params for opt in option.opts}
    assert {"--output", "-o"} <= names


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (["check-age", "{photo}", "--detector", "whole"], '"outcome"'),
        (["models"], "mien-m"),
        (["models", "--format", "json"], '"name"'),
    ],
)
def test_what_is_printed_goes_to_a_file(command: list[str], told: str, tmp_path: Path, examples: Path) -> None:
    run = [word.format(photo=examples / "hopper.jpg") for word in command]
    target = tmp_path / "answers.txt"
    done = CliRunner().invoke(app, [*run, "-o", str(target)])
    assert (done.exit_code, done.stdout) == (0, ""), done.output
    assert told in target.read_text(encoding="utf-8")
    assert f"-> {target}, " in done.stderr
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_that_cannot_be_or_is_not_whole_is_not_left(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["models", "-o", str(tmp_path / "nowhere" / "x.txt")])
    assert done.exit_code == 2
    assert "cannot write to" in done.stderr
    done = CliRunner().invoke(app, ["check-age", "x.jpg", "--min-age", "0", "-o", str(tmp_path / "x.jsonl")])
    assert done.exit_code == 2
    assert list(tmp_path.iterdir()) == []
    done = CliRunner().invoke(app, ["check-age", "x.jpg", "-o", str(tmp_path / "x.jsonl")])
    assert done.exit_code == 3
    assert '"error"' in (tmp_path / "x.jsonl").read_text(encoding="utf-8")  # rows that say why are an answer


@pytest.mark.parametrize("name", ALL)
def test_help_fits_a_narrow_terminal_in_plain_words(name: str) -> None:
    out = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "80"}).output
    assert "…" not in out  # a variable or a default that is cut off cannot be typed
    assert not re.search(r"<\w|%[YHz]|[{}]|\[\[|\bBOOLEAN\b", out)
    usage = out.partition("Usage:")[2].splitlines()[0].split("[OPTIONS]")[1].split()
    assert all(word == word.upper() for word in usage)
    first = out.splitlines()
    for line, below in pairwise(first[4 : next(n for n, text in enumerate(first) if text.startswith("╭"))]):
        if line.strip() and below.strip():  # broken where the terminal ends, not where the source does
            assert len(line.rstrip()) + 1 + len(below.split()[0]) >= 79


def test_variables_are_called_as_their_options() -> None:
    out = CliRunner().invoke(app, ["serve", "--help"], env={"COLUMNS": "80"}).output
    assert "--max-body is MIEN_MAX_BODY" in " ".join(out.split())
    assert "MIEN_MODELS" in out
    assert out.count("env var") == 1
    for option in ALL["serve"].params:
        assert option.envvar in (f"MIEN_{option.name.upper()}", "MIEN_MODELS")


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["predict", "x.jpg", "--max-faces", "x"], "must be a whole number, not 'x'"),
        (["predict", "x.jpg", "--max-faces", "1.5"], "must be a whole number, not 1.5"),
        (["predict", "x.jpg", "--level", "high"], "must be a number, not 'high'"),
        (["serve", "--port", "99999"], "must be a whole number from 0 to 65535, not 99999"),
        (["explain", "x.jpg", "--face", "0"], "must be a whole number of 1 or more, not 0"),
        (["count", "x.mp4", "--start", "yesterday"], "'yesterday' is not a time: give it as 2026-05-01T12:00:00"),
    ],
)
def test_a_wrong_value_is_told_in_words(typed: list[str], told: str) -> None:
    done = CliRunner().invoke(app, typed, env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert told in done.output
    assert typed[-2] in done.output
    assert "parse" not in done.output
    assert "Input should" not in done.output


def test_a_file_that_begins_with_a_dash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examples: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-me.jpg").write_bytes((examples / "hopper.jpg").read_bytes())
    done = CliRunner().invoke(app, ["predict", "-me.jpg"], env={"COLUMNS": "200"})
    assert (done.exit_code, "type ./-me.jpg" in done.output) == (2, True)
    assert CliRunner().invoke(app, ["predict", "./-me.jpg"]).exit_code == 0
    done = CliRunner().invoke(app, ["predict", "-other.jpg"], env={"COLUMNS": "200"})
    assert (done.exit_code, "type ./" in done.output) == (2, False)
