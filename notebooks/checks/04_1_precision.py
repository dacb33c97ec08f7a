"""Checks of lesson 04_1, choose a precision."""

import numpy as np

import trt_lessons as tl
from trt_lessons import precision
from trt_lessons.models import digits
from trt_lessons.workbook.exercises import exercise, right, wrong

PRODUCTS = 14  # 13 convolutions and the classifier


@exercise("04_1.1")
def exact(answer):
    flags = tl.trt.BuilderFlag
    builder = tl.compat.create_builder(tl.Log(print_from=None))
    config, network = builder.create_builder_config(), tl.compat.create_network(builder)
    config.set_flag(flags.DISABLE_TIMING_CACHE)
    answer(config, network)
    found = tl.compat.flags(config)
    yours, expected = f"flags: {', '.join(found) or 'none'}", "all flags as before, except TF32"
    if "TF32" in found:
        return wrong(yours=yours, expected=expected, hint="TF32 is still allowed: it is on in every new config.")
    if "DISABLE_TIMING_CACHE" not in found:
        return wrong(yours=yours, expected=expected, hint="another flag is gone too: take away only one.")
    if len(found) > 1:
        return wrong(yours=yours, expected=expected, hint="you set a flag that nobody asked for.")
    return right("TF32 is the one precision flag that is left in TensorRT 11.")


@exercise("04_1.2")
def overflow_cured(answer):
    puzzle = precision.rescale(digits.onnx_path(), "block4.norm1", "block4.conv2", 2.0**17)
    expected = "an FP16 engine of the puzzle, as a report of tl.build"
    if not hasattr(answer, "plan"):
        return wrong(yours=type(answer).__name__, expected=expected, hint="put what tl.build returns into `cured`.")
    half = _products(answer, "FP16")
    if half < PRODUCTS - 2:
        hint = "too little computes in FP16: keep few nodes in FP32."
        return wrong(yours=f"{half} products in FP16", expected=f"{PRODUCTS - 2} or more of {PRODUCTS}", hint=hint)
    images = digits.data().test_images[:32]
    logits = _logits(answer, images)
    error = precision.compare(logits, precision.on_cpu(puzzle, {"images": images})).relative
    if not np.isfinite(logits).all():
        hint = "there are still infinities: keep every node beyond 65504, and the one that reads them."
        return wrong(yours="logits that are not finite", expected="finite logits", hint=hint)
    if error > 0.02:
        hint = "the numbers are finite now, but FP16 has rounded some that should stay in FP32."
        return wrong(yours=f"difference {error:.1%}", expected="2 % at most", hint=hint)
    return right(f"{half} of {PRODUCTS} products in FP16, difference {error:.2%}.")


@exercise("04_1.3", points=2)
def mixed(answer):
    expected = "a mixed engine, as a report of tl.build"
    if not hasattr(answer, "plan"):
        return wrong(yours=type(answer).__name__, expected=expected, hint="put what tl.build returns into `mixed`.")
    eight = _products(answer, "INT8")
    if eight < 10:
        hint = "too little computes in INT8: leave fewer layers out."
        return wrong(yours=f"{eight} products in INT8", expected=f"10 or more of {PRODUCTS}", hint=hint)
    data = digits.data()
    logits, reference = (
        _logits(answer, data.test_images), precision.on_cpu(digits.onnx_path(), {"images": data.test_images}),
    )  # fmt: skip
    error = precision.compare(logits, reference).relative
    if error >= 0.01:
        hint = "still too far from FP32: which layers touch the pictures, and which the answer?"
        return wrong(yours=f"largest difference {error:.2%}", expected="less than 1 %", hint=hint)
    lost = digits.accuracy(reference, data.test_labels) - digits.accuracy(logits, data.test_labels)
    if lost > 0.005:
        hint = "another layer is sensitive too."
        return wrong(yours=f"accuracy {lost:.4f} lower", expected="0.005 lower at most", hint=hint)
    share = _share_of_fp16(answer) if tl.backend.is_gpu() else None
    if share is not None and share > 0.9:
        hint = "right, but not fast enough: is the rest in FP16, and does every pair disappear into a kernel?"
        return wrong(yours=f"{share:.0%} of FP16's time", expected="90 % at most", hint=hint)
    speed = "" if share is None else f", {share:.0%} of FP16's time"
    return right(f"{eight} of {PRODUCTS} products in INT8, largest difference {error:.2%}{speed}.")


def _products(report, kind):
    """How many convolutions and matrix products of an engine compute in `kind`."""
    return tl.compat.products_in(tl.compat.engine_layers(report.engine()), kind)


def _logits(report, images):
    with tl.Session(report) as session:
        return session.infer(images)["logits"]


def _share_of_fp16(report):
    """Median time of the answer over FP16's, 256 pictures as a CUDA graph."""
    one = digits.data().test_images[:256]
    shapes = {"images": [(1, *one.shape[1:]), one.shape, (450, *one.shape[1:])]}
    half = tl.build(precision.to_fp16(digits.onnx_path()), precision="fp16", profiles=shapes, level=1, progress=False)
    times = []
    for engine in (report, half):
        with tl.Session(engine) as session:
            times.append(tl.measure(session, one, graph=True, transfers=False, duration_s=0.5).median())
    return times[0] / times[1]
