"""`mien bench`: the arithmetic is counted rightly, the steps add up, and what cannot be read is told."""

from __future__ import annotations

import json
import math
from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner

from mien.analyzer import Analyzer, Options
from mien.cli import app
from mien.faces.mtcnn import weights_folder
from mien.speed.roofline import ABOVE, Bench, Step, measure
from mien.speed.work import CASCADE, multiply_adds

EXAMPLES = Path(__file__).parents[2] / "examples"
SIDES = {"P-Net": (37, 90), "R-Net": (24, 24), "O-Net": (48, 48)}


def counted_from_file(path: Path, shape: tuple[int, ...]) -> int:
    """Multiply-adds of an ONNX file by the shapes that the onnx package infers."""
    graph = onnx.load(path)
    for size, dimension in zip(shape, graph.graph.input[0].type.tensor_type.shape.dim, strict=True):
        dimension.dim_value = size
    for output in graph.graph.output:
        output.type.tensor_type.ClearField("shape")
    inferred = onnx.shape_inference.infer_shapes(graph, strict_mode=True, data_prop=True)
    known = {
        value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in (*inferred.graph.value_info, *inferred.graph.output)
    }
    weights = {tensor.name: list(tensor.dims) for tensor in inferred.graph.initializer}
    total = 0
    for node in inferred.graph.node:
        if node.op_type == "Conv":
            total += math.prod(known[node.output[0]]) * math.prod(weights[node.input[1]][1:])
        elif node.op_type in ("Gemm", "MatMul"):
            total += shape[0] * math.prod(weights[node.input[1]])
    return total


@pytest.mark.parametrize("net", CASCADE)
def test_the_cascade_is_counted_as_its_files_say(net: str) -> None:
    path = weights_folder() / f"{net[0].lower()}net.onnx"
    height, width = SIDES[net]
    shape = (2, height, width, 3)
    assert multiply_adds(CASCADE[net], shape) == counted_from_file(path, shape)


def test_the_steps_add_up_to_the_whole_and_networks_lie_inside_their_steps() -> None:
    analyzer = Analyzer(options=Options(threads=1))
    items = [item for _, item in analyzer._entries(str(EXAMPLES))]
    told: list[int] = []
    bench = measure(analyzer, items, peak=1e11, repeats=2, progress=told.append)
    steps = {step.name: step for step in bench.steps}
    assert len(told) == 3 * bench.photos == 3 * len(items)
    assert bench.faces >= bench.photos
    own = [step for step in bench.steps if not step.part_of]
    assert all(step.milliseconds > 0 for step in own)
    assert 0.3 * bench.whole < sum(step.milliseconds for step in own) < 3 * bench.whole  # a loose tie: machines vary
    for step in bench.steps:
        assert not step.part_of or step.milliseconds <= steps[step.part_of].milliseconds
    assert steps["estimate"].multiply_adds == analyzer.config.multiply_adds * bench.faces / bench.photos
    inside = [step.multiply_adds for step in bench.steps if step.part_of and step.multiply_adds]
    assert steps["find faces"].multiply_adds == pytest.approx(sum(inside))
    assert len(inside) == 3


def test_a_share_of_the_peak_is_the_time_at_the_peak_over_the_time() -> None:
    steps = (Step("a", 2.0, 1e8), Step("b", 1.0, 1e7, "a"), Step("c", 1.0))
    bench = Bench("m", "whole", 1, 1e11, 1, 0, 1, 0.3, 3.0, steps)
    first, _, third = bench.to_dict()["steps"]
    assert first["milliseconds_at_peak"] == 1.0
    assert first["share_of_peak"] == 0.5
    assert third["share_of_peak"] is None
    assert "| a | 2.00 | 67% | 100.0 | 50% | 1.00 |" in bench.to_table()
    assert "| - b |" in bench.to_table()


def test_the_command_leaves_out_what_it_cannot_read(tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"no picture")
    photo = str(EXAMPLES / "hopper.jpg")
    done = CliRunner().invoke(
        app, ["bench", photo, str(bad), "--repeats", "1", "--format", "json", "--detector", "haar"]
    )
    assert done.exit_code == 0, done.output
    assert "1 of 2 photos cannot be read" in done.stderr
    record = json.loads(done.stdout)
    assert (record["photos"], record["failed"], record["faces"]) == (1, 1, 1)
    assert {step["name"] for step in record["steps"] if step["share_of_peak"] is not None} == {"estimate"}


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["{bad}"], 6, "no readable photo"),
        (["{photo}", "--format", "xml"], 2, "xml"),
        (["{photo}", "--model", "no-such"], 2, "no-such"),
    ],
)
def test_what_it_refuses(tmp_path: Path, arguments: list[str], code: int, says: str) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"")
    given = [text.format(bad=bad, photo=EXAMPLES / "hopper.jpg") for text in arguments]
    done = CliRunner().invoke(app, ["bench", *given, "--repeats", "1"])
    assert done.exit_code == code
    assert says in done.stderr


def test_a_step_above_the_peak_is_explained() -> None:
    steps = (Step("a", 2.0, 3e8), Step("b", 1.0, 1e7))
    bench = Bench("m", "whole", 1, 1e11, 1, 0, 1, 0.3, 3.0, steps)
    assert bench.to_table().splitlines()[-1] == f"a: {ABOVE}"
    below = Bench("m", "whole", 1, 1e12, 1, 0, 1, 0.3, 3.0, steps)
    assert ABOVE not in below.to_table()
