"""A sweep on a real Ray cluster of two nodes: a driver killed, a node killed, every case recorded once."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from trt_lessons.errors import LessonError
from trt_lessons.records import recordings
from trt_lessons.scale.cases import Case, table
from trt_lessons.scale.cluster import knock
from trt_lessons.scale.sweeping import sweep

if importlib.util.find_spec("ray") is None:  # not imported yet: what it imports is chosen in the fixture `cluster`
    pytest.skip("Ray is not installed: pip install '.[scale]'", allow_module_level=True)


def journal(folder: Path) -> list[dict[str, Any]]:
    """The rows that are whole."""
    path = folder / "sweep.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def wait_for(condition: Any, seconds: float = 30) -> None:
    """Until a condition holds; fails after so many seconds."""
    until = time.time() + seconds
    while not condition():
        assert time.time() < until, "waited too long"
        time.sleep(0.1)


def quick_one(case: dict[str, Any], *_: Any) -> dict[str, Any]:
    """A worker's answer after 0.2 s of nothing."""
    from trt_lessons.records import provenance

    start = time.time()
    time.sleep(0.2)
    where = provenance.here().to_dict()
    return {"status": "ok", "value": {"bytes": 1.0}, "seconds": 0.2, "started": start, "provenance": where}


def stand_in(case: dict[str, Any], model: bytes, data: bytes | None, limit_s: float, memory: int | None) -> dict:
    """What a worker does in the tests of failures: nothing, quickly, or what the batch says."""

    if case["batch"] == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    if case["batch"] == 14:
        return {"status": "hung", "error": "no answer", "seconds": 0.1, "started": time.time()}
    if case["batch"] == 15:
        return {"status": "refused", "error": "never builds", "seconds": 0.1, "started": time.time()}
    return quick_one(case)


@pytest.fixture
def by_value() -> Any:
    """Functions of this file travel to the workers by value: they cannot import it."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.mark.usefixtures("by_value")
def test_forty_cases_a_driver_killed_and_a_node_killed(cluster: Any, model: str, tmp_path: Path) -> None:
    cases = table([model], precision=["fp32", "fp16"], batch=list(range(1, 21)))
    (tmp_path / "cases.json").write_text(json.dumps([case.plain() for case in cases]))
    command = [sys.executable, "-m", "trt_lessons.cli", "sweep", str(tmp_path / "cases.json")]
    command += ["--output", str(tmp_path), "--address", cluster.address]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: len(journal(tmp_path)) >= 4)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    before = len(journal(tmp_path))
    assert before < 30

    def tell(line: str) -> None:
        if len(journal(tmp_path)) >= before + 6 and cluster.second in cluster.worker_nodes:
            cluster.remove_node(cluster.second, allow_graceful=False)

    found = sweep(cases, tmp_path, tell=tell, run=quick_one)  # the first cases were built; here it is about the nodes
    assert [row["status"] for row in found.rows] == ["ok"] * 40 and found.skipped >= before
    ok = Counter(row["key"] for row in journal(tmp_path) if row["status"] == "ok")
    assert set(ok) == {case.key for case in cases} and set(ok.values()) == {1}
    assert cluster.second not in cluster.worker_nodes
    assert len(recordings.load(found.files[0]).entries) == 40
    again = sweep(cases, tmp_path)
    assert again.attempts == 0 and again.skipped == 40


@pytest.mark.usefixtures("by_value")
def test_accidents_are_rows_and_tried_as_often_as_said(cluster: Any, model: str, tmp_path: Path) -> None:
    cases = table([model], batch=[1, 13, 14, 15])
    found = sweep(cases, tmp_path, retries=1, run=stand_in)
    rows = {row["case"]["batch"]: row for row in found.rows}
    assert {n: (row["status"], row["try"]) for n, row in rows.items()} == {
        1: ("ok", 1),
        13: ("killed", 2),
        14: ("hung", 2),
        15: ("refused", 1),
    }
    assert all(row["error"] for n, row in rows.items() if n != 1)
    again = sweep(cases, tmp_path, retries=0, run=stand_in)
    assert again.attempts == 2 and again.skipped == 2  # accidents are tried again, answers are not


@pytest.mark.usefixtures("by_value")
def test_an_interrupted_sweep_has_its_recordings_and_goes_on(cluster: Any, model: str, tmp_path: Path) -> None:
    def tell(line: str) -> None:
        if len(journal(tmp_path)) == 3:
            raise KeyboardInterrupt

    cases = table([model], batch=list(range(1, 7)))
    with pytest.raises(KeyboardInterrupt):
        sweep(cases, tmp_path, tell=tell, run=stand_in)
    (file,) = tmp_path.glob("*/sweep.json")
    assert len(recordings.load(file).entries) == 3
    again = sweep(cases, tmp_path, run=stand_in)
    assert again.skipped == 3 and again.attempts == 3 and {row["status"] for row in again.rows} == {"ok"}


def test_every_process_of_ray_listens_on_loopback_only(cluster: Any, listening: Any) -> None:
    places = listening()
    assert places and not [place for place in places if not place.loopback], places


@pytest.mark.usefixtures("by_value")
def test_a_card_that_no_node_has(cluster: Any, model: str, tmp_path: Path) -> None:
    found = sweep([Case(model, card="B300"), Case(model)], tmp_path, patience_s=1, run=stand_in)
    assert [row["status"] for row in found.rows] == ["unplaced", "ok"]
    assert "no node with B300" in found.rows[0]["error"]


def test_no_cluster_there() -> None:
    with pytest.raises(LessonError, match=r"no Ray cluster answers at 127.0.0.1:1"):
        knock("127.0.0.1:1")


def test_without_ray_the_cure_is_named(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(LessonError, match=r"trt-lessons\[scale\]"):
        sweep([Case(model)], tmp_path)
