"""Checks of lesson 09, past one machine."""

import re
import tempfile
from pathlib import Path

import trt_lessons as tl
from trt_lessons import backend
from trt_lessons.scale import most, simulate
from trt_lessons.workbook.exercises import exercise, right, wrong

TIMES = {1: 10.0, 8: 15.0, 64: 60.0}  # other times than the lesson's: the function must use its argument
TARGETS = (40.0, 90.0, 5.0)
SLOW = {1: 9.0, 4: 9.6, 16: 12.0, 64: 30.0}
WANTED = {"max_batch_size": "8", "count": "2", "max_queue_delay_microseconds": "500"}


def carried(ms, target):
    """The highest rate that passes, as the task counts it."""
    rates = range(100, 20_001, 100)
    failed = (r for r in rates if simulate(r, ms, largest=64).percentile(99) >= target)
    return next(failed, 20_100) - 100


@exercise("09.1", points=1)
def capacity(answer):
    expected = "a function capacity(ms, target) that returns a rate"
    if not callable(answer):
        return wrong(yours=answer, expected=expected, hint="def capacity(ms, target): ... return best")
    for target in TARGETS:
        found, wanted = answer(TIMES, target), carried(TIMES, target)
        if found != wanted and target < TIMES[1]:
            hint = "one run alone takes longer than this target, so no rate passes: the answer is 0."
            return wrong(yours=f"{found} for a target under one run", expected="0", hint=hint)
        if found != wanted:
            hint = "batches of up to 64, one instance, percentile(99), steps of 100; the last rate that passes counts."
            return wrong(yours=f"{found} for {target} ms", expected="another rate, for these times", hint=hint)
    return right("The same card carries more when its users may wait longer.")


def _config(serve):
    """(config.pbtxt of the model that an answer wrote, None), or (None, what is wrong)."""
    with tempfile.TemporaryDirectory() as folder:
        serve(Path(folder))
        there = [p.parent.name for p in Path(folder).glob("*/config.pbtxt")]
        if there != ["eight"]:
            return None, f"models in the folder: {there}"
        if not (Path(folder) / "eight" / "1" / "model.plan").exists():
            return None, "no plan in eight/1"
        return (Path(folder) / "eight" / "config.pbtxt").read_text(), None


@exercise("09.2", points=1)
def repository(answer):
    expected = "a function that writes the model `eight` into the folder it is given"
    if not callable(answer):
        return wrong(yours=answer, expected=expected, hint="def serve(folder): ... write(report, folder, ...)")
    text, problem = _config(answer)
    if problem:
        return wrong(yours=problem, expected=expected, hint='write(..., folder, name="eight")')
    for word, value in WANTED.items():
        found = re.search(rf"{word}: (\d+)", text)
        if not found or found[1] != value:
            hint = f"which argument of tl.build or write decides {word}?"
            return wrong(yours=f"{word}: {found[1] if found else 'missing'}", expected=f"{word}: {value}", hint=hint)
    if "preferred_batch_size: [4, 8]" not in text:
        return wrong(yours=text.partition("dynamic_batching")[2][:60], expected="4 and 8 preferred", hint="batches=...")
    return right("Triton would load it: trt-lessons serve-config --check asks it.")


def _times():
    """Run times by batch: measured on a GPU, else those of the task."""
    if not backend.is_gpu():
        return SLOW
    shapes = [(n, 1, 32, 32) for n in (1, 64, 64)]
    report = tl.build(tl.models.digits.onnx_path(), profiles={"images": shapes}, progress=False)
    with tl.Session(report) as session:
        return {
            n: tl.measure(session, shapes={"images": (n, 1, 32, 32)}, duration_s=0.5).median() for n in (1, 4, 16, 64)
        }


@exercise("09.3", points=2)
def settings(answer):
    expected = 'a dictionary such as {"largest": 1, "delay_ms": 0, "instances": 1}'
    if not isinstance(answer, dict) or set(answer) - {"largest", "delay_ms", "instances"}:
        return wrong(yours=answer, expected=expected, hint="three settings, by name.")
    if answer.get("instances", 1) != 1:
        return wrong(yours=answer, expected="one instance", hint="the second card is what you save.")
    ms = _times()
    rate = 0.9 * most(ms, 1, 2)
    before = simulate(rate, ms, largest=1, instances=2).percentile(99)
    after = simulate(rate, ms, **answer).percentile(99)
    if after > 0.3 * before:
        hint = "several requests arrive during one run: let them share the next one, and let none wait on purpose."
        return wrong(yours=f"99 % under {after:.1f} ms", expected=f"under {0.3 * before:.1f} ms", hint=hint)
    return right(f"99 % under {after:.1f} ms with one instance; two without batches: {before:.1f} ms.")
