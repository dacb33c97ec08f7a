"""One service through the whole book: reading 64 strips of 8 digits, faster from lesson to lesson.

    tl.scoreboard("FP16", precision="fp16")       # builds, measures and records this lesson's row, draws all rows
    tl.scoreboard("mine", session=session)        # a row of your own, kept with the progress
    tl.scoreboard()                               # only draws

Every row is measured in the same way: the strips lie on the GPU already, median over one second; accuracy is the share
of 450 held-out strips that are read without a mistake.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import backend, plots
from ..errors import LessonError
from ..files import lesson_number
from ..messages import columns, filled, told
from ..plots.style import word
from ..records import provenance as origin
from ..records import recordings
from ..records.provenance import Provenance
from ..records.words import ms, number
from .keeping import keep, kept

STRIPS, DIGITS, TESTED = 64, 8, 450
SHAPE = (STRIPS, 1, 16, 16 * DIGITS)
RANGE = {"strip": [(1, 1, 16, 16), SHAPE, (STRIPS, 1, 16, 256)]}
EXACT = {"strip": [SHAPE, SHAPE, SHAPE]}
PRECISIONS = ("fp32", "tf32", "fp16", "bf16", "int8")
PREFIX = "scoreboard: "


@dataclass(frozen=True)
class Row:
    """One way to run the service. ms: None where no GPU took it; accuracy: 0 to 1; mb: of the plan, None: no plan."""

    name: str
    lesson: str
    ms: float | None
    accuracy: float
    mb: float | None
    runner: str
    where: Provenance | None = None
    source: str = "recorded"

    @property
    def note(self) -> str:
        """Card, TensorRT and day."""
        return self.where.note(self.source) if self.where else ""

    @property
    def card(self) -> tuple[str | None, str | None]:
        """GPU and TensorRT: only rows of one card are drawn together."""
        return (self.where.gpu, self.where.tensorrt) if self.where else (None, None)


_own: dict[str, Row] = {}  # rows of this kernel: the source notebooks keep no progress


def scoreboard(
    name: str | None = None,
    *,
    precision: str | None = None,
    graph: bool = False,
    exact: bool = False,
    runner: str | None = None,
    session: Any = None,
) -> Any:
    """Measure a row of the scoreboard, keep it, and draw all rows; without a name only draw. Returns the figure.

    precision: "fp32" (no TF32), "tf32", "fp16", "bf16" or "int8": the strip reader is built in it, for 1 to 64 strips
    of 1 to 16 digits, best at 64 of 8; exact: for that one shape alone. graph: launched as a CUDA graph.
    runner: "torch" for PyTorch eager in FP32. session: a Session of your own that reads float32 [64, 1, 16, 128].
    Without a GPU the recording of the row comes back; where there is none, its accuracy is found on this CPU and no
    time is shown. Raises LessonError for options that do not go together.
    """
    mine = None
    if name is not None:
        way = _way(name, precision, graph, exact, runner, session)
        mine = _row(name, way, own=session is not None)
    rows = _rows(mine)
    if not rows:
        print(told("No row of the scoreboard is recorded yet."))
        return None
    print("\n".join(table(rows)))
    return plots.scoreboard([_drawn(row) for row in rows], mark=mine.name if mine else None, note=_note(rows))


# --- measuring --------------------------------------------------------------------------------------------


def _way(
    name: str, precision: str | None, graph: bool, exact: bool, runner: str | None, session: Any
) -> Callable[[], dict[str, Any]]:
    """What measures the row that these options ask for."""
    told = [word for word, there in (("precision", precision), ("runner", runner), ("session", session)) if there]
    if len(told) != 1:
        raise LessonError(
            f"The row {name!r} of the scoreboard cannot be measured.",
            why=f"it is given {' and '.join(told) or 'no precision, no runner and no session'}",
            cure='Give one of them: tl.scoreboard("mine", precision="fp16"), or session=..., or runner="torch".',
        )
    if runner is not None:
        if runner != "torch" or graph or exact:
            raise LessonError(f"runner={runner!r} with these options.", cure='It is runner="torch", alone.')
        return _torch
    if session is not None:
        return lambda: _session(session, graph)
    if precision not in PRECISIONS:
        raise LessonError(f"There is no precision {precision!r} here.", cure=f"One of {', '.join(PRECISIONS)}.")
    return lambda: _tensorrt(precision, graph, exact)


def _tensorrt(precision: str, graph: bool, exact: bool) -> dict[str, Any]:
    """The strip reader built in that precision, as a row."""
    from ..engines.build import build
    from ..sessions.session import Session

    profile = EXACT if exact else RANGE
    level = 2 if precision == "int8" else None
    report = build(_model(precision), profiles=profile, precision=precision, level=level, name="strips")
    with Session(report) as session:
        return _session(session, graph)


def _model(precision: str) -> Any:
    from .. import precision as convert
    from ..models import strips

    path = strips.onnx_path()
    if precision == "int8":
        return convert.quantize(path, strips.make(256, DIGITS, split="train")[0])
    return {"fp16": convert.to_fp16, "bf16": convert.to_bf16}.get(precision, lambda model: model)(path)


def _session(session: Any, graph: bool) -> dict[str, Any]:
    """A session as a row: its time, its accuracy, the size of its plan."""
    from ..measuring.measure import measure

    def read(images: np.ndarray) -> np.ndarray:
        return next(iter(session.infer(images).values()))

    images, _ = _strips()
    timing = measure(session, images[:STRIPS], graph=graph, transfers=False, **_seconds())
    plan = getattr(session, "_plan", None)
    return _found(timing, read, len(plan) / 1e6 if plan else None, "TensorRT")


def _torch() -> dict[str, Any]:
    """PyTorch eager as a row."""
    from ..measuring import baselines
    from ..models import strips

    module, (images, _) = strips.trained(), _strips()
    eager = baselines.eager(module, images[:STRIPS])
    return _found(
        eager.measure(**_seconds()), lambda some: baselines.eager(module, some).output(), None, "PyTorch eager"
    )


def _seconds() -> dict[str, float]:
    return {"duration_s": 1.0} if backend.is_gpu() else {"duration_s": 0.0, "warm_up_ms": 0.0, "min_iterations": 1}


def _strips() -> tuple[np.ndarray, list[str]]:
    from ..models import strips

    return strips.make(TESTED, DIGITS)


def _found(timing: Any, read: Callable[[np.ndarray], np.ndarray], mb: float | None, runner: str) -> dict[str, Any]:
    return {"ms": timing.median(), "accuracy": _accuracy(read), "mb": mb, "runner": runner}


def _accuracy(read: Callable[[np.ndarray], np.ndarray]) -> float:
    """Share of the 450 strips that are read without a mistake, 64 at a time."""
    from ..models import strips

    images, texts = _strips()
    padded = np.concatenate([images, images[: -len(images) % STRIPS]])
    logits = np.concatenate([read(padded[i : i + STRIPS]) for i in range(0, len(padded), STRIPS)])
    if logits.ndim != 3 or logits.shape[2] != strips.CLASSES:
        why = f"it gives {list(logits.shape)} for {len(padded)} strips, and [strips, steps, {strips.CLASSES}] is read"
        raise LessonError("This session does not read strips.", why=why, cure="Build models.strips.onnx_path().")
    return strips.accuracy(logits[: len(images)], texts)


# --- rows -------------------------------------------------------------------------------------------------


def _row(name: str, way: Callable[[], dict[str, Any]], own: bool) -> Row:
    """Measure a row (or find its recording) and keep it where it was measured here."""
    if own:  # what a learner made is never another machine's recording, and is not recorded with the book
        gpu = backend.is_gpu()
        found = recordings.Recorded(way(), "measured" if gpu else "interpreter", origin.here() if gpu else None)
    else:
        found = recordings.live_or_recorded(PREFIX + name, way)
    row = _made(name, recordings.current_lesson(), found)
    if found.source != "recorded":
        _own[name] = row
        keep("scoreboard", name, _encode(row))
    return row


def _made(name: str, lesson: str, found: recordings.Recorded) -> Row:
    """A row from what was measured, recorded, or computed on this CPU, which gives no time and no plan."""
    data = dict(found.value)
    if found.source == "interpreter":
        data.update(ms=None, mb=None)
    return Row(name, lesson_number(lesson), where=found.provenance, source=found.source, **data)


def _encode(row: Row) -> dict[str, Any]:
    return {**vars(row), "where": row.where.to_dict() if row.where else None}


def _decode(data: Any) -> Row | None:
    """A row out of the progress file; None for what is none."""
    try:
        return Row(**{**data, "where": Provenance.from_dict(data["where"]) if data["where"] else None})
    except (TypeError, KeyError, AttributeError):
        return None


def _recorded() -> list[Row]:
    """Every row in the recordings, of all machines, in the order of the lessons."""
    rows = []
    machine = origin.folder_name(os.environ.get("TRT_LESSONS_RECORDED_GPU", ""), "").removesuffix("_trt")
    for path in recordings.files():
        if not path.parent.name.startswith("" if machine == "cpu" else machine):
            continue
        file = recordings.load(path)
        for name in sorted(name for name in file.entries if name.startswith(PREFIX)):
            rows.append(_made(name.removeprefix(PREFIX), file.lesson, file.get(name)))
    return sorted(rows, key=lambda row: (*row.lesson.split("_"), "", -(row.ms or 0)))


def _rows(mine: Row | None) -> list[Row]:
    """The rows that are drawn together: those of this GPU, or of the recorded one, and those without a time."""
    here = [row for row in map(_decode, kept("scoreboard").values()) if row] + list(_own.values())
    if mine is not None:
        here = [row for row in here if row.name != mine.name] + [mine]
    recorded = _recorded()
    card = _card(recorded, here)
    rows = {row.name: row for row in recorded if row.card == card}
    for row in here:
        if row.card == card or (row.where is None and row.name not in rows):
            rows[row.name] = row
    return list(rows.values())


def _card(recorded: list[Row], here: list[Row]) -> tuple[str | None, str | None]:
    """The machine whose rows are shown: this one with a GPU, else the one recorded last."""
    if backend.is_gpu():
        told = backend.describe()
        return told.gpu, str(told.trt_version)
    timed = [row for row in [*recorded, *here] if row.where]
    return max(timed, key=lambda row: row.where.utc).card if timed else (None, None)


def _note(rows: list[Row]) -> str:
    notes = {row.note for row in rows if row.where}
    cards = {re.sub(r", \d{4}-\d\d-\d\d$", "", note) for note in notes}
    return max(notes) if len(cards) == 1 else "; ".join(sorted(cards))


def _drawn(row: Row) -> tuple[str, float | None, str, bool]:
    """A bar: label, ms, the text beside it, whether it is PyTorch's."""
    time = ms(row.ms) if row.ms is not None else word("not recorded on a GPU yet")
    size = f", {number(row.mb)} MB" if row.mb is not None else ""
    words = f"{time}, {100 * row.accuracy:.1f} %{size}, {word(f'lesson {row.lesson}')}"
    return row.name, row.ms, words, row.runner != "TensorRT"


def table(rows: list[Row]) -> list[str]:
    """The rows as text."""
    strips, time, right = told("64 strips of 8 digits"), told("median ms"), told("read right")
    wide = max(columns(strips), *(columns(row.name) for row in rows))
    heads = f"{filled(time, -9)}  {filled(right, -10)}  plan MB  {told('lesson')}"
    lines = [f"{filled(strips, wide)}  {heads}"]
    for row in rows:
        time = number(row.ms) if row.ms is not None else "-"
        size = number(row.mb) if row.mb is not None else "-"
        right = f"{100 * row.accuracy:.1f} %"
        lines.append(f"{filled(row.name, wide)}  {time:>9}  {right:>10}  {size:>7}  {row.lesson}")
    if any(row.ms is None for row in rows):
        lines.append(told("(-: no GPU has taken this one yet; accuracy from this CPU)"))
    return lines
