"""The names of PyCUDA's driver that the lessons use, on NVIDIA's cuda-bindings: for machines without PyCUDA.

It imports without a driver; the first call that needs one raises a BackendError that says so. `backend.cuda`
is this module when PyCUDA does not import, or when TRT_LESSONS_CUDA=cuda-python asks for it.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import importlib
from typing import Any

import numpy as np

from .cuda_names import (  # noqa: F401 - PyCUDA's names
    Error,
    LaunchError,
    LogicError,
    MemoryError,
    RuntimeError,
    event_flags,
    host_alloc_flags,
    stream_flags,
)
from .errors import BackendError


class _Attributes:
    """`device_attribute.NAME`, taken from cuda-bindings when it is asked for."""

    def __getattr__(self, name: str) -> Any:
        try:
            return getattr(_driver().CUdevice_attribute, f"CU_DEVICE_ATTRIBUTE_{name}")
        except AttributeError:
            raise AttributeError(f"device_attribute has no {name}") from None


device_attribute = _Attributes()

_RUNTIME_ERRORS = {"NO_DEVICE", "NO_BINARY_FOR_GPU", "FILE_NOT_FOUND", "NOT_READY", "ECC_UNCORRECTABLE"}
_LAUNCH_ERRORS = {
    "LAUNCH_FAILED",
    "LAUNCH_OUT_OF_RESOURCES",
    "LAUNCH_TIMEOUT",
    "LAUNCH_INCOMPATIBLE_TEXTURING",
}


# ---- the driver ----


@functools.cache
def _driver() -> Any:
    """cuda-bindings' driver module, initialized; BackendError where there is none."""
    try:
        module = importlib.import_module("cuda.bindings.driver")
    except ImportError as cause:
        raise BackendError(
            "CUDA cannot be used here",
            why=f"cuda-bindings does not import ({cause})",
            cure="pip install cuda-bindings, of the CUDA major that TensorRT uses; or install PyCUDA",
        ) from cause
    cure = "use a machine with an NVIDIA GPU and its driver, or TRT_LESSONS_BACKEND=interpreter"
    try:
        code = module.cuInit(0)[0]
    except Exception as cause:  # without a driver cuda-bindings raises errors of several kinds
        reason = " ".join(str(cause).split())
        raise BackendError("CUDA cannot be used here", why=f"no NVIDIA driver answers ({reason})", cure=cure) from cause
    if int(code):
        raise BackendError("CUDA cannot be used here", why=f"the driver does not start: {code.name}", cure=cure)
    return module


def _raise(call: str, code: Any) -> None:
    short = code.name.removeprefix("CUDA_ERROR_")
    text = _driver().cuGetErrorString(code)[1]
    message = f"{call} failed: {text.decode() if isinstance(text, bytes) else short}"
    if short == "OUT_OF_MEMORY":
        raise MemoryError(message)
    if short in _LAUNCH_ERRORS:
        raise LaunchError(message)
    if short in _RUNTIME_ERRORS:
        raise RuntimeError(message)
    raise (Error if short == "UNKNOWN" else LogicError)(message)


def _do(call: str, *arguments: Any) -> Any:
    """Call the driver; its value (or None, or a tuple of several), or the exception for its error."""
    code, *values = getattr(_driver(), call)(*arguments)
    if code:
        _raise(call, code)
    if not values:
        return None
    return values[0] if len(values) == 1 else tuple(values)


def init(flags: int = 0) -> None:
    """Initialize CUDA."""
    _driver()


def get_version() -> tuple[int, int, int]:
    """The CUDA version of cuda-bindings, as (major, minor, revision)."""
    number = int(getattr(_driver(), "CUDA_VERSION", 0))
    return number // 1000, number % 1000 // 10, number % 10


def get_driver_version() -> int:
    """The CUDA version of the driver, as 1000 * major + 10 * minor."""
    return int(_do("cuDriverGetVersion"))


# ---- device and context ----


class Device:
    """A GPU, by number."""

    def __init__(self, number: int = 0) -> None:
        self._device = _do("cuDeviceGet", number)

    @staticmethod
    def count() -> int:
        """How many devices there are."""
        return int(_do("cuDeviceGetCount"))

    def name(self) -> str:
        """The device's name."""
        return _do("cuDeviceGetName", 256, self._device).split(b"\0")[0].decode()

    def compute_capability(self) -> tuple[int, int]:
        """(major, minor)."""
        wanted = device_attribute.COMPUTE_CAPABILITY_MAJOR, device_attribute.COMPUTE_CAPABILITY_MINOR
        return tuple(self.get_attribute(attribute) for attribute in wanted)

    def total_memory(self) -> int:
        """Bytes of device memory."""
        return int(_do("cuDeviceTotalMem", self._device))

    def pci_bus_id(self) -> str:
        """Where it sits on the PCI bus."""
        return _do("cuDeviceGetPCIBusId", 32, self._device).split(b"\0")[0].decode()

    def get_attribute(self, attribute: Any) -> int:
        """The value of a `device_attribute`."""
        return int(_do("cuDeviceGetAttribute", attribute, self._device))

    def retain_primary_context(self) -> Context:
        """The primary context, which TensorRT and PyTorch use; not made current."""
        return Context(_do("cuDevicePrimaryCtxRetain", self._device))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and int(self._device) == int(other._device)

    def __hash__(self) -> int:
        return hash(int(self._device))


class Context:
    """A CUDA context. Each thread that calls CUDA must have it pushed."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def push(self) -> None:
        """Make it current in this thread."""
        _do("cuCtxPushCurrent", self._handle)

    @staticmethod
    def pop() -> None:
        """Take the current context off this thread's stack."""
        _do("cuCtxPopCurrent")

    @staticmethod
    def get_current() -> Context | None:
        """The current context of this thread, or None."""
        handle = _do("cuCtxGetCurrent")
        return Context(handle) if int(handle) else None

    @staticmethod
    def get_device() -> Device:
        """The device of the current context."""
        return Device(int(_do("cuCtxGetDevice")))

    @staticmethod
    def synchronize() -> None:
        """Wait for everything in all streams."""
        _do("cuCtxSynchronize")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Context) and int(self._handle) == int(other._handle)

    def __hash__(self) -> int:
        return hash(int(self._handle))


@functools.cache
def use_primary_context() -> Context:
    """Push device 0's primary context in this thread, and pop it at exit: what pycuda.autoprimaryctx does."""
    context = Device(0).retain_primary_context()
    context.push()
    atexit.register(_leave, context)
    return context


def _leave(context: Context) -> None:
    if Context.get_current() == context:
        Context.pop()


# ---- streams and events ----


class Stream:
    """A queue of work, done in order. `handle` is what TensorRT's execute_async_v3 takes."""

    def __init__(self, flags: int = 0) -> None:
        self._stream = _do("cuStreamCreate", int(flags))
        self.handle = int(self._stream)

    def synchronize(self) -> None:
        """Wait until all work enqueued so far is done."""
        _do("cuStreamSynchronize", self._stream)

    def is_done(self) -> bool:
        """Is all enqueued work done?"""
        return _ready("cuStreamQuery", self._stream)

    def wait_for_event(self, evt: Event) -> None:
        """Let later work of this stream wait for `evt`."""
        _do("cuStreamWaitEvent", self._stream, evt._event, 0)

    def __del__(self) -> None:
        _give_back("cuStreamDestroy", self.__dict__.get("_stream"))


class Event:
    """A mark in a stream, with the time at which the device reached it."""

    def __init__(self, flags: int = 0) -> None:
        self._event = _do("cuEventCreate", int(flags))

    def record(self, stream: Stream | None = None) -> Event:
        """Mark the present end of `stream` (the default stream when None)."""
        _do("cuEventRecord", self._event, _stream_of(stream))
        return self

    def synchronize(self) -> Event:
        """Wait until the mark is reached."""
        _do("cuEventSynchronize", self._event)
        return self

    def query(self) -> bool:
        """Was the mark reached?"""
        return _ready("cuEventQuery", self._event)

    def time_since(self, event: Event) -> float:
        """Milliseconds from `event` to this one."""
        return float(_do("cuEventElapsedTime", event._event, self._event))

    def time_till(self, event: Event) -> float:
        """Milliseconds from this event to `event`."""
        return event.time_since(self)

    def __del__(self) -> None:
        _give_back("cuEventDestroy", self.__dict__.get("_event"))


def _ready(call: str, handle: Any) -> bool:
    code = getattr(_driver(), call)(handle)[0]
    if code and code.name != "CUDA_ERROR_NOT_READY":
        _raise(call, code)
    return not code


def _stream_of(stream: Stream | None) -> Any:
    if stream is None:
        return 0
    if not isinstance(stream, Stream):
        raise TypeError(f"expected a cuda.Stream or None, got {type(stream).__name__}; pass the Stream itself")
    return stream._stream


def _give_back(call: str, *handle: Any) -> None:
    """Destroy without raising: for __del__, where the driver may be gone already."""
    if handle[0] is None:
        return
    try:
        getattr(_driver(), call)(*handle)
    except Exception:  # at the end of the process the module may be half gone
        return


# ---- memory ----


class DeviceAllocation:
    """A piece of device memory; freed by free(), or when the object is gone."""

    def __init__(self, nbytes: int) -> None:
        self._address: int | None = None
        self._address = self._number = int(_do("cuMemAlloc", nbytes))

    def __int__(self) -> int:
        return self._number

    __index__ = __int__

    def free(self) -> None:
        """Give the memory back now."""
        if self._address is None:
            raise LogicError("device_allocation::free failed: invalid resource handle - it was freed before")
        address, self._address = self._address, None
        _do("cuMemFree", address)

    def __del__(self) -> None:
        _give_back("cuMemFree", self.__dict__.get("_address"))


class PagelockedHostAllocation:
    """Owns page-locked host memory; an array's `base` while it lives."""

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, order: str, flags: int) -> None:
        self._address: int | None = None
        nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        self._address = int(_do("cuMemHostAlloc", max(nbytes, 1), int(flags)))
        block = (ctypes.c_uint8 * max(nbytes, 1)).from_address(self._address)
        strides = np.ndarray(shape, dtype, block, order=order).strides
        data = (self._address, False)
        self.__array_interface__ = {
            "version": 3,
            "shape": shape,
            "typestr": dtype.str,
            "strides": strides,
            "data": data,
        }

    def free(self) -> None:
        """Give the memory back now; no array may use it any more."""
        address, self._address = self._address, None
        _do("cuMemFreeHost", address)

    def __del__(self) -> None:
        _give_back("cuMemFreeHost", self.__dict__.get("_address"))


HostAllocation = PagelockedHostAllocation


def mem_alloc(bytes: int) -> DeviceAllocation:  # PyCUDA's parameter name
    """Allocate device memory; its content is undefined."""
    if isinstance(bytes, bool) or not isinstance(bytes, int):
        raise TypeError(f"mem_alloc takes a number of bytes as a Python int, got {type(bytes).__name__}")
    return DeviceAllocation(bytes)


def mem_get_info() -> tuple[int, int]:
    """(free, total) bytes of device memory."""
    return tuple(int(value) for value in _do("cuMemGetInfo"))


def pagelocked_empty(shape: Any, dtype: Any, order: str = "C", mem_flags: int = 0) -> np.ndarray:
    """A new array in page-locked host memory, not initialized."""
    dims = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(int(extent) for extent in shape)
    wanted = np.dtype(dtype)
    array = np.asarray(PagelockedHostAllocation(dims, wanted, order, mem_flags))
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


def _pointer(memory: Any, what: str) -> int:
    if isinstance(memory, DeviceAllocation) or (isinstance(memory, int) and not isinstance(memory, bool)):
        return int(memory)
    raise TypeError(
        f"{what} must be device memory (a DeviceAllocation or its address as an int), "
        f"got {type(memory).__name__}; are the arguments in the right order?"
    )


def _buffer(array: Any, writable: bool) -> tuple[int, int]:
    """(address, bytes) of a contiguous buffer in host memory."""
    try:
        memory = memoryview(array)
    except TypeError:
        raise TypeError(f"expected an array or another buffer, got {type(array).__name__}") from None
    if writable and memory.readonly:
        raise ValueError("buffer source array is read-only")
    if not memory.contiguous:
        raise ValueError("ndarray is not contiguous")
    if isinstance(array, np.ndarray):
        return array.ctypes.data, array.nbytes
    flat = np.frombuffer(memory.cast("B"), np.uint8)
    return flat.ctypes.data, flat.nbytes


def memcpy_htod(dest: Any, src: Any) -> None:
    """Copy from host to device; returns when it is done."""
    _do("cuMemcpyHtoD", _pointer(dest, "dest"), *_buffer(src, writable=False))


def memcpy_dtoh(dest: Any, src: Any) -> None:
    """Copy from device to host; returns when it is done."""
    address, nbytes = _buffer(dest, writable=True)
    _do("cuMemcpyDtoH", address, _pointer(src, "src"), nbytes)


def memcpy_dtod(dest: Any, src: Any, size: int) -> None:
    """Copy `size` bytes inside device memory."""
    _do("cuMemcpyDtoD", _pointer(dest, "dest"), _pointer(src, "src"), size)


def memcpy_htod_async(dest: Any, src: Any, stream: Stream | None = None) -> None:
    """Enqueue a copy from host to device; truly asynchronous from page-locked memory only."""
    _do("cuMemcpyHtoDAsync", _pointer(dest, "dest"), *_buffer(src, writable=False), _stream_of(stream))


def memcpy_dtoh_async(dest: Any, src: Any, stream: Stream | None = None) -> None:
    """Enqueue a copy from device to host; truly asynchronous into page-locked memory only."""
    address, nbytes = _buffer(dest, writable=True)
    _do("cuMemcpyDtoHAsync", address, _pointer(src, "src"), nbytes, _stream_of(stream))


def memcpy_dtod_async(dest: Any, src: Any, size: int, stream: Stream | None = None) -> None:
    """Enqueue a copy of `size` bytes inside device memory."""
    _do("cuMemcpyDtoDAsync", _pointer(dest, "dest"), _pointer(src, "src"), size, _stream_of(stream))


def memset_d8(dest: Any, data: int, size: int) -> None:
    """Set `size` bytes of device memory to `data`."""
    _do("cuMemsetD8", _pointer(dest, "dest"), data, size)


def memset_d8_async(dest: Any, data: int, size: int, stream: Stream | None = None) -> None:
    """Enqueue: set `size` bytes of device memory to `data`."""
    _do("cuMemsetD8Async", _pointer(dest, "dest"), data, size, _stream_of(stream))


def to_device(buffer: Any) -> DeviceAllocation:
    """Allocate device memory for a host array and copy it there."""
    allocation = mem_alloc(_buffer(buffer, writable=False)[1])
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
