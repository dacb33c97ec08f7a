"""`tl.recorded()`: the stored output of the cell that was run last, with its card and day."""

import html
import re
import types

import pytest

from trt_lessons import progressbar, recordings
from trt_lessons.errors import LessonError
from trt_lessons.workbook import recorded as room


@pytest.fixture
def lesson(monkeypatch):
    """Lesson 02 in a kernel that has run what a test says."""
    monkeypatch.setattr(recordings, "current_lesson", lambda: "02_inference_flow")

    def run(*sources):
        monkeypatch.setattr("IPython.get_ipython", lambda: types.SimpleNamespace(user_ns={"In": ["", *sources]}))

    return run


def with_output():
    """A code cell of the lesson that printed something."""
    cells = room._cells("02_inference_flow")
    return next(c for c in cells if c["outputs"] and c["outputs"][0]["output_type"] == "stream")


def test_the_output_of_the_cell_that_was_run_last(lesson, capsys):
    cell = with_output()
    lesson("x = 1", "".join(cell["source"]), "tl.recorded()")
    room.recorded()
    said = capsys.readouterr().out
    assert "".join(cell["outputs"][0]["text"]) in said
    card = re.search(r"TensorRT 8\.6\.0 on (NVIDIA \w+)", said)[1]  # the cell's own words; the first line has to agree
    assert said.startswith(f"recorded: recorded on {card}, TensorRT 8.6.0, ")


def test_at_the_end_of_the_same_cell(lesson, capsys):
    cell = with_output()
    lesson("".join(cell["source"]) + "\ntl.recorded()")
    room.recorded()
    assert "".join(cell["outputs"][0]["text"]) in capsys.readouterr().out


def test_a_figure_is_shown_with_its_words(lesson, monkeypatch):
    cells = room._cells("02_inference_flow")
    figure = next(c for c in cells for o in c["outputs"] if "image/png" in o.get("data", {}))
    shown = []
    monkeypatch.setattr(progressbar, "in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", lambda data, **how: shown.append((data, how)))
    lesson()
    room.recorded(figure["id"])
    data, how = next((data, how) for data, how in shown if "image/png" in data)
    alt = how["metadata"]["image/png"]["alt"]
    assert how["raw"] and len(alt) > 20 and f'alt="{html.escape(alt)}"' in data["text/html"]


def test_a_cell_of_ones_own_has_no_recording(lesson):
    lesson("mine = 1")
    with pytest.raises(LessonError, match="no recorded output"):
        room.recorded()
    with pytest.raises(LessonError, match="no-such-cell"):
        room.recorded("no-such-cell")


def test_no_lesson_was_named(monkeypatch):
    monkeypatch.setattr(recordings, "current_lesson", lambda: "mine")
    with pytest.raises(LessonError, match="no recorded run"):
        room.recorded()
