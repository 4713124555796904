from __future__ import annotations

from datetime import datetime
from pathlib import Path
from types import ModuleType

import pytest

from mien.analyzer import Analyzer, Options
from mien.count import Counting, CountOptions
from mien.errors import UsageError
from mien.video import Camera, Clip
from mien.video.records import TrackedFrame


@pytest.fixture(scope="module")
def analyzer(tiny_bundle: Path) -> Analyzer:
    return Analyzer(tiny_bundle, Options(threads=1))


@pytest.fixture(scope="module")
def film(clip: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people, for a second."""
    path = tmp_path_factory.mktemp("films") / "film.mp4"
    return clip.write(path, clip.frames(25, size=(320, 240)))  # type: ignore[no-any-return]


def test_a_count_that_was_stopped_goes_on_and_then_is_finished(analyzer: Analyzer, film: Path, tmp_path: Path) -> None:
    database = str(tmp_path / "counts.db")

    def stop(frame: TrackedFrame) -> None:
        if frame.index >= 8:
            source.stop()

    with Clip(film) as source, Counting(source, analyzer, database) as counting:
        assert counting.run(stop) == 0  # whoever is in the picture then is left to the next run
        assert not counting.finished
    for _ in range(2):
        with Clip(film) as source, Counting(source, analyzer, database) as counting:
            before, visitors = counting.finished, counting.run()
            counts = counting.store.counts()
    assert before
    assert visitors == sum(row.visitors for row in counts) == 2
    assert {(row.source, row.seconds, row.clock) for row in counts} == {("film.mp4", 60, "offset")}


def test_a_recording_has_a_date_and_a_camera_the_clock(analyzer: Analyzer, film: Path, tmp_path: Path) -> None:
    options = CountOptions(start=datetime(2026, 11, 22, 9, 59, 50), interval=10, name="door")
    database = str(tmp_path / "counts.db")
    with Clip(film) as source, Counting(source, analyzer, database, options) as counting:
        counting.run()
        assert {row.begins for row in counting.store.counts("door")} == {"2026-11-22T09:59:50Z"}
    with Camera(str(film)) as camera, pytest.raises(UsageError, match="start is for files"):
        Counting(camera, analyzer, database, options)
    with pytest.raises(UsageError, match="1 second or longer, not 0"):
        CountOptions(interval=0)
