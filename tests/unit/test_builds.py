"""What lesson 04_5 builds and measures: engines with one thing changed, rounds of an ablation, the memory's account."""

from __future__ import annotations

import pytest

import trt_lessons as tl
from trt_lessons import backend, compat, models
from trt_lessons.measuring import builds

TINY = models.tower(2, channels=8, size=4)
ROUNDS = {1: {"on": [1.0, 3.0, 2.0], "off": [4.0, 4.0, 5.0]}, 8: {"on": [9.0], "off": [10.0]}}


def test_middle_is_the_median_of_the_rounds():
    assert builds.middle(ROUNDS) == {1: {"on": 2.0, "off": 4.0}, 8: {"on": 9.0, "off": 10.0}}


def test_spread_names_median_least_and_most():
    first, on, off = builds.spread(ROUNDS).splitlines()
    assert first.split() == ["batch", "1", "batch", "8"]
    assert "2.000 (1.000 to 3.000)" in on and "10.000 (10.000 to 10.000)" in off


def test_tried_measures_and_keeps_what_the_log_says_of_sparse_kernels():
    found = builds.tried(TINY, level=0)
    assert found["ms"] > 0 and found["seconds"] > 0 and found["tactics"] and isinstance(found["sparsity"], list)


def test_rounds_take_every_case_once_a_round():
    session = tl.Session(tl.build(models.tower("b", 8, 4), profiles={"x": ((1, 8, 4, 4), (1, 8, 4, 4), (2, 8, 4, 4))}))
    found = builds.rounds({"plain": (session, {}), "graph": (session, {"graph": True})}, (8, 4, 4), (1, 2), 2)
    assert {b: {k: len(v) for k, v in row.items()} for b, row in found.items()} == {
        1: {"plain": 2, "graph": 2},
        2: {"plain": 2, "graph": 2},
    }


def test_the_account_takes_two_contexts():
    row = builds.account(tl.build(TINY, level=0))
    assert row["plan"] > 0 and row["announced"] >= 0 and len(row["taken"]) == 3


@pytest.mark.skipif(backend.is_gpu(), reason="constraints are tried on a GPU in lesson 04_5")
def test_types_are_asked_only_where_constraints_exist():
    assert not compat.has("BuilderFlag.OBEY_PRECISION_CONSTRAINTS")
    assert builds.types(TINY, {"permitted": None}) == {}
