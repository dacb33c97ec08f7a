"""Pages in another language, section by section: `README.zh-CN.md` beside `README.md`, with the sum of each section."""

from __future__ import annotations

import re
from pathlib import Path

from . import prose
from .step import FENCE

PAGES = ("README.md", "docs/cheatsheet.md")


def file_of(page: Path, language: str) -> Path:
    """Where the translation of a page lies: beside it."""
    return page.with_suffix(f".{language}{page.suffix}")


def read(page: Path) -> dict[str, str]:
    """Name of a section -> its text, heading included, in order; what stands before the first one is "top"."""
    text = page.read_text("utf-8")
    inside = [range(m.start(), m.end()) for m in FENCE.finditer(text)]
    starts = [m.start() for m in re.finditer(r"^## ", text, re.M) if not any(m.start() in r for r in inside)]
    cuts = [0, *starts, len(text)]
    parts = [text[a:b].strip("\n") for a, b in zip(cuts, cuts[1:], strict=False)]
    return {_name(part) if i else "top": part for i, part in enumerate(parts)}


def _name(part: str) -> str:
    return re.sub(r"\W+", "-", part.splitlines()[0].lower()).strip("-")


def skeleton(page: Path, language: str) -> str:
    """The translator's file of a page."""
    return prose.skeleton(read(page), prose.read(file_of(page, language)))
