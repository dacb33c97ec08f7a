"""A learner's first minutes in a real JupyterLab: the first page, a guess, a figure's words, the dark, questions."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from driving import click, do, find, kernel_is, running_lab, wait
from PIL import Image

CELLS = [
    ("markdown", "# Try it\n\n**You need** nothing.\n\n**Minutes** 5"),
    ("code", "import trt_lessons as tl\n!trt-lessons --version"),
    ("code", 'tl.predict("90.a", "a plan", "None", "an exception")'),
    ("code", 'tl.predict("90.b", unit="ms")'),
    ("code", 'tl.predict("90.c")'),
    ("code", 'tl.plots.bars({"before": 2.0, "after": 1.0}, note="drawn for a test")'),
    ("code", 'tl.quiz("90")'),
]
CHOICES = [[{"text": f"text {c}", "why": f"Because of {n}{c}."} for c in "abc"] for n in range(1, 6)]
QUESTIONS = [{"ask": f"Question {n}?", "choices": some, "right": 1} for n, some in enumerate(CHOICES, 1)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one lesson and its questions."""
    home = tmp_path_factory.mktemp("a home")
    (home / "notebooks" / "checks").mkdir(parents=True)
    cells = [
        {"cell_type": kind, "id": f"cell-{i}", "metadata": {}, "source": text}
        | ({"outputs": [], "execution_count": None} if kind == "code" else {})
        for i, (kind, text) in enumerate(CELLS)
    ]
    kernel = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    notebook = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    (home / "notebooks" / "90_try_it.ipynb").write_text(json.dumps(notebook))
    (home / "notebooks" / "checks" / "90_try_it.quiz.json").write_text(json.dumps({"questions": QUESTIONS}))
    return home


@pytest.fixture(scope="module")
def lab(home: Path) -> Iterator[str]:
    """`trt-lessons lab` of that repository; its address with the token."""
    with running_lab(home, home) as address:
        yield address


def progress(home: Path) -> dict:
    file = home / "workbook" / ".progress.json"
    return json.loads(file.read_text()) if file.exists() else {}


def names_of_images(browser: Any) -> list[str]:
    """The names of all pictures in the page's accessibility tree, "" for one that has none."""
    nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    images = [n for n in nodes if n.get("role", {}).get("value") in ("image", "img") and not n.get("ignored")]
    return [n.get("name", {}).get("value", "") for n in images]


@pytest.fixture(scope="module")
def lesson(browser: Any, lab: str) -> Iterator[Any]:
    """The lesson, opened by its link on the first page, all cells run."""
    browser.set_window_size(1366, 3000)  # JupyterLab draws only what is in view
    browser.get(lab)
    link = wait(find(browser, ".jp-RenderedMarkdown td a", "90"))[0]
    assert find(browser, ".jp-RenderedMarkdown td", "Try it")()
    click(browser, link)
    wait(find(browser, ".jp-RenderedMarkdown h1", "Try it"))
    wait(lambda: kernel_is(browser, "idle"))
    do(browser, "notebook:run-all-cells")
    wait(find(browser, ".jp-OutputArea-output", "by keyboard: tl.quiz"), 120)
    yield browser
    browser.set_window_size(1366, 768)


def test_no_empty_strip_stands_below_a_widget(lesson: Any) -> None:
    wait(find(lesson, ".widget-toggle-buttons"))
    places = find(lesson, ".jupyter-widgets.widget-label, .jupyter-widgets.widget-html")
    assert len(places()) == 10  # a unit; three and six wait for an answer
    wait(lambda: [place.text for place in places() if place.is_displayed()] == ["ms"])


def test_a_guess_by_a_click(lesson: Any, home: Path) -> None:
    radio = wait(find(lesson, ".widget-radio-box input"))
    assert len(radio) == 3
    click(lesson, radio[1])
    assert wait(lambda: progress(home).get("guesses", {}).get("90.a"))["guess"] == "None"
    wait(find(lesson, ".jp-OutputArea-output", "Kept, your guess: b) None"))


def test_a_number_and_a_sentence_by_keyboard(lesson: Any, home: Path) -> None:
    number = wait(find(lesson, ".widget-text input[type=text]"))[0]
    click(lesson, number)
    number.send_keys("1.5\n")
    assert wait(lambda: progress(home).get("guesses", {}).get("90.b"))["guess"] == 1.5
    area = wait(find(lesson, ".widget-textarea textarea"))[0]
    click(lesson, area)
    area.send_keys("It waits.\t")
    assert wait(lambda: progress(home).get("guesses", {}).get("90.c"))["guess"] == "It waits."


def test_a_question_is_answered_with_its_reason(lesson: Any, home: Path) -> None:
    rows = wait(find(lesson, ".widget-toggle-buttons"))
    assert len(rows) == 5
    click(lesson, rows[0].find_elements("css selector", "button")[2])
    wait(find(lesson, ".widget-html", "c) not right: Because of 1c."))
    click(lesson, rows[0].find_elements("css selector", "button")[1])
    wait(find(lesson, ".widget-html", "b) right: Because of 1b."))
    assert wait(lambda: progress(home).get("quizzes", {}).get("90"))["answers"] == "b----"


def test_the_figure_has_a_name_in_the_accessibility_tree(lesson: Any) -> None:
    shown = wait(find(lesson, ".jp-OutputArea-output img"))
    assert len(shown) == 1
    names = [name for name in names_of_images(lesson) if "before" in name]
    assert names and "after: 1" in names[0] and "drawn for a test" in names[0]


def paper(figure: Any) -> int:
    """The lightness of most of a figure as the page shows it, 0 to 255."""
    shown = Image.open(io.BytesIO(figure.screenshot_as_png)).convert("L").histogram()
    return max(range(256), key=shown.__getitem__)


def test_a_dark_page_holds_no_white_sheet(lesson: Any) -> None:
    figure = wait(find(lesson, ".jp-OutputArea-output img"))[0]
    assert paper(figure) > 250
    do(lesson, "apputils:change-theme", theme="JupyterLab Dark")
    wait(lambda: paper(figure) < 30)
    do(lesson, "apputils:change-theme", theme="JupyterLab Light")
    wait(lambda: paper(figure) > 250)


def test_a_lesson_that_is_opened_again_shows_no_error(lesson: Any, home: Path) -> None:
    """Nothing of a widget is saved; run again, the cell shows the guess that was kept."""
    wait(find(lesson, ".widget-radio-box input"))
    do(lesson, "docmanager:save")
    file = home / "workbook" / "90_try_it.ipynb"
    saved = wait(lambda: file.read_text() if "by keyboard" in file.read_text() else "")
    assert "widget-view" not in saved and "image/png" in saved
    do(lesson, "docmanager:reload")
    wait(lambda: not find(lesson, ".jupyter-widgets")())
    wait(find(lesson, ".jp-OutputArea-output", "by keyboard: tl.quiz"))
    assert not find(lesson, ".jp-OutputArea-output", "Error")()
    do(lesson, "notebook:run-all-cells")
    radio = wait(lambda: len(found := find(lesson, ".widget-radio-box input")()) == 3 and found)
    assert [one.is_selected() for one in radio] == [False, True, False]


def test_learners_see_no_teachers_menus(lesson: Any) -> None:
    menus = [menu.text for menu in lesson.find_elements("css selector", ".lm-MenuBar-itemLabel")]
    assert "Kernel" in menus and not [text for text in menus if "grader" in text.lower()]
    commands = lesson.execute_script("return window.jupyterapp.commands.listCommands()")
    assert "notebook:run-cell" in commands and not [name for name in commands if "nbgrader" in name]
    assert not find(lesson, ".jp-LauncherCard, .jp-SideBar .lm-TabBar-tab", "rader")()


def test_the_command_is_found_in_a_cell(lesson: Any) -> None:
    wait(find(lesson, ".jp-OutputArea-output", "trt-lessons 0."))


def test_the_command_is_found_in_the_terminal(lesson: Any, home: Path) -> None:
    """The terminal draws on a canvas: what it says goes to a file of the learner's folder."""
    do(lesson, "terminal:create-new")
    area = wait(find(lesson, ".jp-Terminal textarea"))[0]
    time.sleep(3)  # the shell's prompt
    told = home / "told.txt"
    area.send_keys(f"trt-lessons --version > '{told}' 2>&1\n")
    wait(lambda: told.exists() and told.read_text())
    assert re.match(r"trt-lessons \d", told.read_text())
