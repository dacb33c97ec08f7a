"""Which optimization profiles? From a sample of real lengths, the ranges that waste least work in padding.

    plan = tl.buckets.propose(lengths, most=3)
    plan.edges                                   # every strip is padded to the next of these
    plan.profiles("strip", lambda n, length: (n, 1, 16, 16 * length), batch=32)

A batch needs one shape, so strips of different lengths are padded to a common one. Few ranges waste work,
many cost build time and memory. `propose` finds the best ranges there are. Introduced in lesson 05_2.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import LessonError

Cost = Callable[[int], float] | Mapping[int, float] | None


@dataclass(frozen=True)
class Proposal:
    """Ranges of lengths and what they cost on the sample.

    edges: the largest length of each range, ascending; a strip is padded to the first edge that takes it.
    counts: strips of the sample in each range. smallest: the smallest length of all.
    work: cost of the sample padded to the edges; padded: all padded to the last edge; exact: not padded.
    memory: bytes that all ranges need together, 0 where no memory was asked about.
    """

    edges: tuple[int, ...]
    counts: tuple[int, ...]
    smallest: int
    work: float
    padded: float
    exact: float
    memory: int = 0

    @property
    def factor(self) -> float:
        """How many times less work than padding everything to the largest length: the prediction."""
        return self.padded / self.work

    @property
    def waste(self) -> float:
        """Share of the work that is padding, 0 to 1."""
        return 1 - self.exact / self.work

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """(smallest, largest) length of each range; together they leave no gap."""
        lows = [self.smallest, *(edge + 1 for edge in self.edges[:-1])]
        return list(zip(lows, self.edges, strict=True))

    def profiles(self, name: str, shape: Callable[[int, int], Sequence[int]], *, batch: int) -> list[dict]:
        """Profiles for `tl.build`: one a range, for 1 to `batch` samples, best at full batches at the edge.

        name: the input. shape(n, length) is the input's shape for n samples of one length.
        """
        most = [tuple(shape(batch, high)) for _, high in self.ranges]
        least = [tuple(shape(1, low)) for low, _ in self.ranges]
        return [{name: (low, high, high)} for low, high in zip(least, most, strict=True)]

    def bars(self, name: str, unit: int = 1) -> dict[str, tuple[int, int, int]]:
        """{"name: 0": (min, opt, max), ...} of the ranges, in sizes of `unit`, for `plots.latency_over_shape`."""
        return {f"{name}: {i}": (unit * low, unit * high, unit * high) for i, (low, high) in enumerate(self.ranges)}

    def table(self) -> str:
        """The ranges as text, one a line: lengths, strips of the sample, share of the work."""
        lines = [f"{'lengths':>9} {'strips':>7}"]
        lines += [f"{f'{low}-{high}':>9} {n:>7}" for (low, high), n in zip(self.ranges, self.counts, strict=True)]
        return "\n".join(lines)


def propose(
    lengths: Iterable[int],
    most: int = 3,
    *,
    cost: Cost = None,
    largest: int | None = None,
    smallest: int = 1,
    memory: Callable[[int], int] | None = None,
    limit_bytes: int | None = None,
) -> Proposal:
    """The ranges of lengths that need least work for a sample, at most `most` of them.

    cost: work of one strip of a length, a function or {length: cost} for the possible edges, such as measured
        times; None: the length itself. It should not fall with the length.
    largest: a length that must fit, also when the sample has none. smallest: likewise, 1 by default.
    memory(edge): bytes that a range up to `edge` needs; limit_bytes: what all may need together.
    Exact: every choice of edges is covered (dynamic programming over the sorted lengths; under a memory limit
    the choices that some other one beats in memory and in work are dropped). LessonError when none fits.
    """
    values, counts = _sample(lengths, largest, smallest, most)
    price = _prices(values, cost)
    need = [int(memory(v)) if memory else 0 for v in values]
    limit = None if memory is None else limit_bytes
    best = min(_fronts(counts, price, need, most, limit), key=lambda found: found[:2], default=None)
    if best is None:
        least = min(need[-1:], default=0)
        raise LessonError(
            f"no choice of ranges fits into {limit} bytes",
            why=f"the range of the largest length, {values[-1]}, alone needs {least}",
            cure="give more memory, a smaller batch, or a smaller largest length",
        )
    work, used, ends = best
    inside = np.add.reduceat(counts, [0, *(e + 1 for e in ends[:-1])])
    return Proposal(
        edges=tuple(values[e] for e in ends),
        counts=tuple(int(n) for n in inside),
        smallest=min(smallest, values[0]),
        work=work,
        padded=float(np.sum(counts) * price[-1]),
        exact=float(np.dot(counts, price)),
        memory=used,
    )


def curve(lengths: Iterable[int], most: int, **options: Any) -> dict[int, Proposal]:
    """{number of ranges: proposal} for 1 to `most`: where one more range stops paying. Options: `propose`'s."""
    lengths = list(lengths)
    return {n: propose(lengths, n, **options) for n in range(1, most + 1)}


def assign(lengths: Iterable[int], edges: Sequence[int]) -> np.ndarray:
    """Index of the range of each length, int64 [n]; LessonError for a length beyond the last edge."""
    found = [bisect_left(edges, length) for length in lengths]
    if found and max(found) >= len(edges):
        raise LessonError(
            f"a length is larger than every range: the last one ends at {edges[-1]}",
            cure="propose with largest=..., or refuse such inputs before they come here",
        )
    return np.array(found, np.int64)


def batches(lengths: Sequence[int], edges: Sequence[int], batch: int) -> Iterator[tuple[int, np.ndarray]]:
    """(range, indices of at most `batch` strips) until every strip is in one batch, the ranges in order."""
    where = assign(lengths, edges)
    for index in range(len(edges)):
        chosen = np.flatnonzero(where == index)
        for start in range(0, len(chosen), batch):
            yield index, chosen[start : start + batch]


def padded(
    samples: Sequence[np.ndarray], edges: Sequence[int], batch: int, *, unit: int = 1
) -> list[tuple[int, np.ndarray, np.ndarray]]:
    """Batches of one shape each: (range, float array [n, ..., unit * edge], indices of its n <= `batch` samples).

    samples: arrays [1, ..., size] that differ in the last axis, which zeros fill. unit: size of one length, so
    that a sample of `size` has the length size / unit, rounded up.
    """
    lengths = [-(-sample.shape[-1] // unit) for sample in samples]
    found = []
    for index, chosen in batches(lengths, edges, batch):
        full = np.zeros((len(chosen), *samples[0].shape[1:-1], unit * edges[index]), samples[0].dtype)
        for row, place in zip(full, chosen, strict=True):
            row[..., : samples[place].shape[-1]] = samples[place][0]
        found.append((index, full, chosen))
    return found


def in_order(work: Sequence[tuple[Callable[[np.ndarray], Any], np.ndarray, Sequence[int]]], output: str) -> list:
    """Run all of `work`, [(function, its batch, indices of its samples)]; the rows of `output`, in the samples' order.

    The functions answer with {output: array}, as `Session.infer` does.
    """
    rows = {}
    for call, array, chosen in work:
        rows |= dict(zip(map(int, chosen), call(array)[output], strict=True))
    return [rows[index] for index in sorted(rows)]


def rate(work: Sequence[tuple], rounds: int = 3) -> float:
    """Samples per second of `work`, [(function, its batch, ...)], copies included, by the host's clock.

    The median of `rounds` rounds; one more comes before them and is not counted.
    """
    seconds = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        for call, array, *_ in work:
            call(array)
        seconds.append(time.perf_counter() - start)
    return sum(len(array) for _, array, *_ in work) / float(np.median(seconds[1:]))


def _sample(lengths: Iterable[int], largest: int | None, smallest: int, most: int) -> tuple[list[int], np.ndarray]:
    """The different lengths, sorted, and how often each comes (0 for a `largest` that never came)."""
    given = np.asarray(list(lengths), dtype=np.int64)
    if given.size == 0 or given.min() < smallest or most < 1:
        raise LessonError(
            f"cannot propose {most} ranges for {given.size} lengths from {given.min() if given.size else 'none'}",
            why=f"at least one range and one length are needed, and no length below {smallest}",
            cure="give a sample of real lengths; smallest= says how short they may be",
        )
    values, counts = np.unique(given, return_counts=True)
    if largest is not None and largest > values[-1]:
        values, counts = np.append(values, largest), np.append(counts, 0)
    if largest is not None and largest < values[-1]:
        raise LessonError(
            f"the sample has a length of {values[-1]}, more than largest={largest}",
            cure="leave such lengths out of the sample, or raise largest",
        )
    return [int(v) for v in values], counts


def _prices(values: list[int], cost: Cost) -> list[float]:
    """Cost of one strip at each length; of a table, interpolated between its lengths."""
    if cost is None:
        return [float(v) for v in values]
    if isinstance(cost, Mapping):
        known = sorted(cost)
        return [float(np.interp(v, known, [cost[k] for k in known])) for v in values]
    return [float(cost(v)) for v in values]


Choice = tuple[float, int, tuple[int, ...]]  # work, memory, positions of the edges


def _fronts(counts: np.ndarray, price: list[float], need: list[int], most: int, limit: int | None) -> list[Choice]:
    """All choices worth having that cover every length, for 1 to `most` ranges."""
    n, total = len(counts), np.concatenate([[0], np.cumsum(counts)])
    reached: list[list[Choice]] = [[(0.0, 0, ())], *([] for _ in range(n))]  # by how many lengths are covered
    complete: list[Choice] = []
    for _ in range(min(most, n)):
        following: list[list[Choice]] = [[] for _ in range(n + 1)]
        for start in range(n):
            for end in range(start, n):
                more = float(total[end + 1] - total[start]) * price[end]
                following[end + 1] += [
                    (work + more, used + need[end], (*edges, end))
                    for work, used, edges in reached[start]
                    if limit is None or used + need[end] <= limit
                ]
        reached = [_not_beaten(choices) for choices in following]
        complete += reached[n]
    return complete


def _not_beaten(choices: list[Choice]) -> list[Choice]:
    """Those that no other beats in work and in memory."""
    kept: list[Choice] = []
    for choice in sorted(choices):
        if not kept or choice[1] < kept[-1][1]:
            kept.append(choice)
    return kept
