"""The page itself: one HTML document without a script, a link or a font from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any

from ... import backend
from ...engines.layers import Table
from ...records import provenance, recordings
from ...records.words import number
from ..search import Found, lost
from . import drawing, words

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1f2933; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { line-height: 1.2; } h2 { margin-top: 2.2rem; border-bottom: 2px solid #dfe5ea; }
table { border-collapse: collapse; margin: 1rem 0; } .wide { overflow-x: auto; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #dfe5ea; vertical-align: top; }
tr.chosen td { font-weight: 700; } code, pre { font-size: .9em; overflow-wrap: anywhere; white-space: pre-wrap; }
svg { max-width: 100%; height: auto; } .note { color: #5b6670; }
"""
MOST_LAYERS = 15  # with a bar of their own


def html(found: Found, inside: recordings.Recorded) -> str:
    """The whole report as one HTML document. inside: what `report.profile` gave."""
    mine, head = found.subject, words.headline(found)
    parts = [f"<h1>{escape(head)}</h1>", f"<p><b>{escape(words.summary(found))}</b></p>"]
    parts += [f"<p>{escape(found.why)}</p>", _list(words.remarks(found))]
    about = {"file": mine.file, "sha256 of the file": mine.sha256, **words.facts(mine.model)}
    parts += ["<h2>The model</h2>", _pairs(about), "<h2>The precisions</h2>", _precisions(found)]
    parts += [f"<p class='note'>{escape(text)}</p>" for text in (words.method(found), words.numbers_from(found))]
    parts += ["<h2>Figures</h2>", *_figures(found, inside)]
    if not inside["ms"]:
        parts.append("<p class='note'>No layer was timed: that needs a GPU.</p>")
    table = Table.from_dict(inside["layers"])
    parts += [f"<h2>Layers of the {escape(inside['precision'])} engine: {len(table)}</h2>"]
    told = ", ".join(f"{count} in {kind or 'an untold type'}" for kind, count in table.count().items())
    parts += [f"<p>{escape(told)}. <span class='note'>({escape(inside.note)})</span></p>", "<details>"]
    parts += [f"<summary>One by one</summary><div class='wide'>{table._repr_html_()}</div></details>"]
    parts += ["<h2>Made with</h2>", _pairs(words.origin(found))]
    parts += ["<h2>Make it again</h2>", f"<pre>{escape(found.command)}</pre>"]
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(head)}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _figures(found: Found, inside: recordings.Recorded) -> list[str]:
    mark = "" if found.doubts else found.chosen.name
    here = provenance.here().note("measured") if backend.is_gpu() else words.on_the_cpu()
    errors = {row.name: 100 * row.error for row in found.rows if not row.refused}
    heading = "What each precision costs: largest error against FP32"
    drawn = [drawing.chart(errors, unit="%", heading=heading, note=here, mark=mark)]
    times = {row.name: row.ms for row in found.rows if row.ms is not None}
    heading = f"What it gives: a batch of {found.subject.rows}, median"
    drawn.insert(0, drawing.chart(times, unit="ms", heading=heading, note=found.note, mark=mark))
    plans = {row.name: row.plan / 1e6 for row in found.rows if row.plan is not None}
    drawn.append(drawing.chart(plans, unit="MB", heading="The plan on disk", note=found.note, mark=mark))
    layers = sorted(inside["ms"].items(), key=lambda pair: -pair[1])
    shown, rest = dict(layers[:MOST_LAYERS]), layers[MOST_LAYERS:]
    if rest:
        shown[f"{len(rest)} more layers"] = sum(ms for _, ms in rest)
    heading = f"Which layers take the time of the {inside['precision']} engine"
    return [*drawn, drawing.chart(shown, unit="ms", heading=heading, note=inside.note)]


def _precisions(found: Found) -> str:
    """The rows as a table; a column that would be empty is left out."""
    built = [row for row in found.rows if not row.refused]
    columns: dict[str, list[str]] = {"precision": [row.name for row in built]}
    columns["error, %"] = [f"{100 * row.error:.3f}" for row in built]
    if found.subject.labels is not None:
        columns["accuracy"] = [f"{row.accuracy:.4f}" for row in built]
        columns["points lost"] = [f"{lost(row, found.rows[0]):.2f}" for row in built]
    if any(row.ms is not None for row in built):
        columns["ms per batch"] = ["needs a GPU" if row.ms is None else f"{row.ms:.4f}" for row in built]
    columns["weights, MB"] = [number(row.weights / 1e6) for row in built]
    if any(row.plan is not None for row in built):
        columns["plan, MB"] = ["not recorded" if row.plan is None else number(row.plan / 1e6) for row in built]
    columns["verdict"] = [words.verdict(row, found) for row in built]
    cells = dict(zip([row.name for row in built], zip(*columns.values(), strict=True), strict=True))
    lines = [_line(columns, "th")]
    for row in found.rows:
        if row.refused:
            told = f"not built: {escape(row.refused)}"
            lines.append(f"<tr><td>{row.name}</td><td colspan='{len(columns) - 1}'>{told}</td></tr>")
        else:
            chosen = row is found.chosen and not found.doubts
            lines.append(_line(cells[row.name], "td", "chosen" if chosen else ""))
    return f"<div class='wide'><table>{''.join(lines)}</table></div>"


def _line(cells: Iterable[Any], tag: str, kind: str = "") -> str:
    inside = "".join(f"<{tag}>{escape(str(cell))}</{tag}>" for cell in cells)
    return f"<tr class='{kind}'>{inside}</tr>" if kind else f"<tr>{inside}</tr>"


def _list(sentences: list[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in sentences) + "</ul>"


def _pairs(rows: dict[str, Any]) -> str:
    lines = (f"<tr><th>{escape(k)}</th><td><code>{escape(str(v))}</code></td></tr>" for k, v in rows.items())
    return f"<table>{''.join(lines)}</table>"
