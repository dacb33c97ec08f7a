"""The interpreter's plan: a header of its own, what the engine has to know as JSON, and the ONNX graph.

TensorRT's plans begin with other bytes, so each side can refuse the other's in plain words.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterable

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

from ..lowering.shapes import inferred, lighter
from ..types import FROM_ONNX, Dims

MAGIC = b"TRTL-INTERP"
FORMAT = 1
ENGINE = f"onnxruntime {ort.__version__} (interpreter)"
_DIGEST = 32


class PlanError(Exception):
    """The bytes are not a plan of this interpreter, or not a whole one."""


def pack(facts: dict, model: bytes) -> bytes:
    """Plan bytes: magic, format, length of the facts, facts, graph, sha256 of all that."""
    head = json.dumps(facts, sort_keys=True).encode()
    body = MAGIC + bytes([FORMAT]) + len(head).to_bytes(8, "little") + head + model
    return body + hashlib.sha256(body).digest()


def unpack(plan: bytes) -> tuple[dict, bytes]:
    """Facts and graph of a plan; PlanError says in words what is wrong with it."""
    if not plan.startswith(MAGIC):
        raise PlanError("this is not a plan of the interpreter: a plan built by TensorRT itself runs only on TensorRT")
    if plan[len(MAGIC)] != FORMAT:
        raise PlanError(f"its format is {plan[len(MAGIC)]}, this interpreter reads {FORMAT}: build it again")
    if hashlib.sha256(plan[:-_DIGEST]).digest() != plan[-_DIGEST:]:
        raise PlanError("the plan is damaged: its checksum does not fit (was it cut short, or changed?)")
    start = len(MAGIC) + 9
    size = int.from_bytes(plan[start - 8 : start], "little")
    return json.loads(plan[start : start + size]), plan[start + size : -_DIGEST]


def session_options(level: int, model: onnx.ModelProto) -> ort.SessionOptions:
    """Options for a builder optimization level: 0 fuses least; FP8 graphs run at the basic level only.

    The highest level rearranges images for convolutions. Without one it gains nothing, and onnxruntime 1.31 ends
    the process there on transformers with casts, those that begin with a convolution as well.
    """
    options = ort.SessionOptions()
    options.log_severity_level = 4
    levels = ort.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_BASIC if level <= 0 else levels.ORT_ENABLE_ALL
    kinds = [c.data_type for c in model.graph.initializer]
    kinds += [v.type.tensor_type.elem_type for v in model.graph.value_info]
    if TensorProto.FLOAT8E4M3FN in kinds:
        options.graph_optimization_level = levels.ORT_ENABLE_BASIC
    elif level > 0 and not _may_rearrange(model):
        options.graph_optimization_level = levels.ORT_ENABLE_EXTENDED
    return options


def _may_rearrange(model: onnx.ModelProto) -> bool:
    """Has it convolutions, and is it no transformer (MatMul and Softmax) with casts?"""
    ops = {node.op_type for node in model.graph.node}
    return any("Conv" in op for op in ops) and not {"Cast", "MatMul", "Softmax"} <= ops


def session(data: bytes, options: ort.SessionOptions) -> ort.InferenceSession:
    """onnxruntime's session on the CPU."""
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])


_WITHOUT_NUMPY = {"bfloat16": TensorProto.BFLOAT16, "float8_e4m3fn": TensorProto.FLOAT8E4M3FN}


def computed(session: ort.InferenceSession, outputs: list[str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """One run. BF16 and FP8, which onnxruntime does not exchange with NumPy, go in and out by their bytes."""
    kinds = [a.dtype.name for a in feeds.values()] + [t.type.removeprefix("tensor(")[:8] for t in session.get_outputs()]
    if not {*_WITHOUT_NUMPY, "float8e4"} & set(kinds):
        return session.run(outputs, feeds)
    values = {name: _value(array) for name, array in feeds.items()}
    return [_array(value) for value in session.run_with_ort_values(outputs, values)]


def _value(array: np.ndarray) -> ort.OrtValue:
    kind = _WITHOUT_NUMPY.get(array.dtype.name)
    if kind is None:
        return ort.OrtValue.ortvalue_from_numpy(array)
    return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(array.view(f"u{array.itemsize}"), kind)


def _array(value: ort.OrtValue) -> np.ndarray:
    kind = np.dtype(helper.tensor_dtype_to_np_dtype(value.element_type()))
    if kind.name not in _WITHOUT_NUMPY:
        return value.numpy()
    size = math.prod(value.shape()) * kind.itemsize
    raw = ctypes.string_at(value.data_ptr(), size) if size else b""
    return np.frombuffer(raw, kind).reshape(value.shape())


def optimized(data: bytes, options: ort.SessionOptions) -> onnx.ModelProto:
    """The graph as onnxruntime fuses it (without the layouts that only this CPU has)."""
    if options.graph_optimization_level == ort.GraphOptimizationLevel.ORT_ENABLE_ALL:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = os.path.join(folder, "fused.onnx")
        session(data, options)
        return onnx.load(options.optimized_model_filepath)


_NAMES = {"FLOAT": "FP32", "FLOAT16": "FP16", "BFLOAT16": "BF16", "INT8": "Int8", "FLOAT8E4M3FN": "FP8",
          "INT32": "Int32", "INT64": "Int64", "BOOL": "Bool", "UINT8": "UInt8", "INT4": "Int4"}  # fmt: skip
_COMPUTE = ("Conv", "MatMul", "Gemm")


def engine_layers(
    fused: onnx.ModelProto, full: onnx.ModelProto, kinds: dict[str, int], shapes: dict, layer_of: dict
) -> list[dict]:
    """What the inspector reports: each fused node, its tensors, and the network layers that went into it."""
    producers = {name: node for node in full.graph.node for name in node.output if name}
    constants = {c.name for c in full.graph.initializer} | {c.name for c in fused.graph.initializer}
    kinds = {c.name: c.data_type for c in fused.graph.initializer} | kinds
    fused_producers = {name: node for node in fused.graph.node for name in node.output}

    rounding = {n.output[0]: n.input[0] for n in fused.graph.node if n.op_type == "Cast" and "/wide" in n.name}

    def tensor(name: str) -> dict:
        name = rounding.get(name, name).removesuffix("/unrounded")
        told = {"Name": name, "Dimensions": shapes.get(name), "Format": "LINEAR"}
        return told | {"Datatype": _type_name(kinds.get(name))}

    rows = []
    for i, node in enumerate(fused.graph.node):
        if node.op_type == "Cast" and (node.output[0] in rounding or node.input[0].endswith("/unrounded")):
            continue  # what `rounding` put around a layer is part of that layer
        inputs = [n for n in node.input if n and n not in constants]
        others = set(inputs) | (fused_producers.keys() - set(node.output))
        origins = _covered(node, others, producers, constants, layer_of)
        rows.append({
            "Name": node.name or f"{node.op_type}_{i}", "LayerType": node.op_type, "Origins": origins,
            "Precision": _precision(node, kinds, fused_producers),
            "Inputs": [tensor(n) for n in inputs], "Outputs": [tensor(n) for n in node.output if n],
            "Metadata": "\x1e".join(f"[ONNX Layer: {name}]" for name in origins), "Made by": ENGINE,
        })  # fmt: skip
    return rows


def _covered(node: onnx.NodeProto, stop: set[str], producers: dict, constants: set, layer_of: dict) -> list[str]:
    """Walk back from a fused node's outputs to what other nodes made: the network layers in between went into it."""
    found: dict[str, None] = {}
    queue, seen = [n for n in node.output if n], set()
    while queue:
        name = queue.pop()
        if name in seen or name not in producers:
            continue
        seen.add(name)
        layer = layer_of.get(name.removesuffix("/unrounded"))
        if layer is not None:
            found[layer] = None
        queue += [n for n in producers[name].input if n and n not in stop and n not in constants]
    return list(reversed(found))


def _precision(node: onnx.NodeProto, kinds: dict[str, int], producers: dict) -> str:
    """The type a node's numbers have in the graph: what rounds them, not what the CPU adds them up in."""
    if node.op_type.startswith("QLinear") or "Integer" in node.op_type:
        return "Int8"
    sources = [producers.get(n) for n in node.input[:2]]
    from_8_bits = all(s is not None and s.op_type == "DequantizeLinear" for s in sources)
    if from_8_bits and any(op in node.op_type for op in _COMPUTE):
        told = [kinds.get(n) for source in sources for n in (source.input[0], *source.input[2:])]
        return _type_name(next((k for k in told if k), None))
    name = next((n for n in node.output if n), "").removesuffix("/unrounded")
    return _type_name(kinds.get(name))


def _type_name(number: int | None) -> str:
    """An ONNX element type as TensorRT's inspector writes it."""
    return _NAMES.get(TensorProto.DataType.Name(number or 0), "unknown")


def light_model(full: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its large constants replaced by inputs: enough to work shapes out."""
    light = onnx.ModelProto()
    light.CopyFrom(full)
    kept, inputs = lighter(full.graph.initializer)
    del light.graph.initializer[:]
    light.graph.initializer.extend(kept)
    light.graph.input.extend(inputs)
    return light


def concrete(
    light: onnx.ModelProto, shapes: dict[str, Iterable[int]], numbers: dict[str, TensorProto] | None = None
) -> dict[str, Dims]:
    """Shapes of all values for given input shapes (and numbers of inputs that hold one); -1: a size that stays open."""
    model = onnx.ModelProto()
    model.CopyFrom(light)
    model.graph.initializer.extend((numbers or {}).values())
    for info in model.graph.input:
        if info.name in shapes:
            kind = info.type.tensor_type.elem_type
            info.CopyFrom(helper.make_tensor_value_info(info.name, kind, list(shapes[info.name])))
    del model.graph.value_info[:]
    for info in model.graph.output:
        info.type.tensor_type.ClearField("shape")
    return {name: known.shape for name, known in inferred(model).items() if known.shape is not None}


def activation_peak(model: onnx.ModelProto, shapes: dict, kinds: dict[str, int]) -> int:
    """Most bytes of intermediate tensors alive at once when the layers run in order."""
    nodes = list(model.graph.node)
    last = {name: i for i, node in enumerate(nodes) for name in node.input}
    outside = {v.name for v in [*model.graph.input, *model.graph.output]} | {c.name for c in model.graph.initializer}
    alive: dict[str, int] = {}
    peak = 0
    for i, node in enumerate(nodes):
        for name in node.output:
            if name and name not in outside and -1 not in shapes.get(name, (-1,)):
                kind = FROM_ONNX.get(kinds.get(name, TensorProto.FLOAT))
                alive[name] = int(math.prod(shapes[name]) * (kind.itemsize if kind else 4))
        peak = max(peak, sum(alive.values()))
        for name in [n for n in alive if last.get(n, -1) <= i]:
            del alive[name]
    return peak
