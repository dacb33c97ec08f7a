"""Stands for the classes a learner derives from (ILogger, IProfiler, ...), and for IHostMemory."""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable
from typing import NoReturn

from .enums import ErrorCodeTRT, Severity
from .manners import Opened, refused
from .types import DataType

__all__ = ["IErrorRecorder", "IHostMemory", "ILogger", "IOutputAllocator", "IProfiler", "IProgressMonitor"]
__all__ += ["Logger", "Profiler"]


class _Virtual(type):
    """A class to derive from: a derived one that forgets the base's `__init__` is refused."""

    def __call__(cls, *args: object, **kwargs: object) -> object:
        made = super().__call__(*args, **kwargs)
        if "_begun" not in made.__dict__:
            base = next(b for b in cls.__mro__ if b.__module__ == __name__)
            raise TypeError(f"{base.__name__}.__init__() must be called when overriding __init__")
        return made


class _Derived(metaclass=_Virtual):
    _bound = True

    def __init__(self) -> None:
        self._begun = True


class ILogger(_Derived):
    """Derive from it and define `log(severity, msg)`."""

    Severity = Severity
    INTERNAL_ERROR, ERROR, WARNING, INFO, VERBOSE = Severity.__members__.values()

    def log(self, severity: Severity, msg: str) -> None:
        print('Tried to call pure virtual function "ILogger::log"', file=sys.stderr)


class Logger(ILogger):
    """Writes lines of `min_severity` or worse to standard error."""

    def __init__(self, min_severity: Severity = Severity.WARNING) -> None:
        super().__init__()
        if not isinstance(min_severity, Severity):
            raise refused("Logger", "constructor")
        self.min_severity = min_severity

    def log(self, severity: Severity, msg: str) -> None:
        if severity.value <= self.min_severity.value:
            print(f"[interpreter] [{severity.name[0]}] {msg}", file=sys.stderr)


class IErrorRecorder(_Derived):
    """Derive from it to collect errors as they are reported."""

    def _undefined(self, *args: object) -> object:
        raise NotImplementedError("an error recorder defines all of IErrorRecorder's methods")

    num_errors = get_error_code = get_error_desc = has_overflowed = clear = report_error = _undefined


class IProfiler(_Derived):
    """Derive from it and define `report_layer_time(layer_name, ms)`."""

    def report_layer_time(self, layer_name: str, ms: float) -> None:
        raise NotImplementedError("a profiler defines report_layer_time(self, layer_name, ms)")


class Profiler(IProfiler):
    """Prints each layer's time; on the interpreter these are onnxruntime's, on this CPU."""

    def report_layer_time(self, layer_name: str, ms: float) -> None:
        print(f"{layer_name}: {ms:.4f}ms")


class IOutputAllocator(_Derived):
    """Derive from it for outputs whose shape is known only after the run."""

    def reallocate_output(self, tensor_name: str, memory: int, size: int, alignment: int) -> int:
        raise NotImplementedError("an output allocator defines reallocate_output")

    def notify_shape(self, tensor_name: str, shape: tuple[int, ...]) -> None:
        raise NotImplementedError("an output allocator defines notify_shape")


class IProgressMonitor(_Derived):
    """Derive from it to watch a build; `step_complete` returns False to stop it."""

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        raise NotImplementedError("a progress monitor defines phase_start")

    def step_complete(self, phase_name: str, step: int) -> bool:
        raise NotImplementedError("a progress monitor defines step_complete")

    def phase_finish(self, phase_name: str) -> None:
        raise NotImplementedError("a progress monitor defines phase_finish")


class IHostMemory(bytearray):
    """Bytes that TensorRT owns: `bytes(x)`, `memoryview(x)`, `x.nbytes` and `file.write(x)`; no length, no slices."""

    def __init__(self) -> None:
        raise TypeError("IHostMemory: No constructor defined!")

    @classmethod
    def _of(cls, data: bytes) -> IHostMemory:
        memory = cls.__new__(cls)
        bytearray.__init__(memory, data)
        return memory

    nbytes = property(lambda self: memoryview(self).nbytes)
    dtype = property(lambda self: DataType.INT8)

    def __getattribute__(self, name: str) -> object:
        if name[0] != "_" and name not in ("nbytes", "dtype"):
            raise AttributeError(f"'IHostMemory' object has no attribute '{name}'")
        return object.__getattribute__(self, name)

    def _none(self, *args: object) -> NoReturn:
        raise TypeError("'IHostMemory' object has no len() and no elements: use bytes(plan) or plan.nbytes")

    __len__ = __iter__ = __getitem__ = __setitem__ = __contains__ = __add__ = _none
    __eq__, __hash__, __repr__ = object.__eq__, object.__hash__, object.__repr__

    def __bool__(self) -> bool:
        return True

    def __enter__(self) -> IHostMemory:
        return self

    def __exit__(self, *problem: object) -> None:
        pass


USAGE = "Error Code 3: API Usage Error"
CONFIG = "Error Code 4: API Usage Error"
INTERNAL = "Error Code 4: Internal Error"
SERIALIZATION = "Error Code 1: Serialization"
_CODES = {
    USAGE: ErrorCodeTRT.INVALID_ARGUMENT,
    CONFIG: ErrorCodeTRT.INVALID_CONFIG,
    INTERNAL: ErrorCodeTRT.INTERNAL_ERROR,
}


def say(logger: ILogger, severity: Severity, text: str) -> None:
    """One line to a logger; what a logger raises is told and goes no further, as in TensorRT."""
    swallowed("log", logger.log, severity, text)


def swallowed(name: str, call: Callable, *args: object) -> object:
    """Call what a learner wrote; an exception is told on standard error and ends there. None then."""
    try:
        return call(*args)
    except Exception as problem:
        print(f"[ERROR] Exception caught in {name}(): {problem}", file=sys.stderr)
        return None


class Reporter(Opened):
    """An object that logs as TensorRT's do, and tells an error recorder as well where one is set."""

    def __init__(self, logger: ILogger) -> None:
        self._logger = logger
        self.error_recorder: IErrorRecorder | None = None

    def _say(self, severity: Severity, text: str) -> None:
        say(self._logger, severity, text)

    def _fail(self, kind: str, where: str, text: str) -> None:
        """Log an error of one of TensorRT's classes. Returns None, as most calls do then."""
        if self.error_recorder is not None:
            swallowed(
                "report_error", self.error_recorder.report_error, _CODES.get(kind, ErrorCodeTRT.UNSPECIFIED_ERROR), text
            )
        self._say(Severity.ERROR, f"{where}: {kind} ({text})")

    def _refuse(self, where: str, text: str) -> bool:
        """An error for a call that should not have been made so; False."""
        self._fail(USAGE, f"{type(self).__name__}::{where}", text)
        return False


class Flags(Opened):
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
