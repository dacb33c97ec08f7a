"""Whether a precision is in an engine: what the inspector names, what the plan holds, and silence where neither tells.

Engines of TensorRT 8.6 as its inspector tells them, with regions (`ForeignNode`) whose inside it does not tell.
"""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from trt_lessons import compat
from trt_lessons.engines import proof
from trt_lessons.engines.built import UNTOLD, BuildReport
from trt_lessons.errors import PrecisionError

REGION = "{ForeignNode[/attn/MatMul.../norm/LayerNormalization]}"


def layer(name, kind, dtype, tactic=""):
    """A layer as 8.6's inspector tells it, every tensor of one type."""
    tensor = {"Name": "t", "Dimensions": [1, 8], "Format/Datatype": f"Row major linear {dtype} format"}
    return {"Name": name, "LayerType": kind, "Inputs": [tensor], "Outputs": [tensor], "TacticName": tactic}


def told(*raw):
    return compat.normalize_layers({"Layers": list(raw)})


@pytest.fixture
def half():
    """A model of one product whose weight, 32 x 32, is in FP16."""
    weight = np.random.default_rng(0).standard_normal((32, 32)).astype(np.float16)
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT16, ["n", 32]) for n in "xy"]
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], [numpy_helper.from_array(weight, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), weight


@pytest.fixture(autouse=True)
def real(monkeypatch):
    monkeypatch.setattr(compat, "is_interpreter", lambda: False)
    monkeypatch.setattr(compat, "strongly_typed", lambda: False)


def judged(monkeypatch, layers, plan, model, kind="fp16"):
    monkeypatch.setattr(proof, "load", lambda plan, name: None)
    monkeypatch.setattr(compat, "engine_layers", lambda engine: layers)
    report = BuildReport(plan, "mine", 0.0, False, {"precision": kind}, [], None)
    return proof.verify(report, {kind}, {kind}, model)


OVERHEAD = bytes(range(256)) * 800  # 200 kB of kernels beside 2 kB of weights


def test_a_small_region_that_holds_half_weights_is_fp16(monkeypatch, half):
    """Lesson 06's encoder on 8.6.0: its plan is many times its weights, and it was refused for that."""
    model, weight = half
    hidden = told(layer(REGION, "Myelin", "FP32"))
    for held in (weight, weight.T):
        plan = OVERHEAD + np.ascontiguousarray(held).tobytes() + OVERHEAD
        assert judged(monkeypatch, hidden, plan, model) == ["verified in the engine: the plan holds weights in FP16"]


def test_a_region_that_holds_its_weights_in_fp32_is_not(monkeypatch, half):
    model, weight = half
    plan = OVERHEAD + weight.astype(np.float32).tobytes()
    with pytest.raises(PrecisionError, match="no layer of the built engine that multiplies computes in it"):
        judged(monkeypatch, told(layer(REGION, "Myelin", "FP32")), plan, model)


@pytest.mark.parametrize("kind", ["fp16", "int8"])
def test_where_nothing_tells_nothing_is_claimed_and_nothing_refused(monkeypatch, half, kind, capsys):
    notes = judged(monkeypatch, told(layer(REGION, "Myelin", "FP32")), OVERHEAD, half[0], kind)
    assert len(notes) == 1 and notes[0].startswith(UNTOLD) and kind in notes[0]
    BuildReport(OVERHEAD, "mine", 0.0, False, {"precision": kind}, [], None, notes=notes).summary()
    assert f"precision {kind}, not told by the engine" in capsys.readouterr().out


def test_a_plan_too_small_for_fp32_weights_does_not_hold_them(half):
    model, _ = half
    assert proof.told_by_plan("fp16", bytes(3000), model) is True  # 4096 bytes in FP32
    assert proof.told_by_plan("fp16", bytes(3100), model) is None
    assert proof.told_by_plan("fp16", bytes(3000), None) is None


def test_what_the_inspector_names_comes_first(monkeypatch, half):
    """A convolution in FP32 and no hidden region: refused, whatever the plan's size."""
    conv = layer("conv", "CaskConvolution", "FP32", "sm80_xmma_fprop_f32f32")
    with pytest.raises(PrecisionError, match="1 in FP32"):
        judged(monkeypatch, told(conv), bytes(10), half[0])
    halves = told(conv, layer("gemm", "CaskGemmMatrixMultiply", "FP16", "h884gemm"))
    assert judged(monkeypatch, halves, OVERHEAD, half[0]) == ["verified in the engine: 1 in FP16, 1 in FP32"]
    edge = told(layer(REGION, "Myelin", "FP16"))
    assert judged(monkeypatch, edge, OVERHEAD, half[0]) == ["verified in the engine: 1 in FP16"]


def test_a_weight_of_equal_numbers_tells_nothing(half):
    model, weight = half
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.zeros_like(weight), "w"))
    assert proof.told_by_plan("fp16", bytes(9000), model) is None
