"""The learner's copies of the notebooks: without solutions, and never written over a learner's change.

`workbook/.manifest.json` remembers, for each file, the sha256 of what was written and of the lesson that
it came from; `.base/` keeps those lessons. A newer lesson is merged into a notebook cell by cell (`merge`),
after a backup; a file that is no notebook any more stays as it is, and the lesson comes beside it.
"""

from __future__ import annotations

import ast
import json
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...errors import ExerciseError
from ...files import lesson_order, sha256, write_atomically
from ...messages import language, language_of, told
from ..languages import edition
from ..languages.prose import LANGUAGES, check_language
from . import trust
from .merge import merge, read_notebook, same_sources

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
STUB = "# your code here"
BLOCK = re.compile(rf"^([ \t]*){BEGIN}[ \t]*\n(.*?)^[ \t]*{END}[ \t]*$", re.M | re.S)


@dataclass(frozen=True)
class Copied:
    """What happened to one file: action is "new", "same", "updated", "merged", "kept" or "beside"."""

    name: str
    action: str
    note: str = ""


# --- without solutions ------------------------------------------------------------------------------------


def source_of(cell: dict) -> str:
    """The text of a cell, whether stored as a string or as a list of lines."""
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def grade(cell: dict) -> dict:
    """nbgrader's metadata of a cell, or an empty dict."""
    return cell.get("metadata", {}).get("nbgrader", {})


def stub(indent: str, solution: str, used_later: str) -> str:
    """What a learner finds in place of a solution: a comment and `name = ...` for what later cells need."""
    lines = [STUB]
    body = textwrap.dedent(solution)
    try:
        statements = ast.parse(body).body
    except SyntaxError as error:
        raise ExerciseError("A solution is not Python.", why=str(error), cure="Mend the notebook.") from error
    for name, text in _placeholders(statements):
        if not indent and re.search(rf"\b{re.escape(name)}\b", used_later):
            lines.append(text)
    if len(lines) == 1:
        lines.append("...")
    return textwrap.indent("\n".join(lines), indent)


def _placeholders(statements: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    """(name, the line that stands in for it) for each name that a solution defines, in order, once."""
    seen: set[str] = set()
    for statement in statements:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            pairs = [(statement.name, f"def {statement.name}({ast.unparse(statement.args)}):\n    ...")]
        elif isinstance(statement, ast.ClassDef):
            pairs = [(statement.name, f"class {statement.name}:\n    ...")]
        else:
            names = [n for n in ast.walk(statement) if isinstance(n, ast.Name)]
            pairs = [(n.id, f"{n.id} = ...") for n in names if isinstance(n.ctx, ast.Store)]
        for name, text in pairs:
            if name not in seen:
                seen.add(name)
                yield name, text


def solutions(text: str) -> list[str]:
    """The solutions in a cell's text, without their indentation."""
    return [textwrap.dedent(m[2]).strip("\n") for m in BLOCK.finditer(text)]


def without_solution(text: str, later: str) -> str:
    """A cell's text with each solution replaced; `later` is the text of the cells that follow."""
    bare = BLOCK.sub("", text)
    changed = BLOCK.sub(lambda m: stub(m[1], m[2], bare + "\n" + later), text)
    for marker in (BEGIN, END):
        if marker in changed:
            raise ExerciseError(
                f"A cell has {marker!r} without its partner.",
                why="a solution stands between two marker lines",
                cure=f"Write {BEGIN!r} before it and {END!r} after it.",
            )
    return changed


def learners(notebook: dict) -> dict:
    """The learner's version of a notebook: no solutions and no outputs (`trt_lessons.recorded` shows those)."""
    cells = json.loads(json.dumps(notebook["cells"]))
    texts = [source_of(c) if c["cell_type"] == "code" else "" for c in cells]
    for i, cell in enumerate(cells):
        if cell["cell_type"] != "code":
            continue
        later = "\n".join(BLOCK.sub("", t) for t in texts[i + 1 :])
        cell["source"] = without_solution(texts[i], later).splitlines(keepends=True)
        cell["outputs"], cell["execution_count"] = [], None
    return {**notebook, "cells": cells}


def encode(notebook: dict) -> bytes:
    """A notebook as bytes, the way Jupyter writes it."""
    return (json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n").encode()


# --- the copies -------------------------------------------------------------------------------------------


class Workbook:
    """A learner's folder: `update()` brings lessons in, and keeps what the learner wrote.

    language: "en" or "zh-CN", of the text cells and questions; none: the one that the folder has.
    """

    def __init__(self, source: Path, target: Path, language: str = "") -> None:
        self.source, self.target = Path(source), Path(target)
        self.language = check_language(language or language_of(self.target))
        self.manifest_file = self.target / ".manifest.json"
        self.files: dict[str, dict[str, str]] = {}

    def update(self) -> list[Copied]:
        """Write new and changed lessons; one `Copied` a file. Raises ExerciseError when it cannot write."""
        from filelock import FileLock

        if not self.source.is_dir():
            raise ExerciseError(
                f"There is no folder {self.source}.",
                why="the notebooks lie in the repository, not in the package",
                cure="Start it in a clone of the repository, or set TRT_LESSONS_HOME to one.",
            )
        try:
            self.target.mkdir(parents=True, exist_ok=True)
            with FileLock(self.target / ".lab.lock"):
                self._sweep()
                self.files = self._read_manifest()
                return [self._bring(name, content) for name, content in self._contents()]
        except OSError as error:
            raise ExerciseError(
                f"The workbook in {self.target} cannot be written.",
                why=str(error),
                cure="Free space, mend the permissions, or: trt-lessons lab --workbook ANOTHER_FOLDER",
            ) from error

    def _sources(self) -> list[Path]:
        """Every file of the lessons: notebooks, their checks, pictures."""
        files = (p for p in self.source.rglob("*") if p.is_file())
        parts_to_skip = {"__pycache__", ".ipynb_checkpoints", *LANGUAGES}
        kept = [p for p in files if not parts_to_skip & set(p.relative_to(self.source).parts)]
        return sorted((p for p in kept if not p.name.startswith(".")), key=lambda p: (p.parent, lesson_order(p)))

    def _contents(self) -> Iterator[tuple[str, bytes]]:
        """(name, content) of each file as a learner gets it, and of the pages in docs/ that the lessons link to."""
        pages: set[str] = set()
        for path in self._sources():
            content = edition.content(path, self.language)
            if path.suffix == ".ipynb":
                content = encode(learners(json.loads(content)))
                pages |= set(re.findall(r"\]\(\.\./docs/([\w-]+\.md)", content.decode()))
                # into the learner's folder: JupyterLab sees no other
                content = content.replace(b"](../docs/", b"](docs/")
            yield path.relative_to(self.source).as_posix(), content
        for page in (self.source.parent / "docs" / name for name in sorted(pages)):
            if page.is_file():
                content = edition.content(page, self.language)
                yield f"docs/{page.name}", content.replace(b"](../notebooks/", b"](../")

    def _sweep(self) -> None:
        """Remove the temporary files that a killed run left."""
        for left in [
            *self.target.glob(".*.part"),
            *self.target.glob("*/.*.part"),
            *self.target.glob(".base/*/.*.part"),
        ]:
            left.unlink(missing_ok=True)

    def _read_manifest(self) -> dict[str, dict[str, str]]:
        """name -> {"written": sha256 on disk, "lesson": sha256 of the lesson that it came from}."""
        try:
            files = json.loads(self.manifest_file.read_text("utf-8"))["files"]
            return {name: dict(entry) for name, entry in files.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}  # then every differing file counts as the learner's: nothing is lost

    def _write(self, name: str, content: bytes) -> None:
        """A file and the manifest's line about it, each whole or not at all."""
        path = self.target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._remember(name, content)
        write_atomically(path, content)
        self._note(name, written=sha256(content), lesson=sha256(content))

    def _lesson_file(self, name: str, lesson: str) -> Path:
        """Where a lesson of this name and sha256 is kept, to merge a newer one later."""
        return self._lessons_of(name) / f"lesson-{lesson}.json"

    def _lessons_of(self, name: str) -> Path:
        return self.target / ".base" / f"of-{name.replace('/', '--')}"

    def _remember(self, name: str, lesson: bytes) -> None:
        path = self._lesson_file(name, sha256(lesson))
        if name.endswith(".ipynb") and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, lesson)

    def _remembered(self, name: str) -> dict[str, dict]:
        """sha256 -> lesson: every version that was copied under this name, without damaged ones."""
        found = {}
        for path in sorted(self._lessons_of(name).glob("lesson-*.json")):
            content = path.read_bytes()
            lesson = read_notebook(content)
            if lesson and path.name == f"lesson-{sha256(content)}.json":
                found[sha256(content)] = lesson
        return found

    def _note(self, name: str, *, written: str, lesson: str) -> None:
        entry = {"written": written, "lesson": lesson}
        there = language_of(self.target) == self.language and self.manifest_file.exists()
        if self.files.get(name) != entry or not there:
            self.files[name] = entry
            about = {"version": 1, "files": self.files, "language": self.language}
            content = json.dumps(about, indent=1, sort_keys=True)
            write_atomically(self.manifest_file, content.encode())

    def _bring(self, name: str, content: bytes) -> Copied:
        """One file of the lessons into the workbook."""
        mine, known = self.target / name, self.files.get(name, {})
        if not mine.exists():
            self._write(name, content)
            return Copied(name, "new", "written again" if known else "")
        on_disk, lesson = sha256(mine.read_bytes()), sha256(content)
        if on_disk == lesson:
            self._note(name, written=lesson, lesson=lesson)
            return Copied(name, "same")
        if on_disk == known.get("written"):
            self._write(name, content)
            return Copied(name, "updated")
        if known.get("lesson") == lesson:
            return self._unchanged_lesson(name, mine, content)
        merged = self._merge(name, mine.read_bytes(), content)
        if merged:
            return merged
        beside = self._beside(name, content)
        self._note(name, written=known.get("written", ""), lesson=lesson)
        return beside

    def _unchanged_lesson(self, name: str, mine: Path, lesson: bytes) -> Copied:
        """The lesson is the one that we wrote, and the file differs: by the learner's hand, or by JupyterLab's."""
        theirs = read_notebook(mine.read_bytes()) if mine.suffix == ".ipynb" else None
        if theirs and same_sources(theirs, json.loads(lesson)):
            return Copied(name, "same")
        return Copied(name, "kept", "yours")

    def _merge(self, name: str, mine: bytes, lesson: bytes) -> Copied | None:
        """The newer lesson into the learner's notebook; None where it cannot be merged."""
        versions = self._remembered(name)
        base = versions.get(self.files.get(name, {}).get("lesson", ""))
        theirs = read_notebook(mine) if name.endswith(".ipynb") else None
        if base is None or theirs is None:
            return None
        merged = merge(base, theirs, json.loads(lesson), versions.values(), self._same_words(name))
        backup = self._backup(name, mine)
        self._remember(name, lesson)
        content = encode(merged.notebook)
        write_atomically(self.target / name, content)
        trust.carry_over(mine, content)
        self._note(name, written="", lesson=sha256(lesson))
        if not merged.learners:
            return Copied(name, "updated", f"as it was: {backup}")
        note = f"your {merged.learners} cells are kept; as it was: {backup}"
        if merged.conflicts:
            note += f"; changed by you and by the lesson, both are there: {', '.join(merged.conflicts)}"
        return Copied(name, "merged", note)

    def _same_words(self, name: str) -> dict[str, set[str]]:
        """The lesson's texts in all languages: a change from one to the other is none that the learner has to see."""
        found = edition.same_words(self.source / name) if (self.source / name).exists() else {}
        return {cell: {text.replace("](../docs/", "](docs/") for text in texts} for cell, texts in found.items()}

    def _backup(self, name: str, content: bytes) -> str:
        """Keep a file as it is in backups/, before a merge; the name of the backup."""
        stem, dot, suffix = name.rpartition(".")
        for number in ["", *(f"-{n}" for n in range(2, 1000))]:
            backup = f"backups/{stem}.{sha256(content)[:8]}{number}{dot}{suffix}"
            path = self.target / backup
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, content)
            if path.read_bytes() == content:
                return backup
        raise ExerciseError(f"There are too many backups of {name}.", cure="Move some of them away.")

    def _beside(self, name: str, content: bytes) -> Copied:
        """The lesson is newer and the file is the learner's: keep both."""
        if not name.endswith(".ipynb"):  # a check has to fit its lesson: the learner's goes aside
            aside = self._free(name, "yours")
            write_atomically(self.target / aside, (self.target / name).read_bytes())
            self._write(name, content)
            return Copied(name, "beside", f"yours is now {aside}")
        new = self._free(name, "new")
        self._write(new, content)
        return Copied(name, "beside", f"yours is kept; the newer lesson is {new}")

    def _free(self, name: str, word: str) -> str:
        """NAME.new.ipynb, or NAME.new2.ipynb where that is the learner's by now."""
        stem, dot, suffix = name.rpartition(".")
        if suffix == "py":  # not found as a check any more
            suffix = "py.txt"
        for number in ["", *map(str, range(2, 1000))]:
            candidate = f"{stem}.{word}{number}{dot}{suffix}"
            path = self.target / candidate
            ours = self.files.get(candidate, {}).get("written")
            if not path.exists() or (ours and sha256(path.read_bytes()) == ours):
                return candidate
        raise ExerciseError(f"There are too many copies of {name}.", cure="Move some of them away.")


def solution_report(source: Path, workbook: Path, only: str = "") -> Iterator[str]:
    """Blocks of text, one an exercise: the task, the learner's cell, the solution.

    source: the notebook with solutions. workbook: folder of the learner's copies. only: an id, "02.1".
    """
    copy = workbook / source.name
    theirs = {}
    if copy.exists():
        for cell in json.loads(copy.read_text("utf-8"))["cells"]:
            if grade(cell).get("solution"):
                theirs[grade(cell)["grade_id"]] = source_of(cell)
    words = ""
    for cell in edition.notebook(source, language())["cells"]:
        words = source_of(cell) if cell["cell_type"] == "markdown" else words
        grade_id = grade(cell).get("grade_id", "")
        exercise_id = ".".join(grade_id.removeprefix("ex-").rsplit("-", 1))
        if not grade(cell).get("solution") or (only and exercise_id != only):
            continue
        blocks = [f"{exercise_id}"]
        for head, text in (
            (told("task:"), _task(words, exercise_id)),
            (told("yours:"), theirs.get(grade_id, told("(no copy yet)"))),
            (told("a solution:"), "\n".join(solutions(source_of(cell)))),
        ):
            blocks += [f"  {head}\n{textwrap.indent(text, '    ')}"] if text else []
        yield "\n".join(blocks) + "\n"


def _task(words: str, exercise_id: str) -> str:
    """The words of an exercise, from the line with its name on, without the folded hints."""
    lines = re.sub(r"<details>.*?</details>", "", words, flags=re.S).splitlines()
    named = next((i for i, line in enumerate(lines) if exercise_id in line), len(lines))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines[named:]).replace("**", "").strip(" #\n"))
