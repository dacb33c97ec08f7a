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
    fig, axis = style.new(height=1.5 + 0.4 * len(rows))
    for i, (name, ms, text, _) in enumerate(rows):
        face, pattern = (style.COLORS[0], "") if name == mark else (style.COLORS[3], "")
        if ms is None:
            face, pattern = style.PAPER, "////"
        width = most / 40 if ms is None else ms
        edge = style.MUTED if ms is None else style.PAPER
        axis.barh(i, width, color=face, hatch=pattern, edgecolor=edge, height=0.62)
        weight = "bold" if name == mark else "normal"
        axis.annotate(
            text,
            (width, i),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=9.5,
            fontweight=weight,
        )
    axis.set_yticks(range(len(rows)), [style.shorten(name, 30) for name, *_ in rows])
    for label, (name, *_) in zip(axis.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if name == mark else "normal")
    axis.invert_yaxis()
    axis.set_xlim(0, most * 2.1)
    axis.spines[["left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    if all(ms is None for _, ms, _, _ in rows):
        axis.set_xticks([])
    axis.set_xlabel("median ms for 64 strips on the GPU, without copies; share of 450 strips read right; plan")
    words = "; ".join(f"{name}: {text}" for name, _, text, _ in rows)
    return style.finish(fig, _finding(rows, mark), note, f"The service that reads 64 strips of 8 digits. {words}")


def _finding(rows: Sequence[tuple[str, float | None, str, bool]], mark: str | None) -> str:
    """The marked row's time, or the quickest one's, against PyTorch's."""
    timed = {name: ms for name, ms, _, _ in rows if ms is not None}
    if not timed:
        return "Reading 64 strips: not recorded on a GPU yet"
    name = mark if mark in timed else min(timed, key=lambda key: timed[key])
    others = [ms for key, ms, _, other in rows if other and ms is not None and key != name]
    found = f"{name} reads 64 strips in {style.ms(timed[name])}"
    if not others:
        return found
    ratio = others[0] / timed[name]
    compared = f"{style.number(max(ratio, 1 / ratio), 2)} times as {'fast' if ratio >= 1 else 'slow'} as PyTorch"
    return f"{found}: {compared}"
