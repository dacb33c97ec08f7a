"""The measuring loops, as trtexec has them; `measure` is the room to use.

A lane is one chain of three streams (copy in, compute, copy out). Each query records six events; the next
query is enqueued before the last is waited for. Event times are read when the loop is over or, in long runs,
many queries later, so that reading them does not hold up the GPU.
"""

from __future__ import annotations

import gc
import statistics
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

POOL = 1024  # queries in a lane whose events are not read yet
TIMELINE = 16  # queries after the warm-up whose start and end times are kept


@dataclass(frozen=True)
class Plan:
    """How long and how: ms, s, queries in flight, and whether waiting spins."""

    warm_up_ms: float
    duration_s: float
    depth: int
    min_iterations: int
    spin: bool


@dataclass
class Samples:
    """What a loop found. Times in ms; wall_s over `queries`, from the first start to the last end."""

    enqueue: list[float] = field(default_factory=list)
    h2d: list[float] = field(default_factory=list)
    compute: list[float] = field(default_factory=list)
    d2h: list[float] = field(default_factory=list)
    events: list[list[float | None]] = field(default_factory=list)
    wall_s: float = 0.0


@dataclass(frozen=True)
class Work:
    """What one query does: functions that enqueue on the stream they are given; no copies: transfers off."""

    compute: Callable[[Any], Any]
    h2d: Callable[[Any], Any] | None = None
    d2h: Callable[[Any], Any] | None = None


class Lane:
    """Three streams, their events, and the queries in flight."""

    def __init__(self, work: Work, streams: Sequence[Any], new_event: Callable[[], Any], plan: Plan) -> None:
        self.work, self.plan = work, plan
        self.stream_in, self.stream, self.stream_out = streams
        self.used = (0, 1, 2, 3, 4, 5) if work.h2d else (2, 3)
        self._new_event = new_event
        self._pool = [self._six() for _ in range(64)]
        self._made = 64
        self._flying: deque[list[Any]] = deque()
        self._unread: deque[tuple[list[Any], float, bool]] = deque()
        self.first: list[Any] | None = None
        self.last: list[Any] | None = None
        self.kept = 0
        self.base: Any = None
        self.samples = Samples()

    def _six(self) -> list[Any]:
        return [self._new_event() if i in self.used else None for i in range(6)]

    def _take(self) -> list[Any]:
        if not self._pool and self._made < POOL:
            self._made += 1
            return self._six()
        while not self._pool:
            self._read_one()
        return self._pool.pop()

    def query(self, keep: bool) -> None:
        """Enqueue one query: copy in, compute, copy out, each after the one before it."""
        six = self._take()
        work, stream = self.work, self.stream
        if work.h2d:
            six[0].record(self.stream_in)
            work.h2d(self.stream_in)
            six[1].record(self.stream_in)
            stream.wait_for_event(six[1])
        compute = work.compute
        six[2].record(stream)
        start = perf_counter()
        compute(stream)
        end = perf_counter()
        six[3].record(stream)
        if work.d2h:
            self.stream_out.wait_for_event(six[3])
            six[4].record(self.stream_out)
            work.d2h(self.stream_out)
            six[5].record(self.stream_out)
        if keep:
            self.kept += 1
            self.first = self.first or six
        self.last = six
        self._flying.append(six)
        self._unread.append((six, 1000 * (end - start), keep))

    def wait(self, left: int) -> None:
        """Wait until at most `left` queries are in flight."""
        while len(self._flying) > left:
            end = self._flying.popleft()[self.used[-1]]
            if self.plan.spin:
                while not end.query():
                    pass
            else:
                end.synchronize()

    def _read_one(self) -> None:
        six, enqueue, keep = self._unread.popleft()
        if not keep:
            self._pool.append(six)
            return
        found = self.samples
        found.enqueue.append(enqueue)
        found.compute.append(six[3].time_since(six[2]))
        if self.work.h2d:
            found.h2d.append(six[1].time_since(six[0]))
            found.d2h.append(six[5].time_since(six[4]))
        if len(found.events) < TIMELINE and self.base is not None:
            found.events.append([None if e is None else e.time_since(self.base) for e in six])
        if six is not self.first:
            self._pool.append(six)

    def read_all(self) -> Samples:
        """All samples; call when nothing is in flight."""
        while self._unread:
            self._read_one()
        return self.samples


def run_lanes(lanes: Sequence[Lane], plan: Plan) -> Samples:
    """trtexec's loop over all lanes: each round enqueues a query a lane, then waits for the older ones."""
    with _no_gc():
        origin = perf_counter()
        warm, stop = origin + plan.warm_up_ms / 1000, origin + plan.warm_up_ms / 1000 + plan.duration_s
        kept = 0
        while True:
            now = perf_counter()
            if now >= stop and kept >= plan.min_iterations:
                break
            keep = now >= warm
            kept += keep
            for lane in lanes:
                lane.query(keep)
            if kept == 1:
                _set_base(lanes)
            for lane in lanes:
                lane.wait(plan.depth - 1)
        for lane in lanes:
            lane.wait(0)
    return _together(lanes)


def _set_base(lanes: Sequence[Lane]) -> None:
    first = lanes[0]
    for lane in lanes:
        lane.base = first.first[first.used[0]]


def _together(lanes: Sequence[Lane]) -> Samples:
    base = lanes[0].base
    wall_ms = max(lane.last[lane.used[-1]].time_since(base) for lane in lanes)
    all_found = [lane.read_all() for lane in lanes]
    whole = Samples(wall_s=wall_ms / 1000)
    for name in ("enqueue", "h2d", "compute", "d2h", "events"):
        # a round is one sample of each lane: interleaved, the series stays in the order of time
        columns = [getattr(found, name) for found in all_found]
        setattr(whole, name, [x for row in zip(*columns, strict=True) for x in row])
    return whole


def run_host(fn: Callable[[], Any], synchronize: Callable[[], Any] | None, plan: Plan) -> Samples:
    """One call at a time by the host's clock, for work that has no stream of ours. Depth is 1."""
    found = Samples()
    with _no_gc():
        origin = perf_counter()
        warm, stop = origin + plan.warm_up_ms / 1000, origin + plan.warm_up_ms / 1000 + plan.duration_s
        begin = end = None
        while True:
            start = perf_counter()
            if start >= stop and len(found.compute) >= plan.min_iterations:
                break
            fn()
            called = perf_counter()
            if synchronize is not None:
                synchronize()
            end = perf_counter()
            if start < warm:
                continue
            begin = start if begin is None else begin
            found.enqueue.append(1000 * (called - start))
            found.compute.append(1000 * (end - start))
            if len(found.events) < TIMELINE:
                found.events.append([None, None, 1000 * (start - begin), 1000 * (end - begin), None, None])
    found.wall_s = end - begin
    return found


@contextmanager
def _no_gc() -> Iterator[None]:
    """Python's garbage collector waits while we measure."""
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def host_ms(call: Callable[[], Any], wait: Callable[[], Any] | None = None, times: int = 12) -> float:
    """Median ms of a call by the host's clock; the first two of `times` calls do not count.

    wait: called after each stop of the clock, so that work which was only enqueued does not pile up. Lesson 07_2.
    """
    taken = []
    for _ in range(times):
        start = perf_counter()
        call()
        taken.append(1000 * (perf_counter() - start))
        if wait is not None:
            wait()
    return statistics.median(taken[2:])


def per_second(run: Callable[[Sequence[Any]], Iterable[Any]], items: Sequence[Any], rounds: int | None = None) -> float:
    """Items per second that `run(items)` answers, each answer used at once and let go, as a program would.

    The median of `rounds` rounds without the first; None: 8 on a GPU, 2 on the interpreter. Lesson 07_2.
    """
    from .. import backend

    rounds = rounds or (8 if backend.is_gpu() else 2)
    seconds = []
    for _ in range(rounds):
        start = perf_counter()
        for _answer in run(items):
            pass
        seconds.append(perf_counter() - start)
    return len(items) / statistics.median(seconds[1:])


class Stopwatch(dict[str, float]):
    """Seconds that single calls took, by name: `made = seconds("build", make, *args)`. Lesson 01."""

    def __call__(self, name: str, make: Callable[..., Any], *args: Any) -> Any:
        """make(*args), its time kept under `name`."""
        start = perf_counter()
        made = make(*args)
        self[name] = perf_counter() - start
        return made
