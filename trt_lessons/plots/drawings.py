"""Pictures that hold no measurement: digits, flow charts, who owns what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..messages import later
from . import style


def digits(
    images: Any,
    predictions: Sequence[Any],
    labels: Sequence[Any] | None = None,
    *,
    columns: int = 10,
    most: int = 40,
    title: str | None = None,
    note: Any = None,
) -> style.LessonFigure:
    """What did the network read? A grid of images [n, 1, h, w] or [n, h, w]; wrong answers are framed."""
    pictures = np.asarray(images, dtype=np.float32)[:most]
    pictures = pictures.reshape(len(pictures), *pictures.shape[-2:])
    columns = min(columns, max(len(pictures), 1))
    rows = -(-len(pictures) // columns)
    high, wide = pictures.shape[-2:]
    pixels = wide * 1.12 * columns / 7.3  # picture's pixels in an inch of the figure
    gap = 0.3 * pixels
    fig, axis = style.new(height=0.55 + rows * (high + gap) / pixels)
    low, top = float(pictures.min()), float(pictures.max())
    right = 0
    for i, picture in enumerate(pictures):
        row, column = divmod(i, columns)
        x, y = column * 1.12 * wide, row * (high + gap)
        axis.imshow(picture, cmap="gray_r", vmin=low, vmax=top, extent=(x, x + wide, y + high, y))
        answer = str(predictions[i])
        wrong = labels is not None and answer != str(labels[i])
        right += not wrong
        text = later(f"{answer}, not {labels[i]}") if wrong else answer
        place, side = (x, "left") if wide > 2 * high else (x + wide / 2, "center")  # a line is read from its left end
        axis.text(place, y - 0.05 * pixels, text, ha=side, va="bottom", fontsize=9.5 if wrong else 11)
        if wrong:
            xs, ys = [x, x + wide, x + wide, x, x], [y, y, y + high, y + high, y]
            axis.plot(xs, ys, color=style.COLORS[2], linewidth=2.5, linestyle="--")
    axis.set_xlim(-0.06 * wide, (columns * 1.12 - 0.06) * wide)
    axis.set_ylim(rows * (high + gap) - 0.25 * pixels, -gap)
    axis.set_aspect("equal")
    axis.axis("off")
    count = len(pictures)
    found = f"{right} of {count} read rightly" if labels is not None else f"{count} pictures and their readings"
    words = "Read: " + " ".join(str(p) for p in list(predictions)[:count])
    if labels is not None:
        words += "; true: " + " ".join(str(x) for x in list(labels)[:count])
    return style.finish(fig, title or found, note, f"{found}. {words}")


def flow_chart(
    steps: Sequence[Any], *, title: str, columns: int = 3, note: Any = None, alt: str | None = None
) -> style.LessonFigure:
    """In which order? Steps: text, or (name, what it does); boxes in rows of `columns`, with arrows."""
    pairs = [(s, "") if isinstance(s, str) else (s[0], s[1]) for s in steps]
    columns = min(columns, len(pairs))
    rows = -(-len(pairs) // columns)
    wrapped = [(_wrap(name, 66 // columns), _wrap(text, 76 // columns)) for name, text in pairs]
    most = max(a.count("\n") + b.count("\n") + 1 + bool(b) for a, b in wrapped)
    tall = 0.26 + 0.18 * most
    fig, axis = style.new(height=0.55 + rows * (tall + 0.4))
    axis.set_xlim(0, columns)
    axis.set_ylim(rows * (tall + 0.4), 0)
    axis.axis("off")
    centres = []
    for i, (name, text) in enumerate(wrapped):
        row, column = divmod(i, columns)
        x, y = column + 0.5, row * (tall + 0.4) + tall / 2 + 0.05
        centres.append((x, y))
        _box(axis, x, y, 0.84, tall, f"{i + 1}. {name}", text)
    for i in range(len(centres) - 1):
        _arrow_between(axis, centres[i], centres[i + 1], tall)
    words = alt or "Steps in order: " + "; ".join(f"{i + 1}. {a} {b}".strip() for i, (a, b) in enumerate(pairs))
    return style.finish(fig, title, note, words)


def build_flow() -> style.LessonFigure:
    """How does a model become an engine? The seven steps of lesson 03."""
    steps = [
        ("Prepare the model", "train it anywhere, export it to ONNX"),
        ("Builder and network", "an empty graph to fill"),
        ("Parse", "ONNX nodes become layers"),
        ("Configure", "precision, profiles, workspace, level"),
        ("Build", "fuse layers, time kernels, keep the fastest"),
        ("Serialize and save", "the plan: an engine as bytes"),
        ("Load and run", "runtime, engine, context"),
    ]
    words = "Seven steps in order: prepare the model, builder and network, parse, configure, build, save, load and run"
    return flow_chart(steps, title="From a model to an engine, in seven steps", columns=4, alt=words)


def _wrap(text: str, width: int) -> str:
    import textwrap

    text = style.word(text) if " " in text else text
    width = width // 2 if style.HAN.search(text) else width  # of letters: a Chinese character is as wide as two
    return "\n".join(textwrap.fill(part, width) for part in text.split("\n"))


def _box(axis: Any, x: float, y: float, wide: float, tall: float, name: str, text: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    patch = FancyBboxPatch(
        (x - wide / 2, y - tall / 2),
        wide,
        tall,
        boxstyle="round,pad=0,rounding_size=0.05",
        facecolor="#f3f6f8",
        edgecolor=style.COLORS[0],
        linewidth=1.4,
    )
    axis.add_patch(patch)
    look = {} if style.HAN.search(name) else {"gid": style.AS_IT_IS}  # "6. answers" is no number of answers
    if not text:
        axis.text(x, y, name, ha="center", va="center", fontsize=10, fontweight="bold", **look)
        return
    lines = name.count("\n") + 1
    axis.text(x, y - tall / 2 + 0.08, name, ha="center", va="top", fontsize=10, fontweight="bold", **look)
    axis.text(x, y - tall / 2 + 0.12 + 0.185 * lines, text, ha="center", va="top", fontsize=9)


def _arrow_between(axis: Any, a: tuple[float, float], b: tuple[float, float], tall: float) -> None:
    look = {"arrowstyle": "-|>", "color": style.INK, "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0}
    if abs(a[1] - b[1]) < 1e-6:
        axis.annotate("", (b[0] - 0.42, b[1]), (a[0] + 0.42, a[1]), arrowprops=look)
        return
    middle = (a[1] + b[1]) / 2
    xs, ys = [a[0], a[0], b[0], b[0]], [a[1] + tall / 2, middle, middle, b[1] - tall / 2 - 0.1]
    axis.plot(xs, ys, color=style.INK, linewidth=1.4)
    axis.annotate("", (b[0], b[1] - tall / 2), (b[0], b[1] - tall / 2 - 0.12), arrowprops=look)


OBJECTS = (
    ("ILogger", None, "you write it; lives longest"),
    ("Weights", None, "yours: a pointer to your numbers; keep these until the build is over"),
    ("IBuilder", None, "you make it, with the logger; may go after the build"),
    ("IBuilderConfig", "IBuilder", "options, profiles, timing cache"),
    ("INetworkDefinition", "IBuilder", "layers and tensors"),
    ("ILayer, ITensor", "INetworkDefinition", "live in the network"),
    ("IHostMemory", "IBuilder", "the plan; may go once it is loaded or saved"),
    ("IRuntime", None, "you make it, with the logger; outlives its engines"),
    ("ICudaEngine", "IRuntime", "weights on the GPU; outlives its contexts"),
    ("IExecutionContext", "ICudaEngine", "state and scratch memory; goes first"),
)


def ownership(
    objects: Sequence[Any] = OBJECTS,
    *,
    title: str = "Four objects are yours; the others are made from them",
    note: Any = None,
) -> style.LessonFigure:
    """Which object comes from which? Rows (name, maker or None, what it holds); arrows from maker to made."""
    rows = [
        (*o, *[""] * (3 - len(o))) if not isinstance(o, Mapping) else (o["name"], o.get("owner"), o.get("note", ""))
        for o in objects
    ]
    depth = {name: 0 for name, _, _ in rows}
    for name, owner, _ in rows:
        depth[name] = depth.get(owner, -1) + 1 if owner else 0
    columns = max(depth.values()) + 1
    place, used = {}, 0
    for name in _tree_order(rows):
        place[name] = (depth[name], used)
        used += 1
    fig, axis = style.new(height=0.9 + 0.62 * used)
    axis.set_xlim(0, columns + 1.1)
    axis.set_ylim(used - 0.45, -0.55)
    axis.axis("off")
    for name, owner, text in rows:
        column, row = place[name]
        look = {
            "boxstyle": "round,pad=0.35",
            "facecolor": "#f3f6f8",
            "edgecolor": style.COLORS[0],
            "linewidth": 1.4,
        }
        x = 0.1 + column * 0.62
        drawn = axis.text(x, row, name, va="center", fontsize=10, fontweight="bold", bbox=look, zorder=3)
        axis.annotate(
            text,
            (1, 0.5),
            xycoords=drawn,
            xytext=(14, 0),
            textcoords="offset points",
            va="center",
            fontsize=9.5,
            color=style.INK,
        )
        if owner:
            _, above = place[owner]
            bend = x - 0.3
            axis.plot([bend, bend, x - 0.12], [above + 0.28, row, row], color=style.INK, linewidth=1.3, zorder=1)
            axis.annotate("", (x - 0.06, row), (x - 0.16, row), arrowprops={"arrowstyle": "-|>", "color": style.INK})
    made = ", ".join(f"{name} by {owner}" for name, owner, _ in rows if owner)
    return style.finish(fig, title, note, f"Who makes which object: {made}; the others are yours.")


def _tree_order(rows: Sequence[tuple[Any, ...]]) -> list[str]:
    """Names so that everything follows its maker, made things before the next maker."""
    order: list[str] = []

    def add(owner: Any) -> None:
        for name, maker, _ in rows:
            if maker == owner and name not in order:
                order.append(name)
                add(name)

    add(None)
    return order
