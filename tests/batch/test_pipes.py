"""A pipe that nobody writes to, among the photos of a list, a folder or a pattern: passed over, and not waited for."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mien.batch.listing import chunks
from mien.errors import PhotoUnreadable
from mien.photos.sources import items

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
LIMIT = 1 << 20


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe.jpg")
    return tmp_path / "pipe.jpg"


def test_in_a_list_on_standard_input(pipe: Path) -> None:
    (item,) = items("-", stdin=io.BytesIO(f"{pipe}\n".encode()))
    with pytest.raises(PhotoUnreadable, match="a pipe or a device"):
        item.read()


def test_in_a_folder_and_a_pattern(pipe: Path, examples: Path) -> None:
    (pipe.parent / "a.jpg").write_bytes((examples / "hopper.jpg").read_bytes())
    assert [item.source for item in items(pipe.parent)] == [str(pipe.parent / "a.jpg")]
    found = {Path(item.source).name: item for item in items(str(pipe.parent / "*.jpg"))}
    assert found["a.jpg"].read()
    with pytest.raises(PhotoUnreadable, match="a pipe or a device"):
        found["pipe.jpg"].read()


@pytest.mark.parametrize("name", ["pipe.jpg", "pipe.tar", "pipe.tar.gz"])
def test_in_a_list_of_batch(name: str, pipe: Path) -> None:
    if name != pipe.name:
        os.mkfifo(pipe.parent / name)
    (pipe.parent / "list.txt").write_text(f"{pipe.parent / name}\n")
    (chunk,) = chunks([str(pipe.parent / "list.txt")], 10, max_bytes=LIMIT)
    (item,) = chunk.open(LIMIT)
    with pytest.raises(PhotoUnreadable, match="a pipe or a device"):
        item.read()


def test_one_that_was_named_is_read(pipe: Path, examples: Path) -> None:
    """As `mien predict <(curl ...)` gives one."""
    code = f"import sys; from mien.photos.sources import items; print(len(next(iter(items({str(pipe)!r}))).read()))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as reader:
        with pipe.open("wb") as stream:
            stream.write((examples / "hopper.jpg").read_bytes())
        told, _ = reader.communicate(timeout=60)
    assert int(told) == (examples / "hopper.jpg").stat().st_size
