#!/usr/bin/env python3
"""Makes the site: all lessons with their stored outputs, glossary, cheat sheet, API, gallery, classroom.

    make site                              into site/; open site/index.html
    make site REPOSITORY=owner/name        with buttons for Colab and Binder
    python tools/make_site.py --output X   into another folder

Nothing is executed and nothing is fetched. The new site takes the old one's place only when it is whole.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from filelock import FileLock

sys.path.insert(0, str(Path(__file__).resolve().parent))
import site_api
import site_lessons

from trt_lessons.errors import ExerciseError
from trt_lessons.workbook.execute import notebooks

ROOT = Path(__file__).resolve().parent.parent
PAGES = ["lessons", "docs/glossary", "docs/cheatsheet", "docs/gallery", "docs/classroom/README", "api/index"]


def stop(what: str, why: str, cure: str) -> None:
    """End with what happened, why, and what to do."""
    sys.exit(f"site: {what}\n  why:  {why}\n  cure: {cure}")


def toctree(pages: list[str], *options: str) -> str:
    """A Sphinx toctree of these pages, as Markdown."""
    return "\n".join(["```{toctree}", *options, "", *pages, "```", ""])


def lay_out(source: Path, repository: str) -> None:
    """Write every page of the site, as Sphinx reads them, into `source`."""
    shutil.copytree(ROOT / "docs", source / "docs", ignore=shutil.ignore_patterns("*.csv", "conf.py", "*.py"))
    shutil.copy(ROOT / "docs" / "conf.py", source)
    for script in (ROOT / "docs").rglob("*.py"):  # pages link to them
        if script.name != "conf.py":
            shutil.copy(script, source / script.relative_to(ROOT))
    terms = site_lessons.read_glossary(ROOT / "docs" / "glossary.csv")
    (source / "docs" / "glossary.md").write_text(site_lessons.glossary_page(terms), "utf-8")
    lessons = notebooks(ROOT / "notebooks")
    for path in lessons:
        target = source / "notebooks" / path.name
        target.parent.mkdir(exist_ok=True)
        try:
            page = site_lessons.page(
                json.loads(path.read_text("utf-8")), terms, path.name, repository, path.parent / "checks"
            )
        except (ValueError, KeyError, TypeError, ExerciseError) as error:
            stop(f"lesson {path.stem} cannot be shown.", str(error), "Mend it: trt-lessons run it --in-place.")
        target.write_text(json.dumps(page, ensure_ascii=False), "utf-8")
    names = [f"notebooks/{path.stem}" for path in lessons]
    (source / "lessons.md").write_text("# Lessons\n\n" + toctree(names, ":maxdepth: 1"), "utf-8")
    site_api.write_pages(source / "api")
    pages = [*PAGES, "docs/elsewhere"]
    others = sorted(
        p for p in (source / "docs").rglob("*.md") if p.relative_to(source).with_suffix("").as_posix() not in pages
    )
    pages += [p.relative_to(source).with_suffix("").as_posix() for p in others]
    (source / "index.md").write_text(INDEX + "\n" + toctree(pages, ":hidden:"), "utf-8")


INDEX = """# TensorRT by doing

A workbook that teaches NVIDIA TensorRT: build engines, run them, measure them honestly, and see what the builder did.
Here you can read all of it, with the outputs of a run on a real GPU. To try it, `make lab` in a clone: it runs on a
laptop as well.

- {doc}`lessons`: from the first inference to your own model. Where a lesson says *Predict*, the answer is
  folded: guess first, then open it.
- {doc}`docs/glossary`: every term, in English and Chinese.
- {doc}`docs/cheatsheet`: one page: then and now, trtexec beside `tl`, from symptom to number.
- {doc}`docs/cpp`: lesson 02's six steps as one C++ program; the document's calls in TensorRT 8.6 and 11.
- {doc}`api/index`: the helper package, with shapes and units.
- {doc}`docs/gallery`: every kind of figure, and the code that draws it.
- {doc}`docs/classroom/README`: for teachers.
- {doc}`docs/elsewhere`: Colab and Binder.
"""


def make(output: Path, repository: str = "") -> None:
    """Build the site into `output`; two at once wait for each other. Ends the program with a cause and a cure."""
    output = output.absolute()
    ours = not output.exists() or not any(output.iterdir()) or (output / "objects.inv").exists()
    if not ours:
        stop(f"{output} is not a site.", "it holds other files", "Name another folder with --output.")
    output.parent.mkdir(parents=True, exist_ok=True)
    with (
        FileLock(output.parent / f".{output.name}.lock"),
        tempfile.TemporaryDirectory(dir=output.parent, prefix=".site-") as folder,
    ):
        source, built = Path(folder) / "source", Path(folder) / "html"
        lay_out(source, repository)
        options = ["-b", "html", "-q", "-j", str(min(2, os.cpu_count() or 1)), "-W", "--keep-going"]
        command = [sys.executable, "-m", "sphinx", *options, source, built]
        if subprocess.run(command, cwd=source).returncode:
            stop("Sphinx was not content.", "the lines above name page and line", "Mend them; the old site stays.")
        shutil.rmtree(built / ".doctrees", ignore_errors=True)
        if output.exists():
            output.rename(Path(folder) / "old")
        built.rename(output)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=ROOT / "site")
    parser.add_argument(
        "--repository", default="", metavar="OWNER/NAME", help="on GitHub: buttons for Colab and Binder"
    )
    args = parser.parse_args()
    make(args.output, args.repository)
    print(f"site: {args.output / 'index.html'}")


if __name__ == "__main__":
    main()
