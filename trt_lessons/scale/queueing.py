"""A queue before engines, computed: Poisson arrivals, dynamic batching, one or more instances. No clock runs.

    ms = {1: 0.30, 8: 0.35, 64: 0.77}                        # one run's time by batch size, measured elsewhere
    load = simulate(2000, ms, largest=64, delay_ms=1.0)      # 2,000 requests per s, one row each
    load.percentile(99)

What it leaves out: the network, copies, a host that is busy. A served model is slower than this, never faster.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping

import numpy as np

from ..errors import LessonError
from .serving.load import Load, arrivals


def simulate(
    rate: float,
    ms: Mapping[int, float],
    *,
    largest: int = 1,
    delay_ms: float = 0.0,
    instances: int = 1,
    seconds: float = 20.0,
    seed: int = 0,
) -> Load:
    """Latencies of requests of one row at `rate` per s, from arrival to the end of their batch.

    ms: {batch: time of one run}; between sizes it is a straight line. largest: rows of the largest batch. delay_ms:
    how long the oldest request waits for others while an instance is free. LessonError for a setting that is none.
    """
    if largest < 1 or instances < 1 or delay_ms < 0 or largest > max(ms):
        raise LessonError(
            f"largest={largest}, instances={instances}, delay_ms={delay_ms}",
            why=f"times are known for batches up to {max(ms)}",
            cure="1 or more instances, a batch from 1 to that size, a delay of 0 or more",
        )
    sizes = sorted(ms)
    due = arrivals(rate, seconds, seed) * 1000
    free, ends, first = [0.0] * instances, np.empty(len(due)), 0
    while first < len(due):
        full = due[first + largest - 1] if first + largest <= len(due) else np.inf
        start = max(heapq.heappop(free), min(due[first] + delay_ms, full))
        behind = first + min(int(np.searchsorted(due[first:], start, "right")), largest)
        end = start + float(np.interp(behind - first, sizes, [ms[n] for n in sizes]))
        ends[first:behind] = end
        heapq.heappush(free, end)
        first = behind
    return Load(rate, ends - due, float(ends.max()) / 1000)


def most(ms: Mapping[int, float], largest: int, instances: int = 1) -> float:
    """Rows per s that no queue of these engines can pass: full batches without a pause."""
    sizes = sorted(ms)
    return instances * largest / float(np.interp(largest, sizes, [ms[n] for n in sizes])) * 1000
