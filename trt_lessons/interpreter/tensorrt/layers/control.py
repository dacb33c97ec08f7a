"""Stands for ILoop, IIfConditional and IAttention: parts of a network that are made of several layers."""

from __future__ import annotations

from collections.abc import Callable

from .. import enums as E
from .base import ILayer, ITensor, attr

Add = Callable[..., ILayer]  # add(kind, inputs, values, number of outputs), the network's own


class ILoop:
    """A loop: recurrences and iterators bring tensors in, loop outputs take them out, a trip limit ends it."""

    def __init__(self, name: str, add: Add) -> None:
        self.name, self._add = name, add

    def add_trip_limit(self, tensor: ITensor, kind: E.TripLimit) -> ITripLimitLayer:
        """How many times (COUNT, a number known before the loop), or while what holds (WHILE)."""
        return self._add("TRIP_LIMIT", [tensor], {"loop": self, "kind": kind}, 0)

    def add_recurrence(self, initial_value: ITensor) -> IRecurrenceLayer:
        """A tensor that each turn hands on: `set_input(1, next_value)` closes it."""
        return self._add("RECURRENCE", [initial_value], {"loop": self})

    def add_iterator(self, tensor: ITensor, axis: int = 0, reverse: bool = False) -> IIteratorLayer:
        """One slice of a tensor a turn."""
        return self._add("ITERATOR", [tensor], {"loop": self, "axis": int(axis), "reverse": bool(reverse)})

    def add_loop_output(self, tensor: ITensor, kind: E.LoopOutput, axis: int = 0) -> ILoopOutputLayer:
        """A recurrence's last value, or a tensor of all turns one behind the other (`set_input(1, length)`)."""
        return self._add("LOOP_OUTPUT", [tensor], {"loop": self, "kind": kind, "axis": int(axis)})


class IIfConditional:
    """A choice between two tensors of equal shape."""

    def __init__(self, name: str, add: Add) -> None:
        self.name, self._add = name, add

    def set_condition(self, condition: ITensor) -> IConditionLayer:
        """The scalar of type BOOL that decides."""
        return self._add("CONDITION", [condition], {"conditional": self}, 0)

    def add_input(self, input: ITensor) -> IIfConditionalInputLayer:
        """A tensor from outside, for the branches."""
        return self._add("CONDITIONAL_INPUT", [input], {"conditional": self})

    def add_output(self, true_subgraph_output: ITensor, false_subgraph_output: ITensor) -> IIfConditionalOutputLayer:
        """The first tensor where the condition is true, else the second."""
        return self._add("CONDITIONAL_OUTPUT", [true_subgraph_output, false_subgraph_output], {"conditional": self})


class ILoopBoundaryLayer(ILayer):
    """A layer at the edge of a loop."""

    loop = attr()


class IRecurrenceLayer(ILoopBoundaryLayer):
    """The initial value in the first turn, then the second input of the turn before."""


class ITripLimitLayer(ILoopBoundaryLayer):
    """When a loop ends."""

    kind = attr()


class IIteratorLayer(ILoopBoundaryLayer):
    """One slice a turn along `axis`, from the end where `reverse` is set."""

    axis, reverse = attr(int, 0), attr(bool, False)


class ILoopOutputLayer(ILoopBoundaryLayer):
    """What leaves a loop."""

    kind, axis = attr(), attr(int, 0)


class IIfConditionalBoundaryLayer(ILayer):
    """A layer at the edge of a conditional."""

    conditional = attr()


class IConditionLayer(IIfConditionalBoundaryLayer):
    """What decides."""


class IIfConditionalInputLayer(IIfConditionalBoundaryLayer):
    """A tensor for the branches."""


class IIfConditionalOutputLayer(IIfConditionalBoundaryLayer):
    """The tensor of the branch that is taken."""


class _AttentionLayer(ILayer):
    """The inside of an attention: what `IAttention` is set to."""

    norm_op, causal, mask = attr(), attr(bool, False), attr()


def _of_layer(name: str) -> property:
    return property(lambda self: getattr(self._layer, name), lambda self, value: setattr(self._layer, name, value))


class IAttention:
    """softmax(query key^T) value, over [batch, heads, length, size]; scale the query before, as TensorRT wants it."""

    def __init__(self, layers: tuple[ILayer, _AttentionLayer]) -> None:
        self._entry, self._layer = layers
        self.name, self.metadata, self.decomposable = f"(Unnamed Layer* {layers[0]._index - 1}) [Attention]", "", False

    num_inputs = property(lambda self: 3 + (self.mask is not None))
    num_outputs = property(lambda self: 1)
    norm_op, causal = _of_layer("norm_op"), _of_layer("causal")  # SOFTMAX or NONE; whether a query sees only what was
    mask = property(
        lambda self: self._layer.get_input(3),
        lambda self, mask: self._layer.set_input(3, mask),
        doc="True (or added numbers) where a query may see a key; None for no mask.",
    )

    def get_input(self, index: int) -> ITensor | None:
        """Query, key, value, mask."""
        return self._layer.get_input(index)

    def set_input(self, index: int, tensor: ITensor) -> bool:
        """Replace one of them."""
        self._layer.set_input(index, tensor)
        return True

    def get_output(self, index: int) -> ITensor | None:
        """The result, of the query's shape."""
        return self._layer.get_output(index)


BOUNDARIES = {
    "TRIP_LIMIT": ITripLimitLayer, "RECURRENCE": IRecurrenceLayer, "ITERATOR": IIteratorLayer,
    "LOOP_OUTPUT": ILoopOutputLayer, "CONDITION": IConditionLayer, "CONDITIONAL_INPUT": IIfConditionalInputLayer,
    "CONDITIONAL_OUTPUT": IIfConditionalOutputLayer, "ATTENTION_OUTPUT": _AttentionLayer,
}  # fmt: skip
NAMES = ["IAttention", "IIfConditional", "IIfConditionalBoundaryLayer", "ILoop", "ILoopBoundaryLayer"]
__all__ = NAMES
