"""Pages in another language, section by section: `README.zh-CN.md` beside `README.md`, with the sum of each section.

The glossary's sections are the meanings of its terms: `docs/glossary.zh-CN.md` beside `docs/glossary.csv`.
"""

from __future__ import annotations

import csv
import re
from itertools import pairwise
from pathlib import Path

from . import prose
from .step import FENCE

PAGES = (
    *("README.md", "docs/cheatsheet.md", "docs/cpp.md", "docs/elsewhere.md", "docs/glossary.csv"),
    "docs/site/index.md",
)


def file_of(page: Path, language: str) -> Path:
    """Where the translation of a page lies: beside it."""
    return page.with_suffix(f".{language}.md")


def read(page: Path) -> dict[str, str]:
    """Name of a section -> its text, heading included, in order; what stands before the first one is "top"."""
    if page.suffix == ".csv":
        return meanings(page)
    text = page.read_text("utf-8")
    inside = [range(m.start(), m.end()) for m in FENCE.finditer(text)]
    starts = [m.start() for m in re.finditer(r"^## ", text, re.M) if not any(m.start() in r for r in inside)]
    cuts = [0, *starts, len(text)]
    parts = [text[a:b].strip("\n") for a, b in pairwise(cuts)]
    return {section_name(part.splitlines()[0]) if i else "top": part for i, part in enumerate(parts)}


def meanings(glossary: Path) -> dict[str, str]:
    """Name of a term (`section_name`) -> what it means, of the glossary's rows."""
    with glossary.open(encoding="utf-8", newline="") as file:
        return {section_name(row["English"]): row["meaning"] for row in csv.DictReader(file)}


def section_name(heading: str) -> str:
    """A heading or term in small letters with hyphens, as the head of its translation names it."""
    return re.sub(r"\W+", "-", heading.lower()).strip("-")


def skeleton(page: Path, language: str) -> str:
    """The translator's file of a page."""
    return prose.skeleton(read(page), prose.read(file_of(page, language)))
