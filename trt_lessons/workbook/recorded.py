"""`tl.recorded()`: what the lesson's recorded run gave for the cell that was run last.

The learner's copy has no outputs, so that a prediction comes before its answer; the recorded answer is one call away.
"""

from __future__ import annotations

import json
from typing import Any

from .. import progressbar
from ..errors import LessonError
from ..files import home
from ..messages import told
from ..records import recordings


def recorded(cell: str = "") -> None:
    """Show the stored output of the cell that was run last in this notebook: its text and its figures.

    cell: a cell's id (Property Inspector), for another cell. The first line says which card, which TensorRT and which
    day. LessonError where no lesson was named (its first cell does that) or the lesson has no such cell.
    """
    name = recordings.current_lesson()
    found = _cell(_cells(name), cell, [] if cell else _run_before())
    if found is None:
        raise LessonError(
            f"Lesson {name} has no recorded output for "
            f"{f'the cell {cell!r}' if cell else 'the cell that was run last'}.",
            why="it is a cell of yours, or you changed it",
            cure="Run a cell of the lesson as it was, then tl.recorded() in the next one.",
        )
    print(told(f"recorded: {_origin(name)}"))
    for output in found.get("outputs", []):
        _show(output)
    if not found.get("outputs"):
        print(told("(this cell shows nothing)"))


def _cells(lesson: str) -> list[dict[str, Any]]:
    path = home() / "notebooks" / f"{lesson}.ipynb"
    if not path.is_file():
        cure = "Run the notebook's first code cell: it names the lesson."
        raise LessonError(f"There is no recorded run of lesson {lesson!r}.", cure=cure)
    return [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]


def _run_before() -> list[str]:
    """Sources of the cells that this kernel ran, the newest first, those that ask for recordings left out."""
    from IPython import get_ipython

    shell = get_ipython()
    inputs = shell.user_ns.get("In", []) if shell else []
    return [kept for text in reversed(inputs) if (kept := _without_call(text))]


def _without_call(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if "recorded(" not in line).strip()


def _cell(cells: list[dict[str, Any]], wanted: str, run: list[str]) -> dict[str, Any] | None:
    if wanted:
        return next((cell for cell in cells if cell.get("id") == wanted), None)
    by_source = {"".join(cell["source"]).strip(): cell for cell in cells}
    return by_source.get(run[0]) if run else None


def _origin(lesson: str) -> str:
    """Card, TensorRT and day of the lesson's recorded run; what ran it where the lesson records nothing."""
    files = recordings.files(lesson, [recordings.shipped_root()])
    if not files:
        return "run when the lesson was made, without a GPU"
    return max((recordings.load(path) for path in files), key=lambda file: file.utc).note()


def _show(output: dict[str, Any]) -> None:
    from IPython.display import display

    if output["output_type"] == "stream":
        print("".join(output["text"]), end="")
    elif output["output_type"] == "error":
        print(f"{output['ename']}: {output['evalue']}")
    else:
        data = {kind: "".join(value) if isinstance(value, list) else value for kind, value in output["data"].items()}
        data.pop("application/vnd.jupyter.widget-view+json", None)
        about = output.get("metadata", {}).get("image/png", {})
        if "image/png" in data and "text/html" not in data and progressbar.in_notebook():
            from ..plots.style import with_alt

            data["text/html"] = with_alt(data["image/png"], about)
        if data:
            display(data, raw=True, metadata=output.get("metadata", {}))
