"""FP16 and BF16 on a CPU: every result of such a layer is really rounded, so overflow is really seen.

onnxruntime's CPU kernels compute half-precision graphs in FP32 from end to end. Here each such layer is
wrapped in casts instead: FP32 inside, as a GPU accumulates, and rounded to the tensor's own type behind.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

_HALVES = {TensorProto.FLOAT16, TensorProto.BFLOAT16}
# Ops that only move numbers, or convert them: they run in the tensor's own type.
_MOVES = set(
    "Reshape Transpose Flatten Squeeze Unsqueeze Concat Slice Split Gather GatherElements GatherND Expand Identity "
    "Shape Size Cast Tile Dropout Constant ConstantOfShape DepthToSpace SpaceToDepth ScatterND ScatterElements".split()
)


def round_halves(model: onnx.ModelProto, kinds: dict[str, int]) -> onnx.ModelProto:
    """Wrap the layers whose tensors are FP16 or BF16; `kinds` gives each value's ONNX element type."""
    if not _HALVES & set(kinds.values()):
        return model
    nodes = []
    for node in model.graph.node:
        nodes += [node] if node.op_type in _MOVES else _wrapped(node, kinds)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


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
