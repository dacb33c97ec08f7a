"""A file of the lessons as the edition of a language has it: a notebook, its questions, a page of docs/."""

from __future__ import annotations

import json
from pathlib import Path

from . import pages, prose, quizzes


def content(path: Path, language: str) -> bytes:
    """The bytes of a lesson's file in this language; English where there is no translation in step."""
    if language == "en":
        return path.read_bytes()
    if path.suffix == ".ipynb":
        return json.dumps(notebook(path, language)).encode()
    if path.name.endswith(quizzes.SUFFIX):
        lesson = path.parent.parent / path.name.replace(quizzes.SUFFIX, ".ipynb")
        return quizzes.compose(path.read_bytes(), quizzes.read(quizzes.file_of(lesson, language)))
    there = pages.file_of(path, language)
    return there.read_bytes() if path.suffix == ".md" and there.is_file() else path.read_bytes()


def notebook(path: Path, language: str) -> dict:
    """A lesson's notebook with its text cells in this language."""
    lesson = json.loads(path.read_text("utf-8"))
    return lesson if language == "en" else prose.compose(lesson, prose.read(prose.file_of(path, language)))


def same_words(path: Path) -> dict[str, set[str]]:
    """Cell id -> the texts that say the same in one language or another, for each text cell of a lesson now."""
    found = {cell: {text} for cell, text in prose.read_lesson(path).items()}
    for language in prose.LANGUAGES:
        for cell, text in prose.english(notebook(path, language)).items():
            found[cell].add(text)
    return found
