"""Checks of lesson 04_4, engines on disk."""

import tempfile
from pathlib import Path

import numpy as np

import trt_lessons as tl
from trt_lessons.models import digits
from trt_lessons.workbook.exercises import exercise, right, wrong


def _tiny(network):
    trt = tl.trt
    x = network.add_input("x", trt.float32, (2, 4))
    y = network.add_activation(x, trt.ActivationType.RELU).get_output(0)
    network.mark_output(y)


class _Rebuild:
    """Counts how often it is called; builds once and gives the same report each time."""

    def __init__(self):
        self.calls, self.report = 0, None

    def __call__(self):
        self.calls += 1
        if self.report is None:
            self.report = tl.build(_tiny, level=0, cache=False, timing_cache=False, progress=False)
        return self.report


def _is_engine(thing):
    return hasattr(thing, "create_execution_context")


@exercise("04_4.1")
def load_or_build(answer):
    with tempfile.TemporaryDirectory() as folder:
        path, rebuild = Path(folder) / "tiny.plan", _Rebuild()
        steps = (
            ("the file is missing", 1, "catch the PlanError that tl.load raises, and call rebuild()."),
            ("the file is there and whole", 1, "a plan that loads needs no rebuild; did you save it at `path`?"),
            ("the file is damaged", 2, "a file that exists need not load: catch the PlanError."),
            (
                "the file was damaged, now it is asked for again",
                2,
                "save the new plan at `path`, over the damaged one.",
            ),
        )
        for number, (case, calls, hint) in enumerate(steps):
            if number == 2 and path.is_file():
                damaged = bytearray(path.read_bytes())
                damaged[len(damaged) // 2] ^= 1
                path.write_bytes(bytes(damaged))
            expected = f"an engine; {calls} rebuild{'s' if calls > 1 else ''} in all ({case})"
            try:
                got = answer(path, rebuild)
            except tl.errors.PlanError:
                return wrong(yours=f"a PlanError, when {case}", expected=expected, hint=hint)
            if not _is_engine(got):
                return wrong(yours=got, expected=expected, hint="return the engine: report.engine() gives one.")
            if rebuild.calls != calls:
                return wrong(yours=f"{rebuild.calls} rebuilds, when {case}", expected=expected, hint=hint)
        return _shows_other_errors(answer, Path(folder) / "other.plan")


def _shows_other_errors(answer, path):
    def broken():
        raise tl.errors.BuildError("no way to build this")

    try:
        answer(path, broken)
    except tl.errors.BuildError:
        return right("Every program that keeps plans needs these few lines.")
    return wrong(
        yours="nothing was raised when rebuild() failed", expected="the BuildError of rebuild()",
        hint="catch PlanError alone, and only around tl.load.",
    )  # fmt: skip


def _any_rows(network):
    trt = tl.trt
    x = network.add_input("rows", trt.float32, (-1, 6))
    y = network.add_activation(x, trt.ActivationType.RELU).get_output(0)
    y.name = "out"
    network.mark_output(y)


@exercise("04_4.2")
def passport(answer):
    how = {"level": 0, "cache": False, "timing_cache": False, "progress": False}
    built = tl.build(_any_rows, profiles={"rows": ((1, 6), (2, 6), (5, 6))}, **how)
    wanted = {
        "rows": {"input": True, "shape": (-1, 6), "largest": (5, 6)},
        "out": {"input": False, "shape": (-1, 6), "largest": None},
    }
    got = answer(built.plan)
    if not isinstance(got, dict) or set(got) != set(wanted):
        names = sorted(got) if isinstance(got, dict) else got
        return wrong(yours=names, expected="a dict with the names of all inputs and outputs", hint="num_io_tensors.")
    for name, facts in wanted.items():
        for key, value in facts.items():
            told = got[name].get(key) if isinstance(got[name], dict) else None
            told = tuple(told) if key != "input" and told is not None else told
            if told != value:
                hints = {
                    "input": "get_tensor_mode(name) == trt.TensorIOMode.INPUT: a bool.",
                    "shape": "ask the engine, which knows no batch: an open size stays -1.",
                    "largest": "a profile has min, opt and max, for inputs alone.",
                }
                return wrong(yours=f"{name}: {key} {told!r}", expected=f"{name}'s {key}", hint=hints[key])
    for data, called in ((b"", "no bytes"), (digits.onnx_path().read_bytes(), "an ONNX file")):
        try:
            told = answer(data)
        except Exception as problem:
            told = f"{type(problem).__name__}: {problem}"
        if told is not None:
            return wrong(yours=f"{told} for {called}", expected="None for bytes that do not load", hint="PlanError.")
    return right("Every fact came from the engine, none from the file's name.")


@exercise("04_4.3")
def smaller(answer, report):
    made = answer()
    if not hasattr(made, "plan"):
        return wrong(yours=made, expected="a BuildReport", hint="return what tl.build gives.")
    share = made.size / report.size
    told = f"{made.size:,} bytes, {share:.0%} of {report.size:,}"
    if share > 0.7:
        hint = "how many bytes does one weight take? Lesson 04_1 has types with fewer."
        return wrong(yours=told, expected="at most 70 %", hint=hint)
    data = digits.data()
    images, labels = data.test_images, data.test_labels
    try:
        with tl.Session(made) as session:
            parts = [(i, min(i + 64, len(images))) for i in range(0, len(images), 64)]
            found = np.concatenate([session.infer(images[a:b])["logits"].argmax(axis=1) for a, b in parts])
            session.infer(images[:1])
    except tl.errors.LessonError as problem:
        hint = "the same profile as before: 1 to 64 pictures, float32 outside."
        return wrong(yours=str(problem).splitlines()[0], expected="1 to 64 pictures are taken", hint=hint)
    accuracy = float((found == labels).mean())
    if accuracy < 0.99:
        hint = "is it the same network, and were its scales calibrated with digits?"
        return wrong(yours=f"{accuracy:.1%} of {len(labels)}", expected="at least 99 % read right", hint=hint)
    return right(f"{told}; {accuracy:.1%} read right.")
