"""README and docs quote what docs/results says, refer to what is there, and the reference is that of the sources."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from mien.cli import app

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").glob("*.md"))]
GENERATED = ("reference.md", "model-card-")
MOST_WORDS = 20_000
"""Of docs/ as far as it is written by hand: without generated pages and tables."""

pytestmark = pytest.mark.skipif(
    not (ROOT / "docs" / "results").is_dir(), reason="an sdist has no results and no pictures"
)


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(ROOT / script), "--check"], capture_output=True, text=True, check=False)


def test_tables_are_those_of_the_results() -> None:
    done = run("benchmarks/tables.py")
    assert (done.returncode, done.stdout) == (0, "as in the files\n"), done.stderr


@pytest.mark.skipif(
    find_spec("torch") is None or find_spec("sqlalchemy") is None, reason="needs the extras train and count"
)
def test_the_reference_is_that_of_the_sources() -> None:
    done = run("tools/api_reference.py")
    assert (done.returncode, done.stdout) == (0, "as in the sources\n"), done.stderr


@cache
def anchors(page: Path) -> set[str]:
    """What headings are called in links."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#{1,6} (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(text: str) -> list[str]:
    found = [*re.findall(r"\]\(([^)\s]+)\)", text), *re.findall(r'src="([^"]+)"', text)]
    return [link for link in found if "://" not in link]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= 900


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    broken = []
    for link in links(page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_sources_refer_to_pages_that_are_there() -> None:
    places = [
        path for folder in ("src", "benchmarks", "tools", "deploy", "web/src") for path in (ROOT / folder).rglob("*")
    ]
    places = [path for path in places if path.suffix in {".py", ".yaml", ".sh", ".ts", ".js", ".html", ".md"}]
    told = {
        (path.relative_to(ROOT).as_posix(), name)
        for path in places
        for name in re.findall(r"\bdocs/([\w-]+\.md)\b", path.read_text(encoding="utf-8"))
    }
    assert {name for name in told if not (ROOT / "docs" / name[1]).is_file()} == set()


def test_contributors_are_sent_to_files_that_are_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text[text.index("## Where a change belongs") : text.index("## Versions")]
    told = {name for name in re.findall(r"`([\w./-]+/[\w./-]*)`", table) if "NAME" not in name}
    assert len(told) > 15
    assert {name for name in told if not ((ROOT / name).exists() or (ROOT / "src" / "mien" / name).exists())} == set()


def test_documentation_stays_short() -> None:
    pages = [page for page in (ROOT / "docs").glob("*.md") if not page.name.startswith(GENERATED)]
    texts = (re.sub(r"<!-- table: .*?<!-- /table -->", "", page.read_text("utf-8"), flags=re.DOTALL) for page in pages)
    words = sum(len(text.split()) for text in texts)
    assert words <= MOST_WORDS, f"{words} words; what is new may replace something"


@pytest.mark.parametrize(
    ("picture", "command"),
    [
        ("hopper.jpg", "predict examples/hopper.jpg --annotate {folder}"),
        ("astronaut.jpg", "predict examples/astronaut.jpg --annotate {folder}"),
        ("explanation.jpg", "explain examples/astronaut.jpg --output {folder}/explanation.jpg"),
    ],
)
def test_pictures_are_what_mien_draws(
    picture: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    done = CliRunner().invoke(app, shlex.split(command.format(folder=tmp_path)))
    assert done.exit_code == 0, done.output
    shown, drawn = (
        np.asarray(Image.open(folder / picture).convert("RGB"), np.int16) for folder in (ROOT / "docs/images", tmp_path)
    )
    assert shown.shape == drawn.shape
    other = (abs(shown - drawn).max(axis=2) > 60).sum()
    assert other <= 20, f"{other} pixels differ, a digit has more: make docs/images/{picture} anew by mien {command}"
