"""What a build gave: precision, levels, accuracy, and how near to what the card can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..messages import later
from . import style


def _cells(row: Any, names: Sequence[str]) -> list[Any]:
    """A row given as a dict or as a sequence, in the order of `names`; None where a dict lacks one."""
    if isinstance(row, Mapping):
        return [row.get(name) for name in names]
    return [*row, *[None] * (len(names) - len(row))]


def _latency(value: Any) -> float:
    """ms of a number or of a Measurement (its compute median)."""
    return float(value.median()) if hasattr(value, "median") and callable(value.median) else float(value)


def precision(rows: Sequence[Any], *, title: str | None = None, note: Any = None) -> style.LessonFigure:
    """What does each precision cost and give? Rows (name, latency, error, size): ms or Measurement, relative
    error against FP32 (None or 0: the reference), plan size in bytes."""
    cells = [_cells(row, ("name", "latency", "error", "size")) for row in rows]
    names = [c[0] for c in cells]
    times = [_latency(c[1]) for c in cells]
    errors = [float(c[2] or 0) for c in cells]
    sizes = [float(c[3] or 0) for c in cells]
    fig, axes = style.new(1, 3, height=1.5 + 0.42 * len(cells), sharey=True)
    style.bar_row(axes[0], names, times, [style.ms(t) for t in times])
    _errors(axes[1], errors)
    axes[2].set_ylim(axes[0].get_ylim())
    for i, size in enumerate(sizes):
        axes[2].barh(i, size / 1e6, color=style.color(3), hatch=style.hatch(3), edgecolor=style.PAPER, height=0.62)
        axes[2].annotate(
            style.bytes_text(size),
            (size / 1e6, i),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=9.5,
        )
    axes[2].set_xlim(0, max(sizes) / 1e6 * 1.5 or 1)
    heads = (later("latency, median ms"), later("largest relative error"), later("plan, MB"))
    for axis, head in zip(axes, heads, strict=True):
        style.head(axis, head)
        axis.spines[["left"]].set_visible(False)
        axis.tick_params(axis="y", length=0)
    best = min(range(len(times)), key=lambda i: times[i])
    found = f"{names[best]} is fastest: {style.ms(times[best])}"
    found += f", {times[0] / times[best]:.2f} times as fast as {names[0]}" if best else ""
    words = "; ".join(
        f"{n}: {t:.4f} ms, error {e:.2g}, {style.bytes_text(s)}"
        for n, t, e, s in zip(names, times, errors, sizes, strict=True)
    )
    return style.finish(fig, title or found, note or [c[1] for c in cells], words)


def _errors(axis: Any, errors: list[float]) -> None:
    """Errors on a logarithmic scale as dots on stems; the reference, without an error, says so."""
    real = [e for e in errors if e > 0] or [1e-3]
    low, high = min(real) / 5, max(real) * 25
    axis.set_xscale("log")
    axis.set_xlim(low, high)
    for i, error in enumerate(errors):
        if error > 0:
            axis.plot([low, error], [i, i], color=style.COLORS[1], linewidth=2)
            axis.plot([error], [i], marker="o", color=style.COLORS[2], markersize=8)
        text = f"{error:.2g}" if error > 0 else style.word("reference")
        axis.annotate(text, (max(error, low), i), xytext=(8, 0), textcoords="offset points", va="center", fontsize=9.5)


def build_time_vs_level(rows: Sequence[Any], *, title: str | None = None, note: Any = None) -> style.LessonFigure:
    """What does a higher optimization level cost and give? Rows (level, build s, latency)."""
    cells = [_cells(row, ("level", "seconds", "latency")) for row in rows]
    levels, seconds = [str(c[0]) for c in cells], [float(c[1]) for c in cells]
    times = [_latency(c[2]) for c in cells]
    fig, (left, right) = style.new(1, 2, height=3.2)
    enough = next(i for i, t in enumerate(times) if t <= 1.02 * min(times))
    colors = [style.COLORS[1 if i == enough else 0] for i in range(len(levels))]  # marked: the level that is enough
    for axis, values, words in ((left, seconds, "build, s"), (right, times, "latency, median ms")):
        found = axis.bar(levels, values, color=colors, edgecolor=style.PAPER, width=0.6)
        axis.bar_label(found, [style.number(v) for v in values], fontsize=9.5, padding=2)
        style.head(axis, words)
        axis.set_xlabel("builder optimization level")
        axis.set_ylim(0, max(values) * 1.15)
    found = f"Level {levels[enough]} is the first within 2 % of the fastest"
    if enough < len(levels) - 1:
        gain = 100 * (1 - times[-1] / times[enough])
        less = f"for {gain:.1f} % less latency" if gain >= 0.05 else "for no gain"
        longer = seconds[-1] / seconds[enough]
        found = f"Level {levels[-1]} builds {longer:.1f} times as long as level {levels[enough]}, {less}"
    words = "; ".join(f"level {a}: build {s:.1f} s, {t:.4f} ms" for a, s, t in zip(levels, seconds, times, strict=True))
    return style.finish(fig, title or found, note or [c[2] for c in cells], words)


def accuracy_vs_latency(
    points: Sequence[Any],
    *,
    ylabel: str = "accuracy on held-out images",
    title: str | None = None,
    note: Any = None,
) -> style.LessonFigure:
    """Which engines are worth having? Points (label, latency ms or Measurement, accuracy 0 to 1)."""
    cells = [_cells(p, ("label", "latency", "accuracy")) for p in points]
    fig, axis = style.new(height=3.6)
    times, accuracies = [_latency(c[1]) for c in cells], [float(c[2]) for c in cells]
    front = [
        i
        for i in range(len(cells))
        if not any(
            times[j] <= times[i]
            and accuracies[j] >= accuracies[i]
            and (times[j] < times[i] or accuracies[j] > accuracies[i])
            for j in range(len(cells))
        )
    ]
    line = sorted(front, key=lambda i: times[i])
    axis.plot([times[i] for i in line], [accuracies[i] for i in line], color=style.MUTED, linestyle=":", zorder=1)
    for i, (x, y) in enumerate(zip(times, accuracies, strict=True)):
        face = style.COLORS[0] if i in front else style.PAPER
        look = {"marker": style.MARKERS[i % len(style.MARKERS)], "markersize": 9, "linestyle": "none"}
        axis.plot(x, y, markerfacecolor=face, markeredgecolor=style.COLORS[0], markeredgewidth=1.8, **look)
    spread = max(max(accuracies) - min(accuracies), 0.01)
    top = max(accuracies) + 0.35 * spread
    axis.set_ylim(min(accuracies) - 0.35 * spread, 1 if top > 1 > max(accuracies) + 0.15 * spread else top)
    axis.set_xlim(0, max(times) * 1.2)
    _point_labels(axis, times, accuracies, [c[0] for c in cells])
    axis.set_xlabel("latency, median ms (left is faster; hollow: another is no slower and no less accurate)")
    axis.set_ylabel(ylabel)
    axis.grid(True)
    names = ", ".join(cells[i][0] for i in line)
    words = "; ".join(f"{c[0]}: {t:.4f} ms, {a:.4f}" for c, t, a in zip(cells, times, accuracies, strict=True))
    found = title or f"Worth having: {names} (no other is as fast and as accurate)"
    return style.finish(fig, found, note or [c[1] for c in cells], words)


def _point_labels(axis: Any, xs: list[float], ys: list[float], labels: list[str]) -> None:
    """Labels beside points; below where another label would be in the way."""
    left, right = axis.get_xlim()
    low, high = axis.get_ylim()
    taken = [((x - left) / (right - left), (y - low) / (high - low)) for x, y in zip(xs, ys, strict=True)]
    for i, (across, share) in enumerate(taken.copy()):
        for up in (0.07, -0.07, 0.14, -0.14):
            others = taken[:i] + taken[i + 1 :]
            if all(abs(across - x) > 0.02 + 0.011 * len(labels[i]) or abs(share + up - y) > 0.06 for x, y in others):
                break
        taken.append((across, share + up))
        place = {"xycoords": "axes fraction", "textcoords": "axes fraction"}
        axis.annotate(labels[i], (across, share), (across, share + up), va="center", ha="center", fontsize=9.5, **place)


def roofline(
    points: Sequence[Any],
    bandwidth: float,
    peak: float | Mapping[str, float],
    *,
    title: str | None = None,
    note: Any = None,
) -> style.LessonFigure:
    """How near is it to what this card can do? Points (label, FLOP a byte, TFLOP/s reached, name of its peak).

    bandwidth: measured GB/s; peak: measured TFLOP/s, or {precision: TFLOP/s}; both from `roofline.card`. A point
    without the name of its peak is held against the highest.
    """
    peaks = dict(peak) if isinstance(peak, Mapping) else {"matrix peak": float(peak)}
    fig, axis = style.new(height=4.0)
    intensities = [float(p[1]) for p in points]
    left = min([0.3, *[i / 3 for i in intensities]])
    right = max([max(peaks.values()) * 1000 / bandwidth * 6, *[i * 4 for i in intensities]])
    x = np.geomspace(left, right, 300)
    for i, (name, top) in enumerate(peaks.items()):
        axis.plot(
            x,
            np.minimum(x * bandwidth / 1000, top),
            color=style.line_color(i),
            linestyle=style.LINES[i % len(style.LINES)],
            linewidth=2,
        )
        axis.annotate(
            f"{style.word(name)}: {style.number(top)} TFLOP/s",
            (right, top),
            xytext=(0, 5),
            ha="right",
            textcoords="offset points",
            fontsize=9.5,
        )
    bend = left * 14
    axis.annotate(
        later(f"memory: {style.number(bandwidth)} GB/s"),
        (bend, bend * bandwidth / 1000),
        xytext=(-10, 4),
        textcoords="offset points",
        ha="right",
        fontsize=9.5,
    )
    axis.set_xscale("log")
    axis.set_yscale("log")
    style.plain_ticks(axis.xaxis)
    style.plain_ticks(axis.yaxis)
    axis.set_xlim(left, right)
    low = min([left * bandwidth / 1000, *[float(p[2]) for p in points]])
    axis.set_ylim(low / 2, max(peaks.values()) * 3)
    _roof_points(axis, points, bandwidth, peaks)
    axis.set_xlabel("operations per byte of memory traffic, FLOP/byte (in brackets: share of the roof above)")
    axis.set_ylabel("TFLOP/s")
    axis.grid(True, which="major")
    shares = {p[0]: _share(p, bandwidth, peaks) for p in points}
    best = max(shares, key=lambda k: shares[k])
    words = "; ".join(f"{p[0]}: {p[1]:.1f} FLOP/byte, {p[2]:.2f} TFLOP/s" for p in points)
    found = title or f"{best} comes nearest: {100 * shares[best]:.0f} % of what this card can do there"
    return style.finish(fig, found, note, f"Roofline, memory {bandwidth:.0f} GB/s. {words}")


def _share(point: Any, bandwidth: float, peaks: Mapping[str, float]) -> float:
    """Reached over possible at this intensity, under the point's own peak (the highest when it names none)."""
    top = peaks[point[3]] if len(point) > 3 and point[3] else max(peaks.values())
    return float(point[2]) / min(float(point[1]) * bandwidth / 1000, top)


def _roof_points(axis: Any, points: Sequence[Any], bandwidth: float, peaks: Mapping[str, float]) -> None:
    """The engines, each in the colour of the roof it is held against."""
    roofs = list(peaks)
    highest = max(roofs, key=lambda name: peaks[name])
    left, right = axis.get_xlim()
    for i, point in enumerate(points):
        label, x, y = point[:3]
        roof = point[3] if len(point) > 3 and point[3] else highest
        look = {"color": style.line_color(roofs.index(roof)), "marker": style.MARKERS[i % len(style.MARKERS)]}
        axis.plot(x, y, markersize=9, linestyle="none", markeredgecolor=style.PAPER, **look)
        text = f"{label} ({100 * _share(point, bandwidth, peaks):.0f} %)"
        end = np.log(x / left) / np.log(right / left) + 0.012 * len(text)
        shift = (9 - max(0.0, end - 0.97) * 475, -14 if end > 0.97 else -9)  # 475 points: the axes' width
        axis.annotate(text, (x, y), shift, textcoords="offset points", fontsize=9.5, va="center")
