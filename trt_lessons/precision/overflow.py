"""A network that FP16 breaks, and one of its cures."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from ..errors import PrecisionError
from .graphs import Model, read

OVERFLOW_AT, OVERFLOW_CURED_BY, OVERFLOW_FACTOR = "block2.norm1", "block2.conv2", 2.0**15


def overflow_model() -> onnx.ModelProto:
    """The digits network, rewritten so that FP16 breaks it and FP32 does not notice.

    Batch norm block2.norm1 gives numbers 32,768 times as large and block2.conv2 has weights 32,768 times as
    small: the same function, the same accuracy in FP32. In FP16 the numbers between the two pass 65,504 and
    become infinite. Cures: keep the three nodes between in FP32 (`to_fp16(model, keep=[...])`), or scale back
    (`rescale`).
    """
    from ..models import digits

    return rescale(digits.onnx_path(), OVERFLOW_AT, OVERFLOW_CURED_BY, OVERFLOW_FACTOR)


def rescale(model: Model, norm: str, conv: str, factor: float) -> onnx.ModelProto:
    """Multiply the batch norm `norm` by `factor` and divide the weights of `conv` by it, in a copy.

    With nothing but a ReLU between the two, the network's function stays the same; with a power of two, so
    does every bit in FP32.
    """
    model = read(model)
    nodes = {node.name: node for node in model.graph.node}
    for name, op in ((norm, "BatchNormalization"), (conv, "Conv")):
        if name not in nodes or nodes[name].op_type != op:
            raise PrecisionError(f"There is no {op} node called {name}.", cure="Look at the names in model.graph.node.")
    changes = {nodes[norm].input[1]: factor, nodes[norm].input[2]: factor, nodes[conv].input[1]: 1 / factor}
    for item in model.graph.initializer:
        if item.name in changes:
            values = numpy_helper.to_array(item) * np.float32(changes[item.name])
            item.CopyFrom(numpy_helper.from_array(values, item.name))
    return model
