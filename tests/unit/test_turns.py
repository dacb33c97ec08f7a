"""Neighbours' measurements take turns: never two at once, and a killed holder stops nobody."""

from __future__ import annotations

import itertools
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from trt_lessons import backend
from trt_lessons.errors import MeasureError
from trt_lessons.measuring import turns
from trt_lessons.measuring.measure import measure_callable

MEASURES = """
import sys, time
from trt_lessons.measuring.measure import measure_callable
print("ready", flush=True)
sys.stdin.readline()
for _ in range(3):
    measure_callable(lambda: time.sleep(0.001), duration_s=0.15, warm_up_ms=0)
"""
HOLDS = """
import time
from trt_lessons.measuring.turns import turn
with turn("gpu"):
    print("mine", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the locks; nobody has made it yet."""
    monkeypatch.setenv(turns.SETTING, str(tmp_path / "turns"))
    return tmp_path / "turns"


def start(code: str) -> subprocess.Popen:
    """Another process, up to its first printed line."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", code], **pipes)
    assert process.stdout.readline()
    return process


def intervals(file: Path) -> list[tuple[float, float, int]]:
    """(start, end, pid) of each turn, by their start."""
    rows = [line.split() for line in file.read_text(encoding="utf-8").splitlines()]
    return sorted((float(a), float(b), int(pid)) for a, b, pid in rows)


def test_off_unless_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(turns.SETTING, raising=False)
    monkeypatch.setattr(turns, "_wait", None)
    with turns.turn("gpu"):
        assert turns.folder() is None


def test_the_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(turns.SETTING, "1")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert turns.folder() == tmp_path / "trt-lessons-turns"


def test_two_processes_take_turns(locks: Path) -> None:
    neighbours = [start(MEASURES) for _ in range(2)]
    for one in neighbours:
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in neighbours:
        one.communicate(timeout=60)
        assert one.returncode == 0
    found = intervals(locks / "cpu.lock")
    assert len(found) == 6 and {pid for *_, pid in found} == {one.pid for one in neighbours}
    assert all(later[0] >= earlier[1] for earlier, later in itertools.pairwise(found))
    assert all(end - begin >= 0.15 for begin, end, _ in found)


def test_threads_take_turns_too(locks: Path) -> None:
    work = [threading.Thread(target=lambda: _hold(0.1)) for _ in range(3)]
    for one in work:
        one.start()
    for one in work:
        one.join()
    found = intervals(locks / "gpu.lock")
    assert len(found) == 3
    assert all(later[0] >= earlier[1] for earlier, later in itertools.pairwise(found))


def _hold(seconds: float) -> None:
    with turns.turn("gpu"):
        time.sleep(seconds)


def test_another_gpu_does_not_wait(locks: Path) -> None:
    with turns.turn("0000:01:00.0"), start(HOLDS) as other:
        os.kill(other.pid, signal.SIGKILL)
    assert (locks / "0000-01-00.0.lock").exists()


def test_on_a_gpu_the_lock_is_the_cards(locks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = SimpleNamespace(pci_bus_id=lambda: "0000:3B:00.0")
    monkeypatch.setattr(backend, "cuda", SimpleNamespace(Device=lambda number: card))
    monkeypatch.setattr(backend, "is_gpu", lambda: True)
    with turns.turn():
        assert [path.name for path in locks.iterdir()] == ["0000-3B-00.0.lock"]


def test_a_killed_holder_frees_it(locks: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(turns, "PATIENCE_S", 0.2)
    holder = start(HOLDS)
    threading.Timer(0.6, lambda: os.kill(holder.pid, signal.SIGKILL)).start()
    before = time.monotonic()
    with turns.turn("gpu"):
        assert 0.5 < time.monotonic() - before < 10
    holder.communicate()
    assert "waiting for a neighbour's measurement" in capsys.readouterr().out


def test_no_word_about_a_short_wait(locks: Path, capsys) -> None:
    first = threading.Thread(target=_hold, args=(0.3,))
    first.start()
    _hold(0)
    first.join()
    assert capsys.readouterr().out == ""


def test_an_error_ends_the_turn(locks: Path) -> None:
    with pytest.raises(ZeroDivisionError), turns.turn("gpu"):
        print(1 / 0)
    _hold(0)
    assert len(intervals(locks / "gpu.lock")) == 2


def test_a_measurement_inside_a_measurement(locks: Path) -> None:
    inner = []
    measure_callable(lambda: inner or inner.append(measure_callable(lambda: None, duration_s=0)), duration_s=0)
    assert inner and len(intervals(locks / "cpu.lock")) == 1


def test_every_user_of_the_machine_can_take_turns(locks: Path) -> None:
    before = os.umask(0o077)
    try:
        _hold(0)
    finally:
        os.umask(before)
    assert stat.S_IMODE(locks.stat().st_mode) == 0o1777
    assert stat.S_IMODE((locks / "gpu.lock").stat().st_mode) == 0o666


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become two users")
def test_two_users_in_a_sticky_folder(tmp_path: Path) -> None:
    """The lock's file belongs to one user; another opens it in a folder such as /tmp."""
    place = Path(f"/tmp/trt-lessons-test-{os.getpid()}")
    code = "import fcntl, os, sys; from trt_lessons.measuring import turns; os.setuid(int(sys.argv[1]))"
    code += "\nwith turns.turn('gpu'): pass"
    try:
        for user in ("1001", "1002", "1001"):
            env = {**os.environ, turns.SETTING: str(place)}
            subprocess.run([sys.executable, "-c", code, user], env=env, check=True, timeout=60)
        assert len(intervals(place / "gpu.lock")) == 3
    finally:
        for left in place.glob("*"):
            left.unlink()
        place.rmdir()


def test_a_folder_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(turns.SETTING, str(tmp_path / "file"))
    with pytest.raises(MeasureError, match="cannot take turns"), turns.turn("gpu"):
        pass
