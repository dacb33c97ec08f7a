"""Checks of lesson 00, start here."""

import numpy as np

import trt_lessons as tl
from trt_lessons.models import digits
from trt_lessons.workbook.exercises import exercise, right, wrong


@exercise("00.1")
def backend_name(answer):
    expected = "the name of the backend that runs here"
    if not isinstance(answer, str):
        return wrong(yours=answer, expected=expected, hint="a name is a string: did you forget to call the function?")
    if answer == tl.backend.name():
        return right("The environment variable TRT_LESSONS_BACKEND can choose the other one.")
    if answer in ("tensorrt", "interpreter"):
        hint = "that is the other one: the first cell says which you have."
    else:
        hint = 'the name is "tensorrt" or "interpreter".'
    return wrong(yours=answer, expected=expected, hint=hint)


@exercise("00.2")
def digit(answer, picture):
    data = digits.data()
    index = int(np.abs(data.test_images - picture).sum(axis=(1, 2, 3)).argmin())
    expected = "one digit, 0 to 9, as an int"
    if isinstance(answer, np.ndarray) and answer.size == 10:
        return wrong(yours=answer, expected=expected, hint="these are the logits; where is the largest of the ten?")
    if isinstance(answer, (bool, float, np.floating)) or np.ndim(answer) != 0:
        return wrong(
            yours=answer, expected=expected, hint="the answer is the place of the largest logit: argmax, not max."
        )
    if int(answer) == data.test_labels[index]:
        return right("Look at it: would you have read the same?")
    return wrong(yours=answer, expected=expected, hint="is it picture number 7, counted from 0, and of `images`?")


@exercise("00.3")
def many(answer, session):
    expected = "a measurement of more pictures per query, taken here"
    if not hasattr(answer, "throughput"):
        return wrong(yours=answer, expected=expected, hint="put what tl.measure returns into many.")
    if answer.source == "recorded":
        hint = "this is a recording of another machine: leave the name away, and it is measured here."
        return wrong(yours=answer.note, expected=expected, hint=hint)
    if not tl.backend.is_gpu():
        queries = -(-450 // answer.batch)
        if queries > 90:
            return _too_few(f"{answer.batch} pictures per query, {queries} queries for 450", "90 queries or fewer")
        return right(f"{queries} queries for 450 pictures. On a GPU the check compares pictures per second.")
    single = tl.measure(session, digits.data().test_images[:1].copy(), duration_s=1)
    times = answer.throughput / single.throughput
    told = f"{answer.throughput:,.0f} pictures per second, {times:.1f} times as many as one by one"
    return right(f"{told}.") if times >= 5 else _too_few(told, "5 times as many or more")


def _too_few(yours, expected):
    return wrong(yours=yours, expected=expected, hint="give the session more pictures at once.")
