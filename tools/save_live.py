"""Puts what a live run has so far where it comes back: `python tools/save_live.py OUT SAVE`.

Logs, notebooks, recordings, the sweep's rows and profiles go into SAVE/live.tar.gz.00, .01, ... of at most 15 MB each;
`cat live.tar.gz.* | tar -xz` unpacks them. Nothing but Python is needed: a run's results were lost once, because a
machine had no zstd. Pieces appear whole (written beside, then renamed), so that a killed run leaves the last good ones.
"""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path

PIECE = 15_000_000  # bytes
KEPT = ("*.log", "*.jsonl", "recordings", "warm", "sweep", "cases/cases.json", "*.qdstrm", "*.nsys-rep")


def main(out: Path, save: Path) -> int:
    """Write the pieces; how many there are."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=6) as archive:
        for pattern in KEPT:
            for path in sorted(out.glob(pattern)):
                archive.add(path, path.relative_to(out).as_posix())
        for path in sorted(Path("notebooks").glob("*.ipynb")):
            archive.add(path, f"nb/{path.name}")
    data = buffer.getvalue()
    pieces = [data[start : start + PIECE] for start in range(0, len(data), PIECE)]
    save.mkdir(parents=True, exist_ok=True)
    for i, piece in enumerate(pieces):
        (save / ".part").write_bytes(piece)
        (save / ".part").rename(save / f"live.tar.gz.{i:02d}")
    for old in sorted(save.glob("live.tar.gz.*"))[len(pieces) :]:
        old.unlink()
    return len(pieces)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
