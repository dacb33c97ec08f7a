"""Figures that are no lesson's, taken on a GPU in one run and recorded under the name "benchmarks".

    TRT_LESSONS_RECORD=1 python tests/benchmarks/on_a_gpu.py [part ...]

Parts: infer (host time a call), stream (the pipeline against its bound), runners (TensorRT beside PyTorch and
onnxruntime), resnet (trtexec's method at three batches), card (what this card can do at most).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper

import trt_lessons as tl
from trt_lessons import baselines, cuda, precision, roofline
from trt_lessons.models import digits, random_weights


def host_us(calls: dict[str, Callable[[], object]], rounds: int = 12, count: int = 150) -> dict[str, float]:
    """Median host time of each call in microseconds. They take turns, so that a warmer card favours none."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            for _ in range(count):
                start = time.perf_counter()
                call()
                took = time.perf_counter() - start
                if number:  # the first round warms up
                    times[name].append(took)
    return {name: 1e6 * float(np.median(found)) for name, found in times.items()}


def digits_report(batch: int = 64, level: int = 2) -> tl.build.BuildReport:
    """The digits network for batches up to `batch`."""
    shape = (1, digits.SIZE, digits.SIZE)
    ranges = {"images": ((1, *shape), (batch, *shape), (batch, *shape))}
    return tl.build(digits.onnx_path(), profiles=ranges, level=level)


def bare_loop(session: tl.Session, images: np.ndarray) -> Callable[[], object]:
    """The same copies and the same enqueue by raw calls, everything prepared beforehand."""
    context, stream = session.new_context() if tl.compat.version() >= (9, 0) else session.context, cuda.Stream()
    host_in, host_out = (
        cuda.pagelocked_empty(images.shape, np.float32),
        cuda.pagelocked_empty((len(images), 10), np.float32),
    )
    device_in, device_out = cuda.mem_alloc(host_in.nbytes), cuda.mem_alloc(host_out.nbytes)
    context.set_input_shape("images", images.shape)
    context.set_tensor_address("images", int(device_in))
    context.set_tensor_address("logits", int(device_out))

    def once() -> np.ndarray:
        host_in[...] = images
        cuda.memcpy_htod_async(device_in, host_in, stream)
        context.execute_async_v3(stream.handle)
        cuda.memcpy_dtoh_async(host_out, device_out, stream)
        stream.synchronize()
        return host_out.copy()

    return once


def infer() -> dict:
    """Host time of one `infer` call: ours, the bare loop's, Polygraphy's; us."""
    from polygraphy.backend.trt import EngineFromBytes, TrtRunner

    report, images = digits_report(), digits.data().test_images[:1].copy()
    ours, graph, raw = (tl.Session(report) for _ in range(3))
    with ours, graph, raw, TrtRunner(EngineFromBytes(report.plan)) as runner:
        return host_us(
            {
                "tl.Session.infer": lambda: ours.infer(images),
                "tl.Session.infer, CUDA graph": lambda: graph.infer(images, graph=True),
                "bare loop": bare_loop(raw, images),
                "polygraphy TrtRunner.infer": lambda: runner.infer({"images": images}),
            }
        )


def pooled() -> bytes:
    """A network whose copy in is its slowest part: a large picture in, three means out."""
    node = helper.make_node("ReduceMean", ["images"], ["means"], name="means", axes=[2, 3], keepdims=0)
    shape = helper.make_tensor_value_info("images", 1, [64, 3, 256, 256])
    graph = helper.make_graph([node], "means", [shape], [helper.make_tensor_value_info("means", 1, [64, 3])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def stream() -> dict:
    """Batches a second of `stream()` against the bound: the slowest of copy in, compute and copy out."""
    session = tl.Session(tl.build(pooled(), level=1, name="means"))
    timing = tl.measure(session, name="stream: parts", duration_s=1)
    slowest = max(timing.median(kind) for kind in ("h2d", "compute", "d2h"))
    batch = tl.pinned((64, 3, 256, 256))
    batch[...] = np.random.default_rng(0).random(batch.shape, np.float32)
    count = 400
    for _ in session.stream(batch for _ in range(20)):
        pass
    start = time.perf_counter()
    for _ in session.stream(batch for _ in range(count)):
        pass
    each = 1000 * (time.perf_counter() - start) / count
    start = time.perf_counter()
    for _ in range(50):
        session.infer(batch)
    alone = 1000 * (time.perf_counter() - start) / 50
    return {"bound ms": slowest, "stream ms": each, "share of the bound": slowest / each, "infer ms": alone}


def runners() -> dict:
    """One network, one batch, one method: TensorRT in four precisions, PyTorch three ways, onnxruntime."""
    data, batch = digits.data(), 256
    images, model = np.tile(data.test_images[:128], (2, 1, 1, 1)), onnx.load(str(digits.onnx_path()))
    ranges = {"images": (images.shape, images.shape, images.shape)}
    module, rows = digits.trained(), {}
    reference = baselines.ort(model, {"images": images}).output()
    int8 = precision.quantize(model, data.train_images[:100])
    graphs = {
        "FP32": (model, "fp32"),
        "TF32": (model, "tf32"),
        "FP16": (precision.to_fp16(model), "fp16"),
        "INT8": (precision.to_fp16(int8) if tl.compat.strongly_typed() else int8, "int8+fp16"),
    }
    for name, (graph, asked) in graphs.items():
        with tl.Session(tl.build(graph, profiles=ranges, level=2, precision=asked, name=name)) as session:
            how = {"graph": True, "transfers": False, "duration_s": 1}
            timing = tl.measure(session, images, name=f"TensorRT {name}, batch {batch}", **how)
            error = baselines.error(reference, session.infer(images)["logits"])
            rows[f"TensorRT {name}"] = {"timing": timing, "error": error}
    ways = {
        "PyTorch eager": baselines.eager,
        "PyTorch compiled": baselines.compiled,
        "PyTorch graph": baselines.graphed,
    }
    for name, way in ways.items():
        for half in (False, True):
            label = f"{name} {'FP16' if half else 'FP32'}"
            try:
                runner = way(module, images, half=half)
                timing = runner.measure(name=f"{label}, batch {batch}", duration_s=1)
                rows[label] = {"timing": timing, "error": baselines.error(reference, runner.output())}
            except Exception as problem:
                print(label, "failed:", repr(problem)[:300])
    runner = baselines.ort(model, {"images": images})
    timing = runner.measure(name=f"onnxruntime on the CPU, batch {batch}", duration_s=1)
    rows["onnxruntime, CPU"] = {"timing": timing, "error": baselines.error(reference, runner.output())}
    return rows


def resnet() -> dict:
    """ResNet-50's shape by trtexec's method (spin wait, no transfers), with and without a CUDA graph."""
    model = onnx.load(str(random_weights.resnet50()))
    one, found = (3, 224, 224), {}
    for kind, graph in (("FP32", model), ("FP16", precision.to_fp16(model))):
        ranges = {"images": ((1, *one), (8, *one), (32, *one))}
        report = tl.build(graph, profiles=ranges, name=f"resnet50 {kind}")
        print(kind, f"built in {report.seconds:.1f} s", flush=True)
        with tl.Session(report) as session:
            for batch in (1, 8, 32):
                for launched in (False, True):
                    name = f"resnet50 {kind}, batch {batch}{', graph' if launched else ''}"
                    how = {"transfers": False, "graph": launched, "spin": True, "shapes": {"images": (batch, *one)}}
                    timing = tl.measure(session, name=name, **how)
                    ms = {k: timing.median(k) for k in ("compute", "enqueue")}
                    found[name] = ms | {"build s": report.seconds, "throughput": timing.throughput}
                    print(name, ms, flush=True)
    return found


def card() -> dict:
    """Memory bandwidth and matrix rates of this card, measured."""
    return roofline.card("card").value


PARTS = {"infer": infer, "stream": stream, "runners": runners, "card": card, "resnet": resnet}


def main(names: list[str]) -> None:
    """Take the named parts, or all."""
    tl.lesson("benchmarks")
    for name in names or PARTS:
        start = time.perf_counter()
        try:
            found = tl.live_or_recorded(name, PARTS[name]).value
            print(name, f"{time.perf_counter() - start:.0f} s", found, flush=True)
        except Exception as problem:
            print(name, "failed:", repr(problem)[:1000], flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
