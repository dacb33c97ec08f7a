"""The same models on several cards, from recordings of sweeps: latency, the cost of a million rows, which plan to take.

rows = read(["results"])                                    # folders of sweeps, of one or many machines
print(table(rows, {"NVIDIA H100 80GB HBM3": 4.0}))          # your prices per hour and card, in any currency
cards(rows, {"NVIDIA H100 80GB HBM3": 4.0})
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import LessonError
from ..records import recordings
from ..records.measurement import Measurement
from . import general, style

CASE = re.compile(r"(?P<model>.+) (?P<precision>fp32|tf32|fp16|bf16|int8|fp8) batch (?P<batch>\d+)\b")


@dataclass(frozen=True)
class Row:
    """One measured case. ms: median latency of one run of `batch` rows."""

    card: str
    model: str
    precision: str
    batch: int
    ms: float

    @property
    def name(self) -> str:
        """For a figure: card, precision, batch."""
        return f"{self.card.removeprefix('NVIDIA ')}, {self.precision}, batch {self.batch}"

    def cost(self, prices: Mapping[str, float]) -> float | None:
        """A million rows, on a card that is busy all the time, at its price per hour; None without a price."""
        price = prices.get(self.card)
        return None if price is None else self.ms / self.batch / 3.6 * price


def read(folders: Iterable[str | Path]) -> list[Row]:
    """All measured cases of sweeps below the folders; counted ones are left out. LessonError where there is none."""
    rows = []
    for path in sorted(p for folder in folders for p in Path(folder).rglob("sweep.json")):
        found = recordings.load(path)
        for name in found.entries:
            case, value = CASE.match(name), found.get(name).value
            if case and isinstance(value, Measurement):
                card = found.provenance(name).gpu
                rows.append(Row(card, case["model"], case["precision"], int(case["batch"]), value.median()))
    if not rows:
        raise LessonError("no measured case in these folders", cure="sweep on a GPU first: trt-lessons sweep CASES")
    return sorted(rows, key=lambda row: (row.model, row.card, row.precision, row.batch))


def cheapest(rows: Sequence[Row], prices: Mapping[str, float], most_ms: float | None = None) -> Row:
    """The row with the least cost per million whose run takes at most `most_ms`. LessonError where none has a price."""
    able = [row for row in rows if row.cost(prices) is not None and (most_ms is None or row.ms <= most_ms)]
    if not able:
        known = ", ".join(sorted({row.card for row in rows}))
        raise LessonError(
            f"no row within {most_ms} ms has a price" if most_ms is not None else "no row has a price",
            why=f"the cards are {known}",
            cure="give a price per hour under the card's full name, or allow more time",
        )
    return min(able, key=lambda row: row.cost(prices))


def table(rows: Sequence[Row], prices: Mapping[str, float] | None = None, most_ms: float | None = None) -> str:
    """One line per row; with prices the cost of a million, and which plan to take for each model."""
    prices = prices or {}
    lines = [f"{'model':<14}{'card, precision, batch':<42}{'ms':>9}{'per million':>13}"]
    for row in rows:
        cost = row.cost(prices)
        lines.append(f"{row.model:<14}{row.name:<42}{row.ms:>9.3f}{'-' if cost is None else f'{cost:.4f}':>13}")
    for model in sorted({row.model for row in rows} if prices else ()):
        best = cheapest([row for row in rows if row.model == model], prices, most_ms)
        limit = "" if most_ms is None else f" within {most_ms:g} ms"
        lines.append(f"{model}: cheapest{limit} is {best.name}")
    return "\n".join(lines)


def cards(
    rows: Sequence[Row], prices: Mapping[str, float] | None = None, *, note: str | None = None
) -> style.LessonFigure:
    """Latency of each row of one model; with prices each bar says its cost, and the cheapest is marked."""
    if len(models := {row.model for row in rows}) != 1:
        raise LessonError(f"one model a figure, not {', '.join(sorted(models)) or 'none'}", cure="choose its rows")
    best = cheapest(rows, prices) if prices else min(rows, key=lambda row: row.ms / row.batch)
    costs = {row.name: row.cost(prices or {}) for row in rows}
    return general.bars(
        [(row.name, row.ms) for row in rows],
        log=True,
        mark=best.name,
        beside={name: f"{cost:.3g} per million" for name, cost in costs.items() if cost is not None},
        title=f"{best.model}: {best.name} {'costs the least' if prices else 'takes the least time per row'}",
        note=note or "recorded by sweeps",
    )
