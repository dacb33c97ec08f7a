"""Checks of lesson 01, the parts of TensorRT."""

from __future__ import annotations

import numpy as np

import trt_lessons as tl
from trt_lessons.workbook.exercises import Verdict, exercise, right, wrong

EXPECTED_BLOCK = "a tensor of shape (-1, 8, 8, 10)"


@exercise("01.1", points=2)
def block(answer) -> Verdict:
    """Three layers in the right order, with the right shape."""
    trt = tl.trt
    builder = trt.Builder(tl.compat.shared_log())
    network = tl.compat.create_network(builder)
    x = network.add_input("x", trt.float32, (-1, 4, 16, 20))
    kernel = np.ones((8, 4, 3, 3), np.float32)
    made = answer(network, x, kernel)
    if made is None:
        return wrong(
            yours="the function returns nothing", expected=EXPECTED_BLOCK, hint="return the last layer's tensor."
        )
    if not hasattr(made, "shape"):
        return wrong(yours=type(made).__name__, expected=EXPECTED_BLOCK, hint="a layer is no tensor: get_output(0) is.")
    kinds = [network.get_layer(i).type.name for i in range(network.num_layers)]
    for kind, word in (("CONVOLUTION", "convolution"), ("ACTIVATION", "ReLU"), ("POOLING", "pooling")):
        if kind not in kinds:
            return wrong(yours=kinds, expected="convolution, ReLU, pooling", hint=f"the {word} is missing.")
    if kinds != ["CONVOLUTION", "ACTIVATION", "POOLING"]:
        return wrong(yours=kinds, expected="convolution, ReLU, pooling", hint="three layers, in this order.")
    shape = tuple(made.shape)
    if shape == (-1, 8, 8, 10):
        return right("Each layer took the tensor that the one before it made.")
    if shape[2:] == (7, 9):
        hint = "the convolution lost a pixel on each side: give it a padding."
    elif shape[1:] == (8, 16, 20):
        hint = "return the pooling's tensor, and let its window move by 2."
    else:
        hint = "the convolution keeps height and width, the pooling halves both."
    return wrong(yours=shape, expected=EXPECTED_BLOCK, hint=hint)


@exercise("01.2")
def ready(answer, measured) -> Verdict:
    """The transpose, float32, in C order."""
    expected = "an array float32 [10, 64] in C order, the transpose of measured"
    answer = np.asarray(answer)
    if answer.shape != measured.T.shape:
        return wrong(yours=answer, expected=expected, hint="the transpose has 10 rows.")
    if not np.allclose(answer, measured.T, atol=1e-5):
        return wrong(yours=answer, expected=expected, hint="a reshape is no transpose: the numbers stand elsewhere.")
    if answer.dtype != np.float32:
        return wrong(yours=answer, expected=expected, hint="the type is still not one that TensorRT takes.")
    if not answer.flags.c_contiguous:
        hint = "the type is right; the memory is still in the old order (astype keeps it)."
        return wrong(yours="float32, not in C order", expected=expected, hint=hint)
    assert tl.trt.Weights(answer).size == 640
    return right("trt.Weights took it.")


def _engine():
    """A small engine with two inputs and two profiles."""
    trt = tl.trt

    def define(network):
        a = network.add_input("a", trt.float32, (-1, 3))
        b = network.add_input("b", trt.float32, (-1, 3))
        total = network.add_elementwise(a, b, trt.ElementWiseOperation.SUM).get_output(0)
        total.name = "total"
        network.mark_output(total)

    ranges = [dict.fromkeys("ab", ((1, 3), (2, 3), (4, 3))), dict.fromkeys("ab", ((8, 3), (16, 3), (32, 3)))]
    report = tl.build(define, profiles=ranges, cache=False, timing_cache=False, progress=False)
    return report.engine()


@exercise("01.3")
def ranges(answer) -> Verdict:
    """Inputs only, and the profile that was asked for."""
    engine = _engine()
    expected = "((8, 3), (16, 3), (32, 3)) for the inputs a and b in profile 1 of a test engine"
    got = answer(engine, 1)
    if not isinstance(got, dict):
        return wrong(yours=got, expected=expected, hint="return a dict from the input's name to its shapes.")
    if "total" in got:
        return wrong(yours=got, expected=expected, hint="an output has no range: ask for each tensor's mode.")
    if set(got) != {"a", "b"}:
        return wrong(yours=sorted(got), expected=expected, hint="every input belongs there.")
    try:
        shapes = {name: tuple(tuple(s) for s in three) for name, three in got.items()}
    except TypeError:
        return wrong(yours=got, expected=expected, hint="three shapes for each input: smallest, usual, largest.")
    if shapes == dict.fromkeys("ab", ((8, 3), (16, 3), (32, 3))):
        return right("A program that serves any engine starts by asking it.")
    if shapes["a"] == ((1, 3), (2, 3), (4, 3)):
        return wrong(yours=got, expected=expected, hint="these are the shapes of profile 0, whatever was asked.")
    return wrong(yours=got, expected=expected, hint="get_tensor_profile_shape gives smallest, usual, largest.")
