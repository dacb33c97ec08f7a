"""TensorRT by doing: the helper package of the workbook.

    import trt_lessons as tl
    from trt_lessons import trt, cuda

`trt` and `cuda` are TensorRT and CUDA where a GPU answers, else the interpreter on the CPU.
Everything loads when it is first used, so that the import itself stays fast.
"""

from __future__ import annotations

import importlib
import sys
import types

__version__ = "0.1.0"

# name -> (room, name there); None: the room itself
_EXPORTS: dict[str, tuple[str, str | None]] = {
    "trt": ("backend", "trt"),
    "cuda": ("backend", "cuda"),
    "cudart": ("backend", "cudart"),
    "describe": ("backend", "describe"),
    "lesson": ("recordings", "lesson"),
    "live_or_recorded": ("recordings", "live_or_recorded"),
    "check": ("exercises", "check"),
    "progress": ("exercises", "progress"),
    "build": ("build", None),  # the room is callable: tl.build(...) is build.build(...)
    "load": ("build", "load"),
    "Session": ("session", "Session"),
    "pinned": ("buffers", "pinned"),
    "measure": ("measure", None),  # callable too
    "measure_callable": ("measure", "measure_callable"),
    "Log": ("compat", "Log"),
    "backend": ("backend", None),
    "baselines": ("baselines", None),
    "buckets": ("buckets", None),
    "compat": ("compat", None),
    "errors": ("errors", None),
    "exercises": ("exercises", None),
    "layers": ("layers", None),
    "models": ("models", None),
    "plots": ("plots", None),
    "precision": ("precision", None),
    "recordings": ("recordings", None),
    "roofline": ("roofline", None),
}
_CALLABLE_ROOMS = ("build", "measure")

__all__ = [*sorted(_EXPORTS), "__version__"]


class _CallableRoom(types.ModuleType):
    """A room named like its main function: calling the module calls that function."""

    def __call__(self, *args, **kwargs):
        """Call the function of the same name in this module."""
        return vars(self)[self.__name__.rpartition(".")[2]](*args, **kwargs)


class _Package(types.ModuleType):
    """The package; makes `build` and `measure` callable as soon as the import system sets them."""

    def __setattr__(self, name: str, value: object) -> None:
        if name in _CALLABLE_ROOMS and type(value) is types.ModuleType:
            value.__class__ = _CallableRoom
            value.__wrapped__ = vars(value)[name]  # so that help and `tl.build?` show its signature
        super().__setattr__(name, value)


def __getattr__(name: str):
    if name not in _EXPORTS:
        raise AttributeError(f"trt_lessons has no {name!r}; it has: {', '.join(sorted(_EXPORTS))}")
    room, attribute = _EXPORTS[name]
    module = importlib.import_module(f".{room}", __name__)
    return module if attribute is None else getattr(module, attribute)


def __dir__() -> list[str]:
    return __all__


sys.modules[__name__].__class__ = _Package
