"""Checks of lesson 01, the parts of TensorRT."""

from __future__ import annotations

import numpy as np

import trt_lessons as tl
from trt_lessons.models import digits
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
def linear(answer) -> Verdict:
    """The product with the transposed table, from float64 numbers, in an engine that is run."""
    rng = np.random.default_rng(1)
    table, pictures = rng.standard_normal((10, 64)), rng.random((3, 64), dtype=np.float32)
    expected, told, kept = "a tensor of shape (-1, 10)", [], []

    def define(network):
        x = network.add_input("x", tl.trt.float32, (-1, 64))
        told.append(answer(network, x, table, kept))
        if told[0] is None or not hasattr(told[0], "shape") or tuple(told[0].shape) != (-1, 10):
            raise _NotYetError
        told[0].name = "scores"
        network.mark_output(told[0])
        return kept

    options = {"profiles": {"x": ((1, 64), (3, 64), (3, 64))}, "level": 0, "cache": False, "progress": False}
    try:
        report = tl.build(define, **options)
    except _NotYetError:
        return _no_scores(told[0], expected)
    except (TypeError, ValueError) as problem:
        hint = "TensorRT refuses the array: is it float32, and in C order?"
        return wrong(yours=str(problem).splitlines()[0], expected=expected, hint=hint)
    with tl.Session(report) as session:
        got = session.infer(pictures)["scores"]
    wanted = pictures @ table.T.astype(np.float32)
    if np.abs(got - wanted).max() > 0.01 * np.abs(wanted).max():
        hint = "the shape is right, the numbers are not: a reshape is no transpose."
        return wrong(yours=str(got[0, :3]), expected=str(wanted[0, :3]), hint=hint)
    if not any(isinstance(one, np.ndarray) and one.size == table.size for one in kept):
        hint = "the array that TensorRT points to is in no list: it may go before the build."
        return wrong(yours=f"{len(kept)} arrays in kept", expected="the float32 array in kept", hint=hint)
    return right("The engine gives NumPy's numbers.")


class _NotYetError(Exception):
    """The answer is no tensor of scores."""


def _no_scores(made, expected) -> Verdict:
    if made is None:
        return wrong(yours="the function returns nothing", expected=expected, hint="return the product's tensor.")
    if not hasattr(made, "shape"):
        return wrong(yours=type(made).__name__, expected=expected, hint="a layer is no tensor: get_output(0) is.")
    return wrong(yours=tuple(made.shape), expected=expected, hint="the product must turn the table, or you do.")


@exercise("01.3", points=2)
def lean(answer) -> Verdict:
    """At most 16 MiB per context, and all 64 digits read as PyTorch reads them."""
    limit, expected = 16 * 2**20, "an ICudaEngine of at most 16 MiB per context"
    if not hasattr(answer, "create_execution_context"):
        return wrong(yours=type(answer).__name__, expected=expected, hint="an engine: report.engine() gives it.")
    memory = tl.compat.device_memory(answer)
    if memory > limit:
        hint = "the memory follows the largest shape that a context may get: who sets it?"
        return wrong(yours=f"{memory / 2**20:.1f} MiB", expected="16.0 MiB at most", hint=hint)
    images = digits.data().test_images[:64]
    name = next(n for n in map(answer.get_tensor_name, range(answer.num_io_tensors)) if _is_input(answer, n))
    most = answer.get_tensor_profile_shape(name, 0)[2][0]
    with tl.Session(answer) as session:
        parts = [session.infer(images[i : i + most]) for i in range(0, len(images), most)]
    logits = np.concatenate([next(iter(part.values())) for part in parts])
    if logits.shape != (64, 10):
        return wrong(yours=logits.shape, expected="(64, 10)", hint="that is not the digits network.")
    same = int((logits.argmax(1) == digits.answers(images).argmax(1)).sum())
    if same < len(images):
        return wrong(yours=f"{same} of 64 digits", expected="all 64", hint="the network is not the same any more.")
    return right(f"{memory / 2**20:.1f} MiB per context, {len(parts)} runs for 64 pictures, the same digits.")


def _is_input(engine, name) -> bool:
    return engine.get_tensor_mode(name) == tl.trt.TensorIOMode.INPUT
