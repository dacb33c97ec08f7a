#!/usr/bin/env python3
"""Makes docs/gallery.md and docs/gallery/*.png: every kind of figure, drawn from recordings of a real GPU.

    python tools/make_gallery.py                    all figures; fails, with a list, when a recording is missing
    python tools/make_gallery.py --allow-missing    the others; the page says what is missing

The code shown under a figure is the code that drew it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MOST_BYTES = 2_000_000


@dataclass(frozen=True)
class Entry:
    """One figure: the question it answers, the recordings it needs, and the code whose last line draws it."""

    slug: str
    question: str
    lesson: str
    names: tuple[str, ...]
    code: str

    @property
    def source(self) -> str:
        """The code as it is shown and run, its last line a call of `tl.plots`."""
        return textwrap.dedent(self.code).strip()

    @property
    def function(self) -> str:
        """Name of the plot function."""
        return self.source.rsplit("tl.plots.", 1)[1].split("(", 1)[0]


PRECISIONS = ("FP32", "TF32", "FP16", "INT8")
BATCHES = (1, 2, 4, 8, 16, 32, 64)

ENTRIES = [
    Entry(
        "latency_distribution",
        "How are the times of a query spread, and who is faster?",
        "benchmarks",
        tuple(f"{name}, batch 256" for name in ("PyTorch compiled FP16", "TensorRT FP16", "TensorRT INT8")),
        """
        runners = ("PyTorch compiled FP16", "TensorRT FP16", "TensorRT INT8")
        times = {name: recall(f"{name}, batch 256").value for name in runners}
        tl.plots.latency_distribution(times)
        """,
    ),
    Entry(
        "where_time_goes",
        "Where does a query's time go: copies, compute, or the host?",
        "02_inference_flow",
        ("digits fp32, batch 64",),
        """
        tl.plots.where_time_goes(recall("digits fp32, batch 64").value)
        """,
    ),
    Entry(
        "timeline",
        "What runs when, and what overlaps?",
        "benchmarks",
        ("stream: parts",),
        """
        tl.plots.timeline(recall("stream: parts").value)
        """,
    ),
    Entry(
        "timeline_streams",
        "What do three streams change?",
        "04_3_streams_and_graphs",
        ("timelines of the filter",),
        """
        found = recall("timelines of the filter")
        rows = [(f"{n}: {work}", *rest) for n in ("1 stream", "3 streams") for work, *rest in found[n]]
        tl.plots.timeline(rows, note=found, title="The same six queries, on one stream and on three")
        """,
    ),
    Entry(
        "batch_scaling",
        "What does a larger batch cost and give?",
        "04_6_a_host_that_keeps_up",
        tuple(f"digits, batch {b}{graph}" for b in BATCHES for graph in ("", ", graph")),
        """
        batches, kinds = (1, 2, 4, 8, 16, 32, 64), {"plain": "", "CUDA graph": ", graph"}
        curves = {kind: {b: recall(f"digits, batch {b}{end}").value for b in batches} for kind, end in kinds.items()}
        tl.plots.batch_scaling(curves)
        """,
    ),
    Entry(
        "latency_over_shape",
        "How does latency follow the shape, and which profile covers it?",
        "05_2_profiles_that_pay",
        ("latency over width",),
        """
        from trt_lessons.models import strips

        latency = recall("latency over width")
        three = tl.buckets.propose(strips.mixed_lengths(2048, seed=1), 3, largest=16)
        ranges = {"wide": (16, 64, 256), "narrow": (96, 128, 160)}
        ranges |= {f"three: {i}": (16 * low, 16 * high, 16 * high) for i, (low, high) in enumerate(three.ranges)}
        tl.plots.latency_over_shape(latency.value, ranges, note=latency)
        """,
    ),
    Entry(
        "precision",
        "What does each precision cost and give?",
        "04_1_precision",
        ("account of precisions", *(f"{name}, batch 256" for name in PRECISIONS)),
        """
        account = recall("account of precisions")
        rows = []
        for name in ("FP32", "TF32", "FP16", "INT8"):
            accuracy, error, size = account[name]
            rows.append((name, recall(f"{name}, batch 256").value, error, size))
        tl.plots.precision(rows)
        """,
    ),
    Entry(
        "accuracy_vs_latency",
        "Which engines are worth having?",
        "04_1_precision",
        ("account of precisions", *(f"{name}, batch 256" for name in PRECISIONS)),
        """
        account = recall("account of precisions")
        names = ("FP32", "TF32", "FP16", "INT8")
        points = [(name, recall(f"{name}, batch 256").value, account[name][0]) for name in names]
        tl.plots.accuracy_vs_latency(points)
        """,
    ),
    Entry(
        "fusion",
        "Which network layers became one kernel?",
        "04_2_fusion",
        ("layers of digits",),
        """
        gpu = recall("layers of digits")
        table = tl.layers.Table.from_dict(gpu["layers"])
        held = tl.layers.fusion(gpu["network"], table).held
        first = [layer["name"] for layer in gpu["network"] if layer["type"] != "CONSTANT"][:26]
        engine = [(name, inside) for name, inside in held.items() if set(inside) & set(first)]
        title = f"{len(first)} layers of the network became {len(engine)} of the engine"
        tl.plots.fusion(first, engine, note=gpu, title=title)
        """,
    ),
    Entry(
        "layer_times",
        "Which layers take the time?",
        "04_2_fusion",
        ("time of each layer", "time of the whole"),
        """
        each = recall("time of each layer")
        whole = recall("time of the whole")["digits"].median()
        tl.plots.layer_times(each.value, whole_ms=whole, note=each)
        """,
    ),
    Entry(
        "build_time_vs_level",
        "What does a higher optimization level cost and give?",
        "03_build_flow",
        ("levels",),
        """
        levels = recall("levels")
        rows = [(level, x["seconds"], x["ms"]) for level, x in levels.value.items()]
        tl.plots.build_time_vs_level(rows, note=levels)
        """,
    ),
    Entry(
        "ablation",
        "Which setting matters?",
        "03_build_flow",
        ("options",),
        """
        tried = recall("options")
        tl.plots.ablation([(name, x["ms"]) for name, x in tried.value.items()], note=tried)
        """,
    ),
    Entry(
        "roofline",
        "How near is an engine to what this card can do?",
        "benchmarks",
        ("card", "TensorRT FP32, batch 256", "TensorRT FP16, batch 256"),
        """
        from trt_lessons.models import digits

        card, points = recall("card"), []
        for name, peak, item_bytes in (("FP32", "TF32", 4), ("FP16", "FP16", 2)):
            shapes = {"images": (256, 1, 32, 32)}
            flop, traffic = tl.roofline.work(digits.onnx_path(), shapes, item_bytes=item_bytes)
            seconds = recall(f"TensorRT {name}, batch 256").value.median() / 1000
            points.append((f"digits, {peak}", flop / traffic, flop / seconds / 1e12, peak))
        peaks = {name: card["peaks"][name] for name in ("FP16", "TF32")}
        tl.plots.roofline(points, card["bandwidth"], peaks, note=card)
        """,
    ),
    Entry(
        "bars",
        "How large is each?",
        "05_2_profiles_that_pay",
        ("mixed load, each width at its opt",),
        """
        rates = recall("mixed load, each width at its opt")
        title = f"Buckets read {rates['buckets'] / rates['padded']:.1f} times as many strips as padding"
        tl.plots.bars(rates.value, unit="strips/s", mark="buckets", title=title, note=rates)
        """,
    ),
    Entry(
        "lines",
        "How does one thing follow another?",
        "05_2_profiles_that_pay",
        ("a graph for each shape",),
        """
        graphs = recall("a graph for each shape")
        times = {f"one strip, {kind}": graphs[kind] for kind in ("plain", "graph")}
        saved = [1 - ms / graphs["plain"][width] for width, ms in graphs["graph"].items()]
        title = f"A CUDA graph takes {100 * min(saved):.0f} % to {100 * max(saved):.0f} % off"
        tl.plots.lines(times, xlabel="width, pixels", ylabel="ms per query", title=title, note=graphs)
        """,
    ),
    Entry(
        "waterfall",
        "Which part of a sum is how long?",
        "04_4_engines_on_disk",
        ("cold start",),
        """
        cold = recall("cold start")
        stages = dict(cold["ResNet-50"]["new process"])
        stages.pop("second inference")
        parts = {name: 1000 * seconds for name, seconds in stages.items()}
        share = 100 * parts["imports and CUDA"] / sum(parts.values())
        title = f"Imports and CUDA take {share:.0f} % of a start from a plan"
        tl.plots.waterfall(parts, mark="imports and CUDA", title=title, note=cold)
        """,
    ),
    Entry(
        "stacked",
        "What are sums made of?",
        "04_4_engines_on_disk",
        ("cold start", "start the builder"),
        """
        cold, started = recall("cold start"), recall("start the builder")
        big, name = cold["ResNet-50"], "imports to the first answer"
        wait = sum(big["new process"].values()) - big["new process"]["second inference"]
        made = {"start the builder": started.value, "build, level 0": big["build"], name: wait}
        title = f"From a plan the first answer comes {sum(made.values()) / wait:.0f} times sooner"
        tl.plots.stacked({"from the ONNX file": made, "from the plan": {name: wait}}, unit="s", title=title, note=cold)
        """,
    ),
]

NOT_SHOWN = {
    "dots": "`bars` over many powers of ten; see the end of lesson 01",
    "ranges": "its numbers are computed on the CPU, from a model, not recorded",
    "timelines": "it draws `timeline` for several ways below each other, as timeline_streams shows",
    "compare": "two machines, and no lesson is recorded on two here; `tl.compare().figure()` draws it",
    "digits": "pictures and what the network read, no measurement; see lesson 00",
    "build_flow": "seven steps in order, no measurement; see lesson 03",
    "flow_chart": "steps in order, no measurement; `build_flow` is one",
    "scoreboard": "rows of several lessons, each recorded by its own; see the end of each lesson",
    "ownership": "who makes which object, no measurement; see lesson 01",
    "alt": "a figure's description in words, not a figure",
    "note_of": "where numbers come from, not a figure",
    "save": "writes a figure to a file, not a figure",
}


def machine(entry: Entry) -> str | None:
    """The machine that recorded all that the figure needs, the newest of them; None when there is none."""
    from trt_lessons import recordings

    found = map(recordings.load, recordings.files())  # any lesson's: lessons are split, and recordings move
    whole = [one for one in found if set(entry.names) <= one.entries.keys()]
    return max(whole, key=lambda one: one.utc).machine if whole else None


def missing(entry: Entry) -> list[str]:
    """What no machine has recorded for this figure, as "lesson: name"; empty where one machine has all of it."""
    from trt_lessons import recordings

    if machine(entry):
        return []
    there = {name for path in recordings.files() for name in recordings.load(path).entries}
    return [f"{entry.lesson}: {name}" for name in entry.names if name not in there] or [
        f"{entry.lesson}: on one machine"
    ]


def draw(entry: Entry) -> Any:
    """The figure that the entry's code draws; ValueError when it uses other recordings than it names."""
    import trt_lessons as tl

    used = set()

    def recall(name: str) -> Any:
        used.add(name)
        return tl.recordings.recall(name)

    before, last = entry.source.rsplit("\ntl.plots.", 1) if "\n" in entry.source else ("", entry.source[9:])
    names = {"tl": tl, "recall": recall}
    with _recorded_by(machine(entry) or ""), contextlib.redirect_stdout(io.StringIO()):
        tl.lesson(entry.lesson)
        exec(before, names)
        figure = eval(f"tl.plots.{last}", names)
    if used != set(entry.names):
        raise ValueError(f"{entry.slug} names {sorted(entry.names)} and uses {sorted(used)}: name what it uses")
    if "recorded on " not in origin(figure):
        raise ValueError(f"{entry.slug} does not say where it was recorded: give its plot function `note`")
    return figure


@contextlib.contextmanager
def _recorded_by(name: str) -> Iterator[None]:
    """Recall this machine's recordings, whatever others there are."""
    old = os.environ.get("TRT_LESSONS_RECORDED_GPU")
    os.environ["TRT_LESSONS_RECORDED_GPU"] = name
    try:
        yield
    finally:
        os.environ.pop("TRT_LESSONS_RECORDED_GPU")
        if old is not None:
            os.environ["TRT_LESSONS_RECORDED_GPU"] = old


def origin(figure: Any) -> str:
    """The text in the figure's corner."""
    return str(figure.get_supxlabel())


def section(entry: Entry, figure: Any) -> str:
    """The figure's part of the page: question, picture with alternative text, caption, code."""
    from trt_lessons import plots

    words = plots.alt(figure).replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
    imports, code = entry.source.split("\n\n", 1) if "\n\n" in entry.source else ("", entry.source)
    call = f'{imports}\n\ntl.lesson("{entry.lesson}")\n{code}'.strip()
    notebook = ROOT / "notebooks" / f"{entry.lesson}.ipynb"
    where = f"[{entry.lesson}](../notebooks/{notebook.name})" if notebook.exists() else entry.lesson
    caption = f"`tl.plots.{entry.function}`, from the recordings of {where}; {origin(figure)}."
    return f"## {entry.question}\n\n![{words}](gallery/{entry.slug}.png)\n\n{caption}\n\n```python\n{call}\n```\n"


HEAD = """# Gallery

One of each figure that `tl.plots` draws, from recordings of a real GPU. Every figure says in its corner, and below it,
on which GPU, with which TensorRT and on which day its numbers were recorded. The code under a figure draws it on any
machine, after

```python
import trt_lessons as tl

recall = tl.recordings.recall
```

Made by `python tools/make_gallery.py`; do not change it by hand.
"""


def page(figures: dict[str, Any], waiting: dict[str, list[str]]) -> str:
    """The whole page. figures: slug -> figure; waiting: slug -> recordings that are missing."""
    parts = [HEAD, *(section(entry, figures[entry.slug]) for entry in ENTRIES if entry.slug in figures)]
    if waiting:
        by_slug = {entry.slug: entry for entry in ENTRIES}
        rows = [f"- {by_slug[s].question} (`tl.plots.{by_slug[s].function}`)" for s in waiting]
        parts.append("## Waiting for their recordings\n\n" + "\n".join(rows) + "\n")
    rows = [f"| `{name}` | {why} |" for name, why in NOT_SHOWN.items()]
    parts.append("## Not shown\n\n| in `tl.plots` | why not |\n| --- | --- |\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def write(docs: Path, figures: dict[str, Any], waiting: dict[str, list[str]]) -> int:
    """Write page and pictures into `docs`, take away pictures that are no longer in it; bytes of the pictures."""
    from trt_lessons import plots

    folder = docs / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    kept = {plots.save(figure, folder / f"{slug}.png") for slug, figure in figures.items()}
    for entry in ENTRIES:
        path = folder / f"{entry.slug}.png"
        if path not in kept:
            path.unlink(missing_ok=True)
    (docs / "gallery.md").write_text(page(figures, waiting), encoding="utf-8")
    return sum(path.stat().st_size for path in kept)


def main(arguments: list[str] | None = None) -> int:
    """The command line; 1 when recordings are missing, or the pictures are too large."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--allow-missing", action="store_true", help="leave out figures whose recordings are missing")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="folder of the page")
    asked = parser.parse_args(arguments)
    waiting = {entry.slug: gone for entry in ENTRIES if (gone := missing(entry))}
    lines = sorted({line for gone in waiting.values() for line in gone})
    if lines:
        print(f"{len(waiting)} figures miss recordings:", *lines, sep="\n  ", file=sys.stderr)
        if not asked.allow_missing:
            print("Record these lessons (trt-lessons record), or add --allow-missing.", file=sys.stderr)
            return 1
    figures = {entry.slug: draw(entry) for entry in ENTRIES if entry.slug not in waiting}
    size = write(asked.docs, figures, waiting)
    print(f"{len(figures)} figures, {size / 1e6:.2f} MB, in {asked.docs.name}/gallery.md")
    if size > MOST_BYTES:
        print(f"The pictures are larger than {MOST_BYTES / 1e6:g} MB together.", file=sys.stderr)
    return int(size > MOST_BYTES)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("TRT_LESSONS_BACKEND", "interpreter")
    sys.exit(main())
