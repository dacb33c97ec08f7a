"""The prose of a lesson in another language: `notebooks/zh-CN/<lesson>.md`, one piece for each text cell.

    <!-- cell: title sha256:0123456789ab other: kernel -->
    # 从这里开始

The sum is that of the English text that the piece translates; `other:` lists terms of the glossary that mean something
else in that cell. Code cells, ids and outputs are the English edition's: `compose` makes a whole notebook of both.
A piece whose English text has changed since is not shown: there the English text stands.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from ...errors import LessonError
from ...files import sha256

LANGUAGES = {"zh-CN": "简体中文"}
HEAD = re.compile(r"^<!-- cell: (?P<cell>[\w-]+) sha256:(?P<of>[0-9a-f]{12})(?: other: (?P<other>.+?))? -->$", re.M)


@dataclass(frozen=True)
class Piece:
    """One translated cell: its id, the sum of the English text, the translation, terms that mean something else."""

    cell: str
    of: str
    text: str
    other: tuple[str, ...] = ()

    def head(self) -> str:
        """The line above the piece."""
        other = f" other: {', '.join(self.other)}" if self.other else ""
        return f"<!-- cell: {self.cell} sha256:{self.of}{other} -->"


def check_language(language: str) -> str:
    """The language, where there is an edition in it; LessonError names those there are."""
    if language not in LANGUAGES and language != "en":
        raise LessonError(f"There is no edition in {language!r}.", cure=f"One of: en, {', '.join(LANGUAGES)}.")
    return language


def digest(text: str) -> str:
    """The first twelve digits of an English text's sha256."""
    return sha256(text.encode())[:12]


def english(notebook: dict) -> dict[str, str]:
    """id -> text of each text cell, in order."""
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    return {cell["id"]: "".join(cell["source"]) for cell in cells}


def read_lesson(path: Path) -> dict[str, str]:
    """The English text cells of a lesson's notebook."""
    return english(json.loads(path.read_text("utf-8")))


def file_of(lesson: Path, language: str) -> Path:
    """Where the translation of a notebook lies: beside it, in a folder of the language."""
    return lesson.parent / language / f"{lesson.stem}.md"


def parse(text: str, name: str = "") -> dict[str, Piece]:
    """The pieces in a translation's text, in order. LessonError: two have one id, or text stands before the first."""
    heads = list(HEAD.finditer(text))
    before = text[: heads[0].start()] if heads else text
    if before.strip() and not before.lstrip().startswith("<!--"):
        raise LessonError(f"{name}: text before the first cell.", cure="Begin with <!-- cell: ID sha256:... -->")
    found: dict[str, Piece] = {}
    for head, after in zip(heads, [*heads[1:], None], strict=True):
        words = text[head.end() : after.start() if after else len(text)].strip("\n")
        if head["cell"] in found:
            raise LessonError(f"{name}: the cell {head['cell']} stands there twice.", cure="Join the two.")
        other = tuple(word.strip() for word in (head["other"] or "").split(",") if word.strip())
        found[head["cell"]] = Piece(head["cell"], head["of"], words, other)
    return found


def read(path: Path) -> dict[str, Piece]:
    """The pieces in a file, none where there is no file."""
    return parse(path.read_text("utf-8"), path.name) if path.exists() else {}


def compose(notebook: dict, pieces: dict[str, Piece]) -> dict:
    """The notebook with its text cells translated, where the translation is of the text that stands there."""

    def cell_in(cell: dict) -> dict:
        piece = pieces.get(cell.get("id", "")) if cell["cell_type"] == "markdown" else None
        if piece is None or not piece.text or piece.of != digest("".join(cell["source"])):
            return cell
        return {**cell, "source": piece.text.splitlines(keepends=True)}

    return {**notebook, "cells": [cell_in(cell) for cell in notebook["cells"]]}


def skeleton(texts: dict[str, str], pieces: dict[str, Piece]) -> str:
    """A translator's file: every cell in order; the pieces there are stay, the others begin as the English text."""
    out = []
    for cell, text in texts.items():
        piece = pieces.get(cell) or Piece(cell, digest(text), text)
        out.append(f"{piece.head()}\n{piece.text}\n")
    return "\n".join(out)
