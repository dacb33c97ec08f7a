"""Exercises that check themselves: right or not yet, yours, expected, one hint. Introduced in lesson 00.

A lesson's checks stand in `checks/<lesson>.py` beside its notebook:

    @exercise("02.1", points=1)
    def count_of_inputs(answer):
        return right() if answer == 1 else wrong(yours=answer, expected="...", hint="Ask the engine.")

A check tests the idea, not the spelling, and never gives the solution away.
"""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import ExerciseError
from ..files import lesson_number, lesson_order
from ..messages import joined, told
from .copies import STUB
from .keeping import check_folders, note, now


@dataclass(frozen=True)
class Verdict:
    """What a check found. `yours` and `expected` are descriptions, ready to print."""

    ok: bool
    note: str = ""
    yours: str = ""
    expected: str = ""
    hint: str = ""
    answered: bool = True

    def text(self, exercise_id: str) -> str:
        """The lines that the learner reads."""
        if self.ok:
            return joined(told(f"{exercise_id} right."), told(self.note))
        if not self.answered:
            return joined(told(f"{exercise_id} not answered yet."), told(self.hint))
        lines = [told(f"{exercise_id} not yet.")]
        lines += ["  " + joined(k, told(v)) for k, v in self._details().items() if v]
        return "\n".join(lines)

    def _details(self) -> dict[str, str]:
        mark = self.yours[:1]
        quoted = mark in ("'", '"') and self.yours.endswith(mark)  # words of a check, as `shorten` shows them
        words = quoted and " " in self.yours  # one word alone is the learner's own value, such as 'compute'
        yours = f"{mark}{told(self.yours[1:-1])}{mark}" if words else self.yours
        return {told("yours:   "): yours, told("expected:"): self.expected, told("hint:    "): self.hint}


Check = Callable[..., Verdict]


@dataclass(frozen=True)
class Exercise:
    """A registered check: its id ("02.1"), points, function and the file it came from."""

    id: str
    points: int
    check: Check
    file: Path | None = None

    @property
    def lesson(self) -> str:
        """The lesson's prefix: "02", "04_1"."""
        return lesson_of(self.id)


_registry: dict[str, Exercise] = {}
_loaded: dict[Path, float] = {}  # check file -> its modification time when it was loaded


def right(note: str = "") -> Verdict:
    """The answer is right; `note` adds a sentence about why it matters."""
    return Verdict(True, note=note)


def wrong(*, yours: object, expected: str, hint: str) -> Verdict:
    """The answer is wrong. `expected` describes what is wanted without the solution; one `hint` that fits."""
    return Verdict(False, yours=shorten(yours), expected=expected, hint=hint)


def exercise(exercise_id: str, *, points: int = 1) -> Callable[[Check], Check]:
    """Register a check function under an id such as "02.1"; it gets the answers given to `check`."""

    def register(function: Check) -> Check:
        file = Path(function.__code__.co_filename)
        known = _registry.get(exercise_id)
        if known and known.check.__qualname__ != function.__qualname__ and known.file == file:
            raise ExerciseError(
                f"Exercise {exercise_id} is registered twice in {file.name}.",
                why=f"both {known.check.__name__} and {function.__name__} use this id",
                cure="Give each exercise an id of its own.",
            )
        _registry[exercise_id] = Exercise(exercise_id, points, function, file)
        return function

    return register


def check(exercise_id: str, *answers: object) -> None:
    """Print whether the answer is right; with TRT_LESSONS_GRADING=1 a wrong one raises AssertionError.

    exercise_id: "02.1". answers: what the cell above computed (most exercises take one).
    """
    grading = os.environ.get("TRT_LESSONS_GRADING") == "1"
    # nbgrader takes a warning on stderr for a failed check
    with contextlib.redirect_stderr(sys.stdout) if grading else contextlib.nullcontext():
        verdict = judge(exercise_id, *answers)
    note_progress(exercise_id, verdict)
    text = verdict.text(exercise_id)
    if grading and not verdict.ok:
        raise AssertionError(text)
    print(text)


def judge(exercise_id: str, *answers: object) -> Verdict:
    """The verdict on an answer, without printing and without noting progress."""
    found = find(exercise_id)
    if not answers or any(a is None or a is ... or _is_empty(a) for a in answers):
        hint = "Fill in the cell above, run it, then run this one again. Every try is fine."
        return Verdict(False, answered=False, hint=hint)
    try:
        verdict = found.check(*answers)
    except Exception as error:
        return wrong(
            yours=answers[0] if len(answers) == 1 else answers,
            expected="an answer that the check can use",
            hint=f"Trying it gave {type(error).__name__}: {error}",
        )
    if not isinstance(verdict, Verdict):
        raise ExerciseError(
            f"The check of exercise {exercise_id} returned {type(verdict).__name__}.",
            why="a check returns right(...) or wrong(...)",
            cure=f"Mend {found.check.__name__} in {found.file}.",
        )
    return verdict


def _empty(*_: object) -> None: ...


def _is_empty(answer: object) -> bool:
    """A function whose body is still the stub of the copies: the comment and `...`."""
    code = getattr(answer, "__code__", None)
    if code is None or code.co_code != _empty.__code__.co_code:
        return False
    try:
        return STUB in inspect.getsource(code)
    except (OSError, TypeError):  # written at a prompt, or from a string: nobody can look
        return False


def shorten(value: object, limit: int = 160) -> str:
    """One line that describes a value: arrays by dtype and shape, everything else by its repr, cut."""
    if isinstance(value, str) and "\n" not in value and len(value) <= limit:
        return repr(value)
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None and dtype is not None and tuple(shape):
        return f"an array {dtype} {list(shape)}"
    if callable(value) and hasattr(value, "__name__"):
        return f"the function {value.__name__}"
    text = " ".join(repr(value).split())
    return text if len(text) <= limit else text[: limit - 4] + " ..."


# --- where checks are found -------------------------------------------------------------------------------


def lesson_of(exercise_id: str) -> str:
    """ "04_1" for "04_1.2"."""
    lesson, dot, number = exercise_id.rpartition(".")
    if not (dot and lesson and number.isdigit()):
        raise ExerciseError(
            f"{exercise_id!r} is not the name of an exercise.",
            cure='It is the lesson, a dot and a number, in quotation marks: "02.1".',
        )
    return lesson


def find(exercise_id: str) -> Exercise:
    """The exercise of this id; its lesson's check file is loaded, again when it changed."""
    lesson = lesson_of(exercise_id)
    for folder in check_folders():
        for file in sorted(p for p in folder.glob(f"{lesson}_*.py") if lesson_number(p.stem) == lesson):
            load_checks(file)
            found = _registry.get(exercise_id)
            if found and found.file == file:
                return found
    if exercise_id in _registry:  # registered by hand, for instance in a test
        return _registry[exercise_id]
    known = sorted(i for i in _registry if lesson_of(i) == lesson)
    raise ExerciseError(
        f"There is no exercise {exercise_id}.",
        why=f"this lesson has {', '.join(known)}" if known else f"no file checks/{lesson}_*.py was found",
        cure="Compare the number with the text above the cell; `trt-lessons lab` writes the checks anew.",
    )


def load_checks(file: Path) -> None:
    """Run one check file, which registers its exercises; not again while it stays unchanged."""
    changed = file.stat().st_mtime
    if _loaded.get(file) == changed:
        return
    name = f"trt_lessons_checks_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    for known in [i for i, e in _registry.items() if e.file == file]:
        del _registry[known]
    try:
        with _no_bytecode():
            spec.loader.exec_module(module)
    except ExerciseError:
        raise
    except Exception as error:
        raise ExerciseError(
            f"The checks in {file.name} cannot be read.",
            why=f"{type(error).__name__}: {error}",
            cure="Start `trt-lessons lab` again; it writes the checks as they came.",
        ) from error
    _loaded[file] = changed


@contextlib.contextmanager
def _no_bytecode() -> Iterable[None]:
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def all_exercises(folder: Path) -> list[Exercise]:
    """Every exercise whose check stands in `folder`, in the order of lessons and numbers."""
    for file in sorted(folder.glob("[0-9]*_*.py"), key=lesson_order):
        load_checks(file)
    mine = [e for e in _registry.values() if e.file and e.file.parent == folder]
    return sorted(mine, key=lambda e: (e.lesson, int(e.id.rpartition(".")[2])))


def note_progress(exercise_id: str, verdict: Verdict) -> None:
    """Count a try and remember a right answer."""
    if not verdict.answered:
        return

    def update(data: dict) -> None:
        data["tries"][exercise_id] = data["tries"].get(exercise_id, 0) + 1
        # a teacher sees it where the learner agreed: `share`
        data["last"] = {"exercise": exercise_id, "hint": verdict.hint, "when": now()}
        if verdict.ok and exercise_id not in data["done"]:
            data["done"][exercise_id] = {"points": _registry[exercise_id].points, "when": now()}

    note(update)
