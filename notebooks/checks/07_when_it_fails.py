"""Checks of lesson 07, failures of installation, precision, build and load."""

import os
import re
import tempfile
from unittest import mock

import numpy as np

import trt_lessons as tl
from trt_lessons.models import digits
from trt_lessons.workbook.exercises import exercise, right, wrong

SAID = {
    "A": (
        re.compile("no optimization profile has been defined"),
        "a build without any profile: what does fill_build take then?",
    ),
    "B": (re.compile("missing dimensions in profile"), "the profile must be there, and know nothing of `rows`."),
    "C": (
        re.compile("does not match network definition|[Dd]imension mismatch"),
        "min, opt and max have 3 where the network has 4, in dimension 1; the name is right.",
    ),
}


@exercise("07.1")
def cause(answer):
    log = tl.compat.shared_log()
    for letter, (wanted, hint) in SAID.items():
        mark = len(log.records)
        made = answer(letter)
        lines = [text for kind, text in log.records[mark:] if kind.endswith("ERROR")]
        expected = f"a build that fails with line {letter}"
        if made is not None:
            return wrong(yours=f"{letter}: {type(made).__name__}, no failure", expected=expected, hint=hint)
        if not lines:
            return wrong(
                yours=f"{letter}: TensorRT wrote no error", expected=expected,
                hint="call fill_build(builder, relu, ...), and return what it gives.",
            )  # fmt: skip
        if not any(wanted.search(line) for line in lines):
            return wrong(yours=f"{letter}: {lines[0][-120:]}", expected=expected, hint=hint)
    return right("Who can cause a message knows what it means.")


@exercise("07.2")
def build_half(answer):
    data = digits.onnx_path().read_bytes()
    try:
        made = answer(b"no model at all")
    except ValueError:
        pass
    except Exception as problem:
        return wrong(
            yours=f"{type(problem).__name__} for bytes that are no model: {problem}", expected="ValueError",
            hint="look at what parse answers before you go on.",
        )  # fmt: skip
    else:
        return wrong(
            yours=f"{type(made).__name__} for bytes that are no model", expected="ValueError",
            hint="parse answers with a bool: look at it.",
        )  # fmt: skip
    plan, free = _built(answer, data)
    if plan is None:
        said = tl.compat.shared_log().errors[-1:]
        return wrong(
            yours=f"None; the log: {' '.join(said)[-120:]}", expected="a plan",
            hint="is the profile for the input's right name, and was it added to the config?",
        )  # fmt: skip
    engine = tl.load(plan)
    kinds = tl.layers.products(engine)
    if kinds.count("FP16") < 0.5 * len(kinds) and not free:
        return wrong(
            yours=f"products in {', '.join(sorted(set(kinds)))}", expected="products in FP16",
            hint="precision stands in the model, and this one is FP32: failure 4.",
        )  # fmt: skip
    return _reads(engine)


def _built(answer, data):
    """The plan, and whether its build had an FP16 model and the permission that a weakly typed TensorRT (8.6) needs.

    That TensorRT was then free to choose, and may take FP32, above all on a busy machine: the answer is right, also
    where `tl.build` finds no FP16 in that engine. A plan out of the cache would not say what its build was given.
    """
    trt, halves, free, plans = tl.trt, [False], [], []
    parse, build = trt.OnnxParser.parse, trt.Builder.build_serialized_network

    def watched_parse(parser, model, *more, **named):
        halves.append(_is_half(model))
        return parse(parser, model, *more, **named)

    def watched_build(builder, network, config):
        weak = not tl.compat.strongly_typed()
        free.append(halves[-1] and weak and config.get_flag(trt.BuilderFlag.FP16))  # trt: <11
        plans.append(build(builder, network, config))
        return plans[-1]

    with (
        tempfile.TemporaryDirectory() as empty,
        mock.patch.dict(os.environ, {"TRT_LESSONS_CACHE": empty}),
        mock.patch.object(trt.OnnxParser, "parse", watched_parse),
        mock.patch.object(trt.Builder, "build_serialized_network", watched_build),
    ):
        try:
            return answer(data), any(free)
        except tl.errors.PrecisionError:
            if not any(free):
                raise
            return plans[-1], True


def _is_half(model):
    """Whether the weights of an ONNX model, given as bytes, are in FP16."""
    import onnx

    return any(w.data_type == onnx.TensorProto.FLOAT16 for w in onnx.load_from_string(bytes(model)).graph.initializer)


def _reads(engine):
    told = digits.data()
    with tl.Session(engine) as session:
        for count in (1, 8):
            try:
                found = session.infer(told.test_images[:count].astype(np.float32))["logits"].argmax(axis=1)
            except tl.errors.LessonError as problem:
                return wrong(
                    yours=f"{count} pictures: {problem}", expected="1 to 8 pictures are taken",
                    hint="min 1, max 8 in the profile.",
                )  # fmt: skip
            if (found != told.test_labels[:count]).sum() > 1:
                return wrong(yours=f"{found}", expected=f"{told.test_labels[:count]}", hint="is it the same model?")
    return right("Four mistakes, and TensorRT named only two of them.")


def _models():
    """(what is asked, an ONNX model, its first bad node): loud in the first or second convolution, or in none."""
    from onnx import numpy_helper

    def louder(factors):
        model = tl.models.convolutions()
        for array, factor in zip(model.graph.initializer, factors, strict=True):
            values = numpy_helper.to_array(array) * np.float32(factor)
            array.CopyFrom(numpy_helper.from_array(values, array.name))
        return model

    big = 2.0**16
    yield "convolutions with a loud middle", louder((1, big, 1 / big)), "conv1"
    yield "the convolutions of failure 8", louder((big, 1 / big, 1)), "conv0"
    yield "convolutions where nothing is loud", louder((1, 1, 1)), None


def _as_good(wanted):
    """A weakly typed TensorRT (8.6, 10) may keep a convolution's result in FP32, so that a node behind it is first."""
    names = ["conv0", "relu0", "conv1", "relu1", "conv2", "relu2"]
    if wanted is None or tl.compat.strongly_typed():
        return []
    return names[names.index(wanted) + 1 :][:2]


@exercise("07.3")
def first_bad(answer):
    x = np.random.default_rng(3).random((16, 64, 48, 48), np.float32)
    for called, model, wanted in _models():
        got = answer(model, x)
        if got == wanted or got in _as_good(wanted):
            continue
        hint = "compare in the graph's order, and stop at the first."
        if got is None:
            hint = "NaN > 0.02 is False: ask `not error < 0.02`."
        elif wanted is None:
            hint = "FP16 is allowed 2 %: is each output compared with the same output in FP32?"
        elif got == "conv0":
            hint = "the node is found, not fixed: build the model that was given, and compare inner tensors."
        return wrong(yours=f"{got!r} for {called}", expected="the first node that leaves FP32 by over 2 %", hint=hint)
    return right("With such a function a model of 500 nodes is no harder than one of 6.")
