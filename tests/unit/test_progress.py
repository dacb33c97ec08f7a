"""The progress display: quiet where nobody watches, and never in the way."""

from __future__ import annotations

import sys
import time
from types import SimpleNamespace

import pytest

from trt_lessons import progressbar


def test_quiet_under_pytest(monkeypatch):
    monkeypatch.delenv("TRT_LESSONS_PROGRESS", raising=False)
    assert not progressbar.enabled()


@pytest.mark.parametrize(("value", "shown"), [("0", False), ("off", False), ("1", True)])
def test_the_variable_has_the_last_word(monkeypatch, value, shown):
    monkeypatch.setenv("TRT_LESSONS_PROGRESS", value)
    assert progressbar.enabled() is shown


@pytest.mark.parametrize(("allow", "shown"), [(True, True), (False, False)])
def test_a_notebook_shows_it_only_to_a_person(monkeypatch, allow, shown):
    for name in ("TRT_LESSONS_PROGRESS", "PYTEST_VERSION", "PYTEST_CURRENT_TEST", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(progressbar, "_kernel", lambda: SimpleNamespace(_allow_stdin=allow))
    assert progressbar.enabled() is shown


def test_a_quiet_bar_writes_nothing_and_starts_no_thread(capsys):
    with progressbar.Bar("build", show=False) as bar:
        bar.update(0.5, "half")
    assert capsys.readouterr() == ("", "")
    assert bar._thread is None


def test_a_bar_in_a_terminal_draws_and_clears(capsys, monkeypatch):
    monkeypatch.setattr(progressbar, "_kernel", lambda: None)
    with progressbar.Bar("build", show=True) as bar:
        bar.update(0.5, "half")
        time.sleep(0.5)
    out, err = capsys.readouterr()
    assert out == "" and "[############............]  50%" in err and err.endswith("\r")


def test_a_display_that_fails_stops_nothing(monkeypatch):
    monkeypatch.setattr(progressbar, "_kernel", lambda: None)
    monkeypatch.setattr(sys, "stderr", None)
    with progressbar.Bar("build", show=True):
        time.sleep(0.3)


def test_the_clock_moves_a_bar_of_known_length():
    bar = progressbar.Bar("measure", seconds=1000, show=False)
    assert "] " in bar.line() and "  0%" in bar.line()


def test_monitor_follows_the_outermost_phase():
    trt = SimpleNamespace(IProgressMonitor=object)
    bar = progressbar.Bar("build", show=False)
    monitor = progressbar.monitor(bar, trt)
    monitor.phase_start("Building Engine", None, 4)
    monitor.phase_start("Timing", "Building Engine", 100)
    assert monitor.step_complete("Timing", 10) is True and bar.fraction is None
    assert monitor.step_complete("Building Engine", 1) is True and bar.fraction == 0.5
    monitor.phase_finish("Timing")
    monitor.phase_finish("Building Engine")


def test_no_monitor_where_tensorrt_has_none():
    assert progressbar.monitor(progressbar.Bar("build", show=False), SimpleNamespace()) is None
