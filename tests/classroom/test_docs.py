"""The teacher's pages and the notebooks agree: every lesson is named, and its minutes are its own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from trt_lessons.workbook.copies import source_of

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "classroom"
SYLLABUS = (PAGES / "syllabus.md").read_text("utf-8")
LESSON = re.compile(r"\d\d(?:_\d)?_[a-z]\w*")


def minutes() -> dict[str, int]:
    """Lesson -> the minutes that its first cell states."""
    found = {}
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        first = source_of(json.loads(path.read_text("utf-8"))["cells"][0])
        found[path.stem] = int(re.search(r"\*\*Minutes\*\* (\d+)", first)[1])
    return found


def rows(text: str) -> list[tuple[str, int]]:
    """(first column without its quotes, second column) of each row whose second column is a number."""
    return [(a.strip("`"), int(b)) for a, b in re.findall(r"^\| ([^|]+?) \| (\d+) \|", text, re.M)]


def section(title: str) -> str:
    """One section of the syllabus."""
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", SYLLABUS, re.M | re.S)[1]


def test_the_syllabus_names_every_lesson_with_its_minutes() -> None:
    assert dict(rows(section("All lessons"))) == minutes()


@pytest.mark.parametrize(("title", "hours"), [("Two hours", 2), ("Four hours", 4), ("Eight hours", 8)])
def test_a_plan_fills_its_hours(title: str, hours: int) -> None:
    plan, known = rows(section(title)), minutes()
    assert sum(n for _, n in plan) == 60 * hours
    lessons = [(name, n) for name, n in plan if LESSON.fullmatch(name)]
    assert lessons and all(known[name] == n for name, n in lessons)


def test_self_study_goes_through_all_lessons() -> None:
    assert sorted(LESSON.findall(section("Self-study"))) == sorted(minutes())


def test_notes_for_every_lesson() -> None:
    parts = re.split(r"^## ", (PAGES / "notes.md").read_text("utf-8"), flags=re.M)[1:]
    noted = {part.splitlines()[0]: part for part in parts}
    known = minutes()
    assert sorted(noted) == sorted(known)
    for name, part in noted.items():
        assert f"Minutes: {known[name]}." in part, name
        assert part.count("*Ask:*") == part.count("*Expect:*") >= 2 and "*Goes wrong:*" in part, name
