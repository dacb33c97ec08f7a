"""Shapes and types of the values of an ONNX graph, by onnx's own inference."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import onnx
from onnx import TensorProto, helper
from onnx.shape_inference import infer_shapes

from .. import enums as E
from ..types import FROM_ONNX, Dims, volume

_SMALL = 256  # elements; larger constants are left out of shape inference


class NetworkError(Exception):
    """The network as defined makes no sense; the text names the layer."""


class Known(NamedTuple):
    """What is known of a tensor: its type, and its shape (None when not even the rank is known)."""

    dtype: E.DataType | None
    shape: Dims | None


def lighter(constants: Iterable[TensorProto]) -> tuple[list[TensorProto], list[onnx.ValueInfoProto]]:
    """The small constants, and inputs of the same names, types and shapes for the others: enough to infer shapes."""
    small = {c.name: volume(c.dims) <= _SMALL for c in constants}
    large = [c for c in constants if not small[c.name]]
    inputs = [helper.make_tensor_value_info(c.name, c.data_type, list(c.dims)) for c in large]
    return [c for c in constants if small[c.name]], inputs


def known_of(info: onnx.ValueInfoProto) -> Known:
    """Type and shape of an ONNX value, -1 where a size is not a number."""
    kind = info.type.tensor_type
    if not kind.HasField("shape"):
        return Known(FROM_ONNX.get(kind.elem_type), None)
    shape = Dims(d.dim_value if d.HasField("dim_value") else -1 for d in kind.shape.dim)
    return Known(FROM_ONNX.get(kind.elem_type), shape)


def inferred(model: onnx.ModelProto, **options: bool) -> dict[str, Known]:
    """Type and shape of all values, by onnx's shape inference; NetworkError for a size below 0."""
    graph = infer_shapes(model, data_prop=True, **options).graph
    for value in graph.value_info:
        if any(d.dim_value < 0 for d in value.type.tensor_type.shape.dim):
            raise NetworkError(f"Tensor {value.name} has an axis with inherently negative length")
    constants = {c.name: Known(FROM_ONNX.get(c.data_type), Dims(c.dims)) for c in graph.initializer}
    return constants | {v.name: known_of(v) for v in [*graph.input, *graph.value_info, *graph.output]}
