"""Checks of lesson 05_2, profiles that pay."""

import numpy as np

import trt_lessons as tl
from trt_lessons.workbook.exercises import exercise, right, wrong

LOW, HIGH = (1, 1, 16, 16), (128, 1, 16, 256)
KINDS = (16, 64, 256)
EVENING = np.repeat([2, 5, 9], [150, 274, 1624])


@exercise("05_2.1")
def opt_by_time(answer):
    expected = "a profile with a range for the input that is called strip"
    if not hasattr(answer, "get_shape"):
        return wrong(yours=answer, expected=expected, hint="start with builder.create_optimization_profile().")
    shapes = tl.compat.profile_shapes(answer, "strip")
    if not shapes:
        return wrong(yours="no range for strip", expected=expected, hint="set_shape(name, min, opt, max).")
    low, best, high = shapes
    expected = "1 to 128 strips of 16 to 256 pixels; opt: 128 strips of the width that takes less time in all"
    if (low, high) != (LOW, HIGH):
        return wrong(yours=shapes, expected=expected, hint="min and max: the smallest and the largest that may come.")
    if best[:3] != (128, 1, 16) or best[3] not in (64, 256):
        return wrong(
            yours=best, expected=expected, hint="opt is one of the two engines of the slider, at full batches."
        )
    moved = tl.recordings.recall("opt moved", "05_2_profiles_that_pay")  # what the slider shows
    spent = {opt: sum(moved[f"opt {opt}"][width] for width in KINDS) for opt in (64, 256)}
    told = ", ".join(f"opt {opt}: {ms:.3f} ms" for opt, ms in spent.items())
    if best[3] != min(spent, key=spent.get):
        return wrong(yours=best, expected=expected, hint="add up the three times of each engine, not the three wins.")
    return right(f"{told} for the three batches.")


@exercise("05_2.2")
def graph_for(answer, written):
    wanted = {64: 8 * 16 * 11, 128: 8 * 32 * 11, 256: 8 * 64 * 11}
    found = {}
    for width, edge in ((30, 64), (64, 64), (100, 128), (16, 64), (256, 256), (128, 128), (65, 128)):
        graph = answer(width)
        expected = f"the graph of {edge} pixels for a width of {width}"
        if graph is None:
            return wrong(yours="None", expected=expected, hint="return the graph: a new one, or the one that is kept.")
        if edge in found and graph is not found[edge]:
            hint = "pad to one of the three widths first; its graph is kept, and the same one comes back."
            return wrong(yours="another graph than before", expected=expected, hint=hint)
        found[edge] = graph
        if (scores := written(graph)) != wanted[edge]:
            hint = "capture at the width that is padded to, not at the width that was asked for."
            return wrong(yours=f"a graph that writes {scores} scores", expected=f"{wanted[edge]}", hint=hint)
    if answer(300) is not None:
        return wrong(yours="a graph for 300 pixels", expected="None", hint="no graph of the three takes that width.")
    return right("Seven calls, three captures.")


@exercise("05_2.3", points=2)
def fast(answer, before):
    expected = "a build with at most three profiles for strip"
    if not hasattr(answer, "engine") or not getattr(answer, "profiles", None):
        return wrong(yours=type(answer).__name__, expected=expected, hint="tl.build(path, profiles=[...], level=2).")
    ranges = [tuple(tuple(shape) for shape in profile["strip"]) for profile in answer.profiles]
    if len(ranges) > 3:
        return wrong(yours=f"{len(ranges)} profiles", expected="at most 3", hint="propose takes the number of ranges.")
    for length in range(1, 17):
        for strips in (1, 128):
            if _taken_by((strips, 1, 16, 16 * length), ranges) is None:
                hint = "every strip must stay possible: largest=16, and no gap between the ranges."
                return wrong(yours=f"{strips} of {length} digits fit nowhere", expected="1 to 16 digits", hint=hint)
    count = _ms if tl.backend.is_gpu() else _pixels
    unit = "ms" if tl.backend.is_gpu() else "million pixels"
    ours, theirs = (count(report) for report in (answer, before))
    told = f"{ours:.2f} {unit} in place of {theirs:.2f}"
    if ours > 0.8 * theirs:
        hint = "where do the profiles end, and where do the strips? Most have 9 digits."
        return wrong(yours=told, expected=f"at most {0.8 * theirs:.2f} {unit}", hint=hint)
    return right(f"{told}: {100 * (1 - ours / theirs):.0f} % less.")


def _taken_by(shape, ranges):
    """Index of the profile with the smallest max that takes a shape, or None."""
    fitting = [
        i
        for i, (low, _, high) in enumerate(ranges)
        if all(a <= n <= b for a, n, b in zip(low, shape, high, strict=True))
    ]
    return min(fitting, key=lambda i: ranges[i][2][3], default=None)


def _batches(report):
    """{profile: (batches of 128 of the evening, width they are padded to)}."""
    ranges = [tuple(tuple(shape) for shape in profile["strip"]) for profile in report.profiles]
    used = [_taken_by((1, 1, 16, 16 * int(length)), ranges) for length in EVENING]
    return {i: (used.count(i) / 128, ranges[i][2][3]) for i in sorted(set(used))}


def _pixels(report):
    return sum(count * 128 * 16 * width for count, width in _batches(report).values()) / 1e6


def _ms(report):
    engine, spent = report.engine(), 0.0
    for profile, (count, width) in _batches(report).items():
        with tl.Session(engine, profile=profile) as session:
            shapes = {0: {"strip": (128, 1, 16, width)}}
            options = {"transfers": False, "graph": True, "warm_up_ms": 50, "duration_s": 0.25}
            spent += count * tl.measure_shapes(session, shapes, **options)[0]
    return spent
