"""A nbgrader course out of the lessons: release versions without solutions, grades from the lessons' own checks.

    trt-lessons classroom course            # writes course/; a teacher goes on with nbgrader's commands

Grading needs no GPU: the interpreter answers, and TRT_LESSONS_GRADING=1 makes a wrong answer raise. docs/classroom
tells how to run a class. `LearnersVersion` and `WholeLesson` are the two steps that nbgrader gets from here.
"""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import itertools
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.preprocessors import Preprocessor
from traitlets import Bool

from ...errors import ExerciseError
from ...files import write_atomically
from .. import exercises
from ..copies import encode, grade, learners, source_of
from .feedback import TIMED_OUT as TIMED_OUT
from .feedback import exercise_of
from .feedback import feedback_steps as feedback_steps

CONFIG = '''\
"""nbgrader's settings for this course, yours to change: `trt-lessons classroom` writes them once only.

Run nbgrader in this folder; its steps: generate_assignment, collect, autograde, generate_feedback, export.
"""

import os
import sys
from pathlib import Path

from trt_lessons.workbook import classroom

os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # nbgrader calls alembic

# Grading runs on machines without a GPU, and a wrong answer raises so that nbgrader sees it.
os.environ.setdefault("TRT_LESSONS_BACKEND", "interpreter")
os.environ["TRT_LESSONS_GRADING"] = "1"

c = get_config()
c.CourseDirectory.course_id = "trt-lessons"
c.GenerateAssignment.preprocessors = classroom.release_steps()  # exercises as in the learner's own copies
c.Autograde.sanitize_preprocessors = classroom.sanitize_steps()  # cells that were deleted or broken come back
c.GenerateFeedback.preprocessors = classroom.feedback_steps()  # exercises by name, hints where points are missing
c.Execute.timeout_func = classroom.seconds  # 30 s per cell of a learner, so that an endless loop costs no more
c.Execute.error_on_timeout = classroom.TIMED_OUT
'''


# --- the course -------------------------------------------------------------------------------------------


def make_course(folder: Path, lessons: Sequence[Path]) -> list[str]:
    """Write config, sources and release versions; one line each about what was made and what was kept.

    folder: the course, new or with earlier lessons in it; nothing there is overwritten. lessons: notebooks with
    their checks beside them in `checks/`. Raises ExerciseError without nbgrader, or where nbgrader refuses a lesson.
    """
    if importlib.util.find_spec("nbgrader") is None:
        raise ExerciseError(
            "nbgrader is not installed.",
            why="it belongs to the extra `classroom`, and needs Python 3.11 or later",
            cure="python3 tools/environment.py --extra dev --extra classroom",
        )
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "nbgrader_config.py"
    lines = [f"{config.name}: kept as it is" if config.exists() else f"{config.name}: written"]
    if not config.exists():
        write_atomically(config, CONFIG.encode())
    said = [_source(folder / "source" / path.stem, path) for path in lessons]
    with _nbgrader(folder) as course:
        for path, source in zip(lessons, said, strict=True):
            lines.append(f"{path.stem}: {source}, {_release(folder, course, path.stem)}")
    return lines


def _source(target: Path, lesson: Path) -> str:
    """The lesson with its solutions and checks as `source/LESSON`, whole or not at all."""
    content = encode(_with_points(json.loads(lesson.read_text("utf-8")), lesson.parent / "checks"))
    if target.exists():
        there = target / lesson.name
        same = there.exists() and there.read_bytes() == content
        return "source kept" if same else "source kept (it differs from today's lesson)"
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".part-") as part:
        new = Path(part) / "new"
        (new / "checks").mkdir(parents=True)
        (new / lesson.name).write_bytes(content)
        for file in (lesson.parent / "checks").glob(f"{lesson.stem}.*"):  # its checks and its questions
            if file.is_file():
                shutil.copy(file, new / "checks")
        os.rename(new, target)
    return "source written"


def _with_points(notebook: dict, checks: Path) -> dict:
    """Each check cell worth the points that its check says."""
    points = {e.id: e.points for e in exercises.all_exercises(checks)}
    for cell in notebook["cells"]:
        if grade(cell).get("grade"):
            grade(cell)["points"] = points[exercise_of(cell)]
    return notebook


@contextlib.contextmanager
def _nbgrader(folder: Path) -> Iterator[Any]:
    """nbgrader's API for the course, with the course's own config, which also sets the environment meanwhile."""
    from nbgrader.apps import NbGraderAPI
    from nbgrader.coursedir import CourseDirectory
    from traitlets.config import PyFileConfigLoader

    before = dict(os.environ)
    try:
        config = PyFileConfigLoader("nbgrader_config.py", path=str(folder)).load_config()
        config.CourseDirectory.root = str(folder)
        yield NbGraderAPI(CourseDirectory(config=config), config=config)
    finally:
        os.environ.clear()
        os.environ.update(before)


def _release(folder: Path, course: Any, name: str) -> str:
    """What students get, and the gradebook's entry about it."""
    if (folder / "release" / name / f"{name}.ipynb").exists():
        return "release kept"
    done = course.generate_assignment(name, force=False)
    if not done["success"]:
        errors = re.findall(r"^\s*(\w*(?:Error|Exception): .+)$", done.get("log") or "", re.M)
        raise ExerciseError(
            f"nbgrader made no release version of {name}.",
            why=errors[0] if errors else "nbgrader gives no reason",
            cure=f"Mend it and start again; or look closer: nbgrader generate_assignment {name}",
        )
    return "release written"


QUICK, LONG, SEARCH = 30, 300, 120  # seconds: a learner's cell, a lesson's own, the exercise that searches
SEARCHES = {"ex-06-3", "check-06-3"}
OWN = "trt_lessons_own"  # in the metadata of a submission's cells that are not the lesson's


def seconds(cell: dict) -> int:
    """How many seconds a cell may run while it is graded: learners' code and its checks stop early."""
    name = grade(cell).get("grade_id", "")
    if name in SEARCHES:
        return SEARCH
    return QUICK if name.startswith(("ex-", "check-")) or cell["metadata"].get(OWN) else LONG


# --- steps for nbgrader -----------------------------------------------------------------------------------


class LearnersVersion(Preprocessor):
    """Takes the solutions out, with the same stubs in their place as in a learner's own copy."""

    enabled = Bool(True).tag(config=True)

    def preprocess(self, nb: Any, resources: dict) -> tuple[Any, dict]:
        """The notebook without solutions."""
        handed_out = nbformat.from_dict(learners(nb))
        for cell in handed_out.cells:
            cell.source = source_of(cell)
        return handed_out, resources


class WholeLesson(Preprocessor):
    """Gives a submission the lesson's cells back, so that only answers are graded."""

    enabled = Bool(True).tag(config=True)

    def preprocess(self, nb: Any, resources: dict) -> tuple[Any, dict]:
        """The submission with the released lesson's cells; nbgrader runs this in the course's folder."""
        told = resources["nbgrader"]
        release = Path("release") / told["assignment"] / f"{told['notebook']}.ipynb"
        if release.exists():
            nb.cells = whole_lesson(nbformat.read(release, as_version=4).cells, nb.cells)
        return nb, resources


def whole_lesson(lesson: Sequence[Any], submitted: Sequence[Any]) -> list[Any]:
    """The submitted cells, with those of the lesson as they were handed out.

    Answers and cells that the student added stay; these are marked, as their time is limited. Other cells of the
    lesson get their text back, and a deleted cell comes back behind the one that it followed.
    """
    cells, known = list(submitted), {_key(cell) for cell in lesson}
    for cell in cells:
        if _key(cell) not in known:
            cell["metadata"][OWN] = True
    for before, cell in itertools.pairwise([None, *lesson]):
        there = [i for i, c in enumerate(cells) if _key(c) == _key(cell)]
        if not there:
            after = [i for i, c in enumerate(cells) if before is not None and _key(c) == _key(before)]
            cells.insert(max(after, default=-1) + 1, copy.deepcopy(cell))
        elif not grade(cell).get("solution"):
            for i in there:
                cells[i] = copy.deepcopy(cell)
    return cells


def _key(cell: Any) -> str:
    """What names a cell in every copy: nbgrader's id for exercises, else the notebook's own."""
    return grade(cell).get("grade_id") or cell.get("id", "")


def release_steps() -> list[type]:
    """nbgrader's steps from a source to its release, with `LearnersVersion` in the place of its ClearSolutions."""
    from nbgrader.converters import GenerateAssignment
    from nbgrader.preprocessors import ClearSolutions

    usual = GenerateAssignment.preprocessors.default()
    return [LearnersVersion if step is ClearSolutions else step for step in usual]


def sanitize_steps() -> list[type]:
    """nbgrader's steps before a submission runs, `WholeLesson` first."""
    from nbgrader.converters import Autograde

    return [WholeLesson, *Autograde.sanitize_preprocessors.default()]
