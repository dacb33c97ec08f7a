"""Checks of lesson 00, start here."""

from types import SimpleNamespace

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
def is_ours(answer):
    cases = {"measured": True, "recorded": False, "interpreter": False}
    for source, wanted in cases.items():
        got = answer(SimpleNamespace(source=source, note=f"{source} on some machine"))
        if got is None:
            return wrong(yours="the function returns nothing", expected="True or False", hint="return the comparison.")
        if bool(got) != wanted:
            hints = {
                "measured": "a measurement taken just now on this GPU is ours.",
                "recorded": "a recording comes from another run, perhaps from another card.",
                "interpreter": "times of the interpreter are a CPU's, not TensorRT's.",
            }
            return wrong(yours=f"{got} for the source {source!r}", expected=str(wanted), hint=hints[source])
    return right("Every figure says it in its corner.")
