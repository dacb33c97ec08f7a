"""How every figure looks: opaque, readable in grey, labelled directly, its origin in the corner.

A figure shows itself in a notebook, with its description as alternative text; `alt(fig)` returns that text.
"""

from __future__ import annotations

import base64
import functools
import io
import re
import sys
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator

from .. import progressbar
from ..errors import LessonError
from ..messages import language, told
from ..records.words import ms, note_of, number, numbers  # noqa: F401 - figures take their words from here

INK, MUTED, FAINT, PAPER = "#1f2933", "#5b6670", "#dfe5ea", "#ffffff"
# neighbours differ in lightness, so that they differ in grey too
COLORS = ("#14405f", "#e39a35", "#7a2a3d", "#a9c4d6", "#3f8a73", "#c9a7c7", "#5a5a5a", "#d9d36b")
# for lines and their frames: each at least three times as light or dark as the paper
LINE_COLORS = ("#14405f", "#c77a12", "#7a2a3d", "#4a8bb3", "#3f8a73", "#9a6a97", "#5a5a5a", "#8f8826")
HATCHES = ("", "//", "..", "xx", "\\\\", "--", "++", "oo")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)), (0, (3, 1, 1, 1)), (0, (7, 2)))
WIDTH_IN, DPI, SHOWN_DPI = 7.6, 160, 100
ALT_CHARACTERS = 160  # an alternative text is one sentence: a screen reader cannot skip in it
TEXT_FONTS = ("DejaVu Sans",)
HAN_FONTS = (
    *("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN", "PingFang SC", "Microsoft YaHei"),
    *("Noto Sans CJK JP", "Heiti SC", "Hiragino Sans GB", "SimHei", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei"),
)
# on a dark page of JupyterLab: paper turns dark and ink light, hues stay (a page that allows no style shows paper)
DARK = """<style>[data-jp-theme-light="false"] img.trt-figure{filter:invert(.93) hue-rotate(180deg)}</style>"""
AS_IT_IS = "as it is"  # the id of a text that `finish` leaves alone
HAN = re.compile("[\u4e00-\u9fff]")
HAN_FILES = re.compile("CJK|Han|Hei|YaHei|msyh|PingFang|Hiragino|NotoSansSC|wqy", re.I)
TEXT = {
    "font.size": 10.5,
    "axes.titlesize": 10.5,
    "axes.labelsize": 10.5,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.facecolor": PAPER,
    "figure.facecolor": PAPER,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "grid.color": FAINT,
    "hatch.linewidth": 0.6,
    "hatch.color": "#ffffff",
    "savefig.facecolor": PAPER,
}


class LessonFigure(Figure):
    """A matplotlib figure that shows itself once, as a PNG with alternative text."""

    title = ""
    question = ""

    def __repr__(self) -> str:
        return f"<Figure: {self.question}>"

    def png(self) -> bytes:
        """The picture as PNG, its description inside."""
        out = io.BytesIO()
        self.savefig(out, format="png", dpi=DPI, metadata={"Description": alt(self), "Software": None})
        return out.getvalue()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        picture = base64.b64encode(self.png()).decode("ascii")
        about = {"alt": alt(self), "width": round(self.get_figwidth() * SHOWN_DPI)}
        shown = {"image/png": picture, "text/plain": repr(self)}
        if progressbar.in_notebook():
            shown["text/html"] = with_alt(picture, about)
        return shown, {"image/png": about}

    def html(self) -> str:
        """The picture as HTML, its description as alternative text."""
        data, about = self._repr_mimebundle_()
        return with_alt(data["image/png"], about["image/png"])


def with_alt(picture: str, about: Mapping[str, Any]) -> str:
    """A PNG (in base64) as HTML with its alternative text: JupyterLab shows image/png without one.

    Only where somebody watches, so that stored notebooks hold each picture once.
    """
    width = f' width="{about["width"]}"' if about.get("width") else ""
    words = escape(str(about.get("alt", "")), quote=True)
    source = f"data:image/png;base64,{''.join(picture.split())}"
    return f'{DARK}<img class="trt-figure" alt="{words}"{width} style="max-width:100%" src="{source}">'


def new(rows: int = 1, columns: int = 1, *, height: float = 3.4, **more: Any) -> tuple[LessonFigure, Any]:
    """A figure of the workbook's width and its axes (one, or an array). height in inches."""
    import matplotlib

    with matplotlib.rc_context(TEXT):
        fig = LessonFigure(figsize=(WIDTH_IN, height), dpi=DPI, layout="constrained", facecolor=PAPER)
        FigureCanvasAgg(fig)
        axes = fig.subplots(rows, columns, **more)
    return fig, axes


def finish(fig: LessonFigure, title: str, note: Any, description: str) -> LessonFigure:
    """Title above, origin in the corner below, description as alternative text: a long one gives way to the title."""
    fig.title, english = title, title
    fig.question = sys._getframe(1).f_code.co_name  # shown as text: the same on every machine
    title, family = in_print(english)
    fig.suptitle(title, x=0.01, ha="left", fontsize=12.5, fontweight="bold", color=INK, family=family)
    notes = [in_print(part) for part in note_of(note).split("; ")]
    told = "; ".join(part for part, _ in notes)
    fig.supxlabel(
        told or " ", x=0.995, ha="right", fontsize=8.5, color=MUTED, family=max((f for _, f in notes), key=len)
    )
    named = f"Figure, {fig.question.replace('_', ' ')}: {title.rstrip('.')}."
    words = title if title != english else description if len(description) <= ALT_CHARACTERS else named
    fig.set_label(words + (f" ({told}.)" if told else ""))
    _translate(fig)
    return fig


def _translate(fig: Figure) -> None:
    """Axis words, labels, legends and remarks in the learner's language, where a catalog has them."""
    if language() == "en":
        return
    for text in fig.findobj(Text):
        there, family = _in_words(text.get_text())
        if HAN.search(there) and text.get_gid() != AS_IT_IS:
            text.set(text=there, family=family)
    for axis in (one for axes in fig.axes for one in (axes.xaxis, axes.yaxis)):
        if isinstance(axis.get_major_locator(), FixedLocator):  # names, which matplotlib writes anew at each drawing
            found = [_in_words(label.get_text()) for label in axis.get_ticklabels()]
            if any(HAN.search(there) for there, _ in found):
                axis.set_ticklabels([there for there, _ in found])
                axis.set_tick_params(labelfontfamily=max((family for _, family in found), key=len))


def _in_words(text: str) -> tuple[str, list[str]]:
    """`in_print` of what holds more than one word: one word alone, "answers", can be a unit of a question."""
    return in_print(text) if " " in text or HAN.search(text) else (text, list(TEXT_FONTS))


def in_print(text: str) -> tuple[str, list[str]]:
    """A text in the learner's language, and fonts that have its characters; English where no font here has them."""
    there, fonts = told(text), list(TEXT_FONTS)
    if not HAN.search(there):
        return text, fonts
    han = _han_font()
    return (there, [*fonts, han]) if han else (text, fonts)


def word(text: str) -> str:
    """A word for a figure, in the learner's language where a font here has it."""
    return in_print(text)[0]


@functools.lru_cache(maxsize=1)
def _han_font() -> str:
    """A font of this machine with Chinese characters; "" where there is none.

    matplotlib keeps its list of fonts: one that was installed since is not in it, and is added here.
    """
    from matplotlib import font_manager

    manager = font_manager.fontManager

    def found() -> str:
        there = {font.name for font in manager.ttflist}
        return next((name for name in HAN_FONTS if name in there), "")

    if not found():
        known = {font.fname for font in manager.ttflist}
        for path in font_manager.findSystemFonts():
            if path not in known and HAN_FILES.search(Path(path).name):
                manager.addfont(path)
    return found()


def alt(fig: Figure) -> str:
    """The figure's description in words, for those who cannot see it."""
    return str(fig.get_label() or "")


def save(fig: Figure, path: str | Path) -> Path:
    """Write the figure as PNG with its description inside; returns the path."""
    path = Path(path)
    path.write_bytes(fig.png() if isinstance(fig, LessonFigure) else b"")
    return path


def head(axis: Any, text: str, size: float = 10.5) -> None:
    """A panel's heading, at its left."""
    axis.set_title(text, loc="left", fontsize=size, color=INK)


def ink_on(face: str) -> str:
    """Colour for text on a face of this colour: dark on light, white on dark."""
    red, green, blue = (int(face[k : k + 2], 16) / 255 for k in (1, 3, 5))
    return INK if 0.3 * red + 0.59 * green + 0.11 * blue > 0.5 else PAPER


def bytes_text(size: float) -> str:
    """Bytes in the unit that fits: 12.3 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{number(size)} {unit}"
        size /= 1000
    return ""


def color(i: int) -> str:
    """The i-th series' colour."""
    return COLORS[i % len(COLORS)]


def line_color(i: int) -> str:
    """The i-th line's colour, dark enough for a thin line on paper."""
    return LINE_COLORS[i % len(LINE_COLORS)]


def line_look(i: int) -> dict[str, Any]:
    """Colour, marker and dashes of the i-th line: told apart in grey by the last two."""
    return {"color": line_color(i), "marker": MARKERS[i % len(MARKERS)], "linestyle": LINES[i % len(LINES)]}


def hatch(i: int) -> str:
    """The i-th series' hatch."""
    return HATCHES[i % len(HATCHES)]


def shorten(text: str, most: int) -> str:
    """Text cut in the middle to at most `most` characters."""
    if len(text) <= most:
        return text
    half = (most - 1) // 2
    return f"{text[: most - 1 - half]}…{text[-half:]}"


def plain_ticks(axis: Any, subs: tuple[float, ...] = (1.0,)) -> None:
    """Ticks of a logarithmic axis as plain numbers: 0.1, 1,000; subs: the steps inside a decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(base=10, subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.10g}"))
    axis.set_minor_formatter(NullFormatter())


def thousands(axis: Any) -> None:
    """Ticks of a linear axis with separators: 50,000."""
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.10g}"))


def bar_row(
    axis: Any,
    labels: list[str],
    values: list[float],
    texts: list[str],
    *,
    start: int = 0,
    room: float = 0.32,
    mark: str | Sequence[str] | None = None,
) -> None:
    """Horizontal bars, the first on top, each with its value written at its end.

    room: beyond the longest bar, for its text, as a share of that bar. mark: label of the bar (or labels of the
    bars) that the figure is about, drawn in another colour and hatch. LessonError for a label that is no bar's.
    """
    marked = [mark] if isinstance(mark, str) else list(mark or ())
    if wrong := [label for label in marked if label not in labels]:
        raise LessonError(f"no bar is called {wrong[0]!r}", cure=f"mark one of: {', '.join(labels)}")
    places = list(range(len(values)))
    for i, value in enumerate(values):
        look = start + (labels[i] in marked)
        axis.barh(i, value, color=color(look), hatch=hatch(look), edgecolor=PAPER, height=0.62)
    axis.set_yticks(places, labels)
    axis.invert_yaxis()
    most = max(values, default=1) or 1
    if axis.get_xscale() == "linear":
        axis.set_xlim(0, most * (1 + room))
        if most >= 10_000:
            thousands(axis.xaxis)
    for i, (value, text) in enumerate(zip(values, texts, strict=True)):
        axis.annotate(text, (value, i), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9.5)
    axis.spines[["left"]].set_visible(False)
    axis.tick_params(axis="y", length=0)


def name_lines(axis: Any, series: Mapping[str, Mapping[float, float]], *, gap: float = 0.1) -> None:
    """Write each line's name at its end, or into a legend where lines end at different places.

    series: label -> {x: y}, drawn with `line_look(i)`, i the place in the mapping.
    """
    lasts = [max(points) for points in series.values()]
    if len(set(lasts)) == 1:
        left, right = axis.get_xlim()
        log = axis.get_xscale() == "log"
        room = max(0.26, 0.016 * max(map(len, series)))  # of the axis, for the longest name
        axis.set_xlim(left, right * (right / left) ** (room + 0.04) if log else right + room * (right - left))
        ends = [(max(p), p[max(p)], name, line_color(i)) for i, (name, p) in enumerate(series.items())]
        end_labels(axis, ends, gap=gap)
        return
    for i, name in enumerate(series):
        axis.plot([], [], label=name, **line_look(i))
    axis.legend(frameon=True, facecolor=PAPER, fontsize=9.5, handlelength=3.6)


def end_labels(axis: Any, ends: list[tuple[float, float, str, str]], *, gap: float = 0.1) -> None:
    """Write series names to the right of their last points, moved apart where they would overlap.

    ends: (x, y, text, color) in data coordinates; gap: least distance as a share of the axis' height.
    """

    def place(x: float, y: float) -> tuple[float, float]:
        return tuple(axis.transLimits.transform(axis.transScale.transform((x, y))))

    ordered = sorted((place(x, y)[::-1], text, c) for x, y, text, c in ends)
    heights: list[float] = []
    for (share, _), _, _ in ordered:
        heights.append(max(share, heights[-1] + gap) if heights else share)
    over = max(0.0, heights[-1] - 0.96) if heights else 0.0
    for i in range(len(heights) - 1, -1, -1):
        limit = 0.96 if i == len(heights) - 1 else heights[i + 1] - gap
        heights[i] = min(heights[i], limit) if over else heights[i]
    for ((share, across), text, c), height in zip(ordered, heights, strict=True):
        axis.annotate(
            text,
            (across, share),
            xytext=(across + 0.045, height),
            xycoords="axes fraction",
            textcoords="axes fraction",
            va="center",
            fontsize=9.5,
            color=INK,
            annotation_clip=False,
            bbox={"facecolor": PAPER, "edgecolor": c, "boxstyle": "round,pad=0.18", "linewidth": 1.0},
            arrowprops={"arrowstyle": "-", "color": c, "linewidth": 1.0, "shrinkA": 0, "shrinkB": 4},
        )
