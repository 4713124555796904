from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import mien

HEAVY = ("torch", "cv2", "onnxruntime", "PIL", "numpy", "rich", "typer", "pyarrow", "pydantic")


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


def test_importing_is_silent_and_light() -> None:
    assert run("import mien") == ""
    assert run(f"import sys, mien; print([name for name in {HEAVY} if name in sys.modules])") == "[]\n"


def test_predicting_needs_no_training_code() -> None:
    learning = ("torch", "pydantic", "yaml", "matplotlib", "onnx", "pyarrow")
    code = f"import sys, mien.analyzer, mien.cli; print([name for name in {learning} if name in sys.modules])"
    assert run(code) == "[]\n"


def test_the_command_line_starts_without_the_model_code() -> None:
    heavy = ("cv2", "onnxruntime", "PIL", "numpy", "torch")
    assert run(f"import sys, mien.cli; print([name for name in {heavy} if name in sys.modules])") == "[]\n"


def test_predicting_leaves_nothing_behind(examples: Path, tmp_path: Path) -> None:
    """ONNX Runtime keeps an identifier for reports to its maker unless it is told not to."""
    homes = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
    switches = ("CI", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "GITHUB_ACTIONS", "TF_BUILD")
    environment = {name: value for name, value in os.environ.items() if name not in switches}
    environment |= dict.fromkeys(homes, str(tmp_path))
    code = f"import mien; assert mien.load()({str(examples / 'hopper.jpg')!r}).faces"
    subprocess.run([sys.executable, "-B", "-c", code], env=environment, cwd=tmp_path, check=True)
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("name", [name for name in mien.__all__ if name != "__version__"])
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(mien, name).__name__ == name
    assert name in dir(mien)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Analyser'"):
        _ = mien.Analyser  # type: ignore[attr-defined]
