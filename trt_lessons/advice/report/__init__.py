"""One HTML file that tells what was found about a model, and needs nothing beside itself.

    path = report.write(found)        # reports/digits.html, or digits-2.html where that one exists
    found, path = report.of("model.onnx", "inputs.npz")     # all of it: look, read, search, write

Figures are drawn in the file itself; there is no script, no link, no font from elsewhere. Introduced in lesson 06.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ... import backend
from ...engines.source import Source
from ...errors import CacheError, ModelFileError
from ...files import cache_root, home, write_atomically
from ...measuring.stages import Stages
from ...records import provenance, recordings
from .. import inspect
from ..search import Found, layer_times, lost, only_fp32, search
from ..subject import read
from .page import html
from .words import facts, headline, summary


def of(
    model: str | os.PathLike,
    data: str | os.PathLike | None = None,
    *,
    limit: float | None = None,
    batch: int | None = None,
    profiles: dict[str, Any] | None = None,
    where: str | Path | None = None,
    say: Callable[[str], Any] = print,
    spent: Stages | None = None,
) -> tuple[Found, Path]:
    """All that `trt-lessons report` does: look at the model, read the data, search, write. (what was found, the file)

    model, data, limit, batch: as `search` takes them. profiles: {input: (min, opt, max)}. where: folder of the report.
    say: called with what `inspect` tells, and with a line a precision. spent: counts the seconds of each stage, from
    when it was made; `found.spent` tells them. LessonError for a model that is refused.
    """
    spent = spent or Stages()
    source = Source(model, None)
    told = inspect.look(source)
    say(str(told))
    if told.verdict == "refused":
        cure = "Mend what is refused, then ask again: trt-lessons inspect lists all of it, lesson 03 has four cures."
        if any(op.startswith("ai.onnx.ml") for op in told.ops):
            cure = "TensorRT has no trees, scalers and encoders of scikit-learn: run this model with onnxruntime."
        raise ModelFileError(f"{told.name} is refused, so there is nothing to measure.", why=told.errors[0], cure=cure)
    only_fp32(source.proto, told.name)
    mine = read(source, data, batch=batch, profiles=profiles)
    mine.command = mine.command.replace("trt-lessons run 06 --model", "trt-lessons report")
    found = search(mine, limit, say=say, spent=spent)
    return found, write(found, where=where)


def to_dict(found: Found, path: str | os.PathLike | None = None) -> dict[str, Any]:
    """What was found as data, for JSON: each row, the choice, the doubts, and the seconds of each stage until now.

    error: a share (0.01 is one percent), None where it is endless; weights, plan: bytes; ms: of a batch.
    """
    rows = [
        {
            "name": row.name,
            "error": row.error if math.isfinite(row.error) else None,
            "accuracy": row.accuracy,
            "lost": lost(row, found.rows[0]) if math.isfinite(row.error) else None,
            "ms": row.ms,
            "weights": row.weights or None,
            "plan": row.plan,
            "fits": row.fits,
            "refused": row.refused or None,
            "kept": row.kept,
        }
        for row in found.rows
    ]
    return {
        "file": found.subject.file,
        "sha256": found.subject.sha256,
        "headline": headline(found),
        "summary": summary(found),
        "chosen": None if found.doubts else found.chosen.name,
        "why": found.why,
        "doubts": found.doubts,
        "remarks": found.remarks,
        "limit": found.limit,
        "data": found.subject.data,
        "rows": rows,
        "times": found.note,
        "command": found.command,
        "report": None if path is None else str(path),
        "seconds": found.spent.seconds(),
    }


def profile(found: Found, runs: int = 30) -> recordings.Recorded:
    """What is in the chosen engine: {"precision": its name, "layers": a `layers.Table` as data, "ms": {layer: ms}}.

    Without a GPU: the recording for the lesson's own network where there is one, else the interpreter's layers and
    no times.
    """
    name, live = found.chosen.name, backend.is_gpu()
    shipped = found.subject.shipped and recordings.there("chosen engine")

    def look() -> dict[str, Any]:
        engine = found.reports[name]
        times = layer_times(engine, found.subject.batches[0], runs if live else 2) if live or shipped else {}
        return {"precision": name, "layers": engine.layers().to_dict(), "ms": times}

    with found.spent("measure"):
        if shipped:
            return recordings.live_or_recorded("chosen engine", look)
        return recordings.Recorded(look(), "measured" if live else "interpreter", provenance.here() if live else None)


def figures(found: Found, inside: recordings.Recorded) -> list[Any]:
    """The figures of a search: error, latency and size of each precision, and each layer's time where known.

    inside: what `profile` gave.
    """
    from ... import plots  # matplotlib: the page draws its own figures

    timed = [row for row in found.rows if row.time is not None]
    drawn = []
    if timed:
        drawn.append(plots.precision([(row.name, row.time, row.error, row.plan) for row in timed]))
    errors = {row.name: 100 * row.error for row in found.rows if math.isfinite(row.error)}
    title = "What each precision costs: largest error against FP32"
    here = provenance.here().note("measured") if backend.is_gpu() else "onnxruntime on this CPU, not TensorRT"
    drawn.append(plots.bars(errors, unit="%", title=title, note=here))
    if inside["ms"]:
        drawn.append(plots.layer_times(inside["ms"], note=inside))
    return drawn


# --- the file ---


def folder() -> Path:
    """TRT_LESSONS_REPORTS, else reports/ here; for the source lessons, which stay clean, the cache folder's."""
    told = os.environ.get("TRT_LESSONS_REPORTS")
    if told:
        return Path(told)
    in_source = Path.cwd().resolve() == (home() / "notebooks").resolve()
    return cache_root() / "reports" if in_source else Path("reports")


def write(found: Found, inside: recordings.Recorded | None = None, where: str | Path | None = None) -> Path:
    """Write the report and return its path: <model>.html, or <model>-2.html, -3 and so on: none is overwritten.

    inside: what `profile` gave; None: it is asked now. CacheError where the folder cannot be written.
    """
    content = html(found, inside or profile(found)).encode()
    stem = re.sub(r"[^\w.-]+", "_", found.subject.name).strip("._") or "model"
    target = Path(where) if where is not None else folder()
    try:
        target.mkdir(parents=True, exist_ok=True)
        path = _reserve(target, stem)
        try:
            write_atomically(path, content)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CacheError(
            f"The report cannot be written to {target} ({error.strerror}).",
            cure="Name a folder you can write to: --reports FOLDER, or TRT_LESSONS_REPORTS.",
        ) from error
    return path


def _reserve(target: Path, stem: str) -> Path:
    """An empty file under the first free name; made so that two processes never get the same."""
    number = 1
    while True:
        path = target / (f"{stem}.html" if number == 1 else f"{stem}-{number}.html")
        try:
            path.open("x").close()
            return path
        except FileExistsError:
            number += 1


def from_outside(text: str) -> list[str]:
    """Everything in an HTML text that a browser would fetch or run: [] for a report that stands alone."""
    fetched = re.findall(r"""(?:src|href|action|poster|srcset)\s*=\s*["']?(?!data:)[^"'\s>]+""", text, re.I)
    return fetched + re.findall(r"<(?:script|link|iframe|object|embed)\b|@import|url\(", text, re.I)


__all__ = ["facts", "figures", "folder", "from_outside", "html", "of", "profile", "summary", "to_dict", "write"]
