"""Writes signatures-11.4.json: what TensorRT's calls take, read off the docstrings of its published bindings.

usage: make_signatures.py FOLDER   (holding tensorrt_bindings, made importable without TensorRT's libraries)

Kept are the calls of the names that the interpreter has: {name: [[parameter, ...], ...]}, a list an overload,
a parameter with a default ending in "="; and the numbers of the enumerations: {enumeration: {member: number}}.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
BASES = ("ILayer", "ILogger", "IProfiler", "Dims")


def public(module: ModuleType) -> dict[str, object]:
    """Every public name of a module that is no module itself."""
    return {
        n: v
        for n, v in vars(module).items()
        if not n.startswith("_") and not inspect.ismodule(v) and n != "annotations"
    }


def members(kind: type, package: str) -> dict[str, object]:
    """Public members of a class: its own, and those of bases that TensorRT does not have as bases."""
    own = [
        b for b in reversed(kind.__mro__) if b.__module__.startswith(package) and (b is kind or b.__name__ not in BASES)
    ]
    return {n: v for base in own for n, v in vars(base).items() if not n.startswith("_")}


def split(text: str) -> list[str]:
    """Cut at the commas that stand in no bracket."""
    parts, depth, part = [], 0, ""
    for sign in text:
        depth += (sign in "([{<") - (sign in ")]}>")
        if sign == "," and not depth:
            parts.append(part)
            part = ""
        else:
            part += sign
    return [p.strip() for p in [*parts, part] if p.strip()]


def overloads(doc: str, name: str) -> list[list[str]]:
    """Parameter lists in a docstring of pybind11's: `name(self: A, b: int = 3) -> C`."""
    found = []
    for line in doc.splitlines():
        match = re.match(rf"\s*(?:\d+\. )?{re.escape(name)}\((.*)\)(?: -> .*)?$", line)
        if match and match.group(1) != "*args, **kwargs":
            given = [p for p in split(match.group(1)) if p not in ("*", "/") and not p.startswith("self:")]
            found.append(
                [re.split(r"[:=]", p)[0].strip() + ("=" if "=" in re.sub(r"<.*?>", "", p) else "") for p in given]
            )
    return found


def main(folder: str) -> None:
    """Read the bindings and write the file."""
    sys.path[:0] = [folder, str(HERE.parents[1])]
    import tensorrt_bindings as real

    import trt_lessons.interpreter.tensorrt as ours

    calls: dict[str, list[list[str]]] = {}
    numbers: dict[str, dict[str, int]] = {}
    for name, value in public(ours).items():
        other = getattr(real, name)
        if not inspect.isclass(value):
            if callable(value):
                calls[name] = overloads(other.__doc__ or "", name)
            continue
        if hasattr(other, "__members__"):
            numbers[name] = {n: int(v) for n, v in other.__members__.items()}
            continue
        calls[f"{name}.__init__"] = overloads(other.__init__.__doc__ or "", "__init__")
        for member in members(value, "trt_lessons"):
            doc = getattr(getattr(other, member, None), "__doc__", None) or ""
            if overloads(doc, member):
                calls[f"{name}.{member}"] = overloads(doc, member)
            elif not hasattr(other, member):  # what a learner's class defines is told in the class's own text
                calls[f"{name}.{member}"] = overloads(inspect.getdoc(other) or "", member)
    kept = {n: c for n, c in sorted(calls.items()) if c}
    parts = []
    for title, table in (("calls", kept), ("numbers", numbers)):
        lines = ",\n".join(f"  {json.dumps(key)}: {json.dumps(table[key])}" for key in sorted(table))
        parts.append(f' "{title}": {{\n{lines}\n }}')
    text = f'{{\n "version": "{real.__version__}",\n' + ",\n".join(parts) + "\n}\n"
    (HERE / "signatures-11.4.json").write_text(text)


if __name__ == "__main__":
    main(sys.argv[1])
