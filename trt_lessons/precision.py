"""ONNX in, ONNX out: the same network in FP16, BF16, INT8 or FP8. Introduced in lesson 04_1.

In TensorRT 11 precision is a property of the model, so these functions write it into the graph: types for
FP16 and BF16, pairs of QuantizeLinear and DequantizeLinear (Q/DQ) for INT8 and FP8. FP16 and INT8 graphs stay
at opset 17, which TensorRT 8.6, 10 and 11 all read (8.6 also wants the builder flag; `tl.build` sets it).
BF16 needs opset 22 and FP8 opset 19: TensorRT 10 and 11 only.

Every function takes a path, bytes or a ModelProto, and returns a new ModelProto; nothing is changed in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .errors import ModelFileError, PrecisionError

Model = str | Path | bytes | onnx.ModelProto
Calibration = np.ndarray | Iterable[dict[str, np.ndarray]]

PLACEMENTS = ("conv-inputs", "everywhere", "activations")
QUANTIZED_OPS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
BINS = 2048
_NAMES = {TensorProto.FLOAT: "fp32", TensorProto.FLOAT16: "fp16", TensorProto.BFLOAT16: "bf16"}
_QDQ = ("QuantizeLinear", "DequantizeLinear")
# ops that only move or choose numbers: their results need no rounding of their own
_EXACT = {"Relu", "MaxPool", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Concat"}
_EXACT |= {"Gather", "Identity", "Constant", "Expand", "Split"}
# ops that mean the same in opset 17 and in 19 to 22
_STABLE = _EXACT | {"Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "ConstantOfShape", "Conv"}
_STABLE |= {"ConvTranspose", "Div", "Erf", "Exp", "Gemm", "GlobalAveragePool", "LayerNormalization", "MatMul"}
_STABLE |= {"Mul", "Pow", "Shape", "Sigmoid", "Softmax", "Sqrt", "Sub", "Tanh", "Where", "LeakyRelu", *_QDQ}
_STABLE |= {"Abs", "And", "Einsum", "Equal", "GatherElements", "Greater", "Less", "Max", "Min", "Mod", "Neg"}
_STABLE |= {"Not", "Or", "Range", "Reciprocal", "Tile"}
_REDUCTIONS = {"ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd"}


def read(model: Model) -> onnx.ModelProto:
    """A copy of the model as a ModelProto; ModelFileError when it cannot be read."""
    if isinstance(model, onnx.ModelProto):
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        return copy
    if isinstance(model, (str, Path)):
        from .models import _onnx

        return _onnx.load(model)
    try:
        return onnx.load_from_string(model)
    except Exception as error:
        raise ModelFileError("These bytes are not an ONNX model.", cure="Pass the content of an .onnx file.") from error


# --- facts about a model ---


def kinds(model: Model) -> set[str]:
    """What a graph computes in: a subset of {"fp32", "fp16", "bf16", "int8", "fp8"}.

    The float types are those of the results of the graph's nodes, casts and Q/DQ nodes left out; "int8" and
    "fp8" say that there are Q/DQ pairs of that type. An INT8 graph is usually {"int8", "fp32"}: the rest
    stays float.
    """
    model = read(model)
    types, found = _types(model), set()
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            eight = types.get(node.input[2], TensorProto.UINT8) if len(node.input) > 2 else TensorProto.UINT8
            found.add("int8" if eight in (TensorProto.INT8, TensorProto.UINT8) else "fp8")
        elif node.op_type not in ("Cast", "Constant", "DequantizeLinear"):
            found |= {_NAMES[types[name]] for name in node.output if types.get(name) in _NAMES}
    return found


class Difference(NamedTuple):
    """How far two results are apart: absolute, in their own unit; relative, a share of the largest number."""

    absolute: float
    relative: float


def compare(result: np.ndarray, reference: np.ndarray) -> Difference:
    """Difference(absolute, relative) of two arrays of one shape.

    absolute = max |result - reference|. relative = absolute / max |reference|: one scale for the whole array,
    so that entries near zero do not blow it up. A NaN or infinity in `result` gives infinity for both.
    """
    result, reference = np.asarray(result, np.float64), np.asarray(reference, np.float64)
    if result.shape != reference.shape:
        raise ValueError(f"shapes differ: {result.shape} and {reference.shape}")
    if not result.size:
        return Difference(0.0, 0.0)
    if not np.isfinite(result).all():
        return Difference(float("inf"), float("inf"))
    absolute, size = float(np.abs(result - reference).max()), float(np.abs(reference).max())
    return Difference(absolute, absolute / size if size else (0.0 if absolute == 0 else float("inf")))


class Range(NamedTuple):
    """What one node gave: its name, its op, the largest finite |number|, how many were not finite."""

    node: str
    op: str
    largest: float
    not_finite: int


def ranges(model: Model, inputs: dict[str, np.ndarray]) -> list[Range]:
    """The range of every node's first result, in order, rounded as a GPU rounds (`as_computed`)."""
    model = read(model)
    types = _types(model)
    nodes = [node for node in model.graph.node if types.get(node.output[0]) in _NAMES]
    values = _inner_values(as_computed(model), [node.output[0] for node in nodes], inputs)
    found = []
    for node, value in zip(nodes, values, strict=True):
        finite = np.isfinite(value)
        largest = float(np.abs(value[finite]).max()) if finite.any() else float("nan")
        found.append(Range(node.name, node.op_type, largest, int(value.size - finite.sum())))
    return found


def _types(model: onnx.ModelProto) -> dict[str, int]:
    """Element type of every tensor of the graph, as onnx infers them."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    values = (*graph.input, *graph.value_info, *graph.output)
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    return {**types, **{item.name: item.data_type for item in graph.initializer}}


def _session(model: onnx.ModelProto) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _exposed(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    """A copy of the model whose outputs are exactly these tensors."""
    copy = read(model)
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return copy


def _inner_values(model: onnx.ModelProto, names: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    return _session(_exposed(model, names)).run(names, inputs)


# --- FP16 and BF16 ---


def to_fp16(model: Model, *, keep: Iterable[str] = (), float_io: bool = True) -> onnx.ModelProto:
    """The model typed FP16: weights, inner tensors, and casts where it begins and ends. Opset 17 stays 17.

    keep: names of nodes that stay FP32, with casts around them. float_io: inputs and outputs stay FP32, so
    that callers need not change; False makes them FP16 too. A Q/DQ graph becomes opset 19 with FP16 scales
    (TensorRT 10 and 11; for 8.6 leave the graph in FP32 and set the FP16 flag). PrecisionError for a weight
    beyond 65,504.
    """
    model = read(model)
    if any(node.op_type in _QDQ for node in model.graph.node):
        _raise_opset(model, 19)
        _lift_scales(model)
    return _Lowering(model, TensorProto.FLOAT16, set(keep)).run(float_io)


def to_bf16(model: Model, *, keep: Iterable[str] = (), float_io: bool = True) -> onnx.ModelProto:
    """The model typed BF16: FP32's range, 8 bits of precision. As `to_fp16`, but opset 22: not for 8.6.

    onnxruntime on the CPU has no BF16 convolution: `as_computed` gives a graph that it runs with the same
    rounding.
    """
    model = read(model)
    _raise_opset(model, 22)
    return _Lowering(model, TensorProto.BFLOAT16, set(keep)).run(float_io)


def _lift_scales(model: onnx.ModelProto) -> None:
    """In place, scales below FP16's smallest normal number, 6.1e-5 (dead channels), become that number."""
    scales = {node.input[1] for node in model.graph.node if node.op_type in _QDQ}
    for item in model.graph.initializer:
        if item.name in scales:
            values = np.maximum(numpy_helper.to_array(item), np.float32(2.0**-14))
            item.CopyFrom(numpy_helper.from_array(values, item.name))


class _Lowering:
    """One pass over a graph that retypes FP32 tensors; a tensor needed in both types gets a cast, once."""

    def __init__(self, model: onnx.ModelProto, low: int, keep: set[str]) -> None:
        self.model, self.low, self.keep = model, low, keep
        self.types = _types(model)
        self.weights = {item.name: item for item in model.graph.initializer}
        self.made: dict[tuple[str, int], str] = {}  # (tensor, type) -> its name in that type
        self.nodes: list[onnx.NodeProto] = []
        unknown = keep - {node.name for node in model.graph.node}
        if unknown:
            raise PrecisionError(
                f"No node is called {', '.join(sorted(unknown))}.",
                cure="[node.name for node in model.graph.node] lists the names.",
            )

    def run(self, float_io: bool) -> onnx.ModelProto:
        graph = self.model.graph
        results = {value.name for value in graph.output}
        for value in graph.input:
            if self.types[value.name] == TensorProto.FLOAT and not float_io:
                value.type.tensor_type.elem_type = self.low
                self.made[value.name, self.low] = value.name
            else:
                self.made[value.name, self.types[value.name]] = value.name
        for node in graph.node:
            self._add(node, results, float_io)
        for value in graph.output:
            if self.types[value.name] == TensorProto.FLOAT:
                self._finish(value, float_io)
        used = {name for node in self.nodes for name in node.input}
        weights = [item for item in self.weights.values() if item.name in used]
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(self.nodes)
        graph.initializer.extend(weights)
        return self.model

    def _add(self, node: onnx.NodeProto, results: set[str], float_io: bool) -> None:
        kind = TensorProto.FLOAT if node.name in self.keep else self.low
        new = onnx.NodeProto()
        new.CopyFrom(node)
        new.input[:] = [self._as(name, kind, node.name) for name in node.input]
        for index, name in enumerate(node.output):
            if self.types.get(name) == TensorProto.FLOAT:
                inner = name in results and float_io and kind == self.low
                new.output[index] = f"{name}.{_NAMES[self.low]}" if inner else name
                self.made[name, kind] = new.output[index]
        if kind == self.low:
            _retype_attributes(new, self.low)
        self.nodes.append(new)

    def _as(self, name: str, kind: int, reader: str) -> str:
        """The name under which a node that computes in `kind` reads this tensor."""
        if self.types.get(name) != TensorProto.FLOAT:
            return name
        if (name, kind) not in self.made:
            if name in self.weights:
                self.made[name, kind] = self._weight(name, kind, reader)
            else:
                source = next(text for (tensor, _), text in self.made.items() if tensor == name)
                self.made[name, kind] = self._cast(source, f"{name}.{_NAMES[kind]}", kind)
        return self.made[name, kind]

    def _cast(self, source: str, target: str, kind: int) -> str:
        name = f"{source}.to_{_NAMES[kind]}"
        self.nodes.append(helper.make_node("Cast", [source], [target], name=name, to=kind))
        return target

    def _weight(self, name: str, kind: int, reader: str) -> str:
        if kind == TensorProto.FLOAT:
            return name
        values = numpy_helper.to_array(self.weights[name])
        if kind == TensorProto.FLOAT16 and values.size and np.abs(values).max() > 65504:
            raise PrecisionError(
                f"{name} holds {np.abs(values).max():g}; FP16 ends at 65504.",
                cure=f"Keep its node in FP32: keep=[{reader!r}].",
            )
        low = f"{name}.{_NAMES[kind]}"
        self.weights[low] = _tensor(low, values, kind)
        return low

    def _finish(self, value: onnx.ValueInfoProto, float_io: bool) -> None:
        kind = TensorProto.FLOAT if float_io else self.low
        if self.made.get((value.name, kind)) != value.name:
            source = next(text for (tensor, _), text in self.made.items() if tensor == value.name)
            if source == value.name:  # computed in FP32 under the output's own name: move it aside
                source = f"{value.name}.fp32"
                for node in self.nodes:
                    node.input[:] = [source if name == value.name else name for name in node.input]
                    node.output[:] = [source if name == value.name else name for name in node.output]
            self._cast(source, value.name, kind)
        value.type.tensor_type.elem_type = kind


def _tensor(name: str, values: np.ndarray, kind: int) -> TensorProto:
    """A weight of element type `kind` from float values; numpy alone has neither BF16 nor FP8."""
    return numpy_helper.from_array(values.astype(helper.tensor_dtype_to_np_dtype(kind)), name)


def _retype_attributes(node: onnx.NodeProto, low: int) -> None:
    """A cast to FP32, or a constant that is FP32, follows the new type."""
    for attribute in node.attribute:
        if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
            attribute.i = low
        elif attribute.name == "value" and attribute.t.data_type == TensorProto.FLOAT:
            attribute.t.CopyFrom(_tensor(attribute.t.name, numpy_helper.to_array(attribute.t), low))


def _raise_opset(model: onnx.ModelProto, opset: int) -> None:
    """Say opset `opset` in place, where every op means the same there; PrecisionError where one does not."""
    entry = next(item for item in model.opset_import if item.domain in ("", "ai.onnx"))
    if entry.version >= opset:
        return
    for node in model.graph.node:
        if node.op_type in _REDUCTIONS and entry.version < 18:
            _axes_to_input(model.graph, node)
        elif node.op_type not in _STABLE | _REDUCTIONS:
            raise PrecisionError(
                f"This graph needs opset {opset}, and what {node.op_type} means there is not known here.",
                cure=f"Export the model at opset {opset}, or use onnx.version_converter.",
            )
    entry.version = opset
    model.ir_version = max(model.ir_version, 9 if opset < 21 else 10)


def _axes_to_input(graph: onnx.GraphProto, node: onnx.NodeProto) -> None:
    for attribute in [item for item in node.attribute if item.name == "axes"]:
        name = f"{node.name or node.output[0]}.axes"
        graph.initializer.append(numpy_helper.from_array(np.array(attribute.ints, np.int64), name))
        node.input.append(name)
        node.attribute.remove(attribute)


def as_computed(model: Model) -> onnx.ModelProto:
    """An FP32 graph that rounds where an FP16 or BF16 graph rounds: after every node, to that type's numbers.

    onnxruntime on the CPU computes an FP16 graph in FP32 throughout, so that nothing overflows and only
    weights are rounded, and its integer kernels for Q/DQ with FP16 scales lose accuracy (1.31). This graph shows
    what a GPU would give. A graph without FP16 and BF16 comes back as it is.
    """
    model = read(model)
    types = _types(model)
    lows = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
    if not any(kind in lows for kind in types.values()):
        return model
    graph, nodes = model.graph, []
    for item in list(graph.initializer):
        if item.data_type in lows:
            item.CopyFrom(_tensor(item.name, numpy_helper.to_array(item).astype(np.float32), TensorProto.FLOAT))
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
            attribute.t.CopyFrom(_tensor(attribute.t.name, values, TensorProto.FLOAT))
    if kind not in lows or node.op_type in _EXACT:
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


# --- INT8 and FP8 ---


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
    """INT8 by Q/DQ pairs, scales from real data: opset 17, FP32 scales, zero points 0; TensorRT 8.6 to 11.

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
    return _quantize(read(model), calibration, method, images, placement, set(keep), _INT8)


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
    _raise_opset(model, 19)
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
    if method not in _METHODS:
        raise ValueError(f"method is one of {', '.join(_METHODS)}, not {method!r}")
    if any(node.op_type in _QDQ for node in model.graph.node):
        raise PrecisionError("This graph has Q/DQ nodes already.", cure="Start from the FP32 model.")
    batches = _batches(model, calibration, images)
    if placement == "everywhere":
        eight = eight._replace(per_channel=False)
        places = _places_everywhere(model, keep)
    else:
        model = fold_batch_norms(model)
        places = _places_of_inputs(model.graph, keep)
    if placement == "activations":
        places = {name: readers for name, readers in places.items() if name not in _weights(model)}
    if not places:
        raise PrecisionError(
            "Nothing in this graph multiplies matrices, so there is nothing to quantize.",
            cure="Keep it in FP32 or FP16.",
        )
    _say_kernel_shapes(model)
    limits = _limits(model, [name for name in places if name not in _weights(model)], batches, method)
    return _insert(model, places, limits, eight)


def _say_kernel_shapes(model: onnx.ModelProto) -> None:
    """In place: every convolution names its kernel's shape. TensorRT 8.6 cannot read it off quantized weights."""
    weights = _weights(model)
    for node in model.graph.node:
        named = any(item.name == "kernel_shape" for item in node.attribute)
        if node.op_type in ("Conv", "ConvTranspose") and not named and node.input[1] in weights:
            node.attribute.append(helper.make_attribute("kernel_shape", list(weights[node.input[1]].dims[2:])))


def _weights(model: onnx.ModelProto) -> dict[str, TensorProto]:
    return {item.name: item for item in model.graph.initializer}


def _batches(model: onnx.ModelProto, calibration: Calibration, images: int | None) -> list[dict[str, np.ndarray]]:
    """Calibration data as a list of input dicts, at most 64 rows each when an array was given."""
    weights = _weights(model)
    names = [value.name for value in model.graph.input if value.name not in weights]
    if isinstance(calibration, np.ndarray):
        if len(names) != 1:
            raise PrecisionError(
                f"The model has {len(names)} inputs ({', '.join(names)}), and one array came.",
                cure="Pass a list of dicts, one a batch: {input name: array}.",
            )
        rows = calibration[:images]
        batches = [{names[0]: rows[start : start + 64]} for start in range(0, len(rows), 64)]
    else:
        batches, seen = [], 0
        for batch in calibration:
            rows = len(next(iter(batch.values())))
            if images is not None and seen + rows > images:
                batch = {name: value[: images - seen] for name, value in batch.items()}
            batches.append(batch)
            seen += rows
            if images is not None and seen >= images:
                break
    if not batches:
        raise PrecisionError("There is no calibration data.", cure="Pass some real inputs; 100 images are plenty.")
    return batches


def fold_batch_norms(model: Model) -> onnx.ModelProto:
    """Multiply every batch norm after a convolution into its weights and bias, as TensorRT does."""
    model = read(model)
    graph, weights = model.graph, _weights(model)
    makers = {name: node for node in graph.node for name in node.output}
    readers = _readers(graph)
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
    _drop_unused(graph)
    return model


def _drop_unused(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    for item in [item for item in graph.initializer if item.name not in used]:
        graph.initializer.remove(item)
    del graph.value_info[:]


def _readers(graph: onnx.GraphProto) -> dict[str, list[onnx.NodeProto]]:
    readers: dict[str, list[onnx.NodeProto]] = {value.name: [] for value in graph.input}
    for node in graph.node:
        for name in node.output:
            readers.setdefault(name, [])
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return readers


Places = dict[str, list[tuple[onnx.NodeProto, int]]]


def _places_of_inputs(graph: onnx.GraphProto, keep: set[str]) -> Places:
    """Tensor -> the (node, input index) that read it through a Q/DQ pair, by TensorRT's rule."""
    places: Places = {}
    makers = {name: node for node in graph.node for name in node.output}
    readers, weights = _readers(graph), {item.name for item in graph.initializer}
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
    types, weights, places = _types(model), _weights(model), {}
    for node in model.graph.node:
        if node.name in keep:
            continue
        for index, name in enumerate(node.input):
            is_kernel = name in weights and node.op_type in QUANTIZED_OPS and index == 1
            if types.get(name) == TensorProto.FLOAT and (name not in weights or is_kernel):
                places.setdefault(name, []).append((node, index))
    return places


def _limits(model: onnx.ModelProto, names: list[str], batches: list, method: str) -> dict[str, float]:
    """Tensor -> the largest |number| that its scale should reach, from the calibration data."""
    session = _session(_exposed(model, names))
    limits = dict.fromkeys(names, 0.0)
    for batch in batches:
        for name, value in zip(names, session.run(names, batch), strict=True):
            limits[name] = max(limits[name], float(np.abs(value).max()))
    if method == "minmax":
        return limits
    counts = {name: np.zeros(BINS, np.int64) for name in names}
    for batch in batches:
        for name, value in zip(names, session.run(names, batch), strict=True):
            top = limits[name] or 1.0
            counts[name] += np.histogram(np.abs(value), bins=BINS, range=(0.0, top))[0]
    return {name: limits[name] * _METHODS[method](counts[name]) for name in names}


def _percentile(counts: np.ndarray) -> float:
    """Share of the range that holds 99.99 % of the numbers."""
    return float(np.searchsorted(np.cumsum(counts), 0.9999 * counts.sum()) + 1) / BINS


def _entropy(counts: np.ndarray) -> float:
    """Share of the range whose 128 levels tell the distribution best (least Kullback-Leibler divergence)."""
    counts = counts.astype(np.float64)
    counts[0] = counts[1]  # zeros, which ReLU makes in plenty, cost nothing at any scale
    best, share = np.inf, 1.0
    for end in range(128, BINS + 1, 16):
        kept = counts[:end].copy()
        kept[-1] += counts[end:].sum()
        level = np.arange(end) * 128 // end
        filled = counts[:end] > 0
        sums = np.bincount(level, counts[:end], 128)
        members = np.bincount(level, filled.astype(np.float64), 128)
        guess = np.where(filled, (sums / np.maximum(members, 1))[level], 0.0)
        loss = _divergence(kept, guess)
        if loss < best:
            best, share = loss, end / BINS
    return share


def _divergence(true: np.ndarray, guess: np.ndarray) -> float:
    if not true.sum() or not guess.sum():
        return np.inf
    true, guess = true / true.sum(), guess / guess.sum()
    counted = true > 0
    return float(np.sum(true[counted] * np.log(true[counted] / np.maximum(guess[counted], 1e-9))))


_METHODS: dict[str, Callable[[np.ndarray], float]] = {
    "minmax": lambda counts: 1.0,
    "percentile": _percentile,
    "entropy": _entropy,
}


def _insert(model: onnx.ModelProto, places: Places, limits: dict[str, float], eight: _Eight) -> onnx.ModelProto:
    """Put one Q/DQ pair on each tensor of `places` and let those readers read the result."""
    graph, weights = model.graph, _weights(model)
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
    zero = _tensor(f"{name}.zero_point", np.zeros(scale.shape, np.float32), eight.kind)
    graph.initializer.extend([numpy_helper.from_array(np.asarray(scale), f"{name}.scale"), zero])
    extra = {} if axis is None else {"axis": axis}
    settings = [f"{name}.scale", f"{name}.zero_point"]
    down, up = f"{name}.quantized", f"{name}.dequantized"
    return [
        helper.make_node("QuantizeLinear", [name, *settings], [down], name=f"{name}.quantize", **extra),
        helper.make_node("DequantizeLinear", [down, *settings], [up], name=f"{name}.dequantize", **extra),
    ]


# --- a network that FP16 breaks ---

OVERFLOW_AT, OVERFLOW_CURED_BY, OVERFLOW_FACTOR = "block2.norm1", "block2.conv2", 2.0**15


def overflow_model() -> onnx.ModelProto:
    """The digits network, rewritten so that FP16 breaks it and FP32 does not notice.

    Batch norm block2.norm1 gives numbers 32,768 times as large and block2.conv2 has weights 32,768 times as
    small: the same function, the same accuracy in FP32. In FP16 the numbers between the two pass 65,504 and
    become infinite. Cures: keep the three nodes between in FP32 (`to_fp16(model, keep=[...])`), or scale back
    (`rescale`).
    """
    from .models import digits

    return rescale(digits.onnx_path(), OVERFLOW_AT, OVERFLOW_CURED_BY, OVERFLOW_FACTOR)


def rescale(model: Model, norm: str, conv: str, factor: float) -> onnx.ModelProto:
    """Multiply the batch norm `norm` by `factor` and divide the weights of `conv` by it, in a copy.

    With nothing but a ReLU between the two, the network's function stays the same; with a power of two, so
    does every bit in FP32.
    """
    model = read(model)
    nodes = {node.name: node for node in model.graph.node}
    for name, op in ((norm, "BatchNormalization"), (conv, "Conv")):
        if name not in nodes or nodes[name].op_type != op:
            raise PrecisionError(f"There is no {op} node called {name}.", cure="Look at the names in model.graph.node.")
    changes = {nodes[norm].input[1]: factor, nodes[norm].input[2]: factor, nodes[conv].input[1]: 1 / factor}
    for item in model.graph.initializer:
        if item.name in changes:
            values = numpy_helper.to_array(item) * np.float32(changes[item.name])
            item.CopyFrom(numpy_helper.from_array(values, item.name))
    return model
