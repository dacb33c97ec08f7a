"""Checks of lesson 02, run the inference flow."""

import time
from contextlib import ExitStack
from unittest.mock import patch

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


QUERIES = ((100, 8), (10, 33), (250, 1), (300, 120), (40, 8), (200, 33), (0, 8))  # the first picture, how many
MAKERS = ("mem_alloc", "pagelocked_empty", "pagelocked_zeros", "Stream")


@exercise("02.3", points=2)
def reader(answer):
    report = _report()
    engine = report.engine()
    mine = answer(engine)
    if not hasattr(mine, "read"):
        return wrong(yours=answer, expected="a class with read(pictures)", hint="is `read` defined inside the class?")
    problem = _misread(mine, report) or _made_again(mine, engine)
    if problem or tl.backend.is_gpu():
        return problem or _timed(mine, report)
    return right("0 contexts, streams and buffers are made per call. On a GPU the check measures the time too.")


def _report():
    one = (1, 32, 32)
    ranges = {"images": ((1, *one), (64, *one), (450, *one))}
    return tl.build(digits.onnx_path(), profiles=ranges, precision="fp32", progress=False)


def _misread(mine, report):
    """What is wrong with the digits that the reader gives, or None: other pictures and another size on each call.

    On a GPU a reader that does not wait gives the answers of the call before, and those are other digits.
    """
    pictures = digits.data().test_images
    with tl.Session(report) as session:
        for first, n in QUERIES:
            some = pictures[first : first + n]
            got, expected = mine.read(some), session.infer(some)["logits"].argmax(1)
            told = f"{n} digits for {n} pictures"
            if got is None:
                return wrong(yours="read returns nothing", expected=told, hint="return the digits.")
            if np.shape(got) != (n,):
                hint = "one digit per picture: the largest of its ten logits, and only of the pictures that came."
                return wrong(yours=np.asarray(got), expected=told, hint=hint)
            same = int((np.asarray(got) == expected).sum())
            if same < 0.9 * n:
                hint = "did this call set its shape, copy its own pictures in, and wait before it read?"
                return wrong(yours=f"{same} of {n} digits as they should be", expected=told, hint=hint)
    return None


def _made_again(mine, engine):
    """What is wrong where five calls of a known size make contexts, streams or buffers, or None."""
    made = []

    def counting(make):
        def counted(*args, **options):
            made.append(1)
            return make(*args, **options)

        return counted

    with ExitStack() as stack:
        for owner, name in [*((tl.cuda, name) for name in MAKERS), (type(engine), "create_execution_context")]:
            stack.enter_context(patch.object(owner, name, counting(getattr(owner, name))))
        for first in range(0, 40, 8):
            mine.read(digits.data().test_images[first : first + 8])
    if made:
        return _too_much(f"{len(made)} contexts, streams and buffers made in 5 calls", "0 of them")
    return None


def _timed(mine, report):
    """On a GPU: the median host time per call of 8 pictures, beside a reader that makes everything on each call."""
    pictures, engine = digits.data().test_images[:8], report.engine()
    readers = {"mine": mine.read, "anew": lambda some: _read_anew(engine, some)}
    times = {name: [] for name in readers}
    for _ in range(40):
        for name, read in readers.items():
            start = time.perf_counter()
            read(pictures)
            times[name].append(1000 * (time.perf_counter() - start))
    ours, anew = (float(np.median(times[name][10:])) for name in ("mine", "anew"))
    told = f"{ours:.3f} ms per call, against {anew:.3f} ms with everything made on each call"
    if ours > 0.8 * anew:
        return _too_much(told, f"{0.8 * anew:.3f} ms per call or less")
    return right(f"{told}: {100 * (1 - ours / anew):.0f} % less.")


def _too_much(yours, expected):
    hint = "what is the same in every call can be made once, in __init__, and kept in self."
    return wrong(yours=yours, expected=expected, hint=hint)


def _read_anew(engine, pictures):
    cuda, context = tl.cuda, engine.create_execution_context()
    pictures, logits = np.ascontiguousarray(pictures, np.float32), np.empty((len(pictures), 10), np.float32)
    context.set_input_shape("images", pictures.shape)
    there, back, stream = cuda.mem_alloc(pictures.nbytes), cuda.mem_alloc(logits.nbytes), cuda.Stream()
    context.set_tensor_address("images", int(there))
    context.set_tensor_address("logits", int(back))
    cuda.memcpy_htod_async(there, pictures, stream)
    context.execute_async_v3(stream.handle)
    cuda.memcpy_dtoh_async(logits, back, stream)
    stream.synchronize()
    return logits.argmax(axis=1)
