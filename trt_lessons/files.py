"""Where the workbook lies on disk, and writing files so that a crash loses nothing."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import re
import tempfile
import time
from pathlib import Path


def home() -> Path:
    """The folder with `notebooks/`: TRT_LESSONS_HOME, else around this package, else the current one."""
    if os.environ.get("TRT_LESSONS_HOME"):
        return Path(os.environ["TRT_LESSONS_HOME"])
    around = Path(__file__).resolve().parent.parent
    return around if (around / "notebooks").is_dir() else Path.cwd()


def lesson_number(stem: str) -> str:
    """The number at the beginning of a lesson's name: "05" of "05_dynamic_shapes", "05_2" of "05_2_profiles"; or ""."""
    found = re.match(r"\d+(?:_\d+)*(?=_|$)", stem)
    return found[0] if found else ""


def lesson_order(path: Path) -> tuple[list[int], str]:
    """A key to sort lessons by: 05 before 05_2 before 06, by their numbers, then by name."""
    return [int(part) for part in lesson_number(path.stem).split("_") if part], path.name


def cache_root() -> Path:
    """The folder of everything kept between runs: TRT_LESSONS_CACHE, or the user's cache folder of this system."""
    told = os.environ.get("TRT_LESSONS_CACHE")
    if told:
        return Path(told)
    import platformdirs

    return Path(platformdirs.user_cache_dir("trt-lessons", appauthor=False))


def probe(folder: Path) -> None:
    """Make a folder and write a file without a name into it; OSError where that cannot be done."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x")


def sweep(path: Path, age: float = 0.0) -> None:
    """Remove the temporary files that killed writers of `path` left.

    age: only those that are older, in seconds. With 0 hold the lock of `path`: nobody else writes it then.
    """
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime >= age:
                left.unlink()


def write_atomically(path: Path, content: bytes) -> None:
    """Write a whole file or nothing: a temporary file beside it, flushed to disk, then renamed over it."""
    sweep(path, age=600)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def sha256(content: bytes) -> str:
    """Hexadecimal sha256 of bytes."""
    return hashlib.sha256(content).hexdigest()
