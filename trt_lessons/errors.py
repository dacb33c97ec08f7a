"""Exceptions of the workbook: each says what happened, why, and what to do about it.

A learner meets these instead of a bare `None` from TensorRT. Introduced in lesson 02.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from .messages import joined, told


class LessonError(Exception):
    """Base of all errors that the workbook raises on purpose.

    what: what happened, in one sentence. why: the likely cause. cure: what to do next.
    """

    def __init__(self, what: str, *, why: str = "", cure: str = "") -> None:
        self.what, self.why, self.cure = what, why, cure
        lines = [what]
        if why:
            lines.append(f"  why:  {why}")
        if cure:
            lines.append(f"  cure: {cure}")
        super().__init__("\n".join(lines))

    def __str__(self) -> str:
        """What, why, cure, in the learner's language."""
        lines = [told(self.what)]
        if self.why:
            lines.append("  " + joined(told("why: "), told(self.why)))
        if self.cure:
            lines.append("  " + joined(told("cure:"), told(self.cure)))
        return "\n".join(lines)

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: what, why, cure; asked again, by `%tb`, the whole way here."""
        short, self._short = getattr(self, "_short", True), False
        if short:
            return [f"{type(self).__name__}: {self}"]
        return "".join(traceback.format_exception(type(self), self, self.__traceback__)).splitlines()


@contextmanager
def printed() -> Iterator[None]:
    """`with printed():` prints a LessonError and goes on after the block; other exceptions are raised."""
    try:
        yield
    except LessonError as problem:
        print(problem)


class BackendError(LessonError):
    """The backend that was asked for is not there, or its name is unknown."""


class ModelFileError(LessonError):
    """An ONNX file is missing, damaged, or holds something TensorRT cannot read."""


class BuildError(LessonError):
    """TensorRT returned no plan; the log lines that explain it are quoted."""


class PrecisionError(BuildError):
    """The built engine does not run in the precision that was asked for."""


class PlanError(LessonError):
    """A plan is damaged, from another TensorRT version, GPU or backend."""


class ShapeError(LessonError, ValueError):
    """An input's shape does not fit the engine or its optimization profile."""


class DtypeError(LessonError, TypeError):
    """An input's dtype is not the one the engine expects."""


class CacheError(LessonError, OSError):
    """The cache folder, or a file that was named, cannot be written."""


class RecordingError(LessonError):
    """A recording is missing, was changed by hand, cut short, or has another schema."""


class MeasureError(LessonError):
    """A measurement cannot be made as asked."""


class ExerciseError(LessonError):
    """An exercise is unknown or its check file cannot be read."""
