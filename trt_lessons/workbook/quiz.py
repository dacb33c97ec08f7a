"""Five questions at a lesson's end, each choice with its reason: `tl.quiz("02")`. Introduced in lesson 00.

They stand in `checks/<lesson>.quiz.json` beside the lesson's checks:

    {"questions": [{"ask": "...", "choices": [{"text": "...", "why": "..."}, ...], "right": 1}, ...]}

Answers are kept with the progress: letters from a on, "-" for none.
"""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from .. import progressbar
from ..errors import ExerciseError
from ..files import lesson_number, lesson_order
from ..messages import joined, language, told
from .execute import padded
from .keeping import check_folders, keep, kept, now
from .predictions import LETTERS, WIDTH, say

SUFFIX = ".quiz.json"


@dataclass(frozen=True)
class Asked:
    """One question. choices: (text, why) of each; right: the place of the right one, from 0."""

    ask: str
    choices: tuple[tuple[str, str], ...]
    right: int

    def verdict(self, letter: str) -> str:
        """What somebody reads who answered with this letter."""
        place = LETTERS.index(letter)
        verdict = told("right:" if place == self.right else "not right:")
        return f"{letter}) {joined(verdict, self.choices[place][1])}"


def quiz(lesson: str, answers: str | None = None) -> None:
    """Ask a lesson's five questions, or answer them: `tl.quiz("02", "b a c d a")`.

    lesson: its number, "02" or "04_1". answers: one letter for each question, "-" for one that is left out. Where a
    notebook is watched, buttons stand below the questions. Raises ExerciseError where the lesson has no questions or
    its file cannot be read; answers that do not fit are told, and nothing is kept.
    """
    asked = read(find(lesson))
    if answers is not None:
        print("\n".join(_answer(lesson, asked, answers)))
        return
    print("\n".join(_question_lines(lesson, asked)))
    before = _kept_letters(lesson, asked)
    if progressbar.in_notebook():
        _show_buttons(lesson, asked, before)
    elif before.strip("-"):
        print(told(f"Your answers: {' '.join(before)} ({_count(asked, before)} of {len(asked)} right)"))


def files(folder: Path) -> dict[str, Path]:
    """Lesson number -> file with its questions, in order."""
    return {lesson_number(path.name): path for path in sorted(folder.glob(f"[0-9]*{SUFFIX}"), key=lesson_order)}


def find(lesson: str) -> Path:
    """The file with a lesson's questions."""
    for folder in check_folders():
        found = files(folder).get(padded(str(lesson)))
        if found:
            return found
    raise ExerciseError(
        f"There are no questions for the lesson {lesson!r}.",
        why=f"no file checks/{lesson}_*{SUFFIX} was found",
        cure='Give the lesson\'s number: tl.quiz("02"); `trt-lessons lab` writes the questions anew.',
    )


def read(file: Path) -> list[Asked]:
    """The questions in a file. Raises ExerciseError that says what is wrong with it."""
    try:
        questions = json.loads(file.read_text("utf-8"))["questions"]
        found = [_question(one) for one in questions]
        if not found:
            raise ValueError("it has no question")
        return found
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        cure = "Start `trt-lessons lab` again; it writes the questions as they came."
        raise ExerciseError(f"The questions in {file.name} cannot be read.", why=why, cure=cure) from error


def _question(one: dict) -> Asked:
    choices = tuple((str(choice["text"]), str(choice["why"])) for choice in one["choices"])
    right = one["right"]
    if not 2 <= len(choices) <= len(LETTERS):
        raise ValueError(f"{one['ask']!r} has {len(choices)} choices, and 2 to {len(LETTERS)} can be asked")
    if isinstance(right, bool) or not isinstance(right, int) or not 0 <= right < len(choices):
        raise ValueError(f"{one['ask']!r}: right is {right!r}, and its choices are 0 to {len(choices) - 1}")
    return Asked(str(one["ask"]), choices, right)


# --- in words ---------------------------------------------------------------------------------------------


def _wrapped(first: str, text: str) -> list[str]:
    if language() != "en":  # Chinese has no blanks to break at; Jupyter breaks the line
        return [first + text]
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=" " * len(first)) or [first]


def _question_lines(lesson: str, asked: list[Asked]) -> list[str]:
    lines = []
    for place, question in enumerate(asked, 1):
        lines += _wrapped(f"{place}. ", question.ask)
        for letter, (text, _) in zip(LETTERS, question.choices, strict=False):
            lines += _wrapped(f"   {letter}) ", text)
    example = " ".join(LETTERS[i % 3] for i in range(1, len(asked) + 1))
    return [*lines, told(f'by keyboard: tl.quiz("{lesson}", "{example}")')]


def _letters(asked: list[Asked], answers: str) -> str:
    """Answers as one letter a question; ValueError says what does not fit."""
    text = answers if isinstance(answers, str) else "".join(map(str, answers))
    found = re.sub(r"[\s,;.)]", "", text).casefold()
    if len(found) != len(asked):
        raise ValueError(f"{len(found)} answers, and there are {len(asked)} questions")
    for place, (letter, question) in enumerate(zip(found, asked, strict=True), 1):
        last = LETTERS[len(question.choices) - 1]
        if letter != "-" and letter not in LETTERS[: len(question.choices)]:
            raise ValueError(f"{letter!r} is no choice of question {place}, which has a to {last}")
    return found


def _answer(lesson: str, asked: list[Asked], answers: str) -> list[str]:
    """Keep answers, and the lines that the learner reads."""
    try:
        letters = _letters(asked, answers)
    except ValueError as error:
        cure = f'Give one letter for each question, "-" for one left out: tl.quiz("{lesson}", "{"-" * len(asked)}")'
        return [f"{lesson}: {told(f'{error}.')}", told(cure)]
    _keep(lesson, asked, letters)
    lines = []
    for place, (letter, question) in enumerate(zip(letters, asked, strict=True), 1):
        lines += _wrapped(f"{place}. ", question.verdict(letter) if letter != "-" else told("not answered yet"))
    return [*lines, told(f"{_count(asked, letters)} of {len(asked)} right")]


def _count(asked: list[Asked], letters: str) -> int:
    return sum(letter == LETTERS[one.right] for letter, one in zip(letters, asked, strict=True))


# --- kept -------------------------------------------------------------------------------------------------


def _keep(lesson: str, asked: list[Asked], letters: str) -> None:
    keep("quizzes", lesson, {"answers": letters, "right": _count(asked, letters), "of": len(asked), "when": now()})


def _kept_letters(lesson: str, asked: list[Asked]) -> str:
    """The answers that are kept; dashes where none are, or where they are of other questions."""
    try:
        return _letters(asked, kept("quizzes")[lesson]["answers"])
    except (KeyError, TypeError, ValueError):
        return "-" * len(asked)


def results(data: dict) -> dict[str, str]:
    """Lesson -> "4 of 5", out of a progress file's data."""
    found = data.get("quizzes")
    rows = found.items() if isinstance(found, dict) else []
    return {k: f"{v['right']} of {v['of']}" for k, v in rows if isinstance(v, dict) and {"right", "of"} <= set(v)}


# --- buttons ----------------------------------------------------------------------------------------------


def widget(lesson: str, asked: list[Asked], before: str = "") -> Any:
    """A sheet of buttons, one row a question; each answer is kept and answered with its reason at once."""
    import ipywidgets

    letters = list(before or "-" * len(asked))
    total = ipywidgets.HTML()

    def count_of() -> str:
        return f"{_count(asked, ''.join(letters))} of {len(asked)} right"

    def count() -> None:
        say(total, f"<b>{told(count_of())}</b>" if set(letters) != {"-"} else "")

    def row(place: int) -> Any:
        question = asked[place]
        reason = ipywidgets.HTML(layout={"margin": "0 0 0 1em"})
        options = list(LETTERS[: len(question.choices)])
        start = letters[place] if letters[place] in options else None
        buttons = ipywidgets.ToggleButtons(options=options, value=start, description=told(f"Question {place + 1}"))
        buttons.tooltips = [text for text, _ in question.choices]
        buttons.style.button_width = "3em"

        def changed(change: dict) -> None:
            if change["new"] is None:
                return
            letters[place] = change["new"]
            _keep(lesson, asked, "".join(letters))
            say(reason, escape(question.verdict(change["new"])))
            count()

        buttons.observe(changed, names="value")
        say(reason, escape(question.verdict(start)) if start else "")
        return ipywidgets.VBox([buttons, reason])

    rows = [row(place) for place in range(len(asked))]
    count()
    return ipywidgets.VBox([*rows, total])


def _show_buttons(lesson: str, asked: list[Asked], before: str) -> None:
    try:
        from IPython.display import display

        display(widget(lesson, asked, before))
    except ImportError:  # without ipywidgets the words are there, and the keyboard
        return
