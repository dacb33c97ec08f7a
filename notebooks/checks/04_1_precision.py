"""Checks of lesson 04_1, choose a precision."""

import numpy as np

from trt_lessons import precision
from trt_lessons.models import digits
from trt_lessons.workbook.exercises import exercise, right, wrong


@exercise("04_1.1")
def int8_and_back(answer):
    values = np.array([0.0, 0.004, 0.006, -0.4, 1.0, 1.27, -1.275, 5.0, -5.0])
    got = answer(values, 1.27)
    if got is None:
        return wrong(yours="the function returns nothing", expected="an array", hint="return the result.")
    got = np.asarray(got, np.float64)
    if got.shape != values.shape:
        return wrong(yours=got, expected="an array of the same shape", hint="every number goes there and back.")
    wanted = np.clip(np.round(values / 0.01), -128, 127) * 0.01
    told = "whole steps of 0.01 from -1.28 to 1.27, for a largest of 1.27"
    if np.allclose(got, wanted, atol=1e-6):
        doubled = np.asarray(answer(values, 2.54), np.float64)
        if np.allclose(doubled, np.clip(np.round(values / 0.02), -128, 127) * 0.02, atol=1e-6):
            return right("The error is at most half a step, unless a number is clipped.")
        return wrong(yours=doubled, expected="twice the step", hint="the scale must follow `largest`.")
    if np.allclose(got, wanted / 0.01, atol=0.51):
        hint = "these are the stored integers: multiply by the scale to come back."
    elif np.abs(got).max() > 2:
        hint = "5.0 is beyond the range: clip to -128..127 before you multiply."
    elif np.allclose(got, np.clip(values, -1.28, 1.27), atol=1e-6):
        hint = "nothing was rounded: INT8 holds whole steps only."
    elif np.allclose(got, np.clip(np.trunc(values / 0.01), -128, 127) * 0.01, atol=1e-6):
        hint = "round to the nearest step; you cut the fraction off."
    else:
        hint = "the scale is largest / 127; divide, round, clip, multiply."
    return wrong(yours=got, expected=told, hint=hint)


@exercise("04_1.2")
def keep_fp32(answer):
    puzzle = precision.rescale(digits.onnx_path(), "block4.norm1", "block4.conv2", 2.0**17)
    expected = "a list of node names"
    if isinstance(answer, str) or not all(isinstance(name, str) for name in answer):
        return wrong(yours=answer, expected=expected, hint="give a list of names, even for one node.")
    names, known = set(answer), {node.name for node in puzzle.graph.node}
    if names - known:
        return wrong(yours=answer, expected=expected, hint="not all of these are names of nodes of this network.")
    needed = {"block4.norm1", "block4.relu1", "block4.conv2"}
    if len(names) > len(needed) + 1:
        return wrong(
            yours=f"{len(names)} nodes", expected="few nodes", hint="you keep more than needed: which pass 65504?"
        )
    small = {"images": digits.data().test_images[:16]}
    kept = precision.to_fp16(puzzle, keep=names)
    last = precision.ranges(kept, small)[-1]
    if last.not_finite:
        return wrong(
            yours=answer, expected="finite logits", hint="there are still infinities: is every node beyond 65504 kept?"
        )
    if not needed <= names:
        return wrong(
            yours=answer, expected="logits as in FP32",
            hint="the numbers are finite now, but the node that reads the huge ones has weights too small for FP16.",
        )  # fmt: skip
    return right("Three nodes in FP32, all others in FP16.")


@exercise("04_1.3")
def tensors_to_quantize(answer):
    model = precision.fold_batch_norms(digits.onnx_path())
    got = answer(model)
    expected = "a set of names of tensors"
    if got is None:
        return wrong(yours="the function returns nothing", expected=expected, hint="return the set.")
    got = set(got)
    nodes = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    data, weights, biases = ({node.input[i] for node in nodes if len(node.input) > i} for i in range(3))
    if got == data | weights:
        return right("TensorRT needs a pair on both inputs; one alone stays a kernel of its own.")
    if got & biases:
        hint = "biases are among them: they stay FP32."
    elif not got & weights:
        hint = "the weights are missing: a product needs INT8 on both inputs."
    elif not got & data:
        hint = "the activations are missing: a product needs INT8 on both inputs."
    elif got - data - weights:
        hint = "some of these tensors are read by no Conv and no Gemm."
    else:
        hint = "some are missing: the last layer is a Gemm."
    return wrong(yours=f"{len(got)} names", expected=expected, hint=hint)
