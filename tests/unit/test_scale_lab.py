"""What lesson 09 shows where Ray, Triton or a card is missing: the recorded value, with a line that says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trt_lessons import backend
from trt_lessons.records import provenance, recordings
from trt_lessons.scale import lab


def test_what_is_missing_is_said_and_the_recorded_value_given(capsys: pytest.CaptureFixture[str]) -> None:
    value = lab.kept("sweep", "no Ray here", lambda: pytest.fail("asked for nothing"))
    assert value["measured"] == value["cases"] and value["killed"] == 1
    assert "no Ray here; recorded on 2 CPU cores, 2026-" in capsys.readouterr().out


def test_a_value_is_kept_only_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab, "KEPT", tmp_path / "lab.json")
    assert lab.kept("new", "", lambda: {"rows": 3}) == {"rows": 3} and not lab.KEPT.exists()
    monkeypatch.setenv("TRT_LESSONS_KEEP", "1")
    lab.kept("new", "", lambda: {"rows": 3})
    assert json.loads(lab.KEPT.read_text())["new"]["value"] == {"rows": 3}
    assert lab.shipped("new")[0] == {"rows": 3}


def test_the_wheels_triton_runs_no_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "is_gpu", lambda: True)
    monkeypatch.setattr(lab.importlib.util, "find_spec", lambda name: name == "pytriton")
    assert "container" in lab.no_triton()


def test_ray_without_its_web_server_serves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab.importlib.util, "find_spec", lambda name: name == "ray" or None)
    assert lab.no_ray() == "" and "no Ray Serve" in lab.no_ray_serve()
    monkeypatch.setattr(lab.importlib.util, "find_spec", lambda name: True)
    assert lab.no_ray_serve() == ""


def test_loads_are_the_cards_where_cards_were_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRT_LESSONS_RECORDINGS", str(tmp_path))
    monkeypatch.setattr(recordings, "shipped_root", lambda: tmp_path)
    replicas, note = lab.loads("heavy")
    assert list(replicas) == ["1 replica", "2 replicas"] and "2 CPU cores" in note
    value = {"bare": 9.0, "closed": 8.0, "loads": [{"rate": 4.0, "kept": 4.0, "median": 1.0, "p99": 2.0, "errors": 0}]}
    for name in ("1 card", "2 cards"):
        file = tmp_path / "card_trt8" / f"{lab.LESSON}.json"
        recordings.write(file, lab.LESSON, f"load, heavy, {name}", value, provenance.here())
    cards, note = lab.loads("heavy")
    assert cards == {"1 card": value, "2 cards": value} and "2 CPU cores" not in note
    assert list(lab.loads("light")[0]) == ["1 replica", "2 replicas"]
