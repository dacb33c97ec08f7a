"""Checks of lesson 05, dynamic shapes."""

import numpy as np

from trt_lessons.workbook.exercises import exercise, right, wrong

LOW, BEST, HIGH = (1, 1, 16, 16), (16, 1, 16, 64), (16, 1, 16, 160)


@exercise("05.1")
def own_range(answer):
    expected = "a profile with a range for the input that is called strip"
    if not hasattr(answer, "get_shape"):
        return wrong(yours=answer, expected=expected, hint="start with builder.create_optimization_profile().")
    try:
        shapes = [tuple(shape) for shape in answer.get_shape("strip")]
    except RuntimeError:  # some versions of TensorRT raise where nothing is set
        shapes = []
    if len(shapes) != 3 or not all(shapes):
        return wrong(
            yours="no range for strip", expected=expected, hint="set_shape(name, min, opt, max), with that name."
        )
    low, _, high = shapes
    if shapes == [LOW, BEST, HIGH]:
        return right("min and max say what works, opt what is fast.")
    expected = "1 to 10 digits, mostly 4; 1 to 16 strips, mostly 16"
    if high[3] <= 16:
        hint = "the last dimension is in pixels: 16 for each digit."
    elif low != LOW:
        hint = "min: one strip of one digit must be allowed."
    elif high != HIGH:
        hint = "max: 16 strips of 10 digits must be allowed, and no more."
    else:
        hint = "opt: what comes most often, in both dimensions."
    return wrong(yours=shapes, expected=expected, hint=hint)


@exercise("05.2")
def pick(answer):
    cases = [
        ([(16, 64), (65, 256)], 48, 0, "low <= width <= high: both ends belong to the range."),
        ([(16, 64), (65, 256)], 64, 0, "low <= width <= high: both ends belong to the range."),
        ([(16, 64), (65, 256)], 65, 1, "low <= width <= high: both ends belong to the range."),
        ([(16, 256), (16, 64)], 32, 1, "several take it: which has the smallest largest width?"),
        ([(16, 64), (96, 256)], 80, None, "a width between two ranges fits none: look at both ends."),
        ([(16, 64), (65, 256)], 300, None, "no profile takes this width: return None."),
    ]
    for ranges, width, wanted, hint in cases:
        got = answer(ranges, width)
        if got is None and wanted is not None and answer(*cases[0][:2]) is None:
            hint = "the function returns nothing: return the number."
        if got != wanted or (got is not None and isinstance(got, (bool, tuple))):
            return wrong(yours=f"{got} for width {width} in {ranges}", expected=f"{wanted}", hint=hint)
    return right("Whoever picks a profile also hears of inputs that none takes.")


@exercise("05.3")
def padding_share(answer):
    cases = [([4, 4, 4], (4,)), ([1, 2, 16], (16,)), ([1, 4, 5, 16], (4, 8, 16)), ([3, 3, 9], (3, 12))]
    for lengths, edges in cases:
        got = answer(np.array(lengths), edges)
        if got is None:
            return wrong(yours="nothing", expected="a share, 0 to 1", hint="the function returns nothing.")
        computed = sum(min(e for e in edges if e >= n) for n in lengths)
        wanted = 1 - sum(lengths) / computed
        if np.ndim(got) == 0 and abs(got - wanted) < 1e-6:
            continue
        asked = f"the share of padding for lengths {lengths} and edges {edges}"
        if np.ndim(got) == 0 and abs(got - sum(lengths) / computed) < 1e-6:
            hint = "that is the share of real columns; padding is the rest."
        elif np.ndim(got) == 0 and abs(got - (1 - sum(lengths) / (len(lengths) * max(edges)))) < 1e-6:
            hint = "that pads everything to the last edge; each strip goes to the first edge that takes it."
        elif np.ndim(got) == 0 and abs(got - (computed - sum(lengths))) < 1e-6:
            hint = "that is the number of padded columns; divide by all that are computed."
        else:
            hint = "a strip as long as an edge fits it exactly; the share is of all computed columns."
        return wrong(yours=got, expected=asked, hint=hint)
    return right("This is the number that `propose` makes as small as it can.")
