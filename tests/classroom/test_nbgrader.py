"""A course from beginning to end, headless: made, handed out, answered by students, graded, exported."""

from __future__ import annotations

import csv
import html
import json
import os
import runpy
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

from trt_lessons.cli import main
from trt_lessons.errors import ExerciseError
from trt_lessons.workbook import classroom
from trt_lessons.workbook.classroom.feedback import HINT
from trt_lessons.workbook.copies import grade, learners, solutions, source_of
from trt_lessons.workbook.exercises import all_exercises

pytest.importorskip("nbgrader", reason="nbgrader needs Python 3.11 or later")

ROOT = Path(__file__).parents[2]
START, FLOW, SMALL = "00_start_here", "02_inference_flow", "90_small"
CHECKS = """
from trt_lessons.workbook.exercises import exercise, right, wrong


def sums(answer):
    return right() if answer == 42 else wrong(yours=answer, expected="a sum", hint="add")
""" + "".join(f"\n\n@exercise('90.{n}', points={n})\ndef sum{n}(answer):\n    return sums(answer)\n" for n in (1, 2, 3))


def notebook(path: Path) -> nbformat.NotebookNode:
    """A notebook from disk."""
    return nbformat.read(path, as_version=4)


def tasks(cells: list) -> dict:
    """ "02.1" -> its cell to fill."""
    named = {grade(c)["grade_id"]: c for c in cells if grade(c).get("solution")}
    return {".".join(name.removeprefix("ex-").rsplit("-", 1)): c for name, c in named.items()}


def right(lesson: str) -> dict[str, str]:
    """Another right answer to each exercise."""
    return {k: v["alternative"] for k, v in _answers(lesson).items()}


def wrong(lesson: str) -> dict[str, str]:
    """A likely wrong answer to each exercise."""
    return {k: v["wrong"][0][0] for k, v in _answers(lesson).items()}


def _answers(lesson: str) -> dict:
    return runpy.run_path(str(ROOT / "tests" / "notebooks" / "answers" / f"{lesson}.py"))["ANSWERS"]


def small_lesson(folder: Path) -> Path:
    """A lesson that needs no torch: three exercises worth 1, 2 and 3 points, on a value of an ordinary cell."""

    def cell(name: str, source: str, **nbgrader: object) -> nbformat.NotebookNode:
        made = nbformat.v4.new_code_cell(source, id=name)
        common = {"schema_version": 3, "locked": False, "task": False, "grade": False, "solution": False}
        made.metadata["nbgrader"] = {**common, **nbgrader}
        return made

    cells = [
        nbformat.v4.new_markdown_cell("# Add numbers", id="title"),
        nbformat.v4.new_code_cell("import trt_lessons as tl", id="import"),
        nbformat.v4.new_code_cell("base = 40", id="base"),
    ]
    for n in (1, 2, 3):
        hint = f"<details><summary>Hint 1</summary>\n\nSum it up, {n}.\n</details>"
        cells.append(nbformat.v4.new_markdown_cell(hint, id=f"words{n}"))
        task = f"### BEGIN SOLUTION\nanswer{n} = base + 2\n### END SOLUTION"
        cells.append(cell(f"task{n}", task, solution=True, grade_id=f"ex-90-{n}"))
        check = f'tl.check("90.{n}", answer{n})'
        cells.append(cell(f"check{n}", check, grade=True, locked=True, points=1, grade_id=f"check-90-{n}"))
    (folder / "checks").mkdir(parents=True)
    (folder / "checks" / f"{SMALL}.py").write_text(CHECKS)
    spec = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=spec), folder / f"{SMALL}.ipynb")
    return folder / f"{SMALL}.ipynb"


class Course:
    """A course in a folder, and its students."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def submit(self, student: str, lesson: str, answers: dict[str, str]) -> nbformat.NotebookNode:
        """What a student hands in: the release with their answers; the notebook, to be damaged further."""
        book = notebook(self.folder / "release" / lesson / f"{lesson}.ipynb")
        for name, cell in tasks(book.cells).items():
            cell.source = answers.get(name, cell.source)
        self.write(student, lesson, book)
        return book

    def write(self, student: str, lesson: str, book: nbformat.NotebookNode) -> None:
        """Put a notebook where nbgrader collects it."""
        place = self.folder / "submitted" / student / lesson
        place.mkdir(parents=True, exist_ok=True)
        nbformat.write(book, place / f"{lesson}.ipynb")

    def nbgrader(self, *words: str) -> subprocess.CompletedProcess:
        """One of nbgrader's commands, as a teacher gives it."""
        told = ("TRT_LESSONS_GRADING", "TRT_LESSONS_BACKEND")
        env = {k: v for k, v in os.environ.items() if k not in told}
        command = [sys.executable, "-m", "nbgrader", *words]
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=400)

    def feedback(self, student: str, lesson: str) -> str:
        """The page that a student gets back, its text as one reads it."""
        done = self.nbgrader("generate_feedback", lesson, "--student", student)
        assert done.returncode == 0, done.stderr
        page = self.folder / "feedback" / student / lesson / f"{lesson}.html"
        return html.unescape(page.read_text("utf-8"))

    def grades(self) -> dict[tuple[str, str], tuple[float, float]]:
        """(student, lesson) -> (points, points to be had)."""
        done = self.nbgrader("export", "--to", "grades.csv")
        assert done.returncode == 0, done.stderr
        with (self.folder / "grades.csv").open() as file:
            rows = list(csv.DictReader(file))
        return {(r["student_id"], r["assignment"]): (float(r["raw_score"]), float(r["max_score"])) for r in rows}


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """Two lessons and a small one, released, by the command."""
    folder = tmp_path_factory.mktemp("class") / "course"
    small = small_lesson(folder.parent / "notebooks")
    assert main(["classroom", str(folder), "--lessons", "00", "02", str(small)]) == 0
    return Course(folder)


def test_release_has_no_solutions(course: Course) -> None:
    for lesson in (START, FLOW):
        source = notebook(ROOT / "notebooks" / f"{lesson}.ipynb")
        path = course.folder / "release" / lesson / f"{lesson}.ipynb"
        text, released = path.read_text(), notebook(path)
        assert "SOLUTION" not in text
        for name, cell in tasks(source.cells).items():
            [block] = solutions(source_of(cell))
            stub = tasks(released.cells)[name].source
            lines = [line.strip() for line in block.splitlines() if len(line.strip()) > 10]
            assert lines and not [line for line in lines if line in stub]
            assert json.dumps(block)[1:-1] not in text
        assert not [c for c in released.cells if c.cell_type == "code" and c.outputs]
        assert [c.id for c in released.cells] == [c.id for c in source.cells]
        assert (path.parent / "checks" / f"{lesson}.py").exists()
        assert (path.parent / "checks" / f"{lesson}.quiz.json").exists()


def test_release_is_like_the_learners_copy(course: Course) -> None:
    lesson = json.loads((ROOT / "notebooks" / f"{FLOW}.ipynb").read_text("utf-8"))
    copy = tasks(learners(lesson)["cells"])
    released = tasks(notebook(course.folder / "release" / FLOW / f"{FLOW}.ipynb").cells)
    assert {name: cell.source for name, cell in released.items()} == {n: source_of(c) for n, c in copy.items()}
    small = tasks(notebook(course.folder / "release" / SMALL / f"{SMALL}.ipynb").cells)
    assert small["90.1"].source == "# your code here\nanswer1 = ..."


def test_points_of_three_students(course: Course) -> None:
    course.submit("ada", FLOW, right(FLOW))
    course.submit("bob", FLOW, wrong(FLOW))
    course.submit("cyd", FLOW, {**right(FLOW), "02.2": wrong(FLOW)["02.2"]})
    done = course.nbgrader("autograde", FLOW)
    assert done.returncode == 0, done.stderr
    grades = course.grades()
    points = {e.id: e.points for e in all_exercises(ROOT / "notebooks" / "checks") if e.lesson == "02"}
    whole = sum(points.values())
    assert [grades[s, FLOW][0] for s in ("ada", "bob", "cyd")] == [whole, 0, whole - points["02.2"]]
    assert {grades[s, FLOW][1] for s in ("ada", "bob", "cyd")} == {whole} and len(points) == 3
    assert not (course.folder / "submitted" / "ada" / FLOW / ".progress.json").exists()


def test_damaged_submissions(course: Course) -> None:
    """Deleted cells come back, broken ones count against their exercise only, nothing at all is no points."""
    answers = {f"90.{n}": f"answer{n} = sum([base, 2])" for n in (1, 2, 3)}
    book = course.submit("dee", SMALL, answers)
    gone = {"base", "check1", "task2", "check2"}
    book.cells = [c for c in book.cells if c.id not in gone]
    course.write("dee", SMALL, book)
    book = course.submit("eve", SMALL, {**answers, "90.2": "answer2 = = 42"})
    book.cells[1].source = "this is not Python"
    book.cells[2].source = "base = 0"
    book.cells[-1].source = "pass  # the check is gone"
    book.cells.insert(1, nbformat.v4.new_code_cell("1 / 0"))
    course.write("eve", SMALL, book)
    noisy = "import warnings\nclass Noisy(int):\n    def __eq__(self, other):\n        warnings.warn('loud')\n"
    course.submit("fay", SMALL, {"90.3": noisy + "        return int(self) == other\nanswer3 = Noisy(42)"})
    course.submit("hal", SMALL, {**answers, "90.3": "import os\nos._exit(1)"})
    (course.folder / "submitted" / "gus" / SMALL).mkdir(parents=True)
    (course.folder / "submitted" / "gus" / SMALL / f"{SMALL}.ipynb").write_text("{ not a notebook")
    done = course.nbgrader("autograde", SMALL)
    grades = course.grades()
    assert [grades[s, SMALL] for s in ("dee", "eve", "fay")] == [(4, 6), (4, 6), (3, 6)], done.stderr
    for student in ("gus", "hal"):
        assert grades[student, SMALL] == (0, 6)
        assert f"for student '{student}'" in done.stderr


def test_an_endless_loop_costs_thirty_seconds(course: Course) -> None:
    """The other answers keep their points, and the feedback says what happened and gives the hints."""
    course.submit("ivy", SMALL, {"90.1": "answer1 = 42", "90.2": "while True:\n    pass", "90.3": "answer3 = 42"})
    start = time.monotonic()
    done = course.nbgrader("autograde", SMALL, "--student", "ivy")
    assert done.returncode == 0, done.stderr
    assert 30 <= time.monotonic() - start < 75
    assert course.grades()["ivy", SMALL] == (4, 6)
    page = course.feedback("ivy", SMALL)
    assert "This cell did not end in time and was stopped." in page
    assert "Exercise 90.2: 0 of 2 points" in page and "Exercise 90.3: 3 of 3 points" in page
    assert [page.count(f"Sum it up, {n}.") for n in (1, 2, 3)] == [1, 2, 1]


def test_a_loop_in_a_cell_of_ones_own_costs_no_more(course: Course) -> None:
    """Deadlines go by whose cell it is; what the lesson itself runs may take longer."""
    lesson = notebook(course.folder / "release" / SMALL / f"{SMALL}.ipynb").cells
    own = nbformat.v4.new_code_cell("while True: pass")
    whole = classroom.whole_lesson(lesson, [lesson[0], own, *lesson[1:]])
    limits = [classroom.seconds(cell) for cell in whole]
    assert limits[1] == 30 and limits[2] == 300 and limits.count(30) == 1 + 6


def test_feedback_names_each_exercise_and_holds_its_hints(course: Course) -> None:
    """Every hint of the lesson and of the checks, as nothing of bob's was right; ada needs none."""
    page = course.feedback("bob", FLOW)
    assert "you counted elements" in page
    told = [text for c in notebook(ROOT / "notebooks" / f"{FLOW}.ipynb").cells for text in HINT.findall(c.source)]
    assert len(told) >= 6
    for n in (1, 2, 3):
        worth = "2 points" if n == 3 else "1 point"
        assert f"Exercise 02.{n}: 0 of {worth}" in page and f"02.{n} not yet." in page
    assert page.count("The lesson's hints:") == 3 and page.count("<li>") >= 3 + len(told)
    best = course.feedback("ada", FLOW)
    assert "Exercise 02.3: 2 of 2 points" in best and "The lesson's hints:" not in best


def test_a_second_time_keeps_everything(course: Course, capsys: pytest.CaptureFixture) -> None:
    mine = course.folder / "source" / START / f"{START}.ipynb"
    mine.write_text(mine.read_text() + "\n")
    config = course.folder / "nbgrader_config.py"
    config.write_text(config.read_text() + "# mine\n")
    before = {p: p.read_bytes() for p in course.folder.rglob("*") if p.is_file() and p.suffix != ".db"}
    assert main(["classroom", str(course.folder), "--lessons", "00", "02"]) == 0
    said = capsys.readouterr().out
    assert "nbgrader_config.py: kept" in said
    assert f"{START}: source kept (it differs from today's lesson), release kept" in said
    assert f"{FLOW}: source kept, release kept" in said
    assert {p: p.read_bytes() for p in before} == before


def test_without_nbgrader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classroom.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ExerciseError, match="nbgrader is not installed"):
        classroom.make_course(tmp_path / "course", [])
    assert not (tmp_path / "course").exists()


def test_the_whole_lesson_again() -> None:
    """Order, own cells and answers stay; the lesson's other cells are as they were handed out."""

    def cell(name: str, source: str, grade_id: str = "") -> nbformat.NotebookNode:
        made = nbformat.v4.new_code_cell(source, id=name)
        if grade_id:
            made.metadata["nbgrader"] = {"grade_id": grade_id, "solution": grade_id.startswith("ex")}
        return made

    lesson = [cell("a", "a"), cell("b", "b"), cell("c", "stub", "ex-1"), cell("d", "check", "check-1")]
    theirs = [cell("own1", "x"), cell("b", "broken"), cell("other", "answer", "ex-1"), cell("own2", "y")]
    whole = classroom.whole_lesson(lesson, theirs)
    assert [c.source for c in whole] == ["a", "x", "b", "answer", "check", "y"]
    assert [c.source for c in classroom.whole_lesson(lesson, [])] == ["a", "b", "stub", "check"]
