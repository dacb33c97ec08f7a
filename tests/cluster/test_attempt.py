"""One case in a process of its own: whatever ends the process is a row with words."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trt_lessons.scale import attempt
from trt_lessons.scale.cases import Case

STAND_INS = {
    "hangs": ("import time; time.sleep(60)", 0.5, None, "hung", "no answer in 0.5 s"),
    "killed": ("import os; os.kill(os.getpid(), 9)", 30, None, "killed", "signal 9"),
    "crashes": (
        "import os; print('words', flush=True); os._exit(3)",
        30,
        None,
        "killed",
        "ended with 3. words",
    ),
    "fills the disk": ("open('/dev/full', 'wb', 0).write(b'x')", 30, None, "disk", "No space left"),
    "eats": ("x = bytearray(400 << 20)\nimport time; time.sleep(30)", 30, 200 << 20, "memory", "0.20 allowed"),
}


@pytest.mark.parametrize("kind", STAND_INS)
def test_accidents(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, limit, memory, status, words = STAND_INS[kind]
    (tmp_path / "python").write_text(f"#!{sys.executable}\n{code}\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(attempt.sys, "executable", str(tmp_path / "python"))
    row = attempt.attempt({}, b"", None, limit, memory)
    assert row["status"] == status and words in row["error"]


def test_a_case_is_measured_or_refused(model: str) -> None:
    content = Path(model).read_bytes()
    row = attempt.attempt(Case(model, batch=3).plain(), content, None, 60, None)
    assert row["status"] == "ok" and row["value"]["operations"] == 2 * 3 * 16 * 8, row
    refused = attempt.attempt(Case(model).plain(), b"no model", None, 60, None)
    assert refused["status"] == "refused" and "ONNX" in refused["error"], refused


def test_a_full_disk_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert attempt.attempt({}, b"", None, 1, None)["status"] == "disk"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_the_process_dies_with_its_worker(tmp_path: Path) -> None:
    code = "import sys; from trt_lessons.scale import attempt; sys.executable = sys.argv[1]; print('up', flush=True);"
    code += "attempt.attempt({}, b'', None, 60, None)"
    (tmp_path / "python").write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    (tmp_path / "python").chmod(0o755)
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "python")])
    until = time.time() + 20
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
        assert time.time() < until
        time.sleep(0.05)
    child = int((tmp_path / "pid").read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    time.sleep(0.3)
    status = Path(f"/proc/{child}/status")  # gone, or dead and not yet collected by the system's first process
    assert not status.exists() or "State:\tZ" in status.read_text(encoding="utf-8")
