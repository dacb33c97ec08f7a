"""Checks of lesson 04_5, choose the settings that matter."""

from unittest.mock import patch

import numpy as np
import onnx

import trt_lessons as tl
from trt_lessons import precision
from trt_lessons.workbook.exercises import exercise, right, wrong


def not_a_report(got):
    """What to say to an answer that is no report of `tl.build`."""
    return wrong(yours=type(got).__name__, expected="the report of tl.build", hint="return what tl.build returns.")


def elsewhere():
    """What to say to a report of which `tl.build` knows nothing."""
    return wrong(yours="an engine from elsewhere", expected="an engine of tl.build", hint="build with tl.build.")


def watched(answer, *given):
    """The answer's result for `given`, and (model, configure) of each call of `tl.build` that it made."""
    seen, real = [], tl.build

    def build(model, *rest, **options):
        seen.append((model, options.get("configure")))
        return real(model, *rest, **options)

    with patch.object(tl, "build", build, create=True):
        return answer(*given), seen


def types_of(model):
    """{node: "fp16" or another type} of an ONNX model, casts left out: the same for every TensorRT."""
    return {node: kind for kind in ("fp32", "fp16", "bf16") for node in precision.nodes_in(model, kind)}


@exercise("04_5.1")
def kept_engine(answer):
    for name in ("conv2", "conv3"):
        report, seen = watched(answer, tl.models.tower(2, channels=64, size=8), name)
        if not isinstance(report, tl.BuildReport):
            return not_a_report(report)
        if not seen:
            return elsewhere()
        if callable(seen[-1][0]):
            return wrong(
                yours="a network from a function", expected="the ONNX model, with its types",
                hint="types stand in the graph: precision.to_fp16 writes them.",
            )  # fmt: skip
        types = types_of(seen[-1][0])
        told = ", ".join(f"{key} {kind.upper()}" for key, kind in sorted(types.items()) if key.startswith("conv"))
        expected = f"{name} and what follows it in FP32, the other three convolutions in FP16"
        if types.get(name) != "fp32":
            hint = f"the node to keep is {name}; it computes in FP16 here."
            return wrong(yours=told, expected=expected, hint=hint)
        if any(kind != "fp16" for key, kind in types.items() if key.startswith("conv") and key != name):
            return wrong(yours=told, expected=expected, hint="only one convolution is asked to stay: keep no other.")
        if types.get(name.replace("conv", "relu")) != "fp32":
            return wrong(
                yours=f"{name} between two casts", expected=expected,
                hint="a compiler may fold cast, convolution and cast into one FP16 kernel: keep its ReLU as well.",
            )  # fmt: skip
    return right(
        "The numbers between convolution and ReLU stay FP32; on 8.6, which is weakly typed, it is still a wish."
    )


def two_to_four(kernel):
    """Is a kernel [out, in, h, w] 2:4 along its input channels?"""
    fours = kernel.reshape(len(kernel), -1, 4, *kernel.shape[2:])
    return bool((np.count_nonzero(fours, axis=2) <= 2).all())


def kept_largest(before, after):
    """Are the weights that are left the largest two of each four, as they were (to FP16's digits)?"""
    fours = np.abs(before.reshape(len(before), -1, 4, *before.shape[2:]))
    left = np.sort(fours, axis=2)[:, :, 2:].sum()
    return bool(np.isclose(np.abs(after.astype(np.float64)).sum(), left, rtol=1e-2))


def kernels(model):
    """The 4-D weights of an ONNX model, by name."""
    found = {w.name: onnx.numpy_helper.to_array(w) for w in model.graph.initializer}
    return {name: w for name, w in found.items() if w.ndim == 4}


@exercise("04_5.2")
def sparse_engine(answer):
    model = tl.models.tower(2, channels=64, size=8)
    before = model.SerializeToString()
    report, seen = watched(answer, model)
    if not isinstance(report, tl.BuildReport):
        return not_a_report(report)
    if not seen:
        return elsewhere()
    if model.SerializeToString() != before:
        return wrong(
            yours="the model that was given has changed", expected="it is as it was",
            hint="prune a copy: the caller may need the dense weights again.",
        )  # fmt: skip
    built, configure = seen[-1]
    built = precision.read(built)
    bad = [name for name, kernel in kernels(built).items() if not two_to_four(kernel)]
    if bad:
        return wrong(
            yours=f"{len(bad)} of {len(kernels(built))} kernels are not 2:4", expected="every 4-D weight pruned",
            hint="prune each kernel of the model that is built.",
        )  # fmt: skip
    dense = kernels(tl.models.tower(2, channels=64, size=8))
    if not all(kept_largest(old, new) for old, new in zip(dense.values(), kernels(built).values(), strict=True)):
        return wrong(
            yours="other weights are left than the largest", expected="the two largest of each four",
            hint="prune keeps the two that matter most: use it on the FP32 weights.",
        )  # fmt: skip
    if "fp32" in precision.kinds(built):
        return wrong(
            yours="an FP32 graph", expected="FP16", hint="tensor cores skip zeros in FP16: convert the pruned model."
        )
    trt, config = tl.trt, tl.trt.Builder(tl.Log(print_from=None)).create_builder_config()
    if configure:
        configure(config, None)
    if not config.get_flag(trt.BuilderFlag.SPARSE_WEIGHTS):
        return wrong(
            yours="SPARSE_WEIGHTS is off", expected="on",
            hint="without the flag nobody looks at the pattern: give tl.build a configure.",
        )  # fmt: skip
    return right("Every convolution is eligible; whether a sparse kernel wins is up to the race.")


def shapes(most):
    """The service's profile."""
    return {"x": tuple((n, 128, 32, 32) for n in (1, 8, most))}


@exercise("04_5.3", points=2)
def lean(answer):
    model = tl.models.tower("batch")
    plain = tl.build(model, profiles=shapes(64), level=1, precision="fp32")
    report = answer(tl.models.tower("batch"))
    if not isinstance(report, tl.BuildReport):
        return not_a_report(report)
    needs, had = (tl.compat.device_memory(one.engine()) for one in (report, plain))
    if needs > had / 6:
        return wrong(
            yours=f"{needs / 2**20:.1f} MiB for a context", expected=f"at most a sixth of {had / 2**20:.1f} MiB",
            hint="the activations are planned for the profile's largest batch.",
        )  # fmt: skip
    session, reference = tl.Session(report), tl.Session(plain)
    for batch in (1, 5, 8):
        x = np.random.default_rng(batch).standard_normal((batch, 128, 32, 32), np.float32)
        try:
            found = session.infer(x.astype(session.inputs["x"].dtype))["y"].astype(np.float32)
        except tl.errors.ShapeError:
            return wrong(yours=f"batch {batch} is refused", expected="1 to 8", hint="the profile takes 1 to 8.")
        away = precision.compare(found, reference.infer(x)["y"]).relative
        if not away < 0.01:
            return wrong(
                yours=f"{away:.1%} away from FP32", expected="less than 1 %",
                hint="which type keeps 10 bits or more of each number?",
            )  # fmt: skip
    if not tl.backend.is_gpu():
        types = {one["precision"] for one in tl.compat.engine_layers(report.engine()) if tl.compat.is_compute(one)}
        if "FP32" in types:
            return wrong(
                yours="convolutions in FP32", expected="a type of half the bytes",
                hint="less memory is done; the time comes from what the convolutions compute in.",
            )  # fmt: skip
        return right(f"{had / 2**20:.0f} MiB became {needs / 2**20:.1f}, and no convolution computes in FP32.")
    options = {"shapes": {"x": (8, 128, 32, 32)}, "graph": True, "transfers": False, "duration_s": 0.5}
    mine, usual = (tl.measure(one, **options).median() for one in (session, reference))
    if mine > 0.8 * usual:
        return wrong(
            yours=f"{mine:.4f} ms", expected=f"at most 80 % of {usual:.4f} ms",
            hint="less memory is done; the time comes from what the convolutions compute in.",
        )  # fmt: skip
    return right(f"{had / 2**20:.0f} MiB became {needs / 2**20:.1f}, and {usual:.4f} ms became {mine:.4f} ms.")
