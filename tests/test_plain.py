"""Strangers' words for a terminal, a log and a spreadsheet, by the commands that show them."""

from __future__ import annotations

import csv
import io
import json
import logging
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from mien import sinks
from mien.cli import app
from mien.plain import escaped, formula_safe, plain
from mien.results import Failure, Photo
from mien.sinks.records import encode

EVIL = "a\x1b[31m\x9b2J\u202e\u2066\x07\x7f\u2028b"
BAD = set("\x1b\x9b\u202e\u2066\x07\x7f\u2028")


@settings(deadline=None)
@given(st.text())
def test_what_is_plain_has_no_orders_in_it(text: str) -> None:
    shown = plain(text)
    assert not any(unicodedata.category(letter) in {"Cc", "Zl", "Zp", "Cs"} for letter in shown)
    assert not any(
        unicodedata.bidirectional(letter) in {"RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI"} for letter in shown
    )
    assert plain(shown) == shown


@settings(deadline=None)
@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_escapes_are_the_same_json(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert json.loads(escaped(text)) == value
    assert not set(escaped(text)) & BAD


@pytest.mark.parametrize("name", ["Zoë 🙂.jpg", "می‌خواهم.jpg", "👩‍👩‍👧.png", "東京.webp"])
def test_names_of_the_world_stay(name: str) -> None:
    assert plain(name) == name
    assert escaped(name) == name


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", " =1", "＝1", "|x"])
def test_formulas_are_quoted(cell: str) -> None:
    assert formula_safe(cell) == f"'{cell}"


def test_csv_is_data_unless_asked_or_looked_at() -> None:
    photo = Photo("=cmd|' /C calc'!A0", "m", None, None, (), Failure("empty", f"-{EVIL}"))

    def cells(stream: io.BytesIO, *, safe: bool) -> dict[str, str]:
        with sinks.create("csv", stream, safe_cells=safe) as sink:
            sink.write(photo)
        (row,) = csv.DictReader(io.StringIO(stream.getvalue().decode(), newline=""))
        return row

    assert cells(io.BytesIO(), safe=False)["source"] == photo.source
    assert cells(io.BytesIO(), safe=True)["source"] == f"'{photo.source}"
    assert cells(io.BytesIO(), safe=True)["error_message"].startswith("'-")

    class Terminal(io.BytesIO):
        def isatty(self) -> bool:
            return True

    assert not set(cells(Terminal(), safe=False)["error_message"]) & BAD


@pytest.mark.parametrize(
    "words",
    [
        ["predict", EVIL, "--format", "table"],
        ["predict", EVIL, "--format", "jsonl"],
        ["check-age", EVIL, "--format", "table"],
        ["explain", EVIL],
        ["video", EVIL],
        ["count", EVIL],
        ["batch", EVIL + ".txt", "-o", "out"],
        ["predict", "--model", f"./{EVIL}", "a.jpg"],
        ["counts", f"{EVIL}.db"],
        ["predict", f"--{EVIL}"],
    ],
    ids=lambda words: words[0] if isinstance(words, list) else None,
)
def test_no_command_repeats_orders(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, words)
    assert result.exit_code not in {0, 1}, result.output
    assert not set(result.output) & (BAD - {"\x1b"}), repr(result.output)
    assert "\x1b[31m" not in result.output


def test_counts_of_a_source_with_such_a_name(tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy", reason="needs the extra count")
    from mien.cli.predict.count import _csv, _table
    from mien.count.store import Count

    row = Count(EVIL, "utc", 0, 60, "0-12", "female", 1)
    for text in (_csv([row], safe=False), _table([row])):
        assert not set(text) & BAD


def test_json_lines_cannot_steer_a_terminal_either() -> None:
    record = {"source": EVIL}
    assert not set(encode(record).decode()) & BAD
    assert json.loads(encode(record)) == record


def test_logs_have_ids_and_no_orders(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("uvicorn", reason="needs the extra serve")
    from mien.service import logs

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s%(request)s"))
    handler.addFilter(logs.RequestIds())
    log = logging.Logger("test")
    log.addHandler(handler)
    token = logs.REQUEST.set("abc")
    try:
        log.warning("from %s\nforged: line", EVIL)
        try:
            raise ValueError(EVIL)
        except ValueError:
            log.exception("fault")
    finally:
        logs.REQUEST.reset(token)
    told = capsys.readouterr().out
    assert not set(told) & BAD
    assert "[abc]" in told
    assert "Traceback" in told
