from __future__ import annotations

import csv
import io
import json
import math
import os
import re
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien import sinks
from mien.errors import MissingExtra, UsageError
from mien.results import SCHEMA_VERSION, Age, Photo
from mien.sinks.rows import COLUMNS
from mien.sinks.writers import GROUP


def written(form: str, photos: list[Photo], *, pmf: bool = False) -> bytes:
    stream = io.BytesIO()
    with sinks.create(form, stream, pmf=pmf) as sink:
        for photo in photos:
            sink.write(photo)
    return stream.getvalue()


def test_json_lines_are_the_records(answers: list[Photo]) -> None:
    lines = written("jsonl", answers, pmf=True).decode().splitlines()
    assert [json.loads(line) for line in lines] == [photo.to_dict(pmf=True) for photo in answers]
    assert "Zoë" in lines[0]
    assert json.loads(lines[0])["schema_version"] == SCHEMA_VERSION


def test_a_line_is_out_before_the_next_photo(answers: list[Photo], tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as stream, sinks.create("jsonl", stream) as sink:
        sink.write(answers[0])
        assert (tmp_path / "x").read_bytes().count(b"\n") == 1


@pytest.mark.parametrize("count", [0, 1, 3])
def test_json_is_one_array(answers: list[Photo], count: int) -> None:
    assert json.loads(written("json", answers[:count])) == [photo.to_dict() for photo in answers[:count]]


def test_csv_has_a_row_a_face(answers: list[Photo]) -> None:
    rows = list(csv.DictReader(io.StringIO(written("csv", answers).decode())))
    assert list(rows[0]) == list(COLUMNS)
    assert [(row["source"], row["faces"], row["face"], row["age"], row["gender"]) for row in rows] == [
        ("a/Zoë, 2.jpg", "2", "0", "34.3", "female"),
        ("a/Zoë, 2.jpg", "2", "1", "7", "male"),
        ("b.jpg", "0", "", "", ""),
        ("c.jpg", "0", "", "", ""),
    ]
    assert (rows[0]["left_eye_x"], rows[0]["right_mouth_y"], rows[1]["left_eye_x"]) == ("110.0", "140.0", "")
    assert (rows[3]["error_kind"], rows[3]["error_message"]) == ("truncated", 'it "breaks" off\nhere')
    assert {row["error_kind"] for row in rows[:3]} == {""}


@given(st.text(st.characters(codec="utf-8"), max_size=8))
def test_any_name_survives_csv(name: str) -> None:
    text = written("csv", [Photo(name, "tiny"), Photo("next", "tiny")]).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["source"] for row in rows] == [name, "next"]


def test_csv_may_have_the_whole_distribution(answers: list[Photo]) -> None:
    rows = list(csv.DictReader(io.StringIO(written("csv", answers, pmf=True).decode())))
    assert list(rows[0])[len(COLUMNS) :] == [f"age_pmf_{age}" for age in range(117)]
    assert float(rows[0]["age_pmf_116"]) == pytest.approx(1 / 117, abs=1e-6)
    assert rows[2]["age_pmf_0"] == ""


@pytest.mark.parametrize("pmf", [False, True])
def test_parquet_has_the_rows_of_csv(answers: list[Photo], tmp_path: Path, pmf: bool) -> None:
    (tmp_path / "x.parquet").write_bytes(written("parquet", answers, pmf=pmf))
    table = pq.read_table(tmp_path / "x.parquet")
    assert table.column_names == [*COLUMNS, *(["age_pmf"] if pmf else [])]
    rows = table.to_pylist()
    texts = csv.DictReader(io.StringIO(written("csv", answers).decode()))
    for row, text in zip(rows, texts, strict=True):
        for name, kind in COLUMNS.items():
            if text[name] == "":
                assert row[name] is None
            elif kind is bool:
                assert text[name] == str(row[name])
            else:
                assert row[name] == (pytest.approx(float(text[name])) if kind is float else kind(text[name]))
    if pmf:
        assert len(rows[0]["age_pmf"]) == 117


def test_parquet_streams_in_groups(answers: list[Photo], tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(written("parquet", [answers[1]] * (2 * GROUP + 1)))
    file = pq.ParquetFile(tmp_path / "x.parquet")
    assert (file.num_row_groups, file.metadata.num_rows) == (3, 2 * GROUP + 1)


def test_parquet_without_a_photo_is_a_table(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(written("parquet", []))
    assert pq.read_table(tmp_path / "x.parquet").num_rows == 0


def test_parquet_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"\[parquet\]"):
        sinks.create("parquet", io.BytesIO())


@pytest.mark.parametrize("form", ["jsonl", "json", "csv", "parquet"])
def test_what_is_no_number_is_never_printed(answers: list[Photo], form: str) -> None:
    pmf = (math.nan,) * 117
    face = replace(answers[0].faces[0], age=Age(math.nan, math.inf, -math.inf, math.nan, 0.9, pmf), score=math.nan)
    raw = written(form, [replace(answers[0], faces=(face,))], pmf=form in {"jsonl", "json"})
    if form == "parquet":
        row = pq.read_table(io.BytesIO(raw)).to_pylist()[0]
        assert (row["age"], row["score"], row["age_level"]) == (None, None, pytest.approx(0.9))
    else:
        assert not {"nan", "inf", "infinity"} & set(raw.decode().lower().replace(":", ",").replace(" ", "").split(","))
        assert b"0.9" in raw


@pytest.mark.parametrize("form", sinks.FORMATS)
def test_names_that_are_no_unicode_can_be_written(answers: list[Photo], form: str) -> None:
    odd = replace(answers[2], source="caf\udce9.jpg")
    raw = written(form, [odd])
    raw.decode() if form != "parquet" else pq.read_table(io.BytesIO(raw)).to_pylist()
    if form == "jsonl":
        assert json.loads(raw)["source"] == "caf\udce9.jpg"


def test_the_table_is_for_reading(answers: list[Photo]) -> None:
    lines = written("table", answers).decode().splitlines()
    assert lines[0].split() == ["photo", "age", "interval", "gender", "face", "at", "view"]
    assert lines[1].split() == ["a/Zoë,", "2.jpg", "34.3", "27–42", "female", "98", "%", "40×60", "at", "100,", "100"]
    assert lines[2].split() == [
        "face",
        "1",
        "7.0",
        "3–11",
        "male",
        "51",
        "%",
        "20×25",
        "at",
        "10,",
        "20",
        "small",
        "+1",
    ]
    assert lines[3].split() == ["b.jpg", "no", "face"]
    assert lines[4].split() == ["c.jpg", "it", '"breaks"', "off", "here"]
    assert "\x1b" not in "".join(lines)


def test_a_name_does_not_steer_the_terminal(answers: list[Photo]) -> None:
    text = written("table", [replace(answers[0], source="a\x1b[31mred\x9b.jpg")]).decode()
    assert "a\ufffd[31mred\ufffd.jpg" in text
    assert not {"\x1b", "\x9b"} & set(text)


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (120, "photo age interval gender face at view"),
        (91, "photo age interval gender face at view"),
        (90, "photo age interval gender view"),
        (80, "photo age interval gender view"),
        (50, "photo age interval gender"),
    ],
)
def test_a_narrow_terminal_goes_without_the_places_of_faces(
    answers: list[Photo], columns: int, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.BytesIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", str(columns))
    with sinks.create("table", stream := Terminal()) as sink:
        for photo in answers:
            if photo.error is None:
                sink.write(photo)
    head, *rows = re.sub(r"\x1b\[[\d;]*m", "", stream.getvalue().decode()).splitlines()
    assert head.split() == shown.split()
    assert {len(line) for line in (head, *rows)} == {columns if columns > 50 else len(head)}
    for photo in answers:
        for face in photo.faces:
            assert any(f"{face.age.years:.1f}  " in row and face.gender.percent in row for row in rows)
            assert any(photo.source[-11:] in row for row in rows)


def test_a_long_name_does_not_break_the_table(answers: list[Photo]) -> None:
    long = replace(answers[0], source="very/" * 60 + "long[bold].jpg")
    assert {len(line.rstrip()) <= 110 for line in written("table", [long]).decode().splitlines()} == {True}


@pytest.mark.parametrize(
    ("name", "output", "terminal", "chosen"),
    [
        (None, None, True, "table"),
        (None, None, False, "jsonl"),
        (None, "x.CSV", True, "csv"),
        (None, "x.ndjson", False, "jsonl"),
        (None, "x.parquet", True, "parquet"),
        ("json", "x.csv", False, "json"),
        ("csv", None, True, "csv"),
        (None, "x", True, "jsonl"),
    ],
)
def test_the_format_is_guessed(name: str | None, output: str | None, terminal: bool, chosen: str) -> None:
    assert sinks.choose_format(name, Path(output) if output else None, terminal=terminal) == chosen


@pytest.mark.parametrize(
    ("name", "output", "sentence"),
    [
        ("xml", None, "unknown format 'xml'"),
        (None, "x.xls", "add --format"),
        ("parquet", None, "--output FILE.parquet"),
    ],
)
def test_impossible_formats_are_refused(name: str | None, output: str | None, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        sinks.choose_format(name, Path(output) if output else None, terminal=True)


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "x.jsonl"
    target.write_bytes(b"old")
    with sinks.open_output(target) as stream:
        stream.write(b"new")
        stream.flush()
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["x.jsonl"]


def test_a_run_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    def break_off() -> None:
        with sinks.open_output(tmp_path / "x.jsonl") as stream:
            stream.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert list(tmp_path.iterdir()) == []


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.csv").touch()
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    with sinks.open_output(tmp_path / "link.csv") as stream:
        stream.write(b"x")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_bytes() == b"x"


def test_devices_are_written_to_directly() -> None:
    with sinks.open_output(Path(os.devnull)) as stream:
        stream.write(b"x")
    assert not Path(os.devnull).is_file()


def test_a_folder_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write"), sinks.open_output(tmp_path / "no" / "x.csv"):
        pass
    with pytest.raises(UsageError, match="cannot write"), sinks.open_output(tmp_path):
        pass
