"""Which kernels run the age network, by the environment."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort
import pytest

import mien
from mien.errors import ModelError, UsageError
from mien.runtime.providers import VARIABLE, providers

HOPPER = Path(__file__).parents[2] / "examples" / "hopper.jpg"


@pytest.mark.parametrize("value", [None, "", "cpu"])
def test_the_cpu_is_the_default(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    assert providers(1) == ["CPUExecutionProvider"]


def test_an_unknown_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "abacus")
    with pytest.raises(UsageError, match="abacus"):
        mien.load()


def test_openvino_answers_alike_or_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = mien.load()(HOPPER).faces[0]
    monkeypatch.setenv(VARIABLE, "openvino")
    if "OpenVINOExecutionProvider" not in ort.get_available_providers():
        with pytest.raises(ModelError, match="pip install onnxruntime-openvino"):
            mien.load()
        return
    face = mien.load()(HOPPER).faces[0]
    assert face.age.years == pytest.approx(expected.age.years, abs=0.05)
    assert face.gender.label == expected.gender.label
    assert face.gender.probability == pytest.approx(expected.gender.probability, abs=1e-3)
