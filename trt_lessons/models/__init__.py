"""The workbook's models: two trained on real digits, two with random weights for latency, and torchvision's.

`digits` and `strips` are shipped, small and accurate. `resnet50` and `bert` are made on demand with seeded
random weights: their speed is real, their answers mean nothing. `pretrained` fetches torchvision's weights
where there is a network, `export_onnx` makes files of your own modules. Everything loads when first used:
importing this room costs nothing. Introduced in lesson 02.
"""

from __future__ import annotations

import importlib
from typing import Any

_MODULES = ("digits", "strips")
_FUNCTIONS = {
    "resnet50": "random_weights",
    "bert": "random_weights",
    "convolutions": "random_weights",
    "stack": "random_weights",
    "branches": "random_weights",
    "tower": "random_weights",
    "pretrained": "torchvision_weights",
    "centred": "exporting",
    "export_onnx": "exporting",
    "opset": "exporting",
    "wordy": "exporting",
}

__all__ = [
    "bert",
    "branches",
    "centred",
    "convolutions",
    "digits",
    "export_onnx",
    "opset",
    "pretrained",
    "resnet50",
    "stack",
    "strips",
    "tower",
    "wordy",
]


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        value = getattr(importlib.import_module(f"{__name__}.{_FUNCTIONS[name]}"), name)
    elif name in _MODULES or name == "random_weights":
        value = importlib.import_module(f"{__name__}.{name}")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_FUNCTIONS})
