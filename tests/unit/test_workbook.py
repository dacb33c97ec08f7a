"""Learner's copies: no solutions in them, and nothing of the learner's is ever lost."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trt_lessons.errors import ExerciseError
from trt_lessons.files import write_atomically
from trt_lessons.workbook import copies as workbook
from trt_lessons.workbook.copies import Workbook, learners, solution_report, solutions, stub, without_solution


def cell(source: str, *, cell_id: str = "a", **nbgrader: object) -> dict:
    """A code cell that was run."""
    output = {"output_type": "stream", "name": "stdout", "text": ["out\n"]}
    meta = {"nbgrader": nbgrader} if nbgrader else {}
    return {
        "cell_type": "code",
        "id": cell_id,
        "metadata": meta,
        "execution_count": 3,
        "outputs": [output],
        "source": source.splitlines(keepends=True),
    }


SOLUTION = "# how many\n### BEGIN SOLUTION\nhelper = 2\nanswer = helper * 21\n### END SOLUTION"


def lesson(word: str = "one") -> dict:
    """A small notebook with one exercise."""
    return {
        "cells": [
            cell(f"print({word!r})", cell_id="shown"),
            cell(SOLUTION, cell_id="task", solution=True, grade=False, grade_id="ex-90-1"),
            cell('tl.check("90.1", answer)', cell_id="check", solution=False, grade=True, grade_id="check-90-1"),
        ],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """(source, target): one lesson with its checks, and where the copies go."""
    source = tmp_path / "notebooks"
    (source / "checks").mkdir(parents=True)
    write(source)
    (source / "checks" / "90_try_it.py").write_text("# checks\n")
    return source, tmp_path / "workbook"


def write(source: Path, word: str = "one", name: str = "90_try_it.ipynb") -> None:
    """Write the lesson, or another version of it."""
    (source / name).write_text(json.dumps(lesson(word)))


def actions(copies: list) -> dict[str, str]:
    """name -> action."""
    return {c.name: c.action for c in copies}


# --- without solutions


def test_solution_becomes_a_stub() -> None:
    shown, task, check = learners(lesson())["cells"]
    assert "".join(task["source"]) == "# how many\n# your code here\nanswer = ..."
    assert task["outputs"] == check["outputs"] == [] and task["execution_count"] is None
    assert shown["outputs"] == [] and shown["execution_count"] is None


def test_the_source_is_not_changed() -> None:
    before = lesson()
    learners(before)
    assert before == lesson()


@pytest.mark.parametrize(
    ("solution", "later", "expected"),
    [
        ("a, b = 1, 2", "a + b", "a = ...\nb = ..."),
        ("a = 1\nhidden = 2", "print(a)", "a = ..."),
        ("def f(x, *, y=1):\n    return x", "f(2)", "def f(x, *, y=1):\n    ..."),
        ("class C:\n    x = 1", "C()", "class C:\n    ..."),
        ("with g() as a:\n    b = 1", "a; b", "a = ...\nb = ..."),
        ("network.mark(x)", "network", "..."),
        ("for i in range(3):\n    total = i", "total", "total = ..."),
        ("a: int = 1", "a", "a = ..."),
    ],
)
def test_what_stands_in_for_a_solution(solution: str, later: str, expected: str) -> None:
    assert stub("", solution, later) == f"# your code here\n{expected}"


def test_a_solution_inside_a_function() -> None:
    text = "def f(x):\n    ### BEGIN SOLUTION\n    y = 2 * x\n    return y\n    ### END SOLUTION"
    changed = without_solution(text, "f(1); y")
    assert changed == "def f(x):\n    # your code here\n    ..."
    compile(changed, "cell", "exec")
    assert solutions(text) == ["y = 2 * x\nreturn y"]


def test_two_solutions_in_a_cell() -> None:
    text = "### BEGIN SOLUTION\na = 1\n### END SOLUTION\nprint(a)\n### BEGIN SOLUTION\nb = 1\n### END SOLUTION"
    assert without_solution(text, "b").count("# your code here") == 2


@pytest.mark.parametrize("text", ["### BEGIN SOLUTION\na = 1", "a = 1\n### END SOLUTION"])
def test_a_marker_without_its_partner(text: str) -> None:
    with pytest.raises(ExerciseError, match="without its partner"):
        without_solution(text, "")


def test_a_solution_that_is_not_python() -> None:
    with pytest.raises(ExerciseError, match="not Python"):
        without_solution("### BEGIN SOLUTION\na = = 1\n### END SOLUTION", "")


# --- written, edited, started again, upgraded


def test_first_start(folders) -> None:
    source, target = folders
    assert actions(Workbook(source, target).update()) == {"90_try_it.ipynb": "new", "checks/90_try_it.py": "new"}
    text = (target / "90_try_it.ipynb").read_text()
    assert "helper" not in text and "SOLUTION" not in text


def test_second_start_changes_nothing(folders) -> None:
    source, target = folders
    Workbook(source, target).update()
    times = {p: p.stat().st_mtime_ns for p in target.rglob("*") if p.is_file() and p.suffix != ".lock"}
    assert set(actions(Workbook(source, target).update()).values()) == {"same"}
    assert {p: p.stat().st_mtime_ns for p in times} == times


def test_edited_is_kept(folders) -> None:
    source, target = folders
    Workbook(source, target).update()
    mine = target / "90_try_it.ipynb"
    mine.write_text(mine.read_text().replace("answer = ...", "answer = 42"))
    copies = Workbook(source, target).update()
    assert actions(copies)["90_try_it.ipynb"] == "kept"
    assert "answer = 42" in mine.read_text()


def test_new_lesson_comes_in(folders) -> None:
    source, target = folders
    Workbook(source, target).update()
    write(source, name="91_more.ipynb")
    assert actions(Workbook(source, target).update())["91_more.ipynb"] == "new"


def test_untouched_follows_the_lesson(folders) -> None:
    source, target = folders
    Workbook(source, target).update()
    write(source, "two")
    assert actions(Workbook(source, target).update())["90_try_it.ipynb"] == "updated"
    assert "two" in (target / "90_try_it.ipynb").read_text()


def test_edited_and_upgraded_keeps_both(folders) -> None:
    source, target = folders
    Workbook(source, target).update()
    mine = target / "90_try_it.ipynb"
    mine.write_text("mine")
    write(source, "two")
    beside = next(c for c in Workbook(source, target).update() if c.name == mine.name)
    assert beside.action == "beside" and "90_try_it.new.ipynb" in beside.note
    assert mine.read_text() == "mine"
    assert "two" in (target / "90_try_it.new.ipynb").read_text()
    assert actions(Workbook(source, target).update())[mine.name] == "kept"  # told once, not at every start
    write(source, "three")
    Workbook(source, target).update()
    assert "three" in (target / "90_try_it.new.ipynb").read_text()  # not edited, so it follows


def test_the_new_one_edited_too(folders) -> None:
    source, target = folders
    Workbook(source, target).update()
    (target / "90_try_it.ipynb").write_text("mine")
    write(source, "two")
    Workbook(source, target).update()
    (target / "90_try_it.new.ipynb").write_text("mine as well")
    write(source, "three")
    Workbook(source, target).update()
    assert (target / "90_try_it.ipynb").read_text() == "mine"
    assert (target / "90_try_it.new.ipynb").read_text() == "mine as well"
    assert "three" in (target / "90_try_it.new2.ipynb").read_text()


def test_changed_check_is_set_aside(folders) -> None:
    source, target = folders
    Workbook(source, target).update()
    (target / "checks" / "90_try_it.py").write_text("# mine\n")
    (source / "checks" / "90_try_it.py").write_text("# newer\n")
    Workbook(source, target).update()
    assert (target / "checks" / "90_try_it.py").read_text() == "# newer\n"
    kept = [p for p in (target / "checks").iterdir() if p.read_text() == "# mine\n"]
    assert len(kept) == 1 and kept[0].suffix != ".py"


def test_deleted_comes_back(folders) -> None:
    source, target = folders
    Workbook(source, target).update()
    (target / "90_try_it.ipynb").unlink()
    assert actions(Workbook(source, target).update())["90_try_it.ipynb"] == "new"


@pytest.mark.parametrize("damage", ["", "{cut", "[]", '{"files": 3}'])
def test_damaged_manifest_loses_nothing(folders, damage: str) -> None:
    source, target = folders
    Workbook(source, target).update()
    (target / "90_try_it.ipynb").write_text("mine")
    (target / ".manifest.json").write_text(damage)
    write(source, "two")
    Workbook(source, target).update()
    assert (target / "90_try_it.ipynb").read_text() == "mine"


def test_a_file_that_was_there_before(folders) -> None:
    source, target = folders
    target.mkdir()
    (target / "90_try_it.ipynb").write_text("somebody's")
    Workbook(source, target).update()
    assert (target / "90_try_it.ipynb").read_text() == "somebody's"
    assert (target / "90_try_it.new.ipynb").exists()


def test_no_lessons(tmp_path: Path) -> None:
    with pytest.raises(ExerciseError, match="no folder"):
        Workbook(tmp_path / "nowhere", tmp_path / "workbook").update()


def test_unwritable_target(folders, monkeypatch) -> None:
    source, target = folders

    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(workbook, "write_atomically", full)
    with pytest.raises(ExerciseError, match="No space left"):
        Workbook(source, target).update()


# --- killed half-way through


@pytest.mark.parametrize("step", range(8))
def test_a_crash_at_any_write_loses_nothing(folders, monkeypatch, step: int) -> None:
    """The process dies before write number `step`; the next start ends as if nothing had happened."""
    source, target = folders
    Workbook(source, target).update()
    mine = target / "90_try_it.ipynb"
    mine.write_text("mine")
    (target / "checks" / "90_try_it.py").write_text("# mine\n")
    write(source, "two")
    write(source, "new", name="91_more.ipynb")
    (source / "checks" / "90_try_it.py").write_text("# newer\n")
    writes = []

    def dies(path: Path, content: bytes) -> None:
        if len(writes) == step:
            (path.parent / f".{path.name}.x.part").write_bytes(content[:10])
            raise KeyboardInterrupt
        writes.append(path)
        real(path, content)

    real = workbook.write_atomically
    monkeypatch.setattr(workbook, "write_atomically", dies)
    with pytest.raises(KeyboardInterrupt):
        Workbook(source, target).update()
    monkeypatch.setattr(workbook, "write_atomically", real)
    assert mine.read_text() == "mine"
    Workbook(source, target).update()
    assert mine.read_text() == "mine"
    assert "two" in (target / "90_try_it.new.ipynb").read_text()
    assert (target / "checks" / "90_try_it.py").read_text() == "# newer\n"
    assert "# mine\n" in [p.read_text() for p in (target / "checks").iterdir()]
    assert "new" in (target / "91_more.ipynb").read_text()
    assert not list(target.rglob("*.part"))
    assert set(actions(Workbook(source, target).update()).values()) <= {"same", "kept"}


def test_killed_for_real(folders) -> None:
    """SIGKILL at arbitrary moments while lessons change: the learner's file stays, the rest is whole."""
    source, target = folders
    Workbook(source, target).update()
    mine = target / "90_try_it.ipynb"
    mine.write_text("mine")
    for i in range(30):
        write(source, name=f"91_lesson_{i}.ipynb")
    program = textwrap.dedent(f"""
        import json, pathlib
        from trt_lessons.workbook.copies import Workbook
        source = pathlib.Path({str(source)!r})
        print("ready", flush=True)
        for n in range(10_000):
            for i in range(30):
                path = source / f"91_lesson_{{i}}.ipynb"
                path.write_text(path.read_text().replace("'one'", "'two'") if n % 2 else path.read_text())
            Workbook(source, {str(target)!r}).update()
            for path in pathlib.Path({str(target)!r}).glob("91_*.ipynb"):
                path.unlink()
    """)
    for pause in (0.02, 0.05, 0.11):
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
        process.stdout.readline()
        time.sleep(pause)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert mine.read_text() == "mine"
        for copy in target.glob("91_*.ipynb"):
            json.loads(copy.read_text())
    for i in range(30):
        write(source, name=f"91_lesson_{i}.ipynb")
    Workbook(source, target).update()
    assert len([json.loads(p.read_text()) for p in target.glob("91_lesson_*.ipynb")]) == 30
    assert mine.read_text() == "mine" and not list(target.rglob("*.part"))


class Life:
    """A workbook's life in random order: starts, upgrades, crashes, and a learner who saves what nobody may lose."""

    def __init__(self, folder: Path) -> None:
        self.source, self.target = folder / "notebooks", folder / "workbook"
        (self.source / "checks").mkdir(parents=True)
        self.saved: dict[str, str] = {}
        self.version, self.count = 0, itertools.count()
        self.upgrade()

    def upgrade(self, number: int = 0) -> None:
        """Another version of the lesson and of its checks comes."""
        self.version += 1
        write(self.source, f"version {self.version}")
        (self.source / "checks" / "90_try_it.py").write_text(f"# version {self.version}\n")

    def edit(self, number: int) -> None:
        """The learner saves something of their own in one of the files that lie there, or in a new one."""
        there = sorted(self.target.rglob("[0-9]*")) if self.target.exists() else []
        if there:
            path = [*there, self.target / "my_notes.ipynb"][number % (len(there) + 1)]
            gone = path.read_text() if path.exists() else ""  # by the learner's own hand, also where we had put it
            self.saved = {file: text for file, text in self.saved.items() if text != gone}
            self.saved[path.as_posix()] = f"saved {next(self.count)} {number} {path.name}"
            path.write_text(self.saved[path.as_posix()])

    def start(self, number: int = -1) -> None:
        """`trt-lessons lab`; dies before write `number` where that is 0 or more."""
        left = [number]

        def write_or_die(path: Path, content: bytes) -> None:
            left[0] -= 1
            if left[0] == -1:
                (path.parent / f".{path.name}.x.part").write_bytes(content[: len(content) // 2])
                raise KeyboardInterrupt
            write_atomically(path, content)

        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            patch.setattr(workbook, "write_atomically", write_or_die)
            Workbook(self.source, self.target).update()


@given(st.lists(st.tuples(st.sampled_from(["edit", "upgrade", "start", "crash"]), st.integers(0, 9)), max_size=25))
@example([("start", 0), ("edit", 0), ("edit", 1), ("upgrade", 0), ("start", 0), ("edit", 3)])
@settings(deadline=None, max_examples=60)
def test_nothing_saved_is_ever_lost(steps) -> None:
    with tempfile.TemporaryDirectory() as folder:
        life = Life(Path(folder))
        for what, number in steps:
            if what == "start":
                life.start()
            else:
                {"edit": life.edit, "upgrade": life.upgrade, "crash": life.start}[what](number)
            texts = [p.read_text() for p in life.target.rglob("*") if p.is_file()] if life.target.exists() else []
            assert set(life.saved.values()) <= set(texts), steps
        life.start()
        assert set(actions(Workbook(life.source, life.target).update()).values()) <= {"same", "kept"}
        assert not list(life.target.rglob("*.part"))


def test_two_at_once(folders) -> None:
    source, target = folders
    program = "import sys; from trt_lessons.workbook.copies import Workbook; Workbook(*sys.argv[1:]).update()"
    started = [subprocess.Popen([sys.executable, "-c", program, str(source), str(target)]) for _ in range(2)]
    assert [p.wait(60) for p in started] == [0, 0]
    assert set(actions(Workbook(source, target).update()).values()) == {"same"}


# --- a solution beside the learner's


def test_solution_beside_yours(folders) -> None:
    source, target = folders
    Workbook(source, target).update()
    [block] = solution_report(source / "90_try_it.ipynb", target)
    assert block.startswith("90.1\n") and "answer = ..." in block and "answer = helper * 21" in block
    assert not list(solution_report(source / "90_try_it.ipynb", target, "90.2"))


def test_solution_without_a_copy(folders) -> None:
    source, target = folders
    [block] = solution_report(source / "90_try_it.ipynb", target)
    assert "no copy yet" in block
