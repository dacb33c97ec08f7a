"""Throughput behind Triton and behind Ray Serve as ratios to the bare session, in one run: the digits network.

    python tests/benchmarks/serving.py [SECONDS]

All do the same pictures, which arrive at the servers as single requests of one picture: a session that is asked one
picture at a time, one that is given full batches, and each server with dynamic batching and 32 requests in flight.
Between the second and the servers lie HTTP, copies between processes, and gathering and cutting of batches. The client
shares the machine with the server, and its own time is told.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import trt_lessons as tl
from trt_lessons.scale.serving.client import Client
from trt_lessons.scale.serving.replicas import Service
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


def served(url: str, model: str, name: str, seconds: float, images: np.ndarray) -> tuple[float, float, dict]:
    """(pictures per s from IN_FLIGHT threads, CPU s of this client per s, the server's statistics)."""
    until, done = threading.Event(), [0] * IN_FLIGHT

    def ask(i: int) -> None:
        with Client(url, model) as client:
            while not until.is_set():
                client.infer({name: images[:1]})
                done[i] += 1

    with Client(url, model) as client:
        client.infer({name: images[:1]})
        before = client.statistics()
        threads = [threading.Thread(target=ask, args=(i,)) for i in range(IN_FLIGHT)]
        start, cpu = time.perf_counter(), time.process_time()
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        until.set()
        for thread in threads:
            thread.join()
        took, cpu, after = time.perf_counter() - start, time.process_time() - cpu, client.statistics()
    new = {rows: np.subtract(told, before.get(rows, (0, 0))) / took for rows, told in after.items()}
    return sum(done) / took, cpu / took, new


def tell(what: str, full: float, rate: float, cpu: float, runs: dict[int, np.ndarray]) -> None:
    """Two lines about one server."""
    many, busy = sum(run[0] for run in runs.values()), sum(run[1] for run in runs.values())
    rows = sum(size * run[0] for size, run in runs.items()) / many
    print(f"{what:<37}{rate:8.1f} /s, ratio {rate / full:.2f}")
    print(f"  {rows:.1f} pictures per batch; engine busy {busy:.0%} of the time; the client takes {cpu:.0%} of a core")


def main(seconds: float = 5.0) -> None:
    """Measure and print."""
    print(f"{os.cpu_count()} cores, load before: {os.getloadavg()[0]:.1f}; backend: {tl.describe()}")
    path, images = tl.models.digits.onnx_path(), tl.models.digits.data().test_images
    settings = {"batches": (1, 8, BATCH), "delay_us": 2000}
    with tempfile.TemporaryDirectory() as folder:
        place = write(path, folder, **settings)
        with tl.Session(place / "1" / "model.plan") as session:
            (name,) = session.inputs
            one, full = (bare(session, name, n, seconds, images) for n in (1, BATCH))
        print(f"{'bare session, one picture at a time:':<37}{one:8.1f} /s, ratio {one / full:.2f}")
        print(f"{f'bare session, batches of {BATCH}:':<37}{full:8.1f} /s")
        with Server(Path(folder)) as server:
            tell("behind Triton, single requests:", full, *served(server.url, place.name, name, seconds, images))
    with Service(path, **settings) as service:
        tell("behind Ray Serve, single requests:", full, *served(service.url, service.name, name, seconds, images))


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]))
