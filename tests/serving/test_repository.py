"""What `write` refuses before a server sees it; Triton is not needed for that."""

from __future__ import annotations

from pathlib import Path

import pytest

from trt_lessons import compat
from trt_lessons.cli import main
from trt_lessons.engines.build import build
from trt_lessons.errors import LessonError
from trt_lessons.scale.serving.repository import write

ALIEN = {
    "of TensorRT, which the interpreter cannot read": b"ptrt" + b"\x00" * 64,
    "cut short": b"",
    "no plan at all": b"\x08\x07onnx",
}


@pytest.mark.parametrize("kind", ALIEN)
def test_a_plan_that_does_not_load_here(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other.plan").write_bytes(ALIEN[kind])
    with pytest.raises(LessonError, match=r"(?i)plan"):
        write(tmp_path / "other.plan", tmp_path / "repository")
    assert main(["serve-config", str(tmp_path / "other.plan"), "--output", str(tmp_path / "repository")]) == 1
    assert "plan" in capsys.readouterr().err
    assert not (tmp_path / "repository").exists(), "nothing is written for a plan that is refused"


def test_a_plan_of_another_version(model: Path, tmp_path: Path) -> None:
    plan = build(model, profiles={"x": [(1, 64), (4, 64), (4, 64)]}, progress=False).plan
    (tmp_path / "old.plan").write_bytes(compat.outdated(plan))
    with pytest.raises(LessonError, match="another version of TensorRT"):
        write(tmp_path / "old.plan", tmp_path / "repository")


def test_an_onnx_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(LessonError, match=r"missing\.onnx"):
        write(tmp_path / "missing.onnx", tmp_path / "repository")


def test_a_plan_that_was_written_loads_again(model: Path, tmp_path: Path) -> None:
    place = write(model, tmp_path, batches=(1, 4), name="one")
    again = write(place / "1" / "model.plan", tmp_path, batches=(1, 4), name="two")
    for file in ("model.plan", "model.py"):
        assert (again / "1" / file).read_bytes() == (place / "1" / file).read_bytes()
    one, two = ((folder / "config.pbtxt").read_text() for folder in (place, again))
    assert two == one.replace('name: "one"', 'name: "two"')
