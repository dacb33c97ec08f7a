"""A translation that follows its English text where only numbers or line breaks changed: `translate LESSON --follow`.

The English text that a piece was made from is found in git's history by its sum.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from .prose import Piece, digest, english
from .quizzes import sum_of, texts_of
from .step import NUMBER


def follow(path: Path, pieces: dict[str, Piece]) -> tuple[dict[str, Piece], list[str]]:
    """The pieces of a lesson's translation, those that can be carried over mended; and the ids of these."""
    now = english(json.loads(path.read_text("utf-8")))
    stale = {cell: piece for cell, piece in pieces.items() if cell in now and piece.of != digest(now[cell])}
    mended: dict[str, Piece] = {}
    for texts in _history(path) if stale else ():
        for cell in [cell for cell in stale if cell in texts and stale[cell].of == digest(texts[cell])]:
            text = carried(texts[cell], now[cell], stale.pop(cell).text)
            if text is not None:
                mended[cell] = replace(pieces[cell], of=digest(now[cell]), text=text)
        if not stale:
            break
    return {**pieces, **mended}, list(mended)


def carried(old: str, new: str, translation: str) -> str | None:
    """The translation of `new`, which is `old` with other numbers; None where more has changed, or it is not clear."""
    if _words(old) != _words(new):
        return None
    before, after = NUMBER.findall(old), NUMBER.findall(new)
    there = NUMBER.findall(translation)
    if there == before:  # in the same order: each follows its own
        following = iter(after)
        return NUMBER.sub(lambda _: next(following), translation)
    becomes: dict[str, set[str]] = {}
    for one, other in zip(before, after, strict=True):
        becomes.setdefault(one, set()).add(other)
    if any(len(becomes.get(number, ())) > 1 for number in there):
        return None
    return NUMBER.sub(lambda m: next(iter(becomes.get(m[0], {m[0]}))), translation)


def follow_questions(file: Path, there: list[dict]) -> tuple[list[dict], int]:
    """The translated questions of an English file, those that can be carried over mended; and how many these are."""
    now = {sum_of(question): question for question in json.loads(file.read_text("utf-8"))["questions"]}
    stale = [one for one in there if one.get("of") not in now]
    new = [question for of, question in now.items() if of not in {one.get("of") for one in there}]
    mended: dict[str, dict] = {}
    for old in _old_questions(file) if stale and new else ():
        for one in [one for one in stale if one.get("of") == sum_of(old)]:
            stale.remove(one)
            found = (_carried_question(old, question, one) for question in new)
            carried_over = next(filter(None, found), None)
            if carried_over:
                mended[one["of"]] = carried_over
    return [mended.get(one.get("of", ""), one) for one in there], len(mended)


def _carried_question(old: dict, new: dict, there: dict) -> dict | None:
    pairs = list(zip(texts_of(old), texts_of(new), texts_of(there), strict=False))
    if not len(texts_of(old)) == len(texts_of(new)) == len(texts_of(there)) or old["right"] != new["right"]:
        return None
    texts = [carried(*pair) for pair in pairs]
    if None in texts:
        return None
    ask, *rest = texts
    choices = [{"text": text, "why": why} for text, why in zip(rest[::2], rest[1::2], strict=True)]
    return {**there, "of": sum_of(new), "ask": ask, "choices": choices}


def _old_questions(file: Path) -> Iterator[dict]:
    for commit in _git(file, "log", "--format=%H", "--", file.name).split():
        try:
            yield from json.loads(_git(file, "show", f"{commit}:./{file.name}"))["questions"]
        except (ValueError, KeyError):
            continue


def _words(text: str) -> str:
    """A text without its numbers and line breaks."""
    return re.sub(r"\s+", " ", NUMBER.sub("#", text)).strip()


def _history(path: Path) -> Iterator[dict[str, str]]:
    """The lesson's text cells at each commit that changed it, the newest first; nothing outside a clone."""
    for commit in _git(path, "log", "--format=%H", "--", path.name).split():
        try:
            yield english(json.loads(_git(path, "show", f"{commit}:./{path.name}")))
        except (ValueError, KeyError):
            continue


def _git(path: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=path.parent, capture_output=True, text=True, encoding="utf-8")
    return done.stdout if done.returncode == 0 else ""
