#!/usr/bin/env python3
"""Makes handouts and slides of the lessons, without their solutions, to be printed.

    make handout                           every lesson, into handout/
    make handout LESSONS="02 04_1"         these
    make handout LANGUAGE=zh-CN            in Chinese, into handout/zh-CN/
    python tools/make_handout.py --output X 02

For each lesson LESSON.html (A4, one column, the recorded outputs) and LESSON-slides.html (a page a slide: figures,
questions, and the answer on the next one). Where a Chromium or Chrome is found, the same as PDF. Nothing is executed
and nothing is fetched.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter
from pygments.formatters import HtmlFormatter

from trt_lessons.errors import LessonError
from trt_lessons.files import write_atomically
from trt_lessons.workbook.copies import grade, learners, source_of
from trt_lessons.workbook.execute import find_notebook, notebooks
from trt_lessons.workbook.languages import edition
from trt_lessons.workbook.languages.prose import check_language

ROOT = Path(__file__).resolve().parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
KINDS = ("title", "heading", "text", "code", "figure", "answer")
EMPTY = re.compile(r'<div class="[^"]*\bhighlight\b[^"]*"><pre>(?:<span></span>)?\s*</pre></div>')
FOLDED = re.compile(r"<details>.*?</details>\n?", re.S)
SHOWN = re.compile(
    r"^(#{1,3} |> |[-*] |\d+\. |\||\*\*Predict|\*\*What happened|\*\*刚才发生了什么|!\[)|\*\*(?:Predict:|预测：)\*\*"
)
STYLE = """
*{box-sizing:border-box}
body{font:11pt/1.4 sans-serif;color:#111;background:#fff;margin:0 auto;max-width:180mm}
h1{font-size:1.7em}h2{font-size:1.35em}h1,h2,h3,h4{line-height:1.2;break-after:avoid}
a{color:inherit;text-decoration:none}a.anchor-link,.jp-InputPrompt,.jp-OutputPrompt{display:none}
pre{margin:0;white-space:pre-wrap;overflow-wrap:anywhere;font:9pt/1.3 "DejaVu Sans Mono",Menlo,Consolas,monospace}
.highlight{border-left:1mm solid #999;padding:1mm 2mm;margin:2mm 0;background:#f5f5f5}
.highlight pre{white-space:pre}
.jp-OutputArea-output{padding:1mm 3mm}
img{max-width:100%;height:auto}
table{border-collapse:collapse;max-width:100%}td,th{border:1px solid #aaa;padding:.5mm 2mm;overflow-wrap:anywhere}
blockquote{margin:2mm 0;padding-left:3mm;border-left:1mm solid #bbb}
img,tr,blockquote,.highlight{break-inside:avoid}
"""
PAPER = "@page{size:210mm 297mm;margin:15mm}\n" + STYLE
SLIDES = (
    "@page{size:297mm 167mm;margin:10mm}\n"
    + STYLE
    + """body{font-size:17pt;max-width:277mm}pre{font-size:13.5pt}.slide{break-before:page}
.slide:first-child{break-before:auto}img{max-height:125mm;width:auto}
@media screen{.slide{border-bottom:1px solid #bbb;padding:5mm 0}}"""
)


def handout(notebook: dict) -> list[dict]:
    """The cells for paper: no solutions, nothing that is folded; recorded outputs stay, but those of checks."""
    cells = learners(notebook)["cells"]
    for cell, original in zip(cells, notebook["cells"], strict=True):
        cell["source"] = FOLDED.sub("", source_of(cell))
        if cell["cell_type"] == "code" and not grade(cell):
            cell["outputs"] = [_still(output) for output in original.get("outputs", [])]
    return [cell for cell in cells if cell["source"].strip()]


def _still(output: dict) -> dict:
    """An output without what needs a kernel."""
    if "text" in output:
        return {**output, "text": "".join(output["text"])}
    data = {k: v for k, v in output.get("data", {}).items() if "widget" not in k}
    return {**output, "data": data} if data else output


def slides(cells: list[dict]) -> list[list[dict]]:
    """The cells of each slide: headings, questions, experiments, figures, what happened.

    An answer is not on its question's slide, and a heading that nothing follows has none.
    """
    made: list[list[dict]] = [[]]
    follows = {"title": ("title",), "heading": ("title",), "figure": ("title", "heading"), "code": ("title", "heading")}
    follows |= {"answer": ("title", "heading", "code", "answer"), "text": KINDS}
    for part in (part for cell in cells for part in _parts(cell)):
        kind, last = part["metadata"]["slide"], made[-1][-1]["metadata"]["slide"] if made[-1] else "title"
        if kind == last == "heading":
            made[-1].pop()
        elif last not in follows[kind]:
            made.append([])
        made[-1].append(part)
    return [slide for slide in made if slide]


def _parts(cell: dict) -> list[dict]:
    """What of a cell stands on slides, each with its kind: paragraphs of a few kinds, experiments, pictures."""
    if cell["cell_type"] == "markdown":
        texts = [text.strip() for text in cell["source"].split("\n\n")]
        return [_part(cell, _kind(text), i, source=text) for i, text in enumerate(texts) if SHOWN.search(text)]
    pictures = [output for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]
    if cell["source"].startswith("tl.quiz("):
        return [_part(cell, "code", 0, source="")]
    parts = [_part(cell, "code", 0, outputs=[])] if "tl.outcome(" in cell["source"] else []
    return parts + ([_part(cell, "figure", 1, source="", outputs=pictures)] if pictures else [])


def _kind(text: str) -> str:
    if re.match(r"#{1,3} ", text):
        return "title" if text.startswith("# ") else "heading"
    return "answer" if text.startswith(("**What happened", "**刚才发生了什么")) else "text"


def _part(cell: dict, kind: str, number: int, **new: object) -> dict:
    return {**cell, "id": f"{cell['id']}-{number}", "metadata": {"slide": kind}, **new}


def html_of(cells: list[dict]) -> str:
    """These cells as HTML, with their pictures inside."""
    exporter = HTMLExporter(template_name="basic", exclude_input_prompt=True, exclude_output_prompt=True)
    exporter.exclude_anchor_links = True
    told = {"language_info": {"name": "python"}}
    book = nbformat.from_dict({"cells": cells, "metadata": told, "nbformat": 4, "nbformat_minor": 5})
    return EMPTY.sub("", exporter.from_notebook_node(book)[0])


def document(title: str, style: str, body: str, language: str = "en") -> str:
    """One file that needs no other."""
    colours = HtmlFormatter(style="bw").get_style_defs(".highlight")
    head = f'<!doctype html><html lang="{language}"><meta charset="utf-8"><title>{title}</title>'
    return f"{head}<style>{colours}{style}</style><body>{body}</body></html>\n"


def write(lesson: Path, folder: Path, to_pdf: Callable[[Path], None] | None, language: str = "en") -> list[Path]:
    """Handout and slides of one lesson, as HTML and with `to_pdf` as PDF. Raises LessonError for what is no lesson."""
    try:
        cells = handout(edition.notebook(lesson, language))
        pages = {
            lesson.stem: document(lesson.stem, PAPER, html_of(cells), language),
            f"{lesson.stem}-slides": document(
                lesson.stem,
                SLIDES,
                "".join(f'<section class="slide">{html_of(part)}</section>' for part in slides(cells)),
                language,
            ),
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        cure = f"Mend it: trt-lessons run {lesson.stem} --in-place, or take it from git again."
        raise LessonError(f"{lesson.name} cannot be printed.", why=str(error), cure=cure) from error
    made = []
    for name, text in pages.items():
        made.append(folder / f"{name}.html")
        write_atomically(made[-1], text.encode())
        if to_pdf:
            to_pdf(made[-1])
            made.append(made[-1].with_suffix(".pdf"))
    return made


def printer() -> Callable[[Path], None] | None:
    """What makes a PDF beside an HTML file, with the browser of this machine; None without one."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        return None

    def to_pdf(page: Path) -> None:
        with tempfile.TemporaryDirectory(dir=page.parent, prefix=".print-") as own:
            new = Path(own) / "new.pdf"
            command = [browser, "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={own}/profile"]
            command += ["--no-pdf-header-footer", f"--print-to-pdf={new}", page.absolute().as_uri()]
            done = subprocess.run(command, capture_output=True, text=True, timeout=180)
            if not new.exists():
                why = (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]
                cure = "Open the HTML file in a browser and print it there."
                raise LessonError(f"{browser} made no PDF of {page.name}.", why=why, cure=cure)
            new.replace(page.with_suffix(".pdf"))

    return to_pdf


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lessons", nargs="*", help="02, or 02_inference_flow (default: all)")
    parser.add_argument("--output", type=Path, default=ROOT / "handout")
    parser.add_argument("--language", default="en", metavar="L", help="en or zh-CN")
    args = parser.parse_args()
    try:
        folder = ROOT / "notebooks"
        lessons = [find_notebook(name, folder) for name in args.lessons] or notebooks(folder)
        output = args.output if check_language(args.language) == "en" else args.output / args.language
        output.mkdir(parents=True, exist_ok=True)
        to_pdf = printer()
        for lesson in lessons:
            made = write(lesson, output, to_pdf, args.language)
            print(f"{lesson.stem}: {', '.join(path.name for path in made)}", flush=True)
    except (LessonError, OSError) as error:
        sys.exit(f"handout: {error}")
    print(f"They lie in {output}." + ("" if to_pdf else " No Chromium or Chrome: open them and print them there."))


if __name__ == "__main__":
    main()
