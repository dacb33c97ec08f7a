"""What a workbook keeps of its learner: a progress file that is never lost, and where the lessons' checks stand.

    note(lambda data: data["guesses"].update(...))     # under a lock, whole or not at all

Exercises, predictions, quizzes and the learner's own rows of the scoreboard all lie in one file, `.progress.json`.
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable
from pathlib import Path

from ..files import home, sweep, write_atomically
from ..messages import told

PROGRESS_FILE = ".progress.json"
PROGRESS_VERSION = 1
MANIFEST_FILE = ".manifest.json"  # stands in a workbook folder, see `copies`


def check_folders() -> list[Path]:
    """Folders with checks, nearest first: beside the notebook, then the workbook's and the source's."""
    here = Path.cwd()
    places = [here / "checks", here / "notebooks" / "checks", home() / "notebooks" / "checks"]
    if os.environ.get("TRT_LESSONS_CHECKS"):
        places.insert(0, Path(os.environ["TRT_LESSONS_CHECKS"]))
    return list(dict.fromkeys(p for p in places if p.is_dir()))


def progress_file() -> Path | None:
    """The learner's progress file; None outside a workbook (the source notebooks keep no progress)."""
    if os.environ.get("TRT_LESSONS_PROGRESS_FILE"):
        return Path(os.environ["TRT_LESSONS_PROGRESS_FILE"])
    here = Path.cwd()
    return here / PROGRESS_FILE if (here / MANIFEST_FILE).exists() else None


def read_progress(file: Path) -> dict:
    """What is done: {"done": {id: {"points", "when"}}, "tries": {id: count}}. A damaged file is set aside."""
    empty = {"version": PROGRESS_VERSION, "done": {}, "tries": {}}
    try:
        data = json.loads(file.read_text("utf-8"))
        if not (isinstance(data["done"], dict) and isinstance(data["tries"], dict)):
            raise ValueError("not a progress file")
        return data
    except FileNotFoundError:
        return empty
    except (ValueError, KeyError, TypeError):
        aside = file.with_name(file.name + ".damaged")
        file.replace(aside)
        print(told(f"The progress file was damaged; it is kept as {aside.name}, and counting starts anew."))
        return empty


def now() -> str:
    """This moment, as it stands in the progress file."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")


def kept(kind: str) -> dict:
    """What the progress file holds of one kind: "guesses", "quizzes", "scoreboard"; empty where it keeps none."""
    file = progress_file()
    try:
        found = read_progress(file).get(kind) if file else None
    except OSError as error:
        print(told(f"(progress could not be read: {error})"))
        return {}
    return found if isinstance(found, dict) else {}


def keep(kind: str, name: str, value: object) -> None:
    """Put one value into the progress file, data[kind][name]."""

    def put(data: dict) -> None:
        if not isinstance(data.get(kind), dict):
            data[kind] = {}
        data[kind][name] = value

    note(put)


def note(update: Callable[[dict], None]) -> None:
    """Change the progress: `update` gets its data. Nothing in the source notebooks. A full disk stops nobody."""
    file = progress_file()
    if file is None:
        return
    from filelock import FileLock, Timeout

    try:
        with FileLock(file.with_name(file.name + ".lock"), timeout=5):
            sweep(file)
            data = read_progress(file)
            update(data)
            write_atomically(file, json.dumps(data, indent=1, sort_keys=True).encode())
    except (OSError, Timeout) as error:
        print(told(f"(progress could not be noted: {error})"))


def share(file: Path, name: str) -> None:
    """Agree that a teacher sees this progress, under that name; an empty name takes it back."""
    from filelock import FileLock

    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_name(file.name + ".lock"), timeout=5):
        data = read_progress(file)
        data["share"] = name
        write_atomically(file, json.dumps(data, indent=1, sort_keys=True).encode())
