"""The catalogs of messages, one `.po` file for the package and one for each lesson, as gettext has them, by Babel."""

from __future__ import annotations

import io
import re
from pathlib import Path

from ...files import home, write_atomically
from ...messages import CATALOGS, read_catalog
from . import extraction
from .step import Finding, Word, differences, manners, missing_terms, translated

PACKAGE = "package"
COMMAND = re.compile(r"(?:make|pip|conda|git|docker|export|unset|trt-lessons|python3?|nvidia-smi|Python)\b")


def folder_of(language: str) -> Path:
    """Where a language's catalogs lie."""
    return CATALOGS / language.replace("-", "_") / "LC_MESSAGES"


def sources(lesson: Path | None) -> extraction.Source:
    """The messages of a lesson's notebook and checks; of the package for None."""
    return extraction.lesson_messages(lesson) if lesson else extraction.package_messages(home() / "trt_lessons")


def file_of(lesson: Path | None, language: str) -> Path:
    """The catalog of a lesson, or of the package."""
    return folder_of(language) / f"{lesson.stem if lesson else PACKAGE}.po"


def write(file: Path, found: extraction.Source, known: dict[str, str]) -> None:
    """A catalog of these messages, with the translations that are known, and empty ones for the others."""
    from babel.messages.catalog import Catalog
    from babel.messages.pofile import write_po

    made = Catalog(locale=file.parent.parent.name)
    for text, places in found.items():
        made.add(text, known.get(text, ""), locations=[(place, None) for place in places])
    out = io.BytesIO()
    write_po(out, made, width=118, omit_header=True, sort_output=False)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, out.getvalue().strip() + b"\n")


def update(lesson: Path | None, language: str) -> str:
    """Write a catalog anew from its sources; what is translated there, or in another catalog, stays."""
    known: dict[str, str] = {}
    file = file_of(lesson, language)
    for other in [*sorted(folder_of(language).glob("*.po")), file]:
        known.update(read_catalog(other) if other.exists() else {})
    found = sources(lesson)
    write(file, found, known)
    return f"{file.name}: {sum(text in known for text in found)} of {len(found)} messages are translated"


def compare(found: extraction.Source, there: dict[str, str], words: list[Word]) -> list[Finding]:
    """What is wrong with a catalog: messages without a translation, or of other places, numbers, terms."""
    wrong = [Finding("message", "missing", f"no translation of {text!r}") for text in found if text not in there]
    wrong += [Finding("message", "unknown", f"nobody says {text!r}") for text in there if text not in found]
    for text in filter(there.get, found):
        if text == there[text] and (" " not in text or COMMAND.match(text)):  # None, float32, pip install ...
            continue
        if not translated(text, there[text]):
            wrong.append(Finding("message", "missing", f"not translated: {text!r}"))
            continue
        lost = missing_terms(text, there[text], words)
        told = [*differences(text, there[text]), *lost]
        wrong += [Finding("message", "differs", f"{what} ({there[text]})") for what in told]
        wrong += [Finding("message", "manners", what) for what in manners(there[text])]
    return wrong
