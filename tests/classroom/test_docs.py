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
WORDS = {"five": 5, "ten": 10, "thirteen": 13, "fifteen": 15, "twenty": 20, "twenty-five": 25, "thirty": 30}


def stated(pattern: str) -> dict[str, int]:
    """Lesson -> the first number that its text states in such words."""
    found = {}
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        text = "\n".join(source_of(cell) for cell in json.loads(path.read_text("utf-8"))["cells"])
        found |= {path.stem: int(said[1])} if (said := re.search(pattern, text)) else {}
    return found


def minutes() -> dict[str, int]:
    """Lesson -> the minutes that its first cell states."""
    return stated(r"\*\*Minutes\*\* (\d+)")


def rows(text: str) -> list[tuple[str, int]]:
    """(first column without its quotes, second column) of each row whose second column is a number."""
    return [(a.replace("`", ""), int(b)) for a, b in re.findall(r"^\| ([^|]+?) \| (\d+) \|", text, re.M)]


def section(title: str) -> str:
    """One section of the syllabus."""
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", SYLLABUS, re.M | re.S)[1]


def test_the_syllabus_names_every_lesson_with_its_minutes() -> None:
    assert dict(rows(section("All lessons"))) == minutes()


@pytest.mark.parametrize(("title", "hours"), [("Two hours", 2), ("Four hours", 4), ("Eight hours", 8)])
def test_a_plan_fills_its_hours(title: str, hours: int) -> None:
    plan = rows(section(title))
    known = minutes() | {f"{k}, to the mark": n for k, n in stated(r"\*To here: (\d+) minutes\.\*").items()}
    assert sum(n for _, n in plan) == 60 * hours
    lessons = [(name, n) for name, n in plan if LESSON.match(name)]
    assert lessons and [n for _, n in lessons] == [known.get(name) for name, _ in lessons]
    assert sum(n for _, n in lessons) >= 0.75 * 60 * hours


def test_self_study_goes_through_all_lessons_an_hour_at_a_time() -> None:
    sittings = re.findall(r"^\| \d+ \| (.+) \|$", section("Self-study"), re.M)
    assert sorted(LESSON.findall(section("Self-study"))) == sorted(minutes())
    assert all(sum(minutes()[name] for name in LESSON.findall(line)) <= 60 for line in sittings)


def test_the_readme_has_the_same_minutes() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert {name: n for name, n in rows(readme) if LESSON.fullmatch(name)} == minutes()


def test_notes_for_every_lesson() -> None:
    parts = re.split(r"^## ", (PAGES / "notes.md").read_text("utf-8"), flags=re.M)[1:]
    noted = {part.splitlines()[0]: part for part in parts}
    known = minutes()
    assert sorted(noted) == sorted(known)
    for name, part in noted.items():
        said = re.search(r"^Minutes: (\d+)\. ([^.]+)\.", part, re.M)
        parts_of_it = [WORDS[word] for word in re.findall(r"[a-z-]+", said[2].lower()) if word in WORDS]
        assert int(said[1]) == known[name] == sum(parts_of_it), name
        assert part.count("*Ask:*") == part.count("*Expect:*") >= 2 and "*Goes wrong:*" in part, name
