"""Figures that are no lesson's, taken on a GPU in one run and recorded under the name "benchmarks".

    TRT_LESSONS_RECORD=1 python tests/benchmarks/on_a_gpu.py [--level 3] [part ...]

Parts: infer (host time a call), stream (the pipeline against its bound), runners (TensorRT beside PyTorch and
onnxruntime), resnet (our method beside trtexec's loop, at three batches), card (what this card can do at most).
`--level` is the optimization level of resnet's builds.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import onnx
import trtexec_loop
from onnx import helper

import trt_lessons as tl
from trt_lessons import baselines, cuda, precision, recordings, roofline
from trt_lessons.models import digits, random_weights


def host_us(calls: dict[str, Callable[[], object]], rounds: int = 12, count: int = 150) -> dict[str, float]:
    """Median host time of each call in microseconds.

    They take turns, in another order each round, and the first third of a turn does not count: so none gains or
    loses by who was before it (the card's clock, the caches), or by a card that grows warm.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            call, took = calls[name], []
            for _ in range(count):
                start = time.perf_counter()
                call()
                took.append(time.perf_counter() - start)
            times[name] += took[count // 3 :]
    return {name: 1e6 * float(np.median(found)) for name, found in times.items()}


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """TimeoutError when what is inside takes longer and Python gets a turn."""

    def late(*_: object) -> None:
        raise TimeoutError(f"took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def attempt(part: str, rows: dict[str, Any], name: str, work: Callable[[], dict], seconds: int = 0) -> None:
    """rows[name] = work(), or what went wrong, in words: one that fails takes no other with it.

    All rows so far are recorded as `part`, in case that the process ends before the others. seconds: a limit for
    what runs in Python; none (0) for TensorRT's builds, whose calls of our logger must not raise.
    """
    try:
        with at_most(seconds):
            rows[name] = work()
    except Exception as problem:
        rows[name] = {"failed": repr(problem)[:500]}
    print(name, rows[name], flush=True)
    recordings.save(part, rows)


def digits_report(batch: int = 64, level: int = 2) -> tl.build.BuildReport:
    """The digits network for batches up to `batch`."""
    shape = (1, digits.SIZE, digits.SIZE)
    ranges = {"images": ((1, *shape), (batch, *shape), (batch, *shape))}
    return tl.build(digits.onnx_path(), profiles=ranges, level=level)


def bare_loop(session: tl.Session, images: np.ndarray) -> Callable[[], object]:
    """The same copies and the same enqueue by raw calls, everything prepared beforehand."""
    context, stream = session.new_context() if tl.compat.contexts_share_profiles() else session.context, cuda.Stream()
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


def tensorrt_row(name: str, asked: str, make: Callable[[], Any], images: np.ndarray, reference: np.ndarray) -> dict:
    """One precision of TensorRT under a CUDA graph: a Measurement and the error."""
    ranges = {"images": (images.shape, images.shape, images.shape)}
    with tl.Session(tl.build(make(), profiles=ranges, level=2, precision=asked, name=name)) as session:
        how = {"graph": True, "transfers": False, "duration_s": 1}
        timing = tl.measure(session, images, name=f"TensorRT {name}, batch {len(images)}", **how)
        return {"timing": timing, "error": baselines.error(reference, session.infer(images)["logits"])}


def baseline_row(label: str, make: Callable[[], Any], reference: np.ndarray) -> dict:
    """One of the others: a Measurement and the error."""
    runner = make()
    timing = runner.measure(name=f"{label}, batch {runner.batch}", duration_s=1)
    return {"timing": timing, "error": baselines.error(reference, runner.output())}


def runners() -> dict:
    """One network, one batch, one method: TensorRT in four precisions, PyTorch three ways, onnxruntime."""
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # no workers that outlive a compilation cut short
    data = digits.data()
    images, model = np.tile(data.test_images[:128], (2, 1, 1, 1)), onnx.load(str(digits.onnx_path()))
    reference, module, rows = baselines.ort(model, {"images": images}).output(), digits.trained(), {}

    def int8() -> onnx.ModelProto:
        made = precision.quantize(model, data.train_images[:100])
        return precision.to_fp16(made) if tl.compat.strongly_typed() else made

    graphs = {
        "FP32": (lambda: model, "fp32"),
        "TF32": (lambda: model, "tf32"),
        "FP16": (lambda: precision.to_fp16(model), "fp16"),
        "INT8": (int8, "int8+fp16"),
    }
    for name, (graph, asked) in graphs.items():
        row = partial(tensorrt_row, name, asked, graph, images, reference)
        attempt("runners", rows, f"TensorRT {name}", row)
    others = {"onnxruntime on the CPU": lambda: baselines.ort(model, {"images": images})}
    ways = {"eager": baselines.eager, "graph": baselines.graphed, "compiled": baselines.compiled}
    for name, way in ways.items():
        for half in (False, True):
            label = f"PyTorch {name} {'FP16' if half else 'FP32'}"
            others[label] = partial(way, module, images, half=half)
    for label, make in others.items():
        attempt("runners", rows, label, partial(baseline_row, label, make, reference), seconds=100)
    print(baselines.table({name: tuple(row.values()) for name, row in rows.items() if "timing" in row}), flush=True)
    return rows


def side_by_side(report: Any, inputs: dict[str, np.ndarray], name: str, graph: bool, seconds: float) -> dict:
    """Our method and trtexec's loop on one plan, twice each in turn: medians in ms, and how far they are apart."""
    ours, loop = [], []
    for turn in range(2):
        with tl.Session(report) as session:
            how = {"transfers": False, "graph": graph, "spin": True, "duration_s": seconds}
            ours.append(tl.measure(session, inputs, name=name if turn else None, **how))
        loop.append(trtexec_loop.run(report.plan, inputs, graph=graph, spin=True, duration_s=seconds))
    mean = {f"ours {kind} ms": float(np.mean([m.median(kind) for m in ours])) for kind in ("compute", "enqueue")}
    mean |= {f"loop {kind} ms": float(np.mean([m[kind] for m in loop])) for kind in ("compute", "enqueue")}
    apart = 100 * (mean["ours compute ms"] / mean["loop compute ms"] - 1)
    both = {"ours twice ms": [m.median() for m in ours], "loop twice ms": [m["compute"] for m in loop]}
    rates = {"ours a second": ours[-1].throughput, "loop a second": loop[-1]["queries a second"] * ours[-1].batch}
    return {"difference %": apart, **mean, **both, **rates}


def resnet(level: int = 3, seconds: float = 1.5) -> dict:
    """ResNet-50's shape by our method and by trtexec's loop, on the same plans and the same random images."""
    model, one, found = onnx.load(str(random_weights.resnet50())), (3, 224, 224), {}
    images = np.random.default_rng(0).random((32, *one), np.float32)
    ranges = {"images": ((1, *one), (8, *one), (32, *one))}
    for kind, graph in (("FP32", lambda: model), ("FP16", lambda: precision.to_fp16(model))):
        try:
            report = tl.build(graph(), profiles=ranges, level=level, name=f"resnet50 {kind}")
        except Exception as problem:
            found[kind] = {"failed": repr(problem)[:500]}
            print(kind, found[kind], flush=True)
            continue
        print(kind, f"built in {report.seconds:.1f} s", flush=True)
        found[kind] = {"build s": report.seconds, "level": level, "plan sha256": report.plan_sha256}
        for batch in (1, 8, 32):
            for launched in (False, True):
                name = f"resnet50 {kind}, batch {batch}{', graph' if launched else ''}"
                case = partial(side_by_side, report, {"images": images[:batch]}, name, launched, seconds)
                attempt("resnet", found, name, case)
    return found


def card() -> dict:
    """Memory bandwidth and matrix rates of this card, measured."""
    return roofline.card("card").value


PARTS = {"infer": infer, "stream": stream, "runners": runners, "card": card, "resnet": resnet}


def main() -> None:
    """Take the named parts, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS))
    parser.add_argument("--level", type=int, default=3)
    asked = parser.parse_args()
    tl.lesson("benchmarks")
    for name in asked.parts or PARTS:
        start = time.perf_counter()
        try:
            part = partial(resnet, asked.level) if name == "resnet" else PARTS[name]
            found = tl.live_or_recorded(name, part).value
            print(name, f"{time.perf_counter() - start:.0f} s", found, flush=True)
        except Exception as problem:
            print(name, "failed:", repr(problem)[:1000], flush=True)


if __name__ == "__main__":
    main()
