"""Engines beside each other, and the layers of one, timed on the GPU alone: no transfers, a CUDA graph.

    blocks = tl.measure_each("times of the block", {"whole": report, "broken": other})
    tl.layer_times("time of each layer", report, images)

Introduced in lesson 04_2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..records import recordings
from ..records.recordings import Recorded
from ..sessions.session import Session
from .measure import measure


def measure_each(name: str, reports: Mapping[Any, Any], *, duration_s: float = 1) -> Recorded:
    """{key: Measurement} of each engine's kernels alone, recorded together under `name`.

    reports: {key: BuildReport}. Each is replayed as a CUDA graph for duration_s seconds, inputs stay on the GPU.
    """

    def take() -> dict[Any, Any]:
        found = {}
        for key, report in reports.items():
            with Session(report) as session:
                found[key] = measure(session, transfers=False, graph=True, duration_s=duration_s)
        return found

    return recordings.live_or_recorded(name, take)


def layer_times(name: str, report: Any, inputs: Any, *, runs: int = 50) -> Recorded:
    """{engine layer: median ms} in order of execution, told by TensorRT's IProfiler; recorded under `name`.

    inputs: as for `Session.infer`. The first fifth of the runs is left out.
    """

    def take() -> dict[str, float]:
        told = _profiled(report, inputs, runs)
        return {layer: float(np.median(ms[runs // 5 :])) for layer, ms in told.items()}

    return recordings.live_or_recorded(name, take)


def _profiled(report: Any, inputs: Any, runs: int) -> dict[str, list[float]]:
    """{engine layer: ms of each run}."""
    from ..backend import trt

    found: dict[str, list[float]] = {}

    class Times(trt.IProfiler):
        def __init__(self) -> None:
            super().__init__()

        def report_layer_time(self, layer_name: str, ms: float) -> None:
            found.setdefault(layer_name, []).append(ms)

    times = Times()
    with Session(report) as session:
        session.context.profiler = times
        for _ in range(runs):
            session.infer(inputs)
    return found
