"""Broken and strange models: each ends as on NVIDIA's side (where it was asked), never in an exception."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from trt_lessons.interpreter import tensorrt as trt

from . import sides

F = TensorProto.FLOAT
N = helper.make_node


def made(nodes: list, inputs: dict | None = None, outputs: dict | None = None, weights: dict | None = None, opset=21):
    """A model of values of two FP32 numbers, unchecked."""
    sides_ = [
        [helper.make_tensor_value_info(k, *v) for k, v in side.items()]
        for side in (inputs or {"x": (F, [2])}, outputs or {"y": (F, [2])})
    ]
    constants = [numpy_helper.from_array(a, k) for k, a in (weights or {}).items()]
    graph = helper.make_graph(nodes, "g", *sides_, constants)
    opsets = [helper.make_opsetid("", opset)] if opset else []
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def with_function() -> onnx.ModelProto:
    """A model whose only op is a function of its own."""
    model = made([N("Foo", ["x"], ["y"], domain="me")])
    opset = [helper.make_opsetid("", 21)]
    model.functions.append(helper.make_function("me", "Foo", ["a"], ["b"], [N("Relu", ["a"], ["b"])], opset))
    model.opset_import.append(helper.make_opsetid("me", 1))
    return model


def outside(length: int) -> onnx.ModelProto:
    """A model whose weights lie in `w.bin`, which should hold `length` bytes."""
    shape = (F, [1000])
    model = made([N("Add", ["x", "w"], ["y"])], {"x": shape}, {"y": shape}, {"w": np.ones(1000, np.float32)})
    weights = model.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "w.bin", "offset": 0, "length": length}.items():
        weights.external_data.add(key=key, value=str(value))
    return model


MODELS = {  # name: (model, the bytes in the file beside it, accepted?)
    "unsorted": (made([N("Relu", ["a"], ["y"]), N("Neg", ["x"], ["a"])]), None, True),
    "lost_input": (made([N("Add", ["x", "nope"], ["y"])]), None, False),
    "lost_output": (made([N("Relu", ["x"], ["a"])]), None, False),
    "cycle": (made([N("Add", ["x", "b"], ["a"]), N("Relu", ["a"], ["b"]), N("Neg", ["b"], ["y"])]), None, False),
    "made_twice": (made([N("Relu", ["x"], ["y"]), N("Neg", ["x"], ["y"])]), None, False),
    "opset_99": (made([N("Relu", ["x"], ["y"])], opset=99), None, True),
    "no_opset": (made([N("Relu", ["x"], ["y"])], opset=0), None, True),
    "odd_names": (made([N("Relu", ["x y/数"], ["输 出/1"], name="层 /1")], {"x y/数": (F, [2])}, {"输 出/1": (F, [2])}),
                  None, True),
    "function": (with_function(), None, True),
    "float64": (made([N("Cast", ["w"], ["c"], to=F), N("Add", ["x", "c"], ["y"])], weights={"w": np.ones(2)}), None,
                True),
    "unknown_op": (made([N("Nope", ["x"], ["y"])]), None, False),
    "unknown_rank": (made([N("Relu", ["x"], ["y"])], {"x": (F, None)}, {"y": (F, None)}), None, True),
    "no_inputs": (made([N("Relu", [], ["y"])]), None, False),
    "data_missing": (outside(4000), None, False),
    "data_short": (outside(4000), 100, False),
    "data_right": (outside(4000), 4000, True),
    "data_longer": (outside(4000), 9000, True),
}  # fmt: skip


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each model in a folder of its own."""
    found = {}
    for name, (model, beside, _) in MODELS.items():
        folder = tmp_path_factory.mktemp(name)
        found[name] = folder / "model.onnx"
        found[name].write_bytes(model.SerializeToString())
        if beside is not None:
            (folder / "w.bin").write_bytes(bytes(beside))
    return found


@pytest.fixture(scope="module")
def answers(paths: dict[str, Path]) -> dict[str, dict]:
    """What the interpreter says."""
    return sides.ask("interpreter", sys.executable, paths)


@pytest.mark.parametrize("name", MODELS)
def test_ends_as_it_should(answers: dict[str, dict], name: str) -> None:
    """Accepted or refused, with words; never an exception."""
    answer = answers[name]
    assert answer["verdict"] in ("accepts", "parse", "build") and (answer["verdict"] == "accepts") == MODELS[name][2], (
        answer
    )
    assert MODELS[name][2] or answer["words"]


def test_nvidia_says_the_same(paths: dict[str, Path], answers: dict[str, dict]) -> None:
    """The table above is NVIDIA's."""
    python = sides.nvidia_python()
    if python is None:
        pytest.skip("TensorRT-RTX is not installed (NVIDIA's compiler without a GPU: Linux and Windows on x86-64)")
    told = {name: answer["verdict"] == "accepts" for name, answer in sides.ask("nvidia", python, paths).items()}
    assert told == {name: accepted for name, (_, _, accepted) in MODELS.items()}


@pytest.mark.parametrize("data", [b"", bytes(400), b"this is text" * 20], ids=["empty", "zeros", "text"])
def test_bytes_that_are_no_model(data: bytes) -> None:
    """False and a named error. (NVIDIA's parser takes some such bytes as a model without layers.)"""
    lines = []

    class Log(trt.ILogger):
        def log(self, severity: object, message: str) -> None:
            lines.append(message)

    network = trt.Builder(Log()).create_network(0)
    parser = trt.OnnxParser(network, Log())
    assert parser.parse(data) is False and parser.num_errors == 1 and lines
    assert parser.get_error(0).code() == trt.ErrorCode.MODEL_DESERIALIZE_FAILED


def test_external_data_of_a_model_given_as_bytes() -> None:
    """Its weights cannot be looked for: the error says what to call instead."""
    log = trt.Logger(trt.Logger.INTERNAL_ERROR)
    network = trt.Builder(log).create_network(0)
    parser = trt.OnnxParser(network, log)
    assert not parser.parse(outside(4000).SerializeToString())
    assert "parse_from_file" in parser.get_error(0).desc()
