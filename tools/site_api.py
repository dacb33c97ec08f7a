"""The site's API pages, made from the docstrings of everything in `tl.__all__`, wherever it lives."""

from __future__ import annotations

import inspect
import os
import re
import types
from pathlib import Path
from typing import Any

FENCE = "``````"
OTHERS = {
    "trt": "TensorRT's module `tensorrt` on a GPU, the interpreter's elsewhere. NVIDIA documents its names.",
    "cuda": "PyCUDA's names for CUDA's driver: from PyCUDA, cuda-python or the interpreter.",
    "cudart": "CUDA's runtime as cuda-python has it, or the interpreter's part of it.",
}


def write_pages(folder: Path) -> None:
    """One page for each name of the package, and an index of them."""
    os.environ.setdefault("TRT_LESSONS_BACKEND", "interpreter")
    import trt_lessons as tl

    folder.mkdir(parents=True)
    names = [name for name in tl.__all__ if not name.startswith("_")]
    for name in names:
        (folder / f"{name}.md").write_text(page(f"tl.{name}", getattr(tl, name), OTHERS.get(name)), "utf-8")
    lines = ["# API", "", "`import trt_lessons as tl`. Each name with its arguments, shapes, units and errors.", ""]
    lines += ["| | |", "| --- | --- |"]
    lines += [f"| [tl.{n}]({n}.md) | {OTHERS.get(n) or first_line(getattr(tl, n))} |" for n in names]
    lines += ["", "```{toctree}", ":hidden:", "", *names, "```", ""]
    (folder / "index.md").write_text("\n".join(lines), "utf-8")


def first_line(thing: Any) -> str:
    """The first line of a docstring, fit for a table."""
    return (inspect.getdoc(thing) or "").partition("\n")[0].replace("|", "\\|")


def page(name: str, thing: Any, other: str | None) -> str:
    """The page of one name: a function, a class, or a module with what it offers."""
    if other:
        return f"# {name}\n\n{other}\n"
    lines = [f"# {name}", ""]
    if not isinstance(thing, types.ModuleType):
        return "\n".join([*lines, *entry(name, thing)])
    lines += [inspect.getdoc(thing) or "", ""]
    for part in offered(thing):
        lines += entry(f"{name}.{part}", getattr(thing, part))
    return "\n".join(lines)


def offered(module: types.ModuleType) -> list[str]:
    """What a module offers: its `__all__`, else the public functions and classes that are written in it."""
    if hasattr(module, "__all__"):
        return [n for n in module.__all__ if callable(getattr(module, n)) or inspect.ismodule(getattr(module, n))]
    own = [n for n, x in vars(module).items() if getattr(x, "__module__", "") == module.__name__ and callable(x)]
    return [n for n in own if not n.startswith("_") and inspect.getdoc(getattr(module, n))]


def entry(name: str, thing: Any) -> list[str]:
    """A function or class as Sphinx's Python domain writes it; a module inside a module by its first words."""
    if inspect.ismodule(thing):
        parts = [line for part in offered(thing) for line in entry(f"{name}.{part}", getattr(thing, part))]
        return [f"## {name}", "", inspect.getdoc(thing) or "", "", *parts]
    kind = "class" if inspect.isclass(thing) else "function"
    lines = [f"{FENCE}{{py:{kind}}} {name}{signature(thing)}", "", inspect.getdoc(thing) or "", FENCE, ""]
    if kind == "class":
        for part, method in vars(thing).items():
            if not part.startswith("_") and inspect.getdoc(method):
                lines += method_entry(f"{name}.{part}", method)
    return lines


def method_entry(name: str, method: Any) -> list[str]:
    """A method or property of a class."""
    if isinstance(method, staticmethod | classmethod):
        method = method.__func__
    if inspect.isfunction(method):
        return [f"{FENCE}{{py:method}} {name}{signature(method)}", "", inspect.getdoc(method) or "", FENCE, ""]
    if isinstance(method, property):
        return [f"{FENCE}{{py:property}} {name}", "", inspect.getdoc(method) or "", FENCE, ""]
    return []


def signature(thing: Any) -> str:
    """The arguments with types and defaults, on one line; empty where Python knows none."""
    try:
        text = str(inspect.signature(thing))
    except (TypeError, ValueError):
        return ""
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", text)  # annotations are kept as text
    return text if " object at 0x" not in text and "<" not in text else "(...)"
