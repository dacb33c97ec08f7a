"""The one list of models on which the two sides may differ, by reason; each name is part of a test's name in onnx.

`RTX`: TensorRT-RTX refuses what TensorRT has; the interpreter follows TensorRT. `OURS`: what the interpreter lacks.
"""

from __future__ import annotations

import re

RTX = {
    r"nonmaxsuppression_": "RTX has no runner for INMSLayer; TensorRT has the layer since 8.5 (its API reference)",
    r"nonzero_example": "RTX looks for a NonZero plugin; TensorRT has INonZeroLayer since 8.5 (its API reference)",
}
OURS = {
    r"(gru|lstm|simple_rnn)_batchwise": "onnxruntime's recurrent layers compute layout 0 only",
    r"attention_3d(_scaled|_transpose_verification)?$": "the interpreter computes no Attention",
    r"dequantizelinear_e4m3fn(_float16|_zero_point)?$": "the interpreter runs no engine with an FP8 input",
    r"quantizelinear_e4m3fn$": "an FP8 zero point that is an input is no constant for the interpreter",
    r"bernoulli_(double|seed)_expanded": "onnxruntime computes RandomUniformLike before opset 22 only",
    r"test_mvn$": "onnx 1.21 infers no shapes for MeanVarianceNormalization's function with default axes",
    r"operator_symbolic_override_nested": "Sum broadcasts before opset 8 for the interpreter",
    r"range_float_type_positive_delta_expanded": "a loop's trip count from FP32 inputs",
    r"loop11": "RTX ends in an internal error (makeScopeNodesContiguous)",
}


ALL = {**RTX, **OURS}


def reason(name: str, reasons: dict[str, str] = ALL) -> str | None:
    """Why the sides differ on this model; None where they must not."""
    return next((why for pattern, why in reasons.items() if re.search(pattern, name)), None)
