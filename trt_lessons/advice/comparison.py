"""Two machines beside each other: the learner's GPU and the recorded one. Used by `trt-lessons compare`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import plots
from ..errors import RecordingError
from ..messages import filled, told
from ..records import provenance as origin
from ..records import recordings
from ..records.measurement import Measurement


@dataclass(frozen=True)
class Row:
    """One measurement that both machines have: medians in ms, throughput in samples/s."""

    lesson: str
    name: str
    mine_ms: float
    theirs_ms: float
    mine_throughput: float
    theirs_throughput: float

    @property
    def faster(self) -> float:
        """How many times faster mine is (0.5: half as fast)."""
        return self.theirs_ms / self.mine_ms if self.mine_ms else float("inf")


@dataclass(frozen=True)
class Comparison:
    """Rows both machines have, the names only one of them has, and where each side comes from."""

    mine: str
    theirs: str
    rows: list[Row]
    only_mine: list[str]
    only_theirs: list[str]

    def table(self) -> str:
        """The comparison as text, a row a measurement."""
        width = max([len(f"{r.lesson} {r.name}") for r in self.rows] + [20])
        heads = [(told("mine"), -10), (told("theirs"), -10), (told("faster"), -9)]
        heads += [(told("mine/s"), -12), (told("theirs/s"), -12)]
        lines = [
            f"{filled(told('mine:'), 7)} {self.mine}",
            f"{filled(told('theirs:'), 7)} {self.theirs}",
            f"{filled(told('compute, median ms'), width)}  {''.join(filled(*head) for head in heads)}",
        ]
        for r in self.rows:
            label = f"{r.lesson} {r.name}"
            lines.append(
                f"{label:<{width}}  {r.mine_ms:>10.4f}{r.theirs_ms:>10.4f}{r.faster:>8.2f}x"
                f"{r.mine_throughput:>12.1f}{r.theirs_throughput:>12.1f}"
            )
        for words, names in ((told("only mine"), self.only_mine), (told("only theirs"), self.only_theirs)):
            if names:
                lines.append(f"{words}: {', '.join(names)}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.table()

    def figure(self) -> Any:
        """The comparison as a figure."""
        names = [r.name for r in self.rows]
        labels = [r.name if names.count(r.name) == 1 else f"{r.lesson[:4]}: {r.name}" for r in self.rows]
        rows = [(label, r.mine_ms, r.theirs_ms) for label, r in zip(labels, self.rows, strict=True)]
        return plots.compare(rows, mine=self.mine, theirs=self.theirs)


def compare(mine: str | None = None, theirs: str | None = None, lesson: str | None = None) -> Comparison:
    """This machine's recordings beside another's.

    mine, theirs: folder names such as "nvidia-h200_trt8.6.0", or paths of such folders, for two runs of one
    machine; None: this machine, and the other one that is there. lesson: only this lesson.
    Raises RecordingError, naming the machines, when one is missing.
    """
    mine, theirs = _sides(mine, theirs)
    left, right = _measurements(mine, lesson), _measurements(theirs, lesson)
    both = sorted((key for key in left if key in right), key=_by_number)
    if not both:
        raise RecordingError(
            f"{mine} and {theirs} have no measurement in common.",
            why=f"{mine} has {len(left)}, {theirs} has {len(right)} named measurements",
            cure="Record the same lessons on both: trt-lessons record.",
        )
    rows = [
        Row(
            *key,
            left[key].median(),
            right[key].median(),
            left[key].throughput,
            right[key].throughput,
        )
        for key in both
    ]
    return Comparison(
        _note(left, mine),
        _note(right, theirs),
        rows,
        [" ".join(key) for key in left if key not in right],
        [" ".join(key) for key in right if key not in left],
    )


def _by_number(key: tuple[str, str]) -> list[Any]:
    """Sorts "batch 2" before "batch 16"."""
    return [key[0], *((int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", key[1]))]


def _sides(mine: str | None, theirs: str | None) -> tuple[str, str]:
    there = recordings.machines(recordings.folders())
    mine = mine or _this_machine(there)
    if theirs is None:
        others = [name for name in there if name != mine]
        theirs = others[0] if len(others) == 1 else None
    for side, name in (("mine", mine), ("theirs", theirs)):
        if name not in there and not _is_folder(name):
            raise RecordingError(
                f"There are no recordings to compare as {side!r}" + (f": '{name}'." if name else "."),
                why="machines with recordings: " + (", ".join(there) or "none"),
                cure="Record this machine (trt-lessons record), or name the two machines (or folders) to compare.",
            )
    return mine, theirs


def _is_folder(name: str | None) -> bool:
    """Whether a side is the path of a folder of recordings."""
    return bool(name) and os.sep in name and any(Path(name).glob("*.json"))


def _this_machine(there: list[str]) -> str | None:
    from .. import backend

    if not backend.is_gpu():
        return None
    told = backend.describe()
    return origin.folder_name(told.gpu, told.trt_version)


def _measurements(machine: str, lesson: str | None) -> dict[tuple[str, str], Measurement]:
    """(lesson, name) -> Measurement; measurements inside a dict or list are named "name/key"."""
    found: dict[tuple[str, str], Measurement] = {}
    folders = [Path(machine)] if _is_folder(machine) else [root / machine for root in recordings.folders()]
    for path in (path for folder in folders for path in sorted(folder.glob(f"{lesson or '*'}.json"))):
        one = recordings.load(path)
        for name in one.entries:
            for inner, value in _flat(name, one.get(name).value):
                found.setdefault((one.lesson, inner), value)
    return found


def _flat(name: str, value: Any) -> list[tuple[str, Measurement]]:
    if isinstance(value, Measurement):
        return [(name, value)]
    if isinstance(value, dict):
        return [pair for k, v in value.items() for pair in _flat(f"{name}/{k}", v)]
    if isinstance(value, (list, tuple)):
        return [pair for i, v in enumerate(value) for pair in _flat(f"{name}/{i}", v)]
    return []


def _note(found: dict[tuple[str, str], Measurement], machine: str) -> str:
    where = [m.provenance for m in found.values() if m.provenance is not None]
    if not where:
        return machine
    newest = max(where, key=lambda one: one.utc)
    return f"{newest.gpu}, TensorRT {newest.tensorrt}, {newest.date}"
