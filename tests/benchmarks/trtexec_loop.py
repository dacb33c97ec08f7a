"""A second opinion: trtexec's measuring loop, written again from its definitions and with none of our rooms.

    python tests/benchmarks/trtexec_loop.py model.plan images=8x3x224x224 [--graph] [--spin] [--transfers]

It shares nothing with the package's `sessions` and `measuring` but the TensorRT and CUDA modules,
so that a mistake there shows as a difference here. The facts (one inference stream, --infStreams=1): a set of
six events for each of two queries in flight; a query is enqueued, then the one before it is waited for and read
at once; time is kept by the GPU, as the start of a query's compute after a mark made at the beginning; queries
that started before the warm-up ended do not count.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trt_lessons import cuda, trt
from trt_lessons.backend import cudart

IN_START, IN_END, START, END, OUT_START, OUT_END = range(6)


class Engine:
    """A plan, a context, and memory for one set of inputs."""

    def __init__(self, plan: bytes, inputs: Mapping[str, np.ndarray]) -> None:
        self.logger = trt.Logger(trt.Logger.ERROR)
        self.runtime = trt.Runtime(self.logger)
        self.engine = self.runtime.deserialize_cuda_engine(plan)
        self.context = self.engine.create_execution_context()
        self.stream = cuda.Stream()
        names = [self.engine.get_tensor_name(i) for i in range(self.engine.num_io_tensors)]
        for name, array in inputs.items():
            if not self.context.set_input_shape(name, array.shape):
                raise ValueError(f"{name} cannot have shape {array.shape}")
        self.copies_in, self.copies_out, self.memory = [], [], []
        for name in names:
            if name in inputs:
                self._bind(name, inputs[name].nbytes, self.copies_in)[...] = inputs[name].reshape(-1).view(np.uint8)
            else:
                shape, kind = tuple(self.context.get_tensor_shape(name)), self.engine.get_tensor_dtype(name)
                self._bind(name, int(np.prod(shape)) * kind.itemsize, self.copies_out)
        self.copy_in(self.stream)
        self.stream.synchronize()

    def _bind(self, name: str, nbytes: int, copies: list[tuple[Any, Any]]) -> np.ndarray:
        host, device = cuda.pagelocked_empty(nbytes, np.uint8), cuda.mem_alloc(nbytes)
        self.memory.append(device)
        copies.append((host, device))
        if not self.context.set_tensor_address(name, int(device)):
            raise ValueError(f"TensorRT takes no address for {name}")
        return host

    def copy_in(self, stream: Any) -> None:
        """Enqueue the copies to the GPU."""
        for host, device in self.copies_in:
            cuda.memcpy_htod_async(device, host, stream)

    def copy_out(self, stream: Any) -> None:
        """Enqueue the copies from the GPU."""
        for host, device in self.copies_out:
            cuda.memcpy_dtoh_async(host, device, stream)

    def plain(self) -> None:
        """Enqueue the engine."""
        if not self.context.execute_async_v3(self.stream.handle):
            raise RuntimeError("TensorRT did not enqueue")

    def captured(self) -> Callable[[], None]:
        """One plain enqueue, then the capture; what launches the graph."""
        handle = self.stream.handle
        self.plain()
        self.stream.synchronize()
        mode = cudart.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        _check(cudart.cudaStreamBeginCapture(handle, mode))
        self.plain()
        graph = _check(cudart.cudaStreamEndCapture(handle))
        launchable, launch = _check(cudart.cudaGraphInstantiate(graph, 0)), cudart.cudaGraphLaunch
        return lambda: _check(launch(launchable, handle))


def _check(answer: tuple) -> Any:
    if int(answer[0]):
        raise RuntimeError(f"CUDA: {answer[0]!r}")
    return answer[1] if len(answer) > 1 else None


def run(
    plan: bytes,
    inputs: Mapping[str, np.ndarray],
    *,
    graph: bool = False,
    spin: bool = False,
    transfers: bool = False,
    warm_up_ms: float = 200.0,
    duration_s: float = 3.0,
    min_iterations: int = 10,
) -> dict[str, float]:
    """Medians in ms (compute, enqueue, with transfers h2d and d2h, latency), queries a second and their number."""
    engine = Engine(plan, inputs)
    enqueue = engine.captured() if graph else engine.plain
    enqueue()
    engine.stream.synchronize()
    flags = cuda.event_flags.DEFAULT if spin else cuda.event_flags.BLOCKING_SYNC
    queries = [[cuda.Event(flags) for _ in range(6)] for _ in range(2)]
    began = cuda.Event(flags)
    ends = (warm_up_ms, warm_up_ms + 1000 * duration_s)
    rows = _loop(engine, enqueue, queries, began, ends, transfers, min_iterations)
    return _summary([row for row in rows if row["start"] >= warm_up_ms])


def _loop(
    engine: Engine,
    enqueue: Callable[[], None],
    queries: list[list[Any]],
    began: Any,
    ends: tuple[float, float],
    transfers: bool,
    least: int,
) -> list[dict[str, float]]:
    """All queries in order, those of the warm-up too."""
    streams = (cuda.Stream(), engine.stream, cuda.Stream()) if transfers else (None, engine.stream, None)
    began.record(engine.stream)
    rows, now, kept, number, took = [], 0.0, 0, 0, [0.0, 0.0]
    while now < ends[1] or kept < least:
        this, other = number % 2, (number + 1) % 2
        took[this] = _query(engine, enqueue, queries[this], streams)
        if number:
            rows.append(_read(queries[other], began, transfers) | {"enqueue": took[other]})
            now = rows[-1]["start"]
            kept += now >= ends[0]
        number += 1
    rows.append(_read(queries[(number + 1) % 2], began, transfers) | {"enqueue": took[(number + 1) % 2]})
    return rows


def _query(engine: Engine, enqueue: Callable[[], None], events: list[Any], streams: tuple) -> float:
    """Enqueue one query; how long the host was in the enqueue call, ms."""
    before, stream, after = streams
    if before is not None:
        events[IN_START].record(before)
        engine.copy_in(before)
        events[IN_END].record(before)
        stream.wait_for_event(events[IN_END])
    events[START].record(stream)
    start = time.perf_counter_ns()
    enqueue()
    end = time.perf_counter_ns()
    events[END].record(stream)
    if after is not None:
        after.wait_for_event(events[END])
        events[OUT_START].record(after)
        engine.copy_out(after)
        events[OUT_END].record(after)
    return (end - start) / 1e6


def _read(events: list[Any], began: Any, transfers: bool) -> dict[str, float]:
    """Wait for a query's end, then read its times."""
    events[OUT_END if transfers else END].synchronize()
    row = {"start": events[START].time_since(began), "compute": events[END].time_since(events[START])}
    row["latency"], row["first"], row["last"] = row["compute"], row["start"], row["start"] + row["compute"]
    if transfers:
        row["h2d"] = events[IN_END].time_since(events[IN_START])
        row["d2h"] = events[OUT_END].time_since(events[OUT_START])
        row["latency"] += row["h2d"] + row["d2h"]
        row["first"], row["last"] = events[IN_START].time_since(began), events[OUT_END].time_since(began)
    return row


def _summary(rows: list[dict[str, float]]) -> dict[str, float]:
    kinds = [kind for kind in ("h2d", "compute", "d2h", "latency", "enqueue") if kind in rows[0]]
    found = {kind: statistics.median(row[kind] for row in rows) for kind in kinds}
    return found | {"queries": len(rows), "queries a second": 1000 * len(rows) / (rows[-1]["last"] - rows[0]["first"])}


def main() -> None:
    """Measure a plan from a file, on random float32 inputs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plan", type=Path)
    parser.add_argument("shapes", nargs="*", help="name=1x3x224x224")
    parser.add_argument("--duration", type=float, default=3.0, help="seconds")
    for flag in ("graph", "spin", "transfers"):
        parser.add_argument(f"--{flag}", action="store_true")
    asked = parser.parse_args()
    shapes = {n: tuple(map(int, dims.split("x"))) for n, dims in (text.split("=") for text in asked.shapes)}
    random = np.random.default_rng(0)
    inputs = {name: random.random(shape, np.float32) for name, shape in shapes.items()}
    how = {flag: getattr(asked, flag) for flag in ("graph", "spin", "transfers")}
    for name, value in run(asked.plan.read_bytes(), inputs, duration_s=asked.duration, **how).items():
        print(f"{name:18} {value:.4f}")


if __name__ == "__main__":
    main()
