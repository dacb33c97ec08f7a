"""Throughput behind Triton as a ratio to the bare session, on this machine, in one run: the digits network.

    python tests/benchmarks/serving.py [SECONDS]

Both do the same pictures in batches that arrive as single requests of one picture. A session that is asked one picture
at a time, one that is given full batches, and Triton with dynamic batching, 32 requests in flight. Between the second
and the third lie HTTP, the copy into Triton's shared memory, and gathering and cutting of batches.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import deque
from pathlib import Path

import numpy as np

import trt_lessons as tl
from trt_lessons.scale.serving.repository import write
from trt_lessons.scale.serving.server import Server

BATCH = 16
IN_FLIGHT = 32


def bare(session: tl.Session, name: str, batch: int, seconds: float, images: np.ndarray) -> float:
    """Pictures per second of a session that is given `batch` at a time."""
    session.infer({name: images[:batch]})
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        session.infer({name: images[:batch]})
        done += batch
    return done / (time.perf_counter() - start)


def behind_triton(server: Server, model: str, name: str, seconds: float, images: np.ndarray) -> tuple[float, dict]:
    """(pictures per second of single requests with IN_FLIGHT on the way, Triton's statistics)."""
    from tritonclient import http

    client = http.InferenceServerClient(server.url, concurrency=IN_FLIGHT)
    tensor = http.InferInput(name, [1, *images.shape[1:]], "FP32")
    tensor.set_data_from_numpy(images[:1])
    waiting, done, start = deque(), 0, time.perf_counter()
    while time.perf_counter() - start < seconds or waiting:
        while len(waiting) < IN_FLIGHT and time.perf_counter() - start < seconds:
            waiting.append(client.async_infer(model, [tensor]))
        waiting.popleft().get_result()
        done += 1
    took = time.perf_counter() - start
    return done / took, client.get_inference_statistics(model)["model_stats"][0]


def main(seconds: float = 5.0) -> None:
    """Measure and print."""
    path, images = tl.models.digits.onnx_path(), tl.models.digits.data().test_images
    with tempfile.TemporaryDirectory() as folder:
        place = write(path, folder, batches=(1, 8, BATCH), delay_us=2000)
        with tl.Session(place / "1" / "model.plan") as session:
            (name,) = session.inputs
            one, full = (bare(session, name, n, seconds, images) for n in (1, BATCH))
        with Server(Path(folder)) as server:
            served, told = behind_triton(server, place.name, name, seconds, images)
    runs = told["execution_count"]
    spent = {
        k: int(told["inference_stats"][k]["ns"]) / 1e6 / int(told["inference_stats"][k]["count"])
        for k in ("queue", "compute_input", "compute_infer", "compute_output")
    }
    print(f"bare session, one picture at a time: {one:8.1f} /s")
    print(f"bare session, batches of {BATCH}:        {full:8.1f} /s")
    print(f"behind Triton, single requests:      {served:8.1f} /s, ratio {served / full:.2f}")
    print(f"batches formed: {int(told['inference_count']) / runs:.1f} pictures on average, {runs} runs")
    print("per request, ms: " + ", ".join(f"{k} {v:.2f}" for k, v in spent.items()))
    print(f"backend: {tl.describe()}")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]))
