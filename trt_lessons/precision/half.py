"""FP16 and BF16: the same graph with other types."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..errors import PrecisionError
from .graphs import NAMES, QDQ, Model, raise_opset, read, tensor, types_of


def to_fp16(model: Model, *, keep: Iterable[str] = (), float_io: bool = True) -> onnx.ModelProto:
    """The model typed FP16: weights, inner tensors, and casts where it begins and ends. Opset 17 stays 17.

    keep: names of nodes that stay FP32, with casts around them. float_io: inputs and outputs stay FP32, so
    that callers need not change; False makes them FP16 too. A Q/DQ graph becomes opset 19 with FP16 scales
    (TensorRT 10 and 11; for 8.6 leave the graph in FP32 and set the FP16 flag). PrecisionError for a weight
    beyond 65,504.
    """
    model = read(model)
    if any(node.op_type in QDQ for node in model.graph.node):
        raise_opset(model, 19)
        _lift_scales(model)
    return _Lowering(model, TensorProto.FLOAT16, set(keep)).run(float_io)


def to_bf16(model: Model, *, keep: Iterable[str] = (), float_io: bool = True) -> onnx.ModelProto:
    """The model typed BF16: FP32's range, 8 bits of precision. As `to_fp16`, but opset 22: not for 8.6.

    onnxruntime on the CPU has no BF16 convolution: `as_computed` gives a graph that it runs with the same
    rounding.
    """
    model = read(model)
    raise_opset(model, 22)
    return _Lowering(model, TensorProto.BFLOAT16, set(keep)).run(float_io)


def _lift_scales(model: onnx.ModelProto) -> None:
    """In place, scales below FP16's smallest normal number, 6.1e-5 (dead channels), become that number."""
    scales = {node.input[1] for node in model.graph.node if node.op_type in QDQ}
    for item in model.graph.initializer:
        if item.name in scales:
            values = np.maximum(numpy_helper.to_array(item), np.float32(2.0**-14))
            item.CopyFrom(numpy_helper.from_array(values, item.name))


class _Lowering:
    """One pass over a graph that retypes FP32 tensors; a tensor needed in both types gets a cast, once."""

    def __init__(self, model: onnx.ModelProto, low: int, keep: set[str]) -> None:
        self.model, self.low, self.keep = model, low, keep
        self.types = types_of(model)
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
                new.output[index] = f"{name}.{NAMES[self.low]}" if inner else name
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
                self.made[name, kind] = self._cast(source, f"{name}.{NAMES[kind]}", kind)
        return self.made[name, kind]

    def _cast(self, source: str, target: str, kind: int) -> str:
        name = f"{source}.to_{NAMES[kind]}"
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
        low = f"{name}.{NAMES[kind]}"
        self.weights[low] = tensor(low, values, kind)
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


def _retype_attributes(node: onnx.NodeProto, low: int) -> None:
    """A cast to FP32, or a constant that is FP32, follows the new type."""
    for attribute in node.attribute:
        if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
            attribute.i = low
        elif attribute.name == "value" and attribute.t.data_type == TensorProto.FLOAT:
            attribute.t.CopyFrom(tensor(attribute.t.name, numpy_helper.to_array(attribute.t), low))
