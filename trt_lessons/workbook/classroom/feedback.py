"""What a learner gets back: nbgrader's feedback with the exercises by name, and the hints where points lack."""

from __future__ import annotations

import re
from typing import Any

import nbformat
from nbconvert.preprocessors import Preprocessor
from traitlets import Bool

from ..copies import grade, source_of

HINT = re.compile(r"<details>\s*<summary>Hint[^<]*</summary>(.*?)</details>", re.S)
TIMED_OUT = {
    "ename": "CellTimeoutError",
    "evalue": "",
    "traceback": [
        "This cell did not end in time and was stopped. Is there a loop whose condition never becomes false? "
        "Run it in your own copy, and stop it there with Kernel, Interrupt."
    ],
}


class WithHints(Preprocessor):
    """Names each exercise with its points on top, and puts the lesson's hints below the checks that cost points."""

    enabled = Bool(True).tag(config=True)

    def preprocess(self, nb: Any, resources: dict) -> tuple[Any, dict]:
        """The graded notebook with a list of exercises, and hints; nbgrader's GetGrades ran before."""
        cells, told, words = [], [], ""
        for cell in nb.cells:
            cells.append(cell)
            words += source_of(cell) if cell["cell_type"] == "markdown" else ""
            if not grade(cell).get("grade"):
                continue
            line = points(cell)
            told.append(f"- {line}")
            if grade(cell)["score"] < grade(cell)["points"]:
                cells.append(_markdown(f"**{line}.** The lesson's hints:\n\n{hints(words)}", len(told)))
            words = ""
        nb.cells = [_markdown("**Your exercises**\n\n" + "\n".join(told), 0), *cells]
        return nb, resources


def exercise_of(cell: dict) -> str:
    """ "02.1", of the cell that holds its answer or its check; "" of other cells."""
    found = re.fullmatch(r"(?:ex|check)-(.+)-(\w+)", grade(cell).get("grade_id", ""))
    return f"{found[1]}.{found[2]}" if found else ""


def points(cell: dict) -> str:
    """A check's exercise with its points in words."""
    told = grade(cell)
    return f"Exercise {exercise_of(cell)}: {told['score']:g} of {told['points']:g} point{'s' * (told['points'] != 1)}"


def hints(words: str) -> str:
    """The hints that stand in this text, as a list."""
    found = [" ".join(hint.split()) for hint in HINT.findall(words)]
    return "\n".join(f"{number}. {hint}" for number, hint in enumerate(found, 1)) or "none"


def _markdown(text: str, number: int) -> Any:
    return nbformat.v4.new_markdown_cell(text, id=f"feedback-{number}")


def feedback_steps() -> list[type]:
    """nbgrader's steps from a graded notebook to its feedback, `WithHints` behind the grades."""
    from nbgrader.converters import GenerateFeedback
    from nbgrader.preprocessors import GetGrades

    usual = GenerateFeedback.preprocessors.default()
    where = usual.index(GetGrades) + 1
    return [*usual[:where], WithHints, *usual[where:]]
