"""What TensorRT finds wrong with a whole network when it builds it, and what the interpreter cannot run."""

from __future__ import annotations

from onnx import NodeProto, TensorProto, numpy_helper

from ..enums import DataType
from ..reading.limits import Facts, Seen, beyond_types
from .lowering import Lowering

MOST_K = 3840  # of a TopK
_MOVES = {"DequantizeLinear", "Concat", "Reshape", "Transpose", "Shape", "Identity"}  # what takes FP8 and INT4 inputs


def beyond(lowering: Lowering) -> str | None:
    """The first limit that a network exceeds, in words; None where it exceeds none."""
    constants = {c.name: c for c in lowering.constants()}
    nodes = [node for part in lowering.parts.values() for node in part.nodes]
    facts = Facts(set(), constants, lowering.opset, types=lowering.types)
    for node in nodes:
        _, wrong = beyond_types(Seen(node, facts)) or (None, _topk(node, constants))
        wrong = wrong or _branches(node, lowering) or _narrow(node, lowering)
        if wrong:
            return f"{node.name}: {wrong}"
    network = lowering.network
    for tensor in (network.get_input(i) for i in range(network.num_inputs)):
        wrong = _eight_bit_input(tensor.name, tensor.dtype, nodes)
        if wrong:
            return f"Tensor {tensor.name} has datatype {tensor.dtype.name} {wrong}"
    return None


def _topk(node: NodeProto, constants: dict[str, TensorProto]) -> str | None:
    if node.op_type != "TopK" or node.input[1] not in constants:
        return None
    k = numpy_helper.to_array(constants[node.input[1]]).max(initial=0)
    return f"K exceeds the maximum value allowed ({MOST_K}): it is {k}" if k > MOST_K else None


def _branches(node: NodeProto, lowering: Lowering) -> str | None:
    if node.op_type != "If":
        return None
    told = [lowering.types.get(name) for name in node.output]
    if any(known is None or known.shape is None for known in told):
        return "its branches must give outputs with equal ranks when the condition is not a build-time constant"
    return None


def _narrow(node: NodeProto, lowering: Lowering) -> str | None:
    """FP8 and INT4 come out of a quantize layer, a constant, or a layer that moves numbers; not out of a cast."""
    told = [lowering.types[name].dtype for name in node.output if name in lowering.types]
    wrong = node.op_type in ("Cast", "CastLike") and [k for k in told if k in (DataType.FP8, DataType.INT4)]
    return f"its output has datatype {wrong[0].name}, which only a quantize layer makes" if wrong else None


def _eight_bit_input(name: str, kind: DataType, nodes: list[NodeProto]) -> str | None:
    if kind not in (DataType.FP8, DataType.INT4):
        return None
    others = sorted({node.op_type for node in nodes if name in node.input} - _MOVES)
    if others:
        return f"but is consumed by {', '.join(others)}: only a dequantize layer and layers that move numbers take it"
    return "and the interpreter runs no engine with such an input; TensorRT does"
