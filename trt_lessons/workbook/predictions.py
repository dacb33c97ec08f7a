"""Guesses before the answer: `tl.predict` asks, `tl.outcome` puts the guess beside what happened. From lesson 00 on.

    tl.predict("02.a", "a plan", "None", "an exception")      # a choice
    tl.predict("02.b", unit="ms")                             # a number
    tl.predict("02.c")                                        # a sentence
    tl.outcome("02.b", timing)                                # 02.b  outcome: 0.54 ms   your guess: 1 ms, ...

A guess is kept with the progress; in the source notebooks as long as the kernel lives. Nothing waits for one.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from .. import progressbar
from ..errors import ExerciseError
from ..messages import joined, language, told
from ..records.words import number
from .keeping import keep, kept, now

LETTERS = "abcdefgh"
WIDTH = 88  # columns of an output line, so that print and PDF cut nothing


@dataclass(frozen=True)
class Question:
    """One prediction: a choice where there are choices, a number where there is a unit, else a sentence."""

    id: str
    choices: tuple[str, ...] = ()
    unit: str = ""

    def lines(self) -> list[str]:
        """What everybody reads, the same everywhere."""
        head = f"{self.id}  {told('Your guess: ')}"
        if not self.choices:
            if not self.unit:
                return [head + told("a sentence"), self.how()]
            number_of = f"a number{' of' if counts(self.unit) else ', in'} {self.unit}"
            asked = told(number_of).replace(self.unit, told(self.unit))  # its translation may have a blank in it
            return [head + asked, self.how()]
        choices = [f"{letter}) {told(text)}" for letter, text in zip(LETTERS, self.choices, strict=False)]
        line = head + "  ".join(choices)
        if len(line) > WIDTH:
            return [head.rstrip(), *(f"  {choice}" for choice in choices), self.how()]
        return [line, self.how()]

    def how(self) -> str:
        """How to answer by keyboard."""
        if self.choices:
            return told(f'  by keyboard: tl.predict("{self.id}", ..., guess="b")')
        number_like = "15" if counts(self.unit) and self.unit != "times" else "1.5"  # nobody guesses 1.5 pictures
        example = number_like if self.unit else '"because ..."'
        return told(f'  by keyboard: tl.predict("{self.id}", guess={example})')

    def read(self, guess: object) -> str | float:
        """The guess as it is kept: a choice's text, a number, or a sentence. ValueError says what is wrong with it."""
        if self.choices:
            return self._choice(guess)
        if self.unit:
            return _number(guess, self.unit)
        if isinstance(guess, (int, float)) and not isinstance(guess, bool):
            return float(guess)
        if not str(guess).strip():
            raise ValueError(told("The sentence is empty. Write a few words."))
        return str(guess).strip()

    def _choice(self, guess: object) -> str:
        text = plain(guess).strip()
        for choice in self.choices:
            if text.casefold() in (choice.casefold(), told(choice).casefold()):
                return choice
        letter = text.casefold().rstrip(")")
        if len(letter) == 1 and letter in LETTERS[: len(self.choices)]:
            return self.choices[LETTERS.index(letter)]
        last = LETTERS[len(self.choices) - 1]
        raise ValueError(told(f"{text!r} is not among the choices. Give a letter from a to {last}."))

    def show(self, guess: str | float) -> str:
        """A guess in words, with its letter or its unit."""
        if self.choices:
            return f"{LETTERS[self.choices.index(guess)]}) {told(guess)}" if guess in self.choices else str(guess)
        return _with_unit(guess, self.unit) if isinstance(guess, float) else str(guess)


_asked: dict[str, Question] = {}
_guesses: dict[str, str | float] = {}  # of this kernel, for the source notebooks, which keep no progress


def predict(prediction: str, *choices: object, unit: str = "", guess: object = None) -> None:
    """Ask for a guess: radio buttons, a number or a sentence where a notebook is watched, and always in words.

    prediction: the lesson and a letter, "02.a". choices: what it may be; none: a number in `unit`, or a sentence.
    guess: the answer by keyboard: a choice's letter, a number, a sentence. A guess that does not fit is told, and
    nothing is kept. Raises ExerciseError for what is not the name of a prediction.
    """
    _check_name(prediction)
    again = not unit and (not choices or choices == (...,))
    question = _asked.get(prediction) if again else None
    if question is None:
        if choices == (...,):
            words = f'The choices are not known yet. Run the cell with tl.predict("{prediction}", ...) first.'
            print(f"{prediction}  {told(words)}")
            return
        if choices and not 2 <= len(choices) <= len(LETTERS):
            cure = f"Give 2 to {len(LETTERS)} choices, or none."
            raise ExerciseError(f"The prediction {prediction} has {len(choices)} choices.", cure=cure)
        question = Question(prediction, tuple(plain(choice) for choice in choices), unit)
    _asked[prediction] = question
    if guess is not None:
        print(_take(question, guess))
        return
    print("\n".join(question.lines()))
    held = guess_of(prediction)
    if progressbar.in_notebook():
        _show_widget(question, held)
    elif held is not None:
        print("  " + joined(told("kept:"), question.show(held)))


def outcome(prediction: str, value: object, unit: str | None = None) -> None:
    """Print what happened and, beside it, the guess and how far it is off. Nothing is asked and nothing returned.

    value: a number, text, a dtype, None, a bool, or a Measurement (its median in ms). unit: None takes the
    prediction's, or a Measurement's.
    """
    _check_name(prediction)
    question = _asked.get(prediction, Question(prediction))
    value, unit = _plain_value(value, question.unit if unit is None else unit)
    if question.choices:
        value = _among(question.choices, value)
    shown = told(str(value)) if question.choices else _with_unit(value, unit)
    line = f"{prediction}  {joined(told('outcome:'), shown)}"
    guess = guess_of(prediction)
    if guess is not None:
        line += "   " + joined(told("your guess:"), _beside(question, guess, value, unit))
    print(line)


def guess_of(prediction: str) -> str | float | None:
    """The guess that is kept for a prediction, or None."""
    found = kept("guesses").get(prediction, {})
    guess = found.get("guess") if isinstance(found, dict) else None
    return guess if isinstance(guess, (str, float)) else _guesses.get(prediction)


def plain(value: object) -> str:
    """A value in one line, as a choice says it: "None", "float32", "a plan"."""
    if isinstance(value, type):
        return value.__name__
    text = value if isinstance(value, str) else str(value)
    if not isinstance(value, str) and re.fullmatch(r"\w+(\.\w+)+", text) and not _is_number(value):
        text = text.rpartition(".")[2]  # DataType.FLOAT, torch.float32
    return " ".join(text.split())


def counts(unit: str) -> bool:
    """Whether a unit is what is counted (pictures, times), and not a measure (ms, MB, %)."""
    return len(unit) >= 4 and unit.isalpha()


def _check_name(prediction: str) -> None:
    if not re.fullmatch(r"\d\d(_\d)?\.[a-z]", str(prediction)):
        cure = 'It is the lesson, a dot and a letter, in quotation marks: "02.a".'
        raise ExerciseError(f"{prediction!r} is not the name of a prediction.", cure=cure)


def _take(question: Question, guess: object) -> str:
    """Keep a guess; a line about it, or about what is wrong with it."""
    try:
        read = question.read(guess)
    except ValueError as error:
        return f"{question.id}  {error}\n{question.how()}"
    _guesses[question.id] = read
    keep("guesses", question.id, {"guess": read, "when": now()})
    return f"{question.id}  {joined(told('Kept, your guess:'), question.show(read))}"


def _number(guess: object, unit: str) -> float:
    text = str(guess).strip().removesuffix(unit).strip()
    if "," in text and "." not in text:
        text = text.replace(",", "." if len(text.rpartition(",")[2]) != 3 else "")
    try:
        value = float(text.replace(",", "").replace("_", ""))
    except ValueError:
        value = math.nan
    if isinstance(guess, bool) or not math.isfinite(value):
        raise ValueError(told(f"{str(guess)!r} is not a number. Give one, in {told(unit)}: 1.5"))
    return value


# --- the outcome ------------------------------------------------------------------------------------------


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _plain_value(value: Any, unit: str) -> tuple[object, str]:
    """A number or a line of text, and its unit."""
    if hasattr(value, "source") and hasattr(value, "value"):  # a Recorded
        value = value.value
    if hasattr(value, "series") and hasattr(value, "median"):
        return float(value.median()), unit or "ms"
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        value = value.item()
    if _is_number(value):
        return value, unit
    return plain(value), unit


def _with_unit(value: object, unit: str) -> str:
    if not _is_number(value):
        return str(value)
    whole = float(value).is_integer() and abs(value) < 1e15
    text = f"{int(value):,}" if whole else number(value) if math.isfinite(value) else str(value)
    if text == "1" and counts(unit) and unit != "times" and language() == "en":  # 1 picture, 1 query
        unit = re.sub(r"ie$", "y", unit.removesuffix("s"))
    return f"{text} {told(unit)}".rstrip()


def _among(choices: tuple[str, ...], value: object) -> object:
    """The choice that the outcome is: by its text, its letter, or yes and no for True and False."""
    text = plain(value)
    words = {"true": "yes", "false": "no"}
    for wanted in (text.casefold(), words.get(text.casefold())):
        for choice in choices:
            if choice.casefold() == wanted:
                return choice
    if len(text) == 1 and text in LETTERS[: len(choices)]:
        return choices[LETTERS.index(text)]
    return value


def _beside(question: Question, guess: str | float, value: object, unit: str) -> str:
    shown = _with_unit(guess, unit) if isinstance(guess, float) else str(guess)
    if question.choices:
        shown = told(shown)
        if value not in question.choices:
            return shown
        return told(f"{shown}, {'the same' if guess == value else 'not the same'}")
    if isinstance(guess, str) or not _is_number(value):
        return shown
    if guess == value:
        return told(f"{shown}, the same")
    if value == 0 or guess / value < 0:
        return told(f"{shown}, {_with_unit(abs(guess - value), unit)} off")
    return told(f"{shown}, {number(guess / value, 2)} times the outcome")


# --- widgets ----------------------------------------------------------------------------------------------


def widget(question: Question, held: str | float | None = None) -> Any:
    """The question as ipywidgets, which keep the guess at each change. held: the guess that is kept by now."""
    import ipywidgets

    said = ipywidgets.Label()
    say(said, joined(told("kept:"), question.show(held)) if held is not None else "")
    if question.choices:
        there = held if held in question.choices else None
        shown = [(told(choice), choice) for choice in question.choices]
        options = shown if any(one != other for one, other in shown) else question.choices
        field = ipywidgets.RadioButtons(options=options, value=there, layout={"width": "auto"})
    elif question.unit:
        start = "" if held is None else question.show(held).removesuffix(told(question.unit)).strip()
        field = ipywidgets.Text(
            value=start, placeholder=told("a number"), continuous_update=False, layout={"width": "16em"}
        )
    else:
        start = "" if held is None else str(held)
        field = ipywidgets.Textarea(value=start, placeholder=told("a sentence"), continuous_update=False, rows=2)
        field.layout.width = "95%"
    field.description = told("Your guess")
    field.tooltip = told(f"Your guess for {question.id}")

    def changed(change: dict) -> None:
        if change["new"] in (None, ""):
            return
        say(said, _take(question, change["new"]).splitlines()[0].partition("  ")[2])

    field.observe(changed, names="value")
    unit = [ipywidgets.Label(value=told(question.unit))] if question.unit and not question.choices else []
    return ipywidgets.VBox([ipywidgets.HBox([field, *unit]), said])


def say(place: Any, text: str) -> None:
    """Put words into a Label or HTML widget; an empty one takes no room, or a strip of nothing stood there."""
    place.value = text
    place.layout.display = None if text else "none"


def _show_widget(question: Question, held: str | float | None) -> None:
    try:
        from IPython.display import display

        display(widget(question, held))
    except ImportError:  # without ipywidgets the words are there, and the keyboard
        return
