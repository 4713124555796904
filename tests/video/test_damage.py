"""Videos with holes, and files that are no videos although FFmpeg opens them."""

from __future__ import annotations

import io
import random
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mien.errors import VideoError
from mien.video.frames import Camera, Clip

COUNT = 200


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Eight seconds of a moving pattern, in several containers."""
    folder = tmp_path_factory.mktemp("films")
    pattern = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8), (0, 0), 4)
    films = {}
    for name, codec in (("mp4", "mp4v"), ("mov", "mp4v"), ("mkv", "mp4v"), ("avi", "MJPG"), ("ts", "mpg2")):
        path = folder / f"film.{name}"
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*codec), 25.0, (160, 120))
        for index in range(COUNT):
            writer.write(np.roll(pattern, 3 * index, axis=1))
        writer.release()
        films[name] = path.read_bytes()
    return films


def with_hole(data: bytes, at: float, share: float, *, noise: bool) -> bytes:
    begin, size = round(at * len(data)), round(share * len(data))
    filling = random.Random(0).randbytes(size) if noise else bytes(size)
    return data[:begin] + filling + data[begin + size :]


@pytest.mark.parametrize("noise", [True, False])
@pytest.mark.parametrize("at", [0.3, 0.7])
@pytest.mark.parametrize("name", ["mp4", "mov", "mkv", "avi", "ts"])
def test_a_hole_does_not_end_a_video(
    films: dict[str, bytes], tmp_path: Path, *, name: str, at: float, noise: bool
) -> None:
    path = tmp_path / f"film.{name}"
    path.write_bytes(with_hole(films[name], at, 0.05, noise=noise))
    with Clip(path) as clip:
        frames = list(clip)
    assert 0.85 * COUNT <= len(frames) < COUNT
    assert frames[-1].seconds > 0.9 * COUNT / 25
    seconds = [frame.seconds for frame in frames]
    assert seconds == sorted(set(seconds))
    assert clip.shortfall is not None
    assert re.search("could not be decoded|ends after", clip.shortfall)


@pytest.mark.parametrize("name", ["mp4", "mov", "mkv", "avi", "ts"])
def test_a_whole_video_has_no_hole(films: dict[str, bytes], tmp_path: Path, name: str) -> None:
    path = tmp_path / f"film.{name}"
    path.write_bytes(films[name])
    with Clip(path) as clip:
        assert len(list(clip)) == COUNT
    assert (clip.shortfall, clip.lost) == (None, 0)


def test_the_same_frames_come_again_from_where_a_count_was_left(films: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(with_hole(films["mp4"], 0.4, 0.05, noise=True))
    with Clip(path) as clip:
        whole = {frame.index: frame.pixels for frame in clip}
    for start in (10, 100, 150):
        with Clip(path, start=start) as clip:
            rest = {frame.index: frame.pixels for frame in clip}
        assert list(rest) == [index for index in whole if index >= start]
        assert all((pixels == whole[index]).all() for index, pixels in rest.items())


def test_the_shared_hole(shared: Path) -> None:
    path = shared / "cases" / "hole_long.mp4"
    with Clip(path) as clip:
        frames = list(clip)
    assert len(frames) > 200
    assert frames[-1].seconds > 9.5
    assert clip.shortfall is not None
    assert f"{clip.lost} of 250 frames" in clip.shortfall


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("kind", [Clip, Camera])
def test_a_photo_is_no_video(tmp_path: Path, form: str, kind: type[Clip | Camera]) -> None:
    path = tmp_path / "photo.dat"
    Image.new("RGB", (64, 48), "orange").save(path, form)
    with pytest.raises(VideoError, match=r"photo\.dat is a photo, not a video: .*mien predict"):
        kind(str(path))


def test_pictures_that_move_are_a_video(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (64, 48), (90 * number, 20, 40)) for number in range(3)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:], duration=100)
    data = io.BytesIO()
    for frame in frames:
        frame.save(data, "JPEG")
    (tmp_path / "moving.mjpeg").write_bytes(data.getvalue())
    for name in ("moving.gif", "moving.mjpeg"):
        with Clip(tmp_path / name) as clip:
            assert len(list(clip)) == 3


def cover() -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(data, "JPEG")
    return data.getvalue()


def song_mp3(picture: bytes) -> bytes:
    """Silence of MPEG-1 layer III, 128 kbit/s, behind an ID3v2.3 tag with a picture."""
    frame = b"\0image/jpeg\0\3\0" + picture if picture else b""
    tag = b"APIC" + len(frame).to_bytes(4, "big") + b"\0\0" + frame if frame else b"TIT2\0\0\0\2\0\0\0a"
    size = bytes(len(tag) >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + size + tag + (b"\xff\xfb\x90\x00" + bytes(413)) * 200


def song_flac(picture: bytes) -> bytes:
    """The head of a FLAC file with a picture."""
    info = b"\x10\0\x10\0" + bytes(6) + (44100 << 44 | 1 << 41 | 15 << 36 | 441000).to_bytes(8, "big") + bytes(16)
    head = (3).to_bytes(4, "big") + (10).to_bytes(4, "big") + b"image/jpeg" + bytes(4)
    body = head + b"".join(n.to_bytes(4, "big") for n in (64, 64, 24, 0, len(picture))) + picture
    return b"fLaC\0" + len(info).to_bytes(3, "big") + info + b"\x86" + len(body).to_bytes(3, "big") + body


@pytest.mark.parametrize(
    ("name", "data"),
    [("a.mp3", song_mp3(cover())), ("b.flac", song_flac(cover())), ("c.mp3", song_mp3(b"")), ("d.wav", b"")],
)
def test_sound_is_no_video(tmp_path: Path, name: str, data: bytes) -> None:
    wave = b"RIFF\x24\x10\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x44\xac\0\0\x88\x58\1\0\2\0\x10\0data\0\x10\0\0" + bytes(4096)
    (tmp_path / name).write_bytes(data or wave)
    with pytest.raises(VideoError, match=r"is sound with(out pictures| a picture on its cover), not a video"):
        Clip(tmp_path / name)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("https://example.org/film.mp4", "https://example.org/film.mp4, which is an address"),
        ("rtsp://10.0.0.7/live", "--camera"),
        ("file:///tmp/none.mp4", "give the path /tmp/none.mp4"),
    ],
)
@pytest.mark.parametrize("kind", [str, Path])
def test_an_address_is_told_so(address: str, told: str, kind: type) -> None:
    with pytest.raises(VideoError) as raised:
        Clip(kind(address))
    assert told in str(raised.value)
