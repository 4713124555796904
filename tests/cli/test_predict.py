from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from mien import __version__
from mien.cli import app, main
from mien.cli.predict.predict import predict

MIEN = (sys.executable, "-m", "mien")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Chips of 20, 21, ... 29 years."""
    inside = tmp_path / "photos"
    inside.mkdir()
    for years in range(20, 30):
        Image.new("RGB", (40, 40), (round(years * 2.55),) * 3).save(inside / f"{years}.png")
    return inside


@pytest.fixture
def mien(tiny_bundle: Path) -> Any:
    """Runs `mien predict` on chips inside of this process."""

    def run(*arguments: str | Path, stdin: bytes | None = None) -> Result:
        fixed = ["predict", "--model", str(tiny_bundle), "--detector", "whole", "--threads", "1"]
        return CliRunner().invoke(app, [*fixed, *map(str, arguments)], input=stdin)

    return run


def command(tiny_bundle: Path, *arguments: str | Path) -> list[str]:
    fixed = ("predict", "--model", tiny_bundle, "--detector", "whole", "--threads", "1")
    return [*MIEN, *map(str, fixed), *map(str, arguments)]


def ages(lines: str) -> list[int | None]:
    records = [json.loads(line) for line in lines.splitlines()]
    return [round(record["faces"][0]["age"]["years"]) if record["faces"] else None for record in records]


def test_in_a_pipe_come_json_lines(mien: Any, folder: Path) -> None:
    done = mien(folder)
    assert done.exit_code == 0
    assert ages(done.stdout) == list(range(20, 30))
    assert re.fullmatch(r"mien: 10 photos, 10 faces, \d+\.\d s\n", done.stderr)
    record = json.loads(done.stdout.splitlines()[0])
    keys = ["schema_version", "source", "model", "width", "height", "scale", "turned", "incomplete", "faces", "error"]
    assert list(record) == keys
    assert "pmf" not in record["faces"][0]["age"]


def test_one_bad_photo_among_good(mien: Any, folder: Path) -> None:
    (folder / "23.png").write_bytes(b"%PDF-1.7")
    done = mien(folder, folder / "none.jpg")
    assert done.exit_code == 3
    assert ages(done.stdout) == [20, 21, 22, None, 24, 25, 26, 27, 28, 29, None]
    errors = [json.loads(line)["error"] for line in done.stdout.splitlines()]
    assert [error["kind"] for error in errors if error] == ["not_an_image", "missing"]
    why = r"2 of 11 photos failed \(1 not_an_image, 1 missing\); their rows say why"
    assert re.fullmatch(rf"mien: 11 photos, 9 faces, \d+\.\d s; {why}\n", done.stderr)


def test_quiet_keeps_the_exit_code(mien: Any, folder: Path) -> None:
    done = mien("--quiet", folder / "none.jpg")
    assert (done.exit_code, done.stderr) == (3, "")


def test_a_photo_without_a_face_is_well(tiny_bundle: Path, tmp_path: Path) -> None:
    Image.new("RGB", (200, 160), (90, 120, 90)).save(tmp_path / "meadow.jpg")
    arguments = ["predict", str(tmp_path), "--model", str(tiny_bundle), "--threads", "1"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["faces"] == []


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--format", "xml"], 2, "mien: unknown format 'xml': choices: csv, json, jsonl, parquet, table"),
        (["--output", "x.doc"], 2, "names no format"),
        (["--detector", "mtcn"], 2, "did you mean 'mtcnn'?"),
        (["--model", "nobody"], 2, "unknown model 'nobody'"),
        (["--model", "no/body"], 4, "model folder no/body does not exist"),
        (["--level", "2"], 2, "between 0 and 1"),
        (["--threads", "-1"], 2, "threads must be 0"),
        (["--output", "no/folder/x.csv"], 2, "cannot write"),
        (["--no-such-option"], 2, "No such option"),
    ],
)
def test_faults_are_a_sentence_and_a_code(
    mien: Any, folder: Path, *, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, sentence: str
) -> None:
    monkeypatch.chdir(folder)
    done = mien(folder, *arguments)
    assert done.exit_code == code
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("arguments", [["predict"], ["predict", "--quiet"]])
def test_no_inputs_is_a_usage_error(arguments: list[str]) -> None:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert "Usage: mien predict" in " ".join(done.output.split()).replace("root", "mien")


def test_standard_input_may_be_a_photo_or_paths(mien: Any, folder: Path) -> None:
    assert ages(mien("-", stdin=(folder / "27.png").read_bytes()).stdout) == [27]
    listed = f"{folder / '28.png'}\n{folder / '21.png'}\n".encode()
    assert ages(mien("-", stdin=listed).stdout) == [28, 21]


def test_every_format_can_be_written_to_a_file(mien: Any, folder: Path, tmp_path: Path) -> None:
    for name in ("x.json", "x.jsonl", "x.csv", "x.parquet", "x.txt"):
        done = mien(folder, "--output", tmp_path / name)
        assert (done.exit_code, done.stdout) == (0, "")
        assert re.fullmatch(rf"mien: 10 photos, 10 faces -> \S+{re.escape(name)}, \d+\.\d s\n", done.stderr)
    whole = json.loads((tmp_path / "x.json").read_text())
    assert whole == [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    rows = list(csv.DictReader(io.StringIO((tmp_path / "x.csv").read_text())))
    assert [round(float(row["age"])) for row in rows] == list(range(20, 30))
    assert pq.read_table(tmp_path / "x.parquet")["age"].to_pylist() == pytest.approx(
        [record["faces"][0]["age"]["years"] for record in whole]
    )
    assert len((tmp_path / "x.txt").read_text().splitlines()) == 11


def test_the_distribution_comes_when_asked_for(mien: Any, folder: Path) -> None:
    pmf = json.loads(mien(folder / "25.png", "--pmf").stdout)["faces"][0]["age"]["pmf"]
    assert len(pmf) == 117
    assert sum(pmf) == pytest.approx(1, abs=1e-4)
    assert int(np.argmax(pmf)) == 25


def test_annotated_pictures_are_written(mien: Any, folder: Path, tmp_path: Path) -> None:
    (folder / "23.png").write_bytes(b"broken")
    done = mien(folder, "--annotate", tmp_path / "drawn")
    assert done.exit_code == 3
    names = sorted(path.name for path in (tmp_path / "drawn").iterdir())
    assert names == [f"{years}.jpg" for years in range(20, 30) if years != 23]
    assert ages(done.stdout) == ages(mien(folder).stdout)


def test_annotating_into_the_folder_of_the_photos_harms_none(mien: Any, folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    mien(folder, "--annotate", folder)
    assert {name: (folder / name).read_bytes() for name in before} == before


def test_options_reach_the_analyzer(mien: Any, tmp_path: Path) -> None:
    half = np.full((40, 40, 3), 51, np.uint8)
    half[:, 20:] = 204
    Image.fromarray(half).save(tmp_path / "half.png")
    assert ages(mien(tmp_path).stdout) == [20]
    assert ages(mien(tmp_path, "--mirror").stdout) == [50]
    wide, narrow = (json.loads(mien(tmp_path, "--level", level).stdout)["faces"][0]["age"] for level in ("0.99", "0.5"))
    assert (wide["level"], narrow["level"]) == (0.99, 0.5)
    assert wide["high"] - wide["low"] > 3 * (narrow["high"] - narrow["low"])


def test_defaults_are_those_of_the_library() -> None:
    import inspect

    from mien.analyzer import Options

    mine = {name: parameter.default for name, parameter in inspect.signature(predict).parameters.items()}
    shared = set(mine) & set(Options.__dataclass_fields__)
    assert len(shared) == 11
    assert {name: mine[name] for name in shared} == {name: getattr(Options(), name) for name in shared}


def test_the_main_job_needs_no_network(
    tiny_bundle: Path, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise AssertionError("the network was asked for")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)
    portraits = sorted(examples.glob("*.jpg"))
    assert portraits, f"no sample portraits in {examples}"
    arguments = ["predict", *map(str, portraits), "--model", str(tiny_bundle), "--threads", "1"]
    done = CliRunner().invoke(app, [*arguments, "--annotate", str(tmp_path)])
    assert done.exit_code == 0, done.output
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [len(record["faces"]) for record in records] == [1] * len(portraits)
    assert len(list(tmp_path.iterdir())) == len(portraits)


def test_a_reader_that_leaves_is_no_fault(tiny_bundle: Path, folder: Path, tmp_path: Path) -> None:
    paths = tmp_path / "paths.txt"
    paths.write_text(f"{folder / '20.png'}\n" * 3000)
    with (
        paths.open() as stdin,
        subprocess.Popen(
            command(tiny_bundle, "-"), stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process,
    ):
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline().startswith(b"{")
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(120) == 0


@pytest.mark.skipif(signal.getsignal(signal.SIGINT) is signal.SIG_IGN, reason="a background job is not interrupted")
def test_an_interrupt_ends_quietly(tiny_bundle: Path, folder: Path, tmp_path: Path) -> None:
    run = command(tiny_bundle, "-", "--output", tmp_path / "x.csv", "--quiet")
    with subprocess.Popen(run, stdin=-1, stdout=-1, stderr=-1) as process:
        assert process.stdin
        process.stdin.write(f"{folder / '20.png'}\n".encode() * 40)
        process.stdin.flush()
        for _ in range(2000):
            if list(tmp_path.glob(".x.csv.*.part")):
                break
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=120)
    assert (process.returncode, out, errors) == (130, b"", b"")
    assert not list(tmp_path.glob("*x.csv*"))


def in_a_terminal(arguments: list[str], *, output_too: bool) -> tuple[str, str]:
    """What a command writes to a pseudo-terminal as standard error (and output), and to a pipe as standard output."""
    main_end, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
    process = subprocess.Popen(
        arguments, stdin=-3, stdout=terminal if output_too else -1, stderr=terminal, env=environment
    )
    os.close(terminal)
    seen, piped = b"", b""
    if process.stdout:
        piped = process.stdout.read()
    while True:
        try:
            part = os.read(main_end, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not part:
            break
        seen += part
    os.close(main_end)
    assert process.wait(120) == 0
    if process.stdout:
        process.stdout.close()
    return seen.decode(), piped.decode()


def test_on_a_terminal_comes_a_table(tiny_bundle: Path, folder: Path) -> None:
    seen, _ = in_a_terminal(command(tiny_bundle, folder, "--quiet"), output_too=True)
    assert "interval" in seen
    assert "\x1b[" in seen  # colours
    assert len(seen.splitlines()) == 11


def test_a_progress_bar_shows_on_standard_error_only(tiny_bundle: Path, folder: Path) -> None:
    seen, piped = in_a_terminal(command(tiny_bundle, folder), output_too=False)
    assert ages(piped) == list(range(20, 30))
    assert "/10" in seen
    assert "{" not in seen


@pytest.mark.parametrize("extra", [["--quiet"], []])
def test_a_few_photos_need_no_bar(tiny_bundle: Path, folder: Path, extra: list[str]) -> None:
    photos = [folder] if extra else [folder / "20.png", folder / "21.png"]
    seen, piped = in_a_terminal(command(tiny_bundle, *photos, *extra), output_too=False)
    assert re.fullmatch("" if extra else r"mien: 2 photos, 2 faces, \d+\.\d s\r\n", seen)
    assert piped


def test_rows_and_bar_share_a_terminal(tiny_bundle: Path, folder: Path) -> None:
    seen, _ = in_a_terminal(command(tiny_bundle, folder), output_too=True)
    assert "/10" in seen
    for years in range(20, 30):
        assert f"{years}.png" in seen


def test_the_version_is_told() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"mien {__version__}\n"


def test_main_exits(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["mien", "predict", "x.jpg", "--model", "nobody"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("mien: unknown model 'nobody'")


def test_annotated_pictures_never_land_among_the_photos(tiny_bundle: Path, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "white").save(tmp_path / "a.png")
    arguments = ["predict", str(tmp_path), "--model", str(tiny_bundle), "--annotate", str(tmp_path / "out")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert "where photos are read from" in done.output
    assert not (tmp_path / "out").exists()


def test_broken_detector_weights_are_no_fault_of_the_photos(tiny_bundle: Path, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "white").save(tmp_path / "a.png")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    weights = ["--detector", "yunet", "--weights", str(tmp_path / "broken.onnx")]
    done = CliRunner().invoke(app, ["predict", str(tmp_path / "a.png"), "--model", str(tiny_bundle), *weights])
    assert done.exit_code == 4
    assert "is no YuNet model" in done.output


def test_a_dash_is_standard_output(mien: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert mien(folder, "-o", "-").stdout == mien(folder).stdout
    assert not (tmp_path / "-").exists()


def test_an_empty_name_is_refused(mien: Any, folder: Path) -> None:
    done = mien("", folder)
    assert done.exit_code == 2
    assert "empty" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_a_sentence(tiny_bundle: Path, folder: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command(tiny_bundle, folder), stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == ["mien: the answers cannot be written: No space left on device"]


def test_pictures_of_photos_with_one_name_are_named_in_the_records(mien: Any, folder: Path, tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        (folder / {"a": "20.png", "b": "29.png"}[place]).rename(tmp_path / place / "x.png")
    sources = (tmp_path / "a" / "x.png", tmp_path / "b" / "x.png")
    done = mien(*sources, "--annotate", tmp_path / "drawn", "--crops", tmp_path / "cut")
    assert done.exit_code == 0, done.output
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["annotated"] for record in records] == ["x.jpg", "x-2.jpg"]
    assert [record["faces"][0]["crop"] for record in records] == ["x-face0.jpg", "x-2-face0.jpg"]
    for record, shade in zip(records, (51, 74), strict=True):
        assert (tmp_path / "drawn" / record["annotated"]).is_file()
        with Image.open(tmp_path / "cut" / record["faces"][0]["crop"]) as chip:
            assert chip.size == (32, 32)
            assert np.asarray(chip).mean() == pytest.approx(shade, abs=2)
    done = mien(*sources, "--annotate", tmp_path / "drawn", "--format", "csv")
    assert [row["annotated"] for row in csv.DictReader(io.StringIO(done.stdout))] == ["x.jpg", "x-2.jpg"]
    assert "crop" not in done.stdout.splitlines()[0]


def test_crops_are_kept_apart_from_photos_and_pictures(mien: Any, folder: Path, tmp_path: Path) -> None:
    inside = mien(folder, "--crops", folder / "faces")
    assert (inside.exit_code, "--crops" in str(inside.exception) + inside.stderr) == (2, True)
    same = mien(folder, "--crops", tmp_path / "out", "--annotate", tmp_path / "out")
    assert same.exit_code == 2
    assert mien(folder).exit_code == 0
    assert not (tmp_path / "out").exists()


@pytest.fixture
def small(examples: Path, tmp_path: Path) -> Path:
    """A face of some 27 pixels in a photo of 3,200: far below the 80th of its side that is promised."""
    with Image.open(examples / "hopper.jpg") as image:
        portrait = image.convert("RGB")
    scene = Image.new("RGB", (3200, 300), (110, 120, 130))
    scene.paste(portrait.reduce(8), (1500, 20))
    scene.save(tmp_path / "small.png")
    return tmp_path / "small.png"


@pytest.mark.parametrize(("option", "faces", "scale"), [([], 0, 0.64), (["--min-face", "20"], 1, 1.0)])
@pytest.mark.parametrize("command_", ["predict", "batch"])
def test_the_smallest_face_decides_at_which_scale_a_photo_is_searched(
    tiny_bundle: Path, small: Path, *, command_: str, option: list[str], faces: int, scale: float
) -> None:
    rows = small.with_name("rows.parquet" if command_ == "batch" else "rows.jsonl")
    words = [command_, str(small), "--model", str(tiny_bundle), "--output", str(rows), "--quiet", *option]
    assert CliRunner().invoke(app, words).exit_code == 0
    if command_ == "batch":
        found = pq.read_table(rows).to_pylist()
        assert len([row for row in found if row["face"] is not None]) == faces
    else:
        record = json.loads(rows.read_text())
        assert (len(record["faces"]), record["scale"]) == (faces, pytest.approx(scale, abs=0.01))


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
@pytest.mark.parametrize("rotate", ["auto", "asked for"])
def test_a_portrait_that_lies_is_told_in_the_pixels_of_the_file(
    tiny_bundle: Path, examples: Path, tmp_path: Path, *, turn: int, rotate: str
) -> None:
    with Image.open(examples / "hopper.jpg") as image:
        upright = image.convert("RGB")
    upright.rotate(turn, expand=True).save(tmp_path / "lying.png")
    upright.save(tmp_path / "upright.png")
    fixed = ["predict", "--model", str(tiny_bundle), "--threads", "1"]
    asked = [] if rotate == "auto" else ["--rotate", str(turn)]
    plain, lying = (
        json.loads(CliRunner().invoke(app, [*fixed, str(tmp_path / name), *words]).stdout)
        for name, words in (("upright.png", []), ("lying.png", asked))
    )
    assert (lying["turned"], lying["width"], lying["height"]) == (
        turn,
        *(upright.size if turn in {0, 180} else upright.size[::-1]),
    )
    left, top, right, bottom = (plain["faces"][0]["box"][side] for side in ("left", "top", "right", "bottom"))
    width, height = upright.size
    meant = {
        0: (left, top, right, bottom),
        90: (top, width - right, bottom, width - left),
        180: (width - right, height - bottom, width - left, height - top),
        270: (height - bottom, left, height - top, right),
    }[turn]
    (face,) = lying["faces"]
    assert [face["box"][side] for side in ("left", "top", "right", "bottom")] == pytest.approx(meant, abs=2)
    assert face["age"]["years"] == pytest.approx(plain["faces"][0]["age"]["years"], abs=0.5)


@pytest.mark.parametrize("cut", [2, 200, 400])
def test_the_record_says_that_a_photo_is_incomplete(mien: Any, examples: Path, tmp_path: Path, cut: int) -> None:
    data = (examples / "hopper.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(data[:-cut])
    done = mien(examples / "hopper.jpg", tmp_path / "cut.jpg")
    assert done.exit_code == 0
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert [record["incomplete"] for record in records] == [False, True]
    (tmp_path / "cut.jpg").write_bytes(data[: len(data) // 2])
    done = mien(tmp_path / "cut.jpg")
    assert (done.exit_code, json.loads(done.stdout)["error"]["kind"]) == (3, "truncated")
