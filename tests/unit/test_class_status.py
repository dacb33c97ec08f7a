"""Who is stuck: only what learners agreed to, whatever the files look like."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from trt_lessons.cli import main
from trt_lessons.errors import ExerciseError
from trt_lessons.workbook import classroom, exercises, keeping
from trt_lessons.workbook.classroom import status

BAD_COUNT = '{"version": 1, "share": "X", "done": [], "tries": {"02.1": "many"}}'
DAMAGED = ["{", "[]", "null", '{"version": 1, "share": "X"}', BAD_COUNT, "[" * 100_000, "\x00", ""]
HINT = "Ask the <engine>."


def learner(folder: Path, name: str, tries: int = 0, done: tuple[str, ...] = (), **more: object) -> Path:
    """A progress file as exercises write it."""
    file = folder / keeping.PROGRESS_FILE
    folder.mkdir(parents=True)
    last = {"exercise": "02.1", "hint": HINT, "when": "2026-11-27T10:00:00+00:00"}
    data = {"version": 1, "done": {e: {} for e in done}, "tries": {"02.1": tries}, "last": last, "share": name}
    file.write_text(json.dumps(data | more), "utf-8")
    return file


def test_three_learners_one_stuck(tmp_path: Path) -> None:
    learner(tmp_path / "a", "Ada", tries=4)
    learner(tmp_path / "b", "Bo", tries=1, done=("02.1",))
    learner(tmp_path / "c", "Cy", tries=2)
    told = status.lines(status.read(tmp_path))
    assert told[0].startswith("Ada") and "STUCK at 02.1 after 4 tries" in told[1] and HINT in told[2]
    assert "\n".join(told).count("STUCK") == 1
    page = status.page(status.read(tmp_path), ["02.1", "02.2"])
    assert page.count('class="stuck"') == 1 and "Ask the &lt;engine&gt;." in page and "<td>done</td>" in page


def test_who_said_no_is_a_number_only(tmp_path: Path) -> None:
    learner(tmp_path / "dora", "", tries=9)
    text = "\n".join(status.lines(status.read(tmp_path))) + status.page(status.read(tmp_path), ["02.1"])
    assert "did not agree" in text and HINT not in text and "dora" not in text and "&lt;engine" not in text


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_file_is_said_and_not_touched(tmp_path: Path, content: str) -> None:
    file = learner(tmp_path / "a", "Ada")
    file.write_text(content)
    assert "1 progress file: is damaged" in "\n".join(status.lines(status.read(tmp_path)))
    assert file.read_text() == content and len(list(file.parent.iterdir())) == 1


def test_another_version_is_said(tmp_path: Path) -> None:
    learner(tmp_path / "a", "Ada", version=2)
    learner(tmp_path / "b", "Bo", version=7)
    told = "\n".join(status.lines(status.read(tmp_path)))
    assert "2 progress files" in told and "another version" in told and "Ada" not in told


def test_two_of_one_name_are_told_apart(tmp_path: Path) -> None:
    learner(tmp_path / "a", "Ada", tries=3)
    learner(tmp_path / "b", "Ada", tries=1)
    assert {x.name for x in status.read(tmp_path).learners} == {"Ada (1 of 2)", "Ada (2 of 2)"}


def test_a_name_stays_one_line_of_some_length(tmp_path: Path) -> None:
    learner(tmp_path / "a", "Ada\nBo: 99 done" + "!" * 999)
    (told,) = status.lines(status.read(tmp_path))
    assert told.startswith("Ada Bo: 99 done!!!") and "!: 0 done" in told and len(told) < 150


def test_a_folder_in_the_place_of_a_file_and_other_letters(tmp_path: Path) -> None:
    (tmp_path / "a" / keeping.PROGRESS_FILE).mkdir(parents=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / keeping.PROGRESS_FILE).write_bytes(b"\xff\xfe\x00")
    assert status.lines(status.read(tmp_path))[1].startswith("2 progress files: is damaged")


def test_no_folder_has_a_cure(tmp_path: Path) -> None:
    with pytest.raises(ExerciseError, match="FOLDER"):
        status.read(tmp_path / "none")


def test_a_learner_agrees_tries_and_takes_it_back(tmp_path: Path, monkeypatch, capsys) -> None:
    book = tmp_path / "class" / "book"
    assert main(["progress", "--workbook", str(book), "--share", "Ada"]) == 0
    monkeypatch.setenv("TRT_LESSONS_PROGRESS_FILE", str(book / keeping.PROGRESS_FILE))
    for _ in range(3):
        exercises.note_progress("02.1", exercises.wrong(yours=1, expected="two", hint=HINT))
    assert main(["classroom", "status", str(tmp_path / "class")]) == 0
    assert "STUCK at 02.1 after 3 tries" in (out := capsys.readouterr().out) and HINT in out
    assert main(["progress", "--workbook", str(book), "--no-share"]) == 0
    main(["classroom", "status", str(tmp_path / "class")])
    assert "Ada" not in (out := capsys.readouterr().out) and "did not agree" in out


def test_the_page_is_for_loopback_only() -> None:
    with status.server(lambda: "the class") as running:
        assert running.server_address[0] == "127.0.0.1"
        threading.Thread(target=running.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{running.server_port}/"
        assert urllib.request.urlopen(address, timeout=10).read() == b"the class"
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(
                urllib.request.Request(address, headers={"Host": "elsewhere.example:80"}), timeout=10
            )
        running.shutdown()


def test_an_endless_loop_gets_thirty_seconds() -> None:
    def cell(name: str) -> dict:
        return {"metadata": {"nbgrader": {"grade_id": name}}}

    assert classroom.seconds(cell("ex-02-1")) == classroom.seconds(cell("check-02-1")) == 30
    assert classroom.seconds(cell("ex-06-3")) == 120 and classroom.seconds({"metadata": {}}) == 300
    assert "timeout_func = classroom.seconds" in classroom.CONFIG
