#!/usr/bin/env python3
"""Makes the site: all lessons with their stored outputs, glossary, cheat sheet, API, gallery, classroom.

The same in Chinese lies in its folder zh-CN, with a switch on each page; API, gallery and classroom are English only.

    make site                              into site/; open site/index.html
    make site REPOSITORY=owner/name        with buttons for Colab and Binder
    python tools/make_site.py --output X   into another folder

Nothing is executed and nothing is fetched. The new site takes the old one's place only when it is whole.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from filelock import FileLock

sys.path.insert(0, str(Path(__file__).resolve().parent))
import site_pages

ROOT = Path(__file__).resolve().parent.parent


def stop(what: str, why: str, cure: str) -> None:
    """End with what happened, why, and what to do."""
    sys.exit(f"site: {what}\n  why:  {why}\n  cure: {cure}")


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
        try:
            sources = site_pages.lay_out(ROOT, Path(folder), repository)
        except site_pages.PageError as error:
            stop(*error.args)
        started = [run_sphinx(source) for source in sources.values()]
        codes = [process.wait() for process in started]
        if any(codes):
            stop("Sphinx was not content.", "the lines above name page and line", "Mend them; the old site stays.")
        if output.exists():
            output.rename(Path(folder) / "old")
        join(sources).rename(output)


def run_sphinx(source: Path) -> subprocess.Popen:
    """Start Sphinx for the pages of one language; they come into html/ beside them."""
    options = ["-b", "html", "-q", "-W", "--keep-going"]
    paths = [str(Path(__file__).resolve().parent), os.environ.get("PYTHONPATH", "")]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-m", "sphinx", *options, source, source.parent / "html"]
    return subprocess.Popen(command, cwd=source, env=env)


def join(sources: dict[str, Path]) -> Path:
    """Put the pages of all languages together; the folder of the first one, which then holds the others."""
    whole = sources[""].parent / "html"
    for place, source in sources.items():
        built = source.parent / "html"
        shutil.rmtree(built / ".doctrees", ignore_errors=True)
        if place:
            built.rename(whole / place)
    return whole


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
