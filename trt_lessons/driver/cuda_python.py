"""The names of PyCUDA's driver that the lessons use, on NVIDIA's cuda-bindings: for machines without PyCUDA.

It imports without a driver; the first call that needs one raises a BackendError that says so. `backend.cuda`
is this module when PyCUDA does not import, or when TRT_LESSONS_CUDA=cuda-python asks for it.
"""

from __future__ import annotations

import atexit
import functools
import importlib
from typing import Any

import numpy as np

from ..errors import BackendError
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
    plain = [a.ctypes.data if isinstance(a, np.ndarray) else a for a in arguments]
    if call == "cuCtxCreate" and get_version() >= (13,):
        plain = [None, *plain]  # CUDA 13 put the parameters of green contexts first
    code, *values = getattr(_driver(), call)(*plain)
    if code:
        _raise(call, code)
    if not values:
        return None
    return values[0] if len(values) == 1 else tuple(values)


def _ready(call: str, handle: Any) -> bool:
    code = getattr(_driver(), call)(handle)[0]
    if code and code.name != "CUDA_ERROR_NOT_READY":
        _raise(call, code)
    return not code


def _give_back(call: str, handle: Any) -> None:
    getattr(_driver(), call)(handle)


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


# ---- PyCUDA's names ----

_cuda = Cuda(Driver(_do, _ready, _give_back, device_attribute))
globals().update(_cuda.names())


@functools.cache
def use_primary_context() -> Any:
    """Push device 0's primary context in this thread, and pop it at exit: what pycuda.autoprimaryctx does."""
    context = _cuda.Device(0).retain_primary_context()
    context.push()
    atexit.register(_leave, context)
    return context


def _leave(context: Any) -> None:
    if _cuda.Context.get_current() == context:
        _cuda.Context.pop()
