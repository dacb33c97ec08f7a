"""Curves with a slider: move it with mouse or arrow keys, and read the recorded values at that place.

Where nobody watches (nbval, the site, a stored notebook) the same picture stands still. Introduced in lesson 02.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import progressbar
from ..messages import later, told
from ..records.recordings import recall
from . import style


class Slider:
    """A picture of curves {label: {x: y}} and a slider over the values of x; it only shows values that are there."""

    def __init__(
        self, series: Mapping[str, Mapping[float, float]], *, xlabel: str, unit: str, title: str, note: Any
    ) -> None:
        self.series, self.xlabel, self.unit, self.title, self.note = series, xlabel, unit, title, note
        self.places = sorted({x for curve in series.values() for x in curve})
        self.start = self.places[len(self.places) // 2]

    def __repr__(self) -> str:
        return f"<Slider: {self.title}>"

    def text(self, x: float) -> str:
        """The values at `x`, in words: every curve that has one there."""
        here = [f"{told(name)} {curve[x]:.4g} {self.unit}" for name, curve in self.series.items() if x in curve]
        return f"{told(self.xlabel)} {x:g}: {', '.join(here)}"

    def picture(self, x: float | None = None) -> style.LessonFigure:
        """The curves with a mark at `x` (default: the middle)."""
        at = self.start if x is None else x
        fig, axis = style.new()
        for i, (name, curve) in enumerate(self.series.items()):
            axis.plot(list(curve), list(curve.values()), marker="o", color=style.line_color(i), label=style.word(name))
        axis.axvline(at, color="black", linewidth=1, linestyle=":")
        axis.set(xlabel=style.word(self.xlabel), ylabel=self.unit, ylim=(0, None))
        axis.legend(fontsize=8)
        return style.finish(fig, self.title, self.note, f"{self.title}. {self.text(at)}")

    def widget(self) -> Any:
        """The live slider, with the values in words and the picture below it."""
        import ipywidgets

        slider = ipywidgets.SelectionSlider(
            options=[(f"{x:g}", x) for x in self.places], value=self.start, description=told(self.xlabel)
        )
        slider.style.description_width = "initial"
        slider.layout.width = "min(100%, 40em)"  # a long name leaves room to move
        words = ipywidgets.HTML(self.text(self.start))
        picture = ipywidgets.HTML(self.picture().html())

        def move(change: dict) -> None:
            words.value = self.text(change["new"])
            picture.value = self.picture(change["new"]).html()

        slider.observe(move, names="value")
        return ipywidgets.VBox([slider, words, picture])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict, dict]:
        data, about = self.picture()._repr_mimebundle_()
        data["text/plain"] = repr(self)
        if progressbar.enabled():  # somebody watches
            data |= self.widget()._repr_mimebundle_()
            data["text/plain"] = repr(self)
        return data, about


def batch() -> Slider:
    """Compute time, ms, over the batch size of the digits network, launched plainly and as a CUDA graph (recorded)."""
    sizes = (1, 2, 4, 8, 16, 32, 64)
    found = {
        kind: {n: recall(f"digits, batch {n}{end}", "04_6_a_host_that_keeps_up") for n in sizes}
        for kind, end in ((later("plain"), ""), (later("CUDA graph"), ", graph"))
    }
    series = {kind: {n: x.value.median() for n, x in curve.items()} for kind, curve in found.items()}
    title = f"64 pictures take {series['plain'][64] / series['plain'][1]:.1f} times as long as one"
    return Slider(series, xlabel="batch", unit="ms", title=title, note=found["plain"][1])


def depth() -> Slider:
    """Queries per second over the number of queries under way, for the picture filter (recorded)."""
    found = {n: recall(f"filter, depth {n}", "04_3_streams_and_graphs") for n in (1, 2, 3, 4, 8)}
    rates = {n: x.value.throughput / x.value.batch for n, x in found.items()}
    title = f"Depth 2 answers {rates[2] / rates[1]:.2f} times as many queries as depth 1"
    return Slider({later("picture filter"): rates}, xlabel="depth", unit="queries/s", title=title, note=found[1])


def profile() -> Slider:
    """Compute time, ms, over the width of 128 strips: one profile with its opt at 64 or 256, or three (recorded)."""
    lesson = "05_2_profiles_that_pay"
    moved, widths = recall("opt moved", lesson), recall("latency over width", lesson)
    series = {f"16 to 256, {name}": curve for name, curve in moved.value.items()}
    series |= {name: widths[name] for name in ("narrow", "three profiles")}
    gain = moved["opt 64"][256] / moved["opt 256"][256]
    title = f"At width 256, opt 64 takes {gain:.2f} times as long as opt 256"
    return Slider(series, xlabel="width, pixels", unit="ms", title=title, note=moved)


def int8_scale(values: Any) -> Slider:
    """What a scale costs: clipped numbers and mean error, percent, over the largest number that the scale reaches.

    values: any array of numbers, not all 0. Error: mean distance after INT8 and back, in percent of the largest value.
    """
    x = np.abs(np.asarray(values, np.float32)).ravel()
    largest, clipped, error = float(x.max()), {}, {}
    for percent in (5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100):
        step = largest * percent / 100 / 127
        back = np.clip(np.round(x / step), -128, 127) * step
        clipped[percent] = 100 * float((np.round(x / step) > 127).mean())
        error[percent] = 100 * float(np.abs(back - x).mean()) / largest
    series = {later("numbers clipped"): clipped, later("mean error"): error}
    title = f"With a scale for half of the range, {clipped[50]:.2g} % is clipped"
    note = later(f"computed here from {x.size:,} numbers")
    return Slider(series, xlabel="reach of the scale, % of the largest", unit="%", title=title, note=note)
