"""What of the whole workbook is done: exercises and quizzes, lesson by lesson. Introduced in lesson 00."""

from __future__ import annotations

from pathlib import Path

from ..messages import told
from . import quiz
from .exercises import Exercise, all_exercises
from .keeping import check_folders, progress_file, read_progress


def progress_lines(checks: Path, file: Path | None) -> list[str]:
    """One line per lesson: its exercises, which are done, the points, and the answers to its questions."""
    data = read_progress(file) if file else {"done": {}}
    answered, asked = quiz.results(data), quiz.files(checks)
    lessons: dict[str, list[Exercise]] = {}
    for e in all_exercises(checks):
        lessons.setdefault(e.lesson, []).append(e)
    lines = []
    for lesson, exercises in lessons.items():
        marks = " ".join(f"{e.id} {told('done') if e.id in data['done'] else '-'}" for e in exercises)
        done = sum(e.points for e in exercises if e.id in data["done"])
        questions = f"   {told('questions')} {told(answered.get(lesson, '-'))}" if lesson in asked else ""
        points = told(f"{done} of {sum(e.points for e in exercises)} points")
        lines.append(f"{lesson:<6} {points}   {marks}{questions}")
    total = [e for group in lessons.values() for e in group]
    done = sum(e.id in data["done"] for e in total)
    lines.append(told(f"{done} of {len(total)} exercises done"))
    return lines


def progress() -> None:
    """Print which exercises and questions of the whole workbook are done."""
    folders = check_folders()
    if not folders:
        print(told("No exercises here: start the workbook with `make lab` or `trt-lessons lab`."))
        return
    file = progress_file()
    print("\n".join(progress_lines(folders[0], file)))
    if file is None:
        print(told("These are the source notebooks: progress is kept in the learner's copies (`make lab`)."))
