"""Checks of lesson 04_2, fusion."""

import numpy as np

import trt_lessons as tl
from trt_lessons import backend, trt
from trt_lessons.errors import LessonError
from trt_lessons.workbook.exercises import exercise, right, wrong


def _two_layers(network):
    """A convolution with its ReLU, then a pooling: two engine layers or more on every version."""
    kernel, bias = np.full((8, 3, 3, 3), 0.1, np.float32), np.zeros(8, np.float32)
    x = network.add_input("x", trt.float32, (1, 3, 32, 32))
    conv = network.add_convolution_nd(x, 8, (3, 3), kernel, bias)
    relu = network.add_activation(conv.get_output(0), trt.ActivationType.RELU)
    pool = network.add_pooling_nd(relu.get_output(0), trt.PoolingType.MAX, (2, 2))
    conv.name, relu.name, pool.name = "conv", "relu", "pool"
    network.mark_output(pool.get_output(0))
    return kernel, bias


def _engine(verbosity):
    def configure(config, network):
        config.profiling_verbosity = verbosity

    return tl.build(_two_layers, level=1, configure=configure, progress=False).engine()


@exercise("04_2.1")
def layer_names(answer):
    for kind in ("DETAILED", "LAYER_NAMES_ONLY"):
        engine = _engine(getattr(trt.ProfilingVerbosity, kind))
        wanted, asked = [layer["name"] for layer in tl.compat.engine_layers(engine)], f"the names, built with {kind}"
        try:
            got = answer(engine)
        except (TypeError, AttributeError, KeyError) as problem:
            hint = "print one entry of Layers for this verbosity: is it a dictionary or a text?"
            return wrong(yours=f"{type(problem).__name__}: {problem}", expected=asked, hint=hint)
        if isinstance(got, str) or not isinstance(got, (list, tuple)):
            hint = "json.loads turns the inspector's text into Python; return a list of names."
            return wrong(yours=str(got)[:80], expected=asked, hint=hint)
        if any(not isinstance(name, str) for name in got):
            hint = "an entry may be a dictionary; only its name belongs into the list."
            return wrong(yours=str(got[0])[:80], expected=asked, hint=hint)
        if list(got) != wanted:
            hint = "all engine layers, in the order of the inspector, with their whole names."
            return wrong(yours=got, expected=f"{asked}: {len(wanted)} layers", hint=hint)
    return right("Now you can read any engine's listing.")


@exercise("04_2.2")
def separate(answer, kernel, bias):
    report = tl.build(answer, level=1, progress=False)
    names = {layer["name"] for layer in report.network}
    if not {"conv", "relu"} <= names:
        hint = 'name the layers: conv.name = "conv", relu.name = "relu".'
        return wrong(yours=sorted(names), expected="a layer named conv and one named relu", hint=hint)
    x = np.random.default_rng(7).standard_normal((1, 3, 32, 32), dtype=np.float32)
    with tl.Session(report) as session:
        given = [info.shape for info in session.inputs.values()]
        if list(session.inputs) != ["x"] or given != [x.shape] or "y" not in session.outputs:
            told = f"inputs {list(session.inputs)}, outputs {list(session.outputs)}"
            hint = 'the input is called x, and an output y: set the tensor\'s name, as in t.name = "y".'
            return wrong(yours=told, expected="an input x of (1, 3, 32, 32) and an output y", hint=hint)
        got = session.infer(x)["y"]
    wanted = _reference(x, kernel, bias)
    if got.shape != wanted.shape or np.abs(got - wanted).max() > 0.02 * np.abs(wanted).max():
        hint = "what stands in between must not change the numbers."
        return wrong(yours="other numbers in y", expected="relu(conv(x))", hint=hint)
    held = next((row for row in report.layers() if {"conv", "relu"} <= set(row.origins)), None)
    if held is not None:
        if any(layer["type"] in ("IDENTITY", "CAST") for layer in report.network):
            hint = "a layer that plainly does nothing is removed before layers are fused."
        else:
            hint = "nothing keeps them apart: write the tensor between them to memory, or let a layer stand there."
        return wrong(yours=f"one engine layer holds {', '.join(held.origins)}", expected="two engine layers", hint=hint)
    return right("You would not ship that; but now you recognize it.")


def _reference(x, kernel, bias):
    """relu(conv(x)) in NumPy: no padding, stride 1."""
    patches = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
    made = np.einsum("nchwij,ocij->nohw", patches, kernel) + bias[:, None, None]
    return np.maximum(made, 0)


def _kernels(report):
    return [row.name for row in report.layers() if row.type != "NoOp"]


def _share(before, after):
    """After in parts of before: kernel time on a GPU, else the number of engine layers. (share, in words)"""
    if backend.is_gpu():
        ms = []
        for report in (before, after):
            with tl.Session(report) as session:
                ms.append(tl.measure(session, transfers=False, graph=True, duration_s=0.5).median())
        return ms[1] / ms[0], f"{ms[1]:.3f} ms of {ms[0]:.3f} ms"
    counts = len(_kernels(before)), len(_kernels(after))
    return counts[1] / counts[0], f"{counts[1]} engine layers of {counts[0]}"


@exercise("04_2.3", points=2)
def ship(define, answer):
    before = tl.build(define, level=1, progress=False)
    try:
        after = tl.build(lambda network: (define(network), answer(network)), level=1, progress=False)
    except LessonError as problem:
        hint = "it does not build any more: is y still an output?"
        return wrong(yours=str(problem).splitlines()[0], expected="a network that builds", hint=hint)
    names = [tensor["name"] for tensor in after.outputs]
    if "y" not in names:
        return wrong(yours=f"outputs {names}", expected="an output y", hint="y is the one that the service reads.")
    share, told = _share(before, after)
    if share > 0.8:
        hint = "which outputs does nobody need? Each one keeps a tensor in memory."
        return wrong(yours=told, expected="at least 20 % less", hint=hint)
    x = np.random.default_rng(7).standard_normal((64, 64, 56, 56), dtype=np.float32)
    with tl.Session(before) as old, tl.Session(after) as new:
        wanted, got = old.infer(x)["y"], new.infer(x)["y"]
    if np.abs(got - wanted).max() > 0.02 * np.abs(wanted).max():
        return wrong(yours="other numbers in y", expected="the same y", hint="change who reads, not what is computed.")
    return right(f"{told}: {1 - share:.0%} less.")
