"""`buckets`: the proposal is the best there is, and it keeps its limits."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import trt_lessons as tl
from trt_lessons.advice.buckets import assign, batches, curve, in_order, padded, propose, rate
from trt_lessons.errors import LessonError
from trt_lessons.models import strips


def work_of(lengths, edges, cost=lambda length: length) -> float:
    """The padded work of a choice of edges, counted one by one."""
    return sum(cost(min(e for e in edges if e >= length)) for length in lengths)


def best_by_trying(lengths, most, cost=lambda length: length, memory=None, limit=None):
    """(work, edges) of the best of all choices of edges, or None."""
    values = sorted(set(lengths))
    found = []
    for count in range(1, most + 1):
        for inner in itertools.combinations(values[:-1], count - 1):
            edges = (*inner, values[-1])
            if memory is None or sum(map(memory, edges)) <= limit:
                found.append((work_of(lengths, edges, cost), edges))
    return min(found, default=None)


@pytest.mark.parametrize("seed", range(20))
def test_best_of_all_choices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 14, 40).tolist()
    most = int(rng.integers(1, 6))
    found = propose(lengths, most)
    wanted, _ = best_by_trying(lengths, most)
    assert found.work == wanted == work_of(lengths, found.edges)
    assert found.padded == len(lengths) * max(lengths) and found.exact == sum(lengths)
    assert len(found.edges) <= most and sum(found.counts) == len(lengths)


@pytest.mark.parametrize("seed", range(20))
def test_best_under_a_memory_limit(seed: int) -> None:
    rng = np.random.default_rng(100 + seed)
    lengths = rng.integers(1, 12, 30).tolist()
    price = np.cumsum(rng.random(13)).tolist()

    def memory(edge: int) -> int:
        return 100 + 10 * edge

    limit = int(rng.integers(230, 700))
    wanted = best_by_trying(lengths, 4, lambda n: price[n], memory, limit)
    found = propose(lengths, 4, cost=lambda n: price[n], memory=memory, limit_bytes=limit)
    assert found.work == pytest.approx(wanted[0])
    assert found.memory == sum(map(memory, found.edges)) <= limit


def test_memory_that_does_not_suffice() -> None:
    with pytest.raises(LessonError, match="no choice of ranges fits") as caught:
        propose([1, 8], 2, memory=lambda edge: 1000 * edge, limit_bytes=7999)
    assert "8000" in caught.value.why and caught.value.cure
    assert propose([1, 8], 2, memory=lambda edge: 1000 * edge, limit_bytes=8000).edges == (8,)


def test_one_range_is_padding_to_the_largest() -> None:
    found = propose([1, 2, 9], 1)
    assert found.edges == (9,) and found.factor == 1
    assert found.waste == pytest.approx(1 - 12 / 27)


def test_enough_ranges_waste_nothing() -> None:
    found = propose([3, 3, 5, 9], 10)
    assert found.edges == (3, 5, 9) and found.waste == 0
    assert found.ranges == [(1, 3), (4, 5), (6, 9)]


def test_more_ranges_never_need_more_work() -> None:
    found = curve(strips.mixed_lengths(500), 6)
    works = [p.work for p in found.values()]
    assert works == sorted(works, reverse=True) and found[1].factor == 1 < found[2].factor


def test_largest_must_fit_although_the_sample_has_none() -> None:
    found = propose([1, 1, 4], 2, largest=16)
    assert found.edges == (4, 16) and found.counts == (3, 0)
    with pytest.raises(LessonError, match="more than largest=3"):
        propose([1, 4], 2, largest=3)


def test_cost_table_is_interpolated() -> None:
    flat = propose([1, 5, 16], 2, cost={1: 1.0, 16: 1.0})
    assert flat.edges == (16,), "where size costs nothing, one range is enough"
    found = propose([2, 4], 1, cost={1: 1.0, 5: 5.0})
    assert found.work == pytest.approx(8.0)


def test_profiles_for_a_build() -> None:
    found = propose([1, 1, 4, 4, 16], 2)
    made = found.profiles("strip", lambda n, length: (n, 1, 16, 16 * length), batch=8)
    assert [p["strip"] for p in made] == [
        ((1, 1, 16, 16), (8, 1, 16, 64), (8, 1, 16, 64)),
        ((1, 1, 16, 80), (8, 1, 16, 256), (8, 1, 16, 256)),
    ]


def test_batches_hold_each_strip_once() -> None:
    lengths = strips.mixed_lengths(300)
    edges = propose(lengths, 3).edges
    made = list(batches(lengths, edges, 32))
    assert sorted(i for _, chosen in made for i in chosen) == list(range(300))
    assert all(len(chosen) <= 32 and lengths[chosen].max() <= edges[where] for where, chosen in made)


def test_a_length_beyond_all_ranges() -> None:
    assert assign([], [4]).tolist() == []
    with pytest.raises(LessonError, match="larger than every range: the last one ends at 4"):
        assign([5], [4])


@pytest.mark.parametrize(("lengths", "most"), [([], 2), ([0, 3], 2), ([3], 0)])
def test_a_sample_that_cannot_be(lengths: list[int], most: int) -> None:
    with pytest.raises(LessonError, match="cannot propose"):
        propose(lengths, most)


def test_table_and_export() -> None:
    found = tl.buckets.propose([1, 4, 4], 2)
    assert found.table().splitlines() == ["  lengths  strips", "      1-1       1", "      2-4       2"]


def test_ranges_as_bars_of_a_figure() -> None:
    found = propose([1, 4, 4, 16], 2, largest=16)
    assert found.bars("two", 16) == {"two: 0": (16, 64, 64), "two: 1": (80, 256, 256)}


def test_padded_batches_hold_every_sample_once() -> None:
    lengths = strips.mixed_lengths(50, seed=3)
    images, texts = strips.load(lengths)
    assert [len(text) for text in texts] == lengths.tolist() == [image.shape[3] // 16 for image in images]
    found = padded(images, (4, 8, 16), 8, unit=16)
    assert sorted(np.concatenate([chosen for _, _, chosen in found])) == list(range(50))
    for index, array, chosen in found:
        assert array.shape == (len(chosen), 1, 16, 16 * (4, 8, 16)[index]) and len(chosen) <= 8
        for row, place in zip(array, chosen, strict=True):
            width = images[place].shape[3]
            assert (row[..., :width] == images[place][0]).all() and not row[..., width:].any()


def test_a_size_between_two_lengths_counts_as_the_longer() -> None:
    [(index, array, _)] = padded([np.ones((1, 17), np.float32)], (1, 2), 4, unit=16)
    assert (index, array.shape, array.sum()) == (1, (1, 32), 17)


def test_rate_counts_samples_and_drops_the_first_round() -> None:
    import time

    waits = iter([0.5, 0.02, 0.02, 0.02])
    found = rate([(lambda array: time.sleep(next(waits)), np.zeros((10, 1)))])
    assert 200 < found <= 500


def test_rows_come_back_in_the_order_of_the_samples() -> None:
    samples = [np.full((1, n), n, np.float32) for n in (3, 1, 2, 3, 1)]
    work = [(lambda x: {"sum": x.sum(axis=1)}, x, chosen) for _, x, chosen in padded(samples, (1, 3), 2)]
    assert in_order(work, "sum") == [9, 1, 4, 9, 1]
