"""Where the time of a long command goes, stage by stage.

spent = Stages()
with spent("build"):
    ...
spent.seconds()      # {"build": 3.1, "run": 0.4, "measure": 1.2, "other": 0.2, "total": 4.9}, seconds
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

NAMES = ("build", "run", "measure")


class Stages:
    """Seconds of each stage by a clock of seconds; what no stage holds is "other", so that nothing is hidden.

    started: the clock's time from which on seconds count; None: now. A stage inside another one counts for itself.
    """

    def __init__(self, started: float | None = None, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._start = clock() if started is None else started
        self._seconds = dict.fromkeys(NAMES, 0.0)
        self._open: list[str] = []
        self._since = self._start

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Count what happens inside for the stage `name`, one of `NAMES`."""
        self._settle()
        self._open.append(name)
        try:
            yield
        finally:
            self._settle()
            self._open.pop()

    def _settle(self) -> None:
        now = self._clock()
        if self._open:
            self._seconds[self._open[-1]] += now - self._since
        self._since = now

    def seconds(self) -> dict[str, float]:
        """Seconds until now: each stage, "other" and "total"."""
        self._settle()
        total = self._since - self._start
        return {**self._seconds, "other": total - sum(self._seconds.values()), "total": total}
