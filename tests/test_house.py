"""Each rule of the house fails when it is broken, in a copy that is broken on purpose."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]

BREACHES = {
    "Each floor of the house": ("estimate/estimator.py", "from mien.learn.data import manifest"),
    "The rooms of learn": ("learn/networks/weights.py", "from mien.learn.training import ema"),
    "No circle in learn": ("learn/data/tables.py", "from mien.learn.data import readers"),
    "ONNX Runtime has one door": ("learn/exporting/bundle.py", "import onnxruntime"),
}
"""Start of a contract's name -> the file that breaks it, and the import that does."""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout that holds what the contracts look at."""
    only_code = shutil.ignore_patterns("models", "static", "*.pyc", "__pycache__", "*.onnx")
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=only_code)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def contracts(checkout: Path) -> dict[str, str]:
    """Start of each contract's name -> KEPT or BROKEN."""
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    verdicts = re.findall(r"^(.*) (KEPT|BROKEN)(?: \(.*\))?$", done.stdout, re.MULTILINE)
    assert done.returncode == any(verdict == "BROKEN" for _, verdict in verdicts), done.stdout + done.stderr
    return {name: verdict for name in BREACHES for whole, verdict in verdicts if whole.startswith(name)}


def test_the_house_keeps_its_contracts(copy: Path) -> None:
    assert contracts(copy) == dict.fromkeys(BREACHES, "KEPT")


def test_each_contract_is_broken_by_an_import(copy: Path) -> None:
    for file, line in BREACHES.values():
        path = copy / "src" / "mien" / file
        path.write_text(path.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")
    assert contracts(copy) == dict.fromkeys(BREACHES, "BROKEN")


def test_a_function_of_many_branches_is_refused(tmp_path: Path) -> None:
    branches = "\n".join(f"    if n == {n}:\n        return {n}" for n in range(12))
    (tmp_path / "maze.py").write_text(f"def maze(n: int) -> int:\n{branches}\n    return 12\n")
    ruff = [sys.executable, "-m", "ruff", "check", "--no-cache", "--config", str(ROOT / "pyproject.toml"), "maze.py"]
    done = subprocess.run(ruff, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "C901 `maze` is too complex (13 > 12)" in done.stdout


@pytest.fixture(scope="module")
def house() -> ModuleType:
    spec = importlib.util.spec_from_file_location("house", ROOT / "tools" / "house.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A checkout of two rooms that breaks no rule."""
    for name in ("data/table.py", "training/loop.py"):
        path = tmp_path / "src" / "mien" / "learn" / name
        path.parent.mkdir(parents=True)
        path.write_text("def work() -> None:\n    pass\n")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "architecture.md").write_text(
        "```\nsrc/mien/\n  learn/data/table.py   faces;\n  learn/training/   all of it\ntests/  not.py\n```\n"
    )
    return tmp_path


def found(house: ModuleType, checkout: Path) -> list[str]:
    return list(house.faults(checkout))


def test_a_sound_house_has_no_faults(house: ModuleType, small: Path) -> None:
    assert found(house, small) == []


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("learn/training/loop.py", "\n" * 401, "src/mien/learn/training/loop.py: 401 lines, more than 400"),
        ("learn/training/loop.py", "def long() -> None:\n" + "    pass\n" * 60, "long has 61 lines, more than 60"),
        ("learn/training/run.yaml", "data: ../shared/faces\n", "run.yaml:1: a path leads out of the package"),
        ("learn/training/table.py", "", "learn has more than one table.py: in data, training"),
        ("learn/data/new.py", "", "architecture.md does not name learn/data/new.py"),
    ],
)
def test_a_rule_that_is_broken_is_told(house: ModuleType, small: Path, file: str, text: str, fault: str) -> None:
    (small / "src" / "mien" / file).write_text(text)
    (told,) = found(house, small)
    assert fault in told


def test_a_command_may_have_many_options_but_not_much_of_a_body(house: ModuleType, small: Path) -> None:
    (small / "src" / "mien" / "cli").mkdir()
    options = "".join(f"    option{number}: int,\n" for number in range(90))
    signature = f'def long(\n{options}) -> None:\n    """What it does.\n\n    And more.\n    """\n'
    table = small / "src" / "mien" / "cli" / "table.py"
    table.write_text(signature + "    pass\n" * 40)
    assert found(house, small) == ["architecture.md does not name cli/table.py"]
    table.write_text(signature + "    pass\n" * 41)
    assert found(house, small)[0].startswith("src/mien/cli/table.py:1: the body of long has 41 lines, more than 40")


def test_a_module_that_is_gone_is_told(house: ModuleType, small: Path) -> None:
    (small / "src" / "mien" / "learn" / "data" / "table.py").rename(
        small / "src" / "mien" / "learn" / "data" / "rows.py"
    )
    assert found(house, small) == [
        "architecture.md names learn/data/table.py, which does not exist",
        "architecture.md does not name learn/data/rows.py",
    ]
