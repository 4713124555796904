"""Names of any bytes, as Linux allows them, given to what is written in C."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from mien import names
from mien.batch import tables
from mien.cli import app
from mien.errors import ModelError, PhotoMissing, UsageError
from mien.names import plain_name
from mien.photos.item import read_file
from mien.video.frames import Clip

ODD = "caf\udce9"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all names are Unicode")


@pytest.fixture
def odd(tmp_path: Path, tiny_bundle: Path, clip: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of such a name, with a video, a photo and a model of such names."""
    folder = tmp_path / ODD
    folder.mkdir()
    monkeypatch.chdir(folder)
    made = clip.write(tmp_path / "film.mp4", clip.frames(6, size=(160, 120)))
    shutil.copy(made, folder / f"{ODD}.mp4")
    shutil.copy(made, folder / "plain.mp4")
    shutil.copytree(tiny_bundle, folder / f"{ODD}-model")
    Image.new("RGB", (40, 40), (77, 77, 77)).save(folder / f"{ODD}.png")
    return folder


def mien(command: str, *arguments: str) -> Result:
    fixed = ["--model", f"{ODD}-model", "--threads", "1"] if command in ("video", "predict", "count") else []
    return CliRunner().invoke(app, [command, *fixed, *arguments])


def test_the_bytes_are_odd(odd: Path) -> None:
    assert b"\xe9" in os.fsencode(odd)


@pytest.mark.parametrize("name", [f"{ODD}.mp4", "plain.mp4"])
@pytest.mark.parametrize("option", [[], ["--camera"]])
@pytest.mark.parametrize("output", [f"{ODD}-out.mp4", f"{ODD}-out.avi", "plain-out.mkv"])
def test_a_video_goes_in_and_out(odd: Path, *, name: str, option: list[str], output: str) -> None:
    done = mien("video", *option, name, "--output", output, "--records", f"{ODD}.csv")
    assert (done.exit_code, done.stderr.count("\n")) == (0, 1)
    with Clip(odd / output) as written:
        assert len(list(written)) == 6
    assert (odd / f"{ODD}.csv").read_text().count("\n") > 2
    assert not list(odd.glob(".*part*"))


def test_a_video_that_is_not_there_is_a_sentence(odd: Path) -> None:
    done = mien("video", f"{ODD}-none.mp4")
    assert done.exit_code == 3
    assert r"no file lies at caf\udce9-none.mp4" in done.stderr


def test_a_camera_that_is_not_there_is_a_sentence(odd: Path) -> None:
    done = mien("video", "--camera", f"/dev/{ODD}")
    assert done.exit_code == 3
    assert r"/dev/caf\udce9 does not open" in done.stderr


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_photos_models_and_tables(odd: Path, form: str) -> None:
    done = mien("predict", f"{ODD}.png", "--detector", "whole", "--output", f"{ODD}.{form}")
    assert (done.exit_code, done.stderr.count("\n")) == (0, 1)
    assert b"udce9.png" in (odd / f"{ODD}.{form}").read_bytes() or form == "parquet"


def test_a_broken_model_is_a_sentence(odd: Path) -> None:
    (odd / f"{ODD}-model" / "model.onnx").write_bytes(b"broken")
    done = mien("predict", f"{ODD}.png", "--detector", "whole")
    assert done.exit_code == 4
    assert "cannot be loaded" in done.stderr


@pytest.mark.parametrize("prefix", ["", "sqlite:///"])
def test_a_database_of_counts(odd: Path, prefix: str) -> None:
    database = f"{prefix}{ODD}.db"
    assert mien("count", f"{ODD}.mp4", "--birth", "1", "--min-face", "20", "--database", database).exit_code == 0
    done = mien("counts", database, "--output", f"{ODD}.csv")
    assert (done.exit_code, done.stderr.count("\n")) == (0, 1)
    assert r"caf\udce9.mp4" in (odd / f"{ODD}.csv").read_text()


def test_an_archive_of_tables(odd: Path) -> None:
    fixed = ["--model", f"{ODD}-model", "--detector", "whole", "--processes", "1", "--quiet"]
    first = CliRunner().invoke(app, ["batch", f"{ODD}.png", *fixed, "--output", f"{ODD}.parquet"])
    assert first.exit_code == 0, first.output
    again = CliRunner().invoke(app, ["batch", f"{ODD}.parquet", *fixed, "--output", "again", "--column", "source"])
    assert again.exit_code == 3, again.output  # the table is read; the photo's name in it is printed, no path
    with plain_name(odd / f"{ODD}.parquet") as name:
        assert pq.read_table(name).num_rows == 1


def test_the_shipped_network_finds_its_weights_beside_it(odd: Path, examples: Path) -> None:
    import mien as library
    from mien.estimate.bundle import available
    from mien.estimate.explain import make

    shutil.copytree(available()["mien-s"], odd / f"{ODD}-s")
    analyzer = library.load(odd / f"{ODD}-s", threads=1)
    assert analyzer(examples / "hopper.jpg").faces
    assert make(analyzer.estimator, "cam") is not None


def test_names_are_printed_as_the_bytes_they_are(odd: Path) -> None:
    assert mien("count", "plain.mp4", "--database", "counts.db").exit_code == 0
    command = [sys.executable, "-m", "mien", "counts", "counts.db", "--output", f"{ODD}.csv"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout == b"caf\xe9.csv\n"


def test_without_another_way_to_the_file_it_is_a_sentence(odd: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_OPEN_FILES", Path("/nowhere"))
    with pytest.raises(ModelError, match="rename the file or its folder"), plain_name(f"{ODD}.mp4", ModelError):
        pass


@pytest.mark.parametrize("address", ["https://a.org/b.jpg", "http://a.org/b.jpg?size=[1]*2", "s3://bucket/b.jpg"])
def test_an_address_given_as_a_photo_is_told_so(tiny_bundle: Path, address: str) -> None:
    done: Any = CliRunner().invoke(app, ["predict", address, "--model", str(tiny_bundle), "--threads", "1"])
    assert done.exit_code == 3
    assert '"kind": "missing"' in done.stdout
    assert f"{address}, which is an address; mien reads files: download it first" in done.stdout
    with pytest.raises(PhotoMissing, match="which is an address"):
        read_file(address)


@pytest.mark.parametrize("address", ["https://a.org/b.parquet", "s3://bucket/*.parquet"])
def test_so_is_an_address_given_as_a_table(address: str) -> None:
    with pytest.raises(UsageError, match="which is an address"):
        tables.named(address)
