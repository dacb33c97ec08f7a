"""A function that defines a network, as text that another process can run.

Its source is taken, with the sources of functions that it calls and the values of names that it reads. So it can be
a function of a notebook or of a file that uses: `trt` (there it is NVIDIA's), modules, other such functions, numbers,
texts, lists, dicts and NumPy arrays. A lambda, a method, a closure and objects of other kinds cannot be sent.
"""

from __future__ import annotations

import builtins
import inspect
import json
import sys
import textwrap
import types
from collections.abc import Callable
from typing import Any

from ...errors import LessonError


def pack(function: Callable[[Any], Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(what goes into the request as JSON, the NumPy arrays). LessonError where it cannot be sent, and why."""
    sent: dict[str, Any] = {"function": getattr(function, "__name__", ""), "sources": [], "values": {}, "modules": {}}
    sent |= {"trt": [], "path": [p for p in sys.path if p], "arrays": False}
    arrays: dict[str, Any] = {}
    _add(function, sent, arrays, set())
    sent["arrays"] = bool(arrays)
    return sent, arrays


def _add(function: Any, sent: dict[str, Any], arrays: dict[str, Any], seen: set[str]) -> None:
    if not isinstance(function, types.FunctionType) or function.__name__ == "<lambda>":
        raise _cannot(getattr(function, "__name__", repr(function)), "it is no plain function (def ...)")
    if function.__closure__:
        names = ", ".join(function.__code__.co_freevars)
        raise _cannot(function.__name__, f"it reads {names} of the function around it")
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        raise _cannot(function.__name__, "Python does not know its source") from None
    seen.add(function.__name__)
    for name in sorted(_names(function.__code__)):
        if name not in seen and name in function.__globals__:
            _value(name, function, sent, arrays, seen)
    sent["sources"].append(source)


def _value(name: str, function: Any, sent: dict[str, Any], arrays: dict[str, Any], seen: set[str]) -> None:
    import numpy as np

    value = function.__globals__[name]
    seen.add(name)
    if isinstance(value, types.ModuleType):
        if hasattr(value, "INetworkDefinition"):
            sent["trt"].append(name)
        else:
            sent["modules"][name] = value.__name__
    elif isinstance(value, types.FunctionType):
        seen.discard(name)
        _add(value, sent, arrays, seen)
    elif isinstance(value, (np.ndarray, np.generic)) and value.dtype != object:
        arrays[name] = np.asarray(value)
    else:
        try:
            if json.loads(json.dumps(value)) != (list(value) if isinstance(value, tuple) else value):
                raise TypeError
        except (TypeError, ValueError):
            raise _cannot(function.__name__, f"it reads {name}, a {type(value).__name__}") from None
        sent["values"][name] = value


def _names(code: types.CodeType) -> set[str]:
    """Names that a function's code looks up, those of functions inside it too."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names - set(dir(builtins))


def _cannot(name: str, why: str) -> LessonError:
    return LessonError(
        f"the function {name} cannot be sent to NVIDIA's compiler",
        why=f"{why}; the compiler runs in a process of its own, which gets the function's source",
        cure="use a plain function that reads only its argument, modules, other such functions, numbers, texts, "
        "lists, dicts and NumPy arrays",
    )
