"""Stands for `cuda.bindings.runtime` on the CPU: CUDA graphs and the few calls around them.

As there, every function returns a tuple that begins with a `cudaError_t`; nothing raises for a CUDA error.
Streams are given by handle (an int, or `cudaStream_t(handle)`).
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

from . import device as _device

_NUMBERS = {"cudaSuccess": 0, **{name: number for name, (number, _) in _device.ERRORS.items()}, "cudaErrorUnknown": 999}
cudaError_t = enum.IntEnum("cudaError_t", _NUMBERS)
cudaStreamCaptureMode = enum.IntEnum(
    "cudaStreamCaptureMode", [f"cudaStreamCaptureMode{word}" for word in ("Global", "ThreadLocal", "Relaxed")], start=0
)
cudaStreamCaptureStatus = enum.IntEnum(
    "cudaStreamCaptureStatus", [f"cudaStreamCaptureStatus{w}" for w in ("None", "Active", "Invalidated")], start=0
)
_MODES = {0: "global", 1: "thread-local", 2: "relaxed"}


class _Wrapped(int):
    """An address or handle with a type of its own, as cuda-bindings has them."""

    def getPtr(self) -> int:
        """The number itself."""
        return int(self)


class cudaStream_t(_Wrapped):
    """A stream's handle."""


class cudaGraph_t:
    """A captured graph."""

    def __init__(self, graph: _device.Graph | None = None) -> None:
        self._graph = graph


class cudaGraphExec_t(cudaGraph_t):
    """A graph that is ready to launch."""


def _call(function: Callable[[], tuple], values: int = 0) -> tuple:
    """(cudaSuccess, *function()), or (the error, None, ...) with `values` Nones."""
    global _last_error
    try:
        return (cudaError_t.cudaSuccess, *function())
    except _device.Error as failed:
        _last_error = cudaError_t.__members__.get(failed.code, cudaError_t.cudaErrorUnknown)
        return (_last_error, *[None] * values)


_last_error = cudaError_t.cudaSuccess


def cudaGetLastError() -> tuple[cudaError_t]:
    """(the last error of any call,); asking forgets it."""
    global _last_error
    found, _last_error = _last_error, cudaError_t.cudaSuccess
    return (found,)


def _graph_of(wrapped: Any, kind: type, call: str) -> _device.Graph:
    if not isinstance(wrapped, kind):
        raise TypeError(f"{call}: expected a {kind.__name__}, got {type(wrapped).__name__}")
    if wrapped._graph is None:
        raise _device.error(call, "cudaErrorInvalidValue", "the graph was destroyed before")
    return wrapped._graph


def cudaStreamBeginCapture(stream: int, mode: cudaStreamCaptureMode) -> tuple[cudaError_t]:
    """Record what is enqueued into `stream` from now on, instead of running it."""
    return _call(lambda: (_device.begin_capture(int(stream), _MODES[int(mode)]),)[:0])


def cudaStreamEndCapture(stream: int) -> tuple[cudaError_t, cudaGraph_t | None]:
    """End the capture: (error, graph)."""
    return _call(lambda: (cudaGraph_t(_device.end_capture(int(stream))),), 1)


def cudaStreamIsCapturing(stream: int) -> tuple[cudaError_t, cudaStreamCaptureStatus | None]:
    """(error, status)."""
    return _call(lambda: (cudaStreamCaptureStatus(_device.capture_status(int(stream))),), 1)


def cudaGraphInstantiate(graph: cudaGraph_t, flags: int = 0) -> tuple[cudaError_t, cudaGraphExec_t | None]:
    """Make a graph ready to launch: (error, executable graph)."""

    def instantiate() -> tuple[cudaGraphExec_t]:
        return (cudaGraphExec_t(_device.Graph(list(_graph_of(graph, cudaGraph_t, "cudaGraphInstantiate").works))),)

    return _call(instantiate, 1)


def cudaGraphLaunch(graphExec: cudaGraphExec_t, stream: int) -> tuple[cudaError_t]:
    """Enqueue the whole graph into `stream`."""
    call = "cudaGraphLaunch"
    return _call(lambda: (_device.launch(_graph_of(graphExec, cudaGraphExec_t, call), int(stream)),)[:0])


def cudaGraphDestroy(graph: cudaGraph_t) -> tuple[cudaError_t]:
    """Give a graph back. Executable graphs made from it live on."""
    return _destroy(graph, cudaGraph_t, "cudaGraphDestroy")


def cudaGraphExecDestroy(graphExec: cudaGraphExec_t) -> tuple[cudaError_t]:
    """Give an executable graph back."""
    return _destroy(graphExec, cudaGraphExec_t, "cudaGraphExecDestroy")


def _destroy(wrapped: cudaGraph_t, kind: type, call: str) -> tuple[cudaError_t]:
    def destroy() -> tuple:
        _graph_of(wrapped, kind, call)
        wrapped._graph = None
        return ()

    return _call(destroy)


def cudaStreamSynchronize(stream: int) -> tuple[cudaError_t]:
    """Wait for a stream."""
    call = "cudaStreamSynchronize"
    return _call(lambda: (_device.synchronize(_device.queue_of(int(stream), call), call),)[:0])


def cudaDeviceSynchronize() -> tuple[cudaError_t]:
    """Wait for everything."""
    return _call(lambda: (_device.synchronize(None, "cudaDeviceSynchronize"),)[:0])


def cudaMemGetInfo() -> tuple[cudaError_t, int | None, int | None]:
    """(error, free bytes, total bytes)."""
    return _call(_device.memory_info, 2)


def cudaGetErrorString(error: cudaError_t) -> tuple[cudaError_t, bytes]:
    """(cudaSuccess, the error in words)."""
    name = cudaError_t(error).name
    text = "no error" if name == "cudaSuccess" else _device.ERRORS.get(name, (999, "unknown error"))[1]
    return cudaError_t.cudaSuccess, text.encode()


def cudaGetErrorName(error: cudaError_t) -> tuple[cudaError_t, bytes]:
    """(cudaSuccess, the error's name)."""
    return cudaError_t.cudaSuccess, cudaError_t(error).name.encode()


def cudaRuntimeGetVersion() -> tuple[cudaError_t, int]:
    """(cudaSuccess, 0): there is no CUDA here."""
    return cudaError_t.cudaSuccess, 0
