"""The measured search for a precision: every engine that can be built, its error, its time, the limit, the choice.

    mine = search.subject("model.onnx", "inputs.npz")
    found = search.search(mine, limit=2.0)
    print(found.table(), found.why, sep="\\n")

With labels the limit is in points of accuracy, without in percent of error against FP32. Without a GPU a model of
the learner's has no times, and error and size decide. Introduced in lesson 06.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import onnx

from .. import backend, compat, precision
from ..engines.build import build
from ..engines.built import UNTOLD, BuildReport
from ..engines.source import graph_kinds
from ..errors import BuildError, DtypeError, LessonError, MeasureError, ModelFileError, PrecisionError
from ..measuring.measure import measure
from ..measuring.stages import Stages
from ..messages import Said, joined, later, told
from ..precision.graphs import cpu_session
from ..records import recordings
from ..records.words import number
from ..sessions.session import Session
from . import folding, reference
from .reference import difference
from .subject import Batch, Subject, read

LEVEL = 1  # builder_optimization_level of every engine, so that times compare; INT8 on 8.6 wants 2 at most
LIMITS = {True: 0.5, False: 2.0}  # with labels: points of accuracy; without: percent of error
NEAR = 1.03  # times closer than this are called equal, and the smaller error wins

subject = read


@dataclass
class Row:
    """One precision. error: relative to FP32, 0 to 1. weights and plan: bytes, None where not known.

    refused: why there is no such engine here; then error is infinite. kept: what the conversion left in FP32.
    """

    name: str
    error: float = float("inf")
    accuracy: float | None = None
    weights: int = 0
    plan: int | None = None
    time: Any = None
    refused: str = ""
    fits: bool = False
    kept: list[str] = field(default_factory=list)

    @property
    def ms(self) -> float | None:
        """Median compute time of one batch, ms; None without a GPU and without a recording."""
        return None if self.time is None else self.time.median()


@dataclass
class Found:
    """What a search found; `reports` holds the builds, `chosen` one of the rows, `spent` the seconds of each stage."""

    subject: Subject
    limit: float
    rows: list[Row]
    chosen: Row
    why: str
    against_onnxruntime: float
    reports: dict[str, BuildReport] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)
    aside: dict[str, dict[str, float]] = field(default_factory=dict)
    spent: Stages = field(default_factory=Stages)

    @property
    def note(self) -> str:
        """Where the times come from."""
        return next((r.time.note for r in self.rows if r.time is not None), Said(later("no times: they need a GPU")))

    @property
    def remarks(self) -> list[str]:
        """A sentence for each output that is no part of the error."""
        found = []
        for name, by in self.aside.items():
            told = ", ".join(f"{other} gives {reference.in_words(share)}" for other, share in by.items())
            found.append(f"Output {name!r} holds whole numbers and is no part of the error: {told}.")
        return found

    @property
    def command(self) -> str:
        """What makes this search and its report again."""
        return f"{self.subject.command} --limit {self.limit:g}"

    def table(self) -> str:
        """The rows as text."""
        return "\n".join(f"{row.name:5} {'; '.join(in_words(row))}" for row in self.rows)


def in_words(row: Row) -> list[str]:
    """One row in the learner's words: error, accuracy, time, size, verdict; or why there is no engine."""
    if row.refused:
        return [joined(told("not built:"), told(row.refused))]
    words = [told(f"error {100 * row.error:.3f} %")]
    words += [] if row.accuracy is None else [told(f"accuracy {row.accuracy:.4f}")]
    words += [told("no time") if row.ms is None else f"{row.ms:.3f} ms"]
    words += [told(f"weights {number(row.weights / 1e6)} MB")]
    return [*words, told("within the limit" if row.fits else "beyond the limit")]


# --- the engines to try ---


def variants(mine: Subject) -> dict[str, Callable[[], tuple[str, onnx.ModelProto]]]:
    """Name -> function that gives (precision to ask `tl.build` for, graph), in the order of lesson 04_1.

    PrecisionError for a model that is not FP32 any more.
    """
    base = mine.model
    only_fp32(base, mine.name)
    return {
        "FP32": lambda: ("fp32", base),
        "TF32": lambda: ("tf32", base),
        "FP16": lambda: ("fp16", precision.to_fp16(base)),
        "BF16": lambda: ("bf16", precision.to_bf16(base)),
        "INT8": lambda: int8(base, calibration(mine)),
        "FP8": lambda: ("fp8", precision.to_fp8(base, calibration(mine))),
    }


def only_fp32(model: onnx.ModelProto, name: str) -> None:
    """PrecisionError for a model that is not FP32 any more."""
    if graph_kinds(model):
        raise PrecisionError(
            f"{name} holds {', '.join(sorted(graph_kinds(model)))} already",
            why="the search makes every precision itself, from FP32",
            cure="give the model from before its conversion",
        )


def calibration(mine: Subject) -> list[Batch]:
    """Inputs to calibrate with; PrecisionError where there are none: random numbers would give wrong scales."""
    if not mine.calibration:
        raise PrecisionError("no real inputs to calibrate with", cure="give them: --data inputs.npz")
    return mine.calibration


def int8(base: onnx.ModelProto, batches: list[Batch], keep: Sequence[str] = ()) -> tuple[str, onnx.ModelProto]:
    """INT8 by Q/DQ pairs, the rest FP16: typed so where types in the graph bind, by a flag on 8.6 (lesson 04_1).

    keep: names of nodes that are not quantized. The rest stays FP32 where some op of the graph cannot be brought to
    the opset that FP16 scales need.
    """
    graph = precision.quantize(base, batches, keep=keep)
    if not compat.strongly_typed():
        return "int8+fp16", graph
    try:
        return "int8+fp16", precision.to_fp16(graph)
    except PrecisionError:
        return "int8", graph


def quantizable(model: onnx.ModelProto) -> list[str]:
    """Names of the convolutions and full layers that INT8 would quantize, in order, batch norms folded."""
    return [node.name for node in precision.fold_batch_norms(model).graph.node if node.op_type in ("Conv", "Gemm")]


def int8_error(keep: Iterable[str] = ()) -> float:
    """Mean error, in percent of the largest number, of the digits network in INT8 with the nodes `keep` left in FP32.

    By onnxruntime, on 64 held-out pictures; 64 others calibrate.
    """
    base, shown, calibration = _digits_case()
    narrow = precision.quantize(base, calibration, keep=keep)
    found, exact = (onnxruntime_answers(model, shown)[0]["logits"] for model in (narrow, base))
    return float(100 * np.abs(found - exact).mean() / np.abs(exact).max())


@lru_cache
def _digits_case() -> tuple[onnx.ModelProto, list[Batch], np.ndarray]:
    """The digits network, pictures to judge by, pictures to calibrate with."""
    from ..models import digits

    pictures = digits.data()
    return precision.read(digits.onnx_path()), [{"images": pictures.test_images[:64]}], pictures.train_images[:64]


def weight_bytes(model: onnx.ModelProto) -> int:
    """Bytes of the weights as an engine keeps them: one a number behind a QuantizeLinear, else as typed."""
    weights = precision.graphs.all_weights(model.graph)
    narrow = {node.input[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    sizes = ((onnx.helper.tensor_dtype_to_np_dtype(t.data_type).itemsize, t) for t in weights)
    return int(sum(np.prod(t.dims, dtype=np.int64) * (1 if t.name in narrow else size) for size, t in sizes))


# --- measuring one ---


def answers(report: BuildReport, batches: list[Batch]) -> list[Batch]:
    """Every output of every batch, from a built engine."""
    with Session(report) as session:
        return [session.infer(fed(session, batch)) for batch in batches]


def fed(session: Session, batch: Batch) -> Batch:
    """The batch with whole numbers in the engine's type: 8.6 has no INT64 and reads INT32 in its place.

    DtypeError where a number does not fit.
    """
    found = {}
    for name, array in batch.items():
        found[name] = array.astype(session.inputs[name].dtype) if array.dtype.kind in "iu" else array
        if not np.array_equal(found[name], array):
            raise DtypeError(f"{name} holds numbers beyond {found[name].dtype}, which this engine reads.")
    return found


def onnxruntime_answers(model: onnx.ModelProto, batches: list[Batch]) -> list[Batch]:
    """The same from onnxruntime on the CPU: what the file says, without TensorRT."""
    runner = cpu_session(model)
    names = [value.name for value in model.graph.output]
    return [dict(zip(names, runner.run(names, batch), strict=True)) for batch in batches]


def layer_times(report: BuildReport, batch: Batch, runs: int = 30) -> dict[str, float]:
    """Median ms of each engine layer, in order of execution, by TensorRT's profiler (lesson 04_2)."""
    seen: dict[str, list[float]] = {}

    class Times(backend.trt.IProfiler):
        def report_layer_time(self, layer_name: str, ms: float) -> None:
            seen.setdefault(layer_name, []).append(ms)

    with Session(report) as session:
        session.context.profiler = times = Times()  # noqa: F841  TensorRT keeps no reference of its own
        arrays = fed(session, batch)
        for _ in range(runs):
            session.infer(arrays)
    return {name: float(np.median(ms[len(ms) // 5 :])) for name, ms in seen.items()}


# --- the search ---


def search(
    mine: Subject, limit: float | None = None, *, say: Callable[[str], Any] = print, spent: Stages | None = None
) -> Found:
    """Build every precision, compare it with FP32, time it where that means something, choose.

    limit: points of accuracy that may be lost (with labels; 0.5), or percent of error (without; 2). say: called
    with one line a precision. spent: counts the seconds of each stage. A model that is refused for its control flow is
    tried with its shapes fixed. LessonError when FP32 itself cannot be built.
    """
    spent = spent or Stages()
    try:
        return _search(mine, limit, say, spent)
    except (BuildError, ModelFileError):
        with spent("build"):
            smaller = folding.fixed(mine)
        if smaller is None:
            raise
        say(f"FP32  refused as it is. {smaller.note}")
        return _search(smaller, limit, say, spent)


def _search(mine: Subject, limit: float | None, say: Callable[[str], Any], spent: Stages) -> Found:
    limit = LIMITS[mine.labels is not None] if limit is None else limit
    if not limit >= 0:
        raise MeasureError(f"{limit} is no limit.", cure="Give a number of 0 or more: points or percent.")
    rows, reports, outputs = [], {}, {}
    how = {"name": mine.name, "profiles": mine.profiles, "level": LEVEL, "progress": False}
    for name, make in variants(mine).items():
        row = Row(name)
        start = time.perf_counter()
        try:
            compat.check_precisions({name.lower()} & set(compat.PRECISIONS))  # before the work of converting
            with spent("build"):
                asked, graph = make()
                reports[name] = build(graph, precision=asked, **how)
            with spent("run"):
                outputs[name] = answers(reports[name], mine.batches)
        except LessonError as problem:
            if name == "FP32":
                raise
            reports.pop(name, None)
            row.refused, done = _reason(problem), later("refused")
        except Exception as problem:  # a library's own error in one precision is a row, never the end
            if name == "FP32":
                raise MeasureError(
                    f"{mine.name} cannot be run in FP32 with this data, so there is nothing to compare with.",
                    why=f"{type(problem).__name__}: {first_line(problem)}",
                    cure="Do the sizes fit together? Try the same arrays with onnxruntime: it names the node.",
                ) from problem
            reports.pop(name, None)
            row.refused, done = f"{type(problem).__name__}: {first_line(problem)}", later("refused")
        else:
            with spent("measure"):
                row.weights, row.error = weight_bytes(graph), difference(outputs[name], outputs["FP32"])
                row.accuracy, row.kept = mine.accuracy(outputs[name]), precision.kept(graph)
                row.kept += [note for note in reports[name].notes if note.startswith(UNTOLD)]
            done = later("taken from the cache and compared" if reports[name].from_cache else "built and compared")
        rows.append(row)
        say(f"{name:5} {joined(told(done), told(f'in {time.perf_counter() - start:.1f} s'))}")
    with spent("measure"):
        _add_times(mine, rows, reports)
    chosen, why = choose(rows, limit)
    doubts = reference.doubts(outputs["FP32"], mine)
    if doubts:
        chosen, why = rows[0], later(f"Nothing is chosen. {' '.join(doubts)}")
    with spent("run"):
        exact = onnxruntime_answers(mine.model, mine.batches)
    apart, aside = difference(outputs["FP32"], exact), reference.left_aside(outputs)
    why = Said(f"{why} {mine.note}".strip())
    return Found(mine, limit, rows, chosen, why, apart, reports, doubts, aside, spent)


def _reason(problem: LessonError) -> str:
    """Why a precision is refused, in one line; of a failed build TensorRT's own first words."""
    said = [line.strip(" -|") for line in problem.why.splitlines()[1:]] if isinstance(problem, BuildError) else []
    return f"{problem.what.rstrip('.')}: {said[0][:200]}" if said else problem.what


def first_line(problem: BaseException) -> str:
    """An error's first line that says something."""
    return next((line.strip() for line in str(problem).splitlines() if line.strip()), "no words")[:200]


def lost(row: Row, reference: Row) -> float:
    """What a precision costs, in the limit's unit: points of accuracy, or percent of error."""
    if row.accuracy is None or reference.accuracy is None:
        return 100 * row.error
    return round(100 * (reference.accuracy - row.accuracy), 9)


def _add_times(mine: Subject, rows: list[Row], reports: Mapping[str, BuildReport]) -> None:
    """Times and plan sizes: measured on a GPU, recorded for the lesson's own network where it was, else none."""
    if not (backend.is_gpu() or (mine.shipped and recordings.there("plan sizes"))):
        return
    sizes = {name: report.size for name, report in reports.items()}
    if mine.shipped:
        sizes = recordings.live_or_recorded("plan sizes", lambda: sizes).value
    for row in rows:
        if row.refused or row.name not in sizes:
            continue
        name = f"{row.name}, batch {mine.rows}" if mine.shipped else None
        row.plan = sizes[row.name]
        with Session(reports[row.name]) as session:
            row.time = measure(
                session, fed(session, mine.batches[0]), name=name, graph=True, transfers=False, **_how_long()
            )


def _how_long() -> dict[str, float]:
    """A second on a GPU; a rehearsal on the CPU, which nobody reads as a time, takes three queries."""
    return {"duration_s": 1} if backend.is_gpu() else {"duration_s": 0, "warm_up_ms": 0, "min_iterations": 3}


def choose(rows: list[Row], limit: float) -> tuple[Row, str]:
    """The row to take, and why: of those within the limit the fastest; without times the smallest.

    rows: the first is the reference; each row's `fits` is set. Times within 3 % of the fastest count as equal, and
    the smaller error decides.
    """
    for row in rows:
        row.fits = not row.refused and lost(row, rows[0]) <= limit
    fit = [row for row in rows if row.fits]
    timed, among = [row for row in fit if row.ms is not None], _listed(fit, limit)
    if not timed:
        best = min(fit, key=lambda row: (row.weights, row.error))
        words = f"{best.name}: the smallest weights ({number(best.weights / 1e6)} MB) of {among}."
        return best, later(f"{words} No times were taken: they need a GPU.")
    fastest = min(row.ms for row in timed)
    near = [row for row in timed if row.ms <= fastest * NEAR]
    best = min(near, key=lambda row: row.error)
    if len(near) > 1:
        some = ", ".join(row.name for row in near)
        words = f"{best.name}: the smallest error of {some}, which are equally fast within 3 %, among {among}."
        return best, later(words)
    gain = rows[0].ms / best.ms if rows[0].ms else 1.0
    return best, later(f"{best.name}: the fastest ({number(best.ms)} ms, {gain:.2f} times FP32) of {among}.")


def choices(rows: list[Row], limits: Iterable[float], *, of_error: bool = False) -> dict[float, str]:
    """Limit -> the name that `choose` takes under it; the rows' own verdicts stay.

    of_error: the limits are percent of error even where there are labels.
    """
    again = [replace(row, accuracy=None if of_error else row.accuracy) for row in rows]
    return {limit: choose(again, limit)[0].name for limit in limits}


def _listed(fit: list[Row], limit: float) -> str:
    names, of_error = ", ".join(row.name for row in fit), fit[0].accuracy is None
    return later(f"{names}, which lose at most {limit:g} {'percent of error' if of_error else 'points of accuracy'}")
