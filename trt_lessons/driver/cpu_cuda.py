"""Stands for `pycuda.driver` on the CPU: the names that the lessons use, on `cpu_device`.

Copies, streams, events and errors behave as PyCUDA's do; a context has to be current in the thread, as there.
Nothing here is a GPU: `Device(0).name()` says so, the compute capability is (0, 0), times are the CPU's.
"""

from __future__ import annotations

import enum
import itertools
import os
import threading
from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np

from . import cpu_device as _device
from .calls import Cuda, Driver
from .names import (  # noqa: F401 - PyCUDA's names
    Error,
    LaunchError,
    LogicError,
    MemoryError,
    RuntimeError,
    event_flags,
    host_alloc_flags,
    stream_flags,
)

# The attributes that the lessons ask for, with CUDA's numbers.
device_attribute = enum.IntEnum("device_attribute", {
    "MAX_THREADS_PER_BLOCK": 1, "WARP_SIZE": 10, "CLOCK_RATE": 13, "MULTIPROCESSOR_COUNT": 16, "INTEGRATED": 18,
    "CAN_MAP_HOST_MEMORY": 19, "CONCURRENT_KERNELS": 31, "MEMORY_CLOCK_RATE": 36, "GLOBAL_MEMORY_BUS_WIDTH": 37,
    "L2_CACHE_SIZE": 38, "ASYNC_ENGINE_COUNT": 40, "UNIFIED_ADDRESSING": 41, "COMPUTE_CAPABILITY_MAJOR": 75,
    "COMPUTE_CAPABILITY_MINOR": 76,
})  # fmt: skip


def init(flags: int = 0) -> None:
    """Initialize CUDA: nothing to do here."""


def get_version() -> tuple[int, int, int]:
    """The CUDA version: (0, 0, 0), there is none."""
    return (0, 0, 0)


def get_driver_version() -> int:
    """The driver's CUDA version: 0, there is none."""
    return 0


# ---- the calls of CUDA's driver API ----

_CONTEXT = 1  # the primary context's handle
_numbers = itertools.count(_CONTEXT + 1)  # handles of those that make_context makes
_threads = threading.local()
_NEEDS_CONTEXT = ("cuMemcpy", "cuMemset", "cuMemAlloc", "cuMemHostAlloc", "cuMemGetInfo", "cuStreamCreate",
                  "cuEventCreate", "cuCtxGetDevice", "cuCtxSynchronize", "cuCtxPopCurrent")  # fmt: skip


def _stack() -> list[int]:
    """This thread's contexts; the main thread begins with the primary one."""
    if not hasattr(_threads, "stack"):
        _threads.stack = [_CONTEXT] if threading.current_thread() is threading.main_thread() else []
    return _threads.stack


def _new_context(flags: int, number: int) -> int:
    """A context beside the primary one; memory of all contexts is one here."""
    _stack().append(next(_numbers))
    return _stack()[-1]


def _need_context(call: str) -> None:
    if not _stack():
        words = "no context is current in this thread; push the main thread's first: "
        words += "cuda.Device(0).retain_primary_context().push(), and cuda.Context.pop() at the end"
        raise _device.error(call, "cudaErrorDeviceUninitialized", words)


def _number(number: int) -> int:
    if number != 0:
        words = f"there is no device {number}; the interpreter has one, number 0"
        raise _device.error("cuDeviceGet", "cudaErrorInvalidDevice", words)
    return number


def _name(length: int, number: int) -> bytes:
    try:
        return f"CPU (onnxruntime {metadata.version('onnxruntime')}, interpreter)".encode()
    except metadata.PackageNotFoundError:
        return b"CPU (interpreter)"


def _attribute(attribute: int, number: int) -> int:
    """CPU cores for MULTIPROCESSOR_COUNT, 0 for what a CPU does not have."""
    return (os.cpu_count() or 1) if attribute == device_attribute.MULTIPROCESSOR_COUNT else 0


def _copy_or_set(call: str, into: Any, source: Any, size: int, *stream: int) -> None:
    """cuMemcpy... and cuMemset...: host memory is an array; with a stream, what can be checked is checked at once."""

    def place(memory: Any) -> np.ndarray:
        if isinstance(memory, np.ndarray):
            return memory.ravel(order="K").view(np.uint8) if memory.size else np.empty(0, np.uint8)
        return _device.view(memory, size, call)

    def value() -> Any:
        return place(source) if call.startswith("cuMemcpy") else source

    def work() -> None:
        place(into)[:] = value()

    if not stream:
        _device.run_now(work, call)
        return
    place(into), value()
    _device.enqueue(*stream, work, call)


_CALLS: dict[str, Callable] = {
    "cuDeviceGet": _number,
    "cuDeviceGetCount": lambda: 1,
    "cuDeviceGetName": _name,
    "cuDeviceTotalMem": lambda number: _device.TOTAL_MEMORY,
    "cuDeviceGetPCIBusId": lambda length, number: b"",
    "cuDeviceGetAttribute": _attribute,
    "cuDevicePrimaryCtxRetain": lambda number: _CONTEXT,
    "cuCtxCreate": _new_context,
    "cuCtxPushCurrent": lambda context: _stack().append(context),
    "cuCtxPopCurrent": lambda: _stack().pop(),
    "cuCtxGetCurrent": lambda: _stack()[-1] if _stack() else 0,
    "cuCtxGetDevice": lambda: 0,
    "cuCtxSynchronize": lambda: _device.synchronize(None, "cuCtxSynchronize"),
    "cuStreamCreate": lambda flags: _device.create_stream(blocking=not flags & stream_flags.NON_BLOCKING).handle,
    "cuStreamSynchronize": lambda stream: _device.synchronize(_device.queue_of(stream)),
    "cuStreamQuery": lambda stream: _device.is_done(_device.queue_of(stream)),
    "cuStreamWaitEvent": lambda stream, event, flags: event.wait_in(stream),
    "cuEventCreate": lambda flags: _device.EventState(timing=not flags & event_flags.DISABLE_TIMING),
    "cuEventRecord": lambda event, stream: event.record(stream),
    "cuEventSynchronize": lambda event: event.synchronize(),
    "cuEventQuery": lambda event: event.query(),
    "cuEventElapsedTime": _device.elapsed_ms,
    "cuMemAlloc": _device.allocate,
    "cuMemFree": _device.free,
    "cuMemHostAlloc": lambda nbytes, flags: _device.allocate_pinned(nbytes),
    "cuMemFreeHost": _device.drop_pinned,
    "cuMemGetInfo": _device.memory_info,
}
_GIVE_BACK = {"cuStreamDestroy": _device.close, "cuMemFree": _device.drop, "cuMemFreeHost": _device.drop_pinned}


def _do(call: str, *arguments: Any) -> Any:
    if call.startswith(_NEEDS_CONTEXT):
        _need_context(call)
    if call.startswith(("cuMemcpy", "cuMemset")):
        return _copy_or_set(call, *arguments)
    return _CALLS[call](*arguments)


def _give_back(call: str, handle: Any) -> None:
    if call in _GIVE_BACK:  # an event is nothing but its object
        _GIVE_BACK[call](handle)


globals().update(Cuda(Driver(_do, _do, _give_back, device_attribute)).names())
