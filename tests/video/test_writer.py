from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.errors import UsageError
from mien.video.frames import Clip
from mien.video.records import TrackedFrame
from mien.video.writer import AnnotatedVideo, annotated


def read(path: Path) -> list[np.ndarray]:
    with Clip(path) as clip:
        return [frame.pixels for frame in clip]


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_a_video_is_written_and_plays(tracked: TrackedFrame, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    with AnnotatedVideo(path, 10.0) as out:
        for index in range(5):
            out.write(replace(tracked, seconds=3 + index / 10), "tiny")
        assert not path.exists()
    frames = read(path)
    assert len(frames) == 5
    assert frames[0].shape == (360, 480, 3)  # a small video is enlarged, so that plates can be read
    assert np.ptp(frames[0].mean(axis=2)) > 80
    assert list(tmp_path.iterdir()) == [path]


def test_frames_are_held_and_left_out_to_keep_time(tracked: TrackedFrame, tmp_path: Path) -> None:
    with AnnotatedVideo(tmp_path / "out.avi", 10.0) as out:
        for seconds, grey in [(0.0, 20), (0.1, 90), (0.13, 250), (0.5, 160)]:
            pixels = np.full((120, 160, 3), grey, np.uint8)
            out.write(replace(tracked, seconds=seconds, faces=(), pixels=pixels), "tiny")
    greys = [round(float(frame.mean()), -1) for frame in read(tmp_path / "out.avi")]
    assert greys == [20, 90, 90, 90, 90, 160]


def test_frames_of_another_size_are_fitted(tracked: TrackedFrame, tmp_path: Path) -> None:
    with AnnotatedVideo(tmp_path / "out.avi", 10.0) as out:
        for index, shape in enumerate([(480, 641, 3), (90, 120, 3)]):
            frame = replace(tracked, seconds=index / 10, pixels=np.full(shape, 99, np.uint8), width=shape[1])
            out.write(frame, "tiny")
    assert [frame.shape for frame in read(tmp_path / "out.avi")] == [(480, 640, 3)] * 2


def test_only_tracks_are_drawn_each_in_its_tint(tracked: TrackedFrame) -> None:
    drawn = annotated(tracked, "tiny", (640, 480))
    changed = (drawn != 128).any(axis=2)
    assert changed[120:320, 155:325].any()  # around the box of the track
    assert not changed[:, 420:].any()  # the face that is none yet
    other = replace(tracked, faces=(replace(tracked.faces[0], track=4),))
    assert (annotated(other, "tiny", (640, 480)) != drawn).any()


def test_a_failure_leaves_nothing(tracked: TrackedFrame, tmp_path: Path) -> None:
    def fail() -> None:
        with AnnotatedVideo(tmp_path / "out.mp4", 10.0) as out:
            out.write(tracked, "tiny")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_no_frame_no_file(tmp_path: Path) -> None:
    with AnnotatedVideo(tmp_path / "out.mp4", 10.0):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "sentence"), [("out.gif", "ends in"), ("no/out.mp4", "there is no folder")])
def test_names_that_cannot_be_written(tmp_path: Path, name: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        AnnotatedVideo(tmp_path / name, 25.0)
