from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from mien.cli import app
from mien.video.frames import Clip

MIEN = (sys.executable, "-m", "mien")


@pytest.fixture(scope="module")
def film(clip: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second of two people."""
    return clip.write(  # type: ignore[no-any-return]
        tmp_path_factory.mktemp("films") / "film.mp4", clip.frames(25, size=(320, 240))
    )


@pytest.fixture
def mien(tiny_bundle: Path) -> Any:
    """Runs `mien video` inside of this process."""

    def run(*arguments: str | Path) -> Result:
        fixed = ["video", "--model", str(tiny_bundle), "--threads", "1"]
        return CliRunner().invoke(app, [*fixed, *map(str, arguments)])

    return run


def records(lines: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.splitlines()]


def test_in_a_pipe_come_faces_and_tracks(mien: Any, film: Path) -> None:
    done = mien(film)
    assert done.exit_code == 0
    assert re.fullmatch(r"mien: 25 frames, 2 people followed, .+ s\n", done.stderr)
    found = records(done.stdout)
    assert [record["track"] for record in found if record["record"] == "track"] == [1, 2]
    faces = [record for record in found if record["record"] == "face"]
    assert {record["frame"] for record in faces} == set(range(25))
    assert {record["source"] for record in found} == {str(film)}


def test_the_annotated_video_is_as_long(mien: Any, film: Path, tmp_path: Path) -> None:
    done = mien(film, "--output", tmp_path / "out.mp4", "--rows", "tracks", "--every", "2")
    assert done.exit_code == 0
    assert {record["record"] for record in records(done.stdout)} == {"track"}
    with Clip(tmp_path / "out.mp4") as out:
        assert out.rate == pytest.approx(12.5)
        assert len(list(out)) == 13


def test_records_go_to_a_file_of_the_suffixs_format(mien: Any, film: Path, tmp_path: Path) -> None:
    done = mien(film, "--records", tmp_path / "out.parquet", "--max-frames", "6")
    assert (done.exit_code, done.stdout) == (0, "")
    table = pq.read_table(tmp_path / "out.parquet")
    assert set(table["frame"].to_pylist()) == set(range(6))
    assert re.fullmatch(r"mien: 6 frames, 2 people followed -> \S+out\.parquet, .+ s\n", done.stderr)


def test_a_file_may_play_the_camera(mien: Any, film: Path) -> None:
    done = mien("--camera", film, "--rows", "tracks")
    assert done.exit_code == 0
    assert [record["views"] for record in records(done.stdout)] == [25, 25]


def test_what_was_read_of_a_broken_file_is_kept(mien: Any, clip: ModuleType, tmp_path: Path) -> None:
    path = clip.write(tmp_path / "film.avi", clip.frames(100, size=(240, 180)))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
    done = mien(path, "--output", tmp_path / "out.mp4", "--records", tmp_path / "out.csv")
    assert done.exit_code == 3
    assert "of 4.0 seconds: it is damaged or breaks off" in done.stderr
    assert (tmp_path / "out.csv").read_text().count("\n1,track,") == 2
    with Clip(tmp_path / "out.mp4") as out:
        assert 20 < len(list(out)) < 60
    assert mien(path, "--quiet").stderr == ""


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ([], 2, "name one video file, or a camera"),
        (["{film}", "--camera", "0"], 2, "name one video file, or a camera"),
        (["none.mp4"], 3, "no file lies at none.mp4"),
        (["--camera", "63"], 3, "camera:63 does not open"),
        (["{film}", "--format", "json"], 2, "unknown format 'json': did you mean"),
        (["{film}", "--records", "x.doc"], 2, "names no format"),
        (["{film}", "--rows", "faces"], 2, "unknown choice of --rows 'faces'"),
        (["{film}", "--output", "x.gif"], 2, "ends in .avi"),
        (["{film}", "--output", "no/x.mp4"], 2, "cannot write to no"),
        (["{film}", "--output", "{film}"], 2, "is the video itself"),
        (["{film}", "--every", "0"], 2, "must be 1 or more"),
        (["{film}", "--survive", "-1"], 2, "must be 0 or more"),
        (["{film}", "--level", "2"], 2, "between 0 and 1"),
        (["{film}", "--detector", "mtcn"], 2, "did you mean 'mtcnn'?"),
    ],
)
def test_faults_are_a_sentence_and_a_code(
    mien: Any,
    film: Path,
    *,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    done = mien(*(argument.format(film=film) for argument in arguments))
    assert (done.exit_code, done.stdout) == (code, "")
    assert sentence in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_opencv_does_not_chatter(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("hello " * 100)
    done = subprocess.run(
        [*MIEN, "video", str(tmp_path / "text.mp4"), "--model", str(tiny_bundle)], capture_output=True, check=False
    )
    assert done.returncode == 3
    assert done.stderr.decode().count("\n") == 1


def test_an_interrupt_keeps_what_was_done(tiny_bundle: Path, clip: ModuleType, tmp_path: Path) -> None:
    path = clip.write(tmp_path / "long.mp4", clip.frames(120, size=(320, 240)))
    arguments = ["video", path, "--model", tiny_bundle, "--threads", "1", "--output", tmp_path / "out.mp4"]
    with subprocess.Popen([*MIEN, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        lines = [running.stdout.readline()]
        running.send_signal(signal.SIGINT)
        rest, errors = running.communicate(timeout=120)
    assert running.returncode == 130
    assert errors == b"mien: interrupted: what was read until then is written\n"
    found = [json.loads(line) for line in [*lines, *rest.splitlines()]]
    frames = {record["frame"] for record in found if record["record"] == "face"}
    assert 1 <= len(frames) < 120
    tracks = [record for record in found if record["record"] == "track"]
    assert [track["last"]["frame"] for track in tracks] == [max(frames)] * 2
    with Clip(tmp_path / "out.mp4") as out:
        assert len(list(out)) == max(frames) + 1


def test_a_terminal_sees_tracks_and_the_time_left(tiny_bundle: Path, film: Path) -> None:
    ours, theirs = pty.openpty()
    arguments = ["video", film, "--model", tiny_bundle, "--threads", "1"]
    with subprocess.Popen([*MIEN, *map(str, arguments)], stdout=theirs, stderr=theirs) as running:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
    os.close(ours)
    assert running.returncode == 0
    assert shown.count(b'"record": "track"') == 2
    assert b'"record": "face"' not in shown
    assert b"/25" in shown
    assert b"frames" in shown
