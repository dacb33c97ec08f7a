"""The journal of a sweep and the table of its cases: what is written stays, whatever ends the driver."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from trt_lessons.errors import LessonError, RecordingError
from trt_lessons.records import provenance, recordings
from trt_lessons.scale.cases import Case, read, table
from trt_lessons.scale.ledger import Ledger


def row(key: str, status: str = "ok", name: str = "") -> dict:
    told = {"key": key, "name": name or key, "status": status, "seconds": 1.0, "try": 1, "error": "words"}
    return {**told, "value": {"bytes": 3.0}, "provenance": provenance.here().to_dict()}


def test_rows_come_back_and_a_torn_last_line_is_set_aside(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.add(row("a"))
        ledger.add(row("b"))
    whole = ledger.path.read_bytes()
    ledger.path.write_bytes(whole + b'{"key": "c", "na')
    with Ledger(tmp_path) as again:
        assert [r["key"] for r in again.rows] == ["a", "b"]
        again.add(row("c"))
    assert [json.loads(line)["key"] for line in ledger.path.read_text().splitlines()] == ["a", "b", "c"]


def test_a_damaged_line_in_the_middle_is_refused_and_nothing_changed(tmp_path: Path) -> None:
    path = tmp_path / "sweep.jsonl"
    path.write_text('{"key": "a"}\nnonsense\n{"key": "b"}\n')
    before = path.read_bytes()
    with pytest.raises(RecordingError, match="line 2"), Ledger(tmp_path):
        pass
    assert path.read_bytes() == before


def test_two_sweeps_into_one_folder(tmp_path: Path) -> None:
    with Ledger(tmp_path), pytest.raises(LessonError, match=r"another sweep writes.*process \d+"), Ledger(tmp_path):
        pass
    with Ledger(tmp_path):
        pass  # free again


def test_a_full_disk_keeps_what_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Ledger(tmp_path) as ledger:
        ledger.add(row("a"))
        with monkeypatch.context() as patch:
            patch.setattr("trt_lessons.scale.ledger.os.fsync", full)
            with pytest.raises(LessonError, match="goes on from here"):
                ledger.add(row("b"))
    with Ledger(tmp_path) as again:
        assert [r["key"] for r in again.rows] == ["a"]


def test_published_recordings_are_the_workbooks_own(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        for key, name in (("a" * 64, "digits"), ("b" * 64, "digits"), ("c" * 64, "strips")):
            ledger.add(row(key, name=name))
        ledger.add(row("d" * 64, "refused"))
        (path,) = ledger.publish()
        before = path.read_bytes()
        assert ledger.publish() == [path] and path.read_bytes() == before
    found = recordings.load(path)
    assert set(found.entries) == {"digits aaaaaaaa", "digits bbbbbbbb", "strips"}
    assert found.get("strips").value == {"bytes": 3.0}


def test_a_key_is_the_content(tmp_path: Path) -> None:
    one, other = tmp_path / "one.onnx", tmp_path / "other.onnx"
    one.write_bytes(b"model"), other.write_bytes(b"model")
    assert Case(str(one)).key == Case(str(other)).key != Case(str(one), batch=2).key
    keys = {c.key for c in table([one], precision=["fp32", "fp16"], batch=[1, 2], card=["H100", None])}
    assert len(keys) == 8


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[", "not JSON"),
        ("[]", "holds no cases"),
        ('[{"batch": 1}]', "row 0"),
        ('[{"model": "m", "depth": 1}]', "depth"),
        ('[{"model": "m", "precision": "fp4"}]', "fp4"),
        ('[{"model": "m", "batch": 0}]', "batch 0"),
    ],
)
def test_bad_tables_are_refused_in_words(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "cases.json").write_text(text)
    with pytest.raises(LessonError, match=words):
        read(tmp_path / "cases.json")


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LessonError, match="cannot be read"):
        _ = Case(str(tmp_path / "none.onnx")).key
