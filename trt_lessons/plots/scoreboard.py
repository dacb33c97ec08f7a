"""The scoreboard: one service, one bar for each way to run it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import style


def scoreboard(
    rows: Sequence[tuple[str, float | None, str, bool]], *, mark: str | None = None, note: Any = None
) -> style.LessonFigure:
    """How fast has the service become? Rows (name, median ms, text beside the bar, whether it is PyTorch's).

    ms: None where no GPU took it: a hatched stub without a length. mark: the row that this lesson added.
    """
    most = max((ms for _, ms, _, _ in rows if ms is not None), default=1.0)
    fig, axis = style.new(height=1.55 + 0.36 * len(rows))
    for i, (name, ms, text, _) in enumerate(rows):
        marked = "bold" if name == mark else "normal"
        width = most / 40 if ms is None else ms
        axis.barh(i, width, height=0.62, **_look(ms, name == mark))
        axis.annotate(
            text,
            (width, i),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=9.5,
            fontweight=marked,
        )
    axis.set_yticks(range(len(rows)), [style.shorten(name, 30) for name, *_ in rows])
    for label, (name, *_) in zip(axis.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if name == mark else "normal")
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_xlim(0, most * 2)
    axis.spines[["left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    if all(ms is None for _, ms, _, _ in rows):
        axis.set_xticks([])
    axis.set_xlabel(
        "median ms for 64 strips, without copies; beside each bar:\n"
        "time, strips without a mistake (of 450), plan, lesson"
    )
    words = "; ".join(f"{name}: {text}" for name, _, text, _ in rows)
    return style.finish(fig, _finding(rows, mark), note, f"The service that reads 64 strips of 8 digits. {words}")


def _look(ms: float | None, marked: bool) -> dict[str, str]:
    if ms is None:
        return {"color": style.PAPER, "hatch": "////", "edgecolor": style.MUTED}
    return {"color": style.color(marked), "hatch": style.hatch(marked), "edgecolor": style.PAPER}


def _finding(rows: Sequence[tuple[str, float | None, str, bool]], mark: str | None) -> str:
    """The marked row's time, or the quickest one's, against PyTorch's."""
    timed = {name: ms for name, ms, _, _ in rows if ms is not None}
    if not timed:
        return "Reading 64 strips: not recorded on a GPU yet"
    name = mark if mark in timed else min(timed, key=lambda key: timed[key])
    others = [ms for key, ms, _, other in rows if other and ms is not None and key != name]
    row, time = style.shorten(name, 30), style.ms(timed[name])
    if not others:
        return f"{row}: {time}"
    ratio = others[0] / timed[name]
    if 0.95 < ratio < 1.05:
        return f"{row}: {time}, as PyTorch does"
    times = style.number(max(ratio, 1 / ratio), 2)
    return f"{row}: {time}, {times} times as {'fast' if ratio > 1 else 'slow'} as PyTorch"
