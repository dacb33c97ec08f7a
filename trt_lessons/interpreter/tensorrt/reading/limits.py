"""What TensorRT does not do with the ops that it has, as tables: attributes, inputs that must be constants, types.

Each row was asked of NVIDIA's parser (TensorRT-RTX 1.7.1); tests/oracle asks again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, numpy_helper

from ..enums import DataType, ErrorCode
from .rules import Refusal, attributes

ELEMENTWISE = "Add Sub Mul Div Pow Max Min Greater Less GreaterOrEqual LessOrEqual"
REDUCTIONS = "ReduceMean ReduceSum ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp "
REDUCTIONS += "ReduceSumSquare"


@dataclass
class Facts:
    """What rules look up: names of the graph's inputs, constants by name, the opset; types once they are known."""

    inputs: set[str]
    constants: dict[str, TensorProto]
    opset: int
    makers: dict[str, str] = field(default_factory=dict)  # the op behind each value
    types: dict[str, Any] = field(default_factory=dict)


@dataclass
class Seen:
    """A node and what is known around it."""

    node: NodeProto
    facts: Facts

    @cached_property
    def attrs(self) -> dict:
        """The node's attributes."""
        return attributes(self.node)

    def name(self, i: int) -> str:
        """The name of the i-th input; empty where it is left out."""
        return self.node.input[i] if i < len(self.node.input) else ""

    def fed(self, i: int) -> bool:
        """Is the i-th input one that a run brings?"""
        return self.name(i) in self.facts.inputs

    def value(self, i: int) -> np.ndarray | None:
        """The i-th input's numbers where it is a constant."""
        proto = self.facts.constants.get(self.name(i))
        return None if proto is None or proto.data_location == proto.EXTERNAL else numpy_helper.to_array(proto)

    def dtype(self, i: int = 0) -> DataType | None:
        """The i-th input's type, where it is known."""
        known = self.facts.types.get(self.name(i))
        return known.dtype if known is not None else None

    def rank(self, i: int) -> int:
        """How many dimensions the i-th input has; -1 where that is not known."""
        known = self.facts.types.get(self.name(i))
        return -1 if known is None or known.shape is None else len(known.shape)

    def outputs(self) -> int:
        """How many outputs are asked for."""
        return sum(map(bool, self.node.output))


Row = tuple[str, ErrorCode, str, Callable[[Seen], Any]]
_NODE, _ATTR, _INVALID = ErrorCode.UNSUPPORTED_NODE, ErrorCode.UNSUPPORTED_NODE_ATTR, ErrorCode.INVALID_NODE

VALUES: list[Row] = [  # what the file alone tells; a row holds where its function says so
    (REDUCTIONS, _NODE, "the axes must be a constant", lambda s: s.fed(1) or s.facts.makers.get(s.name(1)) == "Range"),
    ("Squeeze Unsqueeze", _INVALID, "the axes must be a constant", lambda s: s.fed(1)),
    ("Dropout", _NODE, "training_mode must be a constant, and false",
     lambda s: s.fed(2) or (s.value(2) is not None and s.value(2).any())),
    ("Resize", _INVALID, "the scales must be a constant: FP32 numbers cannot be a shape input", lambda s: s.fed(2)),
    ("Upsample", _INVALID, "the scales must be a constant: FP32 numbers cannot be a shape input", lambda s: s.fed(1)),
    ("OneHot", _INVALID, "the depth must be a constant", lambda s: s.fed(1)),
    ("Resize", _ATTR, "keep_aspect_ratio_policy must be stretch",
     lambda s: s.attrs.get("keep_aspect_ratio_policy", "stretch") != "stretch"),
    ("Resize", _NODE, "axes go with sizes, not with scales", lambda s: s.attrs.get("axes") and s.name(2)),
    ("AveragePool MaxPool LpPool", _NODE, "dilations other than 1 are not supported",
     lambda s: set(s.attrs.get("dilations", [1])) != {1}),
    ("LpPool", _NODE, "p must be 1 or 2, and auto_pad is SAME_UPPER or not set with strides", lambda s: _lp_pool(s)),
    ("LayerNormalization MaxPool", _NODE, "no more than 1 output is supported", lambda s: s.outputs() > 1),
    ("BatchNormalization", _NODE, "training_mode must be 0",
     lambda s: s.attrs.get("training_mode") or (s.outputs() > 1 and s.facts.opset >= 14)),
    ("ScatterND", _ATTR, "a reduction is not supported", lambda s: s.attrs.get("reduction", "none") != "none"),
    ("ScatterElements", _ATTR, "a reduction is not supported", lambda s: s.attrs.get("reduction", "none") != "none"),
    ("TensorScatter", _NODE, "only the mode linear is supported", lambda s: s.attrs.get("mode", "linear") != "linear"),
    (f"{ELEMENTWISE} And Or Xor Equal Gemm PRelu", _NODE, "broadcasting as before opset 7 is not supported",
     lambda s: s.facts.opset < 7 and len(s.node.input) > 1),
]  # fmt: skip

_NUMBERS = "FLOAT, HALF, BF16, INT8, INT32 and INT64"
TYPES: list[Row] = [  # what the types of its inputs tell
    (ELEMENTWISE, _INVALID, f"it takes {_NUMBERS}, not UINT8", lambda s: s.dtype() == DataType.UINT8),
    ("MaxPool AveragePool Mod Clip", _INVALID, "it takes no UINT8", lambda s: s.dtype() == DataType.UINT8),
    ("Clip", _NODE, "it takes FLOAT, HALF, BF16, INT32 and INT64, not INT8", lambda s: s.dtype() == DataType.INT8),
    ("Mod", ErrorCode.UNSUPPORTED_NODE_DATATYPE, "without fmod it takes INT32 and INT64",
     lambda s: not s.attrs.get("fmod") and s.dtype() == DataType.INT8),
    ("Range", _INVALID, "a shape input must be INT32 or INT64",
     lambda s: s.fed(0) and s.dtype() not in (DataType.INT32, DataType.INT64)),
    ("TensorScatter", _NODE, "the cache must have 4 dimensions", lambda s: s.rank(0) not in (4, -1)),
    ("MatMul", _INVALID, "reshape changes volume: one dimension times three or more",
     lambda s: s.rank(0) == 1 and s.rank(1) > 2),
    ("Cast QuantizeLinear DequantizeLinear", _INVALID, "TensorRT has no such type in between: UINT8",
     lambda s: s.node.op_type == "DequantizeLinear" and s.dtype() == DataType.UINT8),
]  # fmt: skip


def _lp_pool(s: Seen) -> bool:
    return s.attrs.get("p", 2) not in (1, 2)


def _refusal(rows: list[Row], seen: Seen) -> Refusal | None:
    for ops, code, words, holds in rows:
        if seen.node.op_type in ops.split() and holds(seen):
            return code, words
    return None


def beyond_values(seen: Seen) -> Refusal | None:
    """Why TensorRT's parser does not take this node, as far as the file alone tells."""
    return _refusal(VALUES, seen)


def beyond_types(seen: Seen) -> Refusal | None:
    """Why TensorRT's parser does not take this node, now that the types of its inputs are known."""
    return _refusal(TYPES, seen)
