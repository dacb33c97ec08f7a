"""Baselines by the same loop, errors, tables; the work of a network counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from trt_lessons import baselines, roofline
from trt_lessons.errors import MeasureError, RecordingError

FAST = {"warm_up_ms": 2, "duration_s": 0.02}


def module():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))


def test_eager_measures_and_answers():
    net, x = module(), np.ones((3, 8), np.float32)
    eager = baselines.eager(net, x)
    m = eager.measure(**FAST)
    assert m.batch == 3 and m.count >= 10 and m.note == "PyTorch eager, FP32 on this CPU"
    with torch.inference_mode():
        np.testing.assert_allclose(eager.output(), net(torch.ones(3, 8)).numpy(), rtol=1e-6)
    assert next(net.parameters()).device.type == "cpu"


def test_settings_are_put_back():
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    baselines.eager(module(), np.ones((1, 8), np.float32), tf32=True).measure(**FAST)
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == before
    assert not torch.is_inference_mode_enabled()


def test_named_without_a_gpu_asks_for_the_recording_and_compiles_nothing(monkeypatch, tmp_path):
    from trt_lessons import recordings

    monkeypatch.setenv("TRT_LESSONS_RECORDINGS", str(tmp_path))
    monkeypatch.setitem(recordings._current, "lesson", "02_test")
    monkeypatch.setattr(recordings, "recalls", lambda name: True)
    monkeypatch.setattr(recordings, "there", lambda name: True)
    compiled = baselines.compiled(module(), np.ones((1, 8), np.float32))
    with pytest.raises(RecordingError):
        compiled.measure(name="torch_compiled")
    assert compiled._run is None


def test_named_and_not_recorded_yet_is_really_run(monkeypatch, tmp_path, capsys):
    """What no GPU has recorded is taken here: the module itself is timed, not an empty call."""
    from trt_lessons import recordings

    monkeypatch.setenv("TRT_LESSONS_RECORDINGS", str(tmp_path))
    monkeypatch.setitem(recordings._current, "lesson", "02_test")
    eager = baselines.eager(module(), np.ones((1, 8), np.float32))
    m = eager.measure(name="torch_eager", **FAST)
    assert eager._run is not None and m.source == "interpreter"
    assert "not recorded on a GPU yet" in capsys.readouterr().out
    assert m.runner == "PyTorch eager, FP32"


def test_graph_needs_a_gpu():
    with pytest.raises(MeasureError, match="needs a GPU"):
        baselines.graphed(module(), np.ones((1, 8), np.float32)).measure(**FAST)


def model(batch="batch"):
    rng = np.random.default_rng(0)
    arrays = {
        "k": rng.standard_normal((6, 3, 3, 3)).astype(np.float32),
        "w": rng.standard_normal((6 * 8 * 8, 5)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("Gemm", ["f", "w"], ["y"]),
    ]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, 8, 8])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 5])
    weights = [numpy_helper.from_array(a, n) for n, a in arrays.items()]
    graph = helper.make_graph(nodes, "g", [given], [made], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_onnxruntime():
    x = np.random.default_rng(1).standard_normal((2, 3, 8, 8)).astype(np.float32)
    ort = baselines.ort(model(), {"x": x})
    m = ort.measure(**FAST)
    assert m.batch == 2 and m.note == "onnxruntime CPU on this CPU"
    assert ort.output().shape == (2, 5)
    with pytest.raises(MeasureError, match="no CUDAExecutionProvider"):
        baselines.ort(model(), {"x": x}, provider="CUDA").measure(**FAST)


def test_error_and_table():
    assert baselines.error(np.array([1.0, -4.0]), np.array([1.1, -4.2])) == pytest.approx((0.2, 0.05))
    with pytest.raises(MeasureError):
        baselines.error(np.zeros(2), np.zeros(3))
    m = baselines.eager(module(), np.ones((3, 8), np.float32)).measure(**FAST)
    lines = baselines.table({"A": (m, None), "B": (m, (0.2, 0.05))}).splitlines()
    assert len(lines) == 4 and "reference" in lines[1] and "0.05" in lines[2]
    assert lines[3] == "(PyTorch eager, FP32 on this CPU)"


def test_work_counted_by_hand():
    n = 4
    conv, gemm = 2 * n * 6 * 8 * 8 * 3 * 9, 2 * n * 5 * 384
    moved = n * 192 + 162 + n * 384 + n * 384 + 384 * 5 + n * 5
    for given in (model(), model().SerializeToString()):
        operations, traffic = roofline.work(given, {"x": (n, 3, 8, 8)})
        assert (operations, traffic) == (conv + gemm, 4 * moved)
    assert roofline.work(model(4), item_bytes=2) == (conv + gemm, 2 * moved)
    with pytest.raises(MeasureError, match="shapes"):
        roofline.work(model())


def test_work_of_batched_products():
    nodes = [helper.make_node("MatMul", ["a", "b"], ["c"])]
    sides = [helper.make_tensor_value_info(k, TensorProto.FLOAT, s) for k, s in (("a", [2, 3, 5]), ("b", [2, 5, 7]))]
    made = helper.make_tensor_value_info("c", TensorProto.FLOAT, [2, 3, 7])
    graph = helper.make_graph(nodes, "g", sides, [made])
    operations, traffic = roofline.work(helper.make_model(graph))
    assert operations == 2 * 2 * 3 * 7 * 5 and traffic == 4 * (30 + 70 + 42)
