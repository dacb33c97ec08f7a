"""A lesson's questions in another language: `notebooks/zh-CN/<lesson>.quiz.json`, the same shape as the English file.

Each question has `of`, the sum of the English question that it translates; one that has changed since stays English.
"""

from __future__ import annotations

import json
from pathlib import Path

from .prose import digest
from .step import Finding, Word, differences, manners, missing_terms, translated

SUFFIX = ".quiz.json"


def english_file(lesson: Path) -> Path:
    """The file with the questions of a lesson's notebook."""
    return lesson.parent / "checks" / f"{lesson.stem}{SUFFIX}"


def file_of(lesson: Path, language: str) -> Path:
    """Where their translation lies."""
    return lesson.parent / language / f"{lesson.stem}{SUFFIX}"


def read(path: Path) -> list[dict]:
    """The questions in a file; none where there is no file."""
    return json.loads(path.read_text("utf-8"))["questions"] if path.exists() else []


def sum_of(question: dict) -> str:
    """The sum of an English question: its words, its choices, which of them is right."""
    return digest(json.dumps(question, ensure_ascii=False, sort_keys=True))


def compose(content: bytes, translated: list[dict]) -> bytes:
    """The English file's bytes with its questions translated, each where the translation is of this question."""
    asked = json.loads(content)
    known = {one.get("of"): one for one in translated}
    asked["questions"] = [_composed(one, known.get(sum_of(one))) for one in asked["questions"]]
    return (json.dumps(asked, indent=1, ensure_ascii=False) + "\n").encode()


def _composed(english: dict, there: dict | None) -> dict:
    if there is None or len(there["choices"]) != len(english["choices"]):
        return english
    choices = [{**choice, "text": one["text"], "why": one["why"]} for choice, one in _pairs(english, there)]
    return {**english, "ask": there["ask"], "choices": choices}


def _pairs(english: dict, there: dict) -> list[tuple[dict, dict]]:
    return list(zip(english["choices"], there["choices"], strict=False))


def skeleton(english: list[dict], translated: list[dict]) -> bytes:
    """A translator's file: the questions that are translated, the others in English."""
    known = {one.get("of"): one for one in translated}
    questions = [known.get(sum_of(one), {"of": sum_of(one), **one}) for one in english]
    return (json.dumps({"questions": questions}, indent=1, ensure_ascii=False) + "\n").encode()


def compare(english: list[dict], there: list[dict], known: list[Word]) -> list[Finding]:
    """Everything about a lesson's translated questions that wants mending."""
    found = []
    by_sum = {one.get("of"): one for one in there}
    for place, question in enumerate(english, 1):
        one, name = by_sum.pop(sum_of(question), None), f"quiz-{place}"
        if one is None:
            found.append(Finding(name, "missing", f"no translation of {sum_of(question)}, {question['ask']!r}"))
        elif one["right"] != question["right"] or len(one["choices"]) != len(question["choices"]):
            found.append(Finding(name, "differs", "the choices: their number, or which is right"))
        else:
            found += [Finding(name, kind, what) for kind, what in _wrong(question, one, known)]
    return found + [Finding("quiz", "unknown", f"no question has the sum {of}") for of in by_sum]


def texts_of(question: dict) -> list[str]:
    """All that is read of a question: what is asked, then text and reason of each choice."""
    return [question["ask"], *(choice[part] for choice in question["choices"] for part in ("text", "why"))]


def _wrong(english: dict, there: dict, known: list[Word]) -> list[tuple[str, str]]:
    found = []
    for ours, theirs in zip(texts_of(english), texts_of(there), strict=True):
        if not translated(ours, theirs):
            found.append(("missing", f"not translated: {ours!r}"))
            continue
        lost = missing_terms(ours, theirs, known, tuple(there.get("other", ())))
        found += [("differs", f"{what} ({theirs})") for what in [*differences(ours, theirs), *lost]]
        found += [("manners", what) for what in manners(theirs)]
    return found
