"""Model folders of strangers: whatever is in them, a sentence and exit code 4, and no file outside is read."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from mien.cli import app
from mien.errors import ModelError
from mien.estimate import bundle
from mien.estimate.estimator import Estimator
from mien.runtime import external_data


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))


def change(folder: Path, path: str, value: Any) -> None:
    record = json.loads((folder / "config.json").read_text())
    *parents, last = path.split(".")
    node = record
    for parent in parents:
        node = node.setdefault(parent, {})
    node[last] = value
    (folder / "config.json").write_text(json.dumps(record))


def write(name: str, text: str | bytes) -> Callable[[Path], None]:
    data = text if isinstance(text, bytes) else text.encode()

    def put(folder: Path) -> None:
        (folder / name).write_bytes(data)

    return put


def changed(path: str, value: Any) -> Callable[[Path], None]:
    return lambda folder: change(folder, path, value)


def instead(name: str, make: Callable[[Path], None]) -> Callable[[Path], None]:
    """Something else under the name of a file."""

    def replace_it(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return replace_it


def deep(folder: Path) -> None:
    (folder / "config.json").write_text('{"a":' * 100_000)


def linked(name: str) -> Callable[[Path], None]:
    def link(folder: Path) -> None:
        (folder / name).rename(folder.parent / name) if (folder / name).exists() else (folder.parent / name).touch()
        (folder / name).symlink_to(folder.parent / name)

    return link


STRANGE: dict[str, Callable[[Path], None]] = {
    "deep config": deep,
    "deep list": write("config.json", '{"data": ' + "[" * 200_000),
    "endless config": write("config.json", b" " * ((16 << 20) + 2)),
    "config of numbers": write("config.json", "[1, 2]"),
    "config not in UTF-8": write("config.json", b'{"name": "\xff"}'),
    "a number of many digits": write("config.json", '{"format": ' + "9" * 10_000 + "}"),
    **{
        f"{path} is {value!r:.30}": changed(path, value)
        for path, value in (
            ("input.contract.size", 100_000),
            ("input.contract.size", 0),
            ("input.contract.size", -32),
            ("input.contract.size", 32.5),
            ("input.contract.size", "32"),
            ("input.contract.size", True),
            ("input.contract.size", [32]),
            ("input.contract.size", 10**400),
            ("input.contract.landmarks", 5),
            ("input.contract.landmarks", [[1, 2]] * 4),
            ("input.contract.landmarks", [[1, 2, 3]] * 5),
            ("input.contract.landmarks", [[float("nan"), 1]] * 5),
            ("input.contract.landmarks", [[1e300, 1]] * 5),
            ("input.contract.landmarks", [["a", "b"]] * 5),
            ("input", []),
            ("name", ""),
            ("name", "a" * 1000),
            ("name", "a\x1b[31m"),
            ("name", 5),
            ("ages.last", 10**9),
            ("parameters", -1),
            ("parameters", 10**400),
            ("parameters", "many"),
            ("data", {"a": 1}),
            ("data", [[["deep"]]]),
            ("figures", {"all_mae": "good"}),
            ("figures", [1]),
            ("files", {"model.onnx": 5}),
            ("files", {"../../etc/passwd": "00"}),
            ("files", {"/etc/passwd": "00"}),
            ("files", {"model.onnx": "00"}),
            ("licence", "MIT"),
            ("calibration", {"age_temperature": "hot"}),
            ("calibration", {"age_temperature": float("nan"), "gender_temperature": 1, "masses": []}),
            ("calibration", {"age_temperature": 1, "gender_temperature": 1, "masses": 5}),
            ("calibration", {"age_temperature": 1, "gender_temperature": 1, "masses": [[0.9, float("inf")]]}),
            ("calibration", {"age_temperature": 1, "gender_temperature": 1, "masses": [], "bands": [5]}),
            ("calibration", {"age_temperature": 1, "gender_temperature": 1, "masses": [], "bands": ["a"]}),
            ("calibration", {"age_temperature": 10**400, "gender_temperature": 1, "masses": []}),
        )
    },
    "no network": lambda folder: (folder / "model.onnx").unlink(),
    "empty network": write("model.onnx", b""),
    "network of zeros": write("model.onnx", bytes(1000)),
    "network of text": write("model.onnx", "no network"),
    "linked network": linked("model.onnx"),
    "linked weights": linked("model.safetensors"),
    "network is a folder": instead("model.onnx", Path.mkdir),
    "network is a pipe": instead("model.onnx", os.mkfifo),
    "config is a pipe": instead("config.json", os.mkfifo),
}


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_folder_is_a_sentence(name: str, copy: Path, examples: Path) -> None:
    STRANGE[name](copy)
    result = CliRunner().invoke(
        app, ["predict", str(examples / "hopper.jpg"), "--detector", "whole", "--model", str(copy), "--format", "jsonl"]
    )
    assert result.exit_code == 4, (result.output, result.exception)
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert len(result.stderr) < 1500


def with_initialiser(folder: Path, tensor: TensorProto) -> Path:
    network = onnx.load(folder / "model.onnx")
    network.graph.initializer.append(tensor)
    onnx.save(network, folder / "model.onnx")
    change(folder, "files", {})
    return folder


def outside(location: str) -> TensorProto:
    tensor = TensorProto(name="stolen", data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    tensor.external_data.add(key="length", value="4")
    return tensor


@pytest.mark.parametrize(
    "location",
    [
        "../secret",
        "./../secret",
        "sub/../../secret",
        "/etc/passwd",
        "sub/weights",
        "..",
        ".",
        "",
        "..\\secret",
        "C:secret",
        "*/_ORT_MEM_ADDR_/*",
        "link",
        "nothing",
    ],
)
def test_weights_lie_beside_the_network(location: str, copy: Path) -> None:
    (copy.parent / "secret").write_bytes(bytes(64))
    (copy / "sub").mkdir()
    (copy / "sub" / "weights").write_bytes(bytes(64))
    (copy / "link").symlink_to(copy.parent / "secret")
    with_initialiser(copy, outside(location))
    with pytest.raises(ModelError, match=r"wants to read|has weights in"):
        Estimator(bundle.read(copy))


def test_weights_beside_it_are_read(copy: Path) -> None:
    (copy / "model.safetensors").write_bytes(struct.pack("<f", 1.0))
    Estimator(bundle.read(with_initialiser(copy, outside("model.safetensors"))))


def buried(tensor: TensorProto) -> dict[str, onnx.ModelProto]:
    """A tensor in all the places that a graph has for one."""
    empty = helper.make_graph([], "inner", [], [])
    inside = helper.make_graph([helper.make_node("Constant", [], ["y"], value=tensor)], "inner", [], [])
    sparse = onnx.SparseTensorProto(values=tensor, dims=[1])
    nodes = {
        "constant": helper.make_node("Constant", [], ["y"], value=tensor),
        "constants": helper.make_node("Odd", [], ["y"], values=[tensor]),
        "branch": helper.make_node("If", ["c"], ["y"], then_branch=inside, else_branch=empty),
        "branches": helper.make_node("Odd", ["c"], ["y"], branches=[empty, inside]),
        "sparse constant": helper.make_node("Constant", [], ["y"], sparse_value=sparse),
    }
    found = {name: helper.make_model(helper.make_graph([node], "g", [], [])) for name, node in nodes.items()}
    graph = helper.make_graph([], "g", [], [])
    graph.sparse_initializer.append(sparse)
    found["sparse"] = helper.make_model(graph)
    function = helper.make_function("d", "f", [], ["y"], [nodes["constant"]], [helper.make_opsetid("", 17)])
    found["function"] = helper.make_model(empty, functions=[function])
    trained = helper.make_model(empty)
    trained.training_info.add().algorithm.CopyFrom(inside)
    found["training"] = trained
    return found


@pytest.mark.parametrize("place", buried(outside("x")))
def test_no_place_of_a_graph_is_overlooked(place: str) -> None:
    data = buried(outside("../secret"))[place].SerializeToString()
    assert list(external_data.locations(data)) == ["../secret"]
    with pytest.raises(ModelError, match="refused"):
        external_data.check_alone(data, "refused")


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_walked_to_an_end(data: bytes) -> None:
    with suppress(ValueError, IndexError):
        assert all(isinstance(location, str) for location in external_data.locations(data))


def test_a_deep_graph_is_refused() -> None:
    def field(number: int, data: bytes) -> bytes:
        length, head = len(data), bytearray([number << 3 | 2])
        while length > 0x7F:
            head.append(length & 0x7F | 0x80)
            length >>= 7
        return bytes([*head, length]) + data

    data = b""
    for _ in range(1000):  # attributes of nodes with graphs of nodes
        data = field(1, field(5, field(6, data)))
    with pytest.raises(ValueError, match="deeply"):
        list(external_data.locations(field(7, data)))


@pytest.mark.parametrize("weight", [np.nan, np.inf, -np.inf, 1e38])
def test_weights_that_are_no_numbers(weight: float, copy: Path) -> None:
    network = onnx.load(copy / "model.onnx")
    for tensor in network.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and tensor.name:
            values = np.full(tuple(tensor.dims), weight, np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save(network, copy / "model.onnx")
    model = bundle.read(copy)
    model = replace(model, config=replace(model.config, files={}))
    with pytest.raises(ModelError, match=r"not a number|no probability"):
        Estimator(model)(np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    "text", ['{"limits": ' + "[" * 100_000, '{"limits": {"18": 5}}', "[]", '{"limits": {"a": {}}}']
)
def test_strange_age_checks(text: str, copy: Path) -> None:
    (copy / "age_checks.json").write_text(text)
    with pytest.raises(ModelError):
        bundle.read(copy).age_checks()
