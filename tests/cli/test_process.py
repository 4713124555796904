"""The command among closed streams, read-only places and people who press Ctrl-C; and how it speaks of options."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from mien.cli import app
from mien.errors import UsageError
from mien.sinks import open_output
from mien.sinks.pictures import AnnotatedFolder
from mien.video.records import TrackedFrame
from mien.video.writer import AnnotatedVideo

MIEN = f"{sys.executable} -m mien"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.new("RGB", (40, 40), (77, 77, 77)).save(path)
    return path


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def fixed(tiny_bundle: Path) -> str:
    return f"--model {tiny_bundle} --detector whole --threads 1"


@pytest.mark.parametrize(
    ("closed", "code", "rows"),
    [("2>&-", 0, 1), ("<&-", 0, 1), ("<&- 2>&-", 0, 1), (">&-", 2, 0), ("<&- >&- 2>&-", 2, 0)],
)
def test_rows_come_where_they_can(photo: Path, fixed: str, *, closed: str, code: int, rows: int) -> None:
    done = shell(f"{MIEN} predict {photo} {fixed} {closed}", photo.parent)
    assert (done.returncode, done.stdout.count("\n")) == (code, rows)
    assert "Traceback" not in done.stderr
    if closed == ">&-":
        assert done.stderr.startswith("mien: standard output is closed")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_files_are_written_whatever_is_closed(photo: Path, fixed: str, closed: str) -> None:
    done = shell(f"{MIEN} predict {photo} none.png {fixed} -o rows.jsonl {closed}", photo.parent)
    assert done.returncode == 3
    assert (photo.parent / "rows.jsonl").read_text().count("\n") == 2


@pytest.mark.parametrize(
    ("words", "code"), [("models", 0), ("explain {photo} {fixed} --side 8", 0), ("video none.mp4 {fixed}", 3)]
)
def test_other_commands_live_without_standard_error_and_input(photo: Path, fixed: str, words: str, code: int) -> None:
    words = words.format(photo=photo, fixed=fixed)
    heard, unheard = (shell(f"{MIEN} {words} {closed}", photo.parent) for closed in ("", "<&- 2>&-"))
    assert (heard.returncode, unheard.returncode, unheard.stdout) == (code, code, heard.stdout)
    assert "Traceback" not in heard.stderr


def test_nothing_comes_from_a_closed_input(photo: Path, fixed: str) -> None:
    done = shell(f"{MIEN} predict - {fixed} <&-", photo.parent)
    assert done.returncode == 3
    assert "nothing came in" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("sent", [b"", b"\n", b" \n\r\n\t\n"])
def test_no_name_is_no_input(tiny_bundle: Path, sent: bytes) -> None:
    done = CliRunner().invoke(app, ["predict", "-", "--model", str(tiny_bundle), "--threads", "1"], input=sent)
    assert done.exit_code == 3
    assert done.stdout.count("\n") == 1
    assert "nothing came in" in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_words_that_nobody_hears_change_nothing(photo: Path, fixed: str) -> None:
    done = shell(f"{MIEN} predict {photo} none.png {fixed} 2> /dev/full", photo.parent)
    assert (done.returncode, done.stdout.count("\n")) == (3, 2)
    left = shell(f"{MIEN} predict {photo} none.png {fixed} 2> >(exec true)", photo.parent)
    assert (left.returncode, left.stdout.count("\n")) == (3, 2)


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a read-only file system says to everything that would change it; removing what is not there included."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    opened = Path.open

    def open_to_read(self: Path, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        return refuse() if set(mode) & set("wax+") else opened(self, mode, *arguments, **named)

    opened_low = os.open

    def open_low_to_read(path: Any, flags: int, *arguments: Any, **named: Any) -> int:
        if str(path).startswith(str(tmp_path)) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            refuse()
        return opened_low(path, flags, *arguments, **named)

    monkeypatch.setattr(os, "open", open_low_to_read)
    monkeypatch.setattr(Path, "open", open_to_read)
    for name in ("unlink", "touch", "mkdir", "write_text", "write_bytes", "replace"):
        monkeypatch.setattr(Path, name, refuse)
    monkeypatch.setattr(Image.Image, "save", refuse)


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.png"])
def test_a_read_only_file_system_is_one_sentence(tmp_path: Path, read_only: None, name: str) -> None:
    with pytest.raises(UsageError, match="Read-only file system") as raised, open_output(tmp_path / name):
        pass
    assert raised.value.__context__ is raised.value.__cause__  # nothing went wrong on the way out


@pytest.mark.parametrize(
    "words",
    [
        ["predict", "{photo}", "--output", "{folder}/x.csv"],
        ["predict", "{photo}", "--output", "{folder}/x.parquet"],
        ["predict", "{photo}", "--annotate", "{folder}/drawn"],
        ["explain", "{photo}", "--output", "{folder}/x.png", "--detector", "whole"],
        ["video", "{film}", "--output", "{folder}/x.mp4"],
        ["video", "{film}", "--records", "{folder}/x.jsonl"],
        ["batch", "{photo}", "--output", "{folder}/x.parquet"],
        ["models", "--output", "{folder}/x.txt"],
    ],
    ids=lambda words: " ".join(words[::2]),
)
def test_commands_say_so_in_one_sentence(
    photo: Path,
    clip: ModuleType,
    tiny_bundle: Path,
    *,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
) -> None:
    film = clip.write(photo.with_name("film.mp4"), clip.frames(3, size=(160, 120)))
    given = [word.format(photo=photo, film=film, folder=photo.parent) for word in words]
    model = [] if words[0] == "models" else ["--model", str(tiny_bundle)]
    request.getfixturevalue("read_only")
    monkeypatch.setattr(os, "access", lambda _, mode, **named: not mode & os.W_OK)
    done = CliRunner().invoke(app, [*given, *model])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Read-only file system" in done.stderr or "does not let you write" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "words", [["models"], ["predict", "{photo}", "--format", "jsonl"], ["explain", "{photo}", "--detector", "whole"]]
)
def test_a_folder_in_the_place_of_a_file_is_one_sentence(photo: Path, tiny_bundle: Path, words: list[str]) -> None:
    place = photo.parent / "place.png"
    place.mkdir()
    model = [] if words[0] == "models" else ["--model", str(tiny_bundle)]
    done = CliRunner().invoke(app, [*(word.format(photo=photo) for word in words), *model, "--output", str(place)])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "is a folder" in done.stderr
    assert done.stderr.count("\n") == 1
    assert sorted(path.name for path in photo.parent.iterdir()) == ["photo.png", "place.png"]


def test_no_picture_on_a_read_only_file_system(
    tmp_path: Path, answers: list[Any], tracked_frame: TrackedFrame, request: pytest.FixtureRequest
) -> None:
    folder = AnnotatedFolder(tmp_path)
    request.getfixturevalue("read_only")
    assert tracked_frame.pixels is not None
    with pytest.raises(UsageError, match="Read-only file system"):
        folder.write(answers[1], tracked_frame.pixels)
    with pytest.raises(UsageError, match="Read-only file system"), AnnotatedVideo(tmp_path / "x.mp4", 25.0) as video:
        video.write(tracked_frame, "tiny")


@pytest.fixture
def tracked_frame() -> TrackedFrame:
    import numpy as np

    return TrackedFrame(0, 0.0, 160, 120, (), (), quiet=True, pixels=np.full((120, 160, 3), 128, np.uint8))


def test_a_table_on_a_read_only_file_system(tmp_path: Path, read_only: None) -> None:
    from mien.cli.output import write

    with pytest.raises(UsageError, match="Read-only file system"):
        write("text", tmp_path / "x.csv")


interruptible = pytest.mark.skipif(
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN, reason="a background job is not interrupted"
)


@interruptible
@pytest.mark.parametrize("command", ["doctor", "models", "predict"])
@pytest.mark.parametrize("after", [0.01, 0.05, 0.1, 0.2, 0.3, 0.5])
def test_an_interrupt_at_the_start_is_one_line(tmp_path: Path, command: str, after: float) -> None:
    arguments = [command, *(["-", "--output", "x.csv"] if command == "predict" else [])]
    # The clock begins when the command does: how long Python itself takes to start is the machine's affair.
    code = "import sys, mien.cli; sys.stderr.write('up'); sys.stderr.flush(); mien.cli.main()"
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], cwd=tmp_path, stdin=-1, stdout=-1, stderr=-1
    ) as running:
        assert running.stderr is not None
        assert running.stderr.read(2) == b"up"
        time.sleep(after)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=60)
    assert running.returncode in {130, 0, -signal.SIGINT}, errors  # some commands are quick, and over by then
    assert b"Traceback" not in errors
    if running.returncode == 130:
        assert errors.startswith(b"mien: interrupted")
        assert errors.count(b"\n") == 1
    assert list(tmp_path.iterdir()) == []


@interruptible
def test_an_interrupted_import_is_finished_first(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(0.6)\n")
    code = (
        "import mien.cli.interrupts as i, sys; i.catch_interrupts(); print('up', flush=True)\n"
        "try:\n    import slow\n    import time; time.sleep(5)\nexcept KeyboardInterrupt:\n"
        "    print('slow' in sys.modules)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=-1, stderr=-1) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"up\n"
        time.sleep(0.2)
        running.send_signal(signal.SIGINT)
        out, errors = running.communicate(timeout=60)
    assert (out, errors) == (b"True\n", b"")


@interruptible
def test_an_interrupted_prediction_points_to_batch(photo: Path, fixed: str) -> None:
    command = [*MIEN.split(), "predict", "-", *fixed.split(), "--output", "x.csv"]
    with subprocess.Popen(command, cwd=photo.parent, stdin=-1, stdout=-1, stderr=-1) as running:
        assert running.stdin is not None
        running.stdin.write(f"{photo}\n".encode() * 20)
        running.stdin.flush()
        while not list(photo.parent.glob(".x.csv.*.part")):
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=60)
    assert running.returncode == 130
    assert b"x.csv is only written when it is complete" in errors
    assert b"mien batch" in errors
    assert [path.name for path in photo.parent.iterdir()] == ["photo.png"]


@pytest.mark.parametrize(
    ("arguments", "typed"),
    [
        (["predict", "{photo}", "--min-face", "5"], "mien: --min-face is 5"),
        (["predict", "{photo}", "--max-faces", "0"], "mien: --max-faces is 0"),
        (["predict", "{photo}", "--threshold", "2"], "mien: --threshold is 2"),
        (["predict", "{photo}", "--threads", "-1"], "mien: --threads must be 0"),
        (["predict", "{photo}", "--batch-size", "0"], "mien: --batch-size: the batch size must be 1 or more"),
        (["predict", "{photo}", "--abstain", "2"], "mien: --abstain: "),
        (["check-age", "{photo}", "--max-false-pass", "0"], "mien: --max-false-pass is a share"),
        (["video", "--camera", "0", "--reconnect", "-1"], "mien: --reconnect: the seconds to try again"),
        (["video", "{film}", "--reconnect", "3"], "mien: --reconnect is for cameras"),
        (["video", "{film}", "--max-frames", "0"], "mien: --max-frames: the number of frames"),
        (["video", "{film}", "--every", "0"], "mien: --every: "),
        (["count", "{film}", "--survive", "-1"], "mien: --survive: "),
        (["serve", "--max-batch", "0"], "mien: --max-batch must be 1 or more"),
    ],
)
def test_options_are_spoken_of_as_they_are_typed(
    photo: Path, clip: ModuleType, *, tiny_bundle: Path, arguments: list[str], typed: str
) -> None:
    film = clip.write(photo.with_name("film.mp4"), clip.frames(3, size=(160, 120)))
    words = [word.format(photo=photo, film=film) for word in arguments]
    done = CliRunner().invoke(app, [*words, "--model", str(tiny_bundle)])
    assert done.exit_code == 2
    assert typed in done.stderr


@pytest.mark.parametrize("name", ["absent.parquet", "absent.csv", "no/absent.parquet"])
def test_answers_to_compare_with_that_are_not_there(tmp_path: Path, tiny_bundle: Path, name: str) -> None:
    arguments = ["evaluate", str(tiny_bundle), "--data", str(tmp_path), "--against", str(tmp_path / name)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 6
    assert f"mien: no file lies at {tmp_path / name}" in done.stderr


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("command", ["video", "count"])
def test_a_photo_given_as_a_video_is_sent_on(tiny_bundle: Path, tmp_path: Path, *, command: str, form: str) -> None:
    path = tmp_path / f"photo.{form.lower()}"
    Image.new("RGB", (64, 48), "orange").save(path, form)
    done = CliRunner().invoke(app, [command, str(path), "--model", str(tiny_bundle), "--threads", "1"])
    assert (done.exit_code, done.stdout) == (3, "")
    assert "is a photo, not a video" in done.stderr
    assert "mien predict" in done.stderr


@pytest.mark.parametrize(
    "head",
    [
        b"\0\0\0\x18ftypisom" + bytes(200),
        b"\x1a\x45\xdf\xa3" + bytes(200),
        b"RIFF\0\0\0\0AVI LIST" + bytes(200),
        b"FLV\1\5" + bytes(200),
        b"OggS\0\2" + bytes(200),
        (b"G" + bytes(187)) * 4,
        b"\0\0\1\xba" + bytes(200),
    ],
)
@pytest.mark.parametrize("large", [False, True])
def test_a_video_given_as_a_photo_is_sent_on(tiny_bundle: Path, tmp_path: Path, *, head: bytes, large: bool) -> None:
    path = tmp_path / "party.mp4"
    path.write_bytes(head)
    if large:
        os.truncate(path, 300 << 20)
    done = CliRunner().invoke(app, ["predict", str(path), "--model", str(tiny_bundle), "--threads", "1"])
    assert done.exit_code == 3
    assert "not_an_image" in done.stdout
    assert "mien video" in done.stdout


@pytest.mark.parametrize(
    "text", ["https://example.org/a.jpg\n", "HTTP://example.org/a.jpg", "[InternetShortcut]\r\nURL=https://a.org/b\r\n"]
)
def test_a_file_with_an_address_in_it_is_told_so(tiny_bundle: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "a.jpg").write_text(text)
    done = CliRunner().invoke(app, ["predict", str(tmp_path / "a.jpg"), "--model", str(tiny_bundle), "--threads", "1"])
    assert done.exit_code == 3
    assert "the address of something on the network: download that" in done.stdout
