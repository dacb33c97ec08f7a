"""Bars for a page, drawn as SVG in the page itself: nothing is imported, and letters stay letters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import Any

from ...records.words import number

ROW, LABELS, BARS, WIDTH = 26, 190, 360, 760  # px
INK, MUTED, BAR, MARKED = "#1f2933", "#5b6670", "#7d9db3", "#14405f"


def chart(rows: Mapping[str, float], *, unit: str, heading: str, note: Any, mark: str = "") -> str:
    """One bar a row with its value beside it: {label: value}; mark: the label of the bar that is darker.

    note: where the numbers come from, in the corner. "" without a finite value.
    """
    finite = {label: value for label, value in rows.items() if math.isfinite(value)}
    if not finite:
        return ""
    largest, height = max(finite.values()) or 1.0, ROW * len(finite) + 62
    lines = [_text(0, 18, heading, "font-weight='700'")]
    for place, (label, value) in enumerate(finite.items()):
        top, long = 32 + ROW * place, max(1.0, BARS * value / largest)
        color = MARKED if label == mark else BAR
        lines.append(_text(LABELS - 8, top + 15, _short(label), "text-anchor='end'"))
        lines.append(f"<rect x='{LABELS}' y='{top + 3}' width='{long:.1f}' height='{ROW - 9}' fill='{color}'/>")
        lines.append(_text(LABELS + long + 6, top + 15, f"{number(value)} {unit}"))
    lines.append(_text(WIDTH, height - 8, str(note), f"text-anchor='end' fill='{MUTED}' font-size='11'"))
    values = "; ".join(f"{label}: {number(value)} {unit}" for label, value in finite.items())
    words = escape(f"{heading}. {values} ({note}).", quote=True)
    head = f"<svg role='img' viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' height='{height}' aria-label=\"{words}\">"
    return f"<p>{head}{''.join(lines)}</svg></p>"


def _text(x: float, y: float, words: str, more: str = "") -> str:
    fill = "" if "fill=" in more else f" fill='{INK}'"
    size = "" if "font-size" in more else " font-size='13'"
    return f"<text x='{x:.1f}' y='{y}'{fill}{size} {more}>{escape(words)}</text>"


def _short(label: str, most: int = 26) -> str:
    return label if len(label) <= most else f"{label[: most - 2]} …"
