"""Checks of lesson 08, NVIDIA's compiler asked."""

import numpy as np

import trt_lessons as tl
from trt_lessons.engines.layers import Row, Table
from trt_lessons.workbook.exercises import exercise, right, wrong

RANGE = {"images": ((1, 1, 32, 32), (8, 1, 32, 32), (32, 1, 32, 32))}


def _table():
    held = {"a": ["conv", "relu"], "b": ["pool"], "c": [], "d": ["sum"]}
    return Table(Row(name, "kgen" if origins else "signal", "FP32", origins) for name, origins in held.items())


@exercise("08.1")
def alone(answer):
    got, expected = answer(_table()), "the names b and d: b holds pool, d holds sum, a holds two, c none"
    if got is None:
        return wrong(yours=got, expected=expected, hint="end with `return`.")
    if list(got) == ["b", "c", "d"]:
        return wrong(yours=got, expected=expected, hint="c is a signal: it holds no network layer, not one.")
    if list(got) == ["pool", "sum"]:
        return wrong(yours=got, expected=expected, hint="these are network layers; the engine layer is row.name.")
    if list(got) != ["b", "d"]:
        return wrong(yours=got, expected=expected, hint="how long is row.origins?")
    return right("A layer that stands alone is the first place to look for a broken fusion.")


def _logits(model):
    import onnxruntime

    pictures = tl.models.digits.data().test_images[:200]
    data = model if isinstance(model, bytes) else model.SerializeToString()
    return onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(None, {"images": pictures})[0]


@exercise("08.2", points=2)
def small(answer):
    if not hasattr(answer, "SerializeToString"):
        return wrong(yours=answer, expected="an onnx.ModelProto", hint="what do the helpers of `precision` return?")
    base = tl.models.digits.onnx_path()
    there = bool(tl.nvidia.available())
    if there:
        before, after = (tl.nvidia.ask(m, "SM86", RANGE)["SM86"] for m in (base, answer))
        if not after.built:
            return wrong(yours=after.words[:160], expected="a plan for SM86", hint="which cards have this type?")
        share, unit = after.plan_bytes / before.plan_bytes, "of the FP32 plan"
    else:
        share, unit = answer.ByteSize() / base.stat().st_size, "of the FP32 model (no compiler is here to ask)"
    if share > 0.55:
        hint = "eight bits bring more kernels, so this small network does not profit: how many bytes has a half?"
        return wrong(yours=f"{share:.0%} {unit}", expected="at most 55 %", hint=hint)
    try:
        logits = _logits(answer)
    except Exception as problem:  # onnxruntime's own exceptions
        told = str(problem).splitlines()[0][:120]
        hint = "onnxruntime on this CPU cannot run it: which other type has two bytes?"
        return wrong(yours=told, expected="a model that runs here too", hint=hint)
    same = float(np.mean(logits.argmax(1) == _logits(base.read_bytes()).argmax(1)))
    if same < 0.98:
        hint = "weights that are taken away are bytes saved, and answers lost."
        return wrong(yours=f"{same:.0%} same digits", expected="at least 98 %", hint=hint)
    return right("Half the bytes, the same digits.")


@exercise("08.3")
def mended(answer):
    expected = "a network that builds: half FP16 and full FP32, both 4x4, one output in FP32"
    try:
        report = tl.build(answer, cache=False)
    except Exception as problem:
        text = str(problem)
        types = "type" in text.lower()
        hint = "the sum still gets two types: add_cast." if types else "end with network.mark_output(tensor)."
        return wrong(yours=text.splitlines()[0], expected=expected, hint=hint)
    inputs = {t["name"]: t["dtype"] for t in report.inputs}
    if inputs != {"half": "float16", "full": "float32"}:
        return wrong(yours=inputs, expected=expected, hint="keep the inputs as they are, convert after them.")
    if [t["dtype"] for t in report.outputs] != ["float32"]:
        made = [t["dtype"] for t in report.outputs]
        return wrong(yours=made, expected=expected, hint="convert the FP16 side: then no digit is lost.")
    session = tl.Session(report)
    half, full = np.full((4, 4), 0.5, np.float16), np.full((4, 4), 1 + 2**-20, np.float32)
    got = next(iter(session.infer({"half": half, "full": full}).values()))
    if not np.array_equal(got, half.astype(np.float32) + full):
        return wrong(yours=float(got[0, 0]), expected="the sum, computed in FP32", hint="which side was converted?")
    return right("Types are yours to say: the builder converts nothing for you.")
