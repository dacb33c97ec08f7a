"""Checks of lesson 06, bring your own model."""

import numpy as np
from onnx import TensorProto, helper

from trt_lessons import baselines, precision
from trt_lessons.models import digits
from trt_lessons.workbook.exercises import exercise, right, wrong


def _puzzle():
    """A model with every kind of axis: named, unnamed, fixed; and a weight that is listed as an input."""
    kinds = [("picture", ["batch", 3, None, 8]), ("fixed", [1, 3]), ("mask", [2, "words"]), ("weight", [3, 3])]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in kinds]
    weight = helper.make_tensor("weight", TensorProto.FLOAT, [3, 3], [0.0] * 9)
    node = helper.make_node("Relu", ["fixed"], ["out"])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 3])
    return helper.make_model(helper.make_graph([node], "puzzle", inputs, [out], [weight]))


@exercise("06.1")
def open_axes(answer):
    got = answer(_puzzle())
    if not isinstance(got, dict):
        hint = "return the dict." if got is None else "return a dict: name -> list of axis numbers."
        return wrong(yours=got, expected="a dict from names to lists of numbers", hint=hint)
    got = {name: list(axes) for name, axes in got.items()}
    expected = "the open axes of a model with three inputs and a weight"
    if got == {"picture": [0, 2], "mask": [1]}:
        return right("Each of these axes needs min, opt and max in a profile.")
    if got.get("picture") == [0]:
        hint = "an open axis need not have a name: one without a number is open as well."
    elif any(not axes for axes in got.values()):
        hint = "leave out inputs that have no open axis."
    elif {"fixed", "weight"} & set(got):
        hint = "an axis with a number in `dim_value` is fixed."
    elif any(not isinstance(axis, int) for axes in got.values() for axis in axes):
        hint = "give the numbers of the axes, counted from 0, not their names."
    else:
        hint = "go through all inputs and number the axes from 0."
    return wrong(yours=got, expected=expected, hint=hint)


ROWS = [("FP32", 0.0, 3.0), ("TF32", 0.0, 1.1), ("FP16", -0.2, 0.5), ("INT8", 0.5, 0.3), ("FP8", 0.4, None)]


@exercise("06.2")
def pick(answer):
    cases = [(2.0, "INT8"), (0.4, "FP16"), (0.0, "FP16"), (0.5, "INT8")]
    hints = {
        0.5: "a loss of exactly the limit is within it.",
        0.4: "an engine that loses more than the limit is out, however fast it is.",
        0.0: "a negative loss is a gain: it is within every limit.",
        2.0: "of those within the limit the fastest is wanted: the smallest ms.",
    }
    for limit, name in cases:
        try:
            got = answer(list(ROWS), limit)
        except TypeError as problem:
            hint = "an engine that was not built has None for its time: leave it out before you compare times."
            return wrong(yours=f"TypeError: {problem}", expected="a name", hint=hint)
        if got is None:
            return wrong(yours="the function returns nothing", expected="a name", hint="return the name.")
        if got == "FP8":
            hint = "an engine that was not built has None for its time: it cannot be chosen."
            return wrong(yours=got, expected="the name of an engine that exists", hint=hint)
        if got != name:
            told = f"for the limit {limit} the fastest engine within it"
            return wrong(yours=got, expected=told, hint=hints[limit])
    if answer([("FP32", 0.0, 0.2), ("FP16", 0.1, 0.4)], 1.0) != "FP32":
        hint = "lower precision is not always faster: compare the times."
        return wrong(yours="not the fastest", expected="the fastest within the limit", hint=hint)
    return right("The limit first, then the clock.")


@exercise("06.3")
def keep_float(answer):
    expected = "a list of at most two names of nodes"
    if isinstance(answer, str) or not all(isinstance(name, str) for name in answer):
        return wrong(yours=answer, expected=expected, hint="give a list of names, even for one node.")
    base = precision.read(digits.onnx_path())
    known = [node.name for node in precision.fold_batch_norms(base).graph.node if node.op_type in ("Conv", "Gemm")]
    names = set(answer)
    if names - set(known):
        hint = "only the candidates can be kept: convolutions and the last layer."
        return wrong(yours=answer, expected=expected, hint=hint)
    if len(names) > 2:
        return wrong(yours=f"{len(names)} nodes", expected=expected, hint="two are enough: which two matter most?")
    data = digits.data()
    images = {"images": data.test_images[:64]}
    exact = baselines.ort(base, images).output()
    errors = []
    for keep in ((), names):
        model = precision.quantize(base, data.train_images[:64], keep=keep)
        errors.append(float(np.abs(baselines.ort(model, images).output() - exact).mean()))
    share = errors[1] / errors[0]
    if share > 0.75:
        hint = "measure each candidate alone and sort." if names else "keep one node at a time and compare the errors."
        return wrong(yours=f"{share:.2f} of the error", expected="three quarters of it, or less", hint=hint)
    return right(f"{share:.2f} of the error is left, and {len(known) - len(names)} of {len(known)} layers are INT8.")
