"""Which values of a graph are sizes: TensorRT calls them shape tensors, and reads them on the host before a run."""

from __future__ import annotations

import onnx

_SIZES = {  # where an op takes sizes, counts or axes instead of data
    "Reshape": (1,), "Expand": (1,), "Tile": (1,), "Pad": (1, 3), "Slice": (1, 2, 3, 4), "Resize": (2, 3),
    "Upsample": (1,), "ConstantOfShape": (0,), "TopK": (1,), "OneHot": (1,), "Range": (0, 1, 2), "Split": (1,),
    "Squeeze": (1,), "Unsqueeze": (1,), "Trilu": (1,), "Loop": (0,), "CenterCropPad": (1,), "AffineGrid": (1,),
}  # fmt: skip
_STOPS = {"Shape", "Size"}  # what they make is a size whatever their input holds


def sizes(nodes: list[onnx.NodeProto]) -> set[str]:
    """Names of all values that a size is worked out from, network inputs among them."""
    makers = {name: node for node in nodes for name in node.output if name}
    taken = ((node, _SIZES.get(node.op_type, ())) for node in nodes)
    queue = [node.input[i] for node, places in taken for i in places if i < len(node.input)]
    found: set[str] = set()
    while queue:
        name = queue.pop()
        if name and name not in found:
            found.add(name)
            maker = makers.get(name)
            queue += [] if maker is None or maker.op_type in _STOPS else maker.input
    return found
