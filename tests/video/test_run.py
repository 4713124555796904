from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from mien import video
from mien.analyzer import Analyzer, Options
from mien.video.frames import Frame
from mien.video.records import TrackedFrame

BOTH = {1, 2}


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer("mien-m", Options(threads=1))


@pytest.fixture(scope="module")
def tiny(tiny_bundle: Path) -> Analyzer:
    return Analyzer(tiny_bundle, Options(threads=1))


@pytest.fixture(scope="module")
def crossing(clip: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people who pass each other."""
    return clip.write(tmp_path_factory.mktemp("clips") / "crossing.mp4", clip.frames(75))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def hidden(clip: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of them is hidden for eight frames."""
    frames = clip.frames(75, occlusion=True, size=(480, 360))
    return clip.write(tmp_path_factory.mktemp("clips") / "hidden.mp4", frames)  # type: ignore[no-any-return]


def ages(frames: list[TrackedFrame], track: int) -> tuple[list[float], list[float]]:
    """Frame-wise and averaged ages of a track, from its birth on."""
    seen = [face for frame in frames for face in frame.faces if face.track == track]
    return [face.face.age.years for face in seen], [face.age.years for face in seen]


def test_two_moving_faces_keep_two_tracks_whose_ages_do_not_jump(analyzer: Analyzer, crossing: Path) -> None:
    with video.analyze(crossing, analyzer) as clip:
        frames = list(clip)
        tracks = clip.rest()
    assert [frame.index for frame in frames] == list(range(75))
    assert {face.track for frame in frames[2:] for face in frame.faces} == BOTH
    assert [(track.number, track.first_frame, track.last_frame) for track in tracks] == [(1, 0, 74), (2, 0, 74)]
    assert min(track.views for track in tracks) >= 73
    for number, track in zip((1, 2), tracks, strict=True):
        raw, averaged = ages(frames, number)
        assert np.std(averaged) <= np.std(raw) / 3
        assert averaged[-1] == track.age.years
        assert track.age.low < track.age.years < track.age.high
    assert abs(tracks[0].age.years - tracks[1].age.years) > 30  # a mixture of the two would have made them alike


def test_a_brief_occlusion_does_not_end_a_track(tiny: Analyzer, hidden: Path) -> None:
    with video.analyze(hidden, tiny) as clip:
        frames = list(clip)
        tracks = clip.rest()
    assert sum(len(frame.faces) == 1 for frame in frames) >= 6
    assert sorted(track.number for track in tracks) == [1, 2]
    assert {track.last_frame for track in tracks} == {74}


def test_tracks_come_as_they_end(tiny: Analyzer, clip: ModuleType, tmp_path: Path) -> None:
    frames = clip.frames(20, size=(320, 240), people=1)
    empty = clip.frames(40, size=(320, 240), people=0)
    path = clip.write(tmp_path / "visits.mp4", frames + empty + frames)
    with video.analyze(path, tiny) as visits:
        seen = list(visits)
        rest = visits.rest()
    ended = [(frame.index, track) for frame in seen for track in frame.ended]
    assert [(index, track.number, track.first_frame, track.last_frame) for index, track in ended] == [(45, 1, 0, 19)]
    assert [(track.number, track.first_frame, track.last_frame) for track in rest] == [(2, 60, 79)]
    assert [frame.index for frame in seen if frame.quiet] == list(range(45, 60))
    with video.analyze(path, tiny) as again:
        assert [(track.number, track.views) for track in again.tracks()] == [(1, 20), (2, 20)]


def test_every_nth_frame(tiny: Analyzer, crossing: Path) -> None:
    with video.analyze(video.Clip(crossing, every=5), tiny) as clip:
        frames = list(clip)
        tracks = clip.rest()
    assert [frame.index for frame in frames] == list(range(0, 75, 5))
    assert [track.views for track in tracks] == [15, 15]


def test_pictures_come_on_demand(tiny: Analyzer, crossing: Path) -> None:
    with video.analyze(video.Clip(crossing, max_frames=2), tiny, pictures=True) as clip:
        shapes = [frame.pixels.shape for frame in clip if frame.pixels is not None]
    assert shapes == [(480, 640, 3)] * 2
    with video.analyze(video.Clip(crossing, max_frames=2), tiny) as clip:
        assert [frame.pixels for frame in clip] == [None, None]


def test_abstaining_holds_for_frames_and_averages_alike(tiny_bundle: Path, crossing: Path) -> None:
    outcomes = {}
    for abstain in (0.5, 1.0):
        careful = Analyzer(tiny_bundle, Options(threads=1, abstain=abstain))
        with video.analyze(video.Clip(crossing, max_frames=5), careful) as clip:
            frames = list(clip)
            outcomes[abstain] = (frames, clip.rest())
        assert careful.options.abstain == abstain
    frames, tracks = outcomes[1.0]
    assert {face.face.gender.label for frame in frames for face in frame.faces} == {"uncertain"}
    assert {track.gender.label for track in tracks} == {"uncertain"}
    probabilities = [[track.gender.probability for track in tracks] for _, tracks in outcomes.values()]
    assert probabilities[0] == probabilities[1]


class Dropping:
    """A camera that is lost after some frames, for a while."""

    name: str = "camera:0"
    file: Path | None = None
    rate: float = 25.0
    every: int = 1
    expected: int | None = None
    shortfall: str | None = None
    lost: int = 0

    def __init__(self, frames: list[np.ndarray], blanks: int) -> None:
        self.blanks = blanks
        self.taken: list[str] = []
        self._frames = [np.ascontiguousarray(frame[:, :, ::-1]) for frame in frames]

    def __enter__(self) -> Dropping:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def stop(self) -> None:
        pass

    def __iter__(self) -> Iterator[Frame]:
        for index, pixels in enumerate(self._frames):
            self.taken.append("frame")
            yield Frame(index, index / 25, pixels)
        for number in range(self.blanks):
            self.taken.append("blank")
            yield Frame(len(self._frames), len(self._frames) / 25 + (number + 1) / 2, np.zeros((0, 0, 3), np.uint8))
        for index, pixels in enumerate(self._frames, len(self._frames)):
            self.taken.append("again")
            yield Frame(index, index / 25 + self.blanks / 2 + 0.1, pixels)


@pytest.mark.parametrize("threads", [1, 3])
def test_while_a_camera_is_lost_all_that_was_seen_is_told(tiny_bundle: Path, clip: ModuleType, threads: int) -> None:
    source = Dropping(clip.frames(1, size=(320, 240)) * 6, blanks=4)
    with video.analyze(source, Analyzer(tiny_bundle, Options(threads=threads))) as analysis:
        told = [
            (source.taken.count("again"), frame.index, len(frame.faces), [track.number for track in frame.ended])
            for frame in analysis
        ]
        rest = analysis.rest()
    assert [entry[:3] for entry in told[:6]] == [(0, index, 2) for index in range(6)]  # none waits for the camera
    blanks = told[6:10]
    assert [entry[:3] for entry in blanks] == [(0, 6, 0)] * 4
    assert [number for entry in blanks for number in entry[3]] == [1, 2]  # gone for longer than they survive
    assert [entry[1:3] for entry in told[10:]] == [(index, 2) for index in range(6, 12)]
    assert [(track.number, track.first_frame, track.last_frame) for track in rest] == [(3, 6, 11), (4, 6, 11)]


def test_who_is_still_there_after_a_short_loss_is_the_same(tiny: Analyzer, clip: ModuleType) -> None:
    source = Dropping(clip.frames(1, size=(320, 240)) * 6, blanks=1)
    with video.analyze(source, tiny) as analysis:
        tracks = list(analysis.tracks())
    assert {(track.first_frame, track.last_frame) for track in tracks} == {(0, 11)}
