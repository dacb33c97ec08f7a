"""Recordings: round trip, origin, tampering, choice of machine, comparison."""

from __future__ import annotations

import json
import math
import re
from types import SimpleNamespace

import numpy as np
import pytest

import trt_lessons
from trt_lessons import recordings
from trt_lessons.advice.comparison import compare
from trt_lessons.errors import RecordingError
from trt_lessons.records import codec
from trt_lessons.records.measurement import Measurement
from trt_lessons.records.provenance import Provenance, folder_name

H200 = Provenance(
    gpu="NVIDIA H200",
    driver="570",
    cuda="12.9",
    tensorrt="8.6.0",
    packages={"numpy": "2"},
    utc="2026-11-22T13:00:00Z",
    commit="abc",
    run="r1",
)


def fake_backend(gpu, name="NVIDIA H200", version="8.6.0"):
    class Told(SimpleNamespace):
        def __str__(self):
            return "a machine"

    told = Told(gpu=name if gpu else None, trt_version=version, driver="570", cuda_version="12.9")
    return SimpleNamespace(is_gpu=lambda: gpu, describe=lambda: told)


@pytest.fixture
def on(monkeypatch, tmp_path):
    """Choose the machine: on(True) is a recording H200, on(False) a laptop; one folder for both."""
    monkeypatch.setenv("TRT_LESSONS_RECORDINGS", str(tmp_path))
    monkeypatch.delenv("TRT_LESSONS_RECORDED_GPU", raising=False)
    monkeypatch.delenv("TRT_LESSONS_REHEARSE", raising=False)
    monkeypatch.setenv("TRT_LESSONS_COMMIT", "0123abc-dirty")

    def choose(gpu, **machine):
        monkeypatch.setitem(vars(trt_lessons), "backend", fake_backend(gpu, **machine))
        monkeypatch.setenv("TRT_LESSONS_RECORD", "1" if gpu else "0")
        recordings.lesson("02_test")

    yield choose
    recordings._current["lesson"] = None


def a_measurement(n=50, scale=1.0):
    compute = scale * (1 + np.arange(n) / 1000)
    series = {"enqueue": compute / 10, "h2d": compute / 4, "compute": compute, "d2h": compute / 8}
    series["latency"] = series["h2d"] + compute + series["d2h"]
    return Measurement(series, 1000.0 / scale, 8, 1.0, {"transfers": True}, name="m")


@pytest.mark.parametrize(
    "value",
    [
        1,
        2.5,
        True,
        None,
        "text",
        [1, "a", None],
        (1, (2, 3)),
        {"a": {"b": [1.5]}},
        {1: "x", 2.5: "y"},
        {("a", 1): 3},
        {"$type": "mine"},
        float("inf"),
        float("-inf"),
    ],
)
def test_round_trip_of_plain_values(value):
    back = codec.decode(json.loads(json.dumps(codec.encode(value), allow_nan=False)))
    assert back == value and type(back) is type(value)


def test_round_trip_of_numpy():
    back = codec.decode(json.loads(json.dumps(codec.encode(np.float32(0.1)))))
    assert np.float32(back) == np.float32(0.1)
    assert codec.encode(np.int64(3)) == 3 and codec.encode(np.bool_(True)) is True
    assert math.isnan(codec.decode(codec.encode(float("nan"))))
    for array in (
        np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32),
        np.arange(6, dtype=np.int64).reshape(2, 3),
        np.array([True, False]),
        np.array([1.5, np.nan, np.inf]),
        np.float16([0.1, 3]),
    ):
        back = codec.decode(json.loads(json.dumps(codec.encode(array), allow_nan=False)))
        assert back.dtype == array.dtype and back.shape == array.shape
        np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("value", [object(), {1, 2}, b"x", 1j, np.zeros(codec.MOST_ELEMENTS + 1), [lambda: 1]])
def test_what_cannot_be_recorded_is_refused(value):
    with pytest.raises(RecordingError):
        codec.encode(value)


def test_record_then_recall(on, capsys):
    on(True)
    live = recordings.live_or_recorded("x", lambda: {"m": a_measurement(), "e": (1, 2)}, plan_sha256="77")
    assert live.source == "measured" and live.note.startswith("measured on NVIDIA H200, TensorRT 8.6.0, 20")
    on(False)
    back = recordings.live_or_recorded("x", lambda: pytest.fail("must not run without a GPU"))
    assert back.source == "recorded" and back["e"] == (1, 2) and len(back) == 2
    assert re.fullmatch(r"recorded on NVIDIA H200, TensorRT 8\.6\.0, \d{4}-\d\d-\d\d", back.note)
    where = back.provenance
    assert (where.commit, where.dirty, where.plan_sha256, where.driver) == ("0123abc", True, "77", "570")
    assert where.run and where.packages["numpy"]
    m = back["m"]
    assert m.source == "recorded" and m.note == back.note and m.median() == pytest.approx(a_measurement().median())
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert last.startswith("02_test: a machine; GPU figures: recorded on NVIDIA H200")


def test_nothing_is_written_unless_asked(on, monkeypatch, tmp_path):
    on(True)
    monkeypatch.setenv("TRT_LESSONS_RECORD", "0")
    assert recordings.live_or_recorded("x", lambda: 1).value == 1
    assert not list(tmp_path.iterdir())


def test_unrecordable_value_is_found_live_even_when_not_recording(on, monkeypatch):
    on(True)
    monkeypatch.setenv("TRT_LESSONS_RECORD", "0")
    with pytest.raises(RecordingError, match="cannot be recorded"):
        recordings.live_or_recorded("x", lambda: object())


def test_missing_name_says_which_exist(on):
    on(True)
    recordings.live_or_recorded("one", lambda: 1)
    recordings.live_or_recorded("two", lambda: 2)
    on(False)
    with pytest.raises(RecordingError, match="one, two"):
        recordings.recall("three")
    recordings._current["lesson"] = "09_none"
    with pytest.raises(RecordingError, match="no recording of the lesson"):
        recordings.recall("three")
    recordings._current["lesson"] = None
    with pytest.raises(RecordingError, match=r"tl\.lesson"):
        recordings.recall("one")


def test_a_name_that_no_gpu_recorded_is_computed_here_and_says_so(on, capsys):
    on(False)
    found = recordings.live_or_recorded("three", lambda: 3)
    assert (found.value, found.source, found.note) == (3, "interpreter", "onnxruntime on this CPU, not TensorRT")
    assert "'three' is not recorded on a GPU yet: taken here" in capsys.readouterr().out


def test_a_lesson_that_was_split_finds_what_was_recorded_before(on):
    on(True)
    recordings.live_or_recorded("one", lambda: 1)
    on(False)
    recordings._current["lesson"] = "05_2_second_half"
    assert recordings.there("one") and not recordings.there("two")
    assert recordings.live_or_recorded("one", lambda: 2).value == 1


def test_another_lesson_is_recalled_on_a_gpu_too(on, tmp_path, monkeypatch):
    recordings.write(tmp_path / "shipped" / "nvidia-h200_trt8.6.0" / "05_other.json", "05_other", "a", 1, H200)
    monkeypatch.setattr(recordings, "shipped_root", lambda: tmp_path / "shipped")
    for gpu in (True, False):
        on(gpu)
        assert recordings.recall("a", lesson="05_other").value == 1, "from the workbook's own"
    with pytest.raises(RecordingError, match="no recording of the lesson '06_none'"):
        recordings.recall("b", lesson="06_none")
    assert recordings.recall("a", lesson="05_2_later").value == 1, "it moved there from 05_other, or will"
    on(True)
    file = recordings._path_to_write("05_other")
    recordings.write(file, "05_other", "a", 2, H200.about(utc="2020-01-01T00:00:00Z"))
    assert recordings.recall("a", lesson="05_other").value == 2, "this run's, once it is there"


def test_entries_of_earlier_runs_stay(on, tmp_path):
    path = tmp_path / "nvidia-h200_trt8.6.0" / "02_test.json"
    recordings.write(path, "02_test", "a", 1, H200)
    recordings.write(path, "02_test", "b", 2, H200.about(run="r2", commit="def", utc="2026-11-23T00:00:00Z"))
    one = recordings.load(path)
    assert set(one.runs) == {"r1", "r2"}
    assert one.provenance("a").commit == "abc" and one.provenance("b").commit == "def"
    assert one.utc == "2026-11-23T00:00:00Z" and one.note().endswith("2026-11-23")
    recordings.write(path, "02_test", "a", 3, H200.about(run="r2", commit="def"))
    assert set(recordings.load(path).runs) == {"r2"}
    assert [p.name for p in path.parent.iterdir() if p.suffix in (".tmp", ".part")] == []


def written(tmp_path):
    path = tmp_path / "nvidia-h200_trt8.6.0" / "02_test.json"
    recordings.write(path, "02_test", "m", codec.encode(a_measurement()), H200)
    return path


def test_every_changed_digit_is_refused(on, tmp_path):
    path = written(tmp_path)
    text = path.read_text()
    digits = [i for i, c in enumerate(text) if c.isdigit()]
    for i in digits[:: max(1, len(digits) // 60)]:
        path.write_text(text[:i] + str((int(text[i]) + 1) % 10) + text[i + 1 :])
        with pytest.raises(RecordingError, match=r"refused|cannot be read"):
            recordings.load(path)
    path.write_text(text)
    recordings.load(path)


def test_cut_short_is_refused(on, tmp_path):
    path = written(tmp_path)
    text = path.read_text()
    for part in (0, 1, len(text) // 2, len(text) - 3):
        path.write_text(text[:part])
        with pytest.raises(RecordingError, match="cut short"):
            recordings.load(path)


def test_other_schema_is_refused(on, tmp_path):
    path = written(tmp_path)
    content = json.loads(path.read_text())
    content["schema"] = 99
    content["checksum"] = recordings.checksum(content)
    path.write_text(json.dumps(content))
    with pytest.raises(RecordingError, match="schema 99"):
        recordings.load(path)
    path.write_text("[1, 2]")
    with pytest.raises(RecordingError, match="names no schema"):
        recordings.load(path)


def test_damaged_file_is_found_before_a_recording_run_and_kept(on, tmp_path):
    path = written(tmp_path)
    path.write_text(path.read_text()[:-20])
    before = path.read_text()
    with pytest.raises(RecordingError, match="cut short"):
        on(True)
    assert path.read_text() == before


def test_folder_that_cannot_be_written(on, monkeypatch, tmp_path):
    on(True)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TRT_LESSONS_RECORDINGS", str(tmp_path / "file"))
    with pytest.raises(RecordingError, match="cannot be written"):
        recordings.live_or_recorded("x", lambda: 1)


def test_what_a_killed_recording_left_is_swept(on, tmp_path):
    path = written(tmp_path)
    left = path.with_name(f".{path.name}.x.part")
    left.write_text("half")
    recordings.write(path, "02_test", "more", 1, H200)
    assert not left.exists() and set(recordings.load(path).entries) > {"more"}


def two_machines(tmp_path):
    recordings.write(
        tmp_path / "nvidia-h200_trt8.6.0" / "02_test.json",
        "02_test",
        "m",
        codec.encode(a_measurement()),
        H200,
    )
    other = H200.about(gpu="NVIDIA L4", tensorrt="11.4.0", utc="2026-11-25T00:00:00Z")
    path = tmp_path / "nvidia-l4_trt11.4.0" / "02_test.json"
    recordings.write(path, "02_test", "m", codec.encode(a_measurement(scale=2.0)), other)
    recordings.write(path, "02_test", "extra", codec.encode({"a": a_measurement()}), other)


def test_newest_machine_or_the_one_asked_for(on, monkeypatch, tmp_path):
    two_machines(tmp_path)
    on(False)
    assert recordings.recall("m").provenance.gpu == "NVIDIA L4"
    for asked in ("nvidia-h200_trt8.6.0", "NVIDIA H200", "nvidia-h200"):
        monkeypatch.setenv("TRT_LESSONS_RECORDED_GPU", asked)
        assert recordings.recall("m").provenance.gpu == "NVIDIA H200"
        recordings._current["lesson"] = "02_2_split_off"
        assert recordings.recall("m").provenance.gpu == "NVIDIA H200", "of that machine, by another lesson's name"
        recordings._current["lesson"] = "02_test"
    monkeypatch.setenv("TRT_LESSONS_RECORDED_GPU", "NVIDIA B200")
    with pytest.raises(RecordingError, match=r"nvidia-h200_trt8\.6\.0, nvidia-l4_trt11\.4\.0"):
        recordings.recall("m")


def test_compare_two_machines(on, monkeypatch, tmp_path):
    two_machines(tmp_path)
    monkeypatch.setattr(recordings, "shipped_root", lambda: tmp_path)
    on(True, name="NVIDIA L4", version="11.4.0")
    found = compare()
    assert [(r.name, round(r.faster, 3)) for r in found.rows] == [("m", 0.5)]
    assert found.only_mine == ["02_test extra/a"] and found.only_theirs == []
    assert "NVIDIA L4, TensorRT 11.4.0, 2026-11-25" in found.table()
    on(False)
    with pytest.raises(RecordingError, match="machines with recordings"):
        compare()
    assert compare("nvidia-h200_trt8.6.0").rows[0].faster == pytest.approx(2.0)


def test_compare_two_runs_of_one_machine_by_their_paths(on, monkeypatch, tmp_path):
    for run in ("first", "second"):
        two_machines(tmp_path / run)
    monkeypatch.setattr(recordings, "shipped_root", lambda: tmp_path / "nothing")
    on(False)
    first, second = (str(tmp_path / run / "nvidia-h200_trt8.6.0") for run in ("first", "second"))
    assert [(r.name, r.faster) for r in compare(first, second).rows] == [("m", 1.0)]
    with pytest.raises(RecordingError, match="name the two machines"):
        compare(first, str(tmp_path / "third"))


def test_folder_names():
    assert folder_name("NVIDIA H200", "8.6.0") == "nvidia-h200_trt8.6.0"
    assert folder_name("NVIDIA GeForce RTX 4090", "11.4.0.1") == "nvidia-geforce-rtx-4090_trt11.4.0.1"


def test_rehearsal_computes_here_and_says_so(on, monkeypatch, tmp_path):
    on(False)
    monkeypatch.setenv("TRT_LESSONS_REHEARSE", "1")
    found = recordings.live_or_recorded("x", lambda: 5)
    assert found.value == 5 and found.source == "interpreter"
    assert found.note == "onnxruntime on this CPU, not TensorRT" and not list(tmp_path.iterdir())
