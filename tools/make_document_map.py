#!/usr/bin/env python3
"""Writes docs/document.zh-CN.md: each heading of the Chinese source document, and where this workbook teaches it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from trt_lessons.files import lesson_number
from trt_lessons.workbook.languages import edition

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "docs" / "document.zh-CN.md"
HEAD = """# 原文档与本教程对照

本教程的各章依据一份中文的 TensorRT 文档。下面按原文档自己的标题，逐个列出它的内容在哪一课、哪一节里讲。
"""


def headings(lesson: str) -> dict[str, str]:
    """Cell id -> the heading above it in the Chinese edition, the lesson's title for the first cells."""
    found, last = {}, ""
    for cell in edition.notebook(ROOT / "notebooks" / f"{lesson}.ipynb", "zh-CN")["cells"]:
        if cell["cell_type"] == "markdown":
            heads = re.findall(r"^#{1,3} (.+)$", "".join(cell["source"]), re.M)
            last = heads[-1] if heads else last
        found[cell["id"]] = last
    return found


def _link(lesson: str, sections: list[str]) -> str:
    """A lesson and those of its sections that are meant."""
    return f"[第 {lesson_number(lesson)} 课](../notebooks/{lesson}.ipynb)：{'、'.join(sections)}"


def text() -> str:
    """The whole page."""
    places = json.loads((ROOT / "tests" / "notebooks" / "document_map.json").read_text("utf-8"))["places"]
    known: dict[str, dict[str, str]] = {}
    chapters: dict[str, dict[str, dict[str, list[str]]]] = {}
    for place in places:
        where = chapters.setdefault(place["chapter"], {}).setdefault(place["place"], {})
        for lesson, _, cell in (name.partition("#") for name in place["cells"]):
            known.setdefault(lesson, headings(lesson))
            sections = where.setdefault(lesson, [])
            sections += [known[lesson][cell]] if known[lesson][cell] not in sections else []
    lines = [HEAD]
    for chapter, rows in chapters.items():
        lines += [f"## {chapter}\n", "| 原文档 | 在本教程里 |", "| --- | --- |"]
        lines += [f"| {place} | {'；'.join(_link(*one) for one in where.items())} |" for place, where in rows.items()]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    OUTPUT.write_text(text(), "utf-8")
    print(OUTPUT.relative_to(ROOT))
