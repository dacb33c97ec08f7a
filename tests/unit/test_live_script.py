"""tools/live.sh with a Python that only prints: what a run has comes back, whatever else the machine lacks."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEEDED = "bash sh env basename dirname grep sed head tail seq sleep timeout mkdir kill flock ls cat rm".split()

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="tools/live.sh is for Linux")


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """An environment with few commands (no tar, gzip, zstd) and a `python` that runs nothing but tools/save_live.py."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in NEEDED:
        (commands / name).symlink_to(shutil.which(name))
    saves = f'case "$1" in tools/save_live.py) exec {sys.executable} "$@";; esac'
    fake = f'#!/bin/sh\n{saves}\necho "$CUDA_VISIBLE_DEVICES: $*"\n'
    (commands / "python").write_text(fake, "utf-8")
    (commands / "python").chmod(0o755)
    return {"PATH": str(commands), "PYTHON": "python", "SAVE": str(tmp_path / "back"), "HOME": os.environ["HOME"]}


def came_back(folder: Path) -> dict[str, str]:
    """The logs in what came back."""
    data = b"".join(piece.read_bytes() for piece in sorted(folder.glob("live.tar.gz.*")))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert "nb/02_inference_flow.ipynb" in archive.getnames()
        logs = [name for name in archive.getnames() if name.endswith(".log")]
        return {name: archive.extractfile(name).read().decode() for name in logs}


def test_each_gpu_plays_the_next_notebook_and_all_logs_come_back(machine: dict, tmp_path: Path) -> None:
    names = [path.stem for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))]
    command = ["bash", str(ROOT / "tools" / "live.sh"), str(tmp_path / "out"), "tests play"]
    told = subprocess.run(command, env=machine | {"GPUS": "0,1"}, capture_output=True, text=True, timeout=60)
    assert told.returncode == 0, told.stderr
    logs = came_back(tmp_path / "back")
    assert sorted(logs) == sorted(["contract.log", "property.log", *(f"play_{name}.log" for name in names)])
    assert {text[0] for name, text in logs.items() if name.startswith("play_")} <= {"0", "1"}


def test_a_killed_run_leaves_what_it_had(machine: dict, tmp_path: Path) -> None:
    command = ["bash", str(ROOT / "tools" / "live.sh"), str(tmp_path / "out"), "lean"]
    told = subprocess.run(command, env=machine, capture_output=True, text=True, timeout=60)  # LEAN is not set: it ends
    assert told.returncode != 0 and "LEAN" in told.stderr
    assert came_back(tmp_path / "back") == {}
