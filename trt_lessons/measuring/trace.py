"""Marks around pieces of work: what ran when, for a timeline, for Nsight Systems and for Perfetto (lesson 04_3).

    trace = tl.Trace()
    with trace.span("compute", 0, stream):
        context.execute_async_v3(stream.handle)
    tl.plots.timeline(trace.rows())

A span is two CUDA events in a stream, and an NVTX range of the same name where there is a profiler's library.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache, partial
from pathlib import Path
from time import perf_counter
from typing import Any

from .. import backend
from ..records.measurement import median

Row = tuple[str, Any, float, float]


def call_times(call: Callable[[], Any], wait: Callable[[], Any] | None = None, *, repeat: int = 30) -> list[float]:
    """[ms until call() returns, ms until wait() after it returns too], medians of `repeat` calls by the host's clock.

    wait: what the host waits with, such as stream.synchronize; None: nothing, so that both numbers are the same.
    """
    returned, done = [], []
    for _ in range(repeat):
        start = perf_counter()
        call()
        returned.append(1000 * (perf_counter() - start))
        if wait is not None:
            wait()
        done.append(1000 * (perf_counter() - start) if wait is not None else returned[-1])
    return [median(returned), median(done)]


def change_times(call: Callable[[Any], Any], shapes: Sequence[Any], *, other: Any) -> dict[str, dict[Any, float]]:
    """What a change of shape costs: ms of call(shape) until it returns, by the host's clock, for each of `shapes`.

    {"first": {shape: ms}} at a shape that never came before, "back": at a known one after `other` (median of 20),
    "steady": the same again and again (median of 40). call has to wait for its answer; other is none of the shapes.
    Introduced in lesson 05_2.
    """

    def ms(shape: Any) -> float:
        return call_times(partial(call, shape), repeat=1)[0]

    def after(before: Any, shape: Any, repeat: int) -> float:
        taken = []
        for _ in range(repeat):
            call(before)
            taken.append(ms(shape))
        return median(taken)

    call(other)
    found = {"first": {shape: ms(shape) for shape in shapes}}
    found["back"] = {shape: after(other, shape, 20) for shape in shapes}
    return found | {"steady": {shape: after(shape, shape, 40) for shape in shapes}}


@lru_cache(maxsize=1)
def _nvtx() -> tuple[str, Callable[[str], AbstractContextManager]] | None:
    """(where NVTX comes from, what opens a range), or None where nothing could listen."""
    if not backend.is_gpu():
        return None
    try:
        import nvtx

        return "the package nvtx", nvtx.annotate
    except ImportError:
        pass
    try:
        import torch
    except ImportError:
        return None
    return ("torch.cuda.nvtx", torch.cuda.nvtx.range) if torch.version.cuda else None


def nvtx_source() -> str:
    """Who sends NVTX ranges here: "the package nvtx", "torch.cuda.nvtx", or "nobody here"."""
    found = _nvtx()
    return found[0] if found else "nobody here"


def nvtx_range(name: str) -> AbstractContextManager:
    """An NVTX range for a profiler such as Nsight Systems; a block without effect where no NVTX is."""
    found = _nvtx()
    return found[1](name) if found else nullcontext()


class Trace:
    """Named spans in streams, and the waits between them."""

    def __init__(self) -> None:
        self._marks: dict[tuple[str, Any], tuple[Any, Any]] = {}

    @contextmanager
    def span(self, what: str, query: Any, stream: Any) -> Iterator[None]:
        """What is enqueued into `stream` in this block is the piece `what` of `query`: an event before and after it."""
        start, end = backend.cuda.Event(), backend.cuda.Event()
        start.record(stream)
        with nvtx_range(f"{what} {query}"):
            yield
        end.record(stream)
        self._marks[what, query] = start, end

    def wait(self, stream: Any, what: str, query: Any) -> None:
        """`stream` waits for the end of that piece (`stream.wait_for_event`); nothing where there is no such piece."""
        if (what, query) in self._marks:
            stream.wait_for_event(self._marks[what, query][1])

    def rows(self) -> list[Row]:
        """Wait for everything, then (what, query, start ms, end ms) of every span, from the first span's start."""
        backend.cuda.Context.synchronize()
        first = next(iter(self._marks.values()))[0] if self._marks else None
        at = {key: (start.time_since(first), end.time_since(first)) for key, (start, end) in self._marks.items()}
        return [(what, query, *span) for (what, query), span in at.items()]


def save_trace(rows: Sequence[Row], path: str | Path) -> Path:
    """Write rows (what, query, start ms, end ms) in the format that Perfetto and chrome://tracing open; the path."""
    lanes = list(dict.fromkeys(row[0] for row in rows))
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "thread_name", "pid": 1, "tid": i, "args": {"name": lane}} for i, lane in enumerate(lanes)
    ]
    for lane, query, start, end in rows:
        when = {"ts": round(1000 * start, 3), "dur": round(1000 * (end - start), 3)}  # microseconds
        events.append({"ph": "X", "name": f"query {query}", "pid": 1, "tid": lanes.index(lane), **when})
    path = Path(path)
    path.write_text(json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}), "utf-8")
    return path
