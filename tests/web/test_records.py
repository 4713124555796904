"""Records of the browser have the names of Python's, in the same order, with the same kinds of values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="needs playwright, of the extra dev")

from benchmarks.browser.serving import Host, hosting
from PIL import Image
from playwright.sync_api import Browser, Page
from typer.testing import CliRunner

from mien.cli import app

PATIENCE = 60_000
START = """async () => {
    globalThis.mien = await import(new URL("/page/device/index.js", location.href));
    globalThis.analyzer = await mien.load({ model: "mien-s" });
    const { DeviceApi } = await import(new URL("/page/js/device-api.js", location.href));
    globalThis.api = new DeviceApi(new URL("/page/device/", location.href), () => {});
    await api.models();
    globalThis.blobOf = async (name) => (await fetch(`/photos/${name}`)).blob();
}"""
OURS_ALONE = {"crop", "annotated"}  # names of files, which a browser does not write


@pytest.fixture(scope="module")
def photos(examples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A portrait, several faces, none, a lying one, a large one, one that breaks off and one that is none."""
    folder = tmp_path_factory.mktemp("photos")
    portrait = (examples / "hopper.jpg").read_bytes()
    (folder / "a-portrait.jpg").write_bytes(portrait)
    with Image.open(examples / "hopper.jpg") as hopper, Image.open(examples / "astronaut.jpg") as astronaut:
        both = Image.new("RGB", (1200, 700), (90, 120, 150))
        both.paste(hopper, (10, 50))
        both.paste(astronaut.resize((300, 300)), (700, 100))
        both.save(folder / "b-two.png")
        hopper.rotate(90, expand=True).save(folder / "d-lying.png")
        hopper.resize((3000, 3516)).save(folder / "e-large.jpg")
    Image.new("RGB", (200, 150), (90, 120, 150)).save(folder / "c-none.png")
    (folder / "f-cut.jpg").write_bytes(portrait[: len(portrait) // 3])
    (folder / "g-notes.jpg").write_bytes(b"notes, and no picture")
    (folder / "h-empty.jpg").write_bytes(b"")
    return folder


@pytest.fixture(scope="module")
def page(browser: Browser, written: Path, photos: Path) -> Iterator[Page]:
    """A page with an analyzer, and with what the page of `mien web` asks for answers."""
    files = {f"/photos/{path.name}": (path.read_bytes(), "application/octet-stream") for path in photos.iterdir()}
    files["/"] = b"<!doctype html><title>records</title>", "text/html"
    with hosting(Host({"/page/": written}, files)) as host, browser.new_context() as context:
        made = context.new_page()
        made.set_default_timeout(PATIENCE)
        made.goto(host.at("/"))
        made.evaluate(START)
        yield made


def python(command: str, folder: Path, *options: str) -> list[dict[str, Any]]:
    """Records of a command of `mien`; their sources without the folder."""
    fixed = ["--model", "mien-s", "--threads", "1", *options]
    done = CliRunner().invoke(app, [command, str(folder), *fixed])
    records = [json.loads(line) for line in done.stdout.splitlines()]
    return [{**record, "source": Path(record["source"]).name} for record in records]


def compare(ours: Any, theirs: Any, place: str = "") -> None:
    """The same names in the same order, the same kinds of values, the same texts, and nearly the same numbers."""
    if isinstance(ours, dict):
        assert list(theirs) == [name for name in ours if name not in OURS_ALONE], place
        for name, value in theirs.items():
            compare(ours[name], value, f"{place}.{name}")
    elif isinstance(ours, list):
        assert len(theirs) == len(ours), place
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            compare(one, other, f"{place}[{index}]")
    elif isinstance(ours, int | float) and not isinstance(ours, bool):
        assert isinstance(theirs, int | float), place
        assert not isinstance(theirs, bool), place
        assert theirs == pytest.approx(ours, rel=0.02, abs=0.6), place
    elif place.endswith((".reason", ".error.message", ".note")):  # sentences with numbers, or with what Python advises
        assert type(theirs) is type(ours), place
    else:
        assert theirs == ours, place


@pytest.mark.parametrize("pmf", [False, True])
def test_records_of_photos_have_the_names_of_those_of_mien_predict(page: Page, photos: Path, pmf: bool) -> None:
    ours = python("predict", photos, *(["--pmf"] if pmf else []))
    whole = [record for record in ours if record["error"] is None]
    assert [len(record["faces"]) for record in whole] == [1, 2, 0, 1, 1]
    theirs = page.evaluate(
        """async ([names, pmf]) => {
            const found = [];
            for (const source of names) {
                found.push(mien.toRecord(await analyzer.analyze(await blobOf(source), { source }), { pmf }));
            }
            return found;
        }""",
        [[record["source"] for record in whole], pmf],
    )
    compare(whole, theirs)
    assert whole[0]["faces"][0].keys() >= {"box", "age", "gender", "quality"}
    assert ("pmf" in theirs[0]["faces"][0]["age"]) is pmf


def test_records_of_the_page_have_the_same_names_and_tell_failures_alike(page: Page, photos: Path) -> None:
    ours = python("predict", photos, "--pmf")
    theirs = page.evaluate(
        """async (names) => {
            const files = [];
            for (const name of names) files.push(new File([await blobOf(name)], name));
            return api.predict(files, { model: "mien-s" });
        }""",
        [record["source"] for record in ours],
    )
    compare(ours, theirs)
    kinds = [record["error"] and record["error"]["kind"] for record in theirs]
    assert kinds == [None] * 5 + ["truncated", "not_an_image", "empty"]


def test_age_checks_have_the_names_of_those_of_mien_check_age(page: Page, photos: Path) -> None:
    for name in ("a-portrait.jpg", "b-two.png", "c-none.png"):
        theirs = page.evaluate(
            """async (source) => {
                const photo = await analyzer.analyze(await blobOf(source), { source });
                return mien.toCheckRecord(analyzer.checkAge(photo, { minAge: 18 }));
            }""",
            name,
        )
        compare(python("check-age", photos / name, "--min-age", "18"), [theirs])


@pytest.mark.parametrize("target", ["age", "gender"])
def test_explanations_have_the_names_of_those_of_mien_explain(page: Page, photos: Path, target: str) -> None:
    (told,) = python("explain", photos / "a-portrait.jpg", "--target", target, "--method", "cam", "--format", "json")
    theirs = page.evaluate(
        """async (target) => {
            const { photo, explanation } = await analyzer.explain(await blobOf("a-portrait.jpg"), { target });
            return [mien.toRecord(photo).faces[0], explanation];
        }""",
        target,
    )
    (face,) = told["faces"]
    number, explanation = face.pop("number"), face.pop("explanation")
    assert number == 1
    compare([face, explanation], theirs)
