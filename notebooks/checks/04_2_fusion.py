"""Checks of lesson 04_2, fusion."""

import numpy as np

import trt_lessons as tl
from trt_lessons.workbook.exercises import exercise, right, wrong

NAMES = {
    "pool": ["pool"],
    "stem.conv + stem.relu": ["stem.conv", "stem.relu"],
    "left || right": ["left", "right"],
    "PWN(PWN(sigmoid_1), times_1)": ["sigmoid_1", "times_1"],
    "conv1 + PWN(PWN(sigmoid_1), times_1) || conv2": ["conv1", "sigmoid_1", "times_1", "conv2"],
    "Reformatting CopyNode for Input Tensor 0 to stem.conv + stem.relu": [],
}


@exercise("04_2.1")
def inside(answer):
    for name, wanted in NAMES.items():
        got = answer(name)
        if got is None:
            return wrong(yours="the function returns nothing", expected="a list of names", hint="return the list.")
        if isinstance(got, str):
            return wrong(yours=got, expected="a list of names", hint="a list, even if it holds a single name.")
        got = list(got)
        if got == wanted:
            continue
        if not wanted:
            hint = "a Reformatting CopyNode is a copy that TensorRT added; it holds no network layer."
        elif any("PWN" in piece for piece in got):
            hint = "PWN( ) is a wrapper around names, not a layer."
        elif any("||" in piece for piece in got):
            hint = "|| separates names as + does."
        elif sorted(got) == sorted(wanted):
            hint = "keep the order in which the names stand."
        else:
            hint = "take the words made of letters, digits, dots and underscores."
        return wrong(yours=got, expected=f"the layers inside {name!r}", hint=hint)
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


@exercise("04_2.3")
def traffic(answer):
    cases = [
        ([(64, 32)] * 4, 4, 49152, 16384),
        ([(1, 3, 8, 8), (1, 16, 8, 8), (1, 16, 4, 4)], 2, 384 + 2 * 2048 + 512, 384 + 512),
        ([(10,), (10,)], 4, 80, 80),
    ]
    for shapes, itemsize, alone, fused in cases:
        got = answer(shapes, itemsize)
        if not isinstance(got, (tuple, list)) or len(got) != 2:
            return wrong(yours=got, expected="two numbers", hint="return two numbers: each alone, and all fused.")
        if tuple(got) == (alone, fused):
            continue
        sizes = [itemsize * int(np.prod(s)) for s in shapes]
        if tuple(n * itemsize for n in got) == (alone, fused):
            hint = "you counted elements; how many bytes has each?"
        elif got[0] == sum(sizes):
            hint = "a tensor in the middle counts twice: it is written, and it is read."
        elif got[0] == 2 * sum(sizes):
            hint = "nobody in the chain writes its input or reads its output."
        elif got[0] == alone:
            hint = "fused into one layer, which tensors still touch the memory?"
        else:
            hint = "each layer reads one tensor and writes the next."
        asked = f"the bytes for shapes {shapes}, {itemsize} bytes a number"
        return wrong(yours=tuple(got), expected=asked, hint=hint)
    return right("With the card's bandwidth this is a forecast of the time.")
