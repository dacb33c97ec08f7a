"""Stands for OnnxParser: an ONNX file becomes layers; what cannot be read becomes a list of errors."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from . import enums as E
from .callbacks import Flags, ILogger
from .layers import ITensor
from .lowering.lowering import Kept
from .lowering.shapes import NetworkError, known_of
from .lowering.writers import ELEMENTWISE
from .network import INetworkDefinition
from .reading.conditions import Values
from .reading.errors import ErrorList
from .reading.limits import Facts, Seen, beyond_types, beyond_values
from .reading.ops import KIND_OF, TENSOR_OPS, unknown_op
from .reading.preparing import Unreadable, computable, opset_of, prepared
from .reading.rewriting import captured, narrowed, renamed, unique
from .reading.rules import attributes, graphs_of, refused, refused_types
from .types import FROM_ONNX, Dims


class OnnxParser(ErrorList, Flags):
    """Reads ONNX into a network; where it returns False, `get_error(i)` says what was wrong."""

    def __init__(self, network: INetworkDefinition, logger: ILogger) -> None:
        super().__init__(logger)
        self._network, self.flags = network, 1 << int(E.OnnxParserFlag.NATIVE_INSTANCENORM)

    def supports_operator(self, op_name: str) -> bool:
        """Whether the parser reads an op of this name."""
        return op_name in KIND_OF

    def get_used_vc_plugin_libraries(self) -> list[str]:
        """No library of plugins is ever needed here."""
        return []

    def parse_from_file(self, model: str) -> bool:
        """Read a file (and the weights in files beside it)."""
        try:
            data = Path(model).read_bytes()
        except OSError as problem:
            told = f"Failed to open the file {model}: {problem.strerror}"
            return self._error(E.ErrorCode.MODEL_DESERIALIZE_FAILED, told)
        return self.parse(data, os.fspath(model))

    def parse(self, model: bytes, path: str | None = None) -> bool:
        """Read a serialized ONNX model; True when all of it became layers."""
        if self._network.num_layers or self._network.num_inputs:
            self.logger.log(E.Severity.ERROR, "Parse was called with a non-empty network definition")
            return False
        proto = onnx.ModelProto()
        try:
            proto.ParseFromString(bytes(model))
            if not proto.graph.node:
                raise ValueError("it holds no graph")
        except Exception as problem:  # protobuf, onnx and the file system each have errors of their own
            text = f"Failed to parse ONNX model: {problem or 'the bytes are not an ONNX protobuf'}"
            return self._error(E.ErrorCode.MODEL_DESERIALIZE_FAILED, text)
        try:
            self._load_external(proto, path)
            proto = prepared(proto)
            taken = self._takes_types(proto.graph) and self._takes_nodes(proto)
            return taken and self._import(computable(proto))
        except Unreadable as problem:
            return self._error(problem.code, problem.words)
        except Exception as problem:  # whatever reading a strange model raises must not leave this call
            told = f"the interpreter cannot read this model: {type(problem).__name__}: {problem}"
            return self._error(E.ErrorCode.INTERNAL_ERROR, told)

    def _load_external(self, model: onnx.ModelProto, path: str | None) -> None:
        """Weights that lie in files beside the model; Unreadable where one is missing, short or out of reach.

        One that names no file was left out by a caller who only asks what this parser says.
        """
        outside = [c.name for c in model.graph.initializer if c.external_data]
        if not outside:
            return
        told = f"Failed to import initializer: the weights of {', '.join(outside[:3])} lie in a file beside the model"
        if path is None:
            told += ": use parse_from_file, or parse(model, path) with the model's path"
            raise Unreadable(E.ErrorCode.INVALID_GRAPH, told)
        try:
            onnx.load_external_data_for_model(model, os.path.dirname(os.fspath(path)))
        except Exception as problem:  # onnx and the file system each have errors of their own
            raise Unreadable(E.ErrorCode.INVALID_GRAPH, f"{told}: {problem}") from None

    def _takes_types(self, graph: onnx.GraphProto) -> bool:
        refusal = refused_types(graph)
        return refusal is None or self._error(*refusal)

    def _takes_nodes(self, model: onnx.ModelProto) -> bool:
        """Whether all ops are known and within TensorRT's rules; every one that is not gives an error."""
        graph, opset = model.graph, opset_of(model)
        constants, before = {c.name: c for c in graph.initializer} | _constant_nodes(graph), len(self._errors)
        seen = _facts(graph, constants, opset)
        for i, node in enumerate(graph.node):
            unknown = unknown_op(node)
            refusal = (E.ErrorCode.UNSUPPORTED_NODE, unknown) if unknown else refused(node, constants)
            refusal = refusal or beyond_values(Seen(node, seen))
            if refusal:
                self._error(*refusal, i, node)
        return len(self._errors) == before

    def _import(self, model: onnx.ModelProto) -> bool:
        network, graph = self._network, model.graph
        changed = narrowed(model)
        if changed:
            told = f"FLOAT64 becomes FP32, as TensorRT has none: {', '.join(changed[:5])}"
            self.logger.log(E.Severity.WARNING, told)
        network._lowering.opset = opset_of(model)
        network.name = graph.name or network.name
        constants = {c.name: c for c in graph.initializer} | _constant_nodes(graph)
        known: dict[str, ITensor] = {}
        for info in graph.input:
            if info.name not in constants:
                known[info.name] = self._input(info)
        self._values = Values(constants, lambda name: _sizes(known.get(name)))
        self._names, self._count = set(), [0]
        for node in graph.node:
            self._take(node, known, constants)
        for info in graph.output:
            network.mark_output(known[info.name] if info.name in known else self._constant(info.name, known, constants))
        network._lowering.declared = {v.name: known_of(v) for v in graph.output}
        try:
            network._lowering.update()
        except NetworkError as problem:
            return self._error(E.ErrorCode.INVALID_NODE, str(problem))
        facts = _facts(graph, constants, network._lowering.opset)
        facts.types = network._lowering.types
        before = len(self._errors)
        for i, node in enumerate(graph.node):
            refusal = beyond_types(Seen(node, facts))
            if refusal:
                self._error(*refusal, i, node)
        return len(self._errors) == before

    def _take(self, node: NodeProto, known: dict, constants: dict) -> None:
        """One node: a layer, or the branch that is taken where an If's condition is known already."""
        if node.op_type == "Constant":
            return
        condition = self._values.known(node.input[0]) if node.op_type == "If" else None
        if condition is None:
            self._values.see(node)
            self._node(node, known, constants)
            return
        branch = attributes(node)["then_branch" if condition.all() else "else_branch"]
        prefix, outside = f"{node.name or node.output[0]}/", set(captured(branch))
        outer = NodeProto(attribute=[helper.make_attribute("branch", branch)])
        renamed(outer, lambda name: name if not name or name in outside else prefix + name)
        inner = outer.attribute[0].g
        constants |= {c.name: c for c in inner.initializer} | _constant_nodes(inner)
        for below in inner.node:
            self._take(below, known, constants)
        for value, name in zip(inner.output, node.output, strict=True):
            self._take(helper.make_node("Identity", [value.name], [name], f"{prefix}{name}"), known, constants)

    def _input(self, info: onnx.ValueInfoProto) -> ITensor:
        kind = info.type.tensor_type
        shape = [d.dim_value if d.HasField("dim_value") else -1 for d in kind.shape.dim]
        tensor = self._network.add_input(info.name, FROM_ONNX[kind.elem_type], shape)
        tensor._dimension_names = {i: d.dim_param for i, d in enumerate(kind.shape.dim) if d.dim_param}
        return tensor

    def _constant(self, name: str, known: dict, constants: dict) -> ITensor:
        proto = constants[name]
        layer = self._network._add("CONSTANT", [], {"shape": Dims(proto.dims), "weights": _array(proto)})
        self._network._lowering.kept[layer._index] = Kept(None, constant=proto)
        known[name] = tensor = layer._outputs[0]
        layer._name = tensor.name = name
        return tensor

    def _node(self, node: NodeProto, known: dict, constants: dict) -> None:
        lowering, inputs = self._network._lowering, {}
        for i, name in enumerate(node.input):
            if name in known:
                inputs[i] = known[name]
            elif name and (i == 0 or node.op_type in TENSOR_OPS):
                inputs[i] = self._constant(name, known, constants)
            elif name:
                lowering.initializers[name] = constants[name]
        inside = list(dict.fromkeys(name for graph in graphs_of(node) for name in captured(graph)))
        lowering.initializers |= {name: constants[name] for name in inside if name not in known}
        inside = [name for name in inside if name in known]
        outputs, values = max(1, len(node.output)), _read(node, constants)
        layer = self._network._add(
            KIND_OF[node.op_type], [*inputs.values(), *(known[n] for n in inside)], values, outputs
        )
        if node.name in self._names:
            told = "the output tensors of this new instance will not be queryable"
            self.logger.log(E.Severity.WARNING, f"A node named {node.name} already exists, {told}.")
        layer._name = unique(node.name or f"node_of_{node.output[0]}", self._names, self._count)
        layer.metadata = f"[ONNX Layer: {layer._name}]"
        lowering.kept[layer._index] = Kept(_with_windows(node, layer._values), tuple(inputs), tuple(inside))
        for name, tensor in zip(node.output, layer._outputs, strict=False):
            if name:
                tensor.name, known[name] = name, tensor


def _facts(graph: onnx.GraphProto, constants: dict, opset: int) -> Facts:
    """What rules look up besides the node itself."""
    makers = {name: node.op_type for node in graph.node for name in node.output}
    return Facts({v.name for v in graph.input if v.name not in constants}, constants, opset, makers)


def _sizes(tensor: ITensor | None) -> list[int] | None:
    """A tensor's sizes, -1 for open ones; None where they are not known."""
    with contextlib.suppress(ValueError):  # an unknown rank has no length
        return list(tensor.shape) if tensor is not None else None
    return None


_EXOTIC = (TensorProto.BFLOAT16, TensorProto.FLOAT8E4M3FN, TensorProto.INT4)


def _with_windows(node: NodeProto, values: dict) -> NodeProto:
    """Strides and dilations written out: onnx's inference aborts where they and the rank differ."""
    if "Conv" in node.op_type and values:
        given = {a.name for a in node.attribute}
        for name in {"strides", "dilations"} - given:
            node.attribute.append(helper.make_attribute(name, list(values[f"{name[:-1]}_nd"])))
    return node


def _array(proto: TensorProto | None) -> np.ndarray | None:
    """A constant's numbers; None where there is none, or of a type NumPy has not."""
    exotic = proto is None or proto.data_type in _EXOTIC or proto.data_type not in FROM_ONNX
    exotic = exotic or proto.data_location == TensorProto.EXTERNAL
    return None if exotic else numpy_helper.to_array(proto)


def _constant_nodes(graph: onnx.GraphProto) -> dict[str, TensorProto]:
    found = {}
    for node in graph.node:
        if node.op_type == "Constant":
            proto = value = helper.get_attribute_value(node.attribute[0])
            if not isinstance(value, TensorProto):
                array = np.asarray(value)
                proto = numpy_helper.from_array(array.astype(np.float32) if array.dtype == np.float64 else array)
            found[node.output[0]] = TensorProto()
            found[node.output[0]].CopyFrom(proto)
            found[node.output[0]].name = node.output[0]
    return found


def _read(node: NodeProto, constants: dict[str, TensorProto]) -> dict:
    """A layer's own attributes, read off its node, for the kinds that have them; empty for the others."""
    attrs = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    arrays = [_array(constants.get(n)) for n in node.input]
    if "Conv" in node.op_type and arrays[1] is None:  # the kernel is a tensor, or of a type NumPy has not
        return {}
    reader = READERS.get(node.op_type)
    return reader(node, attrs, arrays) if reader else {}


def _read_windows(attrs: dict, size: list[int]) -> dict:
    n = len(size)
    pads = attrs.get("pads", [0] * 2 * n)
    auto = attrs.get("auto_pad", b"NOTSET").decode()
    mode = auto if auto.startswith("SAME") else "EXPLICIT_ROUND_UP" if attrs.get("ceil_mode") else "EXPLICIT_ROUND_DOWN"
    return {"stride_nd": Dims(attrs.get("strides", [1] * n)), "padding_mode": E.PaddingMode.__members__[mode],
            "pre_padding": Dims(pads[:n]), "post_padding": Dims(pads[n:])}  # fmt: skip


def _read_conv(node: NodeProto, attrs: dict, arrays: list) -> dict:
    kernel = arrays[1]
    size = attrs.get("kernel_shape") or list(kernel.shape[2:])
    group = attrs.get("group", 1)
    maps = kernel.shape[1] * group if node.op_type == "ConvTranspose" else kernel.shape[0]
    return {**_read_windows(attrs, size), "kernel_size_nd": Dims(size), "num_groups": group, "num_output_maps": maps,
            "dilation_nd": Dims(attrs.get("dilations", [1] * len(size))), "kernel": kernel,
            "bias": arrays[2] if len(arrays) > 2 else None}  # fmt: skip


def _read_pool(node: NodeProto, attrs: dict, arrays: list) -> dict:
    size = attrs["kernel_shape"]
    kind = E.PoolingType.MAX if node.op_type == "MaxPool" else E.PoolingType.AVERAGE
    return {**_read_windows(attrs, size), "window_size_nd": Dims(size), "type": kind,
            "average_count_excludes_padding": not attrs.get("count_include_pad", 0)}  # fmt: skip


def _read_activation(node: NodeProto, attrs: dict, arrays: list) -> dict:
    name = "LEAKY_RELU" if node.op_type == "LeakyRelu" else node.op_type.upper()
    default = {"LeakyRelu": 0.01, "Elu": 1.0}.get(node.op_type, 0.0)
    return {"type": E.ActivationType.__members__[name], "alpha": attrs.get("alpha", default)}


def _read_gemm(node: NodeProto, attrs: dict, arrays: list) -> dict:
    ops = [E.MatrixOperation.TRANSPOSE if attrs.get(t) else E.MatrixOperation.NONE for t in ("transA", "transB")]
    return {"op0": ops[0], "op1": ops[1]}


def _read_elementwise(node: NodeProto, attrs: dict, arrays: list) -> dict:
    return {
        "op": next(E.ElementWiseOperation.__members__[name] for name, op in ELEMENTWISE.items() if op == node.op_type)
    }


READERS: dict[str, Callable[[NodeProto, dict, list], dict]] = {
    "Conv": _read_conv, "ConvTranspose": _read_conv, "MaxPool": _read_pool, "AveragePool": _read_pool,
    "MatMul": _read_gemm, "Concat": lambda n, a, w: {"axis": a["axis"]},
    "Gather": lambda n, a, w: {"axis": a.get("axis", 0), "mode": E.GatherMode.DEFAULT},
    "Cast": lambda n, a, w: {"to_type": FROM_ONNX.get(a["to"])},
    "Einsum": lambda n, a, w: {"equation": a["equation"].decode()},
    **dict.fromkeys(("Relu", "Sigmoid", "Tanh", "LeakyRelu", "Elu", "Softsign"), _read_activation),
    **dict.fromkeys(ELEMENTWISE.values(), _read_elementwise),
}  # fmt: skip
