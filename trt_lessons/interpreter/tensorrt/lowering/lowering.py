"""From layers to ONNX, and the shapes and types that follow from it.

A network is read through its public API alone: the kinds, attributes and tensors of its layers. Layers that came
from an ONNX file keep their own node; layers added by the layer API are written as nodes by `writers`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper
from onnx.shape_inference import InferenceError

from .. import enums as E
from ..layers import KINDS, ILayer, ITensor
from ..reading.rewriting import renamed
from ..types import TO_ONNX
from .refusals import BY_KIND
from .shapes import Known, NetworkError, inferred, lighter
from .sizes import sizes

OPSET = 21
IR_VERSION = 10


class Network(Protocol):
    """What the lowering reads of an INetworkDefinition."""

    name: str
    num_layers: int
    num_inputs: int

    def get_layer(self, index: int) -> ILayer | None: ...
    def get_input(self, index: int) -> ITensor | None: ...


class Kept(NamedTuple):
    """A layer that came from ONNX: its node, and which of the node's inputs are tensors of the network.

    A constant has no node; it keeps the file's own numbers.
    """

    node: NodeProto | None
    places: tuple[int, ...] = ()
    captured: tuple[str, ...] = ()  # names that graphs inside the node take from outside; inputs behind the others
    constant: TensorProto | None = None


Writers = dict[E.LayerType, Callable[[ILayer, "Emit"], object]]


class Lowering:
    """A network's ONNX form, kept up to date layer by layer."""

    def __init__(self, network: Network, writers: Writers, fold: Callable[[Lowering], list[NodeProto]]) -> None:
        self.network, self.writers, self.fold = network, writers, fold
        self.parts: dict[int, Emit] = {}  # by the layer's index
        self.kept: dict[int, Kept] = {}  # likewise
        self.order: list[int] = []  # in which layers can run: one may use the output of a layer added after it
        self.types: dict[str, Known] = {}
        self.problems: dict[int, str] = {}  # layers that make no sense, by index
        self.initializers: dict[str, TensorProto] = {}  # of parsed models
        self.declared: dict[str, Known] = {}  # what a file says of its outputs, for those that inference leaves open
        self.opset = OPSET

    def invalidate(self, index: int) -> None:
        """Forget everything from the index-th layer on."""
        self.parts = {i: part for i, part in self.parts.items() if i < index}
        if index == 0:
            self.types.clear()

    def update(self) -> None:
        """Write the layers that are not written yet; raises NetworkError where one makes no sense."""
        count = self.network.num_layers
        if len(self.parts) == count and (self.types or not count):
            return
        layers = [self.network.get_layer(i) for i in range(count)]
        self._sort(layers)
        self.problems.clear()
        for i in (i for i in self.order if i not in self.parts):
            layer = layers[i]
            kind = layer.type
            layer.__class__ = KINDS.get(kind, ILayer)  # as a user does, to see its attributes
            emit = Emit(self, layer, kind)
            try:
                self._write(i, emit)
                self.parts[i] = emit
            except NetworkError as problem:
                self.problems[i] = f"{layer.name}: {problem}"
        self._infer(strict=not self.problems)
        if self.problems:
            raise NetworkError(next(iter(self.problems.values())))

    def _write(self, index: int, emit: Emit) -> None:
        kept = self.kept.get(index)
        if kept is None:
            breaks, words = BY_KIND.get(emit.kind, (None, ""))
            if breaks and breaks(emit.layer, [emit.known(x) for x in emit.inputs if x is not None]):
                raise NetworkError(words)
            self.writers[emit.kind](emit.layer, emit)
        elif kept.node is None:
            emit.constants.append(TensorProto())
            emit.constants[0].CopyFrom(kept.constant)
            emit.constants[0].name = emit.last[0]
        else:
            emit.original(kept)

    def _sort(self, layers: list[ILayer]) -> None:
        order: dict[int, None] = {}
        inputs = [[x for x in map(layer.get_input, range(layer.num_inputs)) if x is not None] for layer in layers]
        for i, layer in enumerate(layers):
            if layer.type == E.LayerType.RECURRENCE and i not in self.kept:
                del inputs[i][1:]  # the next turn's value comes from behind
        outputs = (map(layer.get_output, range(layer.num_outputs)) for layer in layers)
        maker = {id(tensor): i for i, made in enumerate(outputs) for tensor in made}

        def visit(index: int) -> None:
            for tensor in inputs[index]:
                before = maker.get(id(tensor))
                if before is not None and before not in order:
                    visit(before)
            order[index] = None

        for i in range(len(layers)):
            if i not in order:
                visit(i)
        self.order = list(order)

    def constants(self) -> list[TensorProto]:
        """All constants the nodes use."""
        own = [c for part in self.parts.values() for c in part.constants]
        return [*self.initializers.values(), *own]

    def model(self, outputs: Iterable[onnx.ValueInfoProto], *, light: bool = False) -> onnx.ModelProto:
        """The network as an ONNX model; `light` replaces large constants by inputs of the same type."""
        inputs = [input_info(self.network.get_input(i)) for i in range(self.network.num_inputs)]
        constants = self.constants()
        if light:
            constants, large = lighter(constants)
            inputs += large
        if light:  # a loop as if it ran once
            nodes = [node for i in self.order if i in self.parts for node in self.parts[i].nodes]
        else:
            nodes = self.fold(self)
        graph = helper.make_graph(nodes, self.network.name or "network", inputs, list(outputs), constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=IR_VERSION)

    def sizes(self) -> set[str]:
        """Names of the values that are sizes (shape tensors)."""
        return sizes(self.fold(self))

    def layers_of(self, kind: E.LayerType) -> list[ILayer]:
        """All layers of a kind that the layer API added."""
        chosen = [i for i in range(self.network.num_layers) if i not in self.kept]
        found = [layer for layer in map(self.network.get_layer, chosen) if layer.type == kind]
        for layer in found:
            layer.__class__ = KINDS[kind]
        return found

    def _infer(self, strict: bool = True) -> None:
        try:
            self._infer_nodes(strict)
        finally:
            for name, told in self.declared.items():
                found = self.types.get(name)
                if found is not None and found.shape is None and told.shape is not None:
                    self.types[name] = Known(found.dtype or told.dtype, told.shape)

    def _infer_nodes(self, strict: bool) -> None:
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


def input_info(tensor: ITensor) -> onnx.ValueInfoProto:
    """An input of the network as ONNX wants it: -1 becomes a named dimension."""
    name = tensor.name
    shape = [d if d >= 0 else tensor.get_dimension_name(i) or f"{name}_{i}" for i, d in enumerate(tensor.shape)]
    return helper.make_tensor_value_info(name, TO_ONNX[tensor.dtype.name], shape)


class Emit:
    """Writes one layer: `node` adds a node for its output, `step` one on the way there, `const` a constant."""

    def __init__(self, lowering: Lowering, layer: ILayer, kind: E.LayerType) -> None:
        self.lowering, self.layer, self.kind, self.name = lowering, layer, kind, layer.name
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self.inputs = [layer.get_input(i) for i in range(layer.num_inputs)]
        self.last = [layer.get_output(i).name for i in range(layer.num_outputs)]

    def known(self, tensor: ITensor) -> Known:
        """Type and shape of an input; NetworkError when the rank is not known."""
        if tensor.is_network_input:
            return Known(tensor.dtype, tensor.shape)
        if tensor.name not in self.lowering.types:
            self.lowering._infer(strict=not self.lowering.problems)
        known = self.lowering.types.get(tensor.name)
        if known is None or known.shape is None:
            raise NetworkError(f"the shape of its input {tensor.name} is not known")
        return known

    def rank(self, tensor: ITensor) -> int:
        """How many dimensions an input has."""
        return len(self.known(tensor).shape)

    def original(self, kept: Kept) -> None:
        """The layer's own ONNX node, its tensors under their present names."""
        node = NodeProto()
        node.CopyFrom(kept.node)
        node.name = self.name
        for place, tensor in zip(kept.places, self.inputs, strict=False):
            node.input[place] = tensor.name
        new = dict(zip(kept.captured, (x.name for x in self.inputs[len(kept.places) :]), strict=True))
        if any(old != name for old, name in new.items()):
            renamed(node, lambda name: new.get(name, name))
        del node.output[:]
        node.output.extend(self.last)
        self.nodes.append(node)

    def node(self, op: str, *inputs: ITensor | str, outputs: list[str] | None = None, **attrs: object) -> str:
        """Add a node; without `outputs` it writes the layer's. Returns the first output's name."""
        names = [x if isinstance(x, str) else x.name for x in inputs]
        title = self.name if outputs is None else f"{self.name}/{outputs[0]}"
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
        array, name = np.asarray(values), f"{self.name}:{hint}"
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
