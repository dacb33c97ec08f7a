"""Writing files: whole or not at all, and nothing of a killed writer stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from trt_lessons.files import probe, sweep, write_atomically


def left_by_a_kill(path: Path, age: float = 0.0) -> Path:
    """The temporary file of a writer of `path` that was killed `age` seconds ago."""
    left = path.with_name(f".{path.name}.abc.part")
    left.write_bytes(b"half")
    os.utime(left, (time.time() - age,) * 2)
    return left


def test_whole(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a", b"one")
    write_atomically(tmp_path / "a", b"two")
    assert [p.name for p in tmp_path.iterdir()] == ["a"] and (tmp_path / "a").read_bytes() == b"two"


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path, monkeypatch) -> None:
    write_atomically(tmp_path / "a", b"one")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomically(tmp_path / "a", b"two")
    assert [p.name for p in tmp_path.iterdir()] == ["a"] and (tmp_path / "a").read_bytes() == b"one"


def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    path = tmp_path / "a[1].plan"
    old, young = left_by_a_kill(path, 3600), tmp_path / ".a[1].plan.xyz.part"
    young.write_bytes(b"of a writer beside us")
    other = left_by_a_kill(tmp_path / "b", 3600)
    write_atomically(path, b"x")
    assert not old.exists() and young.exists() and other.exists()
    sweep(path)
    assert not young.exists() and other.exists()


def test_probe(tmp_path: Path) -> None:
    probe(tmp_path / "new" / "folder")
    assert list((tmp_path / "new" / "folder").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        probe(tmp_path / "file" / "folder")
