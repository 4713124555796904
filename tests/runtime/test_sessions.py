"""One door to ONNX Runtime: nothing else imports it, and nothing is reported to its maker."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from mien.runtime import sessions

SOURCE = Path(__file__).parents[2] / "src"


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


def test_nothing_else_imports_onnx_runtime() -> None:
    importers = [str(file.relative_to(SOURCE)) for file in SOURCE.rglob("*.py") if "onnxruntime" in imported(file)]
    assert importers == ["mien/runtime/sessions.py"]


@pytest.mark.parametrize("module", ["mien", "mien.runtime.sessions"])
def test_the_switch_of_reports_is_set_where_the_runtime_is_imported(module: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    code = f"import os, {module}; print(os.environ.get('ORT_DISABLE_TELEMETRY'))"
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == ("None" if module == "mien" else "1")


def doubled() -> bytes:
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "doubled", ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("settings", [{}, {"spinning": False}, {"memory_plans": False}, {"threads": 1}])
def test_a_network_of_bytes_runs_with_every_setting(settings: dict[str, bool]) -> None:
    network = sessions.open_network(doubled(), **settings)  # type: ignore[arg-type]
    (answer,) = network.run(None, {"x": np.array([1, 2], np.float32)})
    assert answer.tolist() == [2, 4]
    assert [port.name for port in network.get_inputs()] == ["x"]


def test_bytes_that_are_no_network_and_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(sessions.NOT_A_NETWORK):
        sessions.open_network(b"no network")
    with pytest.raises(sessions.FAULTS):
        sessions.open_network(str(tmp_path / "none.onnx"))
