"""Bars, lines, ablations, and two machines side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from . import style


def _pairs(rows: Any) -> list[tuple[str, float]]:
    pairs = rows.items() if isinstance(rows, Mapping) else rows
    return [(str(k), float(v.median()) if hasattr(v, "series") else float(v)) for k, v in pairs]


def bars(
    rows: Mapping[str, Any] | Sequence[tuple[str, Any]],
    *,
    unit: str = "ms",
    log: bool = False,
    mark: str | Sequence[str] | None = None,
    beside: Mapping[str, str] | None = None,
    title: str | None = None,
    note: Any = None,
) -> style.LessonFigure:
    """How large is each? Rows (label, number or Measurement); log: a logarithmic scale for wide ranges.

    mark: the label (or labels) that the figure is about, in another colour. beside: label -> what else is written
    at its bar's end, after the value.
    """
    pairs = _pairs(rows)
    fig, axis = style.new(height=1.5 + 0.36 * len(pairs))
    if log:
        axis.set_xscale("log")
        low = min(v for _, v in pairs if v > 0)
        axis.set_xlim(low / 2, max(v for _, v in pairs) * 6)
        style.plain_ticks(axis.xaxis)
    more = {k: f", {text}" for k, text in (beside or {}).items()}
    texts = [f"{style.number(v)} {unit}{more.get(k, '')}" for k, v in pairs]
    room = max(0.32, 0.022 * max(map(len, texts)))
    style.bar_row(axis, [k for k, _ in pairs], [v for _, v in pairs], texts, mark=mark, room=room)
    axis.set_xlabel(unit + (" (logarithmic)" if log else ""))
    words = "; ".join(f"{k}: {text}" for (k, _), text in zip(pairs, texts, strict=True))
    least = min(pairs, key=lambda p: p[1])
    return style.finish(
        fig, title or f"{least[0]} is the smallest: {style.number(least[1])} {unit}", note or rows, words
    )


def waterfall(
    parts: Mapping[str, float], *, unit: str = "ms", mark: str | None = None, title: str, note: Any = None
) -> style.LessonFigure:
    """Which part of a sum is how long? {part: value} in their order, each bar beginning where the last one ended.

    mark: the part that the figure is about, in another colour. Linear: the bars' lengths are the parts of the sum.
    """
    fig, axis = style.new(height=1.6 + 0.34 * len(parts))
    start, total = 0.0, sum(parts.values())
    for i, (name, value) in enumerate(parts.items()):
        look = int(name == mark)
        axis.barh(i, value, left=start, color=style.color(look), hatch=style.hatch(look), edgecolor=style.PAPER)
        start += value
        text = f"{style.number(value)} {unit}"
        axis.annotate(text, (start, i), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9.5)
    axis.set_yticks(range(len(parts)), list(parts))
    axis.invert_yaxis()
    axis.set_xlim(0, total * 1.2)
    axis.spines[["left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel(f"{unit}, from the start to {style.number(total)} {unit}")
    words = "; ".join(f"{k}: {style.number(v)} {unit}" for k, v in parts.items())
    return style.finish(fig, title, note, f"One after the other, {unit}: {words}")


def stacked(
    rows: Mapping[str, Mapping[str, float]], *, unit: str = "ms", title: str, note: Any = None
) -> style.LessonFigure:
    """What are sums made of? {row: {part: value}}: a bar a row, its parts side by side on a linear scale, the sum
    at its end. A part of one name has one look in all rows."""
    fig, axis = style.new(height=2.2 + 0.5 * len(rows))
    names = list(dict.fromkeys(part for parts in rows.values() for part in parts))
    most = max(sum(parts.values()) for parts in rows.values())
    for i, parts in enumerate(rows.values()):
        start = 0.0
        for part, value in parts.items():
            look = names.index(part)
            face = {"color": style.color(look), "hatch": style.hatch(look), "edgecolor": style.PAPER}
            axis.barh(i, value, left=start, height=0.6, **face)
            start += value
        text = f"{style.number(start)} {unit}"
        axis.annotate(text, (start, i), xytext=(5, 0), textcoords="offset points", va="center", fontsize=9.5)
    for look, part in enumerate(names):
        axis.barh(0, 0, color=style.color(look), hatch=style.hatch(look), edgecolor=style.PAPER, label=part)
    axis.set_yticks(range(len(rows)), list(rows))
    axis.invert_yaxis()
    axis.set_xlim(0, most * 1.18)
    axis.spines[["left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel(unit)
    axis.legend(loc="lower right", fontsize=9, facecolor=style.PAPER)
    words = "; ".join(f"{row}: {style.number(sum(parts.values()))} {unit}" for row, parts in rows.items())
    return style.finish(fig, title, note, words)


def dots(
    rows: Mapping[str, Any] | Sequence[tuple[str, Any]], *, unit: str = "ms", title: str | None = None, note: Any = None
) -> style.LessonFigure:
    """How large is each, over many powers of ten? Rows (label, number above 0), the largest on top, logarithmic."""
    pairs = sorted(_pairs(rows), key=lambda pair: -pair[1])
    fig, axis = style.new(height=1.5 + 0.36 * len(pairs))
    axis.set_xscale("log")
    axis.set_xlim(pairs[-1][1] / 3, pairs[0][1] * 30)
    style.plain_ticks(axis.xaxis)
    for row, (_, value) in enumerate(pairs):
        axis.plot(value, row, "o", color=style.COLORS[0], markersize=9)
        text = f"{style.number(value)} {unit}"
        axis.annotate(text, (value, row), xytext=(9, 0), textcoords="offset points", va="center", fontsize=9.5)
    axis.set_yticks(range(len(pairs)), [label for label, _ in pairs])
    axis.set_ylim(len(pairs) - 0.5, -0.5)
    axis.grid(True)
    axis.set_xlabel(f"{unit} (logarithmic)")
    words = "; ".join(f"{label}: {style.number(value)} {unit}" for label, value in pairs)
    found = title or f"{pairs[0][0]} takes most: {style.number(pairs[0][1])} {unit}"
    return style.finish(fig, found, note or rows, words)


def lines(
    series: Mapping[str, Mapping[float, float]],
    *,
    xlabel: str,
    ylabel: str,
    title: str,
    note: Any = None,
    log_x: bool = False,
    log_y: bool = False,
) -> style.LessonFigure:
    """How does one thing follow another? {label: {x: y}}, labelled at the lines' ends."""
    fig, axis = style.new(height=3.6)
    if log_x:
        axis.set_xscale("log", base=2)
    if log_y:
        axis.set_yscale("log")
    for i, points in enumerate(series.values()):
        xs = sorted(points)
        axis.plot(xs, [points[x] for x in xs], markersize=6, **style.line_look(i))
    ticks = sorted({x for points in series.values() for x in points})
    if len(ticks) <= 10:
        axis.set_xticks(ticks, [f"{x:g}" for x in ticks])
        axis.minorticks_off()
    low, high = axis.get_ylim()
    if not log_y:
        axis.set_ylim(0, high * 1.05)
    elif high < 1000 * low:
        style.plain_ticks(axis.yaxis, (1.0, 2.0, 5.0))
    style.name_lines(axis, series)
    axis.set_xlabel(xlabel)
    axis.set_ylabel(ylabel)
    axis.grid(True)
    words = "; ".join(
        f"{k}: " + ", ".join(f"{x:g}: {style.number(p[x])}" for x in sorted(p)) for k, p in series.items()
    )
    return style.finish(fig, title, note, f"{ylabel} against {xlabel}. {words}")


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "\N{MINUS SIGN}")


def ablation(
    rows: Mapping[str, Any] | Sequence[tuple[str, Any]],
    *,
    unit: str = "ms",
    title: str | None = None,
    note: Any = None,
) -> style.LessonFigure:
    """Which setting matters? The first row is the baseline; the others are changes of it, (label, value)."""
    (base_label, base), *others = _pairs(rows)
    others.sort(key=lambda p: -abs(p[1] - base))
    fig, axis = style.new(height=1.6 + 0.38 * len(others))
    changes = [100 * (v - base) / base for _, v in others]
    for i, change in enumerate(changes):
        slower = change >= 0
        axis.barh(
            i,
            change,
            color=style.COLORS[1 if slower else 0],
            hatch="//" if slower else "",
            edgecolor=style.PAPER,
            height=0.6,
        )
        text = f"{_signed(change)} %  ({style.number(others[i][1])} {unit})"
        axis.annotate(
            text,
            (change, i),
            xytext=(5 if slower else -5, 0),
            textcoords="offset points",
            va="center",
            ha="left" if slower else "right",
            fontsize=9.5,
        )
    axis.axvline(0, color=style.INK, linewidth=1.2)
    low, high = min([*changes, 0]), max([*changes, 0])
    left, right = (0.3 if end else 0.04 for end in (low, high))  # shares of the axis, for the texts beyond the bars
    width = max(high - low, 1) / (1 - left - right)
    axis.set_xlim(low - left * width, high + right * width)
    axis.set_yticks(range(len(others)), [k for k, _ in others])
    axis.invert_yaxis()
    axis.spines[["left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel(f"change against “{base_label}” ({style.number(base)} {unit}), %; left is less")
    top = others[0]
    found = title or f"“{top[0]}” matters most: {_signed(changes[0])} %"
    words = f"Baseline {base_label}: {base:.4f} {unit}. "
    words += "; ".join(f"{k}: {v:.4f} {unit}" for k, v in others)
    return style.finish(fig, found, note or rows, words)


def compare(
    rows: Sequence[tuple[str, float, float]],
    *,
    mine: str,
    theirs: str,
    title: str | None = None,
    most: int = 25,
) -> style.LessonFigure:
    """My GPU or the recorded one? Rows (name, mine ms, theirs ms); a line a measurement, two points on it."""
    shown = list(rows)[:most]
    fig, axis = style.new(height=1.9 + 0.32 * len(shown))
    axis.set_xscale("log")
    values = [v for row in shown for v in row[1:]]
    low, high = min(values), max(values)
    axis.set_xlim(low / 1.35, high * 2.6)
    style.plain_ticks(axis.xaxis, (1.0,) if high / low > 100 else (1.0, 2.0, 5.0))
    for i, (_, a, b) in enumerate(shown):
        axis.plot([a, b], [i, i], color=style.MUTED, linewidth=1.4, zorder=1)
        axis.plot([a], [i], marker="o", color=style.COLORS[0], markersize=9, linestyle="none")
        axis.plot(
            [b],
            [i],
            marker="s",
            color=style.PAPER,
            markeredgecolor=style.COLORS[2],
            markersize=8,
            markeredgewidth=2,
            linestyle="none",
        )
        axis.annotate(
            f"{b / a:.2f}x",
            (max(a, b), i),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
            fontsize=9.5,
        )
    axis.set_yticks(range(len(shown)), [style.shorten(r[0], 34) for r in shown], fontsize=9)
    axis.set_ylim(len(shown) - 0.4, -0.6)
    axis.grid(axis="x")
    axis.spines[["left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    told = "compute, median ms (logarithmic)\nat a line: how many times as fast mine is"
    rest = f"\n{len(rows) - len(shown)} more measurements are not shown" if len(rows) > len(shown) else ""
    axis.set_xlabel(told + rest)
    middle = median(b / a for _, a, b in rows)
    faster, slower = ("mine", "theirs") if middle >= 1 else ("theirs", "mine")
    found = title or f"In the median, {faster} is {max(middle, 1 / middle):.2f} times as fast as {slower}"
    words = "; ".join(f"{n}: {a:.4f} against {b:.4f} ms" for n, a, b in shown)
    return style.finish(fig, found, f"● mine: {mine}\n□ theirs: {theirs}", words)
