"""What TensorRT's parser refuses though the op itself is known: one short rule an op, in the table `RULES`.

Each rule was asked of NVIDIA's parser (TensorRT-RTX 1.7.1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from ..enums import ErrorCode
from ..types import FROM_ONNX

Refusal = tuple[ErrorCode, str]
Constants = dict[str, TensorProto]


def graphs_of(node: NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs inside a node: the branches of an If, the body of a Loop or Scan."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g


def attributes(node: NodeProto) -> dict:
    """A node's attributes by name, texts as str."""
    found = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in found.items()}


_COORDINATES = ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "tf_half_pixel_for_nn")


def _resize(node: NodeProto, attrs: dict, constants: Constants) -> Refusal | None:
    mode = attrs.get("coordinate_transformation_mode", "half_pixel")
    if mode not in _COORDINATES:
        told = f"coordinate_transformation_mode {mode} is none of {', '.join(_COORDINATES)}"
        return ErrorCode.UNSUPPORTED_NODE, told
    rounding, nearest = attrs.get("nearest_mode", "round_prefer_floor"), attrs.get("mode", "nearest") == "nearest"
    if nearest and mode == "tf_half_pixel_for_nn" and rounding != "round_prefer_floor":
        told = f"tf_half_pixel_for_nn goes with nearest_mode round_prefer_floor only, not with {rounding}"
        return ErrorCode.UNSUPPORTED_NODE, told
    if attrs.get("antialias"):
        return ErrorCode.UNSUPPORTED_NODE_ATTR, "antialias must be 0: TensorRT resizes without antialiasing"
    return None


def _zero_point(node: NodeProto, attrs: dict, constants: Constants) -> Refusal | None:
    name = node.input[2] if len(node.input) > 2 else ""
    if not name:
        return None
    if name not in constants:
        return ErrorCode.INVALID_NODE, f"the zero point {name} must be a constant"
    if constants[name].data_type in FROM_ONNX and np.any(numpy_helper.to_array(constants[name]).astype(np.float32)):
        return ErrorCode.INVALID_NODE, f"the zero point {name} is not 0: TensorRT quantizes symmetrically only"
    return None


def _cast(node: NodeProto, attrs: dict, constants: Constants) -> Refusal | None:
    return _unknown_type(attrs["to"], "its target")


def _unknown_type(kind: int, what: str) -> Refusal | None:
    if kind in FROM_ONNX or kind == TensorProto.DOUBLE:
        return None
    name = TensorProto.DataType.Name(kind) if kind in TensorProto.DataType.values() else str(kind)
    return ErrorCode.UNSUPPORTED_NODE, f"{what} has the data type {name}, which TensorRT does not have"


RULES: dict[str, Callable[[NodeProto, dict, Constants], Refusal | None]] = {
    "Resize": _resize, "QuantizeLinear": _zero_point, "DequantizeLinear": _zero_point, "Cast": _cast,
}  # fmt: skip


def refused(node: NodeProto, constants: Constants) -> Refusal | None:
    """Why TensorRT's parser does not take this node (or one in a graph inside it); None where it does."""
    rule = RULES.get(node.op_type)
    found = rule(node, attributes(node), constants) if rule else None
    for graph in graphs_of(node):
        inner = constants | {c.name: c for c in graph.initializer}
        for below in graph.node:
            found = found or refused(below, inner)
    return found


def refused_types(graph: onnx.GraphProto) -> Refusal | None:
    """The first input or constant of a graph whose type TensorRT does not have."""
    told = [(v.type.tensor_type.elem_type, f"the input {v.name}") for v in graph.input]
    told += [(c.data_type, f"the constant {c.name}") for c in graph.initializer]
    return next(filter(None, (_unknown_type(*each) for each in told)), None)
