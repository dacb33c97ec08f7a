"""Conditions that are known when a model is read: TensorRT then takes one branch of an If and forgets the other."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import numpy as np
from onnx import NodeProto, TensorProto, numpy_helper

from .rules import attributes

_COMPUTED: dict[str, Callable[..., np.ndarray]] = {
    "Equal": np.equal, "Greater": np.greater, "Less": np.less, "GreaterOrEqual": np.greater_equal,
    "LessOrEqual": np.less_equal, "And": np.logical_and, "Or": np.logical_or, "Xor": np.logical_xor,
    "Not": np.logical_not, "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Identity": np.asarray,
}  # fmt: skip


class Unknown(Exception):
    """A value that only a run tells."""


class Values:
    """Small values that follow from constants and from the fixed sizes of shapes."""

    def __init__(self, constants: dict[str, TensorProto], shape: Callable[[str], list[int] | None]) -> None:
        """constants: by name. shape: of a value, -1 for an open size, None where it is not known."""
        self.constants, self.shape = constants, shape
        self.makers: dict[str, NodeProto] = {}

    def see(self, node: NodeProto) -> None:
        """A node that was read: what it makes may be asked for."""
        self.makers |= dict.fromkeys(node.output, node)

    def known(self, name: str) -> np.ndarray | None:
        """The value of that name; None where only a run tells."""
        with contextlib.suppress(Unknown):
            return self._value(name)
        return None

    def _value(self, name: str) -> np.ndarray:
        if name in self.constants:
            return numpy_helper.to_array(self.constants[name])
        node = self.makers.get(name)
        if node is None:
            raise Unknown
        if node.op_type == "Gather":  # one size of a shape may be known where the others are open
            picked = self._sizes(node.input[0])[self._value(node.input[1])]
        elif node.op_type == "Shape":
            picked = self._sizes(name)
        elif node.op_type in ("Squeeze", "Unsqueeze"):
            value = self._value(node.input[0])
            return value.reshape(()) if node.op_type == "Squeeze" and value.size == 1 else np.atleast_1d(value)
        elif node.op_type in _COMPUTED:
            return np.asarray(_COMPUTED[node.op_type](*map(self._value, node.input)))
        else:
            raise Unknown
        if np.any(picked == -1):
            raise Unknown
        return picked

    def _sizes(self, name: str) -> np.ndarray:
        """A list of sizes, -1 for open ones."""
        node = self.makers.get(name)
        if node is None or node.op_type != "Shape":
            return self._value(name)
        shape, attrs = self.shape(node.input[0]), attributes(node)
        if shape is None:
            raise Unknown
        return np.array(shape[attrs.get("start", 0) : attrs.get("end", len(shape))], np.int64)
