"""A newer lesson into a learner's copy, cell by cell: what the learner wrote stays, what they left alone follows.

Three notebooks meet: the lesson as it was when the copy was written (base), the copy, the lesson as it is now.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ...messages import told


@dataclass(frozen=True)
class Merged:
    """The merged notebook; `learners`: cells the learner wrote or changed; `conflicts`: ids changed on both sides."""

    notebook: dict
    learners: int
    conflicts: tuple[str, ...]


def text_of(cell: dict) -> tuple[str, str]:
    """What counts as a change of a cell: its type and its source, not its metadata or outputs."""
    source = cell.get("source", "")
    return cell.get("cell_type", ""), source if isinstance(source, str) else "".join(source)


def read_notebook(content: bytes) -> dict | None:
    """The notebook in these bytes, or None where they hold none that can be merged."""
    try:
        notebook = json.loads(content)
        cells = notebook["cells"]
        whole = isinstance(cells, list) and all(c["cell_type"] and text_of(c)[1] is not None for c in cells)
    except (ValueError, KeyError, TypeError):
        return None
    return notebook if whole else None


def same_sources(one: dict, other: dict) -> bool:
    """Whether two notebooks have the same cells in the same order, whatever their outputs and metadata."""
    return [text_of(c) for c in one["cells"]] == [text_of(c) for c in other["cells"]]


def merge(
    base: dict, mine: dict, lesson: dict, earlier: Iterable[dict] = (), same: Mapping[str, set[str]] | None = None
) -> Merged:
    """The learner's copy `mine` with what changed from `base` to `lesson`.

    earlier: other versions of the lesson that were ever copied; a cell that is as in one of them is not the
    learner's (a merge may have been written and the machine have stopped before that was noted).
    same: texts of a cell that say the same in different languages: from one to the other is no change of the lesson.
    """
    was, now = by_id(base), by_id(lesson)
    have = by_id(mine)
    ours = {(key, text_of(cell)) for version in (base, *earlier) for key, cell in by_id(version).items()}
    chosen: dict[str, list[dict]] = {}
    conflicts = []
    for key in {**have, **now}:
        chosen[key] = _choose(was.get(key), have.get(key), now.get(key), ours, (same or {}).get(key, set()))
        if len(chosen[key]) > 1:
            conflicts.append(key)
    common = [k for k in was if k in have]
    moved = [k for k in have if k in was] != common
    order = _woven(list(have), list(now)) if moved else _woven(list(now), list(have))
    known = set(have)
    cells = [c for key in order for i, c in enumerate(chosen[key]) if not (i and c["id"] in known)]
    told = tuple(k for k in conflicts if chosen[k][1]["id"] not in known)
    learners = sum((key, text_of(cell)) not in ours for key, cell in have.items())
    return Merged({**mine, "cells": cells, "nbformat": 4, "nbformat_minor": 5}, learners, told)


def by_id(notebook: dict) -> dict[str, dict]:
    """id -> cell, in order; a cell without an id, or with one that was there already, gets its own."""
    found: dict[str, dict] = {}
    for number, cell in enumerate(notebook["cells"]):
        key = cell.get("id")
        if not isinstance(key, str) or not key or key in found:
            key = _fresh(f"{key or 'cell'}"[:40], f"{number} {text_of(cell)}", found)
        found[key] = {**cell, "id": key}
    return found


def _fresh(stem: str, text: str, taken: dict) -> str:
    """An id that nobody has, the same one each time for the same cell."""
    for number in range(len(taken) + 1):
        key = f"{stem}-{_short(f'{number} {text}')}"
        if key not in taken:
            return key
    raise AssertionError("more ids than cells")


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _choose(was: dict | None, mine: dict | None, now: dict | None, ours: set, same: set[str]) -> list[dict]:
    """The cells that stand for one id: none, one, or the learner's and a note with the lesson's new text."""
    as_it_was = bool(was and now) and (text_of(was) == text_of(now) or {text_of(was)[1], text_of(now)[1]} <= same)
    if mine is None:  # new in the lesson, or deleted by the learner: only what is new comes (back)
        return [now] if now and not as_it_was else []
    changed = (mine["id"], text_of(mine)) not in ours
    if now is None:
        return [mine] if changed else []
    if text_of(mine) == text_of(now):
        return [mine]  # with the outputs of the learner's own run
    if not changed:
        return [now]
    return [mine] if as_it_was else [mine, _note(now)]


def _note(cell: dict) -> dict:
    """A text cell that shows what the lesson now has where the learner wrote something else."""
    kind, text = text_of(cell)
    fence = "`" * 3
    while fence in text:
        fence += "`"
    shown = f"{fence}{'python' if kind == 'code' else 'markdown'}\n{text}\n{fence}"
    said = told("**This cell changed in the newer lesson. Yours is kept above; the lesson's is:**")
    name = f"{cell['id'][:45]}-new-{_short(text)}"
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": f"{said}\n\n{shown}"}


def _woven(spine: list[str], others: list[str]) -> list[str]:
    """The spine's order; each key that only the others have stands after the one that it followed there."""
    order = list(spine)
    there = set(spine)
    for i, key in enumerate(others):
        if key not in there:
            at = order.index(others[i - 1]) + 1 if i else 0
            order.insert(at, key)
            there.add(key)
    return order
