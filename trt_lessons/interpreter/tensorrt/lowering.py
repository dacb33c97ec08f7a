"""From layers to ONNX, and the shapes and types that follow from it.

Layers that came from an ONNX file keep their own node; layers added by the layer API are written as
nodes by `writers`. Shapes and types are onnx's own shape inference over those nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper
from onnx.shape_inference import InferenceError, infer_shapes

from . import enums as E
from .types import FROM_ONNX, TO_ONNX, Dims, volume

if TYPE_CHECKING:
    from .layers import ILayer
    from .network import INetworkDefinition, ITensor

OPSET = 21
IR_VERSION = 10
_SMALL = 256  # elements; larger constants are left out of shape inference


class NetworkError(Exception):
    """The network as defined makes no sense; the text names the layer."""


class Known(NamedTuple):
    """What is known of a tensor: its type, and its shape (None when not even the rank is known)."""

    dtype: E.DataType | None
    shape: Dims | None


class Lowering:
    """A network's ONNX form, kept up to date layer by layer."""

    def __init__(self, network: INetworkDefinition, writers: dict[str, Callable[[ILayer, Emit], object]]) -> None:
        self.network, self.writers = network, writers
        self.parts: dict[int, Emit] = {}  # by the layer's index
        self.order: list[int] = []  # in which layers can run: one may use the output of a layer added after it
        self.types: dict[str, Known] = {}
        self.problems: dict[int, str] = {}  # layers that make no sense, by index
        self.initializers: dict[str, TensorProto] = {}  # of parsed models
        self.opset = OPSET

    def invalidate(self, index: int) -> None:
        """Forget everything from the index-th layer on."""
        self.parts = {i: part for i, part in self.parts.items() if i < index}
        if index == 0:
            self.types.clear()

    def update(self) -> None:
        """Write the layers that are not written yet; raises NetworkError where one makes no sense."""
        layers = self.network._layers
        if len(self.parts) == len(layers) and (self.types or not layers):
            return
        self._sort(layers)
        self.problems.clear()
        for layer in (layers[i] for i in self.order if i not in self.parts):
            emit = Emit(self, layer)
            try:
                self.writers[layer._kind](layer, emit) if layer._node is None else emit.original(layer)
                self.parts[layer._index] = emit
            except NetworkError as problem:
                self.problems[layer._index] = f"{layer._name}: {problem}"
        self._infer(strict=not self.problems)
        if self.problems:
            raise NetworkError(next(iter(self.problems.values())))

    def _sort(self, layers: list[ILayer]) -> None:
        order: dict[int, None] = {}

        def visit(layer: ILayer) -> None:
            for tensor in layer._tensors():
                if tensor._producer is not None and tensor._producer._index not in order:
                    visit(tensor._producer)
            order[layer._index] = None

        for layer in layers:
            if layer._index not in order:
                visit(layer)
        self.order = list(order)

    def constants(self) -> list[TensorProto]:
        """All constants the nodes use."""
        own = [c for part in self.parts.values() for c in part.constants]
        return [*self.initializers.values(), *own]

    def model(self, outputs: Iterable[onnx.ValueInfoProto], *, light: bool = False) -> onnx.ModelProto:
        """The network as an ONNX model; `light` replaces large constants by inputs of the same type."""
        inputs, constants = [input_info(t) for t in self.network._inputs], self.constants()
        if light:
            constants, large = lighter(constants)
            inputs += large
        nodes = [node for i in self.order if i in self.parts for node in self.parts[i].nodes]  # behind those they need
        graph = helper.make_graph(nodes, self.network.name or "network", inputs, list(outputs), constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=IR_VERSION)

    def _infer(self, strict: bool = True) -> None:
        """onnx's shape inference, strictly; BF16 again without its type check, which knows BF16 from opset 22 on."""
        model, reason = self.model([], light=True), ""
        for check in (True, False) if strict else ():
            try:
                self.types = inferred(model, check_type=check, strict_mode=True)
                if check or any(k.dtype == E.DataType.BF16 for k in self.types.values()):
                    return
            except InferenceError as problem:
                reason = reason or _first_reason(str(problem))
        self.types = inferred(model)
        if strict:
            raise NetworkError(reason)


def _first_reason(text: str) -> str:
    """The part of onnx's message that a learner needs."""
    telling = (line for line in text.splitlines() if "error" in line.lower() or "op_type" in line)
    return next(telling, text).strip()


def lighter(constants: Iterable[TensorProto]) -> tuple[list[TensorProto], list[onnx.ValueInfoProto]]:
    """The small constants, and inputs of the same names, types and shapes for the others: enough to infer shapes."""
    small = {c.name: volume(c.dims) <= _SMALL for c in constants}
    large = [c for c in constants if not small[c.name]]
    inputs = [helper.make_tensor_value_info(c.name, c.data_type, list(c.dims)) for c in large]
    return [c for c in constants if small[c.name]], inputs


def input_info(tensor: ITensor) -> onnx.ValueInfoProto:
    """An input of the network as ONNX wants it: -1 becomes a named dimension."""
    names = tensor._dimension_names
    shape = [d if d >= 0 else names.get(i) or f"{tensor._name}_{i}" for i, d in enumerate(tensor._shape)]
    return helper.make_tensor_value_info(tensor._name, TO_ONNX[tensor._dtype.name], shape)


def known_of(info: onnx.ValueInfoProto) -> Known:
    """Type and shape of an ONNX value, -1 where a size is not a number."""
    kind = info.type.tensor_type
    if not kind.HasField("shape"):
        return Known(FROM_ONNX.get(kind.elem_type), None)
    shape = Dims(d.dim_value if d.HasField("dim_value") else -1 for d in kind.shape.dim)
    return Known(FROM_ONNX.get(kind.elem_type), shape)


def inferred(model: onnx.ModelProto, **options: bool) -> dict[str, Known]:
    """Type and shape of all values, by onnx's shape inference."""
    graph = infer_shapes(model, data_prop=True, **options).graph
    constants = {c.name: Known(FROM_ONNX.get(c.data_type), Dims(c.dims)) for c in graph.initializer}
    return constants | {v.name: known_of(v) for v in [*graph.input, *graph.value_info, *graph.output]}


class Emit:
    """Writes one layer: `node` adds a node for its output, `step` one on the way there, `const` a constant."""

    def __init__(self, lowering: Lowering, layer: ILayer) -> None:
        self.lowering, self.layer = lowering, layer
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self.last = [t._name for t in layer._outputs]

    def known(self, tensor: ITensor) -> Known:
        """Type and shape of an input; NetworkError when the rank is not known."""
        if tensor._producer is None:
            return Known(tensor._dtype, tensor._shape)
        if tensor._name not in self.lowering.types:
            self.lowering._infer(strict=not self.lowering.problems)
        known = self.lowering.types.get(tensor._name)
        if known is None or known.shape is None:
            raise NetworkError(f"the shape of its input {tensor._name} is not known")
        return known

    def rank(self, tensor: ITensor) -> int:
        """How many dimensions an input has."""
        return len(self.known(tensor).shape)

    def original(self, layer: ILayer) -> None:
        """The layer's own ONNX node, its tensors under their present names."""
        node = NodeProto()
        node.CopyFrom(layer._node)
        node.name = layer._name
        del node.input[:], node.output[:]
        node.input.extend("" if x is None else x if isinstance(x, str) else x._name for x in layer._inputs)
        node.output.extend(self.last)
        self.nodes.append(node)

    def node(self, op: str, *inputs: ITensor | str, outputs: list[str] | None = None, **attrs: object) -> str:
        """Add a node; without `outputs` it writes the layer's. Returns the first output's name."""
        names = [x if isinstance(x, str) else x._name for x in inputs]
        title = self.layer._name if outputs is None else f"{self.layer._name}/{outputs[0]}"
        self.nodes.append(helper.make_node(op, names, outputs or self.last, name=title, **attrs))
        return self.nodes[-1].output[0]

    def step(self, op: str, *inputs: ITensor | str, **attrs: object) -> str:
        """Add a node for a value inside the layer; returns its name."""
        return self.node(op, *inputs, outputs=[f"{self.last[0]}/{op.lower()}{len(self.nodes)}"], **attrs)

    def chain(self, x: ITensor | str, steps: list[tuple[str, list, dict]]) -> None:
        """Ops one behind the other, each with its further inputs and attributes; the last writes the output."""
        *before, (op, more, attrs) = steps or [("Identity", [], {})]
        for earlier, others, its_own in before:
            x = self.step(earlier, x, *others, **its_own)
        self.node(op, x, *more, **attrs)

    def const(self, values: object, hint: str, like: ITensor | None = None) -> str:
        """A constant; `like` gives it a tensor's element type."""
        array, name = np.asarray(values), f"{self.layer._name}:{hint}"
        if like is not None:
            kind = TO_ONNX[self.known(like).dtype.name]
            proto = helper.make_tensor(name, kind, array.shape, array.astype(np.float32).ravel())
        else:
            proto = numpy_helper.from_array(array, name)
        self.constants.append(proto)
        return name

    def ints(self, values: Iterable[int], hint: str) -> str:
        """A constant list of INT64."""
        return self.const(np.array(list(values), np.int64), hint)
