"""The teacher's page in a browser: three learners, one of them stuck, the hint that was given beside it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trt_lessons.cli import main
from trt_lessons.workbook import exercises, keeping
from trt_lessons.workbook.classroom import status

CHECKS = Path(__file__).resolve().parents[2] / "notebooks" / "checks"
HINT = "A stream's work is done when synchronize returns; until then the host's array holds what it held before. " * 3


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Iterator[str]:
    """The page of a class whose learners agreed, tried and were told, by the commands that they use."""
    asked = [e.id for e in exercises.all_exercises(CHECKS)]
    tries = {"Ada": [("02.1", True), ("02.2", False)] + [("02.2", False)] * 3, "Bo": [("02.1", True)], "Cy": []}
    for name, tried in tries.items():
        book = tmp_path / "class" / name / "workbook"
        assert main(["progress", "--workbook", str(book), "--share", name]) == 0
        monkeypatch.setenv("TRT_LESSONS_PROGRESS_FILE", str(book / keeping.PROGRESS_FILE))
        for exercise, good in tried:
            verdict = exercises.right() if good else exercises.wrong(yours="zeros", expected="digits", hint=HINT)
            exercises.note_progress(exercise, verdict)
    with status.server(lambda: status.page(status.read(tmp_path / "class"), asked)) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()


def test_three_learners_one_stuck(address: str, browser: Any) -> None:
    browser.get(address)
    rows = browser.find_elements("css selector", "tr:has(td)")
    assert [row.find_element("css selector", "td").text for row in rows] == ["Ada", "Bo", "Cy"]
    assert [row.get_attribute("class") for row in rows] == ["stuck", "", ""]
    assert "02.2 STUCK" in rows[0].text and HINT.strip() in rows[0].text
    assert "done" in rows[1].text and "STUCK" not in rows[1].text + rows[2].text
    if folder := os.environ.get("TRT_LESSONS_SCREENSHOTS"):
        browser.save_screenshot(str(Path(folder) / "class.png"))


def test_a_long_hint_wraps_and_nothing_leaves_the_page(address: str, browser: Any) -> None:
    browser.get(address)
    hint = browser.find_element("css selector", "td.hint")
    assert hint.size["width"] <= 420 and hint.size["height"] > 60
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")
