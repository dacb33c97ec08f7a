"""No link in the lessons or the pages leads nowhere: files and headings, without any network."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from trt_lessons.workbook.copies import Workbook, source_of

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LINK = re.compile(r"\]\(\s*<?([^()\s>]*(?:\([^()\s]*\)[^()\s>]*)*)>?(?:\s+\"[^\"]*\")?\s*\)")


def text(path: Path) -> str:
    """The words of a page or of a notebook's text cells, without its code."""
    if path.suffix == ".ipynb":
        cells = json.loads(path.read_text("utf-8"))["cells"]
        words = "\n\n".join(source_of(cell) for cell in cells if cell["cell_type"] == "markdown")
    else:
        words = path.read_text("utf-8")
    return re.sub(r"```.*?```|`[^`\n]*`", "", words, flags=re.S)


def links(path: Path) -> list[str]:
    """Where the links and pictures of a page lead that name no other host."""
    words = text(path)
    found = LINK.findall(words) + re.findall(r"<(?:a|img)\b[^>]*?(?:href|src)=\"([^\"]*)\"", words)
    return [unquote(one) for one in found if not re.match(r"(?:https?|mailto|data):", one)]


def anchors(path: Path) -> set[str]:
    """Names of a page's headings, in small letters with dashes, and of what carries an id."""
    words = text(path)
    headings = re.findall(r"^#+ +(.+?)\s*$", words, re.M)
    named = re.findall(r"\bid=\"([^\"]+)\"", words)
    return {plain(one) for one in [*headings, *named]}


def plain(heading: str) -> str:
    """A heading as GitHub and JupyterLab name it, apart from the case of letters."""
    return re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-").lower()


def dead(path: Path) -> Iterator[str]:
    """Each link of a page that leads nowhere, with the reason."""
    for link in links(path):
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not link or not target.exists():
            yield f"{path.name}: ({link}): no such file"
        elif anchor and target.suffix in (".md", ".ipynb") and plain(anchor) not in anchors(target):
            yield f"{path.name}: ({link}): {target.name} has no such heading"


@pytest.mark.parametrize("path", [*LESSONS, *PAGES], ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(path: Path) -> None:
    assert not list(dead(path))


def test_every_link_of_a_learners_copy_stays_in_the_workbook(tmp_path: Path) -> None:
    """JupyterLab opens nothing outside of the folder that it was started for."""
    Workbook(ROOT / "notebooks", tmp_path).update()
    pages = [*tmp_path.glob("*.ipynb"), *tmp_path.rglob("*.md")]
    assert len(pages) > len(LESSONS)
    wrong = [found for path in pages for found in dead(path)]
    outside = [
        f"{path.name}: {link}"
        for path in pages
        for link in links(path)
        if not (path.parent / link.partition("#")[0]).resolve().is_relative_to(tmp_path)
    ]
    assert not wrong and not outside


def test_a_learners_page_is_never_written_over(tmp_path: Path) -> None:
    Workbook(ROOT / "notebooks", tmp_path).update()
    page = next(tmp_path.glob("docs/*.md"))
    page.write_text("mine")
    Workbook(ROOT / "notebooks", tmp_path).update()
    assert page.read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("[a](no.md)", 1),
        ("[a](there.md)", 0),
        ("[a](there.md#a-heading-of-mine)", 0),
        ("[a](there.md#A-heading-of-mine)", 0),
        ("[a](there.md#another)", 1),
        ("[a](#no)", 1),
        ("[a]()", 1),
        ("![a](no.png)", 1),
        ('<a href="no.md">x</a>', 1),
        ("[a](https://example.org/no.md)", 0),
        ("`[a](no.md)`", 0),
        ('[a](there.md "a title")', 0),
        ("[a](no.md) [b](also_no.md)", 2),
    ],
)
def test_a_dead_link_is_found(tmp_path: Path, words: str, found: int) -> None:
    (tmp_path / "there.md").write_text("# A heading, of mine\n")
    (tmp_path / "page.md").write_text(words)
    assert len(list(dead(tmp_path / "page.md"))) == found
