"""Each kind of attack has its tests, and what no code can hold is written down and kept."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from mien.service.readiness import PROBE_SECONDS

ROOT = Path(__file__).resolve().parents[2]
SAFE = {
    "onnxruntime": "1.21",  # mien checks where weights lie, whatever the version
    "python-multipart": "0.0.20",  # 0.0.18 is quadratic in a header
    "h11": "0.16",  # 0.14 accepts bad chunks
    "prometheus-client": "0.22",  # 0.21 does not start
}


def test_each_attack_has_tests_and_they_are_there() -> None:
    rows = re.findall(r"^\| (\d+) \|.*$", text := read("tests/service/README.md"), re.MULTILINE)
    assert list(map(int, rows)) == list(range(1, 16))
    for row in text.splitlines():
        if re.match(r"\| \d", row):
            assert "::" in row
    for file, name in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text):
        assert re.search(rf"^ *def {name}\(", read(file), re.MULTILINE), f"{file} has no {name}"


@pytest.mark.parametrize("name", SAFE)
def test_the_oldest_versions_allowed_are_safe(name: str) -> None:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    needed = [Requirement(text) for text in (*project["dependencies"], *project["optional-dependencies"]["serve"])]
    (requirement,) = (one for one in needed if one.name == name)
    (floor,) = (Version(one.version) for one in requirement.specifier if one.operator == ">=")
    assert floor >= Version(SAFE[name])


def test_the_oldest_versions_allowed_are_tried() -> None:
    assert re.search(r"^make lowest$", read(".ci/run"), re.MULTILINE)
    recipe = read("Makefile").partition("\nlowest:")[2].partition("\n\n")[0]
    assert "--resolution lowest-direct '.[serve]'" in recipe
    assert "tests/smoke.py" in recipe


def test_the_health_check_waits_for_the_slowest_answer() -> None:
    check = re.search(r"HEALTHCHECK .*--timeout=(\d+)s.*?timeout=(\d+)\)", read("deploy/Dockerfile"), re.DOTALL)
    assert check is not None
    whole, asking = map(int, check.groups())
    assert PROBE_SECONDS + 2 <= asking < whole


def test_what_is_defended_is_written_down() -> None:
    assert "report" in read("SECURITY.md").lower()
    assert "threats.md" in read("SECURITY.md")
    threats = read("docs/threats.md")
    for part in ("## Defences", "## Not defended", "tests/service/README.md"):
        assert part in threats
    assert len(threats.split()) < 1000  # a page


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")
