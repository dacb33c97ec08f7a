"""Verdicts, what the learner reads, where checks are found, and progress that is never lost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from trt_lessons import progress
from trt_lessons.errors import ExerciseError
from trt_lessons.workbook import keeping
from trt_lessons.workbook.exercises import check, judge, right, shorten, wrong

CHECKS = """
from trt_lessons.workbook.exercises import exercise, right, wrong


@exercise("90.1", points=2)
def bytes_of_input(answer):
    if answer == 1024:
        return wrong(yours=answer, expected="bytes, not elements", hint="How many bytes has one float32?")
    return right("All of them.") if answer == 4096 else wrong(yours=answer, expected="bytes", hint="Multiply.")


@exercise("90.2")
def area(width, height):
    return right() if width * height == 12 else wrong(yours=(width, height), expected="12 in all", hint="Try 3.")
"""


@pytest.fixture
def lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like a workbook's, with one lesson's checks; the current folder."""
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "90_try_it.py").write_text(CHECKS)
    (tmp_path / ".manifest.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRT_LESSONS_GRADING", raising=False)
    monkeypatch.delenv("TRT_LESSONS_PROGRESS_FILE", raising=False)
    return tmp_path


def test_right(lesson: Path, capsys) -> None:
    check("90.1", 4096)
    assert capsys.readouterr().out == "90.1 right. All of them.\n"


def test_wrong_shows_yours_expected_and_one_hint(lesson: Path, capsys) -> None:
    check("90.1", 1024)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "90.1 not yet."
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["yours", "expected", "hint"]
    assert "4096" not in "".join(lines)


def untouched(network):
    # your code here
    ...


def does_nothing(network):
    pass


@pytest.mark.parametrize(("answer", "answered"), [(untouched, False), (does_nothing, True), (len, True)])
def test_a_function_that_is_still_the_stub_is_not_answered(answer, answered, lesson: Path):
    assert judge("90.1", answer).answered is answered


@pytest.mark.parametrize("answer", [None, ..., pytest.param((), id="nothing")])
def test_untouched_is_kind(lesson: Path, capsys, answer) -> None:
    check("90.1", *(() if answer == () else (answer,)))
    assert capsys.readouterr().out.startswith("90.1 not answered yet.")
    assert not (lesson / ".progress.json").exists()


def test_one_of_two_answers_is_missing(lesson: Path) -> None:
    assert not judge("90.2", 3, ...).answered
    assert judge("90.2", 3, 4).ok


def test_an_answer_the_check_cannot_use(lesson: Path) -> None:
    verdict = judge("90.2", "three", "four")
    assert not verdict.ok and "TypeError" in verdict.hint


def test_grading_raises(lesson: Path, monkeypatch) -> None:
    monkeypatch.setenv("TRT_LESSONS_GRADING", "1")
    check("90.1", 4096)
    with pytest.raises(AssertionError, match=r"90\.1 not yet"):
        check("90.1", 1)
    with pytest.raises(AssertionError, match="not answered"):
        check("90.1", None)


@pytest.mark.parametrize("name", ["90", "", "90.x", ".1"])
def test_not_a_name(lesson: Path, name: str) -> None:
    with pytest.raises(ExerciseError, match="not the name of an exercise"):
        check(name, 1)


def test_unknown_exercise_names_the_known_ones(lesson: Path) -> None:
    with pytest.raises(ExerciseError, match=r"90\.1, 90\.2"):
        check("90.7", 1)
    with pytest.raises(ExerciseError, match="no file checks/91_"):
        check("91.1", 1)


def test_a_lesson_in_two_parts_has_two_files(lesson: Path) -> None:
    (lesson / "checks" / "90_2_parted.py").write_text(CHECKS.replace("90.", "90_2."))
    (lesson / "checks" / "90_3_damaged.py").write_text("def f(:\n")
    assert judge("90.1", 4096).ok and judge("90_2.1", 4096).ok
    assert judge("90.1", 4096).ok, "the part's file is not this lesson's, and was not loaded for it"


def test_damaged_checks(lesson: Path) -> None:
    (lesson / "checks" / "92_broken.py").write_text("def f(:\n")
    with pytest.raises(ExerciseError, match="SyntaxError"):
        check("92.1", 1)


def test_one_id_twice(lesson: Path) -> None:
    twice = CHECKS.replace("90.", "93.").replace("93.2", "93.1")
    (lesson / "checks" / "93_twice.py").write_text(twice)
    with pytest.raises(ExerciseError, match="registered twice"):
        check("93.1", 1)


def test_a_check_that_returns_nothing(lesson: Path) -> None:
    (lesson / "checks" / "94_silent.py").write_text(
        "from trt_lessons.workbook.exercises import exercise\n@exercise('94.1')\ndef f(a):\n    pass\n"
    )
    with pytest.raises(ExerciseError, match="returned NoneType"):
        check("94.1", 1)


def test_changed_checks_are_read_again(lesson: Path) -> None:
    import os

    file = lesson / "checks" / "90_try_it.py"
    assert judge("90.1", 4096).ok
    file.write_text(CHECKS.replace("4096", "8192"))
    os.utime(file, (1, 1))
    assert judge("90.1", 8192).ok


def test_shorten() -> None:
    assert shorten(np.zeros((3, 4), np.float32)) == "an array float32 [3, 4]"
    assert shorten(np.float32(1.5)) == repr(np.float32(1.5))
    assert shorten(len) == "the function len"
    assert len(shorten("x" * 1000)) <= 160 and len(shorten(list(range(1000)))) <= 160
    assert "\n" not in shorten("a\nb")


def test_verdicts_are_described() -> None:
    assert right().text("1.1") == "1.1 right."
    assert "yours:    [1]" in wrong(yours=[1], expected="two", hint="more").text("1.1")


def test_progress_is_kept(lesson: Path) -> None:
    for answer in (1, 1024, 4096, 1):
        check("90.1", answer)
    data = json.loads((lesson / ".progress.json").read_text())
    assert data["tries"] == {"90.1": 4}
    assert data["done"]["90.1"]["points"] == 2  # once done it stays done


def test_progress_is_shown(lesson: Path, capsys) -> None:
    check("90.1", 4096)
    progress()
    out = capsys.readouterr().out
    assert "2 of 3 points" in out and "90.1 done" in out and "90.2 -" in out and "1 of 2 exercises" in out


def test_damaged_progress_is_set_aside(lesson: Path, capsys) -> None:
    (lesson / ".progress.json").write_text("{cut")
    check("90.1", 4096)
    assert (lesson / ".progress.json.damaged").read_text() == "{cut"
    assert "damaged" in capsys.readouterr().out
    assert "90.1" in json.loads((lesson / ".progress.json").read_text())["done"]


def test_source_notebooks_keep_no_progress(lesson: Path, capsys) -> None:
    (lesson / ".manifest.json").unlink()
    check("90.1", 4096)
    progress()
    assert not (lesson / ".progress.json").exists()
    assert "source notebooks" in capsys.readouterr().out


def test_unwritable_progress_stops_nobody(lesson: Path, capsys, monkeypatch) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keeping, "write_atomically", full)
    check("90.1", 4096)
    out = capsys.readouterr().out
    assert "No space left" in out and "90.1 right" in out
