"""ZIP archives: the pictures in them, in their order, and what cannot be unpacked."""

from __future__ import annotations

import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from mien.batch.listing import Chunk, chunks
from mien.errors import PhotoError, PhotoTooCostly
from mien.photos import zipfiles
from mien.photos.sources import items

JPEG = b"\xff\xd8\xff one"


def archive(path: Path, *names: str, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name in names:
            file.writestr(name, JPEG + name.encode())
    return path


def kinds(path: Path, max_bytes: int = 1000) -> list[str]:
    found = []
    for item in items(path, max_bytes=max_bytes):
        try:
            item.read()
            found.append("read")
        except PhotoError as error:
            found.append(error.kind)
    return found


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_pictures_in_order_and_nothing_else(tmp_path: Path, method: int) -> None:
    path = archive(
        tmp_path / "x.ZIP", "b.jpg", "a/", "a/c.PNG", "notes.txt", "__MACOSX/._b.jpg", "Zoë.jpg", method=method
    )
    found = list(items(path))
    assert [item.source.partition("::")[2] for item in found] == ["b.jpg", "a/c.PNG", "Zoë.jpg"]
    assert [item.read() for item in reversed(found)] == [
        JPEG + name.encode() for name in ("Zoë.jpg", "a/c.PNG", "b.jpg")
    ]


def test_the_caps_of_files_hold(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.jpg", JPEG)
        file.writestr("b.jpg", bytes(2000))
    assert kinds(path) == ["read", "too_large"]


def test_damage_and_encryption_are_told(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.zip", "a.jpg", "b.jpg", method=zipfile.ZIP_STORED)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(JPEG + b"a.jpg", JPEG + b"a.jpX"))  # its checksum is wrong now
    assert kinds(path) == ["truncated", "read"]
    path.write_bytes(whole.replace(b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\1\0"))
    assert kinds(path) == ["unreadable", "unreadable"]
    path.write_bytes(whole[:-30])
    assert kinds(path) == ["truncated"]
    path.write_bytes(b"")
    assert kinds(path) == ["truncated"]
    archive(path, "notes.txt")
    assert kinds(path) == ["missing"]
    assert kinds(tmp_path / "absent.zip") == ["missing"]


def directory(entries: int, claimed: int | None = None) -> bytes:
    """An archive that is nothing but a directory, and claims one of so many bytes."""
    entry = (
        struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", *(20, 3, 20, 0), *(0, 0, 0, 0), 0, 0, 0, 5, 0, 0, 0, 0, 0, 0)
        + b"a.jpg"
    )
    listed = entry * entries
    return listed + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFE, 0xFFFE, claimed or len(listed), 0, 0)


def test_a_directory_without_end_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(directory(1000))
    assert len(kinds(path)) == 1000
    monkeypatch.setattr(zipfiles, "_MOST_MEMBERS", 999)
    (item,) = items(path)
    with pytest.raises(PhotoTooCostly, match=r"lists more than 999 members: unpack it"):
        item.read()


def test_nor_is_one_of_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with path.open("wb") as file:
        file.truncate(3 << 30)  # takes no room on the disk
        file.seek(0, 2)
        file.write(directory(0, claimed=3 << 30))
    tracemalloc.start()
    try:
        assert kinds(path) == ["too_costly"]
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


def test_a_batch_finds_its_pictures_again(tmp_path: Path) -> None:
    path = archive(tmp_path / "x.zip", *(f"{number}.jpg" for number in range(40)))
    listed = [Chunk.from_json(chunk.to_json()) for chunk in chunks([str(path)], 500, max_bytes=1000)]
    read = [item.read() for chunk in listed for item in chunk.open(1000)]
    assert read == [JPEG + f"{number}.jpg".encode() for number in range(40)]
    other = archive(tmp_path / "y.zip", "z.jpg")
    moved = Chunk.from_json(listed[0].to_json().replace("x.zip", "y.zip"))
    with pytest.raises(PhotoError, match="not where it was"):
        next(moved.open(1000)).read()
    assert other.exists()
