from __future__ import annotations

import csv
import io
import json
from typing import Any

import pyarrow.parquet as pq
import pytest

from mien.errors import UsageError
from mien.video.records import TrackedFrame
from mien.video.sinks import COLUMNS, FORMATS, Records, Rows, create


def written(form: str, rows: Rows, frame: TrackedFrame) -> bytes:
    stream = io.BytesIO()
    with create(form, stream) as sink:
        out = Records(sink, rows, "a/Zoë, 2.mp4", "tiny")
        out.frame(frame)
        out.track(frame.ended[0])
    return stream.getvalue()


def test_json_lines_are_nested(tracked: TrackedFrame) -> None:
    track, face, other, _ = map(json.loads, written("jsonl", "both", tracked).decode().splitlines())
    assert list(track) == [
        *("schema_version", "record", "source", "model", "track", "first", "last", "views", "age", "gender", "quality")
    ]
    assert (track["record"], track["track"], track["first"]) == ("track", 2, {"frame": 4, "seconds": 0.16})
    assert list(face) == [
        *("schema_version", "record", "source", "model", "frame", "seconds", "track", "box", "score", "age", "gender"),
        *("raw", "quality"),
    ]
    assert (face["frame"], face["seconds"], face["track"], face["source"]) == (12, 0.48, 3, "a/Zoë, 2.mp4")
    assert (face["age"]["years"], face["raw"]["age"]["years"]) == (33.0, 30.0)
    assert (face["gender"]["probability"], face["raw"]["gender"]["probability"]) == (0.8, 0.9)
    assert (other["track"], other["quality"]["flags"], other["quality"]["weight"]) == (None, ["small"], 0.2)


def test_tables_have_the_same_columns_and_cells(tracked: TrackedFrame) -> None:
    lines = list(csv.DictReader(io.StringIO(written("csv", "both", tracked).decode())))
    table = pq.read_table(io.BytesIO(written("parquet", "both", tracked)))
    assert list(lines[0]) == table.column_names == list(COLUMNS)
    assert [line["record"] for line in lines] == table["record"].to_pylist() == ["track", "face", "face", "track"]
    for line, row in zip(lines, table.to_pylist(), strict=True):
        kinds = {name: COLUMNS[name](cell) if cell else None for name, cell in line.items()}
        assert kinds == row
    face: dict[str, Any] = table.to_pylist()[1]
    expected = {"frame": 12, "left": 40.0, "age": 33.0, "raw_age": 30.0, "gender": "female", "quality": 1.0}
    assert {name: face[name] for name in expected} == expected
    assert face["last_frame"] is face["views"] is None


@pytest.mark.parametrize("form", FORMATS)
def test_either_kind_of_rows(tracked: TrackedFrame, form: str) -> None:
    faces, tracks, both = (written(form, rows, tracked) for rows in ("frames", "tracks", "both"))
    assert min(len(faces), len(tracks)) < len(both)
    if form == "jsonl":
        assert {json.loads(line)["record"] for line in faces.splitlines()} == {"face"}
        assert {json.loads(line)["record"] for line in tracks.splitlines()} == {"track"}


def test_an_unknown_format() -> None:
    with pytest.raises(UsageError, match="jsonl"):
        create("json", io.BytesIO())
