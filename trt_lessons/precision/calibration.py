"""From real inputs to the largest number that an 8-bit scale should reach."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import onnx

from ..errors import PrecisionError
from .graphs import cpu_session, exposed, weights_of

Calibration = np.ndarray | Iterable[dict[str, np.ndarray]]
BINS = 2048


def batches_of(model: onnx.ModelProto, calibration: Calibration, images: int | None) -> list[dict[str, np.ndarray]]:
    """Calibration data as a list of input dicts, at most 64 rows each when an array was given."""
    weights = weights_of(model)
    names = [value.name for value in model.graph.input if value.name not in weights]
    if isinstance(calibration, np.ndarray):
        if len(names) != 1:
            raise PrecisionError(
                f"The model has {len(names)} inputs ({', '.join(names)}), and one array came.",
                cure="Pass a list of dicts, one a batch: {input name: array}.",
            )
        rows = calibration[:images]
        batches = [{names[0]: rows[start : start + 64]} for start in range(0, len(rows), 64)]
    else:
        batches, seen = [], 0
        for batch in calibration:
            rows = len(next(iter(batch.values())))
            if images is not None and seen + rows > images:
                batch = {name: value[: images - seen] for name, value in batch.items()}
            batches.append(batch)
            seen += rows
            if images is not None and seen >= images:
                break
    if not batches:
        raise PrecisionError("There is no calibration data.", cure="Pass some real inputs; 100 images are plenty.")
    return batches


def limits_of(model: onnx.ModelProto, names: list[str], batches: list, method: str) -> dict[str, float]:
    """Tensor -> the largest |number| that its scale should reach, from the calibration data."""
    session = cpu_session(exposed(model, names))
    limits = dict.fromkeys(names, 0.0)
    for batch in batches:
        for name, value in zip(names, session.run(names, batch), strict=True):
            limits[name] = max(limits[name], float(np.abs(value).max()))
    if method == "minmax":
        return limits
    counts = {name: np.zeros(BINS, np.int64) for name in names}
    for batch in batches:
        for name, value in zip(names, session.run(names, batch), strict=True):
            top = limits[name] or 1.0
            counts[name] += np.histogram(np.abs(value), bins=BINS, range=(0.0, top))[0]
    return {name: limits[name] * METHODS[method](counts[name]) for name in names}


def _percentile(counts: np.ndarray) -> float:
    """Share of the range that holds 99.99 % of the numbers."""
    return float(np.searchsorted(np.cumsum(counts), 0.9999 * counts.sum()) + 1) / BINS


def _entropy(counts: np.ndarray) -> float:
    """Share of the range whose 128 levels tell the distribution best (least Kullback-Leibler divergence)."""
    counts = counts.astype(np.float64)
    counts[0] = counts[1]  # zeros, which ReLU makes in plenty, cost nothing at any scale
    best, share = np.inf, 1.0
    for end in range(128, BINS + 1, 16):
        kept = counts[:end].copy()
        kept[-1] += counts[end:].sum()
        level = np.arange(end) * 128 // end
        filled = counts[:end] > 0
        sums = np.bincount(level, counts[:end], 128)
        members = np.bincount(level, filled.astype(np.float64), 128)
        guess = np.where(filled, (sums / np.maximum(members, 1))[level], 0.0)
        loss = _divergence(kept, guess)
        if loss < best:
            best, share = loss, end / BINS
    return share


def _divergence(true: np.ndarray, guess: np.ndarray) -> float:
    if not true.sum() or not guess.sum():
        return np.inf
    true, guess = true / true.sum(), guess / guess.sum()
    counted = true > 0
    return float(np.sum(true[counted] * np.log(true[counted] / np.maximum(guess[counted], 1e-9))))


METHODS: dict[str, Callable[[np.ndarray], float]] = {
    "minmax": lambda counts: 1.0,
    "percentile": _percentile,
    "entropy": _entropy,
}
