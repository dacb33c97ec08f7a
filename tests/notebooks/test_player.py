"""Plays every exercise of every notebook in a kernel, as a learner would.

For each: the untouched cell fails kindly, each likely wrong answer gets its hint, another right answer
passes, and at last the solution of the source. `answers/<lesson>.py` holds the answers.
The notebook is the one of the Chinese edition, whose code is the same, and is run to its end: everything is said in
Chinese but what is answered to wrong answers, which is compared with the English hints.
Runs on both backends; measurements that have a name are recalled on a GPU too: `trt-lessons record` takes those.
"""

from __future__ import annotations

import runpy
from pathlib import Path

import nbformat
import pytest

from trt_lessons.messages import SETTING
from trt_lessons.workbook.copies import BLOCK, grade, learners, source_of
from trt_lessons.workbook.execute import client_for, environment
from trt_lessons.workbook.languages import edition

HERE = Path(__file__).parent
NOTEBOOKS = sorted((HERE.parents[1] / "notebooks").glob("*.ipynb"))
SECONDS_A_CELL = 300
ENGLISH = ("outcome:", "Your guess", "by keyboard", "exercises done", "samples/s")  # what the package has Chinese for
RECALLED = "from trt_lessons.records import recordings\nrecordings.recalling = lambda: True"


def answers_for(path: Path) -> dict:
    """ANSWERS of a lesson: {"02.1": {"alternative": code, "wrong": [(code, piece of the hint), ...]}}."""
    file = HERE / "answers" / f"{path.stem}.py"
    return runpy.run_path(str(file))["ANSWERS"] if file.exists() else {}


def id_of(cell: dict) -> str:
    """ "04_1.2" from nbgrader's grade_id "ex-04_1-2" or "check-04_1-2"."""
    return ".".join(grade(cell)["grade_id"].partition("-")[2].rsplit("-", 1))


class Player:
    """One kernel that has run the notebook up to an exercise."""

    def __init__(self, path: Path) -> None:
        self.notebook = nbformat.from_dict(edition.notebook(path, "zh-CN"))
        for cell in self.notebook.cells:
            cell.source = source_of(cell)
        self.stubs = [source_of(c) for c in learners(self.notebook)["cells"]]
        self.client = client_for(self.notebook, path, SECONDS_A_CELL)
        self.client.allow_errors = True
        self.problems: list[str] = []

    def run(self, index: int, source: str | None = None) -> str:
        """Run cell `index`, with another source where given; the text it prints, an error included."""
        cell = self.notebook.cells[index]
        kept = cell.source
        cell.source = kept if source is None else source
        try:
            self.client.execute_cell(cell, index)
        finally:
            cell.source = kept
        texts = [o.text for o in cell.outputs if o.output_type == "stream"]
        errors = [o for o in cell.outputs if o.output_type == "error"]
        if errors and "raises-exception" not in cell.metadata.get("tags", []):
            texts.append(f"ERROR {errors[-1].ename}: {errors[-1].evalue}")
        return "".join(texts)

    def speak(self, language: str) -> None:
        """What is said from now on is said in this language."""
        code = f"import os\nos.environ[{SETTING!r}] = {language!r}"
        self.client.execute_cell(nbformat.v4.new_code_cell(code), 0)

    def expect(self, what: str, text: str, *pieces: str) -> None:
        """Note a problem unless every piece stands in the text (and no error does)."""
        missing = [p for p in pieces if p not in text]
        if missing or "ERROR " in text:
            self.problems.append(f"{what}: wanted {missing or 'no error'}, got:\n{text}")

    def play(self, task: int, check: int, answers: dict) -> None:
        """One exercise: cells `task` and `check`, the answers of its file."""
        name = id_of(self.notebook.cells[task])

        def answer(source: str | None) -> str:
            printed = self.run(task, source)
            between = [self.run(i) for i in range(task + 1, check) if self.notebook.cells[i].cell_type == "code"]
            error = next((t for t in [printed, *between] if "ERROR " in t), "")
            return error + self.run(check)

        self.speak("en")
        solution = self.notebook.cells[task].source
        if BLOCK.search(solution):
            self.expect(f"{name} untouched", answer(self.stubs[task]), f"{name} not ")
        else:
            self.problems.append(f"{name}: no solution between the markers")
        for code, hint in answers.get("wrong", []):
            self.expect(f"{name} wrong answer {code!r}", answer(code), f"{name} not yet", hint)
        if "alternative" in answers:
            self.expect(f"{name} alternative", answer(answers["alternative"]), f"{name} right")
        self.speak("zh-CN")
        self.expect(f"{name} solution", answer(None), f"{name} 正确。")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_answers_are_listed(path: Path) -> None:
    """Each exercise has another right answer and three wrong ones; no exercise is listed that went away."""
    cells = nbformat.read(path, as_version=4).cells
    names = [id_of(c) for c in cells if grade(c).get("solution")]
    answers = answers_for(path)
    assert sorted(answers) == sorted(names)
    for name, listed in answers.items():
        assert listed["alternative"].strip(), name
        assert len(listed["wrong"]) >= 3, f"{name} lists {len(listed['wrong'])} wrong answers"
        assert len({code for code, _ in listed["wrong"]}) == len(listed["wrong"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_play(path: Path) -> None:
    """Every cell and every exercise of one notebook, in order, in one kernel."""
    player = Player(path)
    cells = player.notebook.cells
    listed = answers_for(path)
    checks = {id_of(c): i for i, c in enumerate(cells) if grade(c).get("grade")}
    with player.client.setup_kernel(env=environment()):
        player.client.execute_cell(nbformat.v4.new_code_cell(RECALLED), 0)
        player.speak("zh-CN")
        played = -1
        for index, cell in enumerate(cells):
            if cell.cell_type != "code" or index <= played:
                continue
            if grade(cell).get("solution"):
                name = id_of(cell)
                player.play(index, checks[name], listed.get(name, {}))
                played = checks[name]
                continue
            text = player.run(index)
            if "ERROR " in text:
                pytest.fail(f"cell {index} ({cell.id}) failed:\n{text}")
            player.problems += [f"{cell.id}: said in English: {word}" for word in ENGLISH if word in text]
    assert not player.problems, "\n\n".join(player.problems)
