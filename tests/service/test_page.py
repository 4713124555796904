"""The page at /, in Debian's Chromium, against a real service with the model that ships."""

from __future__ import annotations

import base64
import csv
import dataclasses
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

pytest.importorskip("fastapi", reason="needs the extra serve")
pytest.importorskip("playwright", reason="needs playwright, of the extra dev")
pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python, of the extra dev")

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import Browser, FilePayload, Locator, Page, Route, expect, sync_playwright
from tests.service.browsing import ARGUMENTS, CHROMIUM, Visit, film, payload, running, visit

import mien
from mien import sinks
from mien.drawing.plates import places
from mien.results import Age, Box, Failure, Gender, Photo, whole

HOPPER = 77  # years, when the portrait was taken
LETTERS = st.characters(codec="utf-8", exclude_characters="\r")  # Python's writer leaves it bare, the page quotes it
Open = Callable[..., Visit]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not CHROMIUM.exists():
        pytest.skip(f"needs {CHROMIUM}")
    with running(tmp_path_factory.mktemp("service")) as found:
        yield found


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory, examples: Path) -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip(f"needs {CHROMIUM}")
    reel = film(examples / "hopper.jpg", tmp_path_factory.mktemp("film") / "hopper.mjpeg")
    arguments = [*ARGUMENTS, f"--use-file-for-fake-video-capture={reel}"]
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=str(CHROMIUM), args=arguments) as launched,
    ):
        yield launched


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[Open]:
    """Opens the page; afterwards no other host may have been asked, and nothing may have gone wrong."""
    visits: list[Visit] = []
    with ExitStack() as stack:

        def start(at: str = address, **options: Any) -> Visit:
            made = visit(browser, at, **options)
            stack.callback(made.context.close)
            visits.append(made)
            return made

        yield start
        for made in visits:
            assert made.hosts() == {made.page.url.split("/")[2]}
            assert made.faults == []


@pytest.fixture
def page(open_page: Open) -> Visit:
    return open_page()


@pytest.fixture
def hopper(examples: Path) -> Path:
    return examples / "hopper.jpg"


@pytest.fixture
def two(tmp_path: Path, examples: Path) -> Path:
    """A picture with two faces."""
    whole = Image.new("RGB", (1024, 600), (90, 90, 90))
    for name, left in (("astronaut", 0), ("hopper", 512)):
        with Image.open(examples / f"{name}.jpg") as image:
            whole.paste(image, (left, 0))
    whole.save(tmp_path / "two.jpg", quality=92)
    return tmp_path / "two.jpg"


def blank(name: str = "blank.png") -> FilePayload:
    """A picture without a face."""
    stream = io.BytesIO()
    Image.new("RGB", (120, 90), (140, 170, 190)).save(stream, "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": stream.getvalue()}


def text(name: str) -> FilePayload:
    return {"name": name, "mimeType": "text/plain", "buffer": b"no picture at all"}


def expect_refusals(made: Visit) -> None:
    """Chromium reports each answer of 4xx and 5xx in its console: these are wanted."""
    made.faults[:] = [fault for fault in made.faults if not fault.startswith("Failed to load resource")]


def save(made: Visit, kind: str) -> str:
    """The text of a download."""
    with made.page.expect_download() as download:
        made.page.get_by_role("button", name=f"Download as {kind}").click()
    assert download.value.suggested_filename.endswith(f".{kind.lower()}")
    return Path(download.value.path()).read_text(encoding="utf-8")


class TestPictures:
    def test_a_portrait_shows_one_face_with_its_age(self, page: Visit, hopper: Path) -> None:
        page.choose(hopper)
        photo = page.photo()
        card = photo.locator(".card")
        expect(card).to_have_count(1)
        assert abs(int(card.locator(".figure strong").inner_text()) - HOPPER) <= 10
        low, high = map(int, re.findall(r"\d+", card.locator(".age .said").inner_text())[:2])
        assert low <= HOPPER <= high
        expect(card.locator(".age .said")).to_contain_text("9 times in 10")
        expect(card.locator(".gender-line")).to_have_text(re.compile(r"(Female|Male)\s*\d\d %"))
        expect(card.locator(".gender .said")).to_have_text("As such faces are labelled in the data.")
        expect(page.page.get_by_role("status")).to_contain_text("hopper.jpg: 1 face. about")

    def test_the_box_lies_on_the_face(self, page: Visit, hopper: Path) -> None:
        page.choose(hopper)
        box, picture = page.photo().locator(".box").bounding_box(), page.photo().locator("img").bounding_box()
        assert box is not None
        assert picture is not None
        middle = (box["x"] + box["width"] / 2 - picture["x"]) / picture["width"]
        assert 0.45 < middle < 0.58  # of the 512 pixels the face has its middle at 263
        assert 0.3 < box["width"] / picture["width"] < 0.4

    def test_the_curve_is_told_in_words_and_numbers(self, page: Visit, hopper: Path) -> None:
        page.choose(hopper)
        card = page.photo().locator(".card")
        expect(card.locator(".plot svg")).to_have_attribute(
            "aria-label", re.compile(r"highest at 8\d, half of it below 8\d; shaded from \d+ to \d+")
        )
        card.get_by_text("In numbers").click()
        shares = [int(cell.split()[0]) for cell in card.locator(".numbers tbody td").all_inner_texts()]
        assert 95 <= sum(shares) <= 105

    def test_several_at_once_and_a_bad_one_among_them(self, page: Visit, hopper: Path, two: Path) -> None:
        page.choose(hopper, text("notes.txt"), blank(), two, {**blank("cut.jpg"), "buffer": hopper.read_bytes()[:9000]})
        assert [page.photo(at).get_attribute("data-state") for at in range(5)] == [
            "done", "failed", "done", "done", "failed"
        ]  # fmt: skip
        expect(page.page.locator(".photo h3")).to_have_text(
            ["hopper.jpg", "notes.txt", "blank.png", "two.jpg", "cut.jpg"]
        )
        expect(page.photo(1)).to_contain_text("This is no picture")
        expect(page.photo(2)).to_contain_text("No face found")
        expect(page.photo(3).locator(".card")).to_have_count(2)
        expect(page.photo(4)).to_contain_text("breaks off")
        expect(page.page.get_by_role("heading", name="5 pictures, 3 faces")).to_be_visible()
        expect(page.page.get_by_role("status")).to_have_text("Done: 5 pictures, 3 faces. 2 without an answer.")
        expect_refusals(page)  # the last was alone in its request

    def test_a_single_bad_one_says_why(self, page: Visit) -> None:
        page.choose(text("notes.txt"))
        expect(page.photo()).to_contain_text("This is no picture")
        expect(page.page.get_by_role("status")).to_contain_text("notes.txt: this is no picture")
        expect_refusals(page)

    @pytest.mark.parametrize("way", ["drop", "paste"])
    def test_dropped_and_pasted(self, page: Visit, hopper: Path, way: str) -> None:
        page.page.evaluate(
            """async ([way, text]) => {
                const data = new DataTransfer();
                const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
                data.items.add(new File([bytes], "way.jpg", { type: "image/jpeg" }));
                const about = { bubbles: true, cancelable: true };
                const event = way === "drop"
                    ? new DragEvent("drop", { ...about, dataTransfer: data })
                    : new ClipboardEvent("paste", { ...about, clipboardData: data });
                document.body.dispatchEvent(event);
            }""",
            [way, base64.b64encode(hopper.read_bytes()).decode()],  # much faster than a list of 60,000 numbers
        )
        expect(page.photo().locator(".card")).to_have_count(1)

    def test_an_example(self, page: Visit) -> None:
        page.page.get_by_role("button", name="Eileen Collins").click()
        expect(page.photo().locator(".card")).to_have_count(1)

    def test_a_name_is_text_whatever_it_is(self, page: Visit) -> None:
        page.choose(blank("<img src=x onerror=document.title='broken'>.png"))
        expect(page.photo().locator("h3")).to_have_text("<img src=x onerror=document.title='broken'>.png")
        assert "broken" not in page.page.title()

    def test_more_than_the_service_takes_is_not_sent(self, open_page: Open, address: str, hopper: Path) -> None:
        made = open_page()
        made.page.route("**/v1/models", lambda route: small_limits(route, 20_000))
        made.page.reload()
        made.choose(hopper, blank())
        expect(made.photo(0)).to_contain_text("This file has 60 kB; the service takes up to 20 kB")
        assert made.photo(1).get_attribute("data-state") == "done"

    def test_pictures_can_be_taken_away_again(self, page: Visit, hopper: Path) -> None:
        page.choose(blank("one.png"), blank("two.png"))
        page.photo(1)
        page.page.get_by_role("button", name="Remove one.png").click()
        expect(page.page.get_by_role("heading", name="two.png")).to_be_focused()
        page.page.get_by_role("button", name="Clear all").click()
        expect(page.page.locator(".photo")).to_have_count(0)
        expect(page.page.get_by_role("button", name="Choose pictures")).to_be_focused()
        expect(page.page.get_by_role("heading", name="How old does a face look?")).to_be_visible()

    def test_no_object_url_is_left(self, open_page: Open, browser: Browser, hopper: Path) -> None:
        made = open_page()
        made.page.evaluate(
            """() => {
                globalThis.urls = new Set();
                const { createObjectURL: make, revokeObjectURL: revoke } = URL;
                URL.createObjectURL = (what) => { const url = make(what); urls.add(url); return url; };
                URL.revokeObjectURL = (url) => { urls.delete(url); revoke(url); };
            }"""
        )
        made.choose(hopper, text("notes.txt"))
        made.photo(1)
        save(made, "CSV")
        made.page.wait_for_timeout(1200)
        assert made.page.evaluate("() => urls.size") == 0


@pytest.fixture(scope="module")
def crowd(examples: Path) -> FilePayload:
    """A picture with fifteen faces in three rows."""
    return group(examples, 15)


def group(examples: Path, faces: int, columns: int = 5) -> FilePayload:
    rows = -(-faces // columns)
    whole = Image.new("RGB", (210 * columns, 230 * rows), (90, 90, 90))
    for at in range(faces):
        with Image.open(examples / ("hopper.jpg" if at % 2 else "astronaut.jpg")) as image:
            left, top = (150, 60) if at % 2 else (120, 0)
            part = image.crop((left, top, left + 250, top + 250)).resize((190, 190))
        whole.paste(part, (210 * (at % columns) + 10, 230 * (at // columns) + 30))
    stream = io.BytesIO()
    whole.save(stream, "JPEG", quality=92)
    return {"name": "crowd.jpg", "mimeType": "image/jpeg", "buffer": stream.getvalue()}


def jpeg(image: Image.Image, name: str) -> FilePayload:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=90)
    return {"name": name, "mimeType": "image/jpeg", "buffer": stream.getvalue()}


class TestGroups:
    @pytest.mark.parametrize("width", [1280, 390])
    def test_labels_neither_overlap_nor_leave_the_picture(
        self, open_page: Open, crowd: FilePayload, width: int
    ) -> None:
        made = open_page(viewport={"width": width, "height": 900})
        made.choose(crowd)
        expect(made.photo().locator(".row")).to_have_count(15)
        expect(made.page.locator(".tag")).to_have_count(15)
        made.page.set_viewport_size({"width": width - 40, "height": 900})  # they are laid out anew
        made.page.wait_for_timeout(200)
        frame, *tags = made.page.evaluate(
            """() => [...document.querySelectorAll(".photo .frame, .photo .tag")].map((one) => {
                const { left, top, right, bottom } = one.getBoundingClientRect();
                return [left, top, right, bottom];
            })"""
        )
        for index, (left, top, right, bottom) in enumerate(tags):
            assert left >= frame[0] - 1
            assert top >= frame[1] - 1
            assert right <= frame[2] + 1
            assert bottom <= frame[3] + 1
            for other in tags[:index]:
                apart = left >= other[2] - 1 or other[0] >= right - 1 or top >= other[3] - 1 or other[1] >= bottom - 1
                assert apart, (tags[index], other)

    def test_rows_open_and_what_holds_for_all_is_said_once(self, page: Visit, crowd: FilePayload) -> None:
        page.choose(crowd)
        photo = page.photo()
        assert page.page.evaluate("document.documentElement.scrollHeight") < 2000
        expect(photo.get_by_text("hold the true age 9 times in 10")).to_have_count(1)
        expect(photo.locator(".curve, .plot")).to_have_count(0)
        row = photo.locator(".row").nth(3)
        row.locator("summary").click()
        expect(row.locator(".plot")).to_be_visible()
        expect(photo.get_by_text("hold the true age 9 times in 10")).to_have_count(1)
        photo.locator(".box").nth(6).click()
        expect(photo.locator(".row").nth(6)).to_be_focused()
        expect(photo.locator(".row").nth(6).locator(".plot")).to_be_visible()
        page.page.get_by_role("radio", name="Old enough?").check()
        expect(row.locator(".verdict")).to_be_visible()  # it is still open
        expect(photo.locator(".row-outcome")).to_have_count(15)

    def test_three_faces_use_the_width(self, page: Visit, examples: Path) -> None:
        page.page.get_by_role("radio", name="Old enough?").check()
        page.choose(group(examples, 3, 3))
        cards = page.photo().locator(".card")
        expect(cards).to_have_count(3)
        boxes = [box for at in range(3) if (box := cards.nth(at).bounding_box())]
        whole = page.photo().locator(".photo-body").bounding_box()
        assert whole is not None
        assert len({round(box["y"]) for box in boxes}) == 1
        assert sum(box["width"] for box in boxes) > 0.9 * whole["width"]

    def test_axe_finds_nothing_serious_in_a_group(self, open_page: Open, crowd: FilePayload) -> None:
        made = open_page(viewport={"width": 390, "height": 800}, color_scheme="dark", reduced_motion="reduce")
        made.page.get_by_role("radio", name="Old enough?").check()
        made.choose(crowd)
        made.photo().locator(".row summary").first.click()
        look(made, "a group")

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        frames=st.lists(
            st.tuples(*[st.integers(0, 300)] * 2, *[st.integers(10, 90)] * 2, st.integers(20, 90), st.integers(10, 40)),
            max_size=14,
        ),
        gap=st.integers(0, 9),
    )
    def test_page_and_picture_lay_labels_out_alike(self, page: Visit, frames: list[tuple[int, ...]], gap: int) -> None:
        boxes = [Box(left, top, left + wide, top + high) for left, top, wide, high, _, _ in frames]
        labels = [(wide, high) for *_, wide, high in frames]
        mine = places(labels, boxes, (360, 300), gap)
        theirs = page.module("plates", "places", labels, [dataclasses.asdict(box) for box in boxes], [360, 300], gap)
        assert [dataclasses.asdict(box) for box in mine] == theirs


class TestWords:
    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        masses=st.lists(st.floats(0.001, 1), min_size=117, max_size=117),
        share=st.floats(0.5, 1, exclude_min=True),
    )
    def test_page_and_picture_round_alike(self, page: Visit, masses: list[float], share: float) -> None:
        pmf = tuple(mass / sum(masses) for mass in masses)
        mean = sum(mass * year for year, mass in enumerate(pmf))
        age, gender = Age(mean, mean, 3.0, mean, 0.9, pmf), Gender(share)
        record = age.to_dict(pmf=True)
        near_half = abs(mean % 1 - 0.5) < 1e-3  # the distribution itself is told in six places
        assert near_half or page.module("words", "years", record) == whole(mean)
        assert near_half or page.module("words", "ends", record)[1] == whole(mean)
        assert page.module("words", "surely", gender.to_dict()["probability"]) == gender.percent

    def test_an_age_is_not_rounded_twice(self, page: Visit) -> None:
        pmf = [0.0] * 117
        pmf[32], pmf[33] = 0.54, 0.46  # 32.46 is 32.5 in records, and 32 to the whole year
        record = Age(32.46, 32.0, 32.0, 33.0, 0.9, tuple(pmf)).to_dict(pmf=True)
        assert record["years"] == 32.5
        assert page.module("words", "years", record) == 32

    def test_visitors_read_no_file_names_and_a_licence_in_words(self, page: Visit) -> None:
        page.page.get_by_text("How far to trust the answers").click()
        told = page.page.locator("footer").inner_text()
        assert "It has learned from UTKFace" in told
        assert "non-commercial research only" in page.page.locator("#model-line").inner_text()
        assert not re.search(r"\.(csv|mat|parquet)\b|LicenseRef", told)


class TestPhone:
    def test_nothing_is_to_be_dropped_and_tools_are_low(self, open_page: Open, hopper: Path) -> None:
        made = open_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
        expect(made.page.get_by_text("Drop pictures here")).to_be_hidden()
        expect(made.page.get_by_text("or paste them")).to_be_hidden()
        heights = [
            box["height"] for at in range(2) if (box := made.page.locator(".switch span").nth(at).bounding_box())
        ]
        assert heights == [44, 44]  # one line each
        made.choose(hopper)
        made.photo()
        tools = made.page.locator("#add").bounding_box()
        assert tools is not None
        assert tools["height"] < 140
        assert tools["x"] + tools["width"] <= 390


class TestOrder:
    def test_new_pictures_come_on_top_and_in_view(self, page: Visit, crowd: FilePayload, hopper: Path) -> None:
        page.choose(crowd)
        page.photo().locator(".row summary").last.scroll_into_view_if_needed()
        page.page.mouse.wheel(0, 9000)
        page.page.evaluate("() => scrollTo(0, document.body.scrollHeight)")
        page.page.locator("#files").set_input_files([payload(blank("one.png")), payload(hopper)])
        expect(page.page.locator(".photo h3")).to_have_text(["one.png", "hopper.jpg", "crowd.jpg"])
        expect(page.page.locator(".photo").first).to_be_in_viewport()

    def test_a_picture_on_its_side_is_turned_when_asked(self, page: Visit, hopper: Path) -> None:
        with Image.open(hopper) as image:
            page.choose(hopper, jpeg(image.transpose(Image.Transpose.ROTATE_90), "side.jpg"))
        expect(page.photo(1)).to_contain_text("The picture lies on its side")
        expect(page.page.get_by_role("button", name="Rotate hopper.jpg")).to_be_hidden()
        page.page.get_by_role("button", name="Rotate side.jpg").click()
        expect(page.page.get_by_role("button", name="Rotate side.jpg")).to_be_hidden()
        photo = page.photo(1)
        expect(photo.locator(".told")).to_have_text("1 face")
        assert photo.locator("img").evaluate("image => image.naturalWidth < image.naturalHeight")
        upright, turned = (page.photo(at).locator(".figure strong").inner_text() for at in (0, 1))
        assert abs(int(upright) - int(turned)) <= 3

    def test_a_picture_of_108_megapixels_is_made_smaller_first(self, page: Visit, hopper: Path) -> None:
        with Image.open(hopper) as image:
            large = Image.new("RGB", (12_000, 9_000), (90, 120, 140))
            large.paste(image.resize((5_120, 6_000)), (3_000, 1_500))
        page.choose(jpeg(large, "large.jpg"))
        expect(page.photo().locator(".told")).to_contain_text("Made smaller first, from 12000 × 9000 pixels")
        (record,) = json.loads(save(page, "JSON"))
        assert (record["width"], record["height"]) == (12_000, 9_000)
        (face,) = record["faces"]
        middle = (face["box"]["left"] + face["box"]["right"]) / 2
        assert abs(middle - (3_000 + 263 * 10)) < 250  # as in the picture that was given


class TestChoices:
    def test_level_and_abstention(self, page: Visit, hopper: Path) -> None:
        page.choose(hopper)
        before = span(page.photo())
        page.page.get_by_role("button", name="Settings").click()
        page.page.get_by_label("Age ranges hold the true age").fill("50")
        page.page.get_by_label("Say “uncertain”").fill("99")
        page.page.get_by_role("button", name="Done").click()
        expect(page.page.locator(".age .said")).to_contain_text("5 times in 10")
        expect(page.page.locator(".gender-line")).to_have_text("Uncertain")
        expect(page.page.locator(".gender .said")).to_contain_text("The likelier label has only")
        after = span(page.photo())
        assert before[0] < after[0] <= after[1] < before[1]

    def test_old_enough(self, page: Visit, hopper: Path, two: Path) -> None:
        page.page.get_by_role("radio", name="Old enough?").check()
        expect(page.page.get_by_text("It is no proof itself")).to_be_visible()
        page.choose(hopper, two, blank())
        verdicts = page.photo(0).locator(".verdict")
        expect(verdicts).to_have_text(re.compile(r"^Pass\s*18 or older with a probability of 99.9 %\.$"))
        expect(verdicts.locator("use")).to_have_attribute("href", "#i-pass")
        expect(page.photo(0).locator(".box")).to_contain_text("Pass")
        expect(page.photo(1).locator(".verdict").first).to_contain_text("Unsure")
        expect(page.photo(1).locator(".verdict").first).to_contain_text("There are 2 faces: whose age is asked for?")
        expect(page.photo(2).locator(".verdict")).to_contain_text("No face was found")
        checks = json.loads(save(page, "JSON"))
        assert [check["outcome"] for check in checks] == ["pass", "unsure", "unsure"]
        page.page.get_by_label("At least").select_option("77")
        expect(page.photo(0).locator(".verdict")).to_contain_text("a pass needs")
        expect(page.photo(0).locator(".plot svg")).to_have_attribute("aria-label", re.compile("lies at 77 or above"))
        page.page.get_by_role("radio", name="Age and gender").check()
        expect(page.page.locator(".verdict")).to_have_count(0)

    def test_a_check_that_cannot_be_made_leaves_the_age(self, page: Visit, hopper: Path) -> None:
        page.choose(hopper)
        page.photo()
        page.page.get_by_label("At least").evaluate("select => { select.value = '2' }")
        page.page.get_by_label("At least").dispatch_event("change")
        page.page.get_by_role("button", name="Settings").click()
        page.page.get_by_label("Old enough: wrong passes").select_option("0.002")
        page.page.keyboard.press("Escape")
        page.page.get_by_role("radio", name="Old enough?").check()
        expect(page.photo().locator(".failed")).to_contain_text("this model has no threshold", ignore_case=True)
        expect(page.photo().locator(".figure")).to_be_visible()
        expect_refusals(page)

    def test_why(self, page: Visit, hopper: Path) -> None:
        page.choose(hopper)
        card = page.photo().locator(".card")
        why = card.get_by_role("button", name="Why this age?")
        why.click()
        expect(why).to_have_attribute("aria-expanded", "true")
        image = card.locator(".map img")
        expect(image).to_have_attribute("alt", re.compile(r"^Map over .* \(for (older|younger|both)\)"))
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
        rows = card.locator(".parts tbody tr")
        expect(rows).to_have_count(9)
        expect(rows.last).to_contain_text("everything")
        card.get_by_role("button", name="Why this gender?").click()
        expect(card.locator(".parts")).to_contain_text("Female if blurred")
        expect(card.locator(".legend")).to_contain_text("speaks for female")
        card.get_by_role("button", name="Why this gender?").click()
        expect(card.locator(".why-panel")).to_be_hidden()


class TestDownloads:
    def test_the_files_are_those_of_the_command_line(
        self, page: Visit, hopper: Path, two: Path, tmp_path: Path
    ) -> None:
        broken = tmp_path / "notes.txt"
        broken.write_text("no picture at all")
        page.choose(hopper, broken, two)
        page.photo(2)
        page.page.get_by_role("button", name="Settings").click()
        page.page.get_by_text("Downloads hold the probability of every age").click()
        page.page.get_by_role("button", name="Done").click()
        analyzer = mien.load()
        answers = [
            dataclasses.replace(one, source=Path(one.source).name) for one in analyzer.stream([hopper, broken, two])
        ]
        told, wanted = cells(save(page, "CSV")), cells(written("csv", answers, pmf=True))
        assert told == pytest.approx(wanted, abs=0.2)  # batches of another size differ in the last places
        records = json.loads(save(page, "JSON"))
        assert [list(record) for record in records] == [list(record) for record in json.loads(written("json", answers))]
        assert [len(record["faces"]) for record in records] == [1, 0, 2]
        assert len(records[0]["faces"][0]["age"]["pmf"]) == 117

    def test_faceless_failed_and_crowded_pictures(self, page: Visit, answers: list[Photo]) -> None:
        records = [photo.to_dict(pmf=True) for photo in answers]
        for pmf in (False, True):
            assert cells(page.module("downloads", "toCSV", records, pmf)) == cells(written("csv", answers, pmf=pmf))
        told = page.module("downloads", "toJSON", records, False)
        assert json.loads(told) == json.loads(written("json", answers))
        assert told.splitlines()[0] == "["
        assert page.module("downloads", "toJSON", [], False) == "[]\n"

    @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(name=st.text(LETTERS, max_size=20), message=st.text(st.sampled_from('a",\n; é'), max_size=9))
    def test_any_name_survives_csv(self, page: Visit, name: str, message: str) -> None:
        photos = [Photo(name, "tiny", error=Failure("truncated", message))]
        assert page.module("downloads", "toCSV", [photos[0].to_dict()], False) == written("csv", photos)


class TestCamera:
    def test_a_picture_and_a_running_analysis(self, page: Visit) -> None:
        page.page.get_by_role("button", name="Use the camera").click()
        expect(page.page.get_by_role("heading", name="Camera")).to_be_focused()
        page.page.get_by_role("button", name="Take a picture").click()
        photo = page.photo()
        expect(photo.locator("h3")).to_have_text("camera-1.jpg")
        expect(photo.locator(".card")).to_have_count(1)
        page.page.get_by_role("switch", name="Analyse all the time").check(force=True)
        expect(page.page.locator("#live-list")).to_contain_text("about")
        expect(page.page.locator("#camera-boxes .box")).to_have_count(1)
        expect(page.page.get_by_role("status")).to_contain_text("1 face in view.")
        page.page.get_by_role("button", name="Close the camera").click()
        expect(page.page.locator("#camera")).to_be_hidden()
        assert page.page.locator("#video").evaluate("video => video.srcObject") is None

    def test_a_slow_service_is_not_swamped(self, page: Visit) -> None:
        inside, most, seen = 0, 0, 0

        def slow(route: Route) -> None:
            nonlocal inside, most, seen
            inside, seen = inside + 1, seen + 1
            most = max(most, inside)
            page.page.wait_for_timeout(600)
            inside -= 1
            route.fulfill(json={"schema_version": 1, "model": "mien-m", "photos": [empty_record()]})

        page.page.route("**/v1/predict*", slow)
        page.page.get_by_role("button", name="Use the camera").click()
        page.page.get_by_role("switch", name="Analyse all the time").check(force=True)
        expect(page.page.locator("#live-list")).to_contain_text("No face in view")
        page.page.wait_for_timeout(2500)
        page.page.get_by_role("switch", name="Analyse all the time").uncheck(force=True)
        assert seen >= 2
        assert most == 1
        page.page.unroute_all(behavior="wait")

    @pytest.mark.parametrize(
        ("error", "told"), [("NotAllowedError", "was not allowed to use the camera"), ("NotFoundError", "No camera")]
    )
    def test_a_refusal_is_told(self, page: Visit, error: str, told: str) -> None:
        page.page.evaluate(
            "name => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', name)); }",
            error,
        )
        page.page.get_by_role("button", name="Use the camera").click()
        expect(page.page.get_by_role("alert")).to_contain_text(told)
        page.page.get_by_role("button", name="Dismiss").click()
        expect(page.page.locator("#notice")).to_be_hidden()


class TestTrouble:
    def test_a_busy_service_is_tried_again_by_itself(self, page: Visit, hopper: Path) -> None:
        answers = iter([503])
        page.page.route("**/v1/predict*", lambda route: refuse(route, next(answers, None)))
        page.choose(hopper)
        expect(page.page.locator("#progress-text")).to_contain_text("The service is busy; trying again in 1 s")
        expect(page.photo().locator(".card")).to_have_count(1)
        expect_refusals(page)

    @pytest.mark.parametrize(
        ("status", "told"), [(503, "is busy"), (429, "Too many requests"), (None, "cannot be reached")]
    )
    def test_who_stays_busy_is_tried_again_when_asked(
        self, page: Visit, hopper: Path, status: int | None, told: str
    ) -> None:
        page.page.route("**/v1/predict*", lambda route: refuse(route, status) if status else route.abort())
        page.choose(hopper, blank())
        expect(page.page.locator("#notice")).to_contain_text(told)
        expect(page.photo(1)).to_contain_text(told)
        page.page.unroute("**/v1/predict*")
        page.page.locator("#notice").get_by_role("button", name="Try again").click()
        expect(page.page.locator(".card")).to_have_count(1)
        assert page.photo(1).get_attribute("data-state") == "done"
        expect_refusals(page)

    def test_what_takes_too_long(self, page: Visit, hopper: Path) -> None:
        page.page.route("**/v1/predict*", lambda route: refuse(route, 504))
        page.choose(hopper)
        expect(page.photo()).to_contain_text("This took the service too long.")
        page.page.unroute("**/v1/predict*")
        page.photo().get_by_role("button", name="Try again").click()
        expect(page.page.locator(".card")).to_have_count(1)
        expect_refusals(page)

    def test_stopping(self, page: Visit, hopper: Path) -> None:
        page.page.route("**/v1/predict*", hold)
        page.choose(hopper, blank())
        page.page.get_by_role("button", name="Stop").click()
        expect(page.photo(1)).to_contain_text("Stopped before it was analysed.")
        expect(page.page.locator("#progress")).to_be_hidden()
        page.page.unroute("**/v1/predict*")
        page.photo(0).get_by_role("button", name="Try again").click()
        expect(page.page.locator(".card")).to_have_count(1)

    def test_an_api_key_is_asked_for_and_kept_nowhere(self, open_page: Open, tiny_bundle: Path, tmp_path: Path) -> None:
        keys = tmp_path / "keys"
        keys.write_text("right-key-of-letters\n")
        options = ["--model", str(tiny_bundle), "--detector", "whole", "--api-key-file", str(keys)]
        with running(tmp_path, *options) as at:
            made = open_page(at)
            dialog = made.page.get_by_role("dialog", name="This service asks for a key")
            expect(dialog).to_be_hidden()
            made.choose(blank())
            expect(dialog).to_be_visible()
            made.page.keyboard.press("Escape")
            expect(made.photo()).to_contain_text("The service asks for a key, and none was given.")
            made.page.locator("#notice").get_by_role("button", name="Try again").click()
            made.page.get_by_label("API key").fill("wrong-key-of-letters")
            made.page.keyboard.press("Enter")
            expect(dialog).to_contain_text("That key was refused.")
            made.page.get_by_label("API key").fill("right-key-of-letters")
            made.page.keyboard.press("Enter")
            expect(made.page.locator(".card")).to_have_count(1)
            stored = "() => localStorage.length + sessionStorage.length + document.cookie.length"
            assert made.page.evaluate(stored) == 0
            assert "right-key-of-letters" not in made.page.content()
            expect_refusals(made)


class TestAccess:
    def test_by_keyboard_alone(self, page: Visit, hopper: Path) -> None:
        keys = page.page.keyboard
        keys.press("Tab")
        expect(page.page.get_by_role("link", name="Skip to adding pictures")).to_be_focused()
        tab_to(page.page, page.page.get_by_role("button", name="Choose pictures"))
        with page.page.expect_file_chooser() as chooser:
            keys.press("Enter")
        chooser.value.set_files(hopper)
        page.photo()
        expect(page.page.get_by_role("button", name="Choose pictures")).to_be_focused()
        tab_to(page.page, page.page.get_by_role("button", name=re.compile("^Face 1 of 1")))
        keys.press("Enter")
        expect(page.page.locator(".card")).to_be_focused()
        tab_to(page.page, page.page.get_by_role("button", name="Why this age?"))
        keys.press("Space")
        expect(page.page.locator(".parts")).to_be_visible()
        tab_to(page.page, page.page.get_by_role("button", name="Download as JSON"), back=True)
        with page.page.expect_download() as download:
            keys.press("Enter")
        assert json.loads(Path(download.value.path()).read_text())[0]["source"] == "hopper.jpg"
        tab_to(page.page, page.page.get_by_role("radio", name="Age and gender"), back=True)
        keys.press("ArrowRight")
        expect(page.page.locator(".verdict")).to_contain_text("Pass")
        tab_to(page.page, page.page.get_by_role("button", name="Settings"), back=True)
        keys.press("Enter")
        expect(page.page.get_by_role("dialog", name="Settings")).to_be_visible()
        keys.press("Escape")
        expect(page.page.get_by_role("button", name="Settings")).to_be_focused()

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("width", [1280, 320])
    def test_axe_finds_nothing_serious(self, open_page: Open, hopper: Path, scheme: str, width: int) -> None:
        made = open_page(color_scheme=scheme, viewport={"width": width, "height": 800}, reduced_motion="reduce")
        look(made, "empty")
        made.page.get_by_role("radio", name="Old enough?").check()
        made.choose(hopper, text("notes.txt"))
        card = made.photo(0).locator(".card")
        card.get_by_text("In numbers").click()
        card.get_by_role("button", name="Why this age?").click()
        expect(card.locator(".parts")).to_be_visible()
        look(made, "an age check, why, and an error")

    def test_axe_finds_nothing_serious_in_dialogs_and_camera(self, open_page: Open) -> None:
        made = open_page(reduced_motion="reduce")
        made.page.get_by_role("button", name="Settings").click()
        look(made, "settings")
        made.page.keyboard.press("Escape")
        made.page.get_by_role("button", name="Use the camera").click()
        expect(made.page.get_by_role("heading", name="Camera")).to_be_visible()
        look(made, "camera")

    def test_what_is_touched_is_large_enough(self, open_page: Open, hopper: Path) -> None:
        made = open_page(viewport={"width": 320, "height": 700}, has_touch=True, is_mobile=True)
        sizes = """() => [...document.querySelectorAll("button, select, summary, .switch label, .toggle, a:not(.skip)")]
            .filter((one) => one.checkVisibility() && !one.matches(".box"))
            .map((one) => [one.textContent.trim(), one.getBoundingClientRect()])
            .filter(([, box]) => box.height < 44 || box.width < 44).map(([name]) => name)"""
        assert made.page.evaluate(sizes) == []
        made.choose(hopper)
        made.photo()
        assert made.page.evaluate(sizes) == []

    def test_nothing_moves_for_who_wants_it_so(self, open_page: Open, hopper: Path) -> None:
        for wish, moving in (("reduce", False), ("no-preference", True)):
            made = open_page(reduced_motion=wish)
            made.page.route("**/v1/predict*", hold)
            made.choose(hopper)
            bar = made.page.locator(".photo[data-state=working] .skeleton i").first
            name = ""
            for _ in range(20):  # a bar that the page is just drawing anew has no style
                name = name or bar.evaluate("bar => getComputedStyle(bar).animationName")
            assert name
            assert (name != "none") is moving
            made.page.get_by_role("button", name="Stop").click()

    def test_where_pictures_go_is_told(self, page: Visit) -> None:
        expect(page.page.get_by_text("Your pictures never leave this machine, and none is kept.")).to_be_visible()
        page.module("whereabouts", "tellWhereabouts", {"hostname": "faces.example", "host": "faces.example:8000"})
        expect(page.page.get_by_text("Your pictures go to faces.example:8000, and nowhere else.")).to_be_visible()
        assert not re.search(r"\brace\b|ethnic", page.page.content(), re.IGNORECASE)


def look(made: Visit, state: str) -> None:
    """No serious or critical fault, and no scrolling sideways."""
    found = Axe().run(made.page).response["violations"]
    serious = [
        (state, fault["id"], node["html"], node["failureSummary"])
        for fault in found
        if fault["impact"] in {"serious", "critical"}
        for node in fault["nodes"]
    ]
    assert serious == []
    assert made.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), state


def tab_to(page: Page, target: Locator, *, back: bool = False, most: int = 40) -> None:
    """Press Tab until something has the focus."""
    for _ in range(most):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"{most} times Tab do not lead to {target}")


def span(photo: Locator) -> tuple[int, int]:
    low, high = re.findall(r"\d+", photo.locator(".age .said").inner_text())[:2]
    return int(low), int(high)


def written(form: str, photos: list[Photo], *, pmf: bool = False) -> str:
    """What the command line writes."""
    stream = io.BytesIO()
    with sinks.create(form, stream, pmf=pmf) as sink:
        for photo in photos:
            sink.write(photo)
    return stream.getvalue().decode()


def cells(table: str) -> list[float | str]:
    """All cells of a CSV file, numbers as such."""

    def value(cell: str) -> float | str:
        try:
            return float(cell)
        except ValueError:
            return cell

    return [value(cell) for row in csv.reader(io.StringIO(table)) for cell in row]


def refuse(route: Route, status: int | None) -> None:
    """Answer as a service in trouble does; None: let the request go on."""
    if status is None:
        route.continue_()
        return
    record = {"type": "urn:mien:problem:busy", "title": "Busy", "status": status, "detail": "busy"}
    route.fulfill(status=status, json=record, headers={"Retry-After": "1"}, content_type="application/problem+json")


def hold(_: Route) -> None:
    """Never answer."""


def small_limits(route: Route, bytes_at_most: int) -> None:
    record = route.fetch().json()
    record["limits"]["max_body"] = bytes_at_most
    route.fulfill(json=record)


def empty_record() -> dict[str, Any]:
    return Photo("camera.jpg", "mien-m", 640, 480).to_dict()
