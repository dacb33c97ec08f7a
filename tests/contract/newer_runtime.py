"""A pytest plugin: plans are built by TensorRT 8.6 and run by a newer TensorRT's runtime, in the contract tests.

    TRT_LESSONS_LEAN=~/live/rt/lean1016 TRT_LESSONS_LEAN_OF_8=.../libnvinfer_lean.so.8 \\
        pytest -m gpu -p tests.contract.newer_runtime tests/contract

TRT_LESSONS_LEAN: the folder with `tensorrt_lean_bindings`. A plan of 8.6 is run by 8.6's own lean runtime, which the
newer API loads (`Runtime.load_runtime`). What the newer API gives back is told in 8.6's enumerations, so that a test
compares like with like; classes that a learner derives for execution (output allocator, profiler) are the newer ones.
`TRT_LESSONS_CONTRACT_RESULTS` names a file: one line of JSON a test, how it ended.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
import types
from typing import Any

import pytest

from tests.oracle.rtx_as_trt import pytest_runtest_makereport as pytest_runtest_makereport

DERIVED = ("IOutputAllocator", "IProfiler", "Profiler", "IDebugListener", "IStreamReader")


def _enumeration(value: Any) -> bool:
    return hasattr(type(value), "__members__")


class Bridge:
    """Hands values from the older module to the newer one, `inward`, and back, `outward`."""

    def __init__(self, older: Any, newer: Any) -> None:
        self.older, self.newer = older, newer

    def inward(self, value: Any) -> Any:
        """As the newer module wants it: its own enumerations, its own objects, a plan as bytes."""
        if isinstance(value, Proxy):
            return value._real
        if _enumeration(value):
            return self._member(value, self.newer)
        if isinstance(value, self.older.IHostMemory):
            return bytes(value)
        if isinstance(value, (list, tuple)):
            return type(value)(map(self.inward, value))
        return tuple(value) if isinstance(value, self.older.Dims) else value

    def outward(self, value: Any) -> Any:
        """As a test compares it: the older module's enumerations, objects that go on doing so."""
        if _enumeration(value):
            return self._member(value, self.older)
        if isinstance(value, (list, tuple)):
            return type(value)(map(self.outward, value))
        if callable(value) and not isinstance(value, type):
            return functools.wraps(value)(lambda *a, **k: self.call(value, *a, **k))
        kinds = ("ICudaEngine", "IExecutionContext", "EngineInspector", "IRuntimeConfig", "Runtime", "Refitter")
        return Proxy(self, value) if type(value).__name__ in kinds else value

    def call(self, function: Any, *given: Any, **named: Any) -> Any:
        """Call a function of the newer module with values of the older."""
        return self.outward(function(*map(self.inward, given), **{k: self.inward(v) for k, v in named.items()}))

    @staticmethod
    def _member(value: Any, module: Any) -> Any:
        kind = getattr(module, type(value).__name__, None)
        return getattr(kind, "__members__", {}).get(value.name, value)


class Proxy:
    """An object of the newer module."""

    def __init__(self, bridge: Bridge, real: Any) -> None:
        self.__dict__.update(_bridge=bridge, _real=real)

    def __getattr__(self, name: str) -> Any:
        return self._bridge.outward(getattr(self._real, name))

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._real, name, self._bridge.inward(value))

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def listener(bridge: Bridge, logger: Any) -> Any:
    """A logger for the newer module that tells the older one's."""

    class Listener(bridge.newer.ILogger):
        def __init__(self) -> None:
            bridge.newer.ILogger.__init__(self)

        def log(self, severity: Any, text: str) -> None:
            logger.log(bridge.older.ILogger.Severity.__members__[severity.name], text)

    if not isinstance(logger, bridge.older.ILogger):
        raise TypeError("__init__(): incompatible constructor arguments")
    return Listener()


def joined(older: Any, newer: Any, lean_of_8: str) -> types.ModuleType:
    """The older module with the newer one's Runtime, Refitter and what is derived for execution."""
    bridge, kept = Bridge(older, newer), []

    def runtime(logger: Any) -> Proxy:
        kept.append(listener(bridge, logger))
        kept.append(newer.Runtime(kept[-1]))
        return Proxy(bridge, kept[-1].load_runtime(lean_of_8))

    def refitter(engine: Proxy, logger: Any) -> Proxy:
        kept.append(listener(bridge, logger))
        return Proxy(bridge, newer.Refitter(engine._real, kept[-1]))

    class Builder(older.Builder):
        """Builds plans that a lean runtime can run: others need the builder's own kernels ("call to stub")."""

        def build_serialized_network(self, network: Any, config: Any) -> Any:
            for flag in ("VERSION_COMPATIBLE", "EXCLUDE_LEAN_RUNTIME"):
                config.set_flag(older.BuilderFlag.__members__[flag])
            return super().build_serialized_network(network, config)

    module = types.ModuleType("tensorrt")
    module.__dict__.update({name: value for name, value in vars(older).items() if not name.startswith("__")})
    module.__version__ = older.__version__
    module.Builder, module.Runtime, module.Refitter = Builder, runtime, refitter
    for name in DERIVED:
        if hasattr(newer, name) and hasattr(older, name):
            setattr(module, name, getattr(newer, name))
    return module


def pytest_configure(config: pytest.Config) -> None:
    """Put the joined module where the package looks for TensorRT."""
    from trt_lessons import backend

    sys.path.append(os.environ["TRT_LESSONS_LEAN"])
    newer = importlib.import_module("tensorrt_lean_bindings")
    backend.trt = joined(importlib.import_module("tensorrt"), newer, os.environ["TRT_LESSONS_LEAN_OF_8"])
