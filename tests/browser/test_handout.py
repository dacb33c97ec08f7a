"""Handouts and slides, printed by the browser: every line of code whole, no solution, no other host."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trt_lessons.workbook.copies import solutions, source_of

ROOT = Path(__file__).resolve().parents[2]
LESSON = "02_inference_flow"
MM = 96 / 25.4  # pixels a millimetre
LEAVES = """const edge = arguments[0];
return [...document.querySelectorAll("body *")].filter(e =>
    e.getBoundingClientRect().right > edge + 1 || e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0 &&
    getComputedStyle(e).display !== "inline").map(e => e.tagName + ": " + e.textContent.slice(0, 100));"""
LINES = """return [...document.querySelectorAll(".highlight pre")].map(e => [
    e.textContent.trimEnd().split("\\n").length,
    e.getClientRects()[0].height / parseFloat(getComputedStyle(e).lineHeight)])"""


def make(folder: Path, *lessons: str, script: Path = ROOT / "tools" / "make_handout.py") -> subprocess.CompletedProcess:
    """The command of `make handout`."""
    command = [sys.executable, script, "--output", folder, *lessons]
    return subprocess.run(command, capture_output=True, text=True, timeout=400)


def maker() -> Any:
    sys.path.insert(0, str(ROOT / "tools"))
    import make_handout

    return make_handout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Path:
    """Lesson 02 on paper, in a folder with spaces."""
    folder = tmp_path_factory.mktemp("on paper") / "made here"
    done = make(folder, "02")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All lessons as HTML."""
    folder = tmp_path_factory.mktemp("all lessons")
    for lesson in (ROOT / "notebooks").glob("[0-9]*.ipynb"):
        maker().write(lesson, folder, None)
    return folder


@pytest.mark.parametrize(("suffix", "width", "height"), [("", 180, 267), ("-slides", 277, 147)])
def test_nothing_is_larger_than_the_page(
    everything: Path, browser: Any, serve: Any, suffix: str, width: int, height: int
) -> None:
    """All lessons laid out as for print, between the margins: no element leaves the page, no line of code is broken."""
    address = serve(everything)
    metrics = {"width": int(width * MM), "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        for lesson in (ROOT / "notebooks").glob("[0-9]*.ipynb"):
            browser.get(f"{address}/{lesson.stem}{suffix}.html")
            assert browser.execute_script(LEAVES, width * MM) == [], lesson.stem
            lines = browser.execute_script(LINES)
            assert lines and all(written == round(drawn) for written, drawn in lines), lesson.stem
            images = browser.find_elements("css selector", "img")
            assert all(image.size["height"] <= height * MM for image in images), lesson.stem
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize(("name", "size"), [(LESSON, (210, 297)), (f"{LESSON}-slides", (297, 167))])
def test_the_pdf_has_pages_of_that_size(folder: Path, name: str, size: tuple[int, int]) -> None:
    pdf = (folder / f"{name}.pdf").read_bytes()
    boxes = re.findall(rb"/MediaBox\s*\[\s*0 0 ([\d.]+) ([\d.]+)\s*\]", pdf)
    assert pdf.startswith(b"%PDF-") and len(boxes) >= 5
    assert all(float(a) * 25.4 / 72 == pytest.approx(b, abs=1) for box in boxes for a, b in zip(box, size, strict=True))


def test_no_solution_and_no_hint_is_printed(folder: Path) -> None:
    cells = json.loads((ROOT / "notebooks" / f"{LESSON}.ipynb").read_text("utf-8"))["cells"]
    secret = [line.strip() for cell in cells for text in solutions(source_of(cell)) for line in text.splitlines()]
    for name in (LESSON, f"{LESSON}-slides"):
        page = (folder / f"{name}.html").read_text("utf-8")
        text = " ".join(re.sub(r"<[^>]+>", "", re.sub(r"<style>.*?</style>", "", page)).split())
        assert "SOLUTION" not in text and "Hint 1" not in text and "The solution, explained" not in text
        assert not [line for line in secret if len(line) > 25 and line in text]
        assert not re.search(r'(?:src|href)="https?:[^"]*\.(?:js|css|png)', page) and "<script" not in page
    assert "02.3" in (folder / f"{LESSON}.html").read_text("utf-8")


def questions_and_answers(page: str, question: str, answer: str) -> None:
    """Each prediction of the lesson has a slide, and none of them shows an answer or a figure; each figure has one."""
    cells = json.loads((ROOT / "notebooks" / f"{LESSON}.ipynb").read_text("utf-8"))["cells"]
    predictions = sum("**Predict:**" in "".join(cell["source"]) for cell in cells)
    figures = [o for cell in cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
    made = page.split('<section class="slide">')[1:]
    asked = [slide for slide in made if question in slide]
    assert len(asked) == predictions > 2 and not [slide for slide in asked if answer in slide or "<img" in slide]
    assert sum(answer in slide for slide in made) > 2 and sum("<img" in slide for slide in made) == len(figures) > 2


def test_a_slide_with_a_question_does_not_tell_the_answer(folder: Path) -> None:
    questions_and_answers((folder / f"{LESSON}-slides.html").read_text("utf-8"), "Predict:", "What happened")


def test_a_lesson_in_chinese(tmp_path: Path) -> None:
    maker().write(ROOT / "notebooks" / f"{LESSON}.ipynb", tmp_path, None, "zh-CN")
    pages = [path.read_text("utf-8") for path in sorted(tmp_path.glob("*.html"))]
    assert all('<html lang="zh-CN">' in page and "BEGIN SOLUTION" not in page for page in pages)
    questions_and_answers(pages[0], "预测：", "刚才发生了什么")


def test_a_damaged_lesson_is_named(tmp_path: Path) -> None:
    (tmp_path / "02_x.ipynb").write_text("{")
    with pytest.raises(maker().LessonError, match=r"02_x.ipynb cannot be printed"):
        maker().write(tmp_path / "02_x.ipynb", tmp_path, None)
    assert not list(tmp_path.glob("*.html"))
    done = make(tmp_path, "77")
    assert done.returncode and "77" in done.stderr and "Traceback" not in done.stderr


def test_without_a_browser_html_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert maker().printer() is None
    made = maker().write(ROOT / "notebooks" / f"{LESSON}.ipynb", tmp_path, None)
    assert [path.suffix for path in made] == [".html", ".html"]
