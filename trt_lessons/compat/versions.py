"""Which TensorRT is loaded, and which names it has."""

from __future__ import annotations

import re
from typing import Any

from .. import backend


def version() -> tuple[int, int]:
    """Major and minor of the loaded TensorRT, such as (8, 6); the interpreter answers (11, 4)."""
    numbers = re.findall(r"\d+", str(backend.trt.__version__))
    return int(numbers[0]), int(numbers[1]) if len(numbers) > 1 else 0


def is_interpreter() -> bool:
    """True when the interpreter computes instead of TensorRT."""
    return backend.name() == "interpreter"


def has(name: str) -> bool:
    """Whether this TensorRT has a name, dotted or not: has("IProgressMonitor"), has("BuilderFlag.FP16")."""
    thing: Any = backend.trt
    for part in name.split("."):
        if not hasattr(thing, part):
            return False
        thing = getattr(thing, part)
    return True


def strongly_typed() -> bool:
    """Whether networks are strongly typed by default here: from TensorRT 10 on."""
    return version()[0] >= 10
