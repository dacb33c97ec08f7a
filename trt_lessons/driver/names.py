"""PyCUDA's error classes and flags, for the modules that stand in for it: `cuda_python` and `cpu_cuda`."""

from __future__ import annotations

import builtins
import enum


class Error(Exception):
    """Base of the CUDA errors, as in `pycuda.driver`. `code` is the name in cudaError_t, where it is known."""

    code = "cudaErrorUnknown"


class LogicError(Error):
    """The program made a mistake: a bad address, a handle that is gone, a call in the wrong order."""


class LaunchError(Error):
    """Work on the device failed."""


class RuntimeError(Error):  # the name that PyCUDA gives it
    """Something failed that is not clearly the program's mistake, or is not ready yet."""


class MemoryError(Error, builtins.MemoryError):
    """The device has not enough memory left."""


event_flags = enum.IntFlag("event_flags", {"DEFAULT": 0, "BLOCKING_SYNC": 1, "DISABLE_TIMING": 2, "INTERPROCESS": 4})
stream_flags = enum.IntFlag("stream_flags", {"DEFAULT": 0, "NON_BLOCKING": 1})
host_alloc_flags = enum.IntFlag("host_alloc_flags", {"PORTABLE": 1, "DEVICEMAP": 2, "WRITECOMBINED": 4})
