"""Checks of lesson 02, run the inference flow."""

import numpy as np

import trt_lessons as tl
from trt_lessons.models import digits
from trt_lessons.workbook.exercises import exercise, right, wrong


@exercise("02.1")
def buffer_bytes(answer):
    trt = tl.trt
    cases = [((64, 1, 32, 32), trt.float32, 262144), ((8, 10), trt.float16, 160), ((3,), trt.int8, 3)]
    for shape, dtype, wanted in cases:
        got = answer(shape, dtype)
        if got is None:
            return wrong(yours="the function returns nothing", expected="a number of bytes", hint="return the result.")
        if got == wanted:
            continue
        asked = f"the bytes of {shape} in {dtype}"
        if got == np.prod(shape):
            hint = "you counted elements; how many bytes is one of them?"
        elif got == np.prod(shape) * 4:
            hint = "not every element has 4 bytes: ask the dtype."
        else:
            hint = "multiply the number of elements by the bytes of one element."
        return wrong(yours=got, expected=asked, hint=hint)
    return right("A buffer that is too small is written past its end, and nobody warns you.")


@exercise("02.2")
def classify(answer):
    data = digits.data()
    pictures, labels = data.test_images[40:73], data.test_labels[40:73]
    got = answer(pictures)
    if got is None:
        return wrong(
            yours="the function returns nothing", expected="one digit a picture", hint="return the predictions."
        )
    got = np.asarray(got)
    if got.shape == (33, 10):
        return wrong(yours=got, expected="33 digits", hint="these are the logits: which of the ten is largest?")
    if got.shape != (33,):
        return wrong(
            yours=got, expected="33 digits for 33 pictures", hint="take the argmax along axis 1: one digit a picture."
        )
    if (got == labels).mean() < 0.9:
        return wrong(
            yours=f"{(got == labels).sum()} of 33 right", expected="nearly all right",
            hint="did you wait? Nothing may be read before stream.synchronize().",
        )  # fmt: skip
    strided = np.asfortranarray(pictures[::2].astype(np.float64))
    if (np.asarray(answer(strided)) == labels[::2]).mean() < 0.9:
        return wrong(
            yours="wrong digits for float64 pictures in another memory order", expected="the same digits as before",
            hint="bring the pictures to contiguous float32 first.",
        )  # fmt: skip
    return right("Every call was TensorRT's own.")


@exercise("02.3")
def unsure(answer, logits):
    logits = np.asarray(logits, np.float64)
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    sure = (shifted / shifted.sum(axis=1, keepdims=True)).max(axis=1)
    expected = "the index of the least sure picture, 0 to 449"
    if not isinstance(answer, (int, np.integer)):
        return wrong(yours=answer, expected=expected, hint="give one index, an int.")
    if sure[answer] <= sure.min() + 1e-6:
        return right("Look at it with tl.plots.digits: would you be sure?")
    if answer == int(sure.argmax()):
        hint = "this is where it is most sure; you want the smallest."
    elif answer == int(logits.max(axis=1).argmin()):
        hint = "this is the smallest largest logit; a probability also depends on the other nine."
    else:
        hint = "softmax along axis 1, the largest of each row, then the row where that is smallest."
    return wrong(yours=answer, expected=expected, hint=hint)
