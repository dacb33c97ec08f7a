"""What is inside an engine: time a layer, and what fusion made of the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..compat import names as engine_names
from ..messages import later
from . import style


def layer_times(
    rows: Sequence[tuple[str, float]] | Mapping[str, float],
    *,
    whole_ms: float | None = None,
    most: int = 15,
    title: str | None = None,
    note: Any = None,
) -> style.LessonFigure:
    """Which layers take the time? Rows (layer, ms); whole_ms: the engine's own latency, for the caveat."""
    found = sorted(rows.items() if isinstance(rows, Mapping) else rows, key=lambda r: -r[1])
    total = sum(r[1] for r in found) or 1.0
    shown = [(_short(name, 44), value) for name, value in found[:most]]
    rest = found[most:]
    if rest:
        shown.append((later(f"{len(rest)} more layers"), sum(r[1] for r in rest)))
    fig, axis = style.new(height=1.5 + 0.27 * len(shown))
    texts = [f"{style.number(v)} ms, {100 * v / total:.0f} %" for _, v in shown]
    style.bar_row(axis, [r[0] for r in shown], [r[1] for r in shown], texts, room=0.45)
    axis.tick_params(axis="y", labelsize=9)
    axis.set_ylim(len(shown) - 0.4, -0.6)
    words = f"ms per layer; the sum is {style.ms(total)}"
    if whole_ms is not None:
        words += f", the engine takes {style.ms(whole_ms)}"
    axis.set_xlabel(words)
    half, count = 0.0, 0
    for _, value in found:
        half, count = half + value, count + 1
        if half >= total / 2:
            break
    head = f"{count} of {len(found)} layers {'takes' if count == 1 else 'take'} half of the time"
    return style.finish(
        fig,
        title or head,
        note,
        f"Time per layer. {words}. " + "; ".join(f"{name}: {value:.4f} ms" for name, value in found[:most]),
    )


def _short(name: str, most: int) -> str:
    """An engine layer's name for a figure, of at most `most` characters."""
    return style.shorten(engine_names.brief(str(name), most), most)


def _color(i: int) -> str:
    return style.LINE_COLORS[2 * i % len(style.LINE_COLORS)]  # the dark half of them


def fusion(
    network: Sequence[str],
    engine: Sequence[tuple[str, Sequence[str]]],
    *,
    most: int = 40,
    title: str | None = None,
    note: Any = None,
) -> style.LessonFigure:
    """What did fusion do? Network layers on the left, engine layers on the right, lines where one became part
    of the other. engine: (engine layer, [network layers in it]). Network layers with no line were removed or
    folded into constants."""
    left = list(network)[:most]
    inside = {name: i for i, (_, origins) in enumerate(engine) for name in origins}
    right = [(i, e) for i, e in enumerate(engine) if set(e[1]) & set(left) or (not e[1] and len(network) <= most)]
    fig, axis = style.new(height=1.2 + 0.245 * max(len(left), len(right), 6))
    step = len(left) / max(len(right), 1)
    places = {i: (row + 0.5) * step - 0.5 for row, (i, _) in enumerate(right)}
    for row, name in enumerate(left):
        axis.text(0.36, row, style.shorten(name, 34), ha="right", va="center", fontsize=9)
        i = inside.get(name)
        if i in places:
            look = {"color": _color(i), "linestyle": style.LINES[i % 3], "linewidth": 1.6}
            axis.plot([0.37, 0.43, 0.57, 0.63], [row, row, places[i], places[i]], **look)
        else:
            axis.plot([0.37, 0.40], [row, row], color=style.MUTED, linewidth=1)
            axis.text(0.405, row, style.word("gone"), fontsize=8.5, va="center", color=style.MUTED)
    for i, (name, origins) in right:
        text = _short(name, 38) + (f"  ({len(origins)})" if len(origins) > 1 else "")
        look = {
            "facecolor": style.PAPER,
            "edgecolor": _color(i),
            "boxstyle": "round,pad=0.2",
            "linewidth": 1.4,
        }
        axis.text(0.64, places[i], text, ha="left", va="center", fontsize=9, bbox=look)
    axis.set_xlim(0, 1)
    axis.set_ylim(len(left) - 0.3, -1.6)
    axis.axis("off")
    axis.text(0.36, -1.1, later(f"network: {len(network)} layers"), ha="right", fontweight="bold", fontsize=9.5)
    axis.text(0.64, -1.1, later(f"engine: {len(engine)} layers"), ha="left", fontweight="bold", fontsize=9.5)
    if len(network) > most:
        axis.text(
            0.36,
            len(left) - 0.4,
            later(f"… {len(network) - most} more"),
            ha="right",
            fontsize=9,
            color=style.MUTED,
        )
    head = f"{len(network)} network layers became {len(engine)} engine layers"
    words = "; ".join(f"{name} holds {', '.join(origins) or 'no network layer'}" for name, origins in engine[:most])
    return style.finish(fig, title or head, note, f"{head}. {words}")


def ranges(
    found: Mapping[str, Sequence[Any]], *, end: float = 65504.0, title: str | None = None, note: Any = None
) -> style.LessonFigure:
    """Where does a model leave a format's range? {label: list of `precision.Range`}; end: its largest number."""
    series = {name: {i: r.largest for i, r in enumerate(nodes)} for name, nodes in found.items()}
    last = max(map(max, series.values()))
    fig, axis = style.new(height=3.4)
    axis.set_yscale("log")
    for i, points in enumerate(series.values()):
        axis.plot(list(points), list(points.values()), **style.line_look(i) | {"marker": ""})
    axis.axhline(end, color=style.INK, linewidth=1)
    axis.annotate(f"{end:,.0f}", (last, end), xytext=(4, 3), textcoords="offset points", fontsize=9.5)
    style.name_lines(axis, series)
    axis.set_xlabel("node, in the graph's order")
    axis.set_ylabel("largest number")
    over = [name for name, points in series.items() if max(points.values()) > end]
    most = max(max(points.values()) for points in series.values())
    head = f"{', '.join(over)}: up to {style.number(most)}, beyond {end:,.0f}" if over else f"None passes {end:,.0f}"
    words = "; ".join(f"{name}: up to {style.number(max(points.values()))}" for name, points in series.items())
    origin = note or "onnxruntime on this CPU"
    return style.finish(fig, title or head, origin, f"Largest number after every node. {words}")
