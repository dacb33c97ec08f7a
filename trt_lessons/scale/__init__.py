"""Past one machine: a sweep over many cards on Ray, an engine behind Triton or Ray Serve. Introduced in lesson 09.

    cases = tl.scale.table(["digits.onnx"], precision=["fp32", "fp16"], batch=[1, 64])
    tl.scale.sweep(cases, "results")

Everything loads when it is first used; Ray, Triton and their clients are the extra `scale`.
"""

from __future__ import annotations

import importlib
from typing import Any

_FROM = {
    "cases": "Case read table",
    "sweeping": "Sweep sweep",
    "queueing": "most simulate",
    "": "lab",
    "serving.repository": "write",
    "serving.server": "Server",
    "serving.replicas": "Service",
    "serving.client": "Client",
    "serving.load": "Load offer",
}
_EXPORTS = {name: module for module, names in _FROM.items() for name in names.split()}
__all__ = sorted(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"trt_lessons.scale has no {name!r}; it has: {', '.join(__all__)}")
    room = importlib.import_module(f".{_EXPORTS[name] or name}", __name__)
    return getattr(room, name) if _EXPORTS[name] else room


def __dir__() -> list[str]:
    return __all__
