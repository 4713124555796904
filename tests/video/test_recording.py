from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from mien import video
from mien.analyzer import Analyzer, Options
from mien.errors import UsageError


@pytest.fixture(scope="module")
def analyzer(tiny_bundle: Path) -> Analyzer:
    return Analyzer(tiny_bundle, Options(threads=1))


@pytest.fixture(scope="module")
def film(clip: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people, for half a second."""
    path = tmp_path_factory.mktemp("films") / "film.mp4"
    return clip.write(path, clip.frames(12, size=(320, 240)))  # type: ignore[no-any-return]


class Watching:
    """Notes what it is told, and ends the source after some frames."""

    def __init__(self, source: video.Clip, last: int) -> None:
        self.told: list[str] = []
        self._source, self._last = source, last

    def clear(self) -> None:
        self.told.append("clear")

    def advance(self) -> None:
        self.told.append("advance")
        if self.told.count("advance") == self._last:
            self._source.stop()


def test_records_and_the_annotated_video_of_what_was_read_before_a_stop(
    analyzer: Analyzer, film: Path, tmp_path: Path
) -> None:
    clip = video.Clip(film, every=2)
    watching = Watching(clip, 4)
    with video.analyze(clip, analyzer, pictures=True) as analysis:
        done = video.record(
            analysis, tmp_path / "rows.jsonl", rows="tracks", annotated=tmp_path / "out.mp4", progress=watching
        )
    assert 4 <= done.frames < 6  # one may be on its way when the source is told to stop
    tracks = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(tracks) == done.tracks >= 1
    assert max(track["views"] for track in tracks) == done.frames
    assert watching.told == ["clear", "advance"] * done.frames + ["clear"]
    with video.Clip(tmp_path / "out.mp4") as out:
        assert len(list(out)) == done.frames
        assert out.rate == pytest.approx(12.5)


@pytest.mark.parametrize("as_camera", [False, True])
def test_a_video_is_never_overwritten_by_its_own_copy(analyzer: Analyzer, film: Path, *, as_camera: bool) -> None:
    before = film.read_bytes()
    source = video.Camera(str(film)) if as_camera else video.Clip(film)
    with video.analyze(source, analyzer, pictures=True) as analysis, pytest.raises(UsageError, match="video itself"):
        video.record(analysis, film.parent / "rows.csv", annotated=film.parent / "." / film.name)
    assert film.read_bytes() == before
    assert not (film.parent / "rows.csv").exists()
