"""The definitions for hosted machines and for commits: nothing runs them here, but what they name must be there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
WORKFLOW = ROOT / ".github" / "workflows" / "test.yml"

pytestmark = pytest.mark.skipif(not WORKFLOW.is_file(), reason="an sdist has no workflow")


def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def jobs() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]
    return found


def commands() -> list[str]:
    return [step["run"] for job in jobs().values() for step in job["steps"] if "run" in step]


def test_all_systems_and_versions_are_tried() -> None:
    matrix = jobs()["core"]["strategy"]["matrix"]
    assert {name.split("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    assert matrix["python"] == ["3.11", "3.12", "3.13", "3.14"]
    told = {line.rpartition(" ")[2] for line in project()["classifiers"] if re.search(r":: 3\.\d+$", line)}
    assert told <= set(matrix["python"])
    assert project()["requires-python"] == f">={matrix['python'][0]}"


def test_commands_name_what_is_there() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for command in commands():
        words = command.split()
        if words[0] == "make":
            assert [word for word in words[1:] if "=" not in word and word not in targets] == []
        files = [word for word in words if re.fullmatch(r"(tests|tools|examples|\.ci)[\w./-]*", word)]
        assert [name for name in files if not (ROOT / name).exists()] == [], command
        for extras in re.findall(r"\.\[([a-z,]+)\]", command):
            assert set(extras.split(",")) <= project()["optional-dependencies"].keys()


def test_hooks_run_what_is_there() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    scripts = [word for hook in hooks for word in hook["entry"].split() if word.endswith(".py")]
    assert scripts
    assert [name for name in scripts if not (ROOT / name).is_file()] == []


def test_the_pinned_torch_is_one_that_users_may_have() -> None:
    lines = (ROOT / ".ci" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {found.name: found for found in map(Requirement, (line for line in lines if not line.startswith("#")))}
    (allowed,) = (
        found for found in map(Requirement, project()["optional-dependencies"]["train"]) if found.name == "torch"
    )
    (pin,) = pins["torch"].specifier
    assert pin.operator == "=="
    assert allowed.specifier.contains(pin.version)
    assert {found.operator for found in allowed.specifier} == {">=", "<"}


def test_parquet_needs_no_ray() -> None:
    names = [Requirement(line).name for line in project()["optional-dependencies"]["parquet"]]
    assert names == ["pyarrow"]
