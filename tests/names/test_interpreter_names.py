"""The interpreter's names exist in TensorRT 11.4, take the same calls, and have the same numbers."""

from __future__ import annotations

import enum
import inspect
import json
import sys
from pathlib import Path

import pytest

from trt_lessons.interpreter import tensorrt as ours

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from make_signatures import members, public  # noqa: E402

NAMES = json.loads((HERE / "trt_names.json").read_text())
COLUMN = NAMES["versions"].index("11.4")
REAL = {name for name, there in NAMES["names"].items() if there[COLUMN] == "1"}
DATA = json.loads((HERE / "signatures-11.4.json").read_text())
PACKAGE = "trt_lessons.interpreter"
CLASSES = {n: v for n, v in public(ours).items() if inspect.isclass(v) and v.__module__.startswith(PACKAGE)}
ENUMS = {n: v for n, v in CLASSES.items() if issubclass(v, enum.Enum)}
CONSTRUCTORS = ("Builder", "Runtime", "Refitter", "OnnxParser", "Logger")  # what a learner makes by name
BASES = {"ILayer", "ILogger", "Dims", "IProfiler", "ILoopBoundaryLayer", "IIfConditionalBoundaryLayer"}
METHODS = {
    f"{n}.{m}": f
    for n, kind in CLASSES.items()
    if n not in ENUMS
    for m, f in members(kind, PACKAGE).items()
    if inspect.isfunction(f) and f.__name__ != "_undefined"  # what a learner's class must define takes anything
} | {f"{n}.__init__": CLASSES[n].__init__ for n in CONSTRUCTORS}
# In TensorRT these are what a learner's class defines: told in the documentation, but no attributes of the class.
CALLBACKS = {"IOutputAllocator.reallocate_output", "IOutputAllocator.notify_shape"}


def parameters(function):
    """[(name, whether it has a default)], without self."""
    found = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    return [(p.name, p.default is not p.empty) for p in found]


def test_module_names():
    """No name that TensorRT 11.4 lacks."""
    assert not [n for n in public(ours) if n not in REAL]


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_members(name):
    """No member that TensorRT's class, or the base class it has there, lacks."""
    owners = {
        name,
        *(b.__name__ for b in CLASSES[name].__mro__ if b.__name__ in BASES),
    }
    missing = [m for m in members(CLASSES[name], PACKAGE) if not any(f"{o}.{m}" in REAL for o in owners)]
    assert not [m for m in missing if f"{name}.{m}" not in CALLBACKS]


@pytest.mark.parametrize("name", sorted(METHODS))
def test_signature(name):
    """The same parameters in the same order as one of TensorRT's overloads, and no call of that one is refused."""
    calls = DATA["calls"].get(name)
    if calls is None:
        assert name in REAL or name in CALLBACKS
        return
    mine = parameters(METHODS[name])
    fitting = [c for c in calls if [p.rstrip("=") for p in c] == [n for n, _ in mine]]
    assert fitting, f"{name}{mine} is none of {calls}"
    assert any(all(default or not p.endswith("=") for p, (_, default) in zip(c, mine, strict=True)) for c in fitting), (
        mine,
        calls,
    )


@pytest.mark.parametrize("name", sorted(METHODS))
def test_shorter_overloads(name):
    """What TensorRT takes with fewer parameters, the interpreter takes too."""
    mine = parameters(METHODS[name])
    for call in DATA["calls"].get(name, ()):
        given = [p.rstrip("=") for p in call if not p.endswith("=")]
        if [n for n, _ in mine][: len(given)] == given:
            assert all(default for _, default in mine[len(given) :]), f"{name}{mine} refuses the call {given}"


@pytest.mark.parametrize("name", sorted(ENUMS))
def test_numbers(name):
    """Members have TensorRT 11.4's numbers."""
    assert {n: int(v) for n, v in ENUMS[name].__members__.items()}.items() <= DATA["numbers"][name].items()


@pytest.mark.parametrize("name", [n for n in public(ours) if inspect.isfunction(getattr(ours, n))])
def test_functions(name):
    calls = DATA["calls"].get(name)
    assert calls is None or [n for n, _ in parameters(getattr(ours, name))] in [
        [p.rstrip("=") for p in c] for c in calls
    ]


def test_helpers_are_private():
    """What is not TensorRT's is not among the names that `from trt_lessons.interpreter.tensorrt import *` brings."""
    assert "attr" not in public(ours)
    assert "Reporter" not in public(ours)
