"""The second opinion on measuring, on the interpreter: its loop runs, counts and reads as trtexec's."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from trt_lessons import backend
from trt_lessons.engines import build

PATH = Path(__file__).parents[1] / "benchmarks" / "trtexec_loop.py"


@pytest.fixture(scope="module")
def loop():
    spec = importlib.util.spec_from_file_location("trtexec_loop", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def plan():
    def negative(network) -> None:
        x = network.add_input("x", backend.trt.float32, (-1, 3))
        network.mark_output(network.add_unary(x, backend.trt.UnaryOperation.NEG).get_output(0))

    return build.build(negative, profiles={"x": ((1, 3), (4, 3), (64, 3))}, cache=False, progress=False).plan


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("transfers", [False, True])
def test_it_runs(loop, plan, graph, transfers):
    x = {"x": np.ones((4, 3), np.float32)}
    found = loop.run(plan, x, graph=graph, transfers=transfers, warm_up_ms=5, duration_s=0.02)
    kinds = {"compute", "latency", "enqueue"} | ({"h2d", "d2h"} if transfers else set())
    assert kinds | {"queries", "queries a second"} == set(found)
    assert all(value > 0 for kind, value in found.items() if kind != "enqueue") and found["enqueue"] >= 0
    assert found["queries"] >= 10


def test_at_least_ten_queries(loop, plan):
    found = loop.run(plan, {"x": np.ones((1, 3), np.float32)}, warm_up_ms=0, duration_s=0)
    assert found["queries"] >= 10


def test_what_it_computes(loop, plan):
    engine = loop.Engine(plan, {"x": np.full((2, 3), 5, np.float32)})
    engine.plain()
    engine.copy_out(engine.stream)
    engine.stream.synchronize()
    assert engine.copies_out[0][0].view(np.float32).tolist() == [-5] * 6


def test_a_shape_outside_the_profile(loop, plan):
    with pytest.raises(ValueError, match="cannot have shape"):
        loop.run(plan, {"x": np.ones((65, 3), np.float32)})
