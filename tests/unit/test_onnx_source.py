"""Damaged models never reach TensorRT, and each says what is wrong with it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from trt_lessons.engines import source
from trt_lessons.engines.source import Source, graph_kinds
from trt_lessons.errors import LessonError, ModelFileError
from trt_lessons.models import digits


def model(*nodes, weights=()):
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [2, 3]) for n in "xy"]
    arrays = [numpy_helper.from_array(a, n) for n, a in dict(weights).items()]
    graph = helper.make_graph(list(nodes), "g", info[:1], info[1:], arrays)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


RELU = helper.make_node("Relu", ["x"], ["y"], name="relu")


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (model(helper.make_node("Relu", ["z"], ["y"], name="relu")), "'z'"),
        (model(helper.make_node("Relu", ["x"], ["z"], name="relu")), "'y'"),
        (model(helper.make_node("Relu", ["x", "x"], ["y"], name="relu")), "rules"),
        (model(helper.make_node("Unheard", ["z"], ["y"], name="u")), "'z'"),
    ],
)
def test_graphs_that_contradict_themselves(broken, words):
    with pytest.raises(ModelFileError) as caught:
        Source(broken.SerializeToString(), None)
    assert words in caught.value.why


def test_an_op_that_onnx_does_not_know_is_left_to_the_parser():
    Source(model(helper.make_node("Unheard", ["x"], ["y"])).SerializeToString(), None)
    Source(model(helper.make_node("Own", ["x"], ["y"], domain="my.company")).SerializeToString(), None)


@pytest.mark.parametrize("seed", range(60))
def test_flipped_bits_end_in_a_named_error_or_in_nothing(seed):
    rng = np.random.default_rng(seed)
    data = bytearray(model(RELU).SerializeToString())
    for _ in range(rng.integers(1, 4)):
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    try:
        Source(bytes(data), None)
    except LessonError as error:
        assert error.why and error.cure


def test_kinds_of_a_graph():
    cast = helper.make_node("Cast", ["x"], ["h"], to=TensorProto.FLOAT16)
    back = helper.make_node("Cast", ["h"], ["y"], to=TensorProto.FLOAT)
    assert graph_kinds(model(RELU)) == set()
    assert graph_kinds(model(cast, back)) == {"fp16"}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    scale = ("s", np.float32(0.1))
    assert graph_kinds(model(*nodes, weights=[scale, ("z", np.int8(0))])) == {"int8"}
    eight = model(*nodes, weights=[scale])
    eight.graph.initializer.append(helper.make_tensor("z", TensorProto.FLOAT8E4M3FN, [], b"\0", raw=True))
    assert graph_kinds(eight) == {"fp8"}
    half = model(*nodes, weights=[("s", np.float16(0.1)), ("z", np.int8(0))])
    assert graph_kinds(half) == {"int8", "fp16"}


def test_a_large_model_is_checked_without_its_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "LARGE", 0)
    path = digits.onnx_path()
    assert source.Source(path, None).name == path.stem
    broken = onnx.load(path)
    del broken.graph.node[0].input[:]
    onnx.save(broken, tmp_path / "broken.onnx")
    with pytest.raises(ModelFileError, match="breaks ONNX's rules"):
        source.Source(tmp_path / "broken.onnx", None)
