"""Fixtures for all rooms: the shared data where it is there, and a tiny model whose answers can be computed by hand."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
from contextlib import suppress
from pathlib import Path
from types import ModuleType

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # for tests that import ONNX Runtime themselves

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper, save

from mien.estimate.bundle import BundleConfig
from mien.faces.align import CropContract
from mien.results import Age, Box, Face, Failure, Gender, Photo, Quality

REPO = Path(__file__).resolve().parents[1]
CHIP = 32
SPREAD = 4.0
LONGEST = (
    "service/test_page.py",
    "web/test_page.py",
    "web/test_typescript.py",
    "learn/networks/published/test_systems.py",
    "batch/test_cluster.py",
    "learn/training/test_loop.py",
    "learn/exporting/test_bundle.py",
    "batch/test_batch.py",
    "count/test_command.py",
    "learn/networks/published/test_hybrid.py",
    "cli/test_report.py",
    "service/test_openapi.py",
    "service/test_server.py",
    "batch/test_local.py",
    "learn/audits/fairness/test_fairness_audit.py",
    "cli/test_predict.py",
    "learn/audits/calibration/test_calibration_audit.py",
    "learn/evaluation/test_age_check_thresholds.py",
    "learn/comparison/test_score.py",
    "learn/networks/published/test_efficientnet.py",
    "service/test_hostile.py",
    "cli/test_video.py",
    "cli/test_learn.py",
    "learn/baselines/test_baseline.py",
    "learn/baselines/test_run.py",
    "learn/audits/robustness/test_robustness_audit.py",
    "video/test_run.py",
    "learn/figures/test_paper_figures.py",
)
"""Files of `tests` that take longest, in order. They go first, lest at the end one process has a long one to itself."""

if "PYTEST_XDIST_WORKER" in os.environ:  # coverage begins later here, and makes importing these twice as slow
    for name in (
        "torch.export",
        "torch._dynamo",
        "onnxscript",
        "scipy.stats",
        "sklearn.ensemble",
        "matplotlib.pyplot",
        "pyarrow.dataset",
    ):
        with suppress(ImportError):
            importlib.import_module(name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; `make tests` keeps xdist from sorting them by their number of tests instead."""
    place = {REPO / "tests" / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path, len(place)))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with research data, which is no part of the project."""
    folder = Path(os.environ.get("MIEN_SHARED", REPO.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"needs the research data in {folder} (or $MIEN_SHARED)")
    return folder


@pytest.fixture(scope="session")
def examples() -> Path:
    """Sample portraits of the project."""
    return REPO / "examples"


@pytest.fixture(scope="session")
def clip() -> ModuleType:
    """`benchmarks/clip.py`, which makes clips of two moving faces from the portraits."""
    spec = importlib.util.spec_from_file_location("clip", REPO / "benchmarks" / "clip.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 32-pixel chips that reads the age off the brightness and the gender off the colour.

    The age is 100 times the mean brightness of the LEFT half (so mirroring matters), with a spread of four years; the
    probability of "female" is sigmoid(10 (red - blue)), with channels from 0 to 1.
    """
    folder = tmp_path_factory.mktemp("models") / "tiny"
    folder.mkdir()
    save(_tiny_network(), folder / "model.onnx")
    digest = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    config = BundleConfig(
        name="tiny",
        contract=CropContract.utkface(CHIP),
        licence="MIT",
        data=("nothing",),
        parameters=120,
        multiply_adds=117,
        files={"model.onnx": digest},
        figures={"MAE": 12.5},
    )
    (folder / "config.json").write_text(json.dumps(config.to_dict()), encoding="utf-8")
    (folder / "LICENSE").write_text("MIT\n", encoding="utf-8")
    return folder


@pytest.fixture
def answers() -> list[Photo]:
    """What an analyzer may answer: two faces, none, and a photo that failed."""
    pmf = tuple(1 / 117 for _ in range(117))
    landmarks = ((110.04, 120.0), (130.0, 120.0), (120.0, 130.0), (112.0, 140.0), (128.0, 140.0))
    first = Face(
        Box(100.04, 100, 140, 160.5),
        0.99913,
        landmarks,
        Age(34.26, 33.9, 27.1, 42, 0.9, pmf),
        Gender(0.98),
        Quality(20.04, 0.14159, -3.14),
    )
    second = Face(
        Box(10, 20, 30, 45),
        None,
        None,
        Age(7, 6.5, 3, 11, 0.9, pmf),
        Gender(0.48766),
        Quality(9.5, 0.05, None, ("small", "blurred")),
    )
    return [
        Photo("a/Zoë, 2.jpg", "tiny", 640, 480, (first, second)),
        Photo("b.jpg", "tiny", 64, 48),
        Photo("c.jpg", "tiny", error=Failure("truncated", 'it "breaks" off\nhere')),
    ]


def _tiny_network() -> ModelProto:
    def constant(name: str, value: object, dtype: type) -> TensorProto:
        return numpy_helper.from_array(np.asarray(value, dtype), name)

    nodes = [
        helper.make_node("Cast", ["chips"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["numbers", "full"], ["unit"]),
        helper.make_node("Slice", ["unit", "start", "middle", "across"], ["left"]),
        helper.make_node("ReduceMean", ["left", "all_axes"], ["brightness"], keepdims=0),  # [N]
        helper.make_node("Mul", ["brightness", "hundred"], ["centre"]),
        helper.make_node("Unsqueeze", ["centre", "last"], ["column"]),  # [N, 1]
        helper.make_node("Sub", ["years", "column"], ["away"]),  # [N, 117]
        helper.make_node("Mul", ["away", "away"], ["squared"]),
        helper.make_node("Mul", ["squared", "sharpness"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["age_pmf"], axis=1),
        helper.make_node("ReduceMean", ["unit", "plane"], ["colour"], keepdims=0),  # [N, 3]
        helper.make_node("Mul", ["colour", "red_minus_blue"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "last"], ["log_odds"], keepdims=0),
        helper.make_node("Sigmoid", ["log_odds"], ["p_female"]),
    ]
    constants = [
        constant("full", 255, np.float32),
        constant("hundred", 100, np.float32),
        constant("start", [0], np.int64),
        constant("middle", [CHIP // 2], np.int64),
        constant("across", [2], np.int64),
        constant("all_axes", [1, 2, 3], np.int64),
        constant("plane", [1, 2], np.int64),
        constant("last", [1], np.int64),
        constant("years", np.arange(117), np.float32),
        constant("sharpness", -1 / (2 * SPREAD**2), np.float32),
        constant("red_minus_blue", [10, 0, -10], np.float32),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("chips", TensorProto.UINT8, ["n", CHIP, CHIP, 3])],
        [
            helper.make_tensor_value_info("age_pmf", TensorProto.FLOAT, ["n", 117]),
            helper.make_tensor_value_info("p_female", TensorProto.FLOAT, ["n"]),
        ],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
