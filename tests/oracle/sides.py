"""Both sides' answers about many models, each side in a process that is started again when a case ends it."""

from __future__ import annotations

import collections
import functools
import importlib.util
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

import onnx

HERE = Path(__file__).parent
SETS = ("node", "simple", "pytorch-operator", "pytorch-converted", "light")
SECONDS = 60  # for one model


def nvidia_python() -> str | None:
    """The Python that has TensorRT-RTX: this one, or the one that TRT_LESSONS_NVIDIA_PYTHON names; else None."""
    named = os.environ.get("TRT_LESSONS_NVIDIA_PYTHON")
    if named:
        return named
    return sys.executable if importlib.util.find_spec("tensorrt_rtx") else None


@functools.cache
def models() -> dict[str, Path]:
    """All models of the onnx package's own tests, by set and name."""
    data = Path(onnx.__file__).parent / "backend" / "test" / "data"
    found: dict[str, Path] = {}
    for name in SETS:
        found |= {f"{name}/{p.parent.name}": p for p in sorted((data / name).glob("*/model.onnx"))}
        found |= {f"{name}/{p.stem}": p for p in sorted((data / name).glob("*.onnx"))}
    return found


def has_outputs(name: str) -> bool:
    """Do outputs come with the model of that name?"""
    return any((models()[name].parent / "test_data_set_0").glob("output_*.pb"))


class _Worker:
    """A process of one side, and a thread that reads its answers."""

    def __init__(self, side: str, python: str) -> None:
        env = os.environ | {"TRT_LESSONS_BACKEND": "interpreter", "PYTHONPATH": str(HERE.parents[1])}
        self.process = subprocess.Popen(
            [python, str(HERE / "asking.py"), side], env=env, text=True, encoding="utf-8",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        if self._answer() is None:
            raise RuntimeError(f"{side} does not start: try `{python} {HERE / 'asking.py'} {side}` by hand")

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def _answer(self) -> dict | None:
        try:
            line = self.lines.get(timeout=SECONDS)
        except queue.Empty:
            return None
        return json.loads(line) if line else None

    def ask(self, path: Path) -> dict | None:
        """The answer, None where the process ended or took too long."""
        try:
            self.process.stdin.write(f"{path}\n")
            self.process.stdin.flush()
        except OSError:
            return None
        return self._answer()

    def end(self) -> int:
        """Stop the process and tell how it ended."""
        self.process.kill()
        return self.process.wait()


def ask(side: str, python: str, cases: dict[str, Path]) -> dict[str, dict]:
    """One side's answers; a case that ends or holds up its process has the verdict "crash"."""
    waiting, answers, worker = collections.deque(cases.items()), {}, None
    while waiting:
        name, path = waiting.popleft()
        worker = worker or _Worker(side, python)
        answers[name] = worker.ask(path)
        if answers[name] is None:
            answers[name] = {"verdict": "crash", "words": f"the process ended with {worker.end()}"}
            worker = None
    if worker:
        worker.end()
    return answers


def both(python: str, cases: dict[str, Path]) -> dict[str, dict[str, dict]]:
    """{"interpreter": answers, "nvidia": answers}, asked at the same time."""
    pythons, answers = {"interpreter": sys.executable, "nvidia": python}, {}
    threads = [
        threading.Thread(target=lambda s=side, p=where: answers.update({s: ask(s, p, cases)}))
        for side, where in pythons.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
