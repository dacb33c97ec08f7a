"""Changes that TensorRT's parser makes to a model: FLOAT64 becomes FP32, names of nodes become unique."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, numpy_helper

from .rules import graphs_of

_DOUBLE, _FLOAT = TensorProto.DOUBLE, TensorProto.FLOAT


def narrowed(model: onnx.ModelProto) -> list[str]:
    """Make all FLOAT64 of a model FP32, in place; returns what was changed, for a warning."""
    changed: list[str] = []
    _narrow(model.graph, changed)
    return changed


def _narrow(graph: onnx.GraphProto, changed: list[str]) -> None:
    for info in (*graph.input, *graph.output, *graph.value_info):
        if info.type.tensor_type.elem_type == _DOUBLE:
            info.type.tensor_type.elem_type = _FLOAT
            changed.append(info.name)
    for constant in graph.initializer:
        _narrow_tensor(constant, changed)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                _narrow_tensor(attribute.t, changed)
            elif attribute.name in ("to", "dtype", "output_dtype") and attribute.i == _DOUBLE:
                attribute.i = _FLOAT
                changed.append(node.name or node.op_type)
        for inner in graphs_of(node):
            _narrow(inner, changed)


def _narrow_tensor(tensor: TensorProto, changed: list[str]) -> None:
    if tensor.data_type == _DOUBLE:
        with np.errstate(over="ignore"):  # beyond FP32 is infinite, in TensorRT as well
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
        changed.append(tensor.name)


def unique(wanted: str, taken: set[str], count: list[int]) -> str:
    """A node's name, with a number behind it where it is taken, as TensorRT's parser numbers them."""
    name = wanted
    while name in taken:
        name = f"{wanted}_{count[0]}"
        count[0] += 1
    taken.add(name)
    return name


def captured(graph: onnx.GraphProto) -> list[str]:
    """Names that a graph inside a node takes from outside."""
    own = {v.name for v in graph.input} | {c.name for c in graph.initializer}
    own |= {name for node in graph.node for name in node.output}
    asked = [name for node in graph.node for name in (*node.input, *(n for g in graphs_of(node) for n in captured(g)))]
    asked += [v.name for v in graph.output]
    return list(dict.fromkeys(name for name in asked if name and name not in own))


def renamed(node: NodeProto, new: Callable[[str], str]) -> None:
    """Give every name in the graphs inside a node another one, in place."""
    for graph in graphs_of(node):
        for below in graph.node:
            below.input[:] = [new(name) for name in below.input]
            below.output[:] = [new(name) for name in below.output]
            renamed(below, new)
        for value in (*graph.input, *graph.output, *graph.initializer):
            value.name = new(value.name)
