"""The page that `mien web` writes, below a sub-path of a plain file host, in Chromium; no server answers photos."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="needs playwright, of the extra dev")
pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python, of the extra dev")

from benchmarks.browser.serving import Host, hosting
from PIL import Image
from playwright.sync_api import Browser, FilePayload, expect
from tests.service.browsing import Visit, visit
from tests.service.test_page import blank, look, save, tab_to, text

HOPPER = 77
Open = Callable[..., Visit]
DEEP = "/deep/down/"
NO_GRAPHICS = "No available adapters."
"""Chromium's own remark where a page asks for WebGPU and there is no graphics card."""


@pytest.fixture(scope="module")
def host(written: Path) -> Iterator[Host]:
    with hosting(Host({DEEP: written})) as made:
        yield made


@pytest.fixture
def open_page(browser: Browser, host: Host) -> Iterator[Open]:
    """Opens the page; afterwards no other host may have been asked, and nothing may have gone wrong."""
    visits: list[Visit] = []
    with ExitStack() as stack:

        def start(at: Host = host, **options: Any) -> Visit:
            made = visit(browser, at.at(DEEP), **options)
            stack.callback(made.context.close)
            visits.append(made)
            return made

        yield start
        for made in visits:
            assert made.hosts() == {made.page.url.split("/")[2]}
            assert [fault for fault in made.faults if fault != NO_GRAPHICS] == []
            assert [request.url for request in made.requests if request.method != "GET"] == []


@pytest.fixture
def page(open_page: Open) -> Visit:
    return open_page()


@pytest.fixture
def hopper(examples: Path) -> Path:
    return examples / "hopper.jpg"


def damaged(hopper: Path) -> list[FilePayload]:
    """Files that no picture can be made of, each with what is said of it."""
    data = hopper.read_bytes()
    bomb = io.BytesIO()
    Image.new("L", (12_000, 9_000)).save(bomb, "PNG")
    return [
        {"name": "cut.jpg", "mimeType": "image/jpeg", "buffer": data[:9000]},
        {"name": "large.png", "mimeType": "image/png", "buffer": bomb.getvalue()},
        {"name": "empty.jpg", "mimeType": "image/jpeg", "buffer": b""},
        {"name": "garbled.png", "mimeType": "image/png", "buffer": b"\x89PNG\r\n\x1a\n" + bytes(range(200))},
    ]


class TestPictures:
    def test_a_portrait_gets_the_answer_of_python(self, page: Visit, hopper: Path) -> None:
        import mien

        page.choose(hopper)
        page.photo()
        (record,) = json.loads(save(page, "JSON"))
        (face,) = record["faces"]
        (told,) = mien.load("mien-s")(hopper.read_bytes()).faces
        assert record["schema_version"] == 1
        assert abs(face["age"]["years"] - told.age.years) <= 0.3
        assert face["gender"]["label"] == told.gender.label
        assert face["quality"]["flags"] == list(told.quality.flags)
        assert abs(face["box"]["left"] - told.box.left) < 1
        expect(page.page.get_by_text("Stays on this device", exact=True)).to_be_visible()

    def test_bad_files_are_told_and_the_next_one_works(self, page: Visit, hopper: Path) -> None:
        page.choose(text("notes.txt"), *damaged(hopper), hopper)
        wanted = ["is no picture", "breaks off", "from 12000 × 9000 pixels", "is empty", "breaks off"]
        for at, told in enumerate(wanted):  # the large one is made smaller by the page
            expect(page.photo(at)).to_contain_text(told)
        expect(page.photo(5).locator(".card")).to_have_count(1)

    def test_pasted(self, page: Visit, hopper: Path) -> None:
        page.page.evaluate(
            """async (bytes) => {
                const data = new DataTransfer();
                data.items.add(new File([Uint8Array.from(bytes)], "pasted.jpg", { type: "image/jpeg" }));
                const event = new ClipboardEvent("paste", { bubbles: true, cancelable: true, clipboardData: data });
                document.body.dispatchEvent(event);
            }""",
            list(hopper.read_bytes()),
        )
        expect(page.photo().locator(".card")).to_have_count(1)

    def test_old_enough_and_why(self, page: Visit, hopper: Path) -> None:
        page.page.get_by_role("radio", name="Old enough?").check()
        page.choose(hopper, blank())
        expect(page.photo(0).locator(".verdict")).to_contain_text("18 or older with a probability of 99.9 %")
        expect(page.photo(1).locator(".verdict")).to_contain_text("No face was found")
        page.photo(0).get_by_role("button", name="Why this age?").click()
        expect(page.page.locator(".map img")).to_have_attribute("src", re.compile("^data:image/png"))
        expect(page.page.locator(".parts tbody tr")).to_have_count(9)
        page.page.get_by_label("At least").evaluate("select => { select.value = '2' }")
        page.page.get_by_label("At least").dispatch_event("change")
        page.page.get_by_role("button", name="Settings").click()
        page.page.get_by_label("Old enough: wrong passes").select_option("0.002")
        page.page.keyboard.press("Escape")
        expect(page.photo(0).locator(".figure")).to_be_visible()

    def test_another_model(self, page: Visit, hopper: Path) -> None:
        page.page.get_by_role("button", name="Settings").click()
        page.page.get_by_label("Model", exact=True).select_option("mien-m")
        page.page.get_by_role("button", name="Done").click()
        page.choose(hopper)
        page.photo()
        (record,) = json.loads(save(page, "JSON"))
        assert record["model"] == "mien-m"


class TestCamera:
    def test_faces_are_followed_and_averaged(self, page: Visit) -> None:
        page.page.get_by_role("button", name="Use the camera").click()
        expect(page.page.locator("#camera-note")).to_contain_text("None leaves this device")
        page.page.get_by_role("switch", name="Analyse all the time").check(force=True)
        expect(page.page.locator("#camera-boxes .box")).to_have_count(1)
        expect(page.page.locator("#live-list")).to_contain_text("about")
        page.page.get_by_role("radio", name="Old enough?").check()
        expect(page.page.locator("#live-list")).to_contain_text("Pass")
        page.page.get_by_role("button", name="Close the camera").click()
        expect(page.page.locator("#camera")).to_be_hidden()

    def test_no_permission(self, page: Visit) -> None:
        page.page.evaluate(
            """() => {
                navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("no", "NotAllowedError"));
            }"""
        )
        page.page.get_by_role("button", name="Use the camera").click()
        expect(page.page.get_by_role("alert")).to_contain_text("was not allowed to use the camera")


class TestOffline:
    def test_after_the_first_visit_no_network_is_needed(self, browser: Browser, written: Path, hopper: Path) -> None:
        with hosting(Host({DEEP: written})) as host:
            made = visit(browser, host.at(DEEP))
            expect(made.page.locator("#model-line")).to_have_text(re.compile("^Model mien-s"))
            made.page.evaluate("async () => { await navigator.serviceWorker.ready }")
            made.choose(hopper)
            made.photo()
            port = host.port
        made.page.reload()
        made.choose(hopper)
        expect(made.photo().locator(".card")).to_have_count(1)
        assert made.page.evaluate("() => crossOriginIsolated")  # the service worker saw to it: several threads
        assert port == host.port
        made.context.close()

    def test_the_models_are_fetched_once(self, open_page: Open, written: Path, hopper: Path) -> None:
        with hosting(Host({DEEP: written})) as host:
            made = open_page(host)
            made.choose(hopper)
            made.photo()
            host.asked.clear()
            made.page.reload()
            made.choose(hopper)
            made.photo()
            assert [path for path in host.asked if path.endswith((".safetensors", ".wasm", ".onnx"))] == []
            made.context.close()


class TestTrouble:
    @pytest.mark.parametrize("file", ["models/mien-s/model.safetensors", "mtcnn/onet.onnx"])
    def test_a_file_that_breaks_off_is_told_and_fetched_again(
        self, browser: Browser, written: Path, hopper: Path, file: str
    ) -> None:
        with hosting(Host({DEEP: written})) as host:
            host.cut.add(f"{DEEP}device/{file}")
            made = visit(browser, host.at(DEEP), service_workers="block")
            made.choose(hopper)
            expect(made.photo()).to_have_attribute("data-state", "failed")
            expect(made.page.locator("#notice")).to_contain_text(re.compile("broke off|cut short"))
            host.cut.clear()
            made.page.locator("#notice").get_by_role("button", name="Try again").click()
            expect(made.page.locator(".card")).to_have_count(1)
            made.context.close()

    def test_a_file_of_other_contents_is_refused(self, browser: Browser, written: Path, hopper: Path) -> None:
        with hosting(Host({DEEP: written})) as host:
            path = f"{DEEP}device/models/mien-s/model.safetensors"
            data = bytearray((written / "device" / "models" / "mien-s" / "model.safetensors").read_bytes())
            data[-9] ^= 1
            host.files[path] = bytes(data), "application/octet-stream"
            made = visit(browser, host.at(DEEP), service_workers="block")
            made.choose(hopper)
            expect(made.photo()).to_contain_text("has other contents than it should")
            made.context.close()


class TestAccess:
    def test_by_keyboard_alone(self, page: Visit, hopper: Path) -> None:
        keys = page.page.keyboard
        tab_to(page.page, page.page.get_by_role("button", name="Choose pictures"))
        with page.page.expect_file_chooser() as chooser:
            keys.press("Enter")
        chooser.value.set_files(hopper)
        page.photo()
        tab_to(page.page, page.page.get_by_role("button", name="Why this age?"))
        keys.press("Space")
        expect(page.page.locator(".parts")).to_be_visible()

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_axe_finds_nothing_serious_at_320_pixels(self, open_page: Open, hopper: Path, scheme: str) -> None:
        made = open_page(color_scheme=scheme, viewport={"width": 320, "height": 800}, reduced_motion="reduce")
        look(made, "empty")
        made.choose(hopper, text("notes.txt"))
        made.photo(0).get_by_role("button", name="Why this age?").click()
        expect(made.page.locator(".parts")).to_be_visible()
        look(made, "answers")
