"""What a Ray worker does with one case: a fresh process under a limit of time and of memory, and its answer.

The process dies with the worker that started it, whatever kills that worker: no card is left busy.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FULL = "[Errno 28]"  # how Python tells that no space is left
TOLD = 2000  # characters of a dead process's last words that are kept


def attempt(
    case: dict[str, Any], model: bytes, data: bytes | None, limit_s: float, memory: int | None
) -> dict[str, Any]:
    """Run one case; always a row: {"status", "error" or "value" and "provenance", "seconds", "host", "device", "pid"}.

    status: "ok", "refused" (the same words each time), "hung", "memory", "disk", "killed", "failed".
    device: the cards that Ray gave this worker. limit_s: seconds until a hang is called one. memory: bytes of host
    memory (resident), None: no limit.
    """
    start = time.time()
    folder = Path(tempfile.mkdtemp(prefix="trt-lessons-case-"))
    try:
        (folder / "case.json").write_text(json.dumps(case))
        (folder / "model.onnx").write_bytes(model)
        if data is not None:
            (folder / "data.npz").write_bytes(data)
        answer = _watched(folder, limit_s, memory)
    except OSError as error:
        answer = {"status": "disk" if error.errno == 28 else "failed", "error": f"{folder}: {error.strerror}"}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    where = {"host": socket.gethostname(), "device": os.environ.get("CUDA_VISIBLE_DEVICES", "")}
    return {**answer, "seconds": round(time.time() - start, 3), "started": start, "pid": os.getpid(), **where}


def _watched(folder: Path, limit_s: float, memory: int | None) -> dict[str, Any]:
    """Start the process, wait for it, end it at a limit."""
    here = str(Path(__file__).resolve().parents[2])
    environment = {"TRT_LESSONS_GPU_LOCK": "1", **os.environ}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", f"{__package__}.worker", str(folder)]
    with (folder / "words").open("wb") as words:
        process = subprocess.Popen(
            command, stdout=words, stderr=words, env=environment, start_new_session=True, preexec_fn=_die_together
        )
        try:
            ended = _wait(process, limit_s, memory)
        finally:
            _end(process)
    if ended:
        return ended
    file = folder / "answer.json"
    if process.returncode == 0 and file.exists():
        return json.loads(file.read_text())
    last = (folder / "words").read_bytes()[-TOLD:].decode(errors="replace").strip()
    if FULL in last:
        return {"status": "disk", "error": f"the process ended with {process.returncode}. {last}"}
    if process.returncode == -signal.SIGKILL:
        return {"status": "killed", "error": f"killed by signal 9, as the system does when memory ends. {last}"}
    return {"status": "killed", "error": f"the process ended with {process.returncode}. {last}"}


def _wait(process: subprocess.Popen, limit_s: float, memory: int | None) -> dict[str, Any] | None:
    """None when it ended by itself, else the row."""
    until = time.monotonic() + limit_s
    while process.poll() is None:
        if time.monotonic() > until:
            return {"status": "hung", "error": f"no answer in {limit_s:g} s; the process was ended"}
        used = _resident(process.pid)
        if memory and used > memory:
            return {"status": "memory", "error": f"{used / 2**30:.2f} GiB used, {memory / 2**30:.2f} allowed; ended"}
        time.sleep(0.05)
    return None


def _end(process: subprocess.Popen) -> None:
    """End the process and all that it started; harmless when it has ended."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _resident(pid: int) -> int:
    """Bytes of memory that a process holds; 0 where the system does not say."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def _die_together() -> None:
    """In the child, on Linux: be killed when the thread that started it ends (prctl's PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
