"""Looks for what usually goes wrong with an environment; each finding names its cause and a command."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from types import ModuleType

from ..messages import told
from .machine import Finding, Machine, has_gpu, read_pins, two_cudas
from .questions import (
    BASE_PACKAGES,
    GIB,
    NEEDED_DISK,
    NEEDED_SHM,
    backend_setting,
    cache,
    disk,
    driver,
    mixed_versions,
    packages,
    python,
    shared_memory,
)
from .tensorrt import cuda_major, cuda_python, nvidia_compiler, tensorrt, tensorrt_mixed, tensorrt_version

QUESTIONS: tuple[Callable[[Machine], Finding | None], ...] = (
    python,
    packages,
    mixed_versions,
    driver,
    cuda_major,
    tensorrt_mixed,
    tensorrt_version,
    tensorrt,
    cuda_python,
    nvidia_compiler,
    backend_setting,
    disk,
    cache,
    shared_memory,
)


def examine(machine: Machine | None = None) -> list[Finding]:
    """All findings, in the order in which they are best mended."""
    machine = machine or Machine()
    return [finding for ask in QUESTIONS if (finding := _answer(ask, machine))]


def _answer(ask: Callable[[Machine], Finding | None], machine: Machine) -> Finding | None:
    """A probe that breaks is a finding too, so that the others are still heard."""
    try:
        return ask(machine)
    except Exception as error:
        cause = f"{type(error).__name__}: {error}"
        return Finding(False, f"the question about {ask.__name__} could not be answered", cause, "")


def report(findings: Iterable[Finding]) -> str:
    """The whole report as text, with a closing line."""
    findings = list(findings)
    failed = sum(f.ok is False for f in findings)
    end = f"{failed} to mend, from the top down." if failed else "Everything that was looked at is in order."
    return "\n".join([*(f.lines() for f in findings), told(end)])


class _Doctor(ModuleType):
    """So that `tl.doctor()` prints the report."""

    def __call__(self) -> None:
        """Print what is wrong with this environment, and the command that mends it."""
        print(report(examine()))


sys.modules[__name__].__class__ = _Doctor
