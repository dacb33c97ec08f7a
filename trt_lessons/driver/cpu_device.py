"""Stands for the GPU on the CPU: device memory, streams, events and graph capture.

Device memory has addresses of its own that no host pointer can equal and that are never used twice. A stream
is a queue, worked off only when something waits for it: a forgotten synchronize reads the old numbers every
time. `cuda` and `cudart` put CUDA's names on it; `tensorrt` uses `view`, `enqueue` and `run_now`.

It is one file because it is one state: memory, streams, events and captures under one lock, each asking the others.
"""

from __future__ import annotations

import bisect
import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from .names import Error, LaunchError, LogicError, MemoryError, RuntimeError

Work = Callable[[], None]

FIRST_ADDRESS = 0x00DE_F1CE_0000_0000  # above every address that a process on x86-64 or Arm can own
ALIGNMENT = 512
GARBAGE = 0xCD  # what memory holds before anything was copied into it
FREED_REMEMBERED = 10_000


# ---- errors ----


ERRORS = {  # the number in cudaError_t, and the words
    "cudaErrorInvalidValue": (1, "invalid argument"),
    "cudaErrorMemoryAllocation": (2, "out of memory"),
    "cudaErrorDeviceUninitialized": (201, "invalid device context"),
    "cudaErrorInvalidDevice": (101, "invalid device ordinal"),
    "cudaErrorInvalidResourceHandle": (400, "invalid resource handle"),
    "cudaErrorNotReady": (600, "device not ready"),
    "cudaErrorIllegalAddress": (700, "an illegal memory access was encountered"),
    "cudaErrorLaunchFailure": (719, "unspecified launch failure"),
    "cudaErrorIllegalState": (401, "the operation cannot be performed in the present state"),
    "cudaErrorStreamCaptureUnsupported": (900, "operation not permitted when stream is capturing"),
    "cudaErrorStreamCaptureInvalidated": (901, "operation failed due to a previous error during capture"),
    "cudaErrorStreamCaptureMerge": (902, "operation would result in a merge of separate capture sequences"),
    "cudaErrorStreamCaptureUnmatched": (903, "capture was not ended in the same stream as it began"),
    "cudaErrorStreamCaptureUnjoined": (904, "capturing stream has unjoined work"),
    "cudaErrorStreamCaptureIsolation": (905, "dependency created on uncaptured work in another stream"),
    "cudaErrorStreamCaptureImplicit": (906, "operation would make the legacy stream depend on a capturing stream"),
    "cudaErrorCapturedEvent": (907, "operation not permitted on an event last recorded in a capturing stream"),
    "cudaErrorStreamCaptureWrongThread": (908, "attempt to end a thread-local capture from another thread"),
}
_CLASSES = {"MemoryAllocation": MemoryError, "NotReady": RuntimeError, "LaunchFailure": LaunchError}


def error(call: str, code: str, words: str) -> Error:
    """The exception for `code`, worded as PyCUDA does and then in plain words."""
    made = _CLASSES.get(code.removeprefix("cudaError"), LogicError)(f"{call} failed: {ERRORS[code][1]} - {words}")
    made.code = code
    return made


# ---- state ----

lock = threading.RLock()
_sequence = itertools.count(1)
_handles = itertools.count(0x5EA0_0000, 0x10)


@dataclass(eq=False)
class Queue:
    """One stream: work in order, each with the moment it was enqueued."""

    handle: int
    blocking: bool = True
    items: deque = field(default_factory=deque)
    capture: Capture | None = None
    closed: bool = False

    def pending(self, moment: float) -> bool:
        """Is work enqueued at `moment` or before still waiting here?"""
        return bool(self.items) and self.items[0][0] <= moment


LEGACY = Queue(0)
_queues: dict[int, Queue] = {0: LEGACY}
_late_errors: list[Error] = []
_running = 0  # how deep inside the work of streams we are


# ---- memory ----


@dataclass(eq=False)
class Block:
    """One allocation; `data` is None once it was freed."""

    address: int
    nbytes: int
    data: np.ndarray | None


def physical_memory() -> int:
    """Bytes of this machine's memory."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 16 << 30


TOTAL_MEMORY = physical_memory() // 2
_blocks: list[Block] = []
_starts: list[int] = []
_next_address = FIRST_ADDRESS
_used = 0
_freed = 0
_dropped: deque[int] = deque()  # addresses whose owner was collected; freed at the next call
_pinned: dict[int, np.ndarray] = {}


def allocate(nbytes: int, call: str = "cuMemAlloc") -> int:
    """Reserve `nbytes` of device memory, filled with 0xCD; returns its address."""
    global _next_address, _used
    with lock:
        reap()
        forbid_while_capturing(call)
        if nbytes <= 0:
            raise error(call, "cudaErrorInvalidValue", f"{nbytes} bytes were asked for; ask for at least one")
        if _used + nbytes > TOTAL_MEMORY:
            words = f"{nbytes:,} bytes were asked for and {TOTAL_MEMORY - _used:,} are free"
            raise error(call, "cudaErrorMemoryAllocation", words)
        block = Block(_next_address, nbytes, np.full(nbytes, GARBAGE, np.uint8))
        _blocks.append(block)
        _starts.append(block.address)
        _next_address += -(-(nbytes + ALIGNMENT) // ALIGNMENT) * ALIGNMENT
        _used += nbytes
        return block.address


def free(address: int, call: str = "cuMemFree") -> None:
    """Give memory back. As in CUDA this waits for all work first. Freeing twice is a LogicError."""
    with lock:
        reap()
        forbid_while_capturing(call)
        block = _block_at(address)
        if block is None or block.address != address:
            raise error(call, "cudaErrorInvalidValue", f"{address:#x} is not the start of an allocation")
        if block.data is None:
            raise error(call, "cudaErrorInvalidValue", f"the memory at {address:#x} was freed before (a double free)")
        try:
            _drain_all()
        finally:
            _release(block)


def drop(address: int) -> None:
    """Free later: for owners that are garbage-collected, at any moment and in any thread."""
    _dropped.append(address)


def reap() -> None:
    """Free what `drop` collected; not while a stream's work is being done."""
    if not _dropped:
        return
    with lock:
        if _running:
            return
        try:
            _drain_all()
        except Error as late:
            _late_errors.append(late)
        while _dropped:
            block = _block_at(_dropped.popleft())
            if block is not None and block.data is not None:
                _release(block)


def _release(block: Block) -> None:
    global _used, _freed
    block.data = None
    _used -= block.nbytes
    _freed += 1
    if _freed > FREED_REMEMBERED:
        _blocks[:] = [kept for kept in _blocks if kept.data is not None]
        _starts[:] = [kept.address for kept in _blocks]
        _freed = 0


def memory_info() -> tuple[int, int]:
    """(free, total) in bytes."""
    with lock:
        reap()
        return TOTAL_MEMORY - _used, TOTAL_MEMORY


def _block_at(address: int) -> Block | None:
    index = bisect.bisect_right(_starts, address) - 1
    if index < 0:
        return None
    block = _blocks[index]
    return block if address < block.address + block.nbytes + ALIGNMENT else None


class HostAddress(int):
    """The address of page-locked host memory, which lives as long as this number or an array that uses it."""

    memory: np.ndarray


def allocate_pinned(nbytes: int) -> HostAddress:
    """Page-locked host memory, filled with 0xCD: the device may use it by its host address."""
    memory = np.full(nbytes, GARBAGE, np.uint8)
    address = HostAddress(memory.ctypes.data)
    address.memory = _pinned[address] = memory
    return address


def drop_pinned(address: int) -> None:
    """Forget page-locked memory that was freed."""
    _pinned.pop(address, None)


def _pinned_view(address: int, nbytes: int) -> np.ndarray | None:
    for start, memory in list(_pinned.items()):
        if start <= address and address + nbytes <= start + memory.size:
            return memory[address - start :][:nbytes]
    return None


def view(address: int, nbytes: int, call: str = "cuMemcpy") -> np.ndarray:
    """A writable uint8 array over `nbytes` of device (or page-locked host) memory at `address`.

    LogicError, with the cause in words, where that is not all inside one live allocation.
    """
    with lock:
        reap()
        block = _block_at(address) if address >= FIRST_ADDRESS else None
        if block is not None:
            start = address - block.address
            if block.data is not None and start + nbytes <= block.nbytes:
                return block.data[start : start + nbytes]
        elif (host := _pinned_view(address, nbytes)) is not None:
            return host
        raise error(call, "cudaErrorInvalidValue", f"illegal memory access: {_why_not(address, nbytes, block)}")


def _why_not(address: int, nbytes: int, block: Block | None) -> str:
    if address == 0:
        return "the address is 0: no memory was given"
    if block is None and address < FIRST_ADDRESS:
        return (
            f"{address:#x} is no device address; it looks like a pointer to host memory. "
            "Allocate device memory with cuda.mem_alloc and copy the data there"
        )
    if block is None:
        return f"no allocation holds device address {address:#x}"
    if block.data is None:
        return f"the memory at {block.address:#x} ({block.nbytes:,} bytes) was freed before (use after free)"
    past = address - block.address + nbytes - block.nbytes
    return (
        f"{nbytes:,} bytes from {address:#x} on reach {past:,} bytes past the end of the allocation "
        f"at {block.address:#x}, which has {block.nbytes:,} bytes"
    )


# ---- streams ----


def create_stream(blocking: bool = True) -> Queue:
    """A new stream."""
    with lock:
        reap()
        queue = Queue(next(_handles), blocking)
        _queues[queue.handle] = queue
        return queue


def close(handle: int) -> None:
    """The stream's owner is gone: what is enqueued is still done, nothing more can be."""
    _queues[handle].closed = True


def queue_of(handle: int, call: str = "cuStream") -> Queue:
    """The stream with this handle; LogicError when there is none (any more)."""
    queue = _queues.get(handle)
    if queue is None or queue.closed:
        words = f"{handle:#x} is not the handle of a living stream; keep the Stream object while it is in use"
        raise error(call, "cudaErrorInvalidResourceHandle", words)
    return queue


def enqueue(stream_handle: int, work: Work, call: str = "enqueue") -> None:
    """Append `work` to a stream. It runs when something waits for it; in a capture it is recorded."""
    with lock:
        reap()
        queue = queue_of(stream_handle, call)
        if queue.capture is not None:
            queue.capture.add(queue, work, call)
            return
        if queue is LEGACY:
            _forbid_legacy(call)
        queue.items.append((next(_sequence), work))


def run_now(work: Work, call: str = "cuMemcpy") -> None:
    """Run `work` at once, as a blocking call does: after everything in all blocking streams."""
    with lock:
        reap()
        _forbid_legacy(call)
        _raise_late()
        for queue in list(_queues.values()):
            if queue.blocking:
                _run(queue)
        work()


def synchronize(queue: Queue | None = None, call: str = "cuStreamSynchronize") -> None:
    """Wait for one stream, or for all of them. Errors of the work surface here."""
    with lock:
        reap()
        _raise_late()
        if queue is None:
            for capture in _captures():
                raise capture.invalidate(call, "cudaErrorStreamCaptureUnsupported", "a stream is being captured")
            _drain_all()
            return
        _forbid_captured(queue, call)
        _run(queue)


def is_done(queue: Queue, call: str = "cuStreamQuery") -> bool:
    """Is the stream empty? Each question lets it do one piece of its work."""
    with lock:
        _forbid_captured(queue, call)
        _raise_late()
        if queue.items:
            _run(queue, queue.items[0][0])
        return not queue.items


def _run(queue: Queue, until: float = float("inf")) -> None:
    """Do the stream's work that was enqueued at `until` or before, and what it depends on."""
    global _running
    while queue.items and queue.items[0][0] <= until:
        moment, work = queue.items.popleft()
        _running += 1
        try:
            if queue is LEGACY:
                for other in list(_queues.values()):
                    if other.blocking and other is not queue:
                        _run(other, moment - 1)
            elif queue.blocking and LEGACY.items:
                _run(LEGACY, moment - 1)
            work()
        except Exception as cause:
            queue.items.clear()
            if isinstance(cause, Error):
                raise
            made = LogicError(f"the work on a stream failed: {type(cause).__name__}: {cause}")
            made.code = "cudaErrorLaunchFailure"
            raise made from cause
        finally:
            _running -= 1


def _drain_all() -> None:
    if _running:
        return  # called by a stream's own work, which must not wait for what comes after it
    for queue in list(_queues.values()):
        _run(queue)
        if queue.closed and not queue.items:
            _queues.pop(queue.handle, None)


def _raise_late() -> None:
    if _late_errors:
        late = _late_errors[0]
        _late_errors.clear()
        raise late


# ---- events ----


@dataclass(eq=False)
class Mark:
    """One recording of an event: where, when it was enqueued, and (once done) the clock in seconds."""

    queue: Queue
    moment: int
    clock: float | None = None

    def stamp(self) -> None:
        self.clock = time.perf_counter()


@dataclass(eq=False)
class EventState:
    """An event: its last mark, or the capture that it was last recorded in."""

    timing: bool = True
    mark: Mark | None = None
    captured: tuple[Capture, Queue] | None = None

    def record(self, handle: int, call: str = "cuEventRecord") -> None:
        """Mark the present end of a stream."""
        with lock:
            queue = queue_of(handle, call)
            if queue.capture is not None:
                queue.capture.check(call)
                self.captured, self.mark = (queue.capture, queue), None
                return
            if queue is LEGACY:
                _forbid_legacy(call)
            self.captured = None
            self.mark = Mark(queue, next(_sequence))
            queue.items.append((self.mark.moment, self.mark.stamp))

    def wait_in(self, handle: int, call: str = "cuStreamWaitEvent") -> None:
        """Let what is enqueued into the stream from now on wait for this event's last mark."""
        with lock:
            queue = queue_of(handle, call)
            if self.captured is not None:
                self.captured[0].join(queue, self.captured[1], call)
            elif self.mark is not None:
                mark = self.mark
                if queue.capture is not None:
                    words = "the event was recorded outside the capture"
                    raise queue.capture.invalidate(call, "cudaErrorStreamCaptureIsolation", words)
                queue.items.append((next(_sequence), lambda: _run(mark.queue, mark.moment)))

    def synchronize(self, call: str = "cuEventSynchronize") -> None:
        """Wait until the mark is reached; at once when the event was never recorded."""
        with lock:
            self._forbid_captured(call)
            _raise_late()
            if self.mark is not None:
                _run(self.mark.queue, self.mark.moment)

    def query(self, call: str = "cuEventQuery") -> bool:
        """Was the mark reached? Each question lets its stream do one piece of work."""
        with lock:
            self._forbid_captured(call)
            if self.mark is None:
                return True
            queue, moment = self.mark.queue, self.mark.moment
            if queue.pending(moment):
                _run(queue, queue.items[0][0])
            return not queue.pending(moment)

    def _forbid_captured(self, call: str) -> None:
        if self.captured is not None:
            words = "inside a capture nothing runs, so there is nothing to wait for; record it again first"
            raise error(call, "cudaErrorCapturedEvent", words)


def elapsed_ms(start: EventState, end: EventState, call: str = "cuEventElapsedTime") -> float:
    """Milliseconds from `start` to `end`, both recorded with timing and both reached."""
    for event in (start, end):
        if not event.timing:
            raise error(call, "cudaErrorInvalidResourceHandle", "an event was made with event_flags.DISABLE_TIMING")
        if event.mark is None:
            raise error(call, "cudaErrorInvalidResourceHandle", "an event was never recorded")
    if None in (start.mark.clock, end.mark.clock):
        raise error(call, "cudaErrorNotReady", "the stream has not reached the event yet; call its synchronize() first")
    return (end.mark.clock - start.mark.clock) * 1e3


# ---- graphs ----


@dataclass(eq=False)
class Graph:
    """Recorded work, in an order that respects every dependency."""

    works: list[Work]


@dataclass(eq=False)
class Capture:
    """A capture under way: what is enqueued into its streams is recorded, not run."""

    origin: Queue
    mode: str = "global"  # global, thread-local, relaxed
    works: list[Work] = field(default_factory=list)
    queues: set[Queue] = field(default_factory=set)
    unjoined: set[Queue] = field(default_factory=set)
    thread: int = field(default_factory=threading.get_ident)
    broken: bool = False
    ended: bool = False

    def check(self, call: str) -> None:
        if self.broken:
            words = "an earlier call broke this capture; end it and begin again"
            raise error(call, "cudaErrorStreamCaptureInvalidated", words)

    def add(self, queue: Queue, work: Work, call: str) -> None:
        self.check(call)
        self.works.append(work)
        if queue is not self.origin:
            self.unjoined.add(queue)

    def invalidate(self, call: str, code: str, words: str) -> Error:
        self.broken = True
        return error(call, code, words)

    def join(self, queue: Queue, source: Queue, call: str) -> None:
        """`queue` waits for `source`, which is captured: it enters the capture, or takes the branch in."""
        if self.ended:
            raise error(call, "cudaErrorCapturedEvent", "the event belongs to a capture that has ended")
        self.check(call)
        if queue.capture not in (None, self):
            raise self.invalidate(call, "cudaErrorStreamCaptureMerge", "both streams are in captures of their own")
        queue.capture = self
        self.queues.add(queue)
        self.unjoined.discard(source)
        if queue is not self.origin:
            self.unjoined.add(queue)


def _captures() -> list[Capture]:
    return list(dict.fromkeys(q.capture for q in _queues.values() if q.capture is not None))


def forbid_while_capturing(call: str) -> None:
    """Refuse a call that CUDA calls unsafe while a capture of this mode is under way."""
    for capture in _captures():
        if capture.mode == "global" or (capture.mode == "thread-local" and capture.thread == threading.get_ident()):
            words = "a stream is being captured; do this before or after the capture"
            raise capture.invalidate(call, "cudaErrorStreamCaptureUnsupported", words)


def _forbid_legacy(call: str) -> None:
    for capture in _captures():
        if any(queue.blocking for queue in capture.queues):
            words = "a blocking call or the default stream waits for all streams, and one is being captured"
            words += "; use the _async form on the captured stream"
            raise capture.invalidate(call, "cudaErrorStreamCaptureImplicit", words)


def _forbid_captured(queue: Queue, call: str) -> None:
    if queue.capture is not None:
        words = "this stream is being captured: nothing runs, so there is nothing to wait for"
        raise queue.capture.invalidate(call, "cudaErrorStreamCaptureUnsupported", words)


def begin_capture(handle: int, mode: str, call: str = "cudaStreamBeginCapture") -> None:
    """Record what is enqueued into the stream from now on."""
    with lock:
        queue = queue_of(handle, call)
        if queue is LEGACY:
            raise error(call, "cudaErrorStreamCaptureUnsupported", "the default stream cannot be captured")
        if queue.capture is not None:
            raise error(call, "cudaErrorIllegalState", "this stream is being captured already")
        queue.capture = Capture(queue, mode, queues={queue})


def end_capture(handle: int, call: str = "cudaStreamEndCapture") -> Graph:
    """End the stream's capture and return what was recorded."""
    with lock:
        queue = queue_of(handle, call)
        capture = queue.capture
        if capture is None:
            raise error(call, "cudaErrorIllegalState", "this stream is not being captured")
        if capture.origin is not queue:
            raise capture.invalidate(call, "cudaErrorStreamCaptureUnmatched", "end it in the stream where it began")
        if capture.mode != "relaxed" and capture.thread != threading.get_ident():
            raise error(call, "cudaErrorStreamCaptureWrongThread", "end it in the thread where it began")
        for member in capture.queues:
            member.capture = None
        capture.ended = True
        capture.check(call)
        if capture.unjoined:
            words = "a second stream works in this capture; let the first wait for an event of it before the end"
            raise error(call, "cudaErrorStreamCaptureUnjoined", words)
        return Graph(capture.works)


def capture_status(handle: int, call: str = "cudaStreamIsCapturing") -> int:
    """0: not being captured; 1: being captured; 2: the capture is broken."""
    with lock:
        capture = queue_of(handle, call).capture
        return 0 if capture is None else 1 + capture.broken


def launch(graph: Graph, handle: int, call: str = "cudaGraphLaunch") -> None:
    """Enqueue all recorded work into a stream."""
    works = graph.works
    enqueue(handle, lambda: [work() for work in works], call)
