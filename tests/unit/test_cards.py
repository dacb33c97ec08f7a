"""Sweeps of two cards side by side: the newest recorded card's times, and a card that is made up here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from trt_lessons.errors import LessonError
from trt_lessons.plots import alt, cards
from trt_lessons.records import recordings
from trt_lessons.records.codec import encode

CARD = recordings.recall("FP16, batch 256", "04_1_precision").value.provenance.gpu  # the newest recorded card


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[cards.Row]:
    """Four recorded cases of one card, and one of them again, on a card of our invention."""
    folder = tmp_path_factory.mktemp("results")
    found = {
        f"digits {p} batch 256": recordings.recall(f"{p.upper()}, batch 256", "04_1_precision")
        for p in ("fp32", "tf32", "fp16", "int8")
    }
    told = [(name, encode(one.value), one.value.provenance) for name, one in found.items()]
    recordings.write_all(
        folder / "one" / "sweep.json", "sweep", [*told, ("digits fp32 batch 1", encode({}), told[0][2])]
    )
    name, value, where = told[2]
    recordings.write_all(folder / "other" / "sweep.json", "sweep", [(name, value, replace(where, gpu="Made Up 1"))])
    return cards.read([folder])


def test_rows_of_both_cards_and_nothing_that_was_not_measured(rows: list[cards.Row]) -> None:
    assert {(row.card, row.precision) for row in rows} == {
        *((CARD, p) for p in ("fp32", "tf32", "fp16", "int8")),
        ("Made Up 1", "fp16"),
    }
    assert {row.batch for row in rows} == {256}


def test_cost_is_the_prices(rows: list[cards.Row]) -> None:
    row = cards.Row(CARD, "m", "fp16", 10, 36.0)  # 3.6 ms per row: a million takes an hour
    assert row.cost({CARD: 4.0}) == pytest.approx(4.0) and row.cost({}) is None
    assert cards.cheapest(rows, {CARD: 4.0}).card == CARD
    assert cards.cheapest(rows, {CARD: 4.0, "Made Up 1": 0.01}).card == "Made Up 1"
    with pytest.raises(LessonError, match="no row within"):
        cards.cheapest(rows, {CARD: 4.0}, most_ms=0.0001)


def test_table_and_figure_say_the_same(rows: list[cards.Row]) -> None:
    prices = {CARD: 4.0, "Made Up 1": 0.01}
    text, best = cards.table(rows, prices), cards.cheapest(rows, prices)
    assert len(text.splitlines()) == 1 + 5 + 1 and text.endswith(f"cheapest is {best.name}")
    figure = cards.cards(rows, prices)
    assert best.name in alt(figure)
    with pytest.raises(LessonError, match="one model a figure"):
        cards.cards([*rows, cards.Row(CARD, "other", "fp16", 1, 1.0)])


def test_no_sweep_there(tmp_path: Path) -> None:
    with pytest.raises(LessonError, match="no measured case"):
        cards.read([tmp_path])
