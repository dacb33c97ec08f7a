"""Is the reference worth comparing with? Looked at before anything is chosen. Introduced in lesson 06."""

from __future__ import annotations

import numpy as np

from ..precision.facts import compare
from ..precision.graphs import ENDLESS
from .subject import Batch, Subject

TINY = 6.1e-5  # FP16's smallest normal number


def doubts(answers: list[Batch], mine: Subject) -> list[str]:
    """Why errors against these answers (of FP32, a dict an input batch) mean nothing; [] where they mean something.

    A constant, zero, tiny or endless output where no other output is better, and accuracy at chance.
    """
    found = remarks(answers)
    chance = _at_chance(answers, mine)
    return (found if len(found) == len(answers[0]) else []) + ([chance] if chance else [])


def remarks(answers: list[Batch]) -> list[str]:
    """A sentence for each output that says nothing for this data, also where others are fine."""
    return [text for name in answers[0] if (text := _of_output(name, [batch[name] for batch in answers]))]


def difference(found: list[Batch], wanted: list[Batch]) -> float:
    """Largest relative error of any output of any batch, infinite where one has other sizes.

    Whole numbers are left aside (`left_aside` names them), unless a model gives nothing else: then it is
    the share that differs.
    """
    worst = 0.0
    for mine, theirs in zip(found, wanted, strict=True):
        floats = {name: value for name, value in theirs.items() if value.dtype.kind == "f"}
        for name, value in (floats or theirs).items():
            if name not in mine:  # an input that is an output as well: nothing is computed
                continue
            if np.shape(mine[name]) != value.shape:
                return float("inf")
            if floats:
                worst = max(worst, compare(mine[name], value).relative)
            elif value.size:
                worst = max(worst, float(np.mean(np.asarray(mine[name]) != value)))
    return worst


def left_aside(outputs: dict[str, list[Batch]]) -> dict[str, dict[str, float]]:
    """Outputs that are no part of the error, whole numbers beside floating-point ones: name -> precision -> share.

    The share of numbers that differ from the first precision's, 0 to 1; infinite where there are more or fewer of them.
    outputs: precision -> answers, FP32's first.
    """
    first, *others = outputs
    kinds = {name: array.dtype.kind for name, array in outputs[first][0].items()}
    whole = [name for name, kind in kinds.items() if kind != "f"] if "f" in kinds.values() else []
    return {name: {other: _unlike(outputs[first], outputs[other], name) for other in others} for name in whole}


def _unlike(wanted: list[Batch], found: list[Batch], name: str) -> float:
    pairs = [(theirs[name], mine.get(name)) for theirs, mine in zip(wanted, found, strict=True)]
    if any(np.shape(a) != np.shape(b) for a, b in pairs):
        return float("inf")
    return sum(int(np.sum(a != b)) for a, b in pairs) / max(sum(a.size for a, _ in pairs), 1)


def in_words(share: float) -> str:
    """How far an output of whole numbers is from the reference's."""
    return f"{100 * share:.1f} % others" if np.isfinite(share) else "another number of them"


def _of_output(name: str, arrays: list[np.ndarray]) -> str:
    if arrays[0].dtype.kind != "f":
        return ""
    flat = np.concatenate([np.asarray(array, np.float64).reshape(-1) for array in arrays])
    if not flat.size:
        return f"Output {name!r} is empty for this data: there is nothing to compare."
    finite = flat[np.isfinite(flat) & (np.abs(flat) < ENDLESS)]
    if not finite.size:
        return f"Output {name!r} is infinite or NaN everywhere, in FP32 already: the data or the model is wrong."
    largest = np.abs(finite).max()
    if largest == 0:
        return f"Output {name!r} is zero everywhere: every precision gives that."
    if largest < TINY:
        return f"Output {name!r} is at most {largest:.1e}, below FP16's normal numbers ({TINY}): scale the model's end."
    if finite.size > 1 and np.ptp(finite) <= 1e-6 * largest:
        return f"Output {name!r} is the constant {finite[0]:g} for this data: every precision gives that."
    return ""


def _at_chance(answers: list[Batch], mine: Subject) -> str:
    accuracy = mine.accuracy(answers)
    if accuracy is None or mine.labels is None:
        return ""
    truth = np.concatenate([np.ravel(part) for part in mine.labels])
    _, counts = np.unique(truth, return_counts=True)
    guess = counts.max() / truth.size
    noise = np.sqrt(guess * (1 - guess) / truth.size)
    if len(counts) > 1 and accuracy <= guess + 2 * noise:
        return (
            f"FP32 is right in {100 * accuracy:.1f} % of {truth.size} rows, and always saying the most frequent "
            f"class is right in {100 * guess:.1f} %: the labels or the inputs do not fit the model."
        )
    return ""
