"""START.ipynb, the workbook's first page: a map of the lessons, how far the learner is, and where help is.

It is made anew whenever `trt-lessons lab` starts. Each of its cells carries a sum of its text, so that a cell that the
learner changed is known, and kept, as every cell that the learner added.
"""

from __future__ import annotations

import re
from pathlib import Path

from ...errors import ExerciseError, LessonError
from ...files import lesson_number, sha256, write_atomically
from ...messages import told
from .. import quiz
from ..execute import notebooks
from ..exercises import all_exercises
from ..keeping import PROGRESS_FILE, read_progress
from . import encode, source_of
from .merge import by_id, read_notebook

NAME = "START.ipynb"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
MARK = "trt_lessons"  # in a cell's metadata: the sum of the text that we wrote

FIRST = """## Your first ten minutes
1. Open [lesson 00](00_start_here.ipynb) and run its cells from the top, one by one: **Shift+Enter** runs a cell.
2. Where a cell asks for your guess, guess before you run the next one. A wrong guess teaches more than none.
3. An exercise is a cell with a gap, and a cell below that checks it. Try, run both, read the hint, try again.
4. Then [lesson 02](02_inference_flow.ipynb) runs a trained network step by step. The others follow in any order that
   their first cells allow.

What you write is kept: a newer version of the workbook never writes over it."""

HELP = """## Where help is
- **An exercise resists:** its hints are folded below the task; `tl.solution("02.1")` shows a solution beside yours.
- **What should come out?** `tl.recorded()` in a new cell shows what the cell before it gave on a recorded GPU.
- **Something fails:** run the cell below. It looks at this machine and names the command that mends it.
- **In a terminal** (menu *File, New, Terminal*): `trt-lessons --help` lists what can be done there."""

DOCTOR = """import trt_lessons as tl

tl.doctor()"""


def write(workbook: Path, machine: str) -> Path:
    """Make the first page anew in a learner's folder; what the learner wrote in it stays. Returns its path.

    machine: one line about what runs the notebooks here. A page that is no notebook any more goes to backups/.
    Raises ExerciseError where it cannot be written.
    """
    path = workbook / NAME
    page = [_cell(name, kind, text) for name, kind, text in texts(workbook, machine)]
    try:
        before = path.read_bytes() if path.exists() else b""
        theirs = read_notebook(before) if before else None
        if before and theirs is None:
            backup = workbook / "backups" / f"START.{sha256(before)[:8]}.ipynb"
            backup.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(backup, before)
        cells = _with(page, list(by_id(theirs).values()) if theirs else [])
        content = encode({"metadata": METADATA, **(theirs or {}), "cells": cells, "nbformat": 4, "nbformat_minor": 5})
        if content != before:
            write_atomically(path, content)
    except OSError as error:
        cure = "Free space, mend the permissions, or: trt-lessons lab --workbook ANOTHER_FOLDER"
        raise ExerciseError(f"{path} cannot be written.", why=str(error), cure=cure) from error
    return path


def texts(workbook: Path, machine: str) -> list[tuple[str, str, str]]:
    """(id, kind, text) of each of our cells."""
    head = told("# TensorRT by doing\nThis page is made anew at each start; cells that you add to it stay.")
    return [
        ("start-head", "markdown", f"{head}\n\n{told('**This machine:**')} {told(machine)}"),
        ("start-first", "markdown", told(FIRST)),
        ("start-map", "markdown", _map(workbook)),
        ("start-help", "markdown", told(HELP)),
        ("start-doctor", "code", DOCTOR),
    ]


def _map(workbook: Path) -> str:
    """The lessons as a table: what one does there, minutes, exercises and questions done; where to go on."""
    data = read_progress(workbook / PROGRESS_FILE)
    done, answered, asked = _exercises(workbook, data), quiz.results(data), quiz.files(workbook / "checks")
    lines = [told("## The lessons"), "", told("| lesson | what you do there | minutes | exercises | questions |")]
    lines.append("| --- | --- | ---: | --- | --- |")
    for path in notebooks(workbook):
        number = lesson_number(path.stem)
        title, minutes = _about(path)
        questions = answered.get(number, "-") if number in asked else ""
        lines.append(f"| [{number}]({path.name}) | {title} | {minutes} | {done.get(number, '')} | {questions} |")
    last = str(data.get("last", {}).get("exercise", "")).rpartition(".")[0]
    found = [path.name for path in notebooks(workbook) if last and lesson_number(path.stem) == last]
    return "\n".join([*lines, *("\n" + told(f"You were at [lesson {last}]({name}).") for name in found)])


def _exercises(workbook: Path, data: dict) -> dict[str, str]:
    """Lesson -> "1 of 3"; empty where the checks cannot be read, which the lessons themselves tell."""
    try:
        found = all_exercises(workbook / "checks")
    except LessonError:
        return {}
    lessons = {one.lesson: [e for e in found if e.lesson == one.lesson] for one in found}
    return {name: told(f"{sum(e.id in data['done'] for e in some)} of {len(some)}") for name, some in lessons.items()}


def _about(path: Path) -> tuple[str, str]:
    """Title and minutes that a lesson's first cell names; its file's name where it is no notebook any more."""
    notebook = read_notebook(path.read_bytes())
    text = source_of(notebook["cells"][0]) if notebook and notebook["cells"] else ""
    title = re.match(r"#\s+(.+)", text)
    minutes = re.search(r"\*\*(?:Minutes|时长（分钟）)\*\*\s*(\d+)", text)
    return (title[1].replace("|", "\\|") if title else path.stem), (minutes[1] if minutes else "")


# --- ours and the learner's -------------------------------------------------------------------------------


def _sum(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass"))[:16]


def _cell(name: str, kind: str, text: str) -> dict:
    cell = {"cell_type": kind, "id": name, "metadata": {MARK: _sum(text)}, "source": text.splitlines(keepends=True)}
    return cell | ({"outputs": [], "execution_count": None} if kind == "code" else {})


def _with(page: list[dict], theirs: list[dict]) -> list[dict]:
    """Our cells, each where it stands in the learner's notebook, between the cells that are the learner's."""
    new = {cell["id"]: cell for cell in page}
    placed: set[str] = set()
    cells: list[dict] = []
    for cell in theirs:
        name = cell.get("id")
        text = source_of(cell)
        untouched = name in new and cell.get("metadata", {}).get(MARK) == _sum(text)
        if untouched:
            placed.add(name)
            cells.append(cell if source_of(new[name]) == text else new[name])
        elif cell["cell_type"] == "markdown" or text.strip() or cell.get("outputs"):
            cells.append(_own(cell, number=len(cells)) if name in new else cell)
    for before, cell in zip([None, *page], page, strict=False):
        if cell["id"] not in placed:
            at = next((i + 1 for i, c in enumerate(cells) if before and c.get("id") == before["id"]), 0)
            cells.insert(at, cell)
    return cells


def _own(cell: dict, number: int) -> dict:
    """A cell of ours that the learner changed: from now on the learner's, under a name of its own."""
    kept = {key: value for key, value in cell.get("metadata", {}).items() if key != MARK}
    return {**cell, "id": f"own-{number}-{_sum(source_of(cell))}", "metadata": kept}
