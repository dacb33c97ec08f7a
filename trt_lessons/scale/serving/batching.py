"""Requests that a server gathered: one batch for the engine, cut apart again: behind Triton and Ray Serve."""

from __future__ import annotations

from typing import Any

import numpy as np

Rows = dict[str, np.ndarray]  # tensor name -> array, rows first


def together(session: Any, requests: list[Rows]) -> list[Rows]:
    """The answers to requests in their order: one run where all shapes but the first axis agree, else one run each."""
    shapes = {tuple((name, rows[name].shape[1:]) for name in sorted(rows)) for rows in requests}
    if len(shapes) > 1:
        return [session.infer(rows) for rows in requests]
    joined = {name: np.concatenate([rows[name] for rows in requests]) for name in requests[0]}
    ends = np.cumsum([size(rows) for rows in requests])[:-1]
    parts = {name: np.split(array, ends) for name, array in session.infer(joined).items()}
    return [{name: part[i] for name, part in parts.items()} for i in range(len(requests))]


def size(rows: Rows) -> int:
    """Rows of one request."""
    return len(next(iter(rows.values())))
