"""Many batches through one context, on three streams: what `Session.stream` does (lesson 04_3)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np

from .. import backend
from .buffers import is_pinned
from .slots import Slot


class Runs(Protocol):
    """What a pipeline needs of a session."""

    cuda_stream: Any

    def check(self, inputs: Any) -> list[np.ndarray]:
        """The inputs as arrays of the engine's types, in its order."""

    def key(self, arrays: list[np.ndarray]) -> tuple:
        """What tells one set of shapes from another."""

    def new_slot(self, arrays: list[np.ndarray]) -> Slot:
        """Buffers for these shapes."""


def run(session: Runs, batches: Iterable[Any], depth: int, graph: bool) -> Iterator[dict[str, np.ndarray]]:
    """The outputs of each batch, in order; the buffers are given back when the iterator ends or is dropped."""
    pipeline = Pipeline(session, depth, graph)
    try:
        for batch in batches:
            pipeline.enqueue(session.check(batch))
            if len(pipeline.flying) > depth:
                yield pipeline.finish()
        while pipeline.flying:
            yield pipeline.finish()
    finally:
        pipeline.close()


class Pipeline:
    """Three streams and a ring of slots: copy in, compute and copy out of different batches at one time."""

    def __init__(self, session: Runs, depth: int, graph: bool) -> None:
        cuda = backend.cuda
        self.session, self.depth, self.graph = session, depth, graph
        self.stream_in, self.stream_out = cuda.Stream(), cuda.Stream()
        self.compute = session.cuda_stream  # the context works in one stream, here and in infer()
        self.flying: deque[Query] = deque()
        self.free: dict[tuple, list[Query]] = {}
        self.made = 0

    def enqueue(self, arrays: list[np.ndarray]) -> None:
        """Enqueue one batch; the host does not wait."""
        query = self._take(arrays)
        copy = backend.cuda.memcpy_htod_async
        for buffer, array in zip(query.slot.inputs.values(), arrays, strict=True):
            if not buffer.is_copied:
                continue
            if array.flags.c_contiguous and is_pinned(array):
                copy(buffer.device, array.reshape(-1).view(np.uint8), self.stream_in)
                query.kept.append(array)
            else:
                np.copyto(buffer.host, array)
                copy(buffer.device, buffer.raw, self.stream_in)
        query.copied_in.record(self.stream_in)
        self.compute.wait_for_event(query.copied_in)
        (query.slot.graph if self.graph else query.slot.compute)(self.compute)
        query.computed.record(self.compute)
        self.stream_out.wait_for_event(query.computed)
        query.slot.d2h(self.stream_out)
        query.copied_out.record(self.stream_out)
        self.flying.append(query)

    def _take(self, arrays: list[np.ndarray]) -> Query:
        key = self.session.key(arrays)
        free = self.free.get(key)
        if free:
            return free.pop()
        if self.made > 2 * self.depth:
            for unused in (query for queries in self.free.values() for query in queries):
                unused.slot.free()
                self.made -= 1
            self.free.clear()
        self.made += 1
        query = Query(self.session.new_slot(arrays))
        if self.graph:
            self._settle()
            query.slot.capture(self.compute)
        return query

    def _settle(self) -> None:
        for stream in (self.stream_in, self.compute, self.stream_out):
            stream.synchronize()

    def finish(self) -> dict[str, np.ndarray]:
        """Wait for the oldest batch and return its outputs."""
        query = self.flying.popleft()
        query.copied_out.synchronize()
        found = query.slot.results()
        query.kept.clear()
        self.free.setdefault(query.slot.key, []).append(query)
        return found

    def close(self) -> None:
        """Wait for everything and give the buffers back."""
        self._settle()
        for query in (*self.flying, *(query for queries in self.free.values() for query in queries)):
            query.slot.free()
        self.flying.clear()
        self.free.clear()


class Query:
    """A slot with the three events of its way through the pipeline, and the arrays it reads from."""

    def __init__(self, slot: Slot) -> None:
        cuda = backend.cuda
        self.slot, self.kept = slot, []
        made = [cuda.Event(cuda.event_flags.DISABLE_TIMING) for _ in range(3)]
        self.copied_in, self.computed, self.copied_out = made
