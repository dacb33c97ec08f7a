"""A bar for what takes seconds: builds and measurements. Quiet wherever nobody watches.

Shown in a terminal and in a notebook that a person runs; never under pytest, nbval or nbclient, so that
stored outputs stay the same. TRT_LESSONS_PROGRESS=0 switches it off, =1 on.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from html import escape
from typing import Any

_WIDTH = 24


def enabled() -> bool:
    """Whether somebody watches: a live notebook or a terminal; TRT_LESSONS_PROGRESS has the last word."""
    told = os.environ.get("TRT_LESSONS_PROGRESS", "").strip().lower()
    if told:
        return told not in ("0", "no", "off", "false")
    if "PYTEST_VERSION" in os.environ or "PYTEST_CURRENT_TEST" in os.environ or os.environ.get("CI"):
        return False
    return _kernel_is_watched() if _kernel() is not None else _is_terminal()


def in_notebook() -> bool:
    """Whether somebody watches a live notebook, so that widgets are shown and answered."""
    return _kernel() is not None and enabled()


def _kernel() -> Any:
    if "IPython" not in sys.modules:
        return None
    shell = sys.modules["IPython"].get_ipython()
    return getattr(shell, "kernel", None)


def _kernel_is_watched() -> bool:
    # JupyterLab lets a cell ask for input; nbclient, nbval and nbconvert do not
    return bool(getattr(_kernel(), "_allow_stdin", True))


def _is_terminal() -> bool:
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except (AttributeError, ValueError):
        return False


class Bar:
    """A progress display; use it with `with`.

    label: what is going on. seconds: how long it should take, for a bar that follows the clock. Without it
    the bar follows `update(fraction)`, and until that comes it counts elapsed seconds.
    show: None asks `enabled()`.
    """

    def __init__(self, label: str, *, seconds: float | None = None, show: bool | None = None) -> None:
        self.label, self.seconds = label, seconds
        self.shown = enabled() if show is None else show
        self.fraction: float | None = None
        self.text = ""
        self._start = time.perf_counter()
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self._handle: Any = None
        self._lock = threading.Lock()
        self._last = ""

    @property
    def elapsed(self) -> float:
        """Seconds since the bar started."""
        return time.perf_counter() - self._start

    def update(self, fraction: float | None = None, text: str = "") -> None:
        """Set how much is done (0 to 1) and what is going on; drawn a few times a second."""
        if fraction is not None:
            self.fraction = min(max(float(fraction), 0.0), 1.0)
        self.text = text

    def __enter__(self) -> Bar:
        self._start = time.perf_counter()
        if self.shown:
            self._draw()
            self._thread = threading.Thread(target=self._tick, name="trt-lessons-progress", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join(timeout=2)
            self._clear(failed=exc[0] is not None)

    def _tick(self) -> None:
        while not self._done.wait(0.2):
            self._draw()

    def line(self) -> str:
        """The display as one line of text."""
        fraction = self.fraction
        if self.seconds:
            fraction = min(self.elapsed / self.seconds, 1.0)
        bar = ""
        if fraction is not None:
            full = round(fraction * _WIDTH)
            bar = f" [{'#' * full}{'.' * (_WIDTH - full)}] {fraction:4.0%}"
        return f"{self.label}{bar} {self.elapsed:.0f} s {self.text}".rstrip()

    def _draw(self) -> None:
        with self._lock:
            line = self.line()
            if line == self._last or self._done.is_set():
                return
            try:
                self._notebook(line) if _kernel() is not None else self._terminal(line)
            except Exception:  # a display that cannot be drawn never stops the work
                self._done.set()
            self._last = line

    def _terminal(self, line: str) -> None:
        width = max(len(self._last), len(line))
        sys.stderr.write("\r" + line[:110].ljust(min(width, 110)))
        sys.stderr.flush()

    def _notebook(self, line: str) -> None:
        from IPython.display import HTML, display

        html = HTML(f"<pre style='margin:0'>{escape(line)}</pre>")
        if self._handle is None:
            self._handle = display(html, display_id=True)
        else:
            self._handle.update(html)

    def _clear(self, *, failed: bool) -> None:
        try:
            if self._handle is not None:
                from IPython.display import HTML

                word = "stopped after" if failed else "took"
                self._handle.update(HTML(f"<small>{escape(self.label)}: {word} {self.elapsed:.1f} s</small>"))
            elif _kernel() is None:
                sys.stderr.write("\r" + " " * min(len(self._last), 110) + "\r")
                sys.stderr.flush()
        except Exception:  # as above
            return


def monitor(bar: Bar, trt: Any) -> Any:
    """A `trt.IProgressMonitor` that moves the bar during a build; None where TensorRT has none (8.6).

    The outermost phase moves the bar. Ctrl-C during a build stops it at the next step.
    """
    base = getattr(trt, "IProgressMonitor", None)
    if base is None:
        return None

    class Monitor(base):
        """Follows a build's phases."""

        def __init__(self) -> None:
            base.__init__(self)
            self.steps: dict[str, int] = {}
            self.outermost: str | None = None

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self.steps[phase_name] = num_steps
            if not parent_phase:
                self.outermost = phase_name
            bar.update(text=phase_name)

        def step_complete(self, phase_name: str, step: int) -> bool:
            try:
                if phase_name == self.outermost and self.steps.get(phase_name):
                    bar.update((step + 1) / self.steps[phase_name], phase_name)
                else:
                    bar.update(text=phase_name)
            except KeyboardInterrupt:
                return False
            return True

        def phase_finish(self, phase_name: str) -> None:
            self.steps.pop(phase_name, None)

    return Monitor()
