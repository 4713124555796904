from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.estimate.calibrate import AGES
from mien.learn.comparison import name_places, page_tables, plots
from mien.learn.comparison.compare import Comparison, compare
from mien.learn.comparison.markdown import to_markdown
from mien.learn.comparison.page import to_html
from mien.learn.comparison.picture_labels import read_labels
from mien.learn.comparison.scored_runs import read_run
from mien.learn.comparison.svg import Axis, Drawing
from mien.learn.data.predictions import Predictions

VOID = frozenset({"meta", "link", "img", "br", "hr", "input"})
DRAWN = frozenset({"line", "path", "circle", "rect"})

RNG = np.random.default_rng(3)
AGE = RNG.integers(1, 100, size=120)
FEMALE = np.arange(120) % 2
FILES = [f"{age}_{female}_0_{at}.jpg.chip.jpg" for at, (age, female) in enumerate(zip(AGE, FEMALE, strict=True))]


class Page(HTMLParser):
    """What a test wants to know of a page: tags in order, their attributes, text, and whether they nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert not self._open, f"left open: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in DRAWN, f"<{tag}/> is no empty element in HTML"
        self.tags.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def ids(self) -> set[str]:
        return {attributes["id"] for _, attributes in self.tags if "id" in attributes}


def answers(error: float, right: float, *, age: bool = True, gender: bool = True, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    centres = np.clip(AGE + rng.normal(0, error, len(AGE)), 0, 116)
    mass = np.exp(-(((centres[:, None] - np.arange(AGES)) / 5) ** 2))
    said = np.where(rng.random(len(AGE)) < right, FEMALE, 1 - FEMALE) * 0.8 + 0.1
    return {
        "pmf": mass / mass.sum(axis=1, keepdims=True) if age else np.full(mass.shape, np.nan),
        "female": (said if gender else np.full(len(AGE), np.nan)).astype(np.float32),
    }


def comparison(
    folder: Path, *runs: tuple[dict[str, Any], dict[str, Any]], curves: str = "", recipes: dict[str, str] | None = None
) -> Comparison:
    found = []
    for record, said in runs:
        place = folder / record["name"]
        place.mkdir()
        Predictions(np.array(FILES, dtype=np.str_), **said).save(place / "test.parquet")
        (place / "run.json").write_text(json.dumps({"title": record["name"]} | record), encoding="utf-8")
        if curves:
            (place / "curves.csv").write_text(curves, encoding="utf-8")
        if record["name"] in (recipes or {}):
            (place / "recipe.yaml").write_text((recipes or {})[record["name"]], encoding="utf-8")
        found.append(read_run(place))
    return compare(found, read_labels(FILES, None), resamples=100)


COURSE = "epoch,loss,val_loss,mae,gender\n1,3.0,3.1,9.5,0.7\n2,2.0,2.4,7.5,0.8\n3,1.5,2.5,7.9,0.79\n"
BUDGET = {
    "parameters": 910_000,
    "multiply_adds": 50_000_000,
    "hours": 1.5,
    "epochs": 15,
    "budget": "15 epochs, not 100",
}
THREE = (
    ({"name": "mien-m", "system": "mien"}, answers(2, 0.97, seed=1)),
    ({"name": "compact", "system": "compact", **BUDGET}, answers(8, 0.9, seed=2)),
    (
        {"name": "eigenface", "system": "baseline", "multiply_adds": 2_000_000},
        answers(9, 0.7, age=False, seed=3),
    ),
)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return comparison(tmp_path_factory.mktemp("three"), *THREE, curves=COURSE)


@pytest.fixture(scope="module")
def html(three: Comparison) -> str:
    return to_html(three, "mien lab compare runs/*")


def test_the_page_fetches_nothing(html: str) -> None:
    page = Page(html)
    for tag, attributes in page.tags:
        assert tag not in {"link", "img", "iframe", "object", "embed"}
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith("#")
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|https?://", html)


def test_every_link_of_the_page_leads_somewhere(html: str) -> None:
    page = Page(html)
    links = {attributes["href"][1:] for tag, attributes in page.tags if tag == "a"}
    assert links
    assert links <= page.ids()


def test_the_page_shows_what_was_measured(three: Comparison, html: str) -> None:
    text = " ".join(Page(html).texts)
    for name in ("mien-m", "compact"):
        assert f"{three.figures[name]['mae'].value:.2f}" in text
    assert "80.2" in text  # the claim beside
    assert "15 epochs, not 100" in text
    assert "mien lab compare runs/*" in text
    assert "from the file names" in text
    sections = {"claims", "table", "differences", "costs", "data", "curves", "ages", "bands", "confusion"}
    assert sections | {"calibration", "worst", "systems", "method"} <= Page(html).ids()


def test_rows_stand_in_order_with_gaps(three: Comparison) -> None:
    table = page_tables.table(three)
    assert list(table["cells"]) == ["compact", "eigenface", "mien-m"]
    ages = [cell["value"] for cell in table["cells"]["eigenface"][: table["ages"]]]
    assert ages == [""] * 6
    assert all(len(cells) == len(table["header"]) for cells in table["cells"].values())
    best = [cell["kind"] for cell in table["cells"]["mien-m"][: table["ages"]]]
    assert best == ["best"] * 6
    assert table["cells"]["compact"][0]["kind"] == "lead"
    assert table["cells"]["compact"][4]["claim"]["mark"] == "short"


def test_the_same_runs_give_the_same_page(three: Comparison, html: str) -> None:
    assert to_html(three, "mien lab compare runs/*") == html


def test_names_cannot_break_the_page(tmp_path: Path) -> None:
    record = {
        "name": "x",
        "system": "mien",
        "title": "<script>alert(1)</script>",
        "budget": "a & b",
        "multiply_adds": 9,
    }
    other = {"name": "y", "system": "mien", "title": '"><i>', "multiply_adds": 99}
    page = Page(to_html(comparison(tmp_path, (record, answers(5, 0.9)), (other, answers(6, 0.9))), "<b>"))
    assert sum(tag == "script" for tag, _ in page.tags) == 1
    assert any("a & b" in text for text in page.texts)


@pytest.mark.parametrize(
    ("age", "gender", "lacking"), [(True, False, {"confusion"}), (False, True, {"ages"}), (True, True, set())]
)
def test_one_run_and_one_question_make_a_page(tmp_path: Path, age: bool, gender: bool, lacking: set[str]) -> None:
    found = comparison(tmp_path, ({"name": "x", "system": "mien"}, answers(5, 0.9, age=age, gender=gender)))
    ids = Page(to_html(found)).ids()
    assert not (lacking | {"differences", "costs", "curves"}) & ids
    assert {"claims", "table", "worst"} <= ids
    text = to_markdown(found)
    assert text.startswith("1 run: ")
    assert "## Difference" not in text
    assert "**" not in text  # nothing is the best of one
    assert "Bold differences" not in text
    assert {cell["kind"] for cell in page_tables.table(found)["cells"]["x"] if "cost" not in cell} == {""}


def test_markdown_has_the_figures_beside_the_claims(three: Comparison) -> None:
    text = to_markdown(three)
    blocks = [block.splitlines() for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)]
    headline, figures, costs, age, gender = blocks
    for block in blocks:
        assert len({line.count("|") for line in block}) == 1
    assert [len(block) - 2 for block in blocks] == [3, 3, 3, 2, 3]
    mae = three.figures["compact"]["mae"]
    assert f"{mae.value:.2f} [{mae.low:.2f}, {mae.high:.2f}]" in headline[2]
    assert "gender 94.5 %, age class 80.2 %" in headline[2]
    assert f"**{three.figures['mien-m']['mae'].value:.2f} [" in headline[4]
    assert "(paper 80.2)" in figures[2]
    assert "910 k" in costs[2]
    assert "1.5 h" in costs[2]
    assert age[2].count("**") == 2  # compact and mien-m differ really
    assert [cell.strip() for cell in gender[0].split("|")[2:5]] == ["compact", "eigenface", "mien-m"]


def test_differences_are_coloured_for_the_better_run(three: Comparison) -> None:
    rows = {row["name"]: row["cells"] for row in page_tables.matrix(three.tasks["age"])["rows"]}
    assert [cell["kind"] for cell in rows["compact"]] == ["self", "loss"]
    assert [cell["kind"] for cell in rows["mien-m"]] == ["win", "self"]
    assert rows["mien-m"][0]["text"].startswith("−")
    gender = {row["name"]: row["cells"] for row in page_tables.matrix(three.tasks["gender"])["rows"]}
    assert [cell["kind"] for cell in gender["eigenface"]] == ["loss", "self", "loss"]


def test_a_claim_off_the_axis_is_pinned_to_its_edge(tmp_path: Path) -> None:
    found = comparison(
        tmp_path,
        ({"name": "separate-age", "system": "one-or-two"}, answers(6, 1, gender=False)),
        ({"name": "mien-m", "system": "mien"}, answers(3, 1, gender=False)),
    )
    claim = page_tables.forest(found, "mae")["rows"]["separate-age"]["claim"]
    assert (claim["at"], claim["beyond"], claim["text"]) == (100, True, "17")
    points = [row["point"] for row in page_tables.forest(found, "mae")["rows"].values()]
    assert max(point["left"] + point["width"] for point in points) < 85  # its figure hides no bar


def test_a_run_of_one_gender_is_marked(tmp_path: Path) -> None:
    found = comparison(
        tmp_path,
        ({"name": "expert-women", "system": "regularised", "crop_misses": 7}, answers(6, 1, gender=False)),
        ({"name": "mien-m", "system": "mien", "device": "a slate"}, answers(3, 1)),
        recipes={"expert-women": "name: expert-women\ndata: {women: true, men: false}\n"},
    )
    women = found.tasks["age"].faces.female == 1
    own = found.tasks["age"].wrong("expert-women")[women].mean()
    assert found.own["expert-women"].value == pytest.approx(own)
    assert list(found.own) == ["expert-women"]
    notes = page_tables.notes(found)
    assert notes["marks"] == {"expert-women": [1, 2], "mien-m": []}
    assert f"on women its MAE is {own:.2f} [" in notes["texts"][0]
    assert notes["texts"][1].startswith("In 7 of the test chips")
    assert notes["device"] == "a slate"
    text = to_markdown(found)
    assert f"on women its MAE is {own:.2f} [" in text
    assert re.search(r"^\| expert-women .* \| 7 +\|", text, re.MULTILINE)
    runs = {run["name"]: run for run in found.to_dict()["runs"]}
    assert (runs["expert-women"]["learned_from"], runs["mien-m"]["learned_from"]) == ("women", "all")
    assert runs["mien-m"]["own_gender_mae"] is None


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ({"epochs": 15}, "15"),
        ({"epochs": 19, "epochs_by_run": {"gru": 15, "gru-whole": 4}}, "15 + 4"),
        ({"epochs": 38, "epochs_by_run": {"gate": 38, "expert": 15}, "parts": ["gate", "expert"]}, "38, 15"),
    ],
)
def test_epochs_of_runs_that_rest_on_others_are_told_apart(told: dict[str, Any], shown: str, tmp_path: Path) -> None:
    made = comparison(tmp_path, ({"name": "one", "system": "hybrid", **told}, answers(5, 0.9)))
    assert re.search(rf"\| {re.escape(shown)} +\|", to_markdown(made))


def test_a_mean_of_numbers_is_no_distribution(tmp_path: Path) -> None:
    few = np.zeros((len(FILES), AGES))
    few[:, [20, 21, 30, 31, 40, 41]] = 1 / 6
    female = np.full(len(FILES), np.nan, np.float32)
    parts = {"parts": ["a", "b", "c"]}
    found = comparison(
        tmp_path,
        ({"name": "mean", "system": "mien", **parts}, {"pmf": few, "female": female}),
        ({"name": "mean-of-spread", "system": "mien", **parts}, answers(5, 1, gender=False)),
        ({"name": "spread", "system": "mien"}, answers(5, 1, gender=False)),
    )
    html = to_html(found)
    calibration = html[html.index('id="calibration"') : html.index('id="worst"')]
    assert re.findall(r"<figcaption><b>([^<]*)</b>", calibration) == ["mean-of-spread", "spread"]


def test_names_in_a_drawing_hide_nothing() -> None:
    rng = np.random.default_rng(5)
    points = [(float(x), float(y)) for x, y in rng.normal((300, 150), (40, 25), (20, 2))]
    names = [f"a run called {at}" for at in range(20)]
    spots = name_places.place(points, names, (0, 0, 600, 300))
    boxes = [
        (spot.left, spot.middle - name_places.HEIGHT / 2, spot.left + name_places.LETTER * len(name), spot.middle + 6.5)
        for spot, name in zip(spots, names, strict=True)
        if spot is not None
    ]
    assert len(boxes) == 20
    for at, (left, top, right, bottom) in enumerate(boxes):
        assert (left >= 0, top >= 0, right <= 600, bottom <= 300) == (True,) * 4
        assert not any(left < x < right and top < y < bottom for x, y in points)
        for other in boxes[:at]:
            assert left >= other[2] or other[0] >= right or top >= other[3] or other[1] >= bottom
    assert name_places.place([(50.0, 50.0)], ["far too long a name"], (0, 0, 100, 100)) == [None]


def test_costs_name_every_run_and_the_chief_ones_on_a_telephone(tmp_path: Path) -> None:
    runs = [
        (
            {"name": f"run-{at}", "system": "mien" if at else "compact", "multiply_adds": 10 ** (5 + at / 4)},
            answers(at + 3, 0.9),
        )
        for at in range(8)
    ]
    html = to_html(comparison(tmp_path, *runs))
    wide, narrow = (re.findall(rf'<div class="{kind}">(<svg.*?</svg>)', html) for kind in ("wide", "narrow"))
    assert all(f">run-{at}</text>" in drawing for drawing in wide for at in range(8))
    assert all(">run-0</text>" in drawing for drawing in narrow)


def test_bands_and_confusion_count_faces(three: Comparison) -> None:
    bands = page_tables.bands(three.tasks["age"])
    assert sum(bands["counts"]) == len(FILES)
    error = three.tasks["age"].wrong("compact")
    young = three.tasks["age"].faces.age <= 2
    assert bands["rows"]["compact"][0]["text"] == f"{error[young].mean():.1f}"
    cells = page_tables.confusion(three.tasks["gender"], "mien-m")
    assert sum(int(cell["count"]) for cell in cells) == len(FILES)
    right = sum(int(cell["count"]) for cell in cells if cell["right"]) / len(FILES)
    assert right == pytest.approx(three.figures["mien-m"]["accuracy"].value)


def test_the_worst_errors_are_the_worst(three: Comparison) -> None:
    task = three.tasks["age"]
    worst = page_tables.worst_of_each(task)["compact"]
    gaps = [abs(float(face["gap"])) for face in worst]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] == pytest.approx(task.wrong("compact").max(), abs=0.06)
    hardest = page_tables.hardest_ages(task)
    assert len(hardest) == page_tables.HARDEST
    assert all(len(face["dots"]) == 2 for face in hardest)
    believed = [int(face["belief"]) for face in page_tables.hardest_genders(three.tasks["gender"])]
    assert believed == sorted(believed)


def test_a_density_shades_every_face() -> None:
    drawing = plots.density(np.array([30.0, 30.5, 70.0, 200.0]), np.array([30.0, 30.0, 71.0, 115.0]))
    cells = [re.findall(r"M([\d.]+) ([\d.]+)v", path) for path in re.findall(r'class="shade s\d" d="([^"]*)"', drawing)]
    assert sorted(len(found) for found in cells) == [1, 2]  # two faces in one cell are darker than one in each of two


def test_reliability_is_told_bin_by_bin() -> None:
    drawing = plots.reliability(np.array([0.95, 0.97, 0.96, 0.98, 0.15]), np.array([1, 1, 1, 0, 0]))
    assert "says 96%, is 75% of 4 faces" in drawing
    assert "says 15%, is 0% of 1 faces" in drawing
    assert drawing.count("<circle") == 2


def test_coverage_counts_ages_inside() -> None:
    mass = np.exp(-0.5 * ((np.arange(AGES) - 50) / 12) ** 2)
    pmf = np.tile(mass / mass.sum(), (500, 1))
    ages = np.random.default_rng(0).normal(50, 12, 500).clip(0, 116).round()
    honest = plots.coverage(pmf, ages)
    assert 88 <= int(re.findall(r"90 % hold (\d+) %", honest)[0]) <= 94
    assert "90 % hold 100 %" in plots.coverage(pmf, np.full(500, 50.0))


@pytest.mark.parametrize("epochs", [({"epoch": 1.0, "loss": 2.0},), ({"epoch": 1.0, "loss": 2.0, "gender": 0.5},) * 2])
def test_a_short_course_is_drawn(epochs: tuple[dict[str, float], ...]) -> None:
    drawing = plots.curves(epochs)
    assert "nan" not in drawing
    assert ("validation gender" in drawing) == ("gender" in epochs[0])


def test_text_in_drawings_is_escaped() -> None:
    drawing = Drawing(10, 10, 'a "label"')
    drawing.text(1, 2, "<5 & more")
    assert "&lt;5 &amp; more" in drawing.render()
    assert 'aria-label="a &quot;label&quot;"' in drawing.render()


@pytest.mark.parametrize(
    ("low", "high", "log"),
    [
        (4.2, 12.4, False),
        (0.0, 0.013, False),
        (0.69, 0.96, False),
        (0, 1890, False),
        (1.2e6, 9e6, True),
        (2, 3e9, True),
    ],
)
def test_ticks_are_round_and_inside(low: float, high: float, log: bool) -> None:
    ticks = Axis(low, high, 0, 100, log=log).ticks(5)
    assert 2 <= len(ticks) <= 9
    assert all(low <= tick <= high for tick in ticks)
