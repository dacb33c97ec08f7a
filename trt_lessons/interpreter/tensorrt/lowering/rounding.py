"""FP16 and BF16 on a CPU: every result of such a layer is really rounded, so overflow is really seen.

onnxruntime's CPU kernels compute half-precision graphs in FP32 from end to end. Here each such layer is
wrapped in casts instead: FP32 inside, as a GPU accumulates, and rounded to the tensor's own type behind.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper
from onnx.shape_inference import infer_shapes

from ..reading.rules import graphs_of

_HALVES = {TensorProto.FLOAT16, TensorProto.BFLOAT16}
# Ops that only move numbers, or convert them: they run in the tensor's own type.
_MOVES = set(
    "Reshape Transpose Flatten Squeeze Unsqueeze Concat Slice Split Gather GatherElements GatherND Expand Identity "
    "Shape Size Cast Tile Dropout Constant ConstantOfShape DepthToSpace SpaceToDepth ScatterND ScatterElements".split()
)


_HOLDS = {"If", "Loop", "Scan"}  # ops with graphs inside: those are rounded, the op itself moves numbers


def round_halves(model: onnx.ModelProto, kinds: dict[str, int]) -> onnx.ModelProto:
    """Wrap the layers whose tensors are FP16 or BF16; `kinds` gives each value's ONNX element type."""
    if any(node.op_type in _HOLDS for node in model.graph.node):
        model = infer_shapes(model)  # types of the values inside
    _round(model.graph, kinds)
    return model


def _round(graph: onnx.GraphProto, outside: dict[str, int]) -> None:
    values = (*graph.input, *graph.value_info, *graph.output)
    kinds = outside | {v.name: v.type.tensor_type.elem_type for v in values if v.type.tensor_type.elem_type}
    kinds |= {c.name: c.data_type for c in graph.initializer}
    for node in graph.node:
        for inner in graphs_of(node):
            _round(inner, kinds)
    if _HALVES & set(kinds.values()):
        whole = _MOVES | _HOLDS
        nodes = [new for node in graph.node for new in ([node] if node.op_type in whole else _wrapped(node, kinds))]
        del graph.node[:]
        graph.node.extend(nodes)


def _wrapped(node: onnx.NodeProto, kinds: dict[str, int]) -> list[onnx.NodeProto]:
    """The node between casts: half-precision inputs widened, half-precision outputs rounded."""
    before, behind = [], []
    for i, name in enumerate(node.input):
        if kinds.get(name) in _HALVES:
            wide = f"{node.name}/{node.output[0]}/wide{i}"
            before.append(helper.make_node("Cast", [name], [wide], name=wide, to=TensorProto.FLOAT))
            node.input[i] = wide
    for i, name in enumerate(node.output):
        if kinds.get(name) in _HALVES:
            wide = f"{name}/unrounded"
            behind.append(helper.make_node("Cast", [wide], [name], name=wide, to=kinds[name]))
            node.output[i] = wide
    return [*before, node, *behind]
