"""What the interpreter adds to onnxruntime's own time: ResNet-50 and a BERT-like encoder, random weights, on this CPU.

usage: python tests/benchmarks/interpreter_overhead.py [--batch 8] [--runs 12]

One run of the interpreter is execute_async_v3 and a synchronize, device memory filled before; one of onnxruntime is
session.run on the same arrays with the same threads. They take turns, so that a busy machine disturbs both. The outputs
must be equal. Not a test: times differ from machine to machine.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

os.environ["TRT_LESSONS_BACKEND"] = "interpreter"

import numpy as np
import onnxruntime as ort

from trt_lessons import compat, cuda, models, trt


def engine_of(path: Path, shapes: dict[str, tuple[int, ...]]):
    """Parse and build a file for exactly these input shapes; returns the engine and the seconds it took."""
    start, log = time.perf_counter(), compat.Log()
    builder = compat.create_builder(log)
    network = compat.create_network(builder)
    parser = trt.OnnxParser(network, log)
    assert parser.parse_from_file(str(path)), [str(parser.get_error(i)) for i in range(parser.num_errors)]
    config, profile = builder.create_builder_config(), builder.create_optimization_profile()
    for name, shape in shapes.items():
        profile.set_shape(name, shape, shape, shape)
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    assert plan is not None, log.errors
    return trt.Runtime(log).deserialize_cuda_engine(plan), time.perf_counter() - start


def prepared(engine, feeds: dict[str, np.ndarray]):
    """(one run, the outputs after it)."""
    context, stream, memory = engine.create_execution_context(), cuda.Stream(), {}
    for name, array in feeds.items():
        assert context.set_input_shape(name, array.shape)
        memory[name] = cuda.mem_alloc(array.nbytes)
        cuda.memcpy_htod(memory[name], array)
    outputs = {}
    for info in compat.io_tensors(engine):
        if info["mode"] == "output":
            outputs[info["name"]] = np.empty(tuple(context.get_tensor_shape(info["name"])), info["dtype"])
            memory[info["name"]] = cuda.mem_alloc(outputs[info["name"]].nbytes)
    for name, block in memory.items():
        context.set_tensor_address(name, int(block))

    def run() -> None:
        assert context.execute_async_v3(stream.handle)
        stream.synchronize()

    def results() -> dict[str, np.ndarray]:
        for name, array in outputs.items():
            cuda.memcpy_dtoh(array, memory[name])
        return outputs

    return run, results


def seconds(call) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def compare(title: str, path: Path, feeds: dict[str, np.ndarray], runs: int) -> None:
    """Print both medians and the difference, after checking that the outputs are equal."""
    engine, built = engine_of(path, {n: a.shape for n, a in feeds.items()})
    ours, results = prepared(engine, feeds)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    theirs = session.run(None, feeds)
    ours()
    found = results()
    for info, wanted in zip(session.get_outputs(), theirs, strict=True):
        np.testing.assert_allclose(found[info.name], wanted, rtol=1e-5, atol=1e-5)
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        times[0].append(seconds(lambda: session.run(None, feeds)))
        times[1].append(seconds(ours))
    base, mine = (statistics.median(t) * 1e3 for t in times)
    difference = max(float(np.abs(found[i.name] - w).max()) for i, w in zip(session.get_outputs(), theirs, strict=True))
    print(f"{title}: parsed and built in {built:.1f} s; onnxruntime {base:.1f} ms, interpreter {mine:.1f} ms "
          f"({100 * (mine / base - 1):+.1f} %); largest difference {difference:.1g}")  # fmt: skip


def main() -> None:
    """Both networks."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--batch", type=int, default=8)
    options.add_argument("--runs", type=int, default=12)
    given = options.parse_args()
    generator = np.random.default_rng(0)
    images = generator.standard_normal((given.batch, 3, 224, 224)).astype(np.float32)
    compare_file(f"ResNet-50, batch {given.batch}", models.resnet50(batch=None), given.runs, images)
    compare_file(f"BERT-like, batch {given.batch}", models.bert(), given.runs, None, given.batch)


def compare_file(title: str, path: Path, runs: int, images: np.ndarray | None, batch: int = 8) -> None:
    """Feeds for a file: the images, or token numbers for every input."""
    inputs = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).get_inputs()
    if images is not None:
        feeds = {inputs[0].name: images}
    else:
        feeds = {}
        for i in inputs:
            shape = tuple(d if isinstance(d, int) else (batch if k == 0 else 64) for k, d in enumerate(i.shape))
            kind = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}.get(i.type, np.float32)
            feeds[i.name] = (
                np.ones(shape, kind)
                if "mask" in i.name
                else np.random.default_rng(1).integers(0, 2, shape).astype(kind)
            )
    compare(title, Path(path), feeds, runs)


if __name__ == "__main__":
    main()
