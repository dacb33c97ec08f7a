"""Every notebook keeps to the conventions of CONTRIBUTING.md."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FEWER_CELLS = {"00_start_here": 10}
FEWER_EXERCISES = {"00_start_here": 1}
NO_VERB = {"the", "a", "an", "tensorrt", "introduction", "lesson", "chapter", "overview"}

pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def load(path: Path) -> dict:
    """A notebook with the text of each cell under "text"."""
    notebook = json.loads(path.read_text("utf-8"))
    for cell in notebook["cells"]:
        cell["text"] = "".join(cell["source"])
    return notebook


def code(notebook: dict) -> list[dict]:
    """Its code cells."""
    return [c for c in notebook["cells"] if c["cell_type"] == "code"]


def nbgrader(cell: dict) -> dict:
    """nbgrader's metadata of a cell."""
    return cell["metadata"].get("nbgrader", {})


def test_name_and_format(path: Path) -> None:
    notebook = load(path)
    assert re.fullmatch(r"\d\d(_\d)?(_[a-z0-9]+)+", path.stem)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) >= (4, 5)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"


def test_number_of_cells(path: Path) -> None:
    assert FEWER_CELLS.get(path.stem, 20) <= len(load(path)["cells"])


def test_opening(path: Path) -> None:
    first = load(path)["cells"][0]
    assert first["cell_type"] == "markdown"
    title = first["text"].splitlines()[0]
    assert title.startswith("# "), "the first line is the title"
    words = re.sub(r"^#\s*(\d+(\.\d+)?\.?\s*[·:-]?)?\s*", "", title).lower().split()
    assert words and words[0] not in NO_VERB, "the title starts with a verb"
    for part in ("You will learn", "You need", "Minutes", "What a GPU adds"):
        assert part.lower() in first["text"].lower(), f"the opening says: {part}"


def test_closing(path: Path) -> None:
    last = load(path)["cells"][-1]
    assert last["cell_type"] == "markdown"
    for part in ("Summary", "Next", "Further reading"):
        assert part.lower() in last["text"].lower(), f"the last cell says: {part}"


def test_code_cells_are_short(path: Path) -> None:
    long = {c["id"]: c["text"].count("\n") + 1 for c in code(load(path)) if c["text"].count("\n") >= 25}
    assert not long


def test_code_follows_words(path: Path) -> None:
    cells = load(path)["cells"]
    pairs = [(a, b) for a, b in itertools.pairwise(cells) if b["cell_type"] == "code"]
    after_words = [b for a, b in pairs if a["cell_type"] == "markdown"]
    assert len(after_words) >= 0.7 * len(pairs)


def test_ids_are_unique(path: Path) -> None:
    ids = [c["id"] for c in load(path)["cells"]]
    assert len(set(ids)) == len(ids)


def test_every_code_cell_was_run(path: Path) -> None:
    counts = [c["execution_count"] for c in code(load(path))]
    assert None not in counts, "trt-lessons run --in-place stores the outputs"
    assert counts == sorted(counts)


def test_no_stored_error(path: Path) -> None:
    for cell in code(load(path)):
        kinds = [o["output_type"] for o in cell["outputs"]]
        assert "error" not in kinds or "raises-exception" in cell["metadata"].get("tags", [])


def test_no_machine_paths(path: Path) -> None:
    assert not re.search(r"(?<![\w.~])/(root|work|home/\w+)/", path.read_text("utf-8"))


def test_only_lasting_metadata(path: Path) -> None:
    for cell in load(path)["cells"]:
        assert set(cell["metadata"]) <= {"tags", "nbgrader"}


def test_exercises(path: Path) -> None:
    notebook = load(path)
    cells = notebook["cells"]
    tasks = [c for c in cells if nbgrader(c).get("solution")]
    checks = [c for c in cells if nbgrader(c).get("grade")]
    assert len(tasks) >= FEWER_EXERCISES.get(path.stem, 3)
    prefix = re.match(r"\d\d(_\d(?=_))?", path.stem)[0]
    numbers = [nbgrader(c)["grade_id"] for c in tasks]
    assert numbers == [f"ex-{prefix}-{i}" for i in range(1, len(tasks) + 1)]
    assert [nbgrader(c)["grade_id"] for c in checks] == [n.replace("ex-", "check-") for n in numbers]
    for cell in tasks:
        assert cell["text"].count("### BEGIN SOLUTION") == 1 == cell["text"].count("### END SOLUTION")
    for cell in checks:
        exercise_id = nbgrader(cell)["grade_id"].removeprefix("check-")
        exercise_id = ".".join(exercise_id.rsplit("-", 1))
        assert f'tl.check("{exercise_id}"' in cell["text"]
        assert nbgrader(cell)["points"] >= 1 and nbgrader(cell)["locked"]


def test_hints_are_folded(path: Path) -> None:
    text = "\n".join(c["text"] for c in load(path)["cells"] if c["cell_type"] == "markdown")
    tasks = sum(bool(nbgrader(c).get("solution")) for c in load(path)["cells"])
    assert text.count("<details>") >= tasks and text.count("<details>") == text.count("</details>")


def test_lesson_00_leads_there(path: Path) -> None:
    map_of_lessons = (ROOT / "notebooks" / "00_start_here.ipynb").read_text("utf-8")
    assert path.stem == "00_start_here" or f"]({path.name}) |" in map_of_lessons, (
        "a row in lesson 00's table, with a link"
    )
