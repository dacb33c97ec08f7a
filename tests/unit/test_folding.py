"""Models whose If nodes ask for sizes: fixed shapes take a branch, and the report says so."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from trt_lessons.advice import folding, search, subject
from trt_lessons.errors import BuildError

ASKS = """
<ir_version: 8, opset_import: ["" : 17]>
asks (float[batch, 4] x) => (float[n] y, float[batch, 4] z)
<int64 axis = {0}, int64 one = {1}, int64[1] first = {0}>
{
  shape = Shape(x)
  rows = Gather<axis = 0>(shape, axis)
  alone = Equal(rows, one)
  flat, kept = If (alone) <
    then_branch = small () => (float[4] flat_small, float[batch, 4] kept_small)
    {
      squeezed = Squeeze(x, first)
      again = If (alone) <
        then_branch = inner () => (float[4] inner_out) { inner_out = Neg(squeezed) },
        else_branch = never () => (float[4] never_out) { never_out = Abs(squeezed) }
      >
      flat_small = Identity(again)
      kept_small = Relu(x)
    },
    else_branch = large () => (float[batch, 4] flat_large, float[batch, 4] kept_large)
    {
      flat_large = Identity(x)
      kept_large = Sigmoid(x)
    }
  >
  y = Exp(flat)
  z = Add(kept, x)
}
"""


def model() -> onnx.ModelProto:
    """Squeezes a batch of one: its branches have other ranks, one holds another If, and both make two outputs."""
    return parsed(ASKS)


def parsed(text: str) -> onnx.ModelProto:
    """The model of a text; the rank of its first output is open."""
    found = onnx.parser.parse_model(text)
    found.graph.output[0].type.tensor_type.ClearField("shape")
    return found


def run(graph: onnx.ModelProto, x: np.ndarray) -> list[np.ndarray]:
    """What onnxruntime makes of it."""
    return onnxruntime.InferenceSession(graph.SerializeToString()).run(None, {"x": x})


@pytest.mark.parametrize("rows", [1, 3])
def test_the_branch_that_fits_is_taken_and_gives_the_same(rows: int) -> None:
    x = np.random.default_rng(0).standard_normal((rows, 4), np.float32)
    found = folding.with_shapes(model(), {"x": x.shape})
    assert folding.control_flow(model().graph) == 2 and folding.control_flow(found.graph) == 0
    for ours, theirs in zip(run(found, x), run(model(), x), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_refused_model_is_searched_with_its_shapes_fixed(tmp_path) -> None:
    onnx.save(model(), tmp_path / "asks.onnx")
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).standard_normal((6, 1, 4), np.float32))
    lines: list[str] = []
    found = search.search(subject.read(tmp_path / "asks.onnx", tmp_path / "x.npz"), say=lines.append)
    assert "For these shapes alone: x [1, 4]. Its 2 nodes of control flow" in found.why
    assert lines[0].startswith("FP32  refused as it is.")
    assert not found.rows[0].refused and found.rows[0].error == 0


def test_batches_of_several_shapes_are_not_fixed(tmp_path) -> None:
    onnx.save(model(), tmp_path / "asks.onnx")
    np.savez(tmp_path / "x.npz", x=np.ones((7, 4), np.float32))
    mine = subject.read(tmp_path / "asks.onnx", tmp_path / "x.npz", batch=3)
    assert folding.fixed(mine) is None
    with pytest.raises(BuildError, match="no way to build"):
        search.search(mine, say=lambda line: None)


def test_control_flow_that_asks_for_numbers_stays(tmp_path) -> None:
    text = ASKS.replace("alone = Equal(rows, one)", "low = ReduceMin<keepdims = 0>(x)\n  alone = Greater(low, low)")
    onnx.save(parsed(text), tmp_path / "asks.onnx")
    np.savez(tmp_path / "x.npz", x=np.ones((6, 1, 4), np.float32))
    assert folding.fixed(subject.read(tmp_path / "asks.onnx", tmp_path / "x.npz")) is None
