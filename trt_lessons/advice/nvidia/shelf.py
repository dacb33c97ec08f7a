"""Answers kept: in the user's cache by what was asked, and in `data/nvidia/` by the lesson that shows them."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

from ...files import cache_root, home, write_atomically
from ...messages import later
from .answer import Answer


def take_cached(key: str) -> Answer | None:
    """An answer under a key; a damaged file is none."""
    try:
        answer = Answer.from_dict(json.loads((cache_root() / "nvidia" / f"{key}.json").read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    answer.source = later("cache")
    return answer


def keep(key: str, answer: Answer) -> None:
    """Keep an answer in the cache; a cache that cannot be written is only a warning."""
    folder = cache_root() / "nvidia"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / f"{key}.json", json.dumps(answer.to_dict()).encode())
    except OSError as error:
        warnings.warn(f"the answer is not kept for the next time: {error.strerror or error}", stacklevel=3)


def _shelf(recorded: str) -> tuple[Path, str]:
    """(file, name in it) of a recorded answer "08/digits FP32"."""
    lesson, _, name = recorded.partition("/")
    return home() / "data" / "nvidia" / f"{re.sub(r'[^0-9a-z_]', '', lesson)}.json", name


def _shelved(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def record(recorded: str, answer: Answer) -> None:
    """Keep an answer under "lesson/name"."""
    path, name = _shelf(recorded)
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {**_shelved(path), name: {**answer.to_dict(), "source": later("recorded")}}
    write_atomically(path, (json.dumps(dict(sorted(kept.items()))) + "\n").encode())


def recall(recorded: str) -> Answer | None:
    """The answer recorded under "lesson/name", None where there is none."""
    path, name = _shelf(recorded)
    told = _shelved(path).get(name)
    return None if told is None else Answer.from_dict(told)
