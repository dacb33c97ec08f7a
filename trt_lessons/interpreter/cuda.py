"""Stands for `pycuda.driver` on the CPU: the names that the lessons use, on `interpreter.device`.

Copies, streams, events and errors behave as PyCUDA's do; a context has to be current in the thread, as there.
Nothing here is a GPU: `Device(0).name()` says so, the compute capability is (0, 0), times are the CPU's.
"""

from __future__ import annotations

import enum
import os
import threading
from importlib import metadata
from typing import Any

import numpy as np

from ..cuda_names import (  # noqa: F401 - PyCUDA's names
    Error,
    LaunchError,
    LogicError,
    MemoryError,
    RuntimeError,
    event_flags,
    host_alloc_flags,
    stream_flags,
)
from . import device as _device

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


# ---- device and context ----


class Device:
    """The only device, number 0: this machine's CPU."""

    def __init__(self, number: int = 0) -> None:
        if number != 0:
            words = f"there is no device {number}; the interpreter has one, number 0"
            raise _device.error("cuDeviceGet", "cudaErrorInvalidDevice", words)

    @staticmethod
    def count() -> int:
        """How many devices there are."""
        return 1

    def name(self) -> str:
        """Says that this is a CPU."""
        try:
            return f"CPU (onnxruntime {metadata.version('onnxruntime')}, interpreter)"
        except metadata.PackageNotFoundError:
            return "CPU (interpreter)"

    def compute_capability(self) -> tuple[int, int]:
        """(0, 0): not a GPU."""
        return (0, 0)

    def total_memory(self) -> int:
        """Bytes that the interpreter lets device memory grow to."""
        return _device.TOTAL_MEMORY

    def pci_bus_id(self) -> str:
        """Empty: not a PCI device."""
        return ""

    def get_attribute(self, attribute: device_attribute) -> int:
        """CPU cores for MULTIPROCESSOR_COUNT, 0 for what a CPU does not have."""
        return (os.cpu_count() or 1) if attribute == device_attribute.MULTIPROCESSOR_COUNT else 0

    def retain_primary_context(self) -> Context:
        """The primary context, not made current."""
        return _PRIMARY

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device)

    def __hash__(self) -> int:
        return 0


class Context:
    """The primary context. Each thread that calls CUDA must have it pushed; the main thread has."""

    def push(self) -> None:
        """Make it current in this thread."""
        _stack().append(self)

    def detach(self) -> None:
        """Give it up; the primary context lives as long as the process."""
        if _stack():
            _stack().pop()

    @staticmethod
    def pop() -> None:
        """Take the current context off this thread's stack."""
        if not _stack():
            words = "no context is current in this thread"
            raise _device.error("cuCtxPopCurrent", "cudaErrorDeviceUninitialized", words)
        _stack().pop()

    @staticmethod
    def get_current() -> Context | None:
        """The current context of this thread, or None."""
        return _stack()[-1] if _stack() else None

    @staticmethod
    def get_device() -> Device:
        """The device of the current context."""
        _need_context("cuCtxGetDevice")
        return Device(0)

    @staticmethod
    def synchronize() -> None:
        """Wait for everything in all streams."""
        _need_context("cuCtxSynchronize")
        _device.synchronize(None, "cuCtxSynchronize")


_PRIMARY = Context()
_threads = threading.local()


def _stack() -> list[Context]:
    if not hasattr(_threads, "stack"):
        _threads.stack = [_PRIMARY] if threading.current_thread() is threading.main_thread() else []
    return _threads.stack


def _need_context(call: str) -> None:
    if not _stack():
        words = "no context is current in this thread; push the main thread's first: "
        words += "cuda.Device(0).retain_primary_context().push(), and cuda.Context.pop() at the end"
        raise _device.error(call, "cudaErrorDeviceUninitialized", words)


# ---- streams and events ----


class Stream:
    """A queue of work, done in order. `handle` is what TensorRT's execute_async_v3 takes."""

    def __init__(self, flags: int = 0) -> None:
        _need_context("cuStreamCreate")
        self._queue = _device.create_stream(blocking=not flags & stream_flags.NON_BLOCKING)

    @property
    def handle(self) -> int:
        """The stream's handle, an int."""
        return self._queue.handle

    def synchronize(self) -> None:
        """Wait until all work enqueued so far is done."""
        _device.synchronize(self._queue)

    def is_done(self) -> bool:
        """Is all enqueued work done?"""
        return _device.is_done(self._queue)

    def wait_for_event(self, evt: Event) -> None:
        """Let later work of this stream wait for `evt`."""
        evt._state.wait_in(self.handle)

    def __del__(self) -> None:
        if hasattr(self, "_queue"):
            self._queue.closed = True


class Event:
    """A mark in a stream, with the clock's time when the stream reached it."""

    def __init__(self, flags: int = 0) -> None:
        _need_context("cuEventCreate")
        self._state = _device.EventState(timing=not flags & event_flags.DISABLE_TIMING)

    def record(self, stream: Stream | None = None) -> Event:
        """Mark the present end of `stream` (the default stream when None)."""
        self._state.record(_handle(stream))
        return self

    def synchronize(self) -> Event:
        """Wait until the mark is reached."""
        self._state.synchronize()
        return self

    def query(self) -> bool:
        """Was the mark reached?"""
        return self._state.query()

    def time_since(self, event: Event) -> float:
        """Milliseconds from `event` to this one."""
        return _device.elapsed_ms(event._state, self._state)

    def time_till(self, event: Event) -> float:
        """Milliseconds from this event to `event`."""
        return _device.elapsed_ms(self._state, event._state)


def _handle(stream: Stream | None) -> int:
    if stream is None:
        return 0
    if not isinstance(stream, Stream):
        raise TypeError(f"expected a cuda.Stream or None, got {type(stream).__name__}; pass the Stream, not its handle")
    return stream.handle


# ---- memory ----


class DeviceAllocation:
    """A piece of device memory; freed by free(), or when the object is gone."""

    def __init__(self, nbytes: int) -> None:
        self._live = False
        self._address = _device.allocate(nbytes)
        self._live = True

    def __int__(self) -> int:
        return self._address

    __index__ = __int__

    def free(self) -> None:
        """Give the memory back now."""
        if not self._live:
            words = f"the memory at {self._address:#x} was freed before (a double free)"
            raise _device.error("device_allocation::free", "cudaErrorInvalidResourceHandle", words)
        self._live = False
        _device.free(self._address)

    def __del__(self) -> None:
        if self.__dict__.get("_live"):
            self._live = False
            _device.drop(self._address)


class PagelockedHostAllocation:
    """Owns page-locked host memory; an array's `base` while it lives."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, order: str) -> None:
        nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        self.memory = np.full(max(nbytes, 1), _device.GARBAGE, np.uint8)
        self._address = self.memory.ctypes.data
        strides = np.empty((0,) * len(shape), dtype).strides if nbytes == 0 else _strides(shape, dtype, order)
        told = {"version": 3, "shape": shape, "typestr": dtype.str, "strides": strides}
        self.__array_interface__ = told | {"data": (self._address, False)}
        _device.add_pinned(self, self._address, nbytes)

    def free(self) -> None:
        """Forget that the memory is page-locked; it lives on while an array uses it."""
        _device.drop_pinned(self._address)

    def __del__(self) -> None:
        if "_address" in self.__dict__:
            _device.drop_pinned(self._address)


HostAllocation = PagelockedHostAllocation


def _strides(shape: tuple[int, ...], dtype: np.dtype, order: str) -> tuple[int, ...]:
    steps, step = [], dtype.itemsize
    for extent in shape if order == "F" else shape[::-1]:
        steps.append(step)
        step *= extent
    return tuple(steps if order == "F" else steps[::-1])


def mem_alloc(bytes: int) -> DeviceAllocation:  # PyCUDA's parameter name
    """Allocate device memory. It holds 0xCD everywhere until something is copied there."""
    _need_context("cuMemAlloc")
    if isinstance(bytes, bool) or not isinstance(bytes, int):
        raise TypeError(f"mem_alloc takes a number of bytes as a Python int, got {type(bytes).__name__}; use int(...)")
    if bytes < 0:
        raise OverflowError("mem_alloc takes a number of bytes, got a negative one")
    return DeviceAllocation(bytes)


def mem_get_info() -> tuple[int, int]:
    """(free, total) bytes of device memory."""
    _need_context("cuMemGetInfo")
    return _device.memory_info()


def pagelocked_empty(shape: Any, dtype: Any, order: str = "C", mem_flags: int = 0) -> np.ndarray:
    """A new array in page-locked host memory, not initialized."""
    _need_context("cuMemHostAlloc")
    dims = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(int(extent) for extent in shape)
    wanted = np.dtype(dtype)
    array = np.asarray(PagelockedHostAllocation(dims, wanted, order))
    return array if array.dtype == wanted else array.view(wanted)


def pagelocked_zeros(shape: Any, dtype: Any, order: str = "C", mem_flags: int = 0) -> np.ndarray:
    """A new array of zeros in page-locked host memory."""
    array = pagelocked_empty(shape, dtype, order, mem_flags)
    array.fill(0)
    return array


def pagelocked_empty_like(array: np.ndarray, mem_flags: int = 0) -> np.ndarray:
    """A new page-locked array with the shape and dtype of `array`."""
    return pagelocked_empty(array.shape, array.dtype, mem_flags=mem_flags)


def pagelocked_zeros_like(array: np.ndarray, mem_flags: int = 0) -> np.ndarray:
    """A new page-locked array of zeros with the shape and dtype of `array`."""
    return pagelocked_zeros(array.shape, array.dtype, mem_flags=mem_flags)


def _address(pointer: Any, what: str) -> int:
    if isinstance(pointer, DeviceAllocation):
        return int(pointer)
    if isinstance(pointer, int) and not isinstance(pointer, bool):
        if pointer < 0:
            raise OverflowError(f"{what}: an address cannot be negative")
        return pointer
    raise TypeError(
        f"{what} must be device memory (a DeviceAllocation or its address as an int), "
        f"got {type(pointer).__name__}; are the arguments in the right order?"
    )


def _host_bytes(array: Any, writable: bool) -> np.ndarray:
    """The bytes of a contiguous buffer, without a copy."""
    try:
        memory = memoryview(array)
    except TypeError:
        raise TypeError(f"expected an array or another buffer in host memory, got {type(array).__name__}") from None
    if writable and memory.readonly:
        raise ValueError("buffer source array is read-only")
    if not memory.contiguous:
        raise ValueError("ndarray is not contiguous")
    if isinstance(array, np.ndarray):
        return array.ravel(order="K").view(np.uint8) if array.size else np.empty(0, np.uint8)
    return np.frombuffer(memory.cast("B"), np.uint8)


def _move(call: str, stream: Any, size: int, into: Any, out_of: Any) -> None:
    """Copy `size` bytes; each side is an array of bytes or a device address. `Context` as stream: blocking."""

    def side(place: Any) -> np.ndarray:
        return place if isinstance(place, np.ndarray) else _device.view(place, size, call)

    def work() -> None:
        source = side(out_of)
        side(into)[:] = source.copy() if isinstance(into, int) and isinstance(out_of, int) else source

    if stream is Context:
        _device.run_now(work, call)
        return
    handle = _handle(stream)
    side(into), side(out_of)
    _device.enqueue(handle, work, call)


def _to_device(call: str, dest: Any, src: Any, stream: Any) -> None:
    _need_context(call)
    address, source = _address(dest, "dest"), _host_bytes(src, writable=False)
    _move(call, stream, source.size, address, source)


def _to_host(call: str, dest: Any, src: Any, stream: Any) -> None:
    _need_context(call)
    address, target = _address(src, "src"), _host_bytes(dest, writable=True)
    _move(call, stream, target.size, target, address)


def _inside(call: str, dest: Any, src: Any, size: int, stream: Any) -> None:
    _need_context(call)
    _move(call, stream, size, _address(dest, "dest"), _address(src, "src"))


def memcpy_htod(dest: Any, src: Any) -> None:
    """Copy from host to device; returns when it is done."""
    _to_device("cuMemcpyHtoD", dest, src, Context)


def memcpy_dtoh(dest: Any, src: Any) -> None:
    """Copy from device to host; returns when it is done."""
    _to_host("cuMemcpyDtoH", dest, src, Context)


def memcpy_dtod(dest: Any, src: Any, size: int) -> None:
    """Copy `size` bytes inside device memory."""
    _inside("cuMemcpyDtoD", dest, src, size, Context)


def memcpy_htod_async(dest: Any, src: Any, stream: Stream | None = None) -> None:
    """Enqueue a copy from host to device. The host array is read when the stream gets there."""
    _to_device("cuMemcpyHtoDAsync", dest, src, stream)


def memcpy_dtoh_async(dest: Any, src: Any, stream: Stream | None = None) -> None:
    """Enqueue a copy from device to host. The host array changes when the stream gets there."""
    _to_host("cuMemcpyDtoHAsync", dest, src, stream)


def memcpy_dtod_async(dest: Any, src: Any, size: int, stream: Stream | None = None) -> None:
    """Enqueue a copy of `size` bytes inside device memory."""
    _inside("cuMemcpyDtoDAsync", dest, src, size, stream)


def memset_d8(dest: Any, data: int, size: int) -> None:
    """Set `size` bytes of device memory to `data`."""
    _need_context("cuMemsetD8")
    address = _address(dest, "dest")
    _device.run_now(lambda: _device.view(address, size, "cuMemsetD8").fill(data), "cuMemsetD8")


def memset_d8_async(dest: Any, data: int, size: int, stream: Stream | None = None) -> None:
    """Enqueue: set `size` bytes of device memory to `data`."""
    call = "cuMemsetD8Async"
    _need_context(call)
    address = _address(dest, "dest")
    _device.view(address, size, call)
    _device.enqueue(_handle(stream), lambda: _device.view(address, size, call).fill(data), call)


def to_device(buffer: Any) -> DeviceAllocation:
    """Allocate device memory for a host array and copy it there."""
    allocation = mem_alloc(_host_bytes(buffer, writable=False).size)
    memcpy_htod(allocation, buffer)
    return allocation


def from_device(devptr: Any, shape: Any, dtype: Any, order: str = "C") -> np.ndarray:
    """A new host array with what is at `devptr`."""
    result = np.empty(shape, dtype, order)
    memcpy_dtoh(result, devptr)
    return result


def from_device_like(devptr: Any, other_ary: np.ndarray) -> np.ndarray:
    """As from_device, with the shape and dtype of `other_ary`."""
    return from_device(devptr, other_ary.shape, other_ary.dtype)
