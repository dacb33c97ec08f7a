"""Figures, one function a question. Each returns the figure; the last line of a cell shows it.

`note` is where the numbers come from: text, a Measurement, a Recorded, or a list of them. Functions that are
given Measurements find it themselves. Introduced in lesson 00.
"""

from __future__ import annotations

from . import sliders
from .build import accuracy_vs_latency, build_time_vs_level, precision, roofline
from .drawings import build_flow, digits, flow_chart, ownership
from .general import ablation, bars, compare, dots, lines, stacked, waterfall
from .inside import fusion, layer_times, ranges
from .latency import batch_scaling, latency_distribution, latency_over_shape, timeline, timelines, where_time_goes
from .scoreboard import scoreboard
from .style import alt, note_of, save

__all__ = [
    "ablation",
    "accuracy_vs_latency",
    "alt",
    "bars",
    "batch_scaling",
    "build_flow",
    "build_time_vs_level",
    "compare",
    "digits",
    "dots",
    "flow_chart",
    "fusion",
    "latency_distribution",
    "latency_over_shape",
    "layer_times",
    "lines",
    "note_of",
    "ownership",
    "precision",
    "ranges",
    "roofline",
    "save",
    "scoreboard",
    "stacked",
    "timeline",
    "timelines",
    "waterfall",
    "where_time_goes",
]
