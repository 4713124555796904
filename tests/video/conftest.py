"""Small videos, and the surgery that makes odd ones of them."""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.results import Age, Box, Face, Gender, Quality
from mien.video.records import Seen, Track, TrackedFrame


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """50 frames of 160x120 at 25 a second; eight stripes, black or white, are the bits of each frame's index."""
    return write_plain(tmp_path_factory.mktemp("videos") / "plain.mp4")


def write_plain(path: Path, count: int = 50, codec: str = "mp4v") -> Path:
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), 25.0, (160, 120))
    for index in range(count):
        bits = np.array([255 * (index >> bit & 1) for bit in range(8)], np.uint8)
        writer.write(np.repeat(bits, 20)[None, :, None].repeat(120, 0).repeat(3, 2))
    writer.release()
    return path


@pytest.fixture
def rotated(plain: Path, tmp_path: Path) -> Path:
    """The same, with metadata that turn it by a quarter, as phones write them."""
    data = plain.read_bytes()
    at = data.index(b"tkhd") + 4 + 4 + 20 + 16  # behind version, flags, times, id, duration, layer and volume
    matrix = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 120 << 16, 0, 1 << 30)
    path = tmp_path / "rotated.mp4"
    path.write_bytes(data[:at] + matrix + data[at + 36 :])
    return path


@pytest.fixture
def uneven(plain: Path, tmp_path: Path) -> Path:
    """The same at a variable rate: the second half of its frames last three times as long."""
    data = bytearray(plain.read_bytes())
    times = data.index(b"stts")
    (entries,) = struct.unpack(">I", data[times + 8 : times + 12])
    count, ticks = struct.unpack(">II", data[times + 12 : times + 20])
    assert (entries, count) == (1, 50)
    data[times + 8 : times + 20] = struct.pack(">IIIII", 2, 25, ticks, 25, 3 * ticks)
    for name in (
        b"moov",
        b"trak",
        b"mdia",
        b"minf",
        b"stbl",
        b"stts",
    ):  # each of them holds the next, 8 bytes longer now
        at = data.index(name) - 4
        data[at : at + 4] = struct.pack(">I", struct.unpack(">I", data[at : at + 4])[0] + 8)
    edits = data.index(b"edts")
    data[edits : edits + 4] = b"free"  # else they end the video after its old length
    path = tmp_path / "uneven.mp4"
    path.write_bytes(data)
    return path


@pytest.fixture
def truncated(tmp_path: Path) -> Path:
    """A file that breaks off after half of its bytes."""
    path = write_plain(tmp_path / "truncated.avi", 100, "MJPG")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


@pytest.fixture
def hollow(truncated: Path) -> Path:
    """A file that breaks off before its first frame."""
    data = truncated.read_bytes()
    path = truncated.with_name("hollow.avi")
    path.write_bytes(data[: data.index(b"movi") + 4])
    return path


def a_face(box: Box, years: float = 30.0, *, flags: tuple[str, ...] = (), female: float = 0.9) -> Face:
    pmf = np.exp(-0.5 * ((np.arange(117) - years) / 4) ** 2)
    pmf /= pmf.sum()
    age = Age(years, years, years - 7, years + 7, 0.9, tuple(pmf.tolist()))
    return Face(box, 0.99, None, age, Gender(female), Quality(40.0, 0.4, 0.0, flags))


@pytest.fixture
def tracked() -> TrackedFrame:
    """A frame with one face on a track and one that has none yet, in which another track ended."""
    face, other = a_face(Box(40, 30, 80, 80)), a_face(Box(100, 30, 130, 70), 50, flags=("small",))
    average = Age(33.0, 33.0, 25.0, 41.0, 0.9, face.age.pmf)
    seen = Seen(3, face, average, Gender(0.8))
    ended = Track(2, 4, 0.16, 9, 0.36, 6, average, Gender(0.3), 0.5)
    pixels = np.full((120, 160, 3), 128, np.uint8)
    return TrackedFrame(
        12, 0.48, 160, 120, (seen, Seen(None, other, other.age, other.gender)), (ended,), quiet=False, pixels=pixels
    )
