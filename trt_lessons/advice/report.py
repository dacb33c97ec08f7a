"""One HTML file that tells what was found about a model, and needs nothing beside itself.

    path = report.write(found)        # reports/digits.html, or digits-2.html where that one exists
    found, path = report.of("model.onnx", "inputs.npz")     # all of it: look, read, search, write

Figures are PNG inside the file; there is no script, no link, no font from elsewhere. Introduced in lesson 06.
"""

from __future__ import annotations

import base64
import math
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

import onnx

from .. import backend, plots
from ..engines.layers import Table
from ..errors import CacheError, ModelFileError
from ..files import cache_root, home, write_atomically
from ..records import provenance, recordings
from ..records.words import number
from . import inspect
from .search import LEVEL, Found, layer_times, lost, search
from .subject import inputs_of, read, typed

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1f2933; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { line-height: 1.2; } h2 { margin-top: 2.2rem; border-bottom: 2px solid #dfe5ea; }
table { border-collapse: collapse; margin: 1rem 0; } .wide { overflow-x: auto; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #dfe5ea; vertical-align: top; }
tr.chosen td { font-weight: 700; } code, pre { font-size: .9em; overflow-wrap: anywhere; white-space: pre-wrap; }
img { max-width: 100%; height: auto; } .note { color: #5b6670; }
"""


def of(
    model: str | os.PathLike,
    data: str | os.PathLike | None = None,
    *,
    limit: float | None = None,
    batch: int | None = None,
    profiles: dict[str, Any] | None = None,
    where: str | Path | None = None,
    say: Callable[[str], Any] = print,
) -> tuple[Found, Path]:
    """All that `trt-lessons report` does: look at the model, read the data, search, write. (what was found, the file)

    model, data, limit, batch: as `search` takes them. profiles: {input: (min, opt, max)}. where: folder of the report.
    say: called with what `inspect` tells, and with a line a precision. LessonError for a model that is refused.
    """
    told = inspect.look(model)
    say(str(told))
    if told.verdict == "refused":
        raise ModelFileError(f"{told.name} is refused, so there is nothing to measure.", why=told.errors[0])
    found = search(read(model, data, batch=batch, profiles=profiles), limit, say=say)
    return found, write(found, where=where)


def facts(model: onnx.ModelProto) -> dict[str, str]:
    """What an ONNX graph says about itself, in words: inputs, outputs, ops, parameters, opset, what is dynamic."""
    graph = model.graph
    ins, outs = inputs_of(model), {value.name: typed(value) for value in graph.output}
    ops = Counter(node.op_type for node in graph.node)
    free = [f"{name} axis {axis} ({size})" for name, (_, shape) in ins.items() for axis, size in enumerate(shape)
            if not isinstance(size, int)]  # fmt: skip
    return {
        "inputs": "; ".join(_tensor(name, *about) for name, about in ins.items()),
        "outputs": "; ".join(_tensor(name, *about) for name, about in outs.items()),
        "ops": f"{sum(ops.values())}: " + ", ".join(f"{count} {op}" for op, count in ops.most_common()),
        "parameters": f"{sum(math.prod(item.dims) for item in graph.initializer):,}",
        "opset": ", ".join(f"{item.domain or 'ai.onnx'} {item.version}" for item in model.opset_import),
        "made by": f"{model.producer_name} {model.producer_version}".strip() or "not said",
        "dynamic": ", ".join(free) or "nothing: every size is fixed",
    }


def _tensor(name: str, dtype: Any, shape: Sequence[Any]) -> str:
    return f"{name} {dtype} [{', '.join(map(str, shape))}]"


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

    if shipped:
        return recordings.live_or_recorded("chosen engine", look)
    return recordings.Recorded(look(), "measured" if live else "interpreter", provenance.here() if live else None)


def figures(found: Found, inside: recordings.Recorded) -> list[Any]:
    """The figures of a search: error, latency and size of each precision, and each layer's time where known.

    inside: what `profile` gave.
    """
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


def html(found: Found, inside: recordings.Recorded) -> str:
    """The whole report as one HTML document. inside: what `profile` gave."""
    mine, name = found.subject, found.chosen.name
    head = f"{mine.name}: {'nothing can be said yet' if found.doubts else name}"
    parts = [f"<h1>{escape(head)}</h1>", f"<p><b>{escape(summary(found))}</b></p>"]
    parts += [f"<p>{escape(found.why)}</p>", _remarks(found)]
    parts += ["<h2>The model</h2>", _pairs({"sha256 of the file": mine.sha256, **facts(mine.model)})]
    parts += ["<h2>The precisions</h2>", _precisions(found), f"<p class='note'>{escape(_method(found))}</p>"]
    parts += ["<h2>Figures</h2>", *map(_figure, figures(found, inside))]
    if not inside["ms"]:
        parts.append("<p class='note'>No layer was timed: that needs a GPU.</p>")
    table = Table.from_dict(inside["layers"])
    parts += [f"<h2>Layers of the {escape(inside['precision'])} engine: {len(table)}</h2>"]
    told = ", ".join(f"{count} in {kind or 'an untold type'}" for kind, count in table.count().items())
    parts += [f"<p>{escape(told)}. <span class='note'>({escape(inside.note)})</span></p>", "<details>"]
    parts += [f"<summary>One by one</summary><div class='wide'>{table._repr_html_()}</div></details>"]
    parts += ["<h2>Made with</h2>", _pairs(_origin(found))]
    parts += ["<h2>Make it again</h2>", f"<pre>{escape(found.command)}</pre>"]
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(head)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def summary(found: Found) -> str:
    """The result in two sentences for someone who knows neither TensorRT nor this model."""
    row, first = found.chosen, found.rows[0]
    if found.doubts:
        return "The model's own answers to this data do not tell one precision from another, so none is recommended."
    what = f"Run {found.subject.name} in {row.name}"
    loss = f"{lost(row, first):.2f} {'points of accuracy' if row.accuracy is not None else 'percent of error'}"
    size = f"its weights take {number(row.weights / 1e6)} MB in place of {number(first.weights / 1e6)} MB"
    if row.ms is None or first.ms is None:
        return (
            f"{what}: it costs {loss}, and {size}. How much faster it is must be measured on the card it will run on."
        )
    speed = f"a batch takes {row.ms:.3f} ms in place of {first.ms:.3f} ms ({found.note})"
    return f"{what}: {speed}. It costs {loss}, and {size}."


def _remarks(found: Found) -> str:
    remarks = [f"Times: {found.note}." if found.chosen.ms is not None else "Times need a GPU: there are none here."]
    remarks += [f"{row.name} is not in the race: {row.refused.rstrip('.')}." for row in found.rows if row.refused]
    remarks += [f"{row.name}: {line}." for row in found.rows for line in row.kept[:5]]
    apart = f"The FP32 engine is {100 * found.against_onnxruntime:.4f} % away from onnxruntime"
    if not backend.is_gpu():
        remarks.append("Errors come from the interpreter, onnxruntime on the CPU; TF32 rounds on a GPU only.")
    elif found.against_onnxruntime > 0.01:
        remarks.append(f"{apart}. That is much: TensorRT may read this model otherwise than it is meant.")
    else:
        remarks.append(f"{apart}: TensorRT reads the model as it is meant.")
    return "<ul>" + "".join(f"<li>{escape(words)}</li>" for words in remarks) + "</ul>"


def _method(found: Found) -> str:
    labelled = found.subject.labels is not None
    unit = "points of accuracy" if labelled else "percent of relative error (largest difference over largest number)"
    return (
        f"Limit: {found.limit:g} {unit}, against the FP32 engine without TF32. Data: {found.subject.data}. "
        f"Optimization level {LEVEL}; times are medians of the compute time of a batch of {found.subject.rows}, "
        "launched as a CUDA graph, without copies."
    )


def _precisions(found: Found) -> str:
    labelled = found.subject.labels is not None
    head = [
        "",
        "error, %",
        *(["accuracy", "points lost"] if labelled else []),
        "ms a batch",
        "weights, MB",
        "plan, MB",
        "",
    ]
    lines = [_line(head, "th")]
    for row in found.rows:
        if row.refused:
            lines.append(
                f"<tr><td>{row.name}</td><td colspan='{len(head) - 1}'>not built: {escape(row.refused)}</td></tr>"
            )
            continue
        cells = [row.name, f"{100 * row.error:.3f}"]
        cells += [f"{row.accuracy:.4f}", f"{lost(row, found.rows[0]):.2f}"] if labelled else []
        cells += ["needs a GPU" if row.ms is None else f"{row.ms:.4f}", number(row.weights / 1e6)]
        cells += ["" if row.plan is None else number(row.plan / 1e6)]
        verdict = "chosen" if row is found.chosen else "within the limit" if row.fits else "beyond the limit"
        lines.append(_line([*cells, verdict], "td", "chosen" if row is found.chosen else ""))
    return f"<div class='wide'><table>{''.join(lines)}</table></div>"


def _line(cells: Iterable[Any], tag: str, kind: str = "") -> str:
    inside = "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells)
    return f"<tr class='{kind}'>{inside}</tr>" if kind else f"<tr>{inside}</tr>"


def _pairs(rows: dict[str, Any]) -> str:
    lines = (f"<tr><th>{escape(k)}</th><td><code>{escape(str(v))}</code></td></tr>" for k, v in rows.items())
    return f"<table>{''.join(lines)}</table>"


def _figure(figure: Any) -> str:
    picture = base64.b64encode(figure.png()).decode("ascii")
    return f'<p><img src="data:image/png;base64,{picture}" alt="{escape(plots.alt(figure), quote=True)}"></p>'


def _origin(found: Found) -> dict[str, Any]:
    now, told = provenance.here(), backend.describe()
    rows = {
        "backend": told.backend,
        "GPU": now.gpu or "none",
        "TensorRT": now.tensorrt if backend.is_gpu() else f"the interpreter, with the names of {now.tensorrt}",
        "driver, CUDA": f"{now.driver or 'none'}, {now.cuda or 'none'}",
        "times": found.note,
        "date": now.utc,
        "commit of the workbook": now.commit + (" with changes" if now.dirty else ""),
        "packages": ", ".join(f"{name} {version}" for name, version in now.packages.items()),
    }
    return rows


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


__all__ = ["facts", "figures", "folder", "from_outside", "html", "of", "profile", "write"]
