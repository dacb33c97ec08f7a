"""The source document's C++ calls and what to write today, as a table. Introduced in lesson 03.

    document_calls.table()

The facts stand in data/document_calls.json; a test checks the Python names against every supported version.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

HEAD = ("then (C++)", "now (Python)", "remark")


@dataclass(frozen=True)
class Call:
    """One C++ call. names: Python names that every supported TensorRT has; gone: names some have lost.

    runs: the notebook and, after "#", the cell that runs the corrected call.
    """

    cpp: str
    step: str
    valid: str
    python: str
    since: str
    names: tuple[str, ...]
    gone: tuple[str, ...]
    remark: str
    runs: str

    def cells(self) -> tuple[str, str, str]:
        """The three columns of the table: then, with its versions; now, with the first; remark, with its lesson."""
        lesson = self.runs.partition("#")[0]
        number = re.match(r"\d+(_\d+)?(?=_)", lesson)
        remark = f"{self.remark}{'; ' if self.remark else ''}lesson {number[0] if number else lesson}"
        return f"{self.cpp}\n{self.valid}", f"{self.python}\nsince {self.since}", remark


class Table:
    """The calls in the document's order: prints as text, shows as HTML in a notebook."""

    def __init__(self, calls: list[Call]) -> None:
        self.calls = calls

    def __len__(self) -> int:
        return len(self.calls)

    def __iter__(self) -> Iterator[Call]:
        return iter(self.calls)

    def __repr__(self) -> str:
        lines = []
        for call in self.calls:
            remark = f"\n    {call.remark}" if call.remark else ""
            lines.append(f"{call.cpp}   [{call.valid}]\n    -> {call.python}   [since {call.since}]{remark}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        style = "style='text-align:left;vertical-align:top;white-space:normal;overflow-wrap:anywhere'"
        head = "".join(f"<th {style}>{escape(word)}</th>" for word in HEAD)
        rows = []
        for call in self.calls:
            then, now, remark = call.cells()
            texts = [*(_code(x) for x in (then, now)), escape(remark)]
            rows.append("<tr>" + "".join(f"<td {style}>{text}</td>" for text in texts) + "</tr>")
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _code(text: str) -> str:
    """A call as code, and its versions on a line below."""
    call, _, versions = text.partition("\n")
    return f"<code>{escape(call)}</code><br><small>{escape(versions)}</small>"


def path() -> Path:
    """The data file: in the repository, or inside an installed package."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "data" / "document_calls.json"
    return inside if inside.is_file() else package.parent / "data" / "document_calls.json"


def table() -> Table:
    """Every call of the document, then and now."""
    found = json.loads(path().read_text("utf-8"))["calls"]
    return Table([Call(**{k: tuple(v) if isinstance(v, list) else v for k, v in call.items()}) for call in found])
