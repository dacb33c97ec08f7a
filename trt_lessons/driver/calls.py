"""The names of PyCUDA's driver that the lessons use, written once on the calls of CUDA's driver API.

`cuda_python` puts them on NVIDIA's cuda-bindings, `cpu_cuda` on the interpreter's device: each hands over
a `Driver` and takes `Cuda(driver).names()` as its own.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .names import LogicError


@dataclass(frozen=True)
class Driver:
    """How to call a driver. Host memory is handed to `do` as an array, device memory as its address."""

    do: Callable[..., Any]  # do(call, *arguments): the call's value, or its error is raised
    ready: Callable[[str, Any], bool]  # ready(call, handle): asks a stream or an event whether it is done
    give_back: Callable[[str, Any], Any]  # give_back(call, handle): destroys what nobody uses any more
    device_attribute: Any  # CUDA's attributes, by name


class _OnDriver:
    """A class of `Cuda`'s: `_cuda` and `_driver` are set there."""

    _cuda: Cuda
    _driver: Driver

    def _give_back(self, call: str, handle: Any) -> None:
        """Destroy without raising: for __del__, at any moment and in any thread."""
        try:
            self._driver.give_back(call, handle)
        except Exception:  # at the end of the process the modules may be half gone
            return


# ---- device and context ----


class Device(_OnDriver):
    """A device, by number."""

    def __init__(self, number: int = 0) -> None:
        self._device = self._driver.do("cuDeviceGet", number)

    @classmethod
    def count(cls) -> int:
        """How many devices there are."""
        return int(cls._driver.do("cuDeviceGetCount"))

    def name(self) -> str:
        """The device's name; the interpreter's says that it is a CPU."""
        return self._driver.do("cuDeviceGetName", 256, self._device).split(b"\0")[0].decode()

    def compute_capability(self) -> tuple[int, int]:
        """(major, minor); (0, 0) is not a GPU."""
        known = self._driver.device_attribute
        wanted = known.COMPUTE_CAPABILITY_MAJOR, known.COMPUTE_CAPABILITY_MINOR
        return tuple(self.get_attribute(attribute) for attribute in wanted)

    def total_memory(self) -> int:
        """Bytes of device memory."""
        return int(self._driver.do("cuDeviceTotalMem", self._device))

    def pci_bus_id(self) -> str:
        """Where it sits on the PCI bus; empty where it does not."""
        return self._driver.do("cuDeviceGetPCIBusId", 32, self._device).split(b"\0")[0].decode()

    def get_attribute(self, attribute: Any) -> int:
        """The value of a `device_attribute`."""
        return int(self._driver.do("cuDeviceGetAttribute", attribute, self._device))

    def retain_primary_context(self) -> Context:
        """The primary context, which TensorRT and PyTorch use; not made current."""
        return self._cuda.Context(self._driver.do("cuDevicePrimaryCtxRetain", self._device))

    def make_context(self, flags: int = 0) -> Context:
        """A context of its own, made current in this thread; `pop` it (and `detach` it) at the end."""
        return self._cuda.Context(self._driver.do("cuCtxCreate", int(flags), self._device))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and int(self._device) == int(other._device)

    def __hash__(self) -> int:
        return hash(int(self._device))


class Context(_OnDriver):
    """A CUDA context. Each thread that calls CUDA must have it pushed."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def push(self) -> None:
        """Make it current in this thread."""
        self._driver.do("cuCtxPushCurrent", self._handle)

    def detach(self) -> None:
        """Take it off this thread's stack if it is current; the primary context lives as long as the process."""
        if self.get_current() == self:
            self.pop()

    @classmethod
    def pop(cls) -> None:
        """Take the current context off this thread's stack."""
        cls._driver.do("cuCtxPopCurrent")

    @classmethod
    def get_current(cls) -> Context | None:
        """The current context of this thread, or None."""
        handle = cls._driver.do("cuCtxGetCurrent")
        return cls(handle) if int(handle) else None

    @classmethod
    def get_device(cls) -> Device:
        """The device of the current context."""
        return cls._cuda.Device(int(cls._driver.do("cuCtxGetDevice")))

    @classmethod
    def synchronize(cls) -> None:
        """Wait for everything in all streams."""
        cls._driver.do("cuCtxSynchronize")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Context) and int(self._handle) == int(other._handle)

    def __hash__(self) -> int:
        return hash(int(self._handle))


# ---- streams and events ----


class Stream(_OnDriver):
    """A queue of work, done in order. `handle` is what TensorRT's execute_async_v3 takes."""

    def __init__(self, flags: int = 0) -> None:
        self._stream = self._driver.do("cuStreamCreate", int(flags))
        self.handle = int(self._stream)

    def synchronize(self) -> None:
        """Wait until all work enqueued so far is done."""
        self._driver.do("cuStreamSynchronize", self._stream)

    def is_done(self) -> bool:
        """Is all enqueued work done?"""
        return self._driver.ready("cuStreamQuery", self._stream)

    def wait_for_event(self, evt: Event) -> None:
        """Let later work of this stream wait for `evt`."""
        self._driver.do("cuStreamWaitEvent", self._stream, evt._event, 0)

    def __del__(self) -> None:
        if "_stream" in self.__dict__:
            self._give_back("cuStreamDestroy", self._stream)


class Event(_OnDriver):
    """A mark in a stream, with the time at which the device reached it."""

    def __init__(self, flags: int = 0) -> None:
        self._event = self._driver.do("cuEventCreate", int(flags))

    def record(self, stream: Stream | None = None) -> Event:
        """Mark the present end of `stream` (the default stream when None)."""
        self._driver.do("cuEventRecord", self._event, stream_of(stream))
        return self

    def synchronize(self) -> Event:
        """Wait until the mark is reached."""
        self._driver.do("cuEventSynchronize", self._event)
        return self

    def query(self) -> bool:
        """Was the mark reached?"""
        return self._driver.ready("cuEventQuery", self._event)

    def time_since(self, event: Event) -> float:
        """Milliseconds from `event` to this one."""
        return float(self._driver.do("cuEventElapsedTime", event._event, self._event))

    def time_till(self, event: Event) -> float:
        """Milliseconds from this event to `event`."""
        return event.time_since(self)

    def __del__(self) -> None:
        if "_event" in self.__dict__:
            self._give_back("cuEventDestroy", self._event)


# ---- memory ----


class DeviceAllocation(_OnDriver):
    """A piece of device memory; freed by free(), or when the object is gone."""

    def __init__(self, nbytes: int) -> None:
        self._live = False
        self._address = int(self._driver.do("cuMemAlloc", nbytes))
        self._live = True

    def __int__(self) -> int:
        return self._address

    __index__ = __int__

    def free(self) -> None:
        """Give the memory back now."""
        if not self._live:
            words = f"the memory at {self._address:#x} was freed before (a double free)"
            raise LogicError(f"device_allocation::free failed: invalid resource handle - {words}")
        self._live = False
        self._driver.do("cuMemFree", self._address)

    def __del__(self) -> None:
        if self.__dict__.get("_live"):
            self._live = False
            self._give_back("cuMemFree", self._address)


class PagelockedHostAllocation(_OnDriver):
    """Owns page-locked host memory; an array's `base` while it lives."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, order: str, flags: int) -> None:
        self._live = False
        nbytes = max(int(np.prod(shape, dtype=np.int64)) * dtype.itemsize, 1)
        self._memory = self._driver.do("cuMemHostAlloc", nbytes, int(flags))
        self._live = True
        block = (ctypes.c_uint8 * nbytes).from_address(int(self._memory))
        told = {"version": 3, "shape": shape, "typestr": dtype.str, "data": (int(self._memory), False)}
        self.__array_interface__ = told | {"strides": np.ndarray(shape, dtype, block, order=order).strides}

    def free(self) -> None:
        """Give the memory back now; no array may use it any more."""
        self._live = False
        self._driver.do("cuMemFreeHost", int(self._memory))

    def __del__(self) -> None:
        if self.__dict__.get("_live"):
            self._live = False
            self._give_back("cuMemFreeHost", int(self._memory))


# ---- what the functions take ----


def stream_of(stream: Stream | None) -> Any:
    """The driver's handle of a stream, 0 for None; TypeError for anything else."""
    if stream is None:
        return 0
    if not isinstance(stream, Stream):
        got = type(stream).__name__
        raise TypeError(f"expected a cuda.Stream or None, got {got}; pass the Stream itself, not its handle")
    return stream._stream


def device_address(memory: Any, what: str) -> int:
    """The address of device memory; TypeError for host memory, in words for the parameter `what`."""
    if not isinstance(memory, (DeviceAllocation, int)) or isinstance(memory, bool):
        raise TypeError(
            f"{what} must be device memory (a DeviceAllocation or its address as an int), "
            f"got {type(memory).__name__}; are the arguments in the right order?"
        )
    if int(memory) < 0:
        raise OverflowError(f"{what}: an address cannot be negative")
    return int(memory)


def host_array(array: Any, writable: bool) -> np.ndarray:
    """A contiguous buffer in host memory as an array over the same bytes; errors in words for anything else."""
    try:
        memory = memoryview(array)
    except TypeError:
        raise TypeError(f"expected an array or another buffer in host memory, got {type(array).__name__}") from None
    if writable and memory.readonly:
        raise ValueError("buffer source array is read-only")
    if not memory.contiguous:
        raise ValueError("ndarray is not contiguous")
    return array if isinstance(array, np.ndarray) else np.frombuffer(memory.cast("B"), np.uint8)


_KINDS = (Device, Context, Stream, Event, DeviceAllocation, PagelockedHostAllocation)


class Cuda:
    """PyCUDA's classes and functions on one driver."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        for kind in _KINDS:
            its_own = {"__doc__": kind.__doc__, "_cuda": self, "_driver": driver}
            setattr(self, kind.__name__, type(kind.__name__, (kind,), its_own))
        self.HostAllocation = self.PagelockedHostAllocation

    def names(self) -> dict[str, Any]:
        """The classes and functions by name, for the module that offers them."""
        return {name: getattr(self, name) for name in dir(self) if not name.startswith("_") and name != "names"}

    def mem_alloc(self, bytes: int) -> DeviceAllocation:  # PyCUDA's parameter name
        """Allocate device memory. Its content is undefined (0xCD everywhere on the interpreter)."""
        if isinstance(bytes, bool) or not isinstance(bytes, int):
            got = type(bytes).__name__
            raise TypeError(f"mem_alloc takes a number of bytes as a Python int, got {got}; use int(...)")
        if bytes < 0:
            raise OverflowError("mem_alloc takes a number of bytes, got a negative one")
        return self.DeviceAllocation(bytes)

    def mem_get_info(self) -> tuple[int, int]:
        """(free, total) bytes of device memory."""
        return tuple(int(value) for value in self._driver.do("cuMemGetInfo"))

    def pagelocked_empty(self, shape: Any, dtype: Any, order: str = "C", mem_flags: int = 0) -> np.ndarray:
        """A new array in page-locked host memory, not initialized."""
        dims = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(int(extent) for extent in shape)
        wanted = np.dtype(dtype)
        array = np.asarray(self.PagelockedHostAllocation(dims, wanted, order, mem_flags))
        return array if array.dtype == wanted else array.view(wanted)

    def pagelocked_zeros(self, shape: Any, dtype: Any, order: str = "C", mem_flags: int = 0) -> np.ndarray:
        """A new array of zeros in page-locked host memory."""
        array = self.pagelocked_empty(shape, dtype, order, mem_flags)
        array.fill(0)
        return array

    def pagelocked_empty_like(self, array: np.ndarray, mem_flags: int = 0) -> np.ndarray:
        """A new page-locked array with the shape and dtype of `array`."""
        return self.pagelocked_empty(array.shape, array.dtype, mem_flags=mem_flags)

    def pagelocked_zeros_like(self, array: np.ndarray, mem_flags: int = 0) -> np.ndarray:
        """A new page-locked array of zeros with the shape and dtype of `array`."""
        return self.pagelocked_zeros(array.shape, array.dtype, mem_flags=mem_flags)

    def memcpy_htod(self, dest: Any, src: Any) -> None:
        """Copy from host to device; returns when it is done."""
        address, source = device_address(dest, "dest"), host_array(src, writable=False)
        self._driver.do("cuMemcpyHtoD", address, source, source.nbytes)

    def memcpy_dtoh(self, dest: Any, src: Any) -> None:
        """Copy from device to host; returns when it is done."""
        address, target = device_address(src, "src"), host_array(dest, writable=True)
        self._driver.do("cuMemcpyDtoH", target, address, target.nbytes)

    def memcpy_dtod(self, dest: Any, src: Any, size: int) -> None:
        """Copy `size` bytes inside device memory."""
        self._driver.do("cuMemcpyDtoD", device_address(dest, "dest"), device_address(src, "src"), size)

    def memcpy_htod_async(self, dest: Any, src: Any, stream: Stream | None = None) -> None:
        """Enqueue a copy from host to device; truly asynchronous from page-locked memory only."""
        address, source = device_address(dest, "dest"), host_array(src, writable=False)
        self._driver.do("cuMemcpyHtoDAsync", address, source, source.nbytes, stream_of(stream))

    def memcpy_dtoh_async(self, dest: Any, src: Any, stream: Stream | None = None) -> None:
        """Enqueue a copy from device to host; truly asynchronous into page-locked memory only."""
        address, target = device_address(src, "src"), host_array(dest, writable=True)
        self._driver.do("cuMemcpyDtoHAsync", target, address, target.nbytes, stream_of(stream))

    def memcpy_dtod_async(self, dest: Any, src: Any, size: int, stream: Stream | None = None) -> None:
        """Enqueue a copy of `size` bytes inside device memory."""
        places = device_address(dest, "dest"), device_address(src, "src")
        self._driver.do("cuMemcpyDtoDAsync", *places, size, stream_of(stream))

    def memset_d8(self, dest: Any, data: int, size: int) -> None:
        """Set `size` bytes of device memory to `data`."""
        self._driver.do("cuMemsetD8", device_address(dest, "dest"), data, size)

    def memset_d8_async(self, dest: Any, data: int, size: int, stream: Stream | None = None) -> None:
        """Enqueue: set `size` bytes of device memory to `data`."""
        self._driver.do("cuMemsetD8Async", device_address(dest, "dest"), data, size, stream_of(stream))

    def to_device(self, buffer: Any) -> DeviceAllocation:
        """Allocate device memory for a host array and copy it there."""
        allocation = self.mem_alloc(host_array(buffer, writable=False).nbytes)
        self.memcpy_htod(allocation, buffer)
        return allocation

    def from_device(self, devptr: Any, shape: Any, dtype: Any, order: str = "C") -> np.ndarray:
        """A new host array with what is at `devptr`."""
        result = np.empty(shape, dtype, order)
        self.memcpy_dtoh(result, devptr)
        return result

    def from_device_like(self, devptr: Any, other_ary: np.ndarray) -> np.ndarray:
        """As from_device, with the shape and dtype of `other_ary`."""
        return self.from_device(devptr, other_ary.shape, other_ary.dtype)
