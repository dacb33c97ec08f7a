"""Plans in other versions' runtimes, and the programs of lesson 04_4 that need a process of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import trt_lessons as tl
from trt_lessons.engines import portable
from trt_lessons.sessions import cold_start


def relu(network: object) -> None:
    """A network: "x" [2, 4] to "y", its positive part."""
    x = network.add_input("x", tl.trt.float32, (2, 4))
    y = network.add_activation(x, tl.trt.ActivationType.RELU).get_output(0)
    y.name = "y"
    network.mark_output(y)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """The plan of `relu` in a file."""
    made = tl.build(relu, level=0, cache=False, timing_cache=False, progress=False)
    return made.save(tmp_path / "relu.plan")


@pytest.fixture
def runtimes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of runtimes as wheels leave it: one that is this backend's own TensorRT, one that refuses everything."""
    if tl.backend.is_gpu():
        pytest.skip("made for the interpreter: no second TensorRT in a process")
    place = tmp_path / "rt"
    good, bad, eight = place / "lean114", place / "lean1016", place / "lean86" / "tensorrt_lean"
    for folder in (good / "tensorrt_lean_bindings", bad / "tensorrt_lean_bindings", eight):
        folder.mkdir(parents=True)
    whole = "from trt_lessons.interpreter.tensorrt import *\n"
    (good / "tensorrt_lean_bindings" / "__init__.py").write_text(whole)
    (bad / "tensorrt_lean_bindings" / "__init__.py").write_text(
        whole + "class Runtime:\n    def __init__(self, log): self.log = log\n"
        "    def deserialize_cuda_engine(self, plan):\n"
        "        self.log.log(type('S', (), {'name': 'ERROR'}), 'an old plan')\n"
        "    def load_runtime(self, path):\n        import os; os._exit(7)\n"
    )
    (eight / "__init__.py").write_text(whole)
    (eight / "libnvinfer_lean.so.8").write_bytes(b"")
    monkeypatch.setenv("TRT_LESSONS_RUNTIMES", str(place))
    return place


def test_without_runtimes_nothing_is_tried_and_a_line_says_so(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRT_LESSONS_RUNTIMES", str(plan.parent / "nowhere"))
    assert portable.try_plans({"plain": plan}, {}, {}) == []
    assert portable.table([]) == portable.NO_RUNTIMES


def test_each_runtime_answers_for_itself(plan: Path, runtimes: Path) -> None:
    x = np.array([[1, -2, 3, -4], [-5, 6, -7, 8]], np.float32)
    right = {"y": np.maximum(x, 0)}
    rows = portable.try_plans({"plain": plan}, {"x": x}, right)
    told = {(row["runtime"], row["through"]): (row["answer"], row["same"]) for row in rows}
    assert told[("lean114", False)] == ("runs", True) == told[("lean86", False)]
    assert told[("lean1016", False)] == ("refused", False)
    assert told[("lean1016", True)] == ("the process ended with 7", False)
    text = portable.table(rows)
    assert "plain in lean1016: refused\n   | an old plan" in text and "bit for bit" in text
    assert not portable.try_plans({"plain": plan}, {"x": x}, {"y": right["y"] + 1})[0]["same"]


def test_version_compatible_builds_are_told_line_by_line() -> None:
    told = portable.version_compatible()
    flags = [line["flags"] for line in told["lines"] if "flags" in line]
    assert told["code"] == 0 and flags[0] == [] and flags[-1] == ["VERSION_COMPATIBLE", "EXCLUDE_LEAN_RUNTIME"]


def test_stages_of_a_cold_start(plan: Path) -> None:
    found = cold_start.stages(plan)
    wanted = ["imports and CUDA", "runtime", "read the file", "deserialize", "context"]
    assert list(found) == [*wanted, "first inference", "second inference"]
    assert min(found.values()) >= 0
    with pytest.raises(tl.errors.MeasureError, match="gave no answer"):
        cold_start.stages(plan.parent / "missing.plan")


def test_what_a_load_takes_beside_its_build() -> None:
    made = tl.build(relu, level=0, cache=False, timing_cache=False, progress=False)
    found = cold_start.loading(made)
    assert (found["build"], found["bytes"]) == (made.seconds, made.size) and found["deserialize"] > 0
    assert cold_start.start_builder() > 0


def test_words_of_version_compatible_builds() -> None:
    lines = [{"flags": [], "bytes": 1200, "log": []}, {"allowed": False, "loaded": True, "log": [" a line "]}]
    told = portable.words({"lines": lines})
    assert told.splitlines() == ["plain: 1,200 bytes", "   host code allowed: False, loaded: True", "   | a line"]


def test_a_waterfall_and_a_stack_say_their_sums() -> None:
    parts = {"build": 10.0, "load": 0.5}
    assert "build: 10.0 s; load: 0.500 s" in tl.plots.alt(
        tl.plots.waterfall(parts, unit="s", mark="load", title="Building takes longest")
    )
    both = {"from the file": parts, "from the plan": {"load": 0.5}}
    assert "from the file: 10.5 s; from the plan: 0.500 s" in tl.plots.alt(
        tl.plots.stacked(both, unit="s", title="A plan is quicker")
    )
