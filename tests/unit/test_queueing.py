"""The computed queue against what theory says of it, and the clients' arrivals."""

from __future__ import annotations

import numpy as np
import pytest

from trt_lessons.errors import LessonError
from trt_lessons.scale.queueing import most, simulate
from trt_lessons.scale.serving.client import decode, encode
from trt_lessons.scale.serving.load import arrivals


@pytest.mark.parametrize("share", [0.3, 0.6, 0.8])
def test_one_server_with_a_fixed_time_waits_as_the_formula_says(share: float) -> None:
    load = simulate(share * 100, {1: 10.0}, seconds=2000)
    wait = share / (2 * (1 - share)) * 10.0  # Pollaczek and Khinchine, for a service time that does not vary
    assert load.ms.mean() == pytest.approx(10.0 + wait, rel=0.05)


def test_batches_and_instances() -> None:
    ms = {1: 10.0, 10: 10.0}
    assert simulate(500, ms, largest=10).percentile(99) < 21  # at most the run before and its own
    assert simulate(150, ms).percentile(50) > 1000 > simulate(150, ms, instances=2).percentile(99)
    assert simulate(1, ms, largest=10, delay_ms=50, seconds=100).percentile(50) == pytest.approx(60)
    assert most(ms, 10) == 1000 and most(ms, 1, 2) == 200


@pytest.mark.parametrize("wrong", [{"largest": 0}, {"instances": 0}, {"delay_ms": -1}, {"largest": 2}])
def test_a_setting_that_is_none(wrong: dict) -> None:
    with pytest.raises(LessonError, match="times are known for batches up to 1"):
        simulate(10, {1: 1.0}, **wrong)


def test_arrivals_are_poissons() -> None:
    gaps = np.diff(arrivals(200, 100))
    assert gaps.mean() == pytest.approx(1 / 200, rel=0.03) and gaps.std() == pytest.approx(1 / 200, rel=0.03)
    with pytest.raises(ValueError):
        arrivals(0, 1)


def test_tensors_cross_the_wire_whole() -> None:
    sent = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array([1, 2], np.int64), "b": np.array([True])}
    body, length = encode(sent, "inputs")
    for name, array in decode(body, length, "inputs").items():
        np.testing.assert_array_equal(array, sent[name])
        assert array.dtype == sent[name].dtype
    with pytest.raises(ValueError):
        decode(body[:-1], length, "inputs")
