"""Facts about a model: what it computes in, how far two answers are apart, how large its numbers grow."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..messages import later, told
from ..models.digits import accuracy
from .graphs import ENDLESS, EXACT, LARGEST, NAMES, Model, inner_values, read, tensor, types_of


def kinds(model: Model) -> set[str]:
    """What a graph computes in: a subset of {"fp32", "fp16", "bf16", "int8", "fp8"}.

    The float types are those of the results of the graph's nodes, casts and Q/DQ nodes left out; "int8" and
    "fp8" say that there are Q/DQ pairs of that type. An INT8 graph is usually {"int8", "fp32"}: the rest
    stays float.
    """
    model = read(model)
    types, found = types_of(model), set()
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            eight = types.get(node.input[2], TensorProto.UINT8) if len(node.input) > 2 else TensorProto.UINT8
            found.add("int8" if eight in (TensorProto.INT8, TensorProto.UINT8) else "fp8")
        elif node.op_type not in ("Cast", "Constant", "DequantizeLinear"):
            found |= {NAMES[types[name]] for name in node.output if types.get(name) in NAMES}
    return found


def nodes_in(model: Model, kind: str) -> list[str]:
    """Names of the nodes whose first result is of type `kind` ("fp32", "fp16", "bf16"), without casts."""
    model = read(model)
    types = types_of(model)
    nodes = [node for node in model.graph.node if node.op_type not in ("Cast", "Constant", "DequantizeLinear")]
    return [node.name for node in nodes if NAMES.get(types.get(node.output[0], 0)) == kind]


class Difference(NamedTuple):
    """How far two results are apart: absolute, in their own unit; relative, a share of the largest number."""

    absolute: float
    relative: float


def compare(result: np.ndarray, reference: np.ndarray) -> Difference:
    """Difference(absolute, relative) of two arrays of one shape.

    absolute = max |result - reference|. relative = absolute / max |reference|: one scale for the whole array,
    so that entries near zero do not blow it up. Measured where both are finite: an infinity or NaN of the reference is
    right when `result` has the same one there (or, for an infinity, a number of 65,504 or more: FP16's end). Anywhere
    else a NaN or infinity in `result` gives infinity for both. Numbers beyond 1e30 count as infinities.
    """
    result, reference = np.asarray(result, np.float64), np.asarray(reference, np.float64)
    if result.shape != reference.shape:
        raise ValueError(f"shapes differ: {result.shape} and {reference.shape}")
    finite = np.isfinite(reference) & (np.abs(reference) < ENDLESS)
    there, wanted = result[~finite], reference[~finite]
    with np.errstate(invalid="ignore"):
        far = (np.sign(there) == np.sign(wanted)) & (np.abs(there) >= LARGEST)
    if not (far | (np.isnan(there) & np.isnan(wanted))).all() or not np.isfinite(result[finite]).all():
        return Difference(float("inf"), float("inf"))
    result, reference = result[finite], reference[finite]
    if not result.size:
        return Difference(0.0, 0.0)
    absolute, size = float(np.abs(result - reference).max()), float(np.abs(reference).max())
    return Difference(absolute, absolute / size if size else (0.0 if absolute == 0 else float("inf")))


def verdict(name: str, result: np.ndarray, reference: np.ndarray, labels: np.ndarray, limit: float) -> str:
    """One line about logits [n, classes]: accuracy, the largest difference in percent, and whether it is allowed.

    labels: [n], the right classes. limit: the largest difference allowed, a share of the reference's largest logit;
    the accuracy may be 0.005 lower than the reference's.
    """
    right, wanted = (accuracy(x, labels) for x in (result, reference))
    error = compare(result, reference).relative
    allowed = error <= limit and wanted - right <= 0.005
    found = later(f"{name}: accuracy {right:.4f}, largest difference {error:.2%}, limit {100 * limit:g}%")
    return told(f"{found}: {'within the limits' if allowed else 'NOT within the limits'}")


_SHORT = {"QuantizeLinear": "Q", "DequantizeLinear": "DQ", "BatchNormalization": "Norm"}


def chain(model: Model, start: str, before: int = 2, count: int = 13) -> str:
    """The kinds of `count` nodes in order, from `before` nodes ahead of the node `start`; Q/DQ of weights left out."""
    nodes = [node for node in read(model).graph.node if "weight" not in node.name]
    first = next(i for i, node in enumerate(nodes) if node.name == start) - before
    return " ".join(_SHORT.get(node.op_type, node.op_type) for node in nodes[max(first, 0) : first + count])


def on_cpu(model: Model, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """The model's first output by onnxruntime on the CPU, rounded as a GPU rounds (`as_computed`)."""
    model = as_computed(model)
    return inner_values(model, [model.graph.output[0].name], inputs)[0]


class Range(NamedTuple):
    """What one node gave: its name, its op, the largest finite |number|, how many were not finite."""

    node: str
    op: str
    largest: float
    not_finite: int


def ranges(model: Model, inputs: dict[str, np.ndarray]) -> list[Range]:
    """The range of every node's first result, in order, rounded as a GPU rounds (`as_computed`)."""
    model = read(model)
    types = types_of(model)
    nodes = [node for node in model.graph.node if types.get(node.output[0]) in NAMES]
    values = inner_values(as_computed(model), [node.output[0] for node in nodes], inputs)
    found = []
    for node, value in zip(nodes, values, strict=True):
        finite = np.isfinite(value)
        largest = float(np.abs(value[finite]).max()) if finite.any() else float("nan")
        found.append(Range(node.name, node.op_type, largest, int(value.size - finite.sum())))
    return found


def as_computed(model: Model) -> onnx.ModelProto:
    """An FP32 graph that rounds where an FP16 or BF16 graph rounds: after every node, to that type's numbers.

    onnxruntime on the CPU computes an FP16 graph in FP32 throughout, so that nothing overflows and only
    weights are rounded, and its integer kernels for Q/DQ with FP16 scales lose accuracy (1.31). This graph shows
    what a GPU would give. A graph without FP16 and BF16 comes back as it is.
    """
    model = read(model)
    types = types_of(model)
    lows = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
    if not any(kind in lows for kind in types.values()):
        return model
    graph, nodes = model.graph, []
    for item in list(graph.initializer):
        if item.data_type in lows:
            item.CopyFrom(tensor(item.name, numpy_helper.to_array(item).astype(np.float32), TensorProto.FLOAT))
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type in lows:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    for node in graph.node:
        nodes += _rounded(node, types.get(node.output[0], 0), lows)
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    return model


def _rounded(node: onnx.NodeProto, kind: int, lows: tuple[int, ...]) -> list[onnx.NodeProto]:
    for attribute in node.attribute:
        if attribute.name == "value" and attribute.t.data_type in lows:
            values = numpy_helper.to_array(attribute.t).astype(np.float32)
            attribute.t.CopyFrom(tensor(attribute.t.name, values, TensorProto.FLOAT))
    if kind not in lows or node.op_type in EXACT:
        return [node]
    result = node.output[0]
    exact, low = f"{result}.exact", f"{result}.rounded"
    down = helper.make_node("Cast", [exact], [low], name=f"{low}.down", to=kind)
    up = helper.make_node("Cast", [low], [result], name=f"{low}.up", to=TensorProto.FLOAT)
    if node.op_type == "Cast":
        down.input[0] = node.input[0]
        return [down, up]
    node.output[0] = exact
    return [node, down, up]
