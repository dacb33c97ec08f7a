"""Lays the site's pages out as Sphinx reads them: a folder for English, and one for Chinese with what is translated.

What the Chinese pages link to and do not have themselves is the English page, and is called so.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import site_api
import site_lessons
from site_switch import CHINESE

from trt_lessons.errors import ExerciseError
from trt_lessons.messages import SETTING
from trt_lessons.workbook.execute import notebooks
from trt_lessons.workbook.languages import edition, prose, quizzes

FIRST = ["lessons", "docs/glossary", "docs/cheatsheet", "docs/cpp", "docs/document", "docs/gallery"]
FIRST += ["docs/classroom/README", "api/index", "docs/elsewhere"]
TITLES = {"en": "TensorRT by doing", CHINESE: "边做边学 TensorRT"}
LESSONS = {"en": "Lessons", CHINESE: "课程"}
# English pages that the Chinese ones lead to, by their Chinese names
ENGLISH_ONLY = {"api/index": "API", "docs/gallery": "图的样例", "docs/classroom/README": "课堂"}
NOT_TRANSLATED = "<b>这一课还没有全部译完。</b>没有译文的地方是英文。"
OUTPUTS = "代码两版相同；输出和图是英文版的那一次运行留下的。"
FOLDED = {"en": ["Show code cell output", "Hide code cell output"], CHINESE: ["显示输出", "收起输出"]}
SEARCH = {"en": "Search the pages", CHINESE: "搜索"}


class PageError(Exception):
    """A page cannot be shown: what happened, why, what to do."""


def lay_out(root: Path, folder: Path, repository: str) -> dict[str, Path]:
    """Write both editions into `folder`: place in the site -> folder that Sphinx reads. Raises PageError."""
    english, chinese = folder / "en" / "source", folder / CHINESE / "source"
    _lessons(root, english, repository, "en")
    _docs(root, english)
    site_api.write_pages(english / "api")
    _index(root, english, "en")
    said = os.environ.get(SETTING)
    os.environ[SETTING] = CHINESE
    try:
        partly = _lessons(root, chinese, repository, CHINESE)
        _docs_in_chinese(root, chinese)
        _index(root, chinese, CHINESE)
    finally:
        os.environ.pop(SETTING)
        os.environ.update({SETTING: said} if said else {})
    pages = {source: _pages(source) for source in (english, chinese)}
    _settings(english, "en", pages[chinese], [])
    _settings(chinese, "zh_CN", pages[english], partly)
    for source in pages:
        shutil.copy(root / "docs" / "conf.py", source)
        shutil.copytree(root / "docs" / "_static", source / "docs" / "_static", dirs_exist_ok=True)
        shutil.copytree(root / "docs" / "site" / "templates", source / "docs" / "site" / "templates")
    return {"": english, CHINESE: chinese}


def _settings(source: Path, language: str, other: list[str], english: list[str]) -> None:
    """What docs/conf.py reads. other: the other edition's pages; english: those of this one that are in English."""
    words = CHINESE if language == "zh_CN" else "en"
    about = {"title": TITLES[words], "search": SEARCH[words], "folded": FOLDED[words], "language": language}
    about |= {"pages_of_the_other": other, "english_pages": english}
    (source / "edition.json").write_text(json.dumps(about), "utf-8")


def _pages(source: Path) -> list[str]:
    """Names of all pages in a folder, without their endings."""
    found = [*source.rglob("*.md"), *source.rglob("*.ipynb")]
    return sorted(path.relative_to(source).with_suffix("").as_posix() for path in found)


def _lessons(root: Path, source: Path, repository: str, language: str) -> list[str]:
    """The lessons' pages and the glossary; the names of those that are in English altogether, in a Chinese edition."""
    terms = site_lessons.read_glossary(root / "docs" / "glossary.csv")
    glossary = site_lessons.glossary_page(terms)
    if language == CHINESE:
        meanings = prose.read(root / "docs" / "glossary.zh-CN.md")
        glossary = site_lessons.glossary_in_chinese(terms, {name: one.text for name, one in meanings.items()})
    (source / "docs").mkdir(parents=True)
    (source / "notebooks").mkdir()
    (source / "docs" / "glossary.md").write_text(glossary, "utf-8")
    names, english = [], []
    for path in notebooks(root / "notebooks"):
        try:
            content = json.loads(path.read_text("utf-8"))
            lesson = edition.notebook(path, language)
            if language == CHINESE:
                left = _left_in_english(content, lesson)
                english += [f"notebooks/{path.stem}"] if left == len(prose.english(content)) else []
                lesson["cells"].insert(1, _note(NOT_TRANSLATED if left else OUTPUTS))
            checks = _questions(path, source.parent / "questions", language)
            page = site_lessons.page(lesson, terms, path.name, repository, checks, language)
        except (OSError, ValueError, KeyError, TypeError, ExerciseError) as error:
            cure = "Mend it: trt-lessons run it --in-place."
            raise PageError(f"lesson {path.stem} cannot be shown.", str(error), cure) from error
        (source / "notebooks" / path.name).write_text(json.dumps(page, ensure_ascii=False), "utf-8")
        names.append(f"notebooks/{path.stem}")
    (source / "lessons.md").write_text(f"# {LESSONS[language]}\n\n" + _toctree(names, ":maxdepth: 1"), "utf-8")
    return english


def _questions(lesson: Path, folder: Path, language: str) -> Path:
    """A folder with the lesson's questions in this language."""
    folder.mkdir(exist_ok=True)
    file = quizzes.english_file(lesson)
    if file.exists():
        (folder / file.name).write_bytes(edition.content(file, language))
    return folder


def _left_in_english(lesson: dict, composed: dict) -> int:
    """How many text cells have no translation in step."""
    ours, theirs = prose.english(lesson), prose.english(composed)
    return sum(theirs[cell] == text for cell, text in ours.items())


def _note(text: str) -> dict:
    return {
        "cell_type": "markdown",
        "id": "site-note",
        "metadata": {},
        "source": f'<blockquote lang="{CHINESE}"><p>{text}</p></blockquote>',
    }


def _docs(root: Path, source: Path) -> None:
    """The English pages of docs/, and the scripts that they link to."""
    skip = shutil.ignore_patterns("*.csv", "*.zh-CN.md", "conf.py", "site")
    shutil.copytree(root / "docs", source / "docs", ignore=skip, dirs_exist_ok=True)


def _docs_in_chinese(root: Path, source: Path) -> None:
    """The pages of docs/ that have a Chinese edition, and links to the English ones that have none."""
    for path in sorted((root / "docs").glob("*.zh-CN.md")):
        name = path.name.replace(".zh-CN", "")
        if name != "glossary.md":
            text = prose.HEAD.sub("", path.read_text("utf-8")).replace(".zh-CN.md", ".md")
            (source / "docs" / name).write_text(text, "utf-8")


def _index(root: Path, source: Path, language: str) -> None:
    """The first page, with the table of all others."""
    file = root / "docs" / "site" / ("index.md" if language == "en" else f"index.{language}.md")
    there = [name for name in _pages(source) if re.match(r"docs/|api/index$|lessons$", name)]
    order = [*(name for name in FIRST if name in there), *(name for name in there if name not in FIRST)]
    text = prose.HEAD.sub("", file.read_text("utf-8"))
    if language == CHINESE:
        text = re.sub(r"\{doc\}`/([\w/]+)`", lambda m: _english_link(m[1]) if m[1] in ENGLISH_ONLY else m[0], text)
    (source / "index.md").write_text(text + "\n" + _toctree(order, ":hidden:"), "utf-8")


def _english_link(page: str) -> str:
    """A link from the Chinese first page to an English one."""
    return f'<a href="../{page}.html" hreflang="en">{ENGLISH_ONLY[page]}（英文）</a>'


def _toctree(pages: list[str], *options: str) -> str:
    """A Sphinx toctree of these pages, as Markdown."""
    return "\n".join(["```{toctree}", *options, "", *pages, "```", ""])
