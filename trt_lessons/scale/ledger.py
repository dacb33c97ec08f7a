"""What a sweep has done: one line per attempt in sweep.jsonl, and the recordings that come out of it.

The journal is the truth: a line is on the disk before the next case is waited for, a line that a dying driver left
half is set aside, nothing is rewritten. From it `publish` writes `<gpu>_trt<version>/sweep.json`, the workbook's own
format, which `compare`, `plots` and the scoreboard read.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import LessonError, RecordingError
from ..records import recordings
from ..records.provenance import Provenance, folder_name

FINAL = ("ok", "refused")  # tried again, these give the same; the rest were accidents


class Ledger:
    """The journal of one folder; held by one sweep at a time. Use it in a `with` block."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.path = self.folder / "sweep.jsonl"
        self.rows: list[dict[str, Any]] = []

    def __enter__(self) -> Ledger:
        from filelock import FileLock, Timeout

        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(str(self.folder / ".sweep.lock"), timeout=0)
        note = self.folder / ".sweep.holder"
        try:
            self._lock.acquire()
        except Timeout:
            who = note.read_text() if note.exists() else "another process"
            raise LessonError(
                f"another sweep writes into {self.folder}: {who}",
                why="two at once would measure cases twice",
                cure="let it end, or name another folder; what a dead sweep held is free at once",
            ) from None
        note.write_text(f"process {os.getpid()} on {socket.gethostname()}")
        self.rows = list(self._read())
        self._file = self.path.open("ab")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._lock.release()

    def _read(self) -> Iterator[dict[str, Any]]:
        """Rows that were written whole; a last line cut short is taken off the file."""
        if not self.path.exists():
            return
        whole = 0
        lines = self.path.read_bytes().splitlines(keepends=True)
        for number, line in enumerate(lines):
            try:
                row = json.loads(line)
                complete = line.endswith(b"\n") and "key" in row
            except ValueError:
                complete = False
            if not complete and number < len(lines) - 1:
                cure = "Restore the file, or sweep into another folder; nothing was changed."
                raise RecordingError(f"line {number + 1} of {self.path} is damaged", cure=cure)
            if complete:
                whole += len(line)
                yield row
        with self.path.open("r+b") as file:
            file.truncate(whole)

    def add(self, row: dict[str, Any]) -> None:
        """Write one row to the disk; LessonError when the disk takes it not, and all earlier rows stay."""
        at = self.path.stat().st_size
        try:
            self._file.write(json.dumps(row, allow_nan=False).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            with self.path.open("r+b") as file:
                file.truncate(at)
            cure = "make room and start the same command again: it goes on from here"
            raise LessonError(f"{self.path} takes no more rows", why=str(error), cure=cure) from error
        self.rows.append(row)

    def last(self) -> dict[str, dict[str, Any]]:
        """Key -> its newest row."""
        return {row["key"]: row for row in self.rows}

    def publish(self) -> list[Path]:
        """Write the recordings of all cases that are measured; returns their files."""
        files = []
        for row in self.last().values():
            if row["status"] == "ok":
                where = Provenance.from_dict(row["provenance"])
                path = self.folder / folder_name(where.gpu, where.tensorrt) / "sweep.json"
                files.append((path, entry_name(row, self.last()), row["value"], where))
        for path in sorted({file[0] for file in files}):
            _write_all(path, [file[1:] for file in files if file[0] == path])
        return sorted({file[0] for file in files})


def entry_name(row: dict[str, Any], rows: dict[str, dict[str, Any]]) -> str:
    """The case's name, with a piece of its key where two cases share the name."""
    shared = sum(other["name"] == row["name"] for other in rows.values()) > 1
    return f"{row['name']} {row['key'][:8]}" if shared else row["name"]


def _write_all(path: Path, entries: list[tuple[str, Any, Provenance]]) -> None:
    """Put entries into one recordings file that does not hold them yet."""
    there = recordings.load(path).entries if path.exists() else {}
    new = [one for one in entries if one[0] not in there or there[one[0]].get("utc") != one[2].utc]
    if new:
        recordings.write_all(path, "sweep", new)
