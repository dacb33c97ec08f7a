"""The scoreboard: rows measured in one way, recorded with the book, recalled without a GPU, and the learner's own."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import trt_lessons as tl
from trt_lessons import backend, recordings
from trt_lessons.errors import LessonError
from trt_lessons.models import strips
from trt_lessons.workbook import scoreboard as board


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A learner's folder, a folder of recordings and a new kernel; 70 strips are enough here."""
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / ".manifest.json").write_text("{}")
    monkeypatch.chdir(tmp_path / "book")
    monkeypatch.setenv("TRT_LESSONS_RECORDINGS", str(tmp_path / "recordings"))
    for name in ("PROGRESS_FILE", "RECORDED_GPU", "REHEARSE", "RECORD"):
        monkeypatch.delenv(f"TRT_LESSONS_{name}", raising=False)
    monkeypatch.setattr(board, "_own", {})
    monkeypatch.setattr(board, "TESTED", 70)
    monkeypatch.setitem(recordings._current, "lesson", "04_1_precision")
    return tmp_path / "book"


@pytest.fixture
def on(book: Path, monkeypatch):
    """on("NVIDIA H100") is a GPU that measures what `found` says, on(None) a laptop."""

    def choose(gpu: str | None, trt: str = "8.6.0", record: bool = True, ms: float = 0.5) -> None:
        class Told(SimpleNamespace):
            def __str__(self) -> str:
                return "a machine"

        told = Told(gpu=gpu, trt_version=trt, driver="570", cuda_version="12.9")
        monkeypatch.setattr(backend, "is_gpu", lambda: gpu is not None)
        monkeypatch.setattr(backend, "describe", lambda: told)
        monkeypatch.setenv("TRT_LESSONS_RECORD", "1" if gpu and record else "0")
        monkeypatch.setattr(board, "_own", {})
        found = {"ms": ms, "accuracy": 0.98, "mb": 1.5, "runner": "TensorRT"}
        monkeypatch.setattr(board, "_tensorrt", lambda *how: dict(found))
        monkeypatch.setattr(board, "_torch", lambda: found | {"ms": 4 * ms, "mb": None, "runner": "PyTorch eager"})

    return choose


def lesson(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(recordings._current, "lesson", name)


def record_the_book(on, monkeypatch, gpu: str = "NVIDIA H100", ms: float = 0.5) -> None:
    on(gpu, ms=ms)
    lesson(monkeypatch, "00_start_here")
    tl.scoreboard("PyTorch, FP32", runner="torch")
    lesson(monkeypatch, "04_1_precision")
    tl.scoreboard("FP16", precision="fp16")


def names(text: str) -> list[str]:
    """First words of the table's rows."""
    return [line.split("  ")[0] for line in text.splitlines()[1:]]


def test_a_row_is_recorded_and_comes_back(on, monkeypatch, capsys) -> None:
    record_the_book(on, monkeypatch)
    on(None)
    monkeypatch.setattr(board, "_tensorrt", lambda *how: pytest.fail("it is recorded"))
    capsys.readouterr()
    fig = tl.scoreboard("FP16", precision="fp16")
    out = capsys.readouterr().out
    assert names(out) == ["PyTorch, FP32", "FP16"] and "0.500" in out and "98.0 %" in out and "04_1" in out
    assert fig.title == "FP16: 0.500 ms, 4.0 times as fast as PyTorch"
    assert "recorded on NVIDIA H100, TensorRT 8.6.0" in tl.plots.alt(fig)


def test_without_a_name_it_only_draws(on, monkeypatch, capsys) -> None:
    record_the_book(on, monkeypatch)
    on(None)
    monkeypatch.setattr(board, "_row", lambda *how: pytest.fail("nothing is asked"))
    assert tl.scoreboard().title.startswith("FP16: ")


def test_with_no_row_it_says_so(on, capsys) -> None:
    on(None)
    assert tl.scoreboard() is None
    assert capsys.readouterr().out == "No row of the scoreboard is recorded yet.\n"


def test_a_row_that_no_gpu_took_has_no_time(on, capsys) -> None:
    on(None)
    fig = tl.scoreboard("FP16", precision="fp16")
    out = capsys.readouterr().out
    assert "not recorded on a GPU yet" in out and "(-: no GPU has taken this one yet" in out
    assert "0.500" not in out and "1.5" not in out and fig.title == "Reading 64 strips: not recorded on a GPU yet"
    assert fig.axes[0].patches[0].get_hatch()


def test_a_recording_takes_the_place_of_what_this_cpu_found(on, monkeypatch, capsys) -> None:
    on(None)
    tl.scoreboard("FP16", precision="fp16")
    record_the_book(on, monkeypatch)
    on(None)
    capsys.readouterr()
    tl.scoreboard()
    assert "-  " not in capsys.readouterr().out.splitlines()[2][:40]


def test_rows_of_two_machines_are_never_drawn_together(on, monkeypatch, capsys) -> None:
    record_the_book(on, monkeypatch, "NVIDIA H100", 0.5)
    on("NVIDIA L4", ms=3.0, record=False)
    capsys.readouterr()
    tl.scoreboard("FP16, CUDA graph", precision="fp16", graph=True)
    assert names(capsys.readouterr().out) == ["FP16, CUDA graph"]
    on("NVIDIA L4", ms=3.0, record=False)  # a new kernel: the learner's own rows are kept
    tl.scoreboard("PyTorch, FP32", runner="torch")
    assert names(capsys.readouterr().out) == ["FP16, CUDA graph", "PyTorch, FP32"]


def test_the_machine_that_is_asked_for(on, monkeypatch, capsys) -> None:
    record_the_book(on, monkeypatch, "NVIDIA H100", 0.5)
    record_the_book(on, monkeypatch, "NVIDIA L4", 3.0)
    on(None)
    (Path.cwd() / ".progress.json").unlink()
    monkeypatch.setenv("TRT_LESSONS_RECORDED_GPU", "NVIDIA H100")
    assert ": 0.500 ms" in tl.scoreboard().title
    monkeypatch.setenv("TRT_LESSONS_RECORDED_GPU", "NVIDIA L4")
    assert ": 3.00 ms" in tl.scoreboard().title


def test_the_books_rows_stand_in_the_lessons_order(on, monkeypatch, capsys) -> None:
    on("NVIDIA H100")
    for name in ("05_dynamic_shapes", "00_start_here", "05_2_profiles", "04_3_streams"):
        lesson(monkeypatch, name)
        tl.scoreboard(f"row of {name}", precision="fp16")
    on(None)
    (Path.cwd() / ".progress.json").unlink()
    capsys.readouterr()
    tl.scoreboard()
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:]] == ["00", "04_3", "05", "05_2"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "no precision, no runner and no session"),
        ({"precision": "fp16", "runner": "torch"}, "precision and runner"),
        ({"precision": "fp16", "session": object()}, "precision and session"),
        ({"precision": "fp7"}, "There is no precision 'fp7'"),
        ({"runner": "jax"}, "runner='jax'"),
        ({"runner": "torch", "graph": True}, "alone"),
    ],
)
def test_options_that_do_not_go_together(on, options: dict, words: str) -> None:
    on(None)
    with pytest.raises(LessonError, match=words):
        tl.scoreboard("mine", **options)


@pytest.mark.parametrize("damaged", [7, {"mine": 7}, {"mine": {"name": "mine"}}, {"mine": {"where": "here"}}])
def test_damaged_rows_in_the_progress_are_left_out(on, book: Path, damaged: object) -> None:
    on(None)
    (book / ".progress.json").write_text(json.dumps({"done": {}, "tries": {}, "scoreboard": damaged}))
    assert tl.scoreboard() is None


# --- on the interpreter -----------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16", "int8"])
def test_every_precision_is_built_and_reads(book: Path, precision: str) -> None:
    found = board._tensorrt(precision, graph=False, exact=precision == "fp16")
    assert found["accuracy"] > 0.9 and found["ms"] > 0 and found["runner"] == "TensorRT"


def test_pytorch_reads_the_same(book: Path, capsys) -> None:
    import onnxruntime
    import torch

    images, _ = strips.make(8, 5, seed=3)
    onnx = onnxruntime.InferenceSession(str(strips.onnx_path()), providers=["CPUExecutionProvider"])
    theirs = onnx.run(None, {"strip": images})[0]
    with torch.inference_mode():
        ours = strips.trained()(torch.from_numpy(images)).numpy()
    assert np.abs(ours - theirs).max() < 1e-4 * np.abs(theirs).max()
    assert strips.decode(ours) == strips.decode(theirs)
    tl.scoreboard("PyTorch, FP32", runner="torch")
    assert "PyTorch, FP32" in capsys.readouterr().out


def test_a_session_of_ones_own_is_kept_and_never_recorded(book: Path, capsys, monkeypatch) -> None:
    report = tl.build(strips.onnx_path(), profiles=board.EXACT, cache=False)
    with tl.Session(report) as session:
        tl.scoreboard("mine", session=session)
    out = capsys.readouterr().out
    assert "mine" in out and "not recorded on a GPU yet" not in out.splitlines()[0]
    kept = json.loads((book / ".progress.json").read_text())["scoreboard"]["mine"]
    assert kept["accuracy"] > 0.9 and kept["ms"] is None and kept["lesson"] == "04_1"
    monkeypatch.setattr(board, "_own", {})  # a new kernel
    assert tl.scoreboard() is not None and "mine" in capsys.readouterr().out
    assert recordings.files() == []


def test_a_session_that_reads_no_strips(book: Path) -> None:
    session = SimpleNamespace(infer=lambda images: {"out": images.reshape(len(images), -1)[:, :10]})
    with pytest.raises(LessonError, match="does not read strips"):
        board._accuracy(lambda images: next(iter(session.infer(images).values())))


def test_the_strips_that_are_read_are_450() -> None:
    images, texts = board._strips()
    assert images.shape == (450, 1, 16, 128) and len(texts) == 450 and board.SHAPE == (64, 1, 16, 128)
