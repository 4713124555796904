from __future__ import annotations

import subprocess
import sys

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


@pytest.mark.parametrize("name", [name for name in mien.__all__ if name != "__version__"])
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(mien, name).__name__ == name
    assert name in dir(mien)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Analyser'"):
        _ = mien.Analyser  # type: ignore[attr-defined]
