"""What is inside an engine, counted in bytes, and engines timed beside each other."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import trt_lessons as tl
from trt_lessons import trt
from trt_lessons.engines.layers import Row
from trt_lessons.errors import ModelFileError

KERNEL, BIAS = np.ones((4, 3, 3, 3), np.float32), np.zeros(4, np.float32)


def conv_relu(network):
    x = network.add_input("x", trt.float32, (2, 3, 8, 8))
    conv = network.add_convolution_nd(x, 4, (3, 3), KERNEL, BIAS)
    relu = network.add_activation(conv.get_output(0), trt.ActivationType.RELU)
    conv.name, relu.name = "conv", "relu"
    network.mark_output(relu.get_output(0))


@pytest.fixture(autouse=True)
def no_recording(tmp_path, monkeypatch):
    monkeypatch.setenv("TRT_LESSONS_RECORDINGS", str(tmp_path))
    tl.lesson("04_2_fusion")


def test_what_is_inside_one_engine_and_several(capsys):
    report = tl.build(conv_relu, level=1, progress=False)
    one = tl.inside("one", report)
    assert one.fusion.lost == []
    assert one.moved_mb > 0 and len(one.kernels) <= len(one.table)
    assert one.first(1) == (["conv"], [(one.table.column("name")[0], one.fusion.held[one.table.column("name")[0]])])
    assert one.first(9)[0] == ["conv", "relu"] and str(one) == f"{one.note}\n{one.table}"
    both = tl.inside("both", {"a": report, 2: report})
    assert list(both) == ["a", 2] and both[2].table.column("name") == one.table.column("name")
    assert tl.inside("later", lambda: report).network == one.network


def fixed(batch):
    sides = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [batch, 250]) for n in "xy"]
    weight = onnx.numpy_helper.from_array(np.ones((batch if isinstance(batch, int) else 1, 250), np.float32), "w")
    nodes = [onnx.helper.make_node("Add", ["x", "w"], ["t"]), onnx.helper.make_node("Relu", ["t"], ["y"])]
    graph = onnx.helper.make_graph(nodes, "g", sides[:1], sides[1:], [weight])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


def test_bytes_of_layers_that_run_alone_leave_constants_out():
    each = 4 * 1000 * 250 / 1e6
    assert tl.unfused_mb(fixed(1000)) == pytest.approx(4 * each)


def test_sizes_must_be_known_and_the_model_must_parse():
    with pytest.raises(ModelFileError, match="is not known"):
        tl.unfused_mb(fixed("batch"))
    with pytest.raises(ModelFileError, match="refuses"):
        tl.unfused_mb(b"no model")


def test_engines_and_layers_are_timed():
    report = tl.build(conv_relu, level=1, progress=False)
    found = tl.measure_each("each", {"a": report, "b": report}, duration_s=0.02)
    assert set(found.value) == {"a", "b"} and all(m.median() > 0 for m in found.value.values())
    layers = tl.layer_times("layers", report, np.ones((2, 3, 8, 8), np.float32), runs=5)
    assert layers.value and all(ms >= 0 for ms in layers.value.values())


@pytest.mark.parametrize(
    ("precision", "tactic", "shown"),
    [
        ("FP32", "sm80_xmma_fprop_f32f32_tf32f32_f32", "TF32"),
        ("FP32", "ffma", "FP32"),
        ("FP16", "f16f16", "FP16"),
    ],
)
def test_a_table_says_tf32_where_the_kernel_does(precision, tactic, shown):
    row = Row("conv", "CaskConvolution", precision, ["conv"], tactic=tactic)
    assert row.arithmetic == shown and row.precision == precision
    assert shown in str(tl.layers.Table([row]))
