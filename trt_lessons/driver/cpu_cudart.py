"""Stands for `cuda.bindings.runtime` on the CPU: CUDA graphs and the few calls around them.

As there, every function returns a tuple that begins with a `cudaError_t`; nothing raises for a CUDA error.
Streams are given by handle, an int.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

from . import cpu_device as _device

_NUMBERS = {"cudaSuccess": 0, **{name: number for name, (number, _) in _device.ERRORS.items()}, "cudaErrorUnknown": 999}
cudaError_t = enum.IntEnum("cudaError_t", _NUMBERS)


def _enum(name: str, *words: str) -> type[enum.IntEnum]:
    return enum.IntEnum(name, [name + word for word in words], start=0, module=__name__)


cudaStreamCaptureMode = _enum("cudaStreamCaptureMode", "Global", "ThreadLocal", "Relaxed")
cudaStreamCaptureStatus = _enum("cudaStreamCaptureStatus", "None", "Active", "Invalidated")
_MODES = ("global", "thread-local", "relaxed")


class cudaGraph_t:
    """A captured graph."""

    def __init__(self, graph: _device.Graph | None = None) -> None:
        self._graph = graph


class cudaGraphExec_t(cudaGraph_t):
    """A graph that is ready to launch."""


def _call(values: int, function: Callable, *arguments: Any) -> tuple:
    """(cudaSuccess, what the function returns: none, one or more `values`), or (the error, as many Nones)."""
    global _last_error
    try:
        result = function(*arguments)
    except _device.Error as failed:
        _last_error = cudaError_t.__members__.get(failed.code, cudaError_t.cudaErrorUnknown)
        return (_last_error, *[None] * values)
    return (cudaError_t.cudaSuccess, *((result,) if values == 1 else result if values else ()))


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
    return _call(0, _device.begin_capture, int(stream), _MODES[int(mode)])


def cudaStreamEndCapture(stream: int) -> tuple[cudaError_t, cudaGraph_t | None]:
    """End the capture: (error, graph)."""
    return _call(1, lambda: cudaGraph_t(_device.end_capture(int(stream))))


def cudaStreamIsCapturing(stream: int) -> tuple[cudaError_t, cudaStreamCaptureStatus | None]:
    """(error, status)."""
    return _call(1, lambda: cudaStreamCaptureStatus(_device.capture_status(int(stream))))


def cudaGraphInstantiate(graph: cudaGraph_t, flags: int = 0) -> tuple[cudaError_t, cudaGraphExec_t | None]:
    """Make a graph ready to launch: (error, executable graph)."""
    call = "cudaGraphInstantiate"
    return _call(1, lambda: cudaGraphExec_t(_device.Graph(list(_graph_of(graph, cudaGraph_t, call).works))))


def cudaGraphLaunch(graphExec: cudaGraphExec_t, stream: int) -> tuple[cudaError_t]:
    """Enqueue the whole graph into `stream`."""
    call = "cudaGraphLaunch"
    return _call(0, lambda: _device.launch(_graph_of(graphExec, cudaGraphExec_t, call), int(stream)))


def cudaGraphDestroy(graph: cudaGraph_t) -> tuple[cudaError_t]:
    """Give a graph back. Executable graphs made from it live on."""
    return _destroy(graph, cudaGraph_t, "cudaGraphDestroy")


def cudaGraphExecDestroy(graphExec: cudaGraphExec_t) -> tuple[cudaError_t]:
    """Give an executable graph back."""
    return _destroy(graphExec, cudaGraphExec_t, "cudaGraphExecDestroy")


def _destroy(wrapped: cudaGraph_t, kind: type, call: str) -> tuple[cudaError_t]:
    def destroy() -> None:
        _graph_of(wrapped, kind, call)
        wrapped._graph = None

    return _call(0, destroy)


def cudaStreamSynchronize(stream: int) -> tuple[cudaError_t]:
    """Wait for a stream."""
    call = "cudaStreamSynchronize"
    return _call(0, lambda: _device.synchronize(_device.queue_of(int(stream), call), call))


def cudaMemGetInfo() -> tuple[cudaError_t, int | None, int | None]:
    """(error, free bytes, total bytes)."""
    return _call(2, _device.memory_info)


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
