"""The first page: a map with links and progress, made anew at each start, and never at the learner's cost."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import nbformat
import pytest

from trt_lessons import cli
from trt_lessons.errors import ExerciseError
from trt_lessons.workbook.copies import source_of, start

LESSONS = {
    "00_start_here": ("Start here: look around", 15),
    "02_flow": ("Run a network", 45),
    "05_2_more": ("Go on | with more", 20),
}
CHECKS = """
from trt_lessons.workbook.exercises import exercise, right


@exercise("02.1")
def one(answer):
    return right()


@exercise("02.2")
def two(answer):
    return right()
"""


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A learner's folder with three lessons."""
    for name, (title, minutes) in LESSONS.items():
        text = f"# {title}\n\n**You need** nothing.\n\n**Minutes** {minutes}\n"
        cell = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": text}
        notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        (tmp_path / f"{name}.ipynb").write_text(json.dumps(notebook))
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks" / "02_flow.py").write_text(CHECKS)
    question = {"ask": "?", "choices": [{"text": "a", "why": "b"}] * 2, "right": 0}
    (tmp_path / "checks" / "02_flow.quiz.json").write_text(json.dumps({"questions": [question]}))
    return tmp_path


def cells(book: Path) -> list[dict]:
    return json.loads((book / "START.ipynb").read_text("utf-8"))["cells"]


def text(book: Path) -> str:
    return "\n".join(source_of(cell) for cell in cells(book))


def save(book: Path, changed: list[dict]) -> None:
    notebook = json.loads((book / "START.ipynb").read_text("utf-8"))
    (book / "START.ipynb").write_text(json.dumps({**notebook, "cells": changed}))


def own(name: str, words: str, kind: str = "markdown") -> dict:
    more = {"outputs": [], "execution_count": None} if kind == "code" else {}
    return {"cell_type": kind, "id": name, "metadata": {}, "source": words, **more}


def test_the_page_is_a_notebook_with_a_map(book: Path) -> None:
    start.write(book, "the interpreter, on the CPU")
    nbformat.validate(nbformat.read(book / "START.ipynb", as_version=4))
    page = text(book)
    assert "**This machine:** the interpreter, on the CPU" in page
    assert "| [00](00_start_here.ipynb) | Start here: look around | 15 |  |  |" in page
    assert "| [02](02_flow.ipynb) | Run a network | 45 | 0 of 2 | - |" in page
    assert r"| [05_2](05_2_more.ipynb) | Go on \| with more | 20 |" in page
    assert "Your first ten minutes" in page and "Where help is" in page and "tl.doctor()" in page


def test_progress_is_on_it(book: Path) -> None:
    data = {
        "done": {"02.1": {"points": 1, "when": ""}},
        "tries": {"02.1": 1},
        "last": {"exercise": "02.1"},
        "quizzes": {"02": {"answers": "a", "right": 1, "of": 1}},
    }
    start.write(book, "")
    (book / ".progress.json").write_text(json.dumps(data))
    start.write(book, "")
    assert "| 45 | 1 of 2 | 1 of 1 |" in text(book) and "You were at [lesson 02](02_flow.ipynb)." in text(book)
    assert [cell["id"] for cell in cells(book)] == [f"start-{x}" for x in ("head", "first", "map", "help", "doctor")]


def test_every_link_leads_to_a_lesson(book: Path) -> None:
    home = Path(__file__).parents[2] / "notebooks"
    start.write(book, "")
    for link in re.findall(r"\]\((\w+\.ipynb)\)", text(book)):
        assert (book / link).exists() or (home / link).exists(), link


def test_nothing_new_leaves_the_file_alone(book: Path) -> None:
    start.write(book, "a")
    before = (book / "START.ipynb").stat().st_mtime_ns
    start.write(book, "a")
    assert (book / "START.ipynb").stat().st_mtime_ns == before


def test_cells_of_the_learners_stay_where_they_are(book: Path) -> None:
    start.write(book, "a")
    head, first, *rest = cells(book)
    save(book, [own("notes", "my notes"), head, first, own("more", "x = 1", "code"), *rest])
    start.write(book, "another machine")
    assert [cell["id"] for cell in cells(book)][:4] == ["notes", "start-head", "start-first", "more"]
    assert "another machine" in text(book) and "my notes" in text(book)


def test_a_cell_of_ours_that_was_changed_is_kept_and_comes_anew_once(book: Path) -> None:
    start.write(book, "a")
    head, first, *rest = cells(book)
    first["source"] = "my own first ten minutes"
    save(book, [head, first, *rest])
    for machine in ("b", "c", "d"):
        start.write(book, machine)
    page = text(book)
    assert page.count("my own first ten minutes") == 1 and page.count("Your first ten minutes") == 1
    assert "**This machine:** d" in page
    nbformat.validate(nbformat.read(book / "START.ipynb", as_version=4))


def test_a_deleted_cell_comes_back(book: Path) -> None:
    start.write(book, "a")
    save(book, cells(book)[::2])
    start.write(book, "a")
    assert [cell["id"] for cell in cells(book)] == [f"start-{x}" for x in ("head", "first", "map", "help", "doctor")]


def test_outputs_of_the_learners_run_stay(book: Path) -> None:
    start.write(book, "a")
    page = cells(book)
    page[-1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "[OK]"}]
    save(book, page)
    start.write(book, "b")
    assert cells(book)[-1]["outputs"]


@pytest.mark.parametrize("damaged", ["{cut", "[]", '{"cells": 3}', "\x00"])
def test_a_damaged_page_goes_to_the_backups(book: Path, damaged: str) -> None:
    (book / "START.ipynb").write_text(damaged)
    start.write(book, "a")
    (kept,) = (book / "backups").glob("START.*.ipynb")
    assert kept.read_text() == damaged and "The lessons" in text(book)


def test_a_lesson_that_is_damaged_is_still_on_the_map(book: Path) -> None:
    (book / "02_flow.ipynb").write_text("{cut")
    (book / "checks" / "02_flow.py").write_text("def f(:")
    start.write(book, "a")
    assert "| [02](02_flow.ipynb) | 02_flow |  |  | - |" in text(book)


def test_a_full_disk_is_told_and_the_old_page_stays(book: Path, monkeypatch) -> None:
    start.write(book, "a")
    before = (book / "START.ipynb").read_bytes()

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(start, "write_atomically", full)
    with pytest.raises(ExerciseError, match="No space left"):
        start.write(book, "b")
    assert (book / "START.ipynb").read_bytes() == before


@pytest.mark.parametrize("seed", range(40))
def test_random_lives_lose_nothing(book: Path, seed: int) -> None:
    rng = random.Random(seed)
    mine: set[str] = set()
    for turn in range(12):
        start.write(book, f"machine {rng.randint(0, 2)}")
        page = cells(book)
        for _ in range(rng.randint(0, 3)):
            at = rng.randrange(len(page) + 1)
            words = f"mine {turn} {rng.random()}"
            match rng.choice(["add", "change", "double", "move"]):
                case "add":
                    page.insert(at, own(f"cell-{turn}-{at}", words, rng.choice(["markdown", "code"])))
                    mine.add(words)
                case "change":
                    cell = page[at % len(page)]
                    if source_of(cell) not in mine:
                        cell["source"] = words
                        mine.add(words)
                case "double":
                    page.insert(at, dict(page[at % len(page)]))
                case "move":
                    page.insert(at, page.pop(rng.randrange(len(page))))
        save(book, page)
    start.write(book, "the end")
    found = [source_of(cell) for cell in cells(book)]
    assert mine <= set(found)
    assert {f"start-{x}" for x in ("head", "first", "map", "help", "doctor")} <= {c["id"] for c in cells(book)}
    nbformat.validate(nbformat.read(book / "START.ipynb", as_version=4))


def test_lab_writes_it_and_opens_it(book: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    home = tmp_path / "home"
    (home / "notebooks").mkdir(parents=True)
    for path in book.glob("0*.ipynb"):
        (home / "notebooks" / path.name).write_bytes(path.read_bytes())
    monkeypatch.setenv("TRT_LESSONS_HOME", str(home))
    assert cli.main(["lab", "--copies-only"]) == 0
    assert "Run a network" in text(home / "workbook")
    assert "--LabApp.default_url=/lab/tree/START.ipynb" in cli.lab_command(home / "workbook", None, [])
