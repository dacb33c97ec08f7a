"""The interpreter's manners are those of NVIDIA's bindings: TensorRT-RTX is asked the same questions."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOT_TENSORRT: dict[str, str] = {}  # question -> why TensorRT-RTX's answer is not TensorRT's, and the source


def ask(side: str) -> dict[str, str]:
    """All answers of one side, from a process of its own."""
    program = [sys.executable, str(Path(__file__).with_name("manners.py")), side]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "TRT_LESSONS_BACKEND": "interpreter"}
    done = subprocess.run(program, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_answers_are_the_same() -> None:
    """At least 300 questions; every difference has its reason, and no reason is left over."""
    if importlib.util.find_spec("tensorrt_rtx") is None:
        pytest.skip("TensorRT-RTX is not installed: no wheel for this system, or left out")
    with ThreadPoolExecutor() as pool:
        ours, theirs = pool.map(ask, ("interpreter", "nvidia"))
    assert len(ours) >= 300
    differing = {q: f"NVIDIA {theirs[q]}, interpreter {ours[q]}" for q in theirs if theirs[q] != ours[q]}
    assert {q: told for q, told in differing.items() if q not in NOT_TENSORRT} == {}
    assert set(NOT_TENSORRT) <= set(differing)


def test_the_interpreter_answers_everything() -> None:
    """No question ends the interpreter's process, with or without NVIDIA's module."""
    answers = ask("interpreter")
    assert [q for q, answer in answers.items() if answer == "ends the process"] == []
