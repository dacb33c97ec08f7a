"""ONNX in, ONNX out: the same network in FP16, BF16, INT8 or FP8. Introduced in lesson 04_1.

In TensorRT 11 precision is a property of the model, so these functions write it into the graph: types for
FP16 and BF16, pairs of QuantizeLinear and DequantizeLinear (Q/DQ) for INT8 and FP8. FP16 and INT8 graphs stay
at opset 17, which TensorRT 8.6, 10 and 11 all read (8.6 also wants the builder flag; `tl.build` sets it).
BF16 needs opset 22 and FP8 opset 19: TensorRT 10 and 11 only.

Every function takes a path, bytes or a ModelProto, and returns a new ModelProto; nothing is changed in place.
"""

from .calibration import BINS, Calibration
from .eight import PLACEMENTS, QUANTIZED_OPS, fold_batch_norms, quantize, to_fp8
from .facts import Difference, Range, as_computed, chain, compare, kinds, nodes_in, on_cpu, ranges, verdict
from .graphs import Model, read
from .half import kept, to_bf16, to_fp16
from .modelopt import autocast, ptq
from .overflow import OVERFLOW_AT, OVERFLOW_CURED_BY, OVERFLOW_FACTOR, overflow_model, rescale

__all__ = [
    "BINS",
    "OVERFLOW_AT",
    "OVERFLOW_CURED_BY",
    "OVERFLOW_FACTOR",
    "PLACEMENTS",
    "QUANTIZED_OPS",
    "Calibration",
    "Difference",
    "Model",
    "Range",
    "as_computed",
    "autocast",
    "chain",
    "compare",
    "fold_batch_norms",
    "kept",
    "kinds",
    "nodes_in",
    "on_cpu",
    "overflow_model",
    "ptq",
    "quantize",
    "ranges",
    "read",
    "rescale",
    "to_bf16",
    "to_fp8",
    "to_fp16",
    "verdict",
]
