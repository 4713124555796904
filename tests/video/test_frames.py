from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mien.errors import UsageError, VideoError
from mien.video.frames import Camera, Clip, Frame, newest


def written(frames: list[Frame]) -> list[int]:
    """The index that each frame shows in stripes."""
    return [sum(int(frame.pixels[60, 10 + 20 * bit, 0] > 127) << bit for bit in range(8)) for frame in frames]


def test_frames_come_in_order_with_their_times(plain: Path) -> None:
    with Clip(plain) as clip:
        assert (clip.name, clip.rate, clip.expected) == (str(plain), 25.0, 50)
        frames = list(clip)
    assert [frame.index for frame in frames] == list(range(50))
    assert written(frames) == list(range(50))
    assert [frame.seconds for frame in frames] == pytest.approx([index / 25 for index in range(50)])
    assert frames[0].pixels.shape == (120, 160, 3)
    assert clip.shortfall is None


@pytest.mark.parametrize(
    ("start", "every", "most"), [(0, 7, None), (13, 1, None), (13, 5, 40), (0, 1, 1), (60, 1, None)]
)
def test_which_frames_are_given(plain: Path, start: int, every: int, most: int | None) -> None:
    with Clip(plain, start=start, every=every, max_frames=most) as clip:
        frames = list(clip)
        expected = [index for index in range(50)[:most] if index >= start and index % every == 0]
        assert written(frames) == [frame.index for frame in frames] == expected
        assert clip.expected == len(expected)
        assert clip.shortfall is None


def test_channels_are_red_green_blue(clip: ModuleType, tmp_path: Path) -> None:
    red = np.zeros((64, 64, 3), np.uint8)
    red[:, :, 2] = 200  # OpenCV's order
    path = clip.write(tmp_path / "red.mp4", [red] * 3)
    with Clip(path) as frames:
        pixels = next(iter(frames)).pixels
    assert pixels[:, :, 0].mean() > 150
    assert pixels[:, :, 2].mean() < 50


def test_a_turned_video_is_read_upright(rotated: Path) -> None:
    with Clip(rotated) as clip:
        assert next(iter(clip)).pixels.shape == (160, 120, 3)


def test_a_variable_rate_keeps_the_containers_times(uneven: Path) -> None:
    with Clip(uneven) as clip:
        seconds = np.array([frame.seconds for frame in clip])
    assert seconds[:26] == pytest.approx(np.arange(26) / 25)
    assert np.diff(seconds[25:]) == pytest.approx(np.full(24, 3 / 25))
    assert clip.shortfall is None


def test_a_video_that_breaks_off_is_used_as_far_as_it_goes(truncated: Path) -> None:
    with Clip(truncated) as clip:
        frames = list(clip)
    assert 20 < len(frames) < 80
    assert clip.shortfall is not None
    assert "of 4.0 seconds" in clip.shortfall


def test_stopping_is_no_shortfall(truncated: Path) -> None:
    with Clip(truncated) as clip:
        for frame in clip:
            if frame.index == 5:
                clip.stop()
    assert frame.index == 5
    assert clip.shortfall is None


def test_what_is_no_video_is_a_sentence(tmp_path: Path, plain: Path) -> None:
    empty, text, cut = tmp_path / "empty.mp4", tmp_path / "text.mp4", tmp_path / "cut.mp4"
    empty.touch()
    text.write_text("hello " * 1000)
    cut.write_bytes(plain.read_bytes()[:3000])  # the table of an MP4 stands at its end
    cases: list[tuple[str | Path, str]] = [
        (tmp_path / "none.mp4", "no file lies at"),
        (tmp_path, "is a folder, not a video"),
        (empty, "has no bytes"),
        (text, "no video stream"),
        (cut, "no video stream"),
        ("http://localhost:1/x.mp4", "no file lies at"),
        ("nul\0.mp4", "no file lies at"),
    ]
    for path, sentence in cases:
        with pytest.raises(VideoError, match=sentence) as raised:
            Clip(path)
        assert raised.value.exit_code == 3


def test_a_video_without_frames(hollow: Path) -> None:
    with Clip(hollow) as clip, pytest.raises(VideoError, match="no frame"):
        list(clip)


@pytest.mark.parametrize("wrong", [{"every": 0}, {"max_frames": 0}])
def test_impossible_options(plain: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        Clip(plain, **wrong)


def test_a_camera_that_is_not_there() -> None:
    with pytest.raises(VideoError, match="camera:63 does not open"):
        Camera(63)


def test_a_file_stands_in_for_a_camera(plain: Path) -> None:
    with Camera(str(plain), every=2) as camera:
        frames = list(camera)
        assert camera.expected is None
    assert written(frames) == list(range(0, 50, 2))
    assert [frame.seconds for frame in frames] == pytest.approx([index / 25 for index in range(0, 50, 2)])
    assert camera.shortfall is None


def ticking(until: int, gate: threading.Semaphore) -> Iterator[Frame]:
    for index in range(until):
        gate.acquire()
        yield Frame(index, index / 10, np.zeros((2, 2, 3), np.uint8))


def test_a_slow_consumer_gets_the_newest_frame() -> None:
    gate, stopped = threading.Semaphore(0), threading.Event()
    frames = newest(ticking(10, gate), stopped)
    gate.release()
    assert next(frames).index == 0
    gate.release(6)
    deadline = time.monotonic() + 20
    seen = 0
    while seen < 6 and time.monotonic() < deadline:
        seen = next(frames).index
    assert seen == 6
    gate.release(3)
    assert list(frames)[-1].index == 9
    assert stopped.is_set()


def test_leaving_the_newest_frames_ends_their_thread() -> None:
    gate, stopped = threading.Semaphore(1000), threading.Event()
    frames = newest(ticking(500, gate), stopped)
    next(frames)
    frames.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name == "mien-camera"]
