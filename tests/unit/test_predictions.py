"""Guesses: asked in words that are the same everywhere, read, kept, and put beside what happened."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from trt_lessons import outcome, predict, progressbar
from trt_lessons.errors import ExerciseError
from trt_lessons.records.measurement import Measurement
from trt_lessons.records.recordings import Recorded
from trt_lessons.workbook import keeping, predictions

CHOICES = ("a plan", "None", "an exception")


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like a workbook's; the current folder, in a kernel that has asked nothing yet."""
    (tmp_path / ".manifest.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRT_LESSONS_PROGRESS_FILE", raising=False)
    new_kernel(monkeypatch)
    return tmp_path


def new_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "_asked", {})
    monkeypatch.setattr(predictions, "_guesses", {})


def kept(book: Path) -> dict:
    return json.loads((book / ".progress.json").read_text())["guesses"]


def said(capsys, prediction: str, *choices, **more) -> str:
    predict(prediction, *choices, **more)
    return capsys.readouterr().out


def told(capsys, prediction: str, value, **more) -> str:
    assert outcome(prediction, value, **more) is None
    return capsys.readouterr().out.rstrip("\n")


def test_the_words_are_the_same_everywhere(book: Path, capsys) -> None:
    assert said(capsys, "02.a", *CHOICES) == (
        '02.a  Your guess: a) a plan  b) None  c) an exception\n  by keyboard: tl.predict("02.a", ..., guess="b")\n'
    )
    assert said(capsys, "02.b", unit="ms") == (
        '02.b  Your guess: a number, in ms\n  by keyboard: tl.predict("02.b", guess=1.5)\n'
    )
    assert said(capsys, "02.c").startswith("02.c  Your guess: a sentence\n")
    assert "guess=15)" in said(capsys, "02.d", unit="pictures") and "guess=1.5)" in said(capsys, "02.e", unit="times")
    assert not (book / ".progress.json").exists()


@pytest.mark.parametrize(
    ("unit", "asked", "one"),
    [
        ("ms", "a number, in ms", "1 ms"),
        ("%", "a number, in %", "1 %"),
        ("pictures", "a number of pictures", "1 picture"),
        ("queries", "a number of queries", "1 query"),
        ("times", "a number of times", "1 times"),
    ],
)
def test_units_that_count_and_units_that_measure(book: Path, capsys, unit: str, asked: str, one: str) -> None:
    assert said(capsys, "02.a", unit=unit).startswith(f"02.a  Your guess: {asked}\n")
    assert told(capsys, "02.a", 1) == f"02.a  outcome: {one}"


def test_long_choices_stand_below_each_other(book: Path, capsys) -> None:
    lines = said(capsys, "02.a", *(f"{word} " * 9 for word in ("one", "two", "three"))).splitlines()
    assert lines[0] == "02.a  Your guess:" and [line[:5] for line in lines[1:4]] == ["  a) ", "  b) ", "  c) "]


@pytest.mark.parametrize("guess", ["b", "B", "b)", "None", "none"])
def test_a_choice_by_letter_or_by_its_text(book: Path, capsys, guess: str) -> None:
    predict("02.a", *CHOICES)
    capsys.readouterr()
    assert said(capsys, "02.a", ..., guess=guess) == "02.a  Kept, your guess: b) None\n"
    assert kept(book)["02.a"]["guess"] == "None" and kept(book)["02.a"]["when"]


@pytest.mark.parametrize(
    ("guess", "number"),
    [
        (3, 3.0),
        (0.5, 0.5),
        ("0.5", 0.5),
        ("0,5", 0.5),
        ("3 ms", 3.0),
        ("1,500", 1500.0),
        ("1,234.5", 1234.5),
        ("1e-3", 0.001),
    ],
)
def test_a_number(book: Path, capsys, guess: object, number: float) -> None:
    predict("02.b", unit="ms")
    predict("02.b", guess=guess)
    assert kept(book)["02.b"]["guess"] == number


def test_a_sentence(book: Path, capsys) -> None:
    predict("02.c", guess="  because the host is slow ")
    assert kept(book)["02.c"]["guess"] == "because the host is slow"
    assert told(capsys, "02.c", "the host waits").endswith("   your guess: because the host is slow")


@pytest.mark.parametrize(
    ("choices", "unit", "guess", "words"),
    [
        (CHOICES, "", "d", "'d' is not among the choices. Give a letter from a to c."),
        (CHOICES, "", 7, "'7' is not among the choices"),
        (CHOICES, "", "", "'' is not among the choices"),
        ((), "ms", "quick", "'quick' is not a number. Give one, in ms"),
        ((), "ms", float("nan"), "'nan' is not a number"),
        ((), "ms", float("inf"), "'inf' is not a number"),
        ((), "ms", True, "'True' is not a number"),
        ((), "", "   ", "The sentence is empty"),
    ],
)
def test_a_guess_that_does_not_fit_is_told(book: Path, capsys, choices, unit, guess, words) -> None:
    out = said(capsys, "02.a", *choices, unit=unit, guess=guess)
    assert words in out and "by keyboard: tl.predict(" in out
    assert not (book / ".progress.json").exists()


def test_the_keyboards_way_before_the_question(book: Path, capsys) -> None:
    assert "not known yet" in said(capsys, "02.a", ..., guess="b")


@pytest.mark.parametrize("name", ["02", "02.1", "a.02", "", "2.a", "02.ab"])
def test_not_the_name_of_a_prediction(name: str) -> None:
    with pytest.raises(ExerciseError, match="not the name of a prediction"):
        predict(name)
    with pytest.raises(ExerciseError, match="not the name of a prediction"):
        outcome(name, 1)


@pytest.mark.parametrize("count", [1, 9])
def test_a_question_has_two_to_eight_choices(book: Path, count: int) -> None:
    with pytest.raises(ExerciseError, match=f"has {count} choices"):
        predict("02.a", *map(str, range(count)))


def test_without_a_guess_only_the_outcome(book: Path, capsys) -> None:
    predict("02.a", *CHOICES)
    capsys.readouterr()
    assert told(capsys, "02.a", None) == "02.a  outcome: None"
    assert told(capsys, "02.z", 3) == "02.z  outcome: 3"


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (None, "None   your guess: None, the same"),
        ("b", "None   your guess: None, the same"),
        ("a plan", "a plan   your guess: None, not the same"),
        ("something else", "something else   your guess: None"),
    ],
)
def test_a_choice_beside_the_outcome(book: Path, capsys, value, line: str) -> None:
    predict("02.a", *CHOICES)
    predict("02.a", ..., guess="b")
    capsys.readouterr()
    assert told(capsys, "02.a", value) == f"02.a  outcome: {line}"


@pytest.mark.parametrize(("value", "same"), [(True, "the same"), (False, "not the same"), (np.bool_(True), "the same")])
def test_yes_and_no(book: Path, capsys, value, same: str) -> None:
    predict("02.a", "yes", "no")
    predict("02.a", ..., guess="a")
    capsys.readouterr()
    assert told(capsys, "02.a", value).endswith(f"your guess: yes, {same}")


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (0.5, "0.500 ms   your guess: 2 ms, 4.0 times the outcome"),
        (np.float32(4), "4 ms   your guess: 2 ms, 0.50 times the outcome"),
        (2, "2 ms   your guess: 2 ms, the same"),
        (0, "0 ms   your guess: 2 ms, 2 ms off"),
        (-1, "-1 ms   your guess: 2 ms, 3 ms off"),
        ("no time at all", "no time at all   your guess: 2 ms"),
        (float("inf"), "inf ms   your guess: 2 ms, 0 times the outcome"),
    ],
)
def test_a_number_beside_the_outcome(book: Path, capsys, value, line: str) -> None:
    predict("02.b", unit="ms")
    predict("02.b", guess=2)
    capsys.readouterr()
    assert told(capsys, "02.b", value) == f"02.b  outcome: {line}"


def test_a_measurement_and_a_recording_are_a_number(book: Path, capsys) -> None:
    timing = Measurement({"compute": np.array([0.2, 0.25, 0.9])}, 1.0, 1, 1.0)
    assert told(capsys, "02.b", timing) == "02.b  outcome: 0.250 ms"
    assert told(capsys, "02.b", Recorded(timing, "recorded", None)) == "02.b  outcome: 0.250 ms"
    assert told(capsys, "02.b", Recorded(12, "recorded", None), unit="layers") == "02.b  outcome: 12 layers"


def test_dtypes(book: Path, capsys) -> None:
    from trt_lessons import trt

    assert told(capsys, "02.d", np.dtype("float16")) == "02.d  outcome: float16"
    assert told(capsys, "02.d", np.float16) == "02.d  outcome: float16"
    assert told(capsys, "02.d", trt.float16) == "02.d  outcome: HALF"


def test_a_guess_outlives_the_kernel(book: Path, capsys, monkeypatch) -> None:
    predict("02.b", unit="ms")
    predict("02.b", guess=3)
    new_kernel(monkeypatch)
    assert said(capsys, "02.b", unit="ms").endswith("  kept: 3 ms\n")
    assert told(capsys, "02.b", 1.0).endswith("your guess: 3 ms, 3.0 times the outcome")


def test_the_source_notebooks_keep_it_as_long_as_the_kernel_lives(book: Path, capsys, monkeypatch) -> None:
    (book / ".manifest.json").unlink()
    predict("02.b", unit="ms")
    predict("02.b", guess=3)
    capsys.readouterr()
    assert "your guess: 3 ms" in told(capsys, "02.b", 1.0)
    new_kernel(monkeypatch)
    assert told(capsys, "02.b", 1.0) == "02.b  outcome: 1"
    assert list(book.iterdir()) == []


def test_other_progress_stays(book: Path) -> None:
    before = {"version": 1, "done": {"02.1": {"points": 1, "when": ""}}, "tries": {"02.1": 2}, "share": "Ada"}
    (book / ".progress.json").write_text(json.dumps(before))
    predict("02.c", guess="it waits")
    data = json.loads((book / ".progress.json").read_text())
    assert {key: data[key] for key in before} == before and data["guesses"]["02.c"]["guess"] == "it waits"


@pytest.mark.parametrize(
    "damaged", ["{cut", '{"done": {}, "tries": {}, "guesses": 7}', '{"done":{},"tries":{},"guesses":{"02.c":1}}']
)
def test_damaged_progress(book: Path, capsys, damaged: str) -> None:
    (book / ".progress.json").write_text(damaged)
    assert told(capsys, "02.c", 1).endswith("02.c  outcome: 1")
    predict("02.c", guess="it waits")
    assert kept(book)["02.c"]["guess"] == "it waits"


def test_a_full_disk_stops_nobody(book: Path, capsys, monkeypatch) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keeping, "write_atomically", full)
    assert "No space left on device" in said(capsys, "02.c", guess="it waits")
    assert told(capsys, "02.c", 1).endswith("your guess: it waits")


# --- widgets ----------------------------------------------------------------------------------------------


@pytest.fixture
def watched(book: Path, monkeypatch) -> list:
    """Somebody watches a notebook: what is displayed."""
    shown: list = []
    monkeypatch.setattr(progressbar, "in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", shown.append)
    return shown


def field_of(widget):
    return widget.children[0].children[0]


def test_radio_buttons_keep_the_guess_at_each_change(watched, book: Path, capsys) -> None:
    assert said(capsys, "02.a", *CHOICES).startswith("02.a  Your guess: a) a plan")
    field = field_of(watched[0])
    assert field.value is None and field.options == CHOICES
    assert watched[0].children[1].layout.display == "none"  # no empty strip
    field.value = "None"
    assert kept(book)["02.a"]["guess"] == "None"
    field.value = "a plan"
    assert kept(book)["02.a"]["guess"] == "a plan"
    assert watched[0].children[1].value == "Kept, your guess: a) a plan"
    assert watched[0].children[1].layout.display is None
    predict("02.a", *CHOICES)
    assert field_of(watched[1]).value == "a plan"  # the guess that is kept


def test_a_number_field_with_its_unit(watched, book: Path) -> None:
    predict("02.b", unit="ms")
    field = field_of(watched[0])
    assert field.value == "" and watched[0].children[0].children[1].value == "ms"
    field.value = "quick"
    assert "not a number" in watched[0].children[1].value and not (book / ".progress.json").exists()
    field.value = "0.5"
    assert kept(book)["02.b"]["guess"] == 0.5
    predict("02.b", unit="ms")
    assert field_of(watched[1]).value == "0.500"


def test_a_text_area(watched, book: Path) -> None:
    predict("02.c")
    field_of(watched[0]).value = "because"
    assert kept(book)["02.c"]["guess"] == "because"
    field_of(watched[0]).value = ""  # nothing is kept, nothing is lost
    assert kept(book)["02.c"]["guess"] == "because"


def test_a_kept_choice_that_the_lesson_has_no_more(watched, book: Path) -> None:
    predict("02.c", guess="gone")
    predict("02.c", *CHOICES)
    assert field_of(watched[0]).value is None


def test_nobody_watches_a_test() -> None:
    assert not progressbar.in_notebook()
