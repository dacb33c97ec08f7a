"""The source document's C++ calls and what to write today, as a table. Introduced in lesson 03.

    document_calls.table()

The facts stand in data/document_calls.json; a test checks the Python names against every supported version.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

HEAD = ("in the document (C++)", "valid in", "today, in Python", "since", "remark", "runs in")


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

    def cells(self) -> tuple[str, ...]:
        """What the table shows of this call."""
        return self.cpp, self.valid, self.python, self.since, self.remark, self.runs.replace("#", ", cell ")


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
        style = "style='text-align:left;vertical-align:top'"
        head = "".join(f"<th {style}>{escape(word)}</th>" for word in HEAD)
        rows = []
        for call in self.calls:
            texts = [f"<code>{escape(x)}</code>" if i in (0, 2) else escape(x) for i, x in enumerate(call.cells())]
            rows.append("<tr>" + "".join(f"<td {style}>{text}</td>" for text in texts) + "</tr>")
        return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def path() -> Path:
    """The data file: in the repository, or inside an installed package."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "data" / "document_calls.json"
    return inside if inside.is_file() else package.parent / "data" / "document_calls.json"


def table() -> Table:
    """Every call of the document, then and now."""
    found = json.loads(path().read_text("utf-8"))["calls"]
    return Table([Call(**{k: tuple(v) if isinstance(v, list) else v for k, v in call.items()}) for call in found])
