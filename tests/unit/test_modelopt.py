"""What lesson 04_1 says beside its own functions: verdicts, chains, products counted, and NVIDIA's ModelOpt."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import numpy as np
import onnxruntime as ort
import pytest

import trt_lessons as tl
from trt_lessons import precision
from trt_lessons.errors import PrecisionError
from trt_lessons.models import digits

SMALL = {"images": digits.data().test_images[:16]}


@pytest.fixture(scope="module")
def base():
    return precision.read(digits.onnx_path())


def test_verdict_wants_both_limits() -> None:
    logits = np.array([[0.0, 10.0], [10.0, 0.0]])
    labels = np.array([1, 0])
    assert precision.verdict("x", logits + 0.05, logits, labels, 0.01).endswith(": within the limits")
    assert "difference 2.00%, limit 1%: NOT" in precision.verdict("x", logits + 0.2, logits, labels, 0.01)
    assert "accuracy 0.0000" in (told := precision.verdict("x", logits[::-1], logits, labels, 9.0)) and "NOT" in told


def test_a_judge_compares_models_and_engines_and_keeps_an_account(base, capsys) -> None:
    images, labels = SMALL["images"], digits.data().test_labels[:16]
    judge = tl.Judge(base, images, labels)
    report = tl.build(base, profiles={"images": [(1, 1, 32, 32), images.shape, images.shape]}, progress=False)
    judge("engine", report, 0.01)
    judge("far", precision.quantize(base, images[:1]), 0.0001)
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith("engine: accuracy") and told[0].endswith("limit 1%: within the limits")
    assert told[1].endswith("limit 0.01%: NOT within the limits") and len(told) == 2
    assert list(judge.logits) == ["FP32", "engine", "far"] and judge.logits["FP32"].shape == (16, 10)
    accuracy, error, size = judge.account({"engine": report, "never judged": report})["engine"]
    assert accuracy == digits.accuracy(judge.logits["engine"], labels) and error < 0.01 and size == len(report.plan)
    assert list(judge.account({"engine": report})) == ["engine"]


def test_a_printed_error_ends_only_its_block(capsys) -> None:
    for name in ("first", "second"):
        with tl.errors.printed():
            raise PrecisionError(f"the {name} one", cure="another")
    assert capsys.readouterr().out == "the first one\n  cure: another\nthe second one\n  cure: another\n"
    with pytest.raises(KeyError), tl.errors.printed():
        raise KeyError("not ours")


def test_autocast_converts_all_and_leaves_the_file_alone(base) -> None:
    path = digits.onnx_path()
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    cast = precision.autocast(path)
    assert precision.nodes_in(cast, "fp32") == [] and len(precision.nodes_in(cast, "fp16")) == 45
    error = precision.compare(precision.on_cpu(cast, SMALL), precision.on_cpu(base, SMALL)).relative
    assert 0 < error < 0.01
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


def test_autocast_keeps_the_overflow_in_fp32() -> None:
    cast = precision.autocast(precision.overflow_model(), calibration=SMALL)
    assert precision.nodes_in(cast, "fp32") == ["block2.norm1", "block2.relu1", "block2.conv2"]


def test_ptq_makes_pairs_and_leaves_the_file_alone(base) -> None:
    path = digits.onnx_path()
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    made = precision.ptq(path, {"images": digits.data().train_images[:16]})
    assert precision.kinds(made) == {"fp16", "int8"}
    behind_the_pool = ort.__version__ != "1.23.2"  # Python 3.10's onnxruntime, which ModelOpt asks, puts no pair there
    assert sum(node.op_type == "QuantizeLinear" for node in made.graph.node) == 27 + behind_the_pool
    assert precision.compare(precision.on_cpu(made, SMALL), precision.on_cpu(base, SMALL)).relative < 0.05
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before


def test_ptq_asks_no_tensorrt_8_for_plugins(base, monkeypatch) -> None:
    """ModelOpt makes a network of implicit batch there, which TensorRT's parser refuses."""
    from modelopt.onnx import trt_utils

    def refuses(*_: object) -> None:
        raise AssertionError("TensorRT 8 was asked")

    monkeypatch.setattr(trt_utils, "TRT_PYTHON_AVAILABLE", True)
    monkeypatch.setattr(trt_utils, "trt", SimpleNamespace(__version__="8.6.0"), raising=False)
    monkeypatch.setattr(trt_utils, "get_custom_layers", refuses)
    made = precision.ptq(base, {"images": digits.data().train_images[:2]})
    assert precision.kinds(made) == {"fp16", "int8"} and trt_utils.TRT_PYTHON_AVAILABLE


def test_a_missing_modelopt_is_told(monkeypatch, base) -> None:
    monkeypatch.setitem(__import__("sys").modules, "modelopt.onnx.autocast", None)
    with pytest.raises(PrecisionError, match="pip install nvidia-modelopt"):
        precision.autocast(base)


def test_what_modelopt_cannot_do_is_told(base) -> None:
    with pytest.raises(PrecisionError, match="could not convert"):
        precision.autocast(base, kind="int3")


def test_chain_says_what_stands_between_conv_and_relu(base) -> None:
    assert precision.chain(base, "block1.conv1", count=4) == "Norm Relu Conv Norm"


def test_products_are_counted_by_type(base) -> None:
    one = SMALL["images"].shape[1:]
    options = {"profiles": {"images": ((1, *one), (16, *one), (16, *one))}, "level": 0, "progress": False}
    graph = precision.quantize(base, SMALL["images"], keep=["stem.conv", "classifier"])
    report = tl.build(precision.to_fp16(graph), precision="int8+fp16", **options)
    layers = tl.compat.engine_layers(report.engine())
    assert (tl.compat.products_in(layers, "INT8"), tl.compat.products_in(layers, "FP16")) == (12, 2)
    facts = tl.layers.account(report)
    assert facts["layers"] == len(layers) == facts["reformats"] + sum(facts["types"].values())


@pytest.mark.skipif(tl.compat.has("IInt8MinMaxCalibrator"), reason="this TensorRT still has calibrators")
def test_a_calibrator_is_refused_where_there_is_none() -> None:
    with pytest.raises(PrecisionError, match="gone in TensorRT 11"):
        tl.compat.calibrator("IInt8MinMaxCalibrator", [SMALL["images"]])


def test_hold_in_fp32_leaves_a_strongly_typed_network_alone() -> None:
    if tl.compat.strongly_typed():
        tl.compat.hold_in_fp32(["x"])(None, None)
