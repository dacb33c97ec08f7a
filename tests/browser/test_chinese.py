"""A lesson in Chinese in a real JupyterLab: a guess, a wrong answer, the right one, a question; and back in English."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from driving import ROOT, click, do, find, kernel_is, open_notebook, run_cell, running_lab, wait

from trt_lessons.workbook.copies import Workbook, solutions, source_of

LESSON = "05_dynamic_shapes"
PACK = "jupyterlab-language-pack-zh-CN"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one lesson in both languages."""
    home = tmp_path_factory.mktemp("a home")
    for path in (ROOT / "notebooks").rglob(f"{LESSON}*"):
        target = home / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return home


@pytest.fixture(scope="module")
def lab(home: Path) -> Iterator[str]:
    """`make lab LANGUAGE=zh-CN` of that repository."""
    with running_lab(home, home, "--language", "zh-CN") as address:
        yield address


@pytest.fixture(scope="module")
def lesson(browser: Any, lab: str) -> Iterator[Any]:
    """The lesson, opened from the first page, all cells run."""
    browser.set_window_size(1366, 3000)  # JupyterLab draws only what is in view
    browser.get(lab)
    wait(find(browser, ".jp-RenderedMarkdown h1", "边做边学"))
    click(browser, wait(find(browser, ".jp-RenderedMarkdown td a", "05"))[0])
    open_notebook(browser, f"{LESSON}.ipynb")
    do(browser, "notebook:run-all-cells")
    wait(find(browser, ".jp-OutputArea-output", "用键盘：tl.quiz"), 120)
    wait(lambda: kernel_is(browser, "idle"))
    yield browser
    browser.set_window_size(1366, 768)


def progress(home: Path) -> dict:
    return json.loads((home / "workbook" / ".progress.json").read_text("utf-8"))


def test_the_menus_are_chinese(lesson: Any) -> None:
    try:
        importlib.metadata.distribution(PACK)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{PACK} is not installed")
    menus = [menu.text for menu in lesson.find_elements("css selector", ".lm-MenuBar-itemLabel")]
    assert "内核" in menus and "Kernel" not in menus


def test_a_learner_is_answered_in_chinese(lesson: Any, home: Path) -> None:
    source = json.loads((ROOT / "notebooks" / f"{LESSON}.ipynb").read_text("utf-8"))["cells"]
    right = next(solutions(source_of(cell))[0] for cell in source if cell["id"] == "ex1")
    run_cell(lesson, "guess-a")
    radio = wait(find(lesson, ".widget-radio-box input"))
    click(lesson, radio[1])
    wait(find(lesson, ".jp-OutputArea-output", "你的预测：b) None"))
    run_cell(lesson, "ex1", "ranges = {}")
    run_cell(lesson, "ex1-check")
    wait(find(lesson, ".jp-OutputArea-output", "提示："))
    run_cell(lesson, "ex1", right)
    run_cell(lesson, "ex1-check")
    wait(find(lesson, ".jp-OutputArea-output", "05.1 正确。"))
    run_cell(lesson, "quiz")
    row = wait(find(lesson, ".widget-toggle-buttons"))[0]
    click(lesson, row.find_elements("css selector", "button")[0])
    wait(lambda: "quizzes" in progress(home))
    wait(find(lesson, ".widget-html", "a) "))
    assert not find(lesson, ".jp-OutputArea-output", "Your guess")()


def test_back_in_english_answers_and_progress_are_the_same(lesson: Any, home: Path) -> None:
    do(lesson, "docmanager:save")
    file = home / "workbook" / f"{LESSON}.ipynb"
    wait(lambda: "05.1 正确。" in file.read_text("utf-8"))
    before, book = progress(home), json.loads(file.read_text("utf-8"))
    Workbook(home / "notebooks", home / "workbook", "en").update()
    now = json.loads(file.read_text("utf-8"))
    assert progress(home) == before and before["done"]["05.1"] and before["guesses"]["05.a"]["guess"] == "None"
    code = [[source_of(c) for c in one["cells"] if c["cell_type"] == "code"] for one in (book, now)]
    assert code[0] == code[1]
    assert "dynamic" in source_of(now["cells"][0]).lower() and "动态形状" in source_of(book["cells"][0])
