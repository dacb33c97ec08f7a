"""Checks of lesson 05, dynamic shapes."""

import time

import numpy as np

from trt_lessons import backend, compat, cuda, trt
from trt_lessons.models import strips
from trt_lessons.workbook.exercises import exercise, right, wrong

LOW, BEST, HIGH = (1, 1, 16, 16), (16, 1, 16, 64), (16, 1, 16, 160)
SHAPES = [  # of one context, in this order -> the profile that takes each
    ((2, 1, 16, 48), 0),
    ((1, 1, 16, 128), 1),
    ((8, 1, 16, 256), 1),
    ((1, 1, 16, 32), 0),
    ((8, 1, 16, 64), 0),
    ((1, 1, 16, 65), 1),
    ((1, 1, 16, 320), None),
    ((9, 1, 16, 64), None),
]


@exercise("05.1")
def own_range(answer):
    expected = "a profile with a range for the input that is called strip"
    if not hasattr(answer, "get_shape"):
        return wrong(yours=answer, expected=expected, hint="start with builder.create_optimization_profile().")
    shapes = compat.profile_shapes(answer, "strip")
    if not shapes:
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


@exercise("05.2", points=1)
def ready(answer, plan):
    runtime = trt.Runtime(compat.shared_log())
    engine = runtime.deserialize_cuda_engine(plan)
    context = engine.create_execution_context()
    for shape, wanted in SHAPES:
        before = context.active_optimization_profile
        got = answer(context, shape)
        cuda.Context.synchronize()
        if got != wanted or isinstance(got, bool):
            return wrong(yours=f"{got} for {shape}", expected=f"{wanted}", hint=_why(shape, got, wanted))
        if wanted is None and context.active_optimization_profile != before:
            hint = "no profile takes this shape: leave the context as it is."
            return wrong(yours="another profile", expected=f"profile {before}, as before", hint=hint)
        if wanted is not None and context.active_optimization_profile != wanted:
            now = f"profile {context.active_optimization_profile}"
            return wrong(yours=now, expected=f"profile {wanted} for {shape}", hint="enqueue the switch on the stream.")
        if wanted is not None and tuple(context.get_tensor_shape("strip")) != shape:
            now = tuple(context.get_tensor_shape("strip"))
            return wrong(yours=now, expected=shape, hint="set the input's shape, and after the switch.")
    return right("Whoever picks a profile also learns of inputs that none takes.")


def _why(shape, got, wanted):
    if got is None:
        return "min <= shape <= max, both ends belong to the range; and return the profile's number."
    if wanted is None and shape[0] > 8:
        return "the batch has limits too: compare every dimension."
    if wanted is None:
        return "no profile takes this shape: return None."
    return "compare the shape with the range of every profile: both ends belong to it."


@exercise("05.3", points=2)
def serve(answer, read):
    rng = np.random.default_rng(5)
    lengths = rng.permutation(np.repeat([2, 4, 8], 8))
    requests, _ = strips.load(lengths)
    plain = [read(strip) for strip in requests]
    calls = []

    def counted(images):
        calls.append(images.shape)
        return read(images)

    found = answer(list(requests), counted)
    verdict = _same_answers(found, plain)
    if verdict:
        return verdict
    if not backend.is_gpu():
        return _judge_gain(len(calls), len(requests), "calls")
    ours, one_by_one = (_seconds(f, requests) for f in (lambda r: answer(r, read), lambda r: [read(x) for x in r]))
    return _judge_gain(1000 * ours, 1000 * one_by_one, "ms")


def _same_answers(found, plain):
    """What is wrong with the answers, or None."""
    expected = "one answer per request, in the order of the requests"
    if found is None:
        return wrong(yours="nothing", expected=expected, hint="the function returns nothing.")
    if len(found) != len(plain) or any(x is None for x in found):
        given = sum(x is not None for x in found)
        return wrong(yours=f"{given} answers", expected=expected, hint="each request needs its own row of the batch.")
    texts = [strips.decode(np.asarray(x).reshape(-1, *np.shape(x)[-2:]))[:1] for x in found]
    same = sum(a == strips.decode(b) for a, b in zip(texts, plain, strict=True))
    if same < len(plain):
        hint = "keep each request's place in the queue, and put its answer there."
        return wrong(yours=f"{same} of {len(plain)} answers are at their place", expected=expected, hint=hint)
    return None


def _seconds(serving, requests):
    took = []
    for _ in range(9):
        start = time.perf_counter()
        serving(list(requests))
        took.append(time.perf_counter() - start)
    return float(np.median(took[2:]))


def _judge_gain(ours, plain, unit):
    if ours <= 0.8 * plain:
        return right(f"{ours:.3g} {unit} in place of {plain:.3g}: {100 * (1 - ours / plain):.0f} % less.")
    said = f"{ours:.3g} {unit} in place of {plain:.3g}"
    hint = "strips of one width fit into one call, up to 8 of them."
    return wrong(yours=said, expected=f"at most {0.8 * plain:.3g} {unit}", hint=hint)
