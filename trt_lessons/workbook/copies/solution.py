"""A solution beside the learner's own: `tl.solution("02.1")` in a notebook, `trt-lessons solution 02.1` elsewhere."""

from __future__ import annotations

from pathlib import Path

from ...errors import LessonError
from ...files import home
from ..execute import find_notebook, lessons_folder, padded
from ..keeping import MANIFEST_FILE
from . import solution_report


def show(wanted: str, workbook: Path) -> None:
    """Print task, the learner's cell and a solution: of a lesson, "02", or of one exercise, "02.1" (also "2.1").

    workbook: folder of the learner's copies. LessonError where there is no such lesson or exercise.
    """
    lesson, dot, number = (wanted, "", "") if wanted.endswith(".ipynb") else wanted.partition(".")
    source = find_notebook(lesson, lessons_folder())
    only = f"{padded(lesson)}.{number}" if dot else ""
    blocks = list(solution_report(source, workbook, only))
    if not blocks:
        cure = "trt-lessons progress lists them all."
        raise LessonError(f"{source.stem} has no exercise {only or 'yet'}.", cure=cure)
    print("\n".join(blocks), end="")


def solution(exercise: str) -> None:
    """Print an exercise's task, your cell as it was saved, and a solution. exercise: "02.1"; "02": all of a lesson."""
    here = Path.cwd()
    show(exercise, here if (here / MANIFEST_FILE).exists() else home() / "workbook")
