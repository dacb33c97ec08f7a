"""Load by an open loop: requests start at times that are drawn beforehand, whether or not earlier ones have come back.

    load = offer(lambda: Client(server.url, "digits"), requests, rate=200, seconds=5)
    print(load)                                   # rate kept, median, 99 %, errors

A client that waits for its answer before it asks again slows down with the server and so hides how long its users
wait. Here latency counts from the time at which a request was due.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

CONNECTIONS = 64  # requests that can be on the way; more wait here, and their waiting is counted


@dataclass
class Load:
    """What came back. rate: requests per s asked for; ms: latency of each answered request, from when it was due, in
    order of due times; seconds: from the first due to the last answer; errors: words of those refused."""

    rate: float
    ms: np.ndarray
    seconds: float
    errors: list[str] = field(default_factory=list)

    @property
    def kept(self) -> float:
        """Answers per second."""
        return len(self.ms) / self.seconds

    def percentile(self, q: float) -> float:
        """Latency in ms that q percent of the requests stay under."""
        return float(np.percentile(self.ms, q))

    def __repr__(self) -> str:
        if not len(self.ms):
            return f"{self.rate:g} requests/s: none answered, {len(self.errors)} errors"
        words = f"median {self.percentile(50):.1f} ms, 99 % under {self.percentile(99):.1f} ms"
        return f"{self.rate:g} requests/s: {self.kept:.0f} answered per s, {words}, {len(self.errors)} errors"


def arrivals(rate: float, seconds: float, seed: int = 0) -> np.ndarray:
    """Due times in s of a Poisson process: gaps are exponential with a mean of 1/rate."""
    if rate <= 0 or seconds <= 0:
        raise ValueError(f"a rate of {rate} for {seconds} s")
    gaps = np.random.default_rng(seed).exponential(1 / rate, int(rate * seconds * 2) + 20)
    due = np.cumsum(gaps)
    return due[due < seconds]


def offer(
    connect: Callable[[], Any], requests: Sequence[dict[str, np.ndarray]], *, rate: float, seconds: float, seed: int = 0
) -> Load:
    """Ask at `rate` requests per s for `seconds`, with Poisson arrivals; requests are taken in turn.

    connect: makes a client with `infer(rows)` and `close()`; one is made per thread, before the clock starts.
    """
    due, mine, clients = arrivals(rate, seconds, seed), threading.local(), []
    ready = threading.Barrier(CONNECTIONS + 1)

    def prepare() -> None:
        mine.client = connect()
        clients.append(mine.client)
        ready.wait(60)

    def ask(i: int, at: float) -> float | str:
        try:
            mine.client.infer(requests[i % len(requests)])
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        return (time.perf_counter() - at) * 1000

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for _ in range(CONNECTIONS):
            pool.submit(prepare)
        ready.wait(60)
        start, waiting = time.perf_counter(), []
        for i, after in enumerate(due):
            time.sleep(max(start + after - time.perf_counter(), 0))
            waiting.append(pool.submit(ask, i, start + after))
        answers = [one.result() for one in waiting]
        took = time.perf_counter() - start
    for client in clients:
        with suppress(OSError):
            client.close()
    ms = np.array([a for a in answers if not isinstance(a, str)])
    return Load(rate, ms, took, [a for a in answers if isinstance(a, str)])
