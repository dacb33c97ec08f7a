"""A newer lesson in a learner's copy: what was saved stays, what was left alone follows."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from trt_lessons.errors import ExerciseError
from trt_lessons.files import home
from trt_lessons.workbook import copies
from trt_lessons.workbook.copies import Workbook, learners
from trt_lessons.workbook.copies.merge import by_id, merge, same_sources, text_of

NAME = "90_try_it.ipynb"


def code(key: str, text: str) -> dict:
    """A code cell that was not run."""
    return {"cell_type": "code", "id": key, "metadata": {}, "execution_count": None, "outputs": [], "source": text}


def book(**texts: str) -> dict:
    """A notebook with a code cell for each text."""
    cells = [code(key, text) for key, text in texts.items()]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def texts(notebook: dict) -> dict[str, str]:
    """id -> source."""
    return {c["id"]: text_of(c)[1] for c in notebook["cells"]}


BASE = book(a="1", b="2", c="3")


@pytest.mark.parametrize(
    ("mine", "lesson", "expected"),
    [
        (book(a="1", b="2", c="3"), book(a="1", b="two", c="3"), {"a": "1", "b": "two", "c": "3"}),
        (book(a="1", b="mine", c="3"), book(a="one", b="2", c="3"), {"a": "one", "b": "mine", "c": "3"}),
        (book(a="1", x="mine", b="2", c="3"), book(a="1", n="new", b="2", c="3"), None),
        (book(c="3", a="1", b="2"), book(a="one", b="2", c="3"), {"c": "3", "a": "one", "b": "2"}),
        (book(a="1", c="3"), book(a="1", b="2", c="three"), {"a": "1", "c": "three"}),
        (book(a="1", c="3"), book(a="1", b="two", c="3"), {"a": "1", "b": "two", "c": "3"}),
        (book(a="1", b="mine", c="3"), book(a="1", c="3"), {"a": "1", "b": "mine", "c": "3"}),
        (book(a="1", b="2", c="3"), book(a="1", c="3"), {"a": "1", "c": "3"}),
        (book(a="1", b="two", c="3"), book(a="1", b="two", c="3"), {"a": "1", "b": "two", "c": "3"}),
    ],
)
def test_what_comes_of_three(mine: dict, lesson: dict, expected: dict | None) -> None:
    got = texts(merge(BASE, mine, lesson).notebook)
    if expected is None:
        assert set(got) == {"a", "b", "c", "x", "n"} and next(iter(got)) == "a" and list(got)[-2:] == ["b", "c"]
    else:
        assert list(got.items()) == list(expected.items())


def test_a_conflict_keeps_both_and_says_so_once() -> None:
    mine, lesson = book(a="1", b="mine", c="3"), book(a="1", b="two", c="3")
    merged = merge(BASE, mine, lesson)
    assert merged.conflicts == ("b",)
    shown = texts(merged.notebook)
    [note] = set(shown) - {"a", "b", "c"}
    assert shown["b"] == "mine" and "two" in shown[note] and "newer lesson" in shown[note]
    again = merge(BASE, merged.notebook, lesson)  # as after a crash before it was written down
    assert again.notebook == merged.notebook and not again.conflicts


def test_cells_with_one_id_are_two_cells() -> None:
    mine = book(a="1", b="2", c="3")
    mine["cells"].insert(1, code("b", "mine"))
    mine["cells"].append(code("c", "mine too"))
    got = texts(merge(BASE, mine, book(a="one", b="2", c="3")).notebook)
    assert {"mine", "mine too", "one"} <= set(got.values()) and len(got) == 5


# --- in a folder


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """(source, target) with one lesson, copied."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / NAME).write_text(json.dumps(BASE))
    Workbook(tmp_path / "notebooks", tmp_path / "workbook").update()
    return tmp_path / "notebooks", tmp_path / "workbook"


def test_opened_and_saved_is_not_changed(folders) -> None:
    source, target = folders
    opened = json.loads((target / NAME).read_text())
    opened["metadata"] = {"kernelspec": {"name": "python3"}, "language_info": {"version": "3.11"}}
    opened["cells"][0].update(metadata={"trusted": True}, outputs=[], execution_count=7)
    (target / NAME).write_text(json.dumps(opened))
    assert [c.action for c in Workbook(source, target).update()] == ["same"]
    (source / NAME).write_text(json.dumps(book(a="1", b="two", c="3")))
    assert [c.action for c in Workbook(source, target).update()] == ["updated"]
    assert texts(json.loads((target / NAME).read_text()))["b"] == "two"


def test_a_backup_before_each_merge(folders) -> None:
    source, target = folders
    (target / NAME).write_text(json.dumps(book(a="1", b="mine", c="3")))
    before = (target / NAME).read_bytes()
    (source / NAME).write_text(json.dumps(book(a="one", b="2", c="3")))
    [copied] = Workbook(source, target).update()
    assert copied.action == "merged" and "1 cells" in copied.note
    assert [p.read_bytes() for p in (target / "backups").iterdir()] == [before]
    assert texts(json.loads((target / NAME).read_text())) == {"a": "one", "b": "mine", "c": "3"}


@pytest.mark.parametrize("damage", ["{cut", "[]", '{"cells": 3}', '{"cells": [{}]}', "\u00ff"])
def test_no_notebook_any_more(folders, damage: str) -> None:
    source, target = folders
    (target / NAME).write_text(damage, encoding="latin-1")
    (source / NAME).write_text(json.dumps(book(a="one")))
    [copied] = Workbook(source, target).update()
    assert copied.action == "beside" and "yours is kept" in copied.note
    assert (target / NAME).read_text(encoding="latin-1") == damage


def test_the_kept_lesson_was_damaged(folders) -> None:
    source, target = folders
    (target / NAME).write_text(json.dumps(book(a="mine", b="2", c="3")))
    [kept] = target.glob(".base/*/*.json")
    kept.write_text(json.dumps(book(a="mine", b="2", c="3")))
    (source / NAME).write_text(json.dumps(book(a="one", b="2", c="3")))
    assert [c.action for c in Workbook(source, target).update()] == ["beside"]
    assert texts(json.loads((target / NAME).read_text()))["a"] == "mine"


def test_no_copy_has_a_stored_output() -> None:
    found = sorted((home() / "notebooks").glob("*.ipynb"))
    assert found
    for path in found:
        cells = [c for c in learners(json.loads(path.read_text("utf-8")))["cells"] if c["cell_type"] == "code"]
        assert cells and not any(c["outputs"] or c["execution_count"] for c in cells), path.name


class Life:
    """A copy's random life. `mine`: texts that the learner saved and did not delete; `touched`: ids they changed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.dice = random.Random(seed)
        self.source, self.target = folder / "notebooks", folder / "workbook"
        self.source.mkdir(parents=True)
        self.lesson = book(**{f"c{i}": f"lesson {i}" for i in range(5)})
        self.mine: set[str] = set()
        self.touched: set[str] = set()
        self.count = 0
        self.publish()
        self.start()

    def publish(self) -> None:
        """The lesson as it is now, in the source folder."""
        (self.source / NAME).write_text(json.dumps(self.lesson))

    def next(self, word: str) -> str:
        """A text that was not there before."""
        self.count += 1
        return f"{word} {self.count};"

    def upgrade(self) -> None:
        """The lesson changes, gains, loses or moves a cell."""
        cells, at = self.lesson["cells"], self.dice.randrange(len(self.lesson["cells"]))
        what = self.dice.choice(["change", "add", "remove", "move"])
        if what == "change":
            cells[at]["source"] = self.next("lesson")
        elif what == "add":
            cells.insert(at, code(self.next("n").strip(";").replace(" ", ""), self.next("lesson")))
        elif len(cells) > 2:
            gone = cells.pop(at)
            if what == "move":
                cells.insert(self.dice.randrange(len(cells)), gone)
        self.publish()

    def edit(self) -> None:
        """The learner changes, adds, moves, doubles or deletes a cell, or JupyterLab writes metadata; then saves."""
        path = self.target / NAME
        copy = json.loads(path.read_text())
        cells, at = copy["cells"], self.dice.randrange(max(1, len(copy["cells"])))
        what = self.dice.choice(["change", "change", "add", "move", "double", "delete", "metadata"])
        if what == "add" or not cells:
            cells.insert(at, code(self.next("x").strip(";").replace(" ", ""), self.save_text()))
        elif what == "change":
            self.drop(cells[at])
            cells[at]["source"] = self.save_text()
        elif what == "double":
            cells.insert(at, {**cells[at], "source": self.save_text()})
            self.touched.add(cells[at]["id"])
        elif what == "move":
            cells.insert(self.dice.randrange(len(cells)), cells.pop(at))
        elif what == "delete":
            self.drop(cells.pop(at))
        else:
            copy["metadata"]["saved"] = self.next("jupyter")
        path.write_text(json.dumps(copy))

    def save_text(self) -> str:
        """A new text of the learner's."""
        self.mine.add(text := self.next("mine"))
        return text

    def drop(self, cell: dict) -> None:
        """By the learner's own hand."""
        self.touched.add(cell["id"])
        self.mine = {text for text in self.mine if text not in text_of(cell)[1]}

    def start(self, fails: BaseException | None = None) -> None:
        """`trt-lessons lab`; a random write fails where `fails` is given."""
        left = self.dice.randrange(4) if fails else -1

        def write(path: Path, content: bytes) -> None:
            nonlocal left
            left -= 1
            if fails and left < 0:
                (path.parent / f".{path.name}.x.part").write_bytes(content[: len(content) // 2])
                raise fails
            path.write_bytes(content)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(copies, "write_atomically", write)
            try:
                Workbook(self.source, self.target).update()
            except (ExerciseError, KeyboardInterrupt):
                assert fails

    def look(self) -> None:
        """All that was saved stands in the copy."""
        shown = (self.target / NAME).read_text()
        assert all(text in shown for text in self.mine), self.mine


@pytest.mark.parametrize("hundred", range(10))
def test_a_thousand_random_lives(tmp_path: Path, hundred: int) -> None:
    for seed in range(100 * hundred, 100 * hundred + 100):
        life = Life(tmp_path / str(seed), seed)
        for _ in range(12):
            what = life.dice.choice(["edit", "edit", "upgrade", "start", "crash", "full"])
            if what == "crash":
                life.start(KeyboardInterrupt())
            elif what == "full":
                life.start(OSError(28, "No space left on device"))
            else:
                {"edit": life.edit, "upgrade": life.upgrade, "start": life.start}[what]()
            life.look()
        life.start()
        life.look()
        copy = by_id(json.loads((life.target / NAME).read_text()))
        for key, cell in by_id(life.lesson).items():  # what the learner left alone is the lesson's newest
            if key not in life.touched:
                assert text_of(copy[key]) == text_of(cell), seed
        before = (life.target / NAME).read_bytes()
        life.start()
        assert (life.target / NAME).read_bytes() == before and same_sources(json.loads(before), json.loads(before))
