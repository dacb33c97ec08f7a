"""What a lesson may cost its reader, counted: lines, minutes, links, predictions, facts, questions.

The formula of the minutes: words of markdown / 200 + 0.22 a line of code + 0.7 a prediction + 7 an exercise
+ 3 for the quiz. Lines: not blank, no comment, outside exercises, their checks, predictions and the quiz.
"""

from __future__ import annotations

import itertools
import json
import re
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
REVISED = [p for p in sorted(NOTEBOOKS.glob("*.ipynb")) if (NOTEBOOKS / "checks" / f"{p.stem}.quiz.json").exists()]
ASKING = re.compile(r"^\s*tl\.(predict|quiz|scoreboard)\(", re.M)
UNITS = (
    r"ms|s|us|µs|MB|GB|KB|KiB|MiB|GiB|bytes?|%|per cent|times|seconds?|minutes?|lines?|layers?|kernels?|pictures?|"
    r"strips?|of|answers?|weights?|bits?|points?|plans?|errors?|names?|calls?|queries|samples?|nodes?|profiles?|"
    r"streams?|cells?|elements?|tensors?|types?|builds?|rows?|digits?|engines?|launches|shapes?|cards?|messages?|"
    r"buffers?|outputs?|inputs?|options?|dimensions?|steps?|batches|numbers?|values?|networks?|contexts?|tactics?|"
    r"warnings?|refusals?|files?|convolutions?|scales?|copies|events?|formats?|parameters?|pixels?"
)
NUMBER = r"(\d[\d,.]*|\b(one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|no|none|all|both)\b)"
FACT = re.compile(rf"{NUMBER}(\s+\w+){{0,3}}\s*({UNITS})(?!\w)", re.I)

pytestmark = pytest.mark.parametrize("path", REVISED, ids=lambda p: p.stem)


def cells(path: Path) -> list[dict]:
    """The cells of a notebook, with their text under "text"."""
    found = json.loads(path.read_text("utf-8"))["cells"]
    for cell in found:
        cell["text"] = "".join(cell["source"])
    return found


def lines(cell: dict) -> int:
    """Lines of code, without blank lines and comments."""
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in cell["text"].splitlines())


def read_code(path: Path) -> list[dict]:
    """Code cells that are read: no exercise, check, prediction, quiz or scoreboard."""
    code = [c for c in cells(path) if c["cell_type"] == "code" and not c["metadata"].get("nbgrader")]
    return [c for c in code if not (ASKING.search(c["text"]) and lines(c) == 1)]


def prose(path: Path) -> str:
    """All markdown of a notebook."""
    return "\n\n".join(c["text"] for c in cells(path) if c["cell_type"] == "markdown")


def exercises(path: Path) -> int:
    """How many exercises it has."""
    return sum(bool(c["metadata"].get("nbgrader", {}).get("solution")) for c in cells(path))


def needed(some: list[dict]) -> float:
    """Minutes by the formula, of these cells."""
    total = 0.0
    for cell in some:
        if cell["cell_type"] == "markdown":
            total += len(cell["text"].split()) / 200 + 0.7 * cell["text"].count("**Predict:**")
        elif cell["metadata"].get("nbgrader", {}).get("solution"):
            total += 7
        elif "tl.quiz(" in cell["text"]:
            total += 3
        elif not cell["metadata"].get("nbgrader") and not ASKING.search(cell["text"]):
            total += 0.22 * lines(cell)
    return total


def test_cells_are_short(path: Path) -> None:
    counts = [lines(c) for c in read_code(path)]
    assert statistics.median(counts) <= 6
    assert max(counts) <= 15, {c["id"]: lines(c) for c in read_code(path) if lines(c) > 15}


def test_lines_fit_on_a_page(path: Path) -> None:
    code = [c for c in cells(path) if c["cell_type"] == "code"]
    wide = {c["id"]: line for c in code for line in c["text"].splitlines() if len(line) >= 88}
    assert not wide


def test_minutes_are_honest(path: Path) -> None:
    claimed = int(re.search(r"\*\*Minutes\*\*\W*(\d+)", cells(path)[0]["text"])[1])
    takes = needed(cells(path))
    assert max(claimed, round(takes)) <= 60, f"{takes:.1f} minutes by the formula: cut or split it"
    assert 0.85 * takes <= claimed <= 1.15 * takes, f"it claims {claimed} minutes and takes {takes:.1f}"


def test_a_mark_stands_in_the_middle(path: Path) -> None:
    marks = [(i, m) for i, c in enumerate(cells(path)) if (m := re.search(r"\*To here: (\d+) minutes\.\*", c["text"]))]
    assert marks, "*To here: 25 minutes.*"
    for index, mark in marks:
        so_far, whole = needed(cells(path)[: index + 1]), needed(cells(path))
        assert abs(int(mark[1]) - so_far) <= max(2.5, 0.15 * so_far), f"{so_far:.0f} minutes to here"
        assert 0.2 * whole <= so_far <= 0.8 * whole


def test_every_prediction_can_be_made_and_compared(path: Path) -> None:
    all_cells, lesson = cells(path), re.match(r"\d\d(_\d(?=_))?", path.stem)[0]
    asked, told = [], []
    for before, cell in itertools.pairwise(all_cells):
        if "**Predict:**" in before["text"] and before["cell_type"] == "markdown":
            found = re.match(r'tl\.predict\(\s*"([^"]+)"', cell["text"])
            assert found, f"after {before['id']} comes a cell with tl.predict"
            asked.append(found[1])
    for cell in all_cells:
        told += re.findall(r'tl\.outcome\(\s*"([^"]+)"', cell["text"])
    assert asked == [f"{lesson}.{chr(97 + i)}" for i in range(len(asked))] and asked
    assert sorted(told) == asked, "each prediction meets its outcome, once"


def test_what_happened_says_a_number(path: Path) -> None:
    facts = re.split(r"\*\*What happened\.?\*\*", prose(path))[1:]
    assert len(facts) >= 3
    without = [text.split("\n\n")[0] for text in facts if not FACT.search(text.split("\n\n")[0])]
    assert not without, "the recorded fact comes first, with its unit"


def test_links(path: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", prose(path))
    assert len(links) >= 5
    assert any(link.endswith(".ipynb") for link in links) and any(link.startswith("https://") for link in links)


def test_alt_texts_are_one_sentence(path: Path) -> None:
    for cell in cells(path):
        for output in cell.get("outputs", []):
            for about in output.get("metadata", {}).values():
                alt = about.get("alt", "") if isinstance(about, dict) else ""
                assert len(alt) <= 300, f"{cell['id']}: {len(alt)} characters"


def test_the_quiz_has_five_questions(path: Path) -> None:
    quiz = json.loads((NOTEBOOKS / "checks" / f"{path.stem}.quiz.json").read_text("utf-8"))["questions"]
    assert len(quiz) == 5
    for question in quiz:
        assert question["ask"].strip() and 3 <= len(question["choices"]) <= 4
        assert 0 <= question["right"] < len(question["choices"])
        assert all(choice["text"].strip() and choice["why"].strip() for choice in question["choices"])
    assert len({question["right"] for question in quiz}) >= 2, "the right answer is not always the same letter"
    lesson = re.match(r"\d\d(_\d(?=_))?", path.stem)[0]
    assert sum(f'tl.quiz("{lesson}")' in c["text"] for c in cells(path)) == 1


def test_the_scoreboard_is_drawn(path: Path) -> None:
    assert sum("tl.scoreboard(" in c["text"] for c in cells(path)) == 1


def test_hints_lead_and_solutions_are_explained(path: Path) -> None:
    text = prose(path)
    assert text.count("The solution, explained") == exercises(path)
    assert text.count("Hint 2") >= exercises(path)
