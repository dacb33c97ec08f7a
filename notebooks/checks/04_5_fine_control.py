"""Checks of lesson 04_5, choose the settings that matter."""

import numpy as np

from trt_lessons.workbook.exercises import exercise, right, wrong

ROWS = [(0, 0.5, 0.060), (1, 1.0, 0.050), (3, 4.0, 0.040), (5, 20.0, 0.039)]  # level, build s, latency ms


@exercise("04_5.1")
def best_level(answer):
    wanted = {1: 0, 60_000: 1, 1_000_000: 3, 1_000_000_000: 5}
    for queries, level in wanted.items():
        got = answer(list(ROWS), queries)
        if got == level:
            continue
        if got is None:
            return wrong(yours="the function returns nothing", expected="a level", hint="return the level.")
        expected = f"the level with the least time in all for {queries:,} queries"
        fastest = min(ROWS, key=lambda r: r[2])
        if isinstance(got, (tuple, list)):
            hint = "this is a row, or a time with it; its level is one number."
        elif got == fastest[0] and queries < 1_000_000_000:
            hint = "the build counts too."
            if got == min(ROWS, key=lambda r: r[1] + queries * r[2])[0]:
                hint += " And latencies are in ms, builds in s."
        elif got == ROWS[0][0] and queries > 1:
            hint = "the latency counts at every query, not once."
        elif not any(got == row[0] for row in ROWS):
            hint = "give a level, not a position in the list or a time."
        else:
            hint = "build + queries * latency, both in one unit."
        return wrong(yours=got, expected=expected, hint=hint)
    return right("A level pays when its build has been earned back: count the queries that an engine will ever answer.")


def _pattern(columns: str, channels: int = 8) -> np.ndarray:
    """A kernel [3, channels, 2, 2] whose input channels are zero where `columns` says 0, everywhere alike."""
    kernel = np.random.default_rng(4).uniform(0.5, 1.5, (3, channels, 2, 2)).astype(np.float32)
    kernel[:, [c == "0" for c in columns]] = 0
    return kernel


@exercise("04_5.2")
def is_two_to_four(answer):
    one_off = _pattern("11001100")
    one_off[2, 3, 1, 0] = -0.25
    cases = [
        ("11001100", _pattern("11001100"), True, "this one has exactly two zeros in each four input channels."),
        ("all ones", _pattern("11111111"), False, "nothing is zero here."),
        ("01110001", _pattern("01110001"), False, "half are zero, but not in each group of four: look at groups."),
        ("10001000", _pattern("10001000"), True, "at most two: more zeros are welcome."),
        ("00111100", _pattern("00111100"), True, "the groups begin at channels 0, 4, 8: they do not slide."),
        ("11001100 with one number too many", one_off, False, "every output channel and every position counts."),
    ]  # fmt: skip
    for name, kernel, expected, hint in cases:
        got = answer(kernel.copy())
        if got is None:
            return wrong(yours="the function returns nothing", expected="True or False", hint="return the verdict.")
        if np.size(got) != 1:
            return wrong(yours=got, expected="one True or False", hint="all groups together: one verdict.")
        if bool(got) != expected:
            return wrong(yours=got, expected=f"{expected} for input channels {name}", hint=hint)
    return right("Where this is False, the flag SPARSE_WEIGHTS does nothing for the layer.")


@exercise("04_5.3")
def contexts_that_fit(answer):
    cases = [((1000, 200, 90, 10), 8), ((1000, 200, 60, 10), 11), ((100, 200, 60, 10), 0), ((270, 200, 60, 10), 1)]
    for case, expected in cases:
        free, weights, activations, buffers = case
        got = answer(*case)
        if got is None:
            return wrong(yours="the function returns nothing", expected="a number", hint="return the number.")
        if got == expected and isinstance(got, (int, np.integer)):
            continue
        asked = f"contexts in {free} free bytes: weights {weights}, activations {activations}, buffers {buffers}"
        if free < weights:
            hint = "not even the weights fit: the answer is 0, never less."
        elif got == free // (weights + activations + buffers):
            hint = "contexts of one engine share its weights: they are taken once."
        elif got == free // (activations + buffers):
            hint = "the weights have to fit too."
        elif not isinstance(got, (int, np.integer)):
            hint = "half a context is none: give a whole number."
        elif got == (free - weights) // activations:
            hint = "each context needs buffers of its own for inputs and outputs."
        else:
            hint = "take the weights away once, then divide by what every context takes."
        return wrong(yours=got, expected=asked, hint=hint)
    return right("Real memory goes in blocks of 2 MiB and CUDA keeps some for itself, so leave a margin.")
