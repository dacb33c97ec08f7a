"""FP16 and BF16: the same graph with other types."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..errors import PrecisionError
from .graphs import ENDLESS, LARGEST, NAMES, QDQ, Model, raise_opset, read, tensor, types_of

KEPT = "trt_lessons.kept_in_fp32"  # the model's metadata: why a node stays FP32, one line each


def to_fp16(model: Model, *, keep: Iterable[str] = (), float_io: bool = True) -> onnx.ModelProto:
    """The model typed FP16: weights, inner tensors, and casts where it begins and ends. Opset 17 stays 17.

    keep: names of nodes that stay FP32, with casts around them. float_io: inputs and outputs stay FP32, so
    that callers need not change; False makes them FP16 too. A Q/DQ graph becomes opset 19 with FP16 scales
    (TensorRT 10 and 11; for 8.6 leave the graph in FP32 and set the FP16 flag).

    By itself it keeps FP32 where FP16 cannot be: inputs that an op defines as float32 (the scales of Resize), nodes
    with a body (If, Loop), ops that are not ONNX's, and nodes that read a constant beyond 65,504. A constant that
    stands for infinity (beyond 1e30, as in masks) becomes FP16's largest number. `kept` lists what was done.
    Nodes without a name get one. PrecisionError for a name in `keep` that no node has.
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


def kept(model: onnx.ModelProto) -> list[str]:
    """What a conversion kept in FP32 or clamped by itself, one line for each node or constant."""
    return [line for item in model.metadata_props if item.key == KEPT for line in item.value.splitlines()]


def _lift_scales(model: onnx.ModelProto) -> None:
    """In place, scales below FP16's smallest normal number, 6.1e-5 (dead channels), become that number."""
    scales = {node.input[1] for node in model.graph.node if node.op_type in QDQ}
    for item in model.graph.initializer:
        if item.name in scales:
            values = np.maximum(numpy_helper.to_array(item), np.float32(2.0**-14))
            item.CopyFrom(numpy_helper.from_array(values, item.name))


def _name_nodes(graph: onnx.GraphProto) -> None:
    """In place, a node without a name gets one that no other has."""
    taken = {node.name for node in graph.node}
    for number, node in enumerate(graph.node):
        if not node.name:
            name = f"{node.op_type}_{number}"
            while name in taken:
                name += "_"
            node.name = name
            taken.add(name)


class _Rules:
    """Which inputs and outputs of a node may have a narrow float type, by ONNX's own definition of its op."""

    def __init__(self, model: onnx.ModelProto, low: int) -> None:
        self.opsets = {item.domain or "ai.onnx": item.version for item in model.opset_import}
        self.word = {TensorProto.FLOAT16: "tensor(float16)", TensorProto.BFLOAT16: "tensor(bfloat16)"}[low]

    def schema(self, node: onnx.NodeProto) -> onnx.defs.OpSchema | None:
        """ONNX's definition of the node's op; None where there is none."""
        domain = node.domain or "ai.onnx"
        try:
            return onnx.defs.get_schema(node.op_type, self.opsets[domain], "" if domain == "ai.onnx" else domain)
        except (KeyError, onnx.defs.SchemaError):
            return None

    def wide(self, node: onnx.NodeProto) -> tuple[set[int], set[int], str]:
        """Numbers of the inputs and outputs that must stay as they are, and why the whole node must ("" if not)."""
        schema = self.schema(node)
        if schema is None:
            return set(), set(), f"{node.domain or 'ONNX'} does not define {node.op_type}'s types here"
        if any(attribute.type in (attribute.GRAPH, attribute.GRAPHS) for attribute in node.attribute):
            return set(), set(), f"{node.op_type} has a body of its own"
        ins = {i for i in range(len(node.input)) if not self._may(schema, schema.inputs, i)}
        outs = {i for i in range(len(node.output)) if not self._may(schema, schema.outputs, i)}
        return ins, outs, ""

    def _may(self, schema: onnx.defs.OpSchema, formal: Iterable, index: int) -> bool:
        formal = list(formal)
        if not formal:
            return True
        kind = formal[min(index, len(formal) - 1)].type_str
        allowed = next((list(c.allowed_type_strs) for c in schema.type_constraints if c.type_param_str == kind), [kind])
        return self.word in allowed


class _Lowering:
    """One pass over a graph that retypes FP32 tensors; a tensor needed in both types gets a cast, once."""

    def __init__(self, model: onnx.ModelProto, low: int, keep: set[str]) -> None:
        self.model, self.low, self.keep = model, low, keep
        self.types = types_of(model)
        self.rules = _Rules(model, low)
        self.weights = {item.name: item for item in model.graph.initializer}
        self.made: dict[tuple[str, int], str] = {}  # (tensor, type) -> its name in that type
        self.nodes: list[onnx.NodeProto] = []
        self.told: dict[str, None] = {}  # what was kept or clamped, in order
        _name_nodes(model.graph)
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
            kind = self.types.get(value.name, 0)
            if kind == TensorProto.FLOAT and not float_io:
                value.type.tensor_type.elem_type = self.low
                self.made[value.name, self.low] = value.name
            else:
                self.made[value.name, kind] = value.name
        for node in graph.node:
            self._add(node, results, float_io)
        for value in graph.output:
            if self.types.get(value.name) == TensorProto.FLOAT:
                self._finish(value, float_io)
        used = {name for node in self.nodes for name in (*node.input, *_outer_names(node))} | results
        weights = [item for item in self.weights.values() if item.name in used]
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        graph.node.extend(self.nodes)
        graph.initializer.extend(weights)
        if self.told:
            self.model.metadata_props.add(key=KEPT, value="\n".join(self.told))
        return self.model

    def _add(self, node: onnx.NodeProto, results: set[str], float_io: bool) -> None:
        wide_in, wide_out, why = self.rules.wide(node)
        kind = TensorProto.FLOAT if node.name in self.keep or why or self._beyond(node) else self.low
        if why and any(self.types.get(name) == TensorProto.FLOAT for name in (*node.input, *node.output)):
            self.told.setdefault(f"{node.name} stays FP32: {why}")
        new = onnx.NodeProto()
        new.CopyFrom(node)
        new.input[:] = [
            self._as(name, TensorProto.FLOAT if i in wide_in else kind) for i, name in enumerate(node.input)
        ]
        self._feed_bodies(new)
        for index, name in enumerate(node.output):
            if self.types.get(name) == TensorProto.FLOAT:
                own = TensorProto.FLOAT if index in wide_out else kind
                inner = name in results and float_io and own == self.low
                new.output[index] = f"{name}.{NAMES[self.low]}" if inner else name
                self.made[name, own] = new.output[index]
        if kind == self.low and not wide_out:
            _retype_attributes(new, self.low)
        self.nodes.append(new)

    def _beyond(self, node: onnx.NodeProto) -> bool:
        """Does it read a constant that FP16 cannot hold, and that does not stand for infinity? Then it stays FP32."""
        if self.low != TensorProto.FLOAT16:
            return False
        constants = [self.weights[n] for n in node.input if n in self.weights]
        constants += [a.t for a in node.attribute if a.name == "value" and a.type == a.TENSOR]
        for item in constants:
            if item.data_type == TensorProto.FLOAT:
                size = np.abs(numpy_helper.to_array(item))
                if np.any((size > LARGEST) & (size < ENDLESS)):
                    largest = size[size < ENDLESS].max()
                    line = f"{node.name} stays FP32: {item.name or 'its value'} holds {largest:g}, FP16 ends at 65504"
                    self.told.setdefault(line)
                    return True
        return False

    def _feed_bodies(self, node: onnx.NodeProto) -> None:
        """What a node's bodies read from around them, they read in FP32."""
        for graph in _bodies(node):
            for name in _outer_names(node):
                if self.types.get(name) == TensorProto.FLOAT and (wide := self._as(name, TensorProto.FLOAT)) != name:
                    _rename_reads(graph, name, wide)

    def _as(self, name: str, kind: int) -> str:
        """The name under which a node that computes in `kind` reads this tensor."""
        if self.types.get(name) != TensorProto.FLOAT:
            return name
        if (name, kind) not in self.made:
            if name in self.weights:
                self.made[name, kind] = self._weight(name, kind)
            else:
                source = next(text for (tensor, _), text in self.made.items() if tensor == name)
                self.made[name, kind] = self._cast(source, f"{name}.{NAMES[kind]}", kind)
        return self.made[name, kind]

    def _cast(self, source: str, target: str, kind: int) -> str:
        name = f"{source}.to_{NAMES[kind]}"
        self.nodes.append(helper.make_node("Cast", [source], [target], name=name, to=kind))
        return target

    def _weight(self, name: str, kind: int) -> str:
        if kind == TensorProto.FLOAT:
            return name
        values = numpy_helper.to_array(self.weights[name])
        if kind == TensorProto.FLOAT16:
            values = self._clamped(values, name)
        low = f"{name}.{NAMES[kind]}"
        self.weights[low] = tensor(low, values, kind)
        return low

    def _clamped(self, values: np.ndarray, name: str) -> np.ndarray:
        """Numbers that stand for infinity as FP16's largest; real infinities stay."""
        far = _stands_for_infinity(values)
        if far.any():
            first = values[far].flat[0]
            self.told.setdefault(f"{name} is clamped: {first:g} becomes {np.sign(first) * LARGEST:g}")
        return _within_fp16(values)

    def _finish(self, value: onnx.ValueInfoProto, float_io: bool) -> None:
        kind = TensorProto.FLOAT if float_io else self.low
        if self.made.get((value.name, kind)) != value.name:
            if value.name in self.weights and (value.name, kind) not in self.made:
                value.type.tensor_type.elem_type = TensorProto.FLOAT  # a constant as an output stays as it is
                return
            source = next(text for (tensor, _), text in self.made.items() if tensor == value.name)
            if source == value.name:  # computed in FP32 under the output's own name: move it aside
                source = f"{value.name}.fp32"
                for node in self.nodes:
                    node.input[:] = [source if name == value.name else name for name in node.input]
                    node.output[:] = [source if name == value.name else name for name in node.output]
            self._cast(source, value.name, kind)
        value.type.tensor_type.elem_type = kind


def _stands_for_infinity(values: np.ndarray) -> np.ndarray:
    """Where finite numbers are so large that they mean infinity."""
    return np.isfinite(values) & (np.abs(values) >= ENDLESS)


def _within_fp16(values: np.ndarray) -> np.ndarray:
    """Numbers that stand for infinity as FP16's largest; real infinities stay."""
    far = _stands_for_infinity(values)
    return np.where(far, np.sign(values) * np.float32(LARGEST), values) if far.any() else values


def _bodies(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    found = [a.g for a in node.attribute if a.type == a.GRAPH]
    return found + [g for a in node.attribute if a.type == a.GRAPHS for g in a.graphs]


def _outer_names(node: onnx.NodeProto) -> set[str]:
    """Names that a node's bodies read from the graph around them."""
    found: set[str] = set()
    for graph in _bodies(node):
        own = (
            {v.name for v in graph.input}
            | {t.name for t in graph.initializer}
            | {o for n in graph.node for o in n.output}
        )
        reads = {name for n in graph.node for name in (*n.input, *_outer_names(n))} | {v.name for v in graph.output}
        found |= reads - own - {""}
    return found


def _rename_reads(graph: onnx.GraphProto, old: str, new: str) -> None:
    """In place, what a body reads as `old` from around it, it reads as `new`; a body that gives it on, too."""
    for node in graph.node:
        node.input[:] = [new if name == old else name for name in node.input]
        for body in _bodies(node):
            _rename_reads(body, old, new)
    for value in graph.output:
        if value.name == old:
            graph.node.append(helper.make_node("Identity", [new], [f"{new}.given"], name=f"{new}.given"))
            value.name = f"{new}.given"


def _retype_attributes(node: onnx.NodeProto, low: int) -> None:
    """What says "FP32" in an attribute follows the new type: a cast's, a random op's, a constant."""
    for attribute in node.attribute:
        says_type = (node.op_type == "Cast" and attribute.name == "to") or attribute.name == "dtype"
        if says_type and attribute.i == TensorProto.FLOAT:
            attribute.i = low
        elif attribute.name == "value" and attribute.t.data_type == TensorProto.FLOAT:
            values = numpy_helper.to_array(attribute.t)
            if low == TensorProto.FLOAT16:
                values = _within_fp16(values)
            attribute.t.CopyFrom(tensor(attribute.t.name, values, low))
        elif attribute.name in ("value_float", "value_floats") and node.op_type == "Constant":
            values = [attribute.f] if attribute.name == "value_float" else list(attribute.floats)
            array = np.clip(np.array(values, np.float32), -LARGEST, LARGEST) if low == TensorProto.FLOAT16 else values
            array = np.asarray(array, np.float32).reshape(() if attribute.name == "value_float" else (-1,))
            attribute.CopyFrom(helper.make_attribute("value", tensor(node.output[0], array, low)))
