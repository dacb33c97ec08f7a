"""Words for numbers and for where they come from, the same in tables, figures and reports."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any


def note_of(*things: Any) -> str:
    """The origin of values: of text, Measurements, Recorded, Provenance, or containers of them; each once."""
    found: dict[str, None] = {}
    for thing in things:
        for note in _notes(thing):
            if note:
                found.setdefault(note)
    return "; ".join(found)


def _notes(thing: Any) -> Iterable[str]:
    if thing is None:
        return
    if isinstance(thing, str):
        yield thing
        return
    note = getattr(thing, "note", None)
    if note is not None:
        yield note() if callable(note) else str(note)
    elif isinstance(thing, Mapping):
        for value in thing.values():
            yield from _notes(value)
    elif isinstance(thing, (list, tuple)):
        for value in thing:
            if not isinstance(value, str):
                yield from _notes(value)


def ms(value: float) -> str:
    """Milliseconds with three figures: 0.586 ms, 12.3 ms."""
    return f"{number(value)} ms"


def number(value: float, figures: int = 3) -> str:
    """Three figures (or more), thousands with a separator, an exponent only below 0.0001."""
    size = abs(value)
    if size == 0:
        return "0"
    if size < 1e-4:
        return f"{value:.1e}"
    return f"{value:,.{max(0, figures - 1 - math.floor(math.log10(size)))}f}"


def numbers(values: Iterable[float]) -> list[str]:
    """Numbers of one kind with as many figures, three to five, as it takes to tell them apart."""
    found = list(values)
    for figures in (3, 4, 5):
        texts = [number(v, figures) for v in found]
        if len(set(texts)) == len(set(found)):
            break
    return texts
