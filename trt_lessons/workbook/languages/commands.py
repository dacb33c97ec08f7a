"""The command `trt-lessons translate`, for those who look after an edition in another language."""

from __future__ import annotations

import argparse
import json
import textwrap
from pathlib import Path
from typing import Any

from ...errors import LessonError
from ...files import home, write_atomically
from ...messages import read_catalog
from ..execute import find_notebook, lessons_folder, notebooks
from . import catalogs, follow, pages, prose, quizzes, step


def register(commands: Any) -> None:
    """Add the command to the command line (argparse's subparsers)."""
    translate = commands.add_parser("translate", help="the edition in another language: what is missing or not in step")
    translate.add_argument("lessons", nargs="*", metavar="LESSON", help='"02" (default: all)')
    translate.add_argument("--language", default="zh-CN", metavar="L", help="the edition (zh-CN)")
    what = translate.add_mutually_exclusive_group()
    what.add_argument("--stale", action="store_true", help="list it, with the English text (what is done by default)")
    what.add_argument("--skeleton", action="store_true", help="write the lesson's file, with every cell that it lacks")
    what.add_argument("--follow", action="store_true", help="carry over changes of numbers alone, by git's history")
    what.add_argument("--messages", action="store_true", help="write the catalogs of messages anew from the sources")
    translate.set_defaults(do=run)


def run(args: argparse.Namespace) -> int:
    """List what is not in step, write skeletons, or follow changed numbers; 1 where something is not in step."""
    language = prose.check_language(args.language)
    folder = lessons_folder()
    paths = [find_notebook(name, folder) for name in args.lessons] or notebooks(folder)
    if args.skeleton:
        if not args.lessons:
            raise LessonError("Which lesson's skeleton?", cure="trt-lessons translate 02 --skeleton")
        for path in paths:
            print(_write_skeleton(path, language))
        return 0
    if args.messages:
        print("\n".join(catalogs.update(one, language) for one in [*paths, *([] if args.lessons else [None])]))
        return 0
    for path in paths if args.follow else ():
        _follow(path, language)
    known = step.words(home() / "docs" / "glossary.csv")
    lines = [line for path in paths for line in [*_lesson(path, language, known), *_messages(path, language, known)]]
    if not args.lessons:
        lines += _messages(None, language, known) + _pages(language, known)
    print("\n".join(lines) or "everything is in step")
    return 1 if lines else 0


def _write_skeleton(path: Path, language: str) -> str:
    file = prose.file_of(path, language)
    texts, pieces = prose.read_lesson(path), prose.read(file)
    gone = [cell for cell in pieces if cell not in texts]
    if gone:
        cure = f"Move what is of use from {file.name} and take these pieces out."
        raise LessonError(f"{path.stem} has no cell {', '.join(gone)} any more.", cure=cure)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, prose.skeleton(texts, pieces).encode())
    asked = quizzes.read(quizzes.english_file(path))
    if asked:
        sheet = quizzes.file_of(path, language)
        write_atomically(sheet, quizzes.skeleton(asked, quizzes.read(sheet)))
    return f"{file.parent.name}/{file.name}: {len(texts)} cells, {len(texts) - len(pieces)} of them new"


def _follow(path: Path, language: str) -> None:
    file = prose.file_of(path, language)
    pieces, mended = follow.follow(path, prose.read(file))
    if mended:
        write_atomically(file, "\n".join(f"{one.head()}\n{one.text}\n" for one in pieces.values()).encode())
        print(f"{path.stem}: carried over: {', '.join(mended)}")
    asked, sheet = quizzes.english_file(path), quizzes.file_of(path, language)
    there, count = follow.follow_questions(asked, quizzes.read(sheet)) if asked.exists() else ([], 0)
    if count:
        write_atomically(sheet, (json.dumps({"questions": there}, indent=1, ensure_ascii=False) + "\n").encode())
        print(f"{path.stem}: carried over: {count} questions")


def _lesson(path: Path, language: str, known: list[step.Word]) -> list[str]:
    """What is not in step in one lesson, with the English text of what has to be written."""
    file = prose.file_of(path, language)
    texts = prose.read_lesson(path)
    if not file.exists():
        cure = f"trt-lessons translate {path.stem} --skeleton"
        return [f"{path.stem}: no {file.parent.name}/{file.name}, {len(texts)} cells ({cure})"]
    pieces = prose.read(file)
    lines = []
    for found in step.compare(texts, pieces, known):
        lines.append(f"{path.stem}#{found.cell}: {found.kind}: {found.what}")
        if found.kind in ("missing", "stale"):
            piece = pieces.get(found.cell, prose.Piece(found.cell, "", ""))
            head = prose.Piece(found.cell, prose.digest(texts[found.cell]), "", piece.other).head()
            lines.append(textwrap.indent(f"{head}\n{texts[found.cell]}", "    "))
    sheet = quizzes.file_of(path, language)
    for found in quizzes.compare(quizzes.read(quizzes.english_file(path)), quizzes.read(sheet), known):
        lines.append(f"{path.stem}#{found.cell}: {found.kind}: {found.what}")
    return lines


def _pages(language: str, known: list[step.Word]) -> list[str]:
    """What is not in step in the pages beside the lessons."""
    lines = []
    for page in (home() / name for name in pages.PAGES):
        found = step.compare(pages.read(page), prose.read(pages.file_of(page, language)), known)
        lines += [f"{page.name}#{one.cell}: {one.kind}: {one.what}" for one in found]
    return lines


def _messages(lesson: Path | None, language: str, known: list[step.Word]) -> list[str]:
    """What is not in step in one catalog; those without a translation are counted, the file shows them."""
    file = catalogs.file_of(lesson, language)
    sources = catalogs.sources(lesson)
    found = catalogs.compare(sources, read_catalog(file) if file.exists() else {}, known)
    missing = sum(one.kind == "missing" for one in found)
    lines = [f"{file.name}: {one.kind}: {one.what}" for one in found if one.kind != "missing"]
    if missing:
        cure = f"trt-lessons translate {lesson.stem if lesson else ''} --messages"
        lines.append(f"{file.name}: {missing} of {len(sources)} messages without a translation ({cure})")
    return lines
