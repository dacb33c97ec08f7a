"""A logger that keeps its lines, in every version."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from .. import backend

SEVERITIES = ("INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE")


def Log(print_from: str | None = "ERROR", keep_from: str = "INFO"):
    """A `trt.ILogger` that keeps what TensorRT says.

    print_from: lines this bad or worse are printed too; None prints nothing. keep_from: lines this bad or
    worse are kept ("VERBOSE" keeps all, which can be many thousands in a build).
    The object has `.records` (list of (severity name, text)), `.errors`, `.warnings`, `.since(n)`.
    """
    return _log_class(backend.trt.ILogger)(print_from, keep_from)


@lru_cache(maxsize=2)
def _log_class(base: Any) -> type:
    class Log(base):
        """Keeps TensorRT's lines as (severity name, text)."""

        def __init__(self, print_from: str | None, keep_from: str) -> None:
            super().__init__()
            self.records: list[tuple[str, str]] = []
            self._print = -1 if print_from is None else SEVERITIES.index(print_from)
            self._keep = SEVERITIES.index(keep_from)

        def log(self, severity: Any, msg: str) -> None:
            name = getattr(severity, "name", str(severity)).rpartition(".")[2]
            rank = SEVERITIES.index(name) if name in SEVERITIES else 1
            if rank <= self._keep:
                self.records.append((name, msg))
            if rank <= self._print:
                print(f"[TensorRT {name}] {msg}")

        @property
        def errors(self) -> list[str]:
            """Texts of ERROR and INTERNAL_ERROR lines."""
            return [text for name, text in self.records if name.endswith("ERROR")]

        @property
        def warnings(self) -> list[str]:
            """Texts of WARNING lines."""
            return [text for name, text in self.records if name == "WARNING"]

        def since(self, mark: int) -> list[str]:
            """Texts of the errors and warnings after the first `mark` records."""
            return [text for name, text in self.records[mark:] if name.endswith("ERROR") or name == "WARNING"]

        def attempt(self, what: str, call: Callable[..., Any], *args: Any, most: int = 2) -> Any:
            """call(*args), printed as "what: its answer" with the errors, at most `most`, that TensorRT logged.

            An exception is printed as well, and the answer is None. Introduced in lesson 01.
            """
            mark = len(self.records)
            try:
                answer = call(*args)
                plain = answer is None or isinstance(answer, (bool, int, float, str, tuple))
                print(f"{what}: {answer if plain else type(answer).__name__}")
            except Exception as problem:
                answer = None
                print(f"{what}: {type(problem).__name__}: {problem}")
            errors = [text for name, text in self.records[mark:] if name.endswith("ERROR")]
            print(*(f"   | {text.strip()}\n" for text in errors[:most]), sep="", end="")
            return answer

        def __repr__(self) -> str:
            return f"Log: {len(self.errors)} errors, {len(self.warnings)} warnings, {len(self.records)} lines"

    return Log


@lru_cache(maxsize=1)
def shared_log():
    """The one quiet log that `build` and `load` use: TensorRT keeps a single logger a process."""
    return Log(print_from=None)
