"""How long: distributions, parts of a query, streams, batch and shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import MeasureError
from ..messages import later
from ..records.measurement import WORDS, Measurement
from . import style


def latency_distribution(
    measurements: Mapping[str, Measurement],
    kind: str = "compute",
    *,
    title: str | None = None,
    note: Any = None,
) -> style.LessonFigure:
    """How are the query times spread? One row a measurement, with median, p90 and p99 marked. ms.

    Where the rows lie so far apart that none would show its spread, each has a scale of its own.
    """
    low = min(float(m.samples(kind).min()) for m in measurements.values())
    high = max(max(m.percentile(99, kind) * 1.04, m.median(kind)) for m in measurements.values())
    spreads = [m.percentile(99, kind) - float(m.samples(kind).min()) for m in measurements.values()]
    if max(spreads) < 0.06 * (high - low):
        fig, words = _on_own_scales(measurements, kind), "each on a scale of its own"
    else:
        fig, words = _on_one_scale(measurements, kind, low, high), "all on one scale"
    parts = [f"{k}: median {m.median(kind):.4f}, p99 {m.percentile(99, kind):.4f} ms" for k, m in measurements.items()]
    told = f"Distribution of {WORDS[kind]} time, {words}. " + "; ".join(parts)
    return style.finish(fig, title or _fastest(measurements, kind), note or measurements, told)


def _on_one_scale(measurements: Mapping[str, Measurement], kind: str, low: float, high: float) -> style.LessonFigure:
    fig, axis = style.new(height=1.5 + 0.75 * len(measurements))
    log = high / low > 8
    axis.set_xscale("log" if log else "linear")
    pad = (high - low) * 0.03 + 1e-6
    axis.set_xlim(low * 0.9 if log else max(low - pad, 0), high * (1.25 if log else 1) + (0 if log else 3 * pad))
    beyond = 0
    for i, m in enumerate(measurements.values()):
        counts, out = _hill(axis, i, i, m, kind)
        _beside(axis, i, _marks_text(m, kind), counts)
        beyond += out
    axis.set_yticks(range(len(measurements)), list(measurements))
    axis.set_ylim(len(measurements) - 0.45, -0.85)
    _only_x(axis)
    if log:
        style.plain_ticks(axis.xaxis, (1.0, 2.0, 5.0))
    axis.set_xlabel(_ticks_text(kind, beyond))
    return fig


def _on_own_scales(measurements: Mapping[str, Measurement], kind: str) -> style.LessonFigure:
    fig, axes = style.new(len(measurements), 1, height=1.1 + 0.95 * len(measurements))
    fig.get_layout_engine().set(hspace=0.14)
    beyond = 0
    for i, (axis, (name, m)) in enumerate(zip(axes, measurements.items(), strict=True)):
        low, high = float(m.samples(kind).min()), m.percentile(99, kind)
        pad = 0.1 * (high - low) + 1e-6
        axis.set_xlim(low - pad, high + 2 * pad)
        beyond += _hill(axis, i, 0, m, kind)[1]
        axis.set_yticks([])
        axis.set_ylim(0.3, -0.7)
        _only_x(axis)
        style.head(axis, f"{name}:  {_marks_text(m, kind)} ms", 9.5)
    axes[-1].set_xlabel(_ticks_text(kind, beyond) + "; each row has its own scale")
    return fig


def _only_x(axis: Any) -> None:
    axis.spines[["left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    axis.grid(axis="x")


def _ticks_text(kind: str, beyond: int) -> str:
    words = style.word(WORDS[kind])
    if beyond:
        return f"{words} of a query, ms (ticks: median, p90, p99; {beyond} beyond the edge)"
    return f"{words} of a query, ms (ticks: median, p90, p99)"


def _marks(m: Measurement, kind: str) -> dict[int, float]:
    return {p: m.median(kind) if p == 50 else m.percentile(p, kind) for p in (50, 90, 99)}


def _marks_text(m: Measurement, kind: str) -> str:
    marks = _marks(m, kind)
    texts = zip(("median", "p90", "p99"), style.numbers(marks.values()), strict=True)
    return "  ".join(f"{name} {text}" for name, text in texts)


def _hill(axis: Any, i: int, at: float, m: Measurement, kind: str) -> tuple[np.ndarray, int]:
    """The i-th measurement's histogram on the line y = at, marks below it; its counts, and how many are beyond."""
    samples = m.samples(kind)
    left, right = axis.get_xlim()
    bins = np.geomspace if axis.get_xscale() == "log" else np.linspace
    edges = bins(left, right, 121)
    counts, edges = np.histogram(samples, edges)
    heights = counts / max(counts.max(), 1) * 0.62
    face = style.line_color(i)
    axis.stairs(at - heights, edges, baseline=at, fill=True, facecolor=face, edgecolor=face)
    axis.plot([left, right], [at, at], color=style.MUTED, linewidth=0.6)
    for p, x in _marks(m, kind).items():
        length = 0.22 if p == 50 else 0.15
        axis.plot([x, x], [at, at + length], color=style.INK, linewidth=2.4 if p == 50 else 1.2)
    return counts, int((samples > right).sum())


def _beside(axis: Any, i: int, text: str, counts: np.ndarray) -> None:
    """Write the figures beside the row's hill, on the side with more room; over its tail where none has."""
    hill = np.flatnonzero(counts > 0.03 * counts.max())
    first, last = hill[0] / len(counts), (hill[-1] + 1) / len(counts)
    look = {
        "va": "center",
        "fontsize": 9,
        "bbox": {"facecolor": style.PAPER, "edgecolor": "none", "pad": 1.5},
        "xycoords": axis.get_yaxis_transform(),
        "textcoords": "offset points",
    }
    if last < 0.55:
        axis.annotate(text, (last, i - 0.25), xytext=(9, 0), ha="left", **look)
    elif first > 0.45:
        axis.annotate(text, (first, i - 0.25), xytext=(-9, 0), ha="right", **look)
    else:
        axis.annotate(text, (1.0, i - 0.68), xytext=(0, 0), ha="right", **look)


def _fastest(measurements: Mapping[str, Measurement], kind: str) -> str:
    if len(measurements) == 1:
        (m,) = measurements.values()
        middle, ratio = m.median(kind), m.percentile(99, kind) / m.median(kind)
        if ratio < 1.1:
            return f"99 of 100 queries take at most {100 * (ratio - 1):.1f} % more than the median, {style.ms(middle)}"
        return f"1 query in 100 takes {ratio:.1f} times the median of {style.ms(middle)}, or more"
    best = min(measurements, key=lambda k: measurements[k].median(kind))
    worst = max(measurements, key=lambda k: measurements[k].median(kind))
    times = measurements[worst].median(kind) / measurements[best].median(kind)
    return f"{best} is {style.number(times)} times as fast as {worst} (medians)"


def where_time_goes(measurement: Measurement, *, title: str | None = None, note: Any = None) -> style.LessonFigure:
    """Where does a query's time go: copy in, compute, copy out, and the host's enqueue? Medians, ms."""
    fig, axis = style.new(height=2.5)
    kinds = [k for k in ("h2d", "compute", "d2h") if k in measurement.series]
    medians = {k: measurement.median(k) for k in [*kinds, "enqueue"]}
    whole = sum(medians[k] for k in kinds)
    right = max(whole, medians["enqueue"])
    left = 0.0
    for i, kind in enumerate(kinds):
        _piece(axis, 0, left, medians[kind], i, right, style.word(WORDS[kind]))
        left += medians[kind]
    _piece(axis, 1, 0, medians["enqueue"], 3, right, style.word("enqueue"))
    where = style.word("device") if measurement.source == "interpreter" else "GPU"
    axis.set_yticks([0, 1], [where, style.word("host")])
    axis.set_ylim(1.5, -0.75)
    axis.set_xlim(0, right * 1.02)
    axis.set_xlabel("ms, medians")
    axis.spines[["left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    largest = max(kinds, key=lambda k: medians[k])
    found = f"{100 * medians[largest] / (whole or 1):.0f} % of a query's time is {style.word(WORDS[largest])}"
    words = ", ".join(f"{WORDS[k]} {medians[k]:.4f} ms" for k in medians)
    return style.finish(fig, title or found, note or measurement, f"Parts of one query: {words}.")


def _piece(axis: Any, row: int, left: float, width: float, i: int, right: float, word: str) -> None:
    face = style.color(i)
    axis.barh(row, width, left=left, color=face, edgecolor=style.PAPER, height=0.5)
    middle = left + width / 2
    if width > 0.16 * right:
        text = f"{word}\n{style.ms(width)}"
        axis.text(middle, row, text, ha="center", va="center", fontsize=9.5, color=style.ink_on(face))
        return
    at_end = left + width > 0.8 * right
    axis.annotate(
        f"{word} {style.ms(width)}",
        (middle, row - 0.25),
        xytext=(right if at_end else left, row - 0.55),
        ha="right" if at_end else "left",
        va="center",
        fontsize=9.5,
        arrowprops={"arrowstyle": "-", "color": style.MUTED} if width < 0.05 * right else None,
    )


def timeline(
    rows: Sequence[tuple[str, Any, float, float]] | Measurement, *, title: str | None = None, note: Any = None
) -> style.LessonFigure:
    """What runs when? Rows (stream, query, start ms, end ms), or a Measurement; one lane a stream."""
    origin = rows if isinstance(rows, Measurement) else None
    spans = rows.timeline() if isinstance(rows, Measurement) else list(rows)
    if not spans:
        raise MeasureError("There is nothing to draw: no query has start and end times.", cure="Measure again.")
    streams = list(dict.fromkeys(row[0] for row in spans))
    queries = list(dict.fromkeys(row[1] for row in spans))
    fig, axis = style.new(height=1.4 + 0.5 * len(streams))
    right = max(row[3] for row in spans)
    for stream in streams:
        _lane(axis, streams.index(stream), [row for row in spans if row[0] == stream], queries, right)
    axis.set_yticks(range(len(streams)), streams)
    axis.invert_yaxis()
    axis.set_xlim(0, right * 1.03)
    axis.grid(axis="x")
    axis.spines[["left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)
    axis.set_xlabel("ms (the number at a bar is the query)")
    share = _overlap(spans)
    found = f"{100 * share:.0f} % of the time, two streams or more are at work"
    words = f"Timeline of {len(streams)} streams and {len(queries)} queries; streams overlap {100 * share:.0f} %."
    return style.finish(fig, title or found, note or origin, words)


def timelines(
    found: Mapping[str, Sequence[tuple[str, Any, float, float]]], *, title: str | None = None, note: Any = None
) -> style.LessonFigure:
    """Which way is done first? {way: rows of `timeline`}, drawn below each other on one scale of time."""
    rows = [(f"{way}: {what}", query, *span) for way, spans in found.items() for what, query, *span in spans]
    ends = {way: max(row[3] for row in spans) for way, spans in found.items()}
    told = "; ".join(f"{way}: {style.ms(end)}" for way, end in ends.items())
    queries = len({row[1] for row in rows})
    return timeline(rows, title=title or f"{queries} queries. {told}", note=note)


def _lane(axis: Any, at: int, spans: Sequence[tuple[str, Any, float, float]], queries: list[Any], right: float) -> None:
    """One stream's bars, each with its query's number: inside, or behind it where it is narrow and there is room."""
    spans = sorted(spans, key=lambda row: row[2])
    following = [row[2] for row in spans[1:]] + [right * 1.03]
    for (_, query, start, end), then in zip(spans, following, strict=True):
        face = style.color(queries.index(query))
        axis.barh(at, end - start, left=start, height=0.62, color=face, edgecolor=style.INK, linewidth=0.6)
        if end - start > 0.02 * right:
            middle, ink = (start + end) / 2, style.ink_on(face)
            axis.text(middle, at, str(query), ha="center", va="center", fontsize=9, color=ink)
        elif then - end > 0.03 * right:
            axis.annotate(str(query), (end, at), (3, 0), textcoords="offset points", va="center", fontsize=9)


def _overlap(spans: Sequence[tuple[str, Any, float, float]]) -> float:
    """Share of the busy time in which two or more streams work."""
    edges = sorted([(s[2], 1) for s in spans] + [(s[3], -1) for s in spans])
    busy = both = 0.0
    running, last = 0, edges[0][0]
    for at, step in edges:
        busy += (at - last) if running >= 1 else 0
        both += (at - last) if running >= 2 else 0
        running, last = running + step, at
    return both / busy if busy else 0.0


def batch_scaling(
    points: Mapping[Any, Any], kind: str = "compute", *, title: str | None = None, note: Any = None
) -> style.LessonFigure:
    """What does a larger batch cost and give? {batch: Measurement}, or {label: {batch: Measurement}}."""
    series = points if all(isinstance(v, Mapping) for v in points.values()) else {"": points}
    fig, (left, right) = style.new(1, 2, height=3.6)
    for i, (label, found) in enumerate(series.items()):
        batches = sorted(found)
        look = style.line_look(i)
        left.plot(batches, [found[b].median(kind) for b in batches], **look)
        right.plot(batches, [found[b].throughput for b in batches], label=label, **look)
    ticks = sorted({b for found in series.values() for b in found})
    for axis, words in ((left, later(f"{WORDS[kind]}, median ms")), (right, later("samples per second"))):
        axis.set_xscale("log", base=2)
        axis.set_yscale("log")
        axis.set_xticks(ticks, [str(b) for b in ticks])
        axis.set_xlabel(style.word("batch"))
        style.head(axis, words)
        axis.grid(True)
        style.plain_ticks(axis.yaxis, (1.0, 2.0, 5.0))
    if len(series) > 1:
        right.legend(frameon=True, facecolor=style.PAPER, fontsize=9, handlelength=3.2)
    best = max(((m.throughput, b, k) for k, found in series.items() for b, m in found.items()), key=lambda t: t[0])
    name = f"{best[2]} at " if best[2] else ""
    found_title = f"Most throughput: {name}batch {best[1]}, {style.number(best[0])} samples/s"
    words = "; ".join(
        f"{k} batch {b}: {m.median(kind):.4f} ms, {m.throughput:.0f}/s" for k, f in series.items() for b, m in f.items()
    )
    return style.finish(fig, title or found_title, note or list(series.values()), words)


def latency_over_shape(
    series: Mapping[str, Mapping[float, float]],
    profiles: Mapping[str, tuple[float, float, float]] | None = None,
    *,
    xlabel: str = "width, pixels",
    title: str | None = None,
    note: Any = None,
) -> style.LessonFigure:
    """How does latency follow the shape? {label: {size: ms}}; profiles {name: (min, opt, max)} stand below."""
    profiles = profiles or {}
    ratios = {"height_ratios": [5, max(1, 0.55 * len(profiles))]} if profiles else None
    fig, axes = style.new(2 if profiles else 1, 1, height=3.4 + 0.28 * len(profiles), sharex=True, gridspec_kw=ratios)
    axis = axes[0] if profiles else axes
    for i, points in enumerate(series.values()):
        sizes = sorted(points)
        axis.plot(sizes, [points[s] for s in sizes], markersize=6, **style.line_look(i))
    axis.set_ylim(0)
    axis.set_ylabel("median, ms")
    axis.grid(True)
    style.name_lines(axis, series, gap=0.125)
    last = axes[1] if profiles else axis
    if profiles:
        left, right = axis.get_xlim()
        _profile_bars(last, profiles)
        ends = [x for least, _, most in profiles.values() for x in (least, most)]
        margin = 0.02 * (right - left)
        last.set_xlim(min(left, min(ends) - margin), max(right, max(ends) + margin))
    last.set_xlabel(xlabel)
    sizes = sorted({s for points in series.values() for s in points})
    if len(sizes) <= 10:
        last.set_xticks(sizes, [f"{s:g}" for s in sizes])
    found = _fastest_everywhere(series, sizes)
    words = "; ".join(f"{k}: " + ", ".join(f"{s}: {p[s]:.4f}" for s in sorted(p)) for k, p in series.items())
    return style.finish(fig, title or found, note, f"Median ms against {xlabel}, {sizes[0]} to {sizes[-1]}. {words}")


def _fastest_everywhere(series: Mapping[str, Mapping[float, float]], sizes: Sequence[float]) -> str:
    """The answer for the title, among the series that have every size."""
    means = {k: float(np.mean(list(p.values()))) for k, p in series.items() if set(p) == set(sizes)}
    if not means:
        return "Latency against shape"
    best = min(means, key=lambda k: means[k])
    return f"Of those that take every size, {best} is fastest on average" if len(means) > 1 else f"{best}, every size"


def _profile_bars(lower: Any, profiles: Mapping[str, tuple[float, float, float]]) -> None:
    for i, (least, best, most) in enumerate(profiles.values()):
        lower.barh(i, most - least, left=least, height=0.55, color=style.COLORS[3], edgecolor=style.MUTED)
        lower.plot([best], [i], marker="D", color=style.INK, markersize=5)
    lower.grid(axis="x")
    lower.set_yticks(range(len(profiles)), list(profiles), fontsize=9)
    lower.invert_yaxis()
    lower.spines[["left"]].set_visible(False)
    lower.tick_params(axis="y", length=0)
    style.head(lower, "profiles: range, and opt as a diamond", 9)
