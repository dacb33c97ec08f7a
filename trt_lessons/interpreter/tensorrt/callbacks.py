"""Stands for the classes a learner derives from (ILogger, IProfiler, ...), and for IHostMemory."""

from __future__ import annotations

import enum
import sys

from .enums import ErrorCodeTRT, Severity
from .types import DataType

__all__ = ["IErrorRecorder", "IHostMemory", "ILogger", "IOutputAllocator", "IProfiler", "IProgressMonitor"]
__all__ += ["Logger", "Profiler"]


class ILogger:
    """Derive from it and define `log(severity, msg)`."""

    Severity = Severity
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = Severity

    def log(self, severity: Severity, msg: str) -> None:
        raise NotImplementedError("a logger defines log(self, severity, msg)")


class Logger(ILogger):
    """Writes lines of `min_severity` or worse to standard error."""

    def __init__(self, min_severity: Severity = Severity.WARNING) -> None:
        self.min_severity = min_severity

    def log(self, severity: Severity, msg: str) -> None:
        if severity.value <= self.min_severity.value:
            print(f"[interpreter] [{severity.name[0]}] {msg}", file=sys.stderr)


class IErrorRecorder:
    """Derive from it to collect errors as they are reported."""

    def _undefined(self, *args: object) -> object:
        raise NotImplementedError("an error recorder defines all of IErrorRecorder's methods")

    num_errors = get_error_code = get_error_desc = has_overflowed = clear = report_error = _undefined


class IProfiler:
    """Derive from it and define `report_layer_time(layer_name, ms)`."""

    def report_layer_time(self, layer_name: str, ms: float) -> None:
        raise NotImplementedError("a profiler defines report_layer_time(self, layer_name, ms)")


class Profiler(IProfiler):
    """Prints each layer's time; on the interpreter these are onnxruntime's, on this CPU."""

    def report_layer_time(self, layer_name: str, ms: float) -> None:
        print(f"{layer_name}: {ms:.4f}ms")


class IOutputAllocator:
    """Derive from it for outputs whose shape is known only after the run."""

    def reallocate_output(self, tensor_name: str, memory: int, size: int, alignment: int) -> int:
        raise NotImplementedError("an output allocator defines reallocate_output")

    def notify_shape(self, tensor_name: str, shape: tuple[int, ...]) -> None:
        raise NotImplementedError("an output allocator defines notify_shape")


class IProgressMonitor:
    """Derive from it to watch a build; `step_complete` returns False to stop it."""

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        raise NotImplementedError("a progress monitor defines phase_start")

    def step_complete(self, phase_name: str, step: int) -> bool:
        raise NotImplementedError("a progress monitor defines step_complete")

    def phase_finish(self, phase_name: str) -> None:
        raise NotImplementedError("a progress monitor defines phase_finish")


class IHostMemory(bytes):
    """Bytes that TensorRT owns: `bytes(x)`, `memoryview(x)` and `file.write(x)` work on it."""

    nbytes = property(len)
    dtype = property(lambda self: DataType.INT8)


USAGE = "Error Code 3: API Usage Error"
INTERNAL = "Error Code 4: Internal Error"
SERIALIZATION = "Error Code 1: Serialization"
_CODES = {USAGE: ErrorCodeTRT.INVALID_ARGUMENT, INTERNAL: ErrorCodeTRT.INTERNAL_ERROR}


class Reporter:
    """An object that logs as TensorRT's do, and tells an error recorder as well where one is set."""

    def __init__(self, logger: ILogger) -> None:
        self.logger = logger
        self.error_recorder: IErrorRecorder | None = None

    def _say(self, severity: Severity, text: str) -> None:
        self.logger.log(severity, text)

    def _fail(self, kind: str, where: str, text: str) -> None:
        """Log an error of one of TensorRT's classes. Returns None, as most calls do then."""
        if self.error_recorder is not None:
            self.error_recorder.report_error(_CODES.get(kind, ErrorCodeTRT.UNSPECIFIED_ERROR), text)
        self._say(Severity.ERROR, f"{where}: {kind} ({text})")

    def _refuse(self, where: str, text: str) -> bool:
        """An error for a call that should not have been made so; False."""
        self._fail(USAGE, f"{type(self).__name__}::{where}", text)
        return False


class Flags:
    """An object with a mask of flags: `flags` is the mask."""

    flags = 0

    def set_flag(self, flag: enum.Enum) -> None:
        """Switch a flag on."""
        self.flags |= 1 << int(flag)

    def clear_flag(self, flag: enum.Enum) -> None:
        """Switch a flag off."""
        self.flags &= ~(1 << int(flag))

    def get_flag(self, flag: enum.Enum) -> bool:
        """Whether a flag is on."""
        return bool(self.flags >> int(flag) & 1)
