"""Checks of lesson 07, failures and cures."""

import itertools

import numpy as np

from trt_lessons.workbook.exercises import exercise, right, wrong

CAUSES = {
    "A": ("no profile", "read on after the comma: what has not been defined?"),
    "B": ("no address", "enqueueV3 runs the context; which pointers must it have been given before?"),
    "C": ("another version", "two version numbers are compared: one is yours, one stands in the plan."),
    "D": ("outside every profile", "*any* profile: none of them takes this shape."),
    "E": ("misspelt name", "the profile was told a shape, but not one for `strip`. For which name, then?"),
}


@exercise("07.1")
def read_a_log(answer):
    if not isinstance(answer, dict):
        return wrong(yours=answer, expected="a dict from the letter to a cause", hint='causes = {"A": "...", ...}')
    known = {cause for cause, _ in CAUSES.values()}
    if not any(answer.values()):
        return wrong(yours=answer, expected="a cause for each letter", hint="start with C: it says nearly everything.")
    for letter, (cause, hint) in CAUSES.items():
        given = answer.get(letter)
        if given not in known:
            return wrong(yours=f"{letter}: {given!r}", expected=f"one of {', '.join(sorted(known))}", hint=hint)
        if given != cause:
            return wrong(yours=f"{letter}: {given!r}", expected=f"another cause for {letter}", hint=hint)
    return right("The first error line nearly always says it; the ones after it are its consequences.")


_SEEDS = itertools.count(7)


def _rows(count, kind=np.float32):
    """Other numbers at each call: an output that was never written may still hold the last answer."""
    return np.random.default_rng(next(_SEEDS)).integers(-50, 50, (count, 4)).astype(kind)


@exercise("07.2")
def repair(answer):
    hints = {
        np.float32: "is the shape set before the output's shape is asked for, and has `out` an address?",
        np.float64: "the engine reads float32 from memory: eight bytes a number are no float32.",
        np.int64: "the engine reads float32 from memory: integers are no float32.",
    }
    for kind, hint in hints.items():
        for count in (3, 1, 8):
            rows = _rows(count, kind)
            called, expected = f"{count} rows of {np.dtype(kind).name}", f"relu of them, float32 [{count}, 4]"
            try:
                got = answer(rows)
            except Exception as problem:
                return wrong(yours=f"{type(problem).__name__} for {called}: {problem}", expected=expected, hint=hint)
            if got is None:
                return wrong(yours=f"nothing for {called}", expected=expected, hint="end with `return result`.")
            if np.shape(got) != rows.shape or not np.array_equal(got, np.maximum(rows, 0)):
                return wrong(yours=f"other numbers for {called}", expected=expected, hint=hint)
    turned = np.asfortranarray(_rows(4))
    if not np.array_equal(answer(turned), np.maximum(turned, 0)):
        return wrong(
            yours="other numbers for a transposed array", expected="relu of it",
            hint="np.ascontiguousarray puts rows one after another, as the engine reads them.",
        )  # fmt: skip
    return _refuses(answer)


def _refuses(answer):
    hint, expected = "set_input_shape answers with a bool: look at it.", "ValueError for 9 rows"
    try:
        got = answer(_rows(9))
    except ValueError as problem:
        if "negative dimensions" not in str(problem):
            return right("Every bool that TensorRT gives back is worth an `if`.")
        return wrong(yours=f"an accident for 9 rows: {problem}", expected=expected, hint=hint)
    except Exception as problem:
        return wrong(yours=f"{type(problem).__name__} for 9 rows: {problem}", expected=expected, hint=hint)
    return wrong(yours=got, expected=expected, hint=hint)


CASES = (
    ({"enqueue": 0.02, "compute": 1.0}, {"GPU"}, "copies that were not timed hold nobody up: use medians.get."),
    ({"enqueue": 0.9, "compute": 1.0}, {"host"}, "the host: enqueue > 0.8 * compute."),
    ({"enqueue": 0.7, "compute": 1.0}, {"GPU"}, "the host is the limit beyond 0.8 of compute, not before."),
    (
        {"enqueue": 0.1, "h2d": 1.0, "compute": 1.0, "d2h": 0.2},
        {"copy in"},
        "a copy that takes as long as compute counts too: >=.",
    ),
    ({"enqueue": 0.1, "h2d": 0.1, "compute": 0.4, "d2h": 0.5}, {"copy out"}, "d2h is device to host: copy out."),
    (
        {"enqueue": 0.4, "h2d": 0.6, "compute": 0.4, "d2h": 0.5},
        {"host", "copy in", "copy out"},
        "more than one may be true: an `if` for each, and no `elif`.",
    ),
    ({"enqueue": 0.1, "h2d": 0.2, "compute": 0.4, "d2h": 0.3}, {"GPU"}, 'when nothing else holds it up: {"GPU"}.'),
)


@exercise("07.3")
def diagnose(answer):
    for medians, expected, hint in CASES:
        called = ", ".join(f"{kind} {ms}" for kind, ms in medians.items())
        try:
            got = answer(dict(medians))
        except KeyError as problem:
            return wrong(yours=f"KeyError {problem} for {called}", expected="a set of causes", hint=hint)
        if isinstance(got, str) or not hasattr(got, "__iter__"):
            return wrong(
                yours=got, expected="a set of causes", hint='a set: {"host"}, or found = set() and found.add(...)'
            )
        if set(got) != expected:
            return wrong(yours=f"{set(got)} for {called}", expected="the causes by the rules of failure 14", hint=hint)
    return right("These are the three warnings that trtexec prints.")
