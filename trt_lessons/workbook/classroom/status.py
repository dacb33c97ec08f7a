"""Who is where in a class, and who is stuck: from the progress files of learners who agreed to it.

    trt-lessons progress --share "Ada"            a learner agrees, under a name of her choice
    trt-lessons progress --no-share               and takes it back
    trt-lessons classroom status FOLDER           what the teacher sees; --serve: as a page on loopback

FOLDER holds the learners' progress files, each in a folder of its own. Nothing in it is written.
"""

from __future__ import annotations

import html
import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ...errors import ExerciseError
from .. import quiz
from ..exercises import all_exercises
from ..keeping import PROGRESS_FILE, PROGRESS_VERSION

NAME = 60  # characters of a name that are shown, on one line
STUCK = 3  # wrong tries of an exercise after which a learner counts as stuck


@dataclass(frozen=True)
class Learner:
    """One who agreed: the chosen name, exercises done, tries of each, and the last try that was not right."""

    name: str
    done: tuple[str, ...]
    tries: dict[str, int]
    last: str
    hint: str
    when: str
    questions: str = ""  # answers to the lessons' questions: "02 4 of 5, 03 5 of 5"

    @property
    def stuck(self) -> bool:
        """Whether the exercise of the last try is still open after three tries or more."""
        return self.last not in self.done and self.tries.get(self.last, 0) >= STUCK


@dataclass(frozen=True)
class Class:
    """All learners that may be shown, and how many files may not or cannot."""

    learners: tuple[Learner, ...]
    not_shared: int = 0
    damaged: int = 0
    other_version: int = 0

    def remarks(self) -> list[str]:
        """What is not shown, in numbers alone."""
        ask = "the learner starts `trt-lessons progress`, which sets it aside"
        said = [
            (self.not_shared, "did not agree to be shown, and nothing of it is"),
            (self.damaged, f"is damaged and is not shown; {ask}"),
            (self.other_version, "is of another version of the workbook and is not shown; update that copy"),
        ]
        return [f"{count} progress file{'s' * (count > 1)}: {text}." for count, text in said if count]


def read(folder: Path) -> Class:
    """The class in `folder`, read and not changed. Raises ExerciseError where there is no such folder."""
    if not folder.is_dir():
        raise ExerciseError(
            f"There is no folder {folder}.",
            why="the status is read from the learners' progress files",
            cure="Name the folder in which each learner's folder lies: trt-lessons classroom status FOLDER",
        )
    found = [_learner(path) for path in sorted(folder.rglob(PROGRESS_FILE))]
    learners = [x for x in found if isinstance(x, Learner)]
    others = Counter(x for x in found if isinstance(x, str))
    return Class(tuple(_named_apart(learners)), others["not shared"], others["damaged"], others["version"])


def _learner(path: Path) -> Learner | str:
    """A learner who agreed; else why not: "not shared", "damaged" or "version"."""
    try:
        data = json.loads(path.read_text("utf-8"))
        if data["version"] != PROGRESS_VERSION:
            return "version"
        name = data.get("share")
        if not name:
            return "not shared"
        last = data.get("last", {})
        learner = Learner(
            name=" ".join(str(name).split())[:NAME],
            done=tuple(sorted(data["done"])),
            tries={str(exercise): int(count) for exercise, count in data["tries"].items()},
            last=str(last.get("exercise", "")),
            hint=str(last.get("hint", "")),
            when=str(last.get("when", "")),
            questions=", ".join(f"{lesson} {found}" for lesson, found in sorted(quiz.results(data).items())),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "damaged"
    return learner


def _named_apart(learners: list[Learner]) -> list[Learner]:
    """Learners of one name get a number behind it."""
    count, seen, apart = Counter(x.name for x in learners), Counter(), []
    for learner in learners:
        seen[learner.name] += 1
        number = f" ({seen[learner.name]} of {count[learner.name]})" if count[learner.name] > 1 else ""
        apart.append(Learner(**{**vars(learner), "name": learner.name + number}))
    return apart


def lines(seen: Class) -> list[str]:
    """The class as text: one line per learner, those who are stuck first."""
    told = []
    for learner in sorted(seen.learners, key=lambda x: not x.stuck):
        told.append(f"{learner.name}: {len(learner.done)} done; last {learner.last or 'none'} {learner.when}".rstrip())
        if learner.questions:
            told.append(f"  questions: {learner.questions}")
        if learner.stuck:
            told.append(f"  STUCK at {learner.last} after {learner.tries[learner.last]} tries")
            told.append(f"  hint given: {learner.hint or 'none'}")
    return [*(told or ["No learner to show."]), *seen.remarks()]


STYLE = """body{font:16px sans-serif;margin:1.5rem;color:#222;background:#fff}table{border-collapse:collapse}
td,th{border:1px solid #bbb;padding:.3rem .5rem;text-align:left}.stuck{background:#fde9c8}.wide{overflow-x:auto}
td.hint{min-width:16rem;max-width:24rem;overflow-wrap:anywhere}td.last{white-space:nowrap}
tr{background:#fff}td.name{position:sticky;left:0;background:inherit}"""


def page(seen: Class, exercises: list[str]) -> str:
    """The class as one HTML page: exercises by learner, last try, hint given. Needs nothing else."""
    head = "".join(f"<th>{html.escape(e)}</th>" for e in exercises)
    rows = "".join(_row(x, exercises) for x in sorted(seen.learners, key=lambda x: not x.stuck))
    remarks = "".join(f"<p>{html.escape(text)}</p>" for text in seen.remarks())
    stuck = sum(x.stuck for x in seen.learners)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta http-equiv="refresh" content="20">'
        '<meta name="viewport" content="width=device-width"><title>The class</title>'
        f"<style>{STYLE}</style><h1>The class</h1><p>{len(seen.learners)} shown, {stuck} stuck. "
        f"A cell: done, or the number of tries. Stuck: {STUCK} tries and not done.</p>{remarks}"
        f'<div class="wide"><table><tr><th>learner</th><th>last try</th><th>hint given</th><th>questions</th>'
        f"{head}</tr>{rows}"
        "</table></div></html>"
    )


def _row(learner: Learner, exercises: list[str]) -> str:
    cells = "".join(f"<td>{'done' if e in learner.done else learner.tries.get(e, '')}</td>" for e in exercises)
    last = f"{learner.last} {'STUCK' if learner.stuck else ''} {_here(learner.when)}"
    told = {"name": learner.name, "last": last, "hint": learner.hint, "questions": learner.questions}
    words = "".join(f'<td class="{kind}">{html.escape(text)}</td>' for kind, text in told.items())
    return f'<tr class="{"stuck" if learner.stuck else ""}">{words}{cells}</tr>'


def _here(when: str) -> str:
    """A moment as this machine's clock shows it; a text that is none stays as it is."""
    try:
        return f"{datetime.fromisoformat(when).astimezone():%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):
        return when


def server(make_page: Callable[[], str], port: int = 0) -> ThreadingHTTPServer:
    """A server of that page on 127.0.0.1, made anew at each visit; other hosts' names are refused."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host = self.headers.get("Host", "").rpartition(":")[0]
            allowed = host in ("127.0.0.1", "localhost") and self.path == "/"
            body = make_page().encode() if allowed else b"Only http://127.0.0.1 shows this page.\n"
            self.send_response(200 if allowed else 403)
            self.send_header("Content-Type", f"text/{'html' if allowed else 'plain'}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """No lines: names stay on the page."""

    return ThreadingHTTPServer(("127.0.0.1", port), Page)


def serve(folder: Path, exercises: list[str], port: int) -> None:
    """Serve the class's page until Ctrl+C."""
    read(folder)
    with server(lambda: page(read(folder), exercises), port) as running:
        print(f"http://127.0.0.1:{running.server_port}/ shows the class, on this machine only. Ctrl+C ends it.")
        sys.stdout.flush()
        running.serve_forever()


def command(folders: list[Path], checks: Path, port: int | None) -> int:
    """`trt-lessons classroom status FOLDER`: text, or with a port (0: any) a page."""
    if len(folders) != 1:
        raise ExerciseError("Which folder holds the class?", cure="trt-lessons classroom status FOLDER")
    if port is None:
        print("\n".join(lines(read(folders[0]))))
    else:
        serve(folders[0], [e.id for e in all_exercises(checks)], port)
    return 0
