"""Loops: layers are written as if a loop ran once, which is enough for shapes; `folded` makes ONNX's Loop of them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, helper

from .. import enums as E
from ..layers import ILayer
from ..reading.rewriting import captured, renamed
from ..reading.rules import graphs_of
from ..types import TO_ONNX
from .lowering import Emit, Lowering
from .shapes import NetworkError

INT64, BOOL = TensorProto.INT64, TensorProto.BOOL
_BACKWARDS = {"start": -1, "end": -(2**62), "axis": 0, "step": -1}
_LAST, _WHILE = E.LoopOutput.LAST_VALUE, E.TripLimit.WHILE


def _limit(layer: ILayer, e: Emit) -> None:
    kind, name = BOOL if layer.kind == _WHILE else INT64, _limit_name(layer)
    e.node("Reshape", e.inputs[0], e.ints([], "scalar"), outputs=[f"{name}/scalar"])
    e.node("Cast", f"{name}/scalar", outputs=[name], to=kind)


def _limit_name(layer: ILayer) -> str:
    return f"{layer.loop.name}/{layer.kind.name}"


def _recurrence(layer: ILayer, e: Emit) -> None:
    e.node("Identity", e.inputs[0])


def _iterator(layer: ILayer, e: Emit) -> None:
    e.const(np.int64(-1), "last")  # for the turns from the end
    e.node("Gather", e.inputs[0], e.const(np.int64(0), "first"), axis=layer.axis)


def _output(layer: ILayer, e: Emit) -> None:
    if layer.kind == _LAST:
        e.node("Identity", e.inputs[0])
        return
    own = [limit for limit in e.lowering.layers_of(E.LayerType.TRIP_LIMIT) if limit.loop is layer.loop]
    counts = [limit.get_input(0) for limit in own if limit.kind == E.TripLimit.COUNT]
    if not counts or len(own) > 1:
        told = "the interpreter concatenates the turns of loops with a COUNT limit only; TensorRT has WHILE as well"
        raise NetworkError(told)
    turns = e.step("Reshape", e.step("Cast", counts[0], to=INT64), e.ints([1], "one"))
    for name, number in _BACKWARDS.items():
        e.ints([number], name)
    once = e.step("Unsqueeze", e.inputs[0], e.ints([layer.axis], "at"))
    rank = e.rank(e.inputs[0])
    ones = [e.ints([1] * layer.axis, "before"), turns, e.ints([1] * (rank - layer.axis), "behind")]
    e.node("Expand", once, e.step("Concat", *ones, axis=0))


LOOPS = {
    E.LayerType.TRIP_LIMIT: _limit, E.LayerType.RECURRENCE: _recurrence,
    E.LayerType.ITERATOR: _iterator, E.LayerType.LOOP_OUTPUT: _output,
}  # fmt: skip


def needs(node: NodeProto) -> list[str]:
    """All names a node takes, those of the graphs inside it as well."""
    return [*filter(None, node.input), *(name for graph in graphs_of(node) for name in captured(graph))]


def folded(lowering: Lowering) -> list[NodeProto]:
    """The network's nodes, each loop as one node, behind those that they need."""
    parts = [lowering.parts[i] for i in lowering.order if i in lowering.parts]
    nodes = [node for part in parts for node in part.nodes]
    loops: dict[int, list[Emit]] = {}
    for part in parts:
        if part.kind in LOOPS and getattr(part.layer, "loop", None) is not None:
            loops.setdefault(id(part.layer.loop), []).append(part)
    if not loops and not any(part.kind == E.LayerType.CONDITIONAL_OUTPUT for part in parts):
        return nodes
    for boundary in reversed(loops.values()):  # an inner loop was added behind the outer one
        nodes = _Loop(lowering, boundary, nodes).fold()
    return _sorted(nodes)


def _sorted(nodes: list[NodeProto]) -> list[NodeProto]:
    maker = {name: i for i, node in enumerate(nodes) for name in node.output}
    order: dict[int, None] = {}

    def visit(index: int) -> None:
        for name in needs(nodes[index]):
            if name in maker and maker[name] not in order and maker[name] != index:
                visit(maker[name])
        order[index] = None

    for i in range(len(nodes)):
        if i not in order:
            visit(i)
    return [nodes[i] for i in order]


class _Loop:
    """One loop on its way from layers to ONNX's Loop."""

    def __init__(self, lowering: Lowering, boundary: list[Emit], nodes: list[NodeProto]) -> None:
        self.lowering, self.nodes, self.name = lowering, nodes, boundary[0].layer.loop.name
        of = {kind: [p for p in boundary if p.kind == kind] for kind in LOOPS}
        self.limits, self.recurrences, self.iterators, self.outputs = of.values()
        self.edge = {id(node) for part in boundary if part not in self.limits for node in part.nodes}
        started = {part.last[0] for part in (*self.recurrences, *self.iterators)}
        self.body: list[NodeProto] = []
        for node in _sorted([n for n in nodes if id(n) not in self.edge]):
            if started & set(needs(node)):
                started |= set(node.output)
                self.body.append(node)

    def _limit(self, kind: E.TripLimit) -> str:
        found = [part for part in self.limits if part.layer.kind == kind]
        return _limit_name(found[0].layer) if found else ""

    def _info(self, name: str, inner: str, kind: int | None = None) -> object:
        if kind is not None:  # one number
            return helper.make_tensor_value_info(inner, kind, [])
        return helper.make_tensor_value_info(inner, TO_ONNX[self.lowering.types[name].dtype.name], None)

    def fold(self) -> list[NodeProto]:
        """The nodes with this loop's replaced by one Loop."""
        if not self.limits:
            raise NetworkError(f"{self.name}: the loop has no trip limit")
        for part in self.recurrences:
            if len(part.inputs) < 2:
                raise NetworkError(f"{part.name}: the recurrence has no second input, its value for the next turn")
        inside = {id(node) for node in self.body}
        rest = [node for node in self.nodes if id(node) not in inside and id(node) not in self.edge]
        scans = [part for part in self.outputs if part.layer.kind != _LAST]
        before, condition = self._first_condition()
        finals = [f"{part.last[0]}/final" for part in self.recurrences]
        stacks = [f"{part.last[0]}/stack" for part in scans]
        starts = [part.inputs[0].name for part in self.recurrences]
        loop = helper.make_node(
            "Loop", [self._limit(E.TripLimit.COUNT), condition, *starts], [*finals, *stacks],
            name=self.name, body=self._graph(scans),
        )  # fmt: skip
        result = [*rest, *before, loop, *self._after(scans)]
        made_inside = {name for node in self.body for name in node.output}
        for node in result:
            lost = made_inside & set(needs(node))
            if lost:
                raise NetworkError(f"{sorted(lost)[0]} is used outside of its loop: take it out by add_loop_output")
        return result

    def _graph(self, scans: list[Emit]) -> GraphProto:
        name = self.name
        nodes, states, nexts = [], [], []
        for part in self.iterators:
            index = f"{name}/i"
            if part.layer.reverse:
                index = f"{part.last[0]}/index"
                nodes.append(helper.make_node("Sub", [f"{part.name}:last", f"{name}/i"], [index], name=index))
            source = part.inputs[0].name
            nodes.append(helper.make_node("Gather", [source, index], part.last, name=part.name, axis=part.layer.axis))
        nodes += self.body
        for part in self.recurrences:
            value, after = part.inputs[1].name, f"{part.last[0]}/next"
            states.append(self._info(part.last[0], part.last[0]))
            nodes.append(helper.make_node("Identity", [value], [after], name=after))
            nexts.append(self._info(part.last[0], after))
        more, go_on = self._next_condition()
        outs = []
        for part in scans:
            turn = f"{part.last[0]}/turn"
            nodes.append(helper.make_node("Identity", [part.inputs[0].name], [turn], name=turn))
            outs.append(self._info(part.last[0], turn))
        inputs = [self._info("", f"{name}/i", INT64), self._info("", f"{name}/go", BOOL), *states]
        outputs = [self._info("", go_on, BOOL), *nexts, *outs]
        return helper.make_graph([*nodes, *more], f"body of {name}", inputs, outputs)

    def _condition(self, label: str, values: dict[str, str]) -> tuple[list[NodeProto], str]:
        """Copies of the nodes that work the condition out, with a recurrence's value under another name."""
        wanted = self._limit(_WHILE)
        chosen, todo = [], {wanted}
        for node in reversed(self.body):
            if todo & set(node.output):
                chosen.insert(0, node)
                todo |= set(needs(node))
        if todo & {part.last[0] for part in self.iterators}:
            raise NetworkError(f"{self.name}: the interpreter has no WHILE on an iterator; TensorRT has")
        new = {name: f"{name}/{label}" for node in chosen for name in node.output} | values
        copies = []
        for node in chosen:
            copy = NodeProto()
            copy.CopyFrom(node)
            copy.name = f"{node.name}/{label}"
            copy.input[:] = [new.get(name, name) for name in node.input]
            copy.output[:] = [new[name] for name in node.output]
            renamed(copy, lambda name: new.get(name, name))
            copies.append(copy)
        return copies, new.get(wanted, wanted)

    def _first_condition(self) -> tuple[list[NodeProto], str]:
        if not self._limit(_WHILE):
            return [], ""
        return self._condition("first", {part.last[0]: part.inputs[0].name for part in self.recurrences})

    def _next_condition(self) -> tuple[list[NodeProto], str]:
        if not self._limit(_WHILE):
            on = f"{self.name}/on"
            true = helper.make_tensor("true", BOOL, [], [True])
            return [helper.make_node("Constant", [], [on], name=on, value=true)], on
        return self._condition("again", {part.last[0]: f"{part.last[0]}/next" for part in self.recurrences})

    def _after(self, scans: Iterable[Emit]) -> list[NodeProto]:
        """What makes the loop's outputs of its last values and of the stacks of its turns."""
        nodes, known = [], {part.last[0]: f"{part.last[0]}/final" for part in self.recurrences}
        for part in (p for p in self.outputs if p.layer.kind == _LAST):
            source = known.get(part.inputs[0].name)
            if source is None:
                raise NetworkError(f"{part.name}: LAST_VALUE takes the output of a recurrence layer")
            nodes.append(helper.make_node("Identity", [source], part.last, name=part.name))
        for part in scans:
            value, title, axis = f"{part.last[0]}/stack", part.last[0], part.layer.axis
            if part.layer.kind == E.LoopOutput.REVERSE:
                ends = [value, *(f"{part.name}:{what}" for what in _BACKWARDS)]
                value = f"{title}/reversed"
                nodes.append(helper.make_node("Slice", ends, [value], name=value))
            rank = len(self.lowering.types[part.last[0]].shape)
            order = [*range(1, axis + 1), 0, *range(axis + 1, rank)]
            nodes.append(helper.make_node("Transpose", [value], part.last, name=part.name, perm=order))
        return nodes
