"""INT8 and FP8: pairs of QuantizeLinear and DequantizeLinear where TensorRT wants them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..errors import PrecisionError
from .calibration import METHODS, Calibration, batches_of, limits_of
from .graphs import QDQ, Model, drop_unused, raise_opset, read, readers_of, tensor, types_of, weights_of

PLACEMENTS = ("conv-inputs", "everywhere", "activations")
QUANTIZED_OPS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
Places = dict[str, list[tuple[onnx.NodeProto, int]]]


class _Eight(NamedTuple):
    """An 8-bit type: its ONNX element type, its largest number, and whether weights get a scale a channel."""

    kind: int
    largest: float
    per_channel: bool


_INT8 = _Eight(TensorProto.INT8, 127.0, True)
_FP8 = _Eight(TensorProto.FLOAT8E4M3FN, 448.0, False)


def quantize(
    model: Model,
    calibration: Calibration,
    *,
    method: str = "minmax",
    images: int | None = None,
    placement: str = "conv-inputs",
    keep: Iterable[str] = (),
) -> onnx.ModelProto:
    """INT8 by Q/DQ pairs, scales from real data: FP32 scales, zero points 0; TensorRT 8.6 to 11.

    The opset stays, but a graph from before opset 13, which has no scale a channel, comes to opset 17.

    calibration: an array [n, ...] for a model of one input, or an iterable of dicts of input batches;
    `images` takes the first so many only. method: how far an activation's scale reaches: "minmax" (the
    largest number seen), "percentile" (99.99 % of them) or "entropy" (the cut that loses least information,
    as TensorRT's calibrator).
    placement: "conv-inputs" is TensorRT's rule: batch norms folded, a pair on both inputs of every
    convolution and matrix product (weights a scale a channel), and on the residual input of Add, so that Conv
    + Add + ReLU stay one kernel. Two wrong ones, to learn from: "everywhere", a pair after every node, cuts
    those fusions; "activations" leaves the weights out, so that no product can be computed in INT8.
    keep: names of nodes whose inputs stay float.
    """
    model = read(model)
    if any(item.version < 13 for item in model.opset_import if item.domain in ("", "ai.onnx")):
        raise_opset(model, 17)
    return _quantize(model, calibration, method, images, placement, set(keep), _INT8)


def to_fp8(
    model: Model,
    calibration: Calibration,
    *,
    method: str = "minmax",
    images: int | None = None,
    keep: Iterable[str] = (),
) -> onnx.ModelProto:
    """FP8 (E4M3) by Q/DQ pairs, placed as `quantize` places them, one scale a weight: opset 19.

    TensorRT 10 and 11 read it on GPUs with FP8 (compute capability 8.9 and later); TensorRT 8.6 does not.
    onnxruntime computes it at graph optimization level "basic" or below.
    """
    model = read(model)
    raise_opset(model, 19)
    return _quantize(model, calibration, method, images, "conv-inputs", set(keep), _FP8)


def _quantize(
    model: onnx.ModelProto,
    calibration: Calibration,
    method: str,
    images: int | None,
    placement: str,
    keep: set[str],
    eight: _Eight,
) -> onnx.ModelProto:
    if placement not in PLACEMENTS:
        raise ValueError(f"placement is one of {', '.join(PLACEMENTS)}, not {placement!r}")
    if method not in METHODS:
        raise ValueError(f"method is one of {', '.join(METHODS)}, not {method!r}")
    if any(node.op_type in QDQ for node in model.graph.node):
        raise PrecisionError("This graph has Q/DQ nodes already.", cure="Start from the FP32 model.")
    batches = batches_of(model, calibration, images)
    if placement == "everywhere":
        eight = eight._replace(per_channel=False)
        places = _places_everywhere(model, keep)
    else:
        model = fold_batch_norms(model)
        places = _places_of_inputs(model.graph, keep)
    if placement == "activations":
        places = {name: readers for name, readers in places.items() if name not in weights_of(model)}
    if not places:
        raise PrecisionError(
            "Nothing in this graph multiplies matrices, so there is nothing to quantize.",
            cure="Keep it in FP32 or FP16.",
        )
    _say_kernel_shapes(model)
    limits = limits_of(model, [name for name in places if name not in weights_of(model)], batches, method)
    return _insert(model, places, limits, eight)


def fold_batch_norms(model: Model) -> onnx.ModelProto:
    """Multiply every batch norm after a convolution into its weights and bias, as TensorRT does."""
    model = read(model)
    graph, weights = model.graph, weights_of(model)
    makers = {name: node for node in graph.node for name in node.output}
    readers = readers_of(graph)
    for norm in [node for node in graph.node if node.op_type == "BatchNormalization"]:
        conv = makers.get(norm.input[0])
        if conv is None or conv.op_type != "Conv" or len(readers[norm.input[0]]) != 1:
            continue
        scale, shift, mean, variance = (
            numpy_helper.to_array(weights[name]).astype(np.float64) for name in norm.input[1:5]
        )
        epsilon = next((item.f for item in norm.attribute if item.name == "epsilon"), 1e-5)
        factor = scale / np.sqrt(variance + epsilon)
        kernel = numpy_helper.to_array(weights[conv.input[1]]) * factor.reshape(-1, 1, 1, 1)
        bias = numpy_helper.to_array(weights[conv.input[2]]) if len(conv.input) > 2 else 0.0
        values = (kernel, (bias - mean) * factor + shift)
        for index, (value, part) in enumerate(zip(values, ("weight", "bias"), strict=True)):
            name = f"{conv.name}.folded_{part}"
            graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), name))
            conv.input[1 + index : 2 + index] = [name]
        conv.output[0] = norm.output[0]
        makers[norm.output[0]] = conv
        graph.node.remove(norm)
    drop_unused(graph)
    return model


def _say_kernel_shapes(model: onnx.ModelProto) -> None:
    """In place: every convolution names its kernel's shape. TensorRT 8.6 cannot read it off quantized weights."""
    weights = weights_of(model)
    for node in model.graph.node:
        named = any(item.name == "kernel_shape" for item in node.attribute)
        if node.op_type in ("Conv", "ConvTranspose") and not named and node.input[1] in weights:
            node.attribute.append(helper.make_attribute("kernel_shape", list(weights[node.input[1]].dims[2:])))


def _places_of_inputs(graph: onnx.GraphProto, keep: set[str]) -> Places:
    """Tensor -> the (node, input index) that read it through a Q/DQ pair, by TensorRT's rule."""
    places: Places = {}
    makers = {name: node for node in graph.node for name in node.output}
    readers, weights = readers_of(graph), {item.name for item in graph.initializer}
    for node in graph.node:
        if node.name in keep:
            continue
        if node.op_type in QUANTIZED_OPS:
            for index in (0, 1):
                places.setdefault(node.input[index], []).append((node, index))
        elif node.op_type == "Add" and not weights & set(node.input):
            for index in (0, 1):
                maker = makers.get(node.input[index])
                if maker is not None and maker.op_type == "Conv" and len(readers[node.input[index]]) == 1:
                    places.setdefault(node.input[1 - index], []).append((node, 1 - index))
                    break
    return places


def _places_everywhere(model: onnx.ModelProto, keep: set[str]) -> Places:
    """Every FP32 tensor that a node reads, and the weights of convolutions and matrix products."""
    types, weights, places = types_of(model), weights_of(model), {}
    for node in model.graph.node:
        if node.name in keep:
            continue
        for index, name in enumerate(node.input):
            is_kernel = name in weights and node.op_type in QUANTIZED_OPS and index == 1
            if types.get(name) == TensorProto.FLOAT and (name not in weights or is_kernel):
                places.setdefault(name, []).append((node, index))
    return places


def _insert(model: onnx.ModelProto, places: Places, limits: dict[str, float], eight: _Eight) -> onnx.ModelProto:
    """Put one Q/DQ pair on each tensor of `places` and let those readers read the result."""
    graph, weights = model.graph, weights_of(model)
    before: dict[int, list[onnx.NodeProto]] = {}
    order = {id(node): number for number, node in enumerate(graph.node)}
    made = {name: number + 1 for number, node in enumerate(graph.node) for name in node.output}
    for name, readers in places.items():
        if name in weights:
            limit, axis = _weight_limit(numpy_helper.to_array(weights[name]), readers[0][0], eight)
        else:
            limit, axis = np.float64(limits[name]), None
        at = made.get(name, 0) if name not in weights else min(order[id(node)] for node, _ in readers)
        before.setdefault(at, []).extend(_pair(graph, name, limit, axis, eight))
        for node, index in readers:
            node.input[index] = f"{name}.dequantized"
    nodes = list(_woven(list(graph.node), before))
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes)
    return model


def _woven(nodes: list[onnx.NodeProto], before: dict[int, list[onnx.NodeProto]]) -> Iterator[onnx.NodeProto]:
    for number in range(len(nodes) + 1):
        yield from before.get(number, ())
        if number < len(nodes):
            yield nodes[number]


def _weight_limit(values: np.ndarray, node: onnx.NodeProto, eight: _Eight) -> tuple[np.ndarray, int | None]:
    """Largest |weight| a channel with that channel's axis, or of the whole tensor."""
    if not eight.per_channel or values.ndim < 2:
        return np.abs(values).max(), None
    flipped = any(item.name == "transB" and item.i for item in node.attribute)
    axis = {"Conv": 0, "ConvTranspose": 1, "Gemm": 0 if flipped else 1}.get(node.op_type, values.ndim - 1)
    if node.op_type == "MatMul" and values.ndim != 2:
        return np.abs(values).max(), None
    others = tuple(number for number in range(values.ndim) if number != axis)
    return np.abs(values).max(axis=others), axis


def _pair(
    graph: onnx.GraphProto, name: str, limit: np.ndarray, axis: int | None, eight: _Eight
) -> list[onnx.NodeProto]:
    scale = (np.maximum(limit, 1e-7) / eight.largest).astype(np.float32)
    zero = tensor(f"{name}.zero_point", np.zeros(scale.shape, np.float32), eight.kind)
    graph.initializer.extend([numpy_helper.from_array(np.asarray(scale), f"{name}.scale"), zero])
    extra = {} if axis is None else {"axis": axis}
    settings = [f"{name}.scale", f"{name}.zero_point"]
    down, up = f"{name}.quantized", f"{name}.dequantized"
    return [
        helper.make_node("QuantizeLinear", [name, *settings], [down], name=f"{name}.quantize", **extra),
        helper.make_node("DequantizeLinear", [down, *settings], [up], name=f"{name}.dequantize", **extra),
    ]
