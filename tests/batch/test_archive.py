"""Whole archives through Python: what `mien batch` calls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mien.analyzer import Options
from mien.batch import Archive, Course, Shard, choose_engine
from mien.errors import UsageError


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(5):
        Image.fromarray(np.full((32, 32, 3), 40 * number, np.uint8)).save(folder / f"{number}.png")
    (folder / "5.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


def test_shards_make_an_archive_that_a_last_one_closes(tiny_bundle: Path, photos: Path, tmp_path: Path) -> None:
    whole = Options(detector="whole", threads=1)
    outcomes = []
    for index in range(2):
        archive = Archive(
            [str(photos)],
            tmp_path / "faces",
            model=str(tiny_bundle),
            options=whole,
            chunk=2,
            shard=Shard(index, 2),
            resume=True,
        )
        assert (archive.plan.photos, archive.plan.chunks, archive.finished) == (6, 3, False)
        assert archive.missing() == [[0, 2], [1]][index]
        assert archive.left == [4, 2][index]
        course = Course()
        for news in archive.run(processes=1):
            course.hear(news)
        outcomes.append(archive.close())
        assert course.done == course.now()
        assert course.done.photos == [4, 2][index]
    first, last = outcomes
    assert (first.whole, first.tally.photos) == (False, 4)
    assert (last.whole, last.tally.photos, last.tally.faces, dict(last.tally.failures)) == (
        True,
        6,
        5,
        {"truncated": 1},
    )
    tables = [pq.read_table(part, partitioning=None) for part in (tmp_path / "faces").glob("part-*.parquet")]
    assert sum(table.num_rows for table in tables) == 6


@pytest.mark.parametrize(
    ("name", "address", "sentence"),
    [("rai", None, "did you mean 'ray'"), ("local", "a:1", "--engine ray")],
)
def test_engines_that_cannot_be(name: str, address: str | None, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        choose_engine(name, address)
