"""The examples of the package's README, of docs/browser.md and of the README, run as they stand from what npm packs."""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="needs playwright, of the extra dev")

from benchmarks.browser.serving import Host, hosting
from playwright.sync_api import Browser, Page
from tests.web.packing import WEB, needs_modules, npm

import mien
from mien.age_check import AgeChecker
from mien.photos.decode import decode

ROOT = WEB.parent
PATIENCE = 60_000
OUTCOMES = {"pass", "fail", "unsure"}


@pytest.fixture(scope="module")
def project(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty project with the packed package installed, and its files for the browser in public/mien."""
    needs_modules(built)
    folder = tmp_path_factory.mktemp("packed")
    (packed,) = json.loads(npm("pack", "--json", "--pack-destination", str(folder)))
    archive = folder / packed["filename"].replace("@", "").replace("/", "-")
    with tarfile.open(archive) as tar:
        names = tar.getnames()
    assert "package/dist/models/mien-s/LICENSE" in names
    assert not [name for name in names if "node_modules" in name or re.search(r"(?<!\.d)\.ts$", name)]
    made = folder / "project"
    made.mkdir()
    (made / "package.json").write_text('{"type": "module", "private": true}')
    npm("install", "--offline", "--no-audit", "--no-fund", str(archive), cwd=made)
    run(made, "npx", "--no-install", "mien-assets", "public/mien")
    assert (made / "public" / "mien" / "worker.js").is_file()
    return made


@pytest.fixture(scope="module")
def host(project: Path, examples: Path) -> Iterator[Host]:
    """A file host with the project's public folder."""
    files = {"/photo": ((examples / "hopper.jpg").read_bytes(), "image/jpeg")}
    with hosting(Host({"/": project / "public"}, files)) as made:
        yield made


def run(folder: Path, *command: str) -> str:
    """What a program prints, which must not fail."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def snippets(document: Path, language: str) -> list[str]:
    """The code blocks of a document in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def lines_of(page: Page) -> list[str]:
    """What a page writes to its console, and what goes wrong there, from now on."""
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(f"failed: {error}"))
    return told


def test_the_example_for_node(project: Path, examples: Path) -> None:
    (code,) = snippets(WEB / "README.md", "js")
    assert "@mien/browser" in code
    (project / "hopper.rgb").write_bytes(decode((examples / "hopper.jpg").read_bytes()).pixels.tobytes())
    (project / "example.js").write_text(code)
    years, outcome = run(project, "node", "example.js").split()
    assert 65 < float(years) < 95
    assert outcome == "pass"


def test_the_example_for_a_page(browser: Browser, host: Host, examples: Path) -> None:
    """Alone in a file beside the folder `mien`, with nothing added."""
    (code,) = snippets(WEB / "README.md", "html")
    host.files["/example.html"] = code.encode(), "text/html; charset=utf-8"
    with browser.new_context() as context:
        page = context.new_page()
        told = lines_of(page)
        page.goto(host.at("/example.html"))
        page.wait_for_function("document.querySelector('input').onchange !== null", timeout=PATIENCE)
        for name in ("hopper.jpg", "astronaut.jpg"):
            with page.expect_console_message(lambda message: message.text in OUTCOMES, timeout=PATIENCE):
                page.locator("input").set_input_files(examples / name)
    told = [line for line in told if "favicon" not in line and "404" not in line]
    checker = AgeChecker(mien.load("mien-s", threads=1), min_age=18)
    for name, face, outcome in zip(("hopper.jpg", "astronaut.jpg"), told[::2], told[1::2], strict=True):
        ours = checker(examples / name)
        years, low, high, gender = face.split()
        assert float(years) == pytest.approx(ours.photo.faces[0].age.years, abs=0.3)
        assert float(low) < float(years) < float(high)
        assert (gender, outcome) == (ours.photo.faces[0].gender.label, ours.outcome)
    assert host.asked.count("/mien/models/mien-s/model.onnx") == 1  # kept for the second


@pytest.mark.parametrize("document", ["README.md", "docs/browser.md"])
def test_the_lines_for_a_module(browser: Browser, host: Host, document: str) -> None:
    """With a `file` at hand, as the documents say; what they get is a photo with a face."""
    (code,) = [one for one in snippets(ROOT / document, "js") if "analyzer.analyze(" in one]
    given = 'const file = await (await fetch("/photo")).blob();\n'
    host.files["/lines.js"] = f"{given}{code}\nconsole.log(JSON.stringify(photo));\n".encode(), "text/javascript"
    host.files["/lines.html"] = b'<!doctype html><script type="module" src="/lines.js"></script>', "text/html"
    with browser.new_context() as context:
        page = context.new_page()
        with page.expect_console_message(lambda message: message.text.startswith("{"), timeout=PATIENCE) as told:
            page.goto(host.at("/lines.html"))
        (face,) = json.loads(told.value.text)["faces"]
    assert 65 < face["age"]["years"] < 95
