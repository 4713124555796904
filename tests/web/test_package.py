"""The package in Chromium: its example, its inputs and errors, hostile files, memory, and the answers of Python."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="needs playwright, of the extra dev")

from benchmarks.browser.memory import MANY, resident
from benchmarks.browser.parity import Differences
from benchmarks.browser.serving import Host, hosting
from PIL import Image
from playwright.sync_api import Browser, Page, expect

import mien

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60_000
START = """async (options) => {
    globalThis.mien = await import(new URL("/mien/index.js", location.href));
    globalThis.analyzer = await mien.load({ model: "mien-s", ...options });
}"""
ANALYZE = """async ([path, choice]) => {
    const blob = await (await fetch(path)).blob();
    try {
        return await analyzer.analyze(blob, choice);
    } catch (error) {
        return { thrown: true, kind: error.kind, message: error.message };
    }
}"""


@pytest.fixture(scope="module")
def photos(examples: Path) -> dict[str, bytes]:
    """Photos by their name."""
    found = {path.name: path.read_bytes() for path in examples.glob("*.jpg")}
    with Image.open(examples / "hopper.jpg") as image:
        found["lying.jpg"] = _saved(image.rotate(90, expand=True), "JPEG", exif=_turned(6))
        found["large.jpg"] = _saved(image.resize((3000, 3516)), "JPEG")
        clear = image.convert("RGBA")
        clear.putalpha(Image.linear_gradient("L").resize(image.size))
        found["clear.png"] = _saved(clear, "PNG")
        found["portrait.webp"] = _saved(image, "WEBP", lossless=True)
        found["fallen.jpg"] = _saved(image.rotate(90, expand=True), "JPEG")
        far = Image.new("RGB", (4032, 3024), (90, 120, 150))
        for place, side in enumerate((150, 260, 700)):
            far.paste(image.resize((side, side * 600 // 512)), (1000 * place + 300, 700 * place + 50))
        found["far.jpg"] = _saved(far, "JPEG")
    return found


@pytest.fixture(scope="module")
def host(written: Path, photos: dict[str, bytes]) -> Iterator[Host]:
    files = {f"/photos/{name}": (data, "application/octet-stream") for name, data in photos.items()}
    files["/"] = b"<!doctype html><title>package</title>", "text/html"
    files["/page.html"] = (ROOT / "web" / "examples" / "page.html").read_bytes(), "text/html"
    with hosting(Host({"/mien/": written / "device"}, files)) as made:
        yield made


@pytest.fixture(scope="module")
def page(browser: Browser, host: Host) -> Iterator[Page]:
    """A page with an analyzer."""
    with browser.new_context() as context:
        made = context.new_page()
        made.set_default_timeout(PATIENCE)
        made.goto(host.at("/"))
        made.evaluate(START, {})
        yield made


def _saved(image: Image.Image, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def _turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def test_answers_are_those_of_python(page: Page, photos: dict[str, bytes]) -> None:
    analyzer = mien.load("mien-s", threads=1)
    found, told = Differences(), {}
    for name, data in photos.items():
        theirs = page.evaluate(ANALYZE, [f"/photos/{name}", {}])
        ours = analyzer(data)
        told[name] = tuple(theirs[key] for key in ("width", "height", "scale", "turned", "incomplete"))
        assert told[name] == (ours.width, ours.height, ours.scale, ours.turned, ours.incomplete)
        found.add(name, ours.faces, theirs["faces"])
    assert told["lying.jpg"] == (512, 600, 1, 0, False)
    assert told["fallen.jpg"] == (600, 512, 1, 90, False)
    assert told["far.jpg"] == (4032, 3024, 1, 0, False)
    assert told["large.jpg"][2] < 1
    record = found.to_dict()
    assert record["photos"] == len(photos)
    assert record["faces"] == len(photos) + 2
    assert record["unmatched"] == record["swapped"] == []
    assert record["overlap_least"] > 0.95
    assert record["years_most"] <= 0.3


def test_the_example_page(browser: Browser, host: Host, examples: Path) -> None:
    lines = (ROOT / "web" / "examples" / "page.html").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 35
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(host.at("/page.html"))
        page.get_by_label("A picture").set_input_files(examples / "hopper.jpg")
        expect(page.locator("li")).to_contain_text("about 8", timeout=PATIENCE)
        grey = io.BytesIO()
        Image.new("RGB", (64, 64), "grey").save(grey, "PNG")
        page.get_by_label("A picture").set_input_files(
            {"name": "a.png", "mimeType": "image/png", "buffer": grey.getvalue()}
        )
        expect(page.locator("li")).to_have_text("no face", timeout=PATIENCE)


def test_whatever_a_page_has_of_a_photo_is_taken(page: Page) -> None:
    years = page.evaluate(
        """async () => {
            const blob = await (await fetch("/photos/portrait.webp")).blob();
            const image = new Image();
            image.src = URL.createObjectURL(blob);
            await image.decode();
            const canvas = document.createElement("canvas");
            [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
            const context = canvas.getContext("2d");
            context.drawImage(image, 0, 0);
            const data = context.getImageData(0, 0, canvas.width, canvas.height);
            const bitmap = await createImageBitmap(blob);
            const bytes = await blob.arrayBuffer();
            const found = [];
            for (const input of [blob, bytes, new Uint8Array(bytes), image, canvas, data, bitmap]) {
                found.push((await analyzer.analyze(input)).faces[0].age.years);
            }
            found.push(bitmap.width); // still the caller's
            return found;
        }"""
    )
    assert years.pop() == 512
    assert max(years) - min(years) < 1e-6


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ("analyzer.analyze(7)", "usage"),
        ("analyzer.analyze(null)", "usage"),
        ("analyzer.analyze(new Blob([]))", "empty"),
        ("analyzer.analyze({ data: new Uint8Array(7), width: 2, height: 2 })", "not_an_image"),
        ("analyzer.analyze(document.createElement('video'))", "empty"),
        ("analyzer.analyze(new Image())", "truncated"),
        ("mien.load({ model: 'mien-x' })", "usage"),
        ("mien.load({ minFace: 3 })", "usage"),
        ("mien.load({ model: './nowhere/' })", "network"),
        ("mien.load({ assets: '/nowhere/' })", "browser"),
        ("analyzer.explain(new Uint8Array(0))", "empty"),
        ("analyzer.analyze(new Blob(['x']), { signal: AbortSignal.abort() })", "aborted"),
    ],
)
def test_errors_are_typed_sentences(page: Page, call: str, kind: str) -> None:
    found = page.evaluate(
        f"""async () => {{
            try {{ await {call}; }}
            catch (error) {{ return [error.kind, error.message, error instanceof mien.MienError]; }}
        }}"""
    )
    assert found[0] == kind, found
    assert found[2]
    assert len(found[1]) > 20


def test_a_model_by_the_address_of_its_folder(page: Page) -> None:
    name = page.evaluate(
        """async () => {
            const other = await mien.load({ model: "/mien/models/mien-s/" });
            const blob = await (await fetch("/photos/hopper.jpg")).blob();
            const [one, two] = await Promise.all([other.analyze(blob), analyzer.analyze(blob)]);
            other.close();
            return [one.faces[0].age.years, two.faces[0].age.years];
        }"""
    )
    assert name[0] == name[1]


def test_fifty_hostile_files_and_the_worker_goes_on(page: Page, host: Host, photos: dict[str, bytes]) -> None:
    rng = random.Random(26)
    whole = list(photos.values())
    for number in range(50):
        data = bytearray(rng.choice(whole))
        for _ in range(rng.choice((1, 20, 400))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if number % 3 == 0:
            del data[rng.randrange(len(data)) :]
        if number % 7 == 0:
            data = bytearray(rng.randbytes(3000))
        host.files[f"/photos/hostile-{number}"] = bytes(data), "application/octet-stream"
    found = [page.evaluate(ANALYZE, [f"/photos/hostile-{number}", {}]) for number in range(50)]
    refused = [one for one in found if "thrown" in one]
    assert 10 < len(refused) < 50
    assert {one["kind"] for one in refused} <= {"empty", "truncated", "not_an_image", "too_large", "unsupported"}
    (face,) = page.evaluate(ANALYZE, ["/photos/hopper.jpg", {}])["faces"]
    assert face["age"]["years"] > 70


def test_a_worker_that_breaks_down_is_started_again(page: Page) -> None:
    found = page.evaluate(
        """async () => {
            const made = [];
            const { Worker: Real } = globalThis;
            globalThis.Worker = class extends Real { constructor(...given) { super(...given); made.push(this); } };
            const other = await mien.load({ model: "mien-s" });
            globalThis.Worker = Real;
            const blob = await (await fetch("/photos/hopper.jpg")).blob();
            const open = other.analyze(blob).catch((error) => error.kind);
            made[0].dispatchEvent(new ErrorEvent("error", { message: "out of memory" }));
            const kind = await open;
            const { faces } = await other.analyze(blob);
            other.close();
            const closed = await other.analyze(blob).catch((error) => error.kind);
            return [kind, faces.length, closed];
        }"""
    )
    assert found == ["memory", 1, "aborted"]


def test_several_questions_at_once_and_one_given_up(page: Page) -> None:
    found = page.evaluate(
        """async () => {
            const blob = await (await fetch("/photos/hopper.jpg")).blob();
            const stop = new AbortController();
            const given = (k) => ({ source: `p${k}`, ...(k === 3 && { signal: stop.signal }) });
            const asked = [0, 1, 2, 3, 4].map((k) => analyzer.analyze(blob, given(k)));
            stop.abort();
            return (await Promise.allSettled(asked)).map(({ value, reason }) => value?.source ?? reason.kind);
        }"""
    )
    assert found == ["p0", "p1", "p2", "aborted", "p4"]


def test_memory_does_not_grow(page: Page) -> None:
    """Of all of Chromium's processes, after enough photos for WebAssembly to have taken what it needs."""
    names = ["/photos/astronaut.jpg", "/photos/hopper.jpg"]
    for _ in range(2):
        page.evaluate(MANY, names * 10)
    grown = []
    for _ in range(3):  # what is only waiting to be collected does not grow each time
        before = resident()
        page.evaluate(MANY, names * 10)
        grown.append(resident() - before)
    assert min(grown) < 20e6, grown


FOLLOW = """async (count) => {
    if (!globalThis.video) {
        globalThis.video = document.createElement("video");
        video.muted = true;
        video.srcObject = await navigator.mediaDevices.getUserMedia({ video: { width: 1280, height: 720 } });
        await video.play();
        globalThis.followed = analyzer.follow();
    }
    let faces = 0;
    for (let k = 0; k < count; k += 1) faces += (await followed.take(video, performance.now() / 1000)).faces.length;
    return faces;
}"""


def test_memory_does_not_grow_over_a_camera(page: Page) -> None:
    """Bitmaps of a video grow it by a megabyte a frame, until the browser needs the memory elsewhere."""
    assert page.evaluate(FOLLOW, 40) >= 39
    grown = []
    for _ in range(3):
        before = resident()
        page.evaluate(FOLLOW, 40)
        grown.append(resident() - before)
    page.evaluate("for (const track of video.srcObject.getTracks()) track.stop()")
    assert min(grown) < 20e6, grown


def test_frames_of_a_video_are_read_as_they_are_shown(page: Page) -> None:
    """Of any format, cut, turned, with wide pixels; as from a bitmap, and the caller's frame stays open."""
    ages = page.evaluate(
        """async () => {
            const picture = await createImageBitmap(await (await fetch("/photos/hopper.jpg")).blob());
            const canvas = new OffscreenCanvas(512, 600);
            const context = canvas.getContext("2d");
            const drawn = (turn) => {
                context.setTransform(1, 0, 0, 1, 0, 0);
                if (turn) context.setTransform(-1, 0, 0, -1, 512, 600);
                context.drawImage(picture, 0, 0);
                return context.getImageData(0, 0, 512, 600).data;
            };
            const size = { codedWidth: 512, codedHeight: 600, timestamp: 0 };
            const upright = drawn(false);
            const swapped = upright.map((_, k) => upright[k % 4 === 3 ? k : k - (k % 4) + 2 - (k % 4)]);
            const planes = new Uint8Array(1.5 * 512 * 600).fill(128);
            for (let k = 0; k < 512 * 600; k += 1) {
                const [red, green, blue] = upright.subarray(4 * k, 4 * k + 3);
                planes[k] = 16 + 0.257 * red + 0.504 * green + 0.098 * blue;
            }
            const frames = {
                canvas: new VideoFrame(canvas, { timestamp: 0 }),
                rgba: new VideoFrame(upright, { ...size, format: "RGBA" }),
                bgra: new VideoFrame(swapped, { ...size, format: "BGRA" }),
                part: new VideoFrame(upright, {
                    ...size, format: "RGBA", visibleRect: { x: 10, y: 20, width: 480, height: 560 },
                }),
                wide: new VideoFrame(upright, { ...size, format: "RGBA", displayWidth: 768, displayHeight: 600 }),
                turned: new VideoFrame(drawn(true), { ...size, format: "RGBA", rotation: 180 }),
                grey: new VideoFrame(planes, { ...size, format: "I420" }),
            };
            const found = {};
            for (const [name, frame] of Object.entries(frames)) {
                const one = await analyzer.analyze(frame, { rotate: 0 });
                const bitmap = await createImageBitmap(frame, { colorSpaceConversion: "none" });
                const other = await analyzer.analyze(bitmap, { rotate: 0 });
                found[name] = [one, other].map(({ width, height, faces }) => [width, height, faces[0]?.age.years]);
                bitmap.close();
                frame.close();
            }
            return found;
        }"""
    )
    sizes = {name: tuple(one[:2]) for name, (one, _) in ages.items()}
    assert sizes == dict.fromkeys(ages, (512, 600)) | {"part": (480, 560), "wide": (768, 600)}
    for name, (one, other) in ages.items():
        assert one[:2] == other[:2], name
        assert one[2] == pytest.approx(other[2], abs=0.3), ages
    assert ages["turned"][0][2] == pytest.approx(ages["rgba"][0][2], abs=0.3)


def test_a_jpeg_that_ends_too_early_counts_where_it_counts_in_python(
    page: Page, host: Host, photos: dict[str, bytes]
) -> None:
    analyzer = mien.load("mien-s", threads=1)
    whole = photos["hopper.jpg"]
    told = {}
    for share in (0.5, 0.9, 0.98):
        data = whole[: int(share * len(whole))]
        host.files["/photos/cut"] = data, "image/jpeg"
        (ours,) = analyzer.stream([data])
        theirs = page.evaluate(ANALYZE, ["/photos/cut", {}])
        if ours.error is not None:
            assert theirs["kind"] == ours.error.kind
        else:
            assert theirs["incomplete"] == ours.incomplete
            assert abs(theirs["faces"][0]["age"]["years"] - ours.faces[0].age.years) <= 0.3
        told[share] = ours.error is None
    assert set(told.values()) == {True, False}


def test_a_tab_put_to_sleep_goes_on_when_it_wakes(browser: Browser, host: Host) -> None:
    """Chromium's own way of freezing a tab in the background, with an answer on its way."""
    with browser.new_context() as context:
        made = context.new_page()
        made.set_default_timeout(PATIENCE)
        made.goto(host.at("/"))
        made.evaluate(START, {})
        made.evaluate(
            """async () => {
                const blob = await (await fetch("/photos/hopper.jpg")).blob();
                globalThis.asked = [0, 1, 2].map(() => analyzer.analyze(blob));
            }"""
        )
        devtools = context.new_cdp_session(made)
        devtools.send("Page.setWebLifecycleState", {"state": "frozen"})
        made.wait_for_timeout(1500)
        devtools.send("Page.setWebLifecycleState", {"state": "active"})
        assert made.evaluate("async () => (await Promise.all(asked)).map(({ faces }) => faces.length)") == [1, 1, 1]
        assert made.evaluate(ANALYZE, ["/photos/astronaut.jpg", {}])["faces"]
