"""Five questions: read from the lesson's file, asked in words, answered with reasons, kept, and shown to a class."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trt_lessons import progress, progressbar, quiz
from trt_lessons.cli import main
from trt_lessons.errors import ExerciseError
from trt_lessons.workbook.copies import Workbook
from trt_lessons.workbook.quiz import find

RIGHT = [1, 0, 2, 1, 0]
EXERCISE = """
from trt_lessons.workbook.exercises import exercise, right


@exercise("90.1")
def anything(answer):
    return right()
"""


def questions(right: list[int] = RIGHT) -> list[dict]:
    return [
        {
            "ask": f"Question {number}?",
            "choices": [{"text": f"text {number}{c}", "why": f"Why {number}{c}."} for c in "abc"],
            "right": place,
        }
        for number, place in enumerate(right, 1)
    ]


def write(folder: Path, name: str = "90_try_it", asked: object = None) -> Path:
    (folder / "checks").mkdir(exist_ok=True)
    file = folder / "checks" / f"{name}.quiz.json"
    file.write_text(json.dumps({"questions": questions() if asked is None else asked}))
    return file


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like a workbook's, with one lesson's questions; the current folder."""
    (tmp_path / ".manifest.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    for name in ("TRT_LESSONS_PROGRESS_FILE", "TRT_LESSONS_CHECKS"):
        monkeypatch.delenv(name, raising=False)
    write(tmp_path)
    return tmp_path


def said(capsys, *arguments) -> str:
    assert quiz(*arguments) is None
    return capsys.readouterr().out


def kept(book: Path) -> dict:
    return json.loads((book / ".progress.json").read_text())["quizzes"]["90"]


def test_questions_and_lettered_choices(book: Path, capsys) -> None:
    lines = said(capsys, "90").splitlines()
    assert lines[:4] == ["1. Question 1?", "   a) text 1a", "   b) text 1b", "   c) text 1c"]
    assert len(lines) == 5 * 4 + 1 and lines[-1] == 'by keyboard: tl.quiz("90", "b c a b c")'
    assert "Why" not in "".join(lines) and not (book / ".progress.json").exists()


def test_long_lines_are_broken(book: Path, capsys) -> None:
    asked = questions()
    asked[0]["choices"][0] = {"text": "long " * 40, "why": "long " * 40}
    write(book, asked=asked)
    out = said(capsys, "90") + said(capsys, "90", "aaaaa")
    assert max(map(len, out.splitlines())) <= 88


@pytest.mark.parametrize(
    "answers", ["b a a b c", "baabc", "B, A, A, B, C", "b) a) a) b) c)", ["b", "a", "a", "b", "c"]]
)
def test_each_answer_gets_its_reason(book: Path, capsys, answers) -> None:
    assert said(capsys, "90", answers).splitlines() == [
        "1. b) right: Why 1b.",
        "2. a) right: Why 2a.",
        "3. a) not right: Why 3a.",
        "4. b) right: Why 4b.",
        "5. c) not right: Why 5c.",
        "3 of 5 right",
    ]
    assert kept(book) | {"when": ""} == {"answers": "baabc", "right": 3, "of": 5, "when": ""}


def test_a_question_may_be_left_out(book: Path, capsys) -> None:
    out = said(capsys, "90", "b - - - a")
    assert "2. not answered yet" in out and out.endswith("2 of 5 right\n")
    assert said(capsys, "90").endswith("Your answers: b - - - a (2 of 5 right)\n")


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ("", "0 answers, and there are 5 questions"),
        ("b a c", "3 answers, and there are 5 questions"),
        ("b a c d a b", "6 answers"),
        ("b a c d a", "'d' is no choice of question 4, which has a to c"),
        ("b a c ! a", "'!' is no choice of question 4"),
    ],
)
def test_answers_that_do_not_fit_are_told(book: Path, capsys, answers: str, words: str) -> None:
    out = said(capsys, "90", answers)
    assert words in out and "one letter for each question" in out
    assert not (book / ".progress.json").exists()


def test_a_lessons_number_is_its_whole_number(book: Path, capsys) -> None:
    write(book, "05_one"), write(book, "05_2_another"), write(book, "04_1_precision")
    assert find("05").name == "05_one.quiz.json" and find("5").name == "05_one.quiz.json"
    assert find("05_2").name == "05_2_another.quiz.json" and find("4_1").name == "04_1_precision.quiz.json"
    with pytest.raises(ExerciseError, match="There are no questions for the lesson '04'"):
        quiz("04")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{cut", "Expecting"),
        ("[]", "list indices"),
        ('{"asked": []}', "it has no 'questions'"),
        ('{"questions": []}', "it has no question"),
        (json.dumps({"questions": questions([3])}), "right is 3, and its choices are 0 to 2"),
        (json.dumps({"questions": questions([True])}), "right is True"),
        (json.dumps({"questions": [{"ask": "?", "choices": [], "right": 0}]}), "has 0 choices"),
        (json.dumps({"questions": [{"ask": "?", "choices": [{"text": "a"}] * 2, "right": 0}]}), "it has no 'why'"),
        (json.dumps({"questions": ["?"]}), "string indices"),
    ],
)
def test_a_damaged_file_is_told(book: Path, text: str, words: str) -> None:
    (book / "checks" / "90_try_it.quiz.json").write_text(text)
    with pytest.raises(ExerciseError, match=words) as error:
        quiz("90")
    assert "90_try_it.quiz.json" in str(error.value) and "trt-lessons lab" in str(error.value)


def test_answers_to_other_questions_are_left_alone(book: Path, capsys) -> None:
    quiz("90", "baaba")
    write(book, asked=questions()[:3])
    assert "Your answers" not in said(capsys, "90").partition("by keyboard")[2]


def test_progress_shows_it(book: Path, capsys) -> None:
    (book / "checks" / "90_try_it.py").write_text(EXERCISE)
    progress()
    assert "questions -" in capsys.readouterr().out
    quiz("90", "baaba")
    progress()
    assert "questions 4 of 5" in capsys.readouterr().out


def test_a_teacher_sees_it_where_the_learner_agreed(book: Path, capsys, monkeypatch) -> None:
    quiz("90", "baaba")
    assert main(["progress", "--workbook", str(book), "--share", "Ada"]) == 0
    capsys.readouterr()
    assert main(["classroom", "status", str(book)]) == 0
    assert "questions: 90 4 of 5" in capsys.readouterr().out
    assert main(["progress", "--workbook", str(book), "--no-share"]) == 0
    main(["classroom", "status", str(book)])
    assert "4 of 5" not in capsys.readouterr().out


def test_the_questions_come_into_the_learners_copies(tmp_path: Path) -> None:
    write(tmp_path)
    Workbook(tmp_path, tmp_path / "book").update()
    assert (tmp_path / "book" / "checks" / "90_try_it.quiz.json").exists()
    (tmp_path / "book" / "checks" / "90_try_it.quiz.json").write_text("{cut")
    write(tmp_path, asked=questions()[:4])
    Workbook(tmp_path, tmp_path / "book").update()  # a newer lesson: the damaged file goes aside
    assert len(json.loads((tmp_path / "book" / "checks" / "90_try_it.quiz.json").read_text())["questions"]) == 4


# --- buttons ----------------------------------------------------------------------------------------------


@pytest.fixture
def sheet(book: Path, monkeypatch):
    """Somebody watches a notebook: a function that shows the sheet of buttons."""
    shown: list = []
    monkeypatch.setattr(progressbar, "in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", shown.append)

    def show():
        quiz("90")
        return shown[-1]

    return show


def test_each_button_is_kept_and_answered_at_once(sheet, book: Path) -> None:
    *rows, total = sheet().children
    assert len(rows) == 5 and total.value == ""
    buttons, reason = rows[1].children
    assert [place.layout.display for place in (total, reason)] == ["none", "none"]  # no empty strip
    assert buttons.value is None and buttons.options == ("a", "b", "c")
    buttons.value = "b"
    assert reason.value == "b) not right: Why 2b." and kept(book)["answers"] == "-b---"
    buttons.value = "a"
    assert reason.value == "a) right: Why 2a." and kept(book)["answers"] == "-a---"
    rows[0].children[0].value = "b"
    assert total.value == "<b>2 of 5 right</b>" and kept(book)["right"] == 2
    assert [place.layout.display for place in (total, reason)] == [None, None]


def test_buttons_show_what_is_kept(sheet, book: Path) -> None:
    quiz("90", "b - - - c")
    *rows, total = sheet().children
    assert rows[0].children[0].value == "b" and rows[4].children[1].value == "c) not right: Why 5c."
    assert rows[1].children[0].value is None and total.value == "<b>1 of 5 right</b>"


def test_reasons_are_text_and_no_html(sheet, book: Path) -> None:
    asked = questions()
    asked[0]["choices"][0]["why"] = "a < b & <b>c</b>"
    write(book, asked=asked)
    row = sheet().children[0]
    row.children[0].value = "a"
    assert row.children[1].value.endswith("a &lt; b &amp; &lt;b&gt;c&lt;/b&gt;")
