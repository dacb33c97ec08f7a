"""A pytest plugin: TensorRT-RTX takes TensorRT's place in the contract tests, up to where an engine would be used.

NVIDIA's network, parser, config and builder answer; a GPU is missing, so a test ends as "until an engine" at the first
thing it asks of an engine, a runtime or a refitter. `test_contract.py` runs pytest with this plugin in its own process.
"""

from __future__ import annotations

import json
import os
import types
from typing import Any

import pytest

REACHED = "until an engine: "
RESULTS = "TRT_LESSONS_CONTRACT_RESULTS"  # a file: one line of JSON a test


def _ends_here(what: str) -> Any:
    pytest.skip(REACHED + what)


class Engine:
    """Stands where an engine would be; the first question to it ends the test."""

    def __getattr__(self, name: str) -> Any:
        return _ends_here(f"engine.{name}")


class Runtime:
    """Takes a logger as NVIDIA's does; a plan becomes an `Engine`."""

    def __init__(self, logger: Any) -> None:
        if not isinstance(logger, _real().ILogger):
            raise TypeError("__init__(): incompatible constructor arguments")

    def deserialize_cuda_engine(self, plan: Any) -> Engine:
        """No plan can be loaded without a GPU."""
        return Engine()

    def __getattr__(self, name: str) -> Any:
        return _ends_here(f"runtime.{name}")


class Refitter:
    """Needs an engine."""

    def __init__(self, *given: Any) -> None:
        _ends_here("refitter")


def _real() -> types.ModuleType:
    import tensorrt_rtx

    return tensorrt_rtx


def pytest_configure(config: pytest.Config) -> None:
    """Put NVIDIA's module where the package looks for TensorRT."""
    from trt_lessons import backend
    from trt_lessons.driver import cpu_cuda as cuda
    from trt_lessons.driver import cpu_cudart as cudart

    shim = types.ModuleType("tensorrt")
    shim.__dict__.update({name: value for name, value in vars(_real()).items() if not name.startswith("__")})
    shim.__version__ = "11.4.0"  # its API is of that age; its own number is 1.7
    shim.Runtime, shim.Refitter = Runtime, Refitter
    backend.choice = lambda: backend.Choice("tensorrt", "TensorRT-RTX, build half")
    backend.trt, backend.cuda, backend.cudart = shim, cuda, cudart


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Any:
    """Write down how each test ended."""
    report = (yield).get_result()
    if RESULTS in os.environ and (report.when == "call" or report.outcome != "passed"):
        with open(os.environ[RESULTS], "a", encoding="utf-8") as file:
            file.write(json.dumps([item.nodeid, report.outcome, str(report.longrepr)[-1500:]]) + "\n")
