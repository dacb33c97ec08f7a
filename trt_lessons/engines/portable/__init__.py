"""Plans in other versions' runtimes, and what a version-compatible build takes: each in a process of its own.

`TRT_LESSONS_RUNTIMES` names a folder with a folder for each runtime, into which its wheels were unpacked: `lean86`
(tensorrt-lean of 8.6.0), `lean1016`, `lean114`. Without them nothing is tried. Introduced in lesson 04_4.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ... import backend

__all__ = ["found", "table", "try_plan", "try_plans", "version_compatible", "words"]

NO_RUNTIMES = "no runtimes of other versions here: TRT_LESSONS_RUNTIMES names the folder that holds them"


def found() -> dict[str, Path]:
    """Name ("lean1016") -> folder of each runtime that is here; empty where there is none."""
    told = os.environ.get("TRT_LESSONS_RUNTIMES", "")
    folders = sorted(Path(told).expanduser().iterdir()) if told and Path(told).expanduser().is_dir() else []
    return {p.name: p for p in folders if p.is_dir() and p.name.startswith("lean")}


def library(folder: Path) -> Path | None:
    """The lean runtime's library inside an unpacked runtime of TensorRT 8, or None."""
    return next(iter(sorted(folder.rglob("libnvinfer_lean.so.8*"))), None)


def try_plan(
    plan: str | os.PathLike, inputs: Mapping[str, np.ndarray], runtime: Path, through: Path | None = None
) -> dict[str, Any]:
    """Load a plan file in the runtime in this folder, and run it once, in a process of its own.

    through: a lean runtime's library, given to `load_runtime` first. Returns "answer" ("runs", "refused" or how the
    process ended), "said" (the log's last error line) and "outputs" ({name: array}, empty unless it runs).
    """
    with tempfile.TemporaryDirectory() as place:
        exchange = Path(place)
        np.savez(exchange / "inputs.npz", **inputs)
        request = {"plan": str(plan), "through": str(through or ""), "folder": place}
        program = f"-m {__name__}.other_runtime"
        done = backend.elsewhere(program, json.dumps(request), front=runtime)
        told = next((json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")), None)
        if told is None:
            last = (done.stderr.strip().splitlines() or [""])[-1]
            return {"answer": f"the process ended with {done.returncode}", "said": last[:200], "outputs": {}}
        made = exchange / "outputs.npz"
        return {**told, "outputs": dict(np.load(made)) if made.exists() else {}}


def try_plans(
    plans: Mapping[str, str | os.PathLike], inputs: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]
) -> list[dict[str, Any]]:
    """Every plan in every runtime, and in those of 10 and later also through 8's lean library; a dict each.

    "plan", "runtime", "through" (bool), "answer", "same" (outputs bit for bit as expected), "said". Empty without
    runtimes.
    """
    rows = []
    runtimes = found()
    eight = library(runtimes["lean86"]) if "lean86" in runtimes else None
    for name, plan in plans.items():
        for runtime, folder in runtimes.items():
            for through in (None, eight) if eight is not None and runtime != "lean86" else (None,):
                told = try_plan(plan, inputs, folder, through)
                outputs = told.pop("outputs")
                same = bool(outputs) and all(np.array_equal(outputs[k], expected[k]) for k in expected)
                rows.append({"plan": name, "runtime": runtime, "through": through is not None, **told, "same": same})
    return rows


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """`try_plans` as text, a line each; one line that says why where there are no rows."""
    lines = []
    for row in rows:
        way = " through 8's lean runtime" if row["through"] else ""
        same = ", the same answers bit for bit" if row["same"] else ""
        lines.append(f"{row['plan']} in {row['runtime']}{way}: {row['answer']}{same}")
        lines += [f"   | {row['said'].strip()}"] if row["answer"] == "refused" and row["said"] else []
    return "\n".join(lines) or NO_RUNTIMES


def version_compatible() -> dict[str, Any]:
    """A ReLU built plain, VERSION_COMPATIBLE, and that with EXCLUDE_LEAN_RUNTIME, each loaded with and without
    permission for host code: {"lines": [...], "code": exit status}, from a process of its own.

    8's lean library, where `found()` has it, lies on that process's library path.
    """
    with _library_path():
        done = backend.elsewhere(f"-m {__name__}.version_compatible")
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {"lines": lines or [{"log": [done.stderr[-500:]]}], "code": done.returncode}


def words(told: Mapping[str, Any]) -> str:
    """What `version_compatible` found as text: each way's bytes, whether its plan loads, and the log's last lines."""
    lines = []
    for line in told["lines"]:
        if "flags" in line:
            lines.append(f"{' '.join(line['flags']) or 'plain'}: {line['bytes']:,} bytes")
        elif "allowed" in line:
            lines.append(f"   host code allowed: {line['allowed']}, loaded: {line['loaded']}")
        lines += [f"   | {text.strip()}" for text in line.get("log", [])]
    return "\n".join(lines)


@contextmanager
def _library_path() -> Iterator[None]:
    """8's lean library under the two names that TensorRT 8.6.0 asks for, first on the path for new processes."""
    folder = found().get("lean86")
    lean = library(folder) if folder else None
    if lean is None:
        yield
        return
    before = os.environ.get("LD_LIBRARY_PATH")
    with tempfile.TemporaryDirectory() as place:
        for name in ("libnvinfer_lean.so.8", "libnvinfer_lean.so.8.6.0"):
            (Path(place) / name).symlink_to(lean)
        os.environ["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, [place, before]))
        try:
            yield
        finally:
            if before is None:
                del os.environ["LD_LIBRARY_PATH"]
            else:
                os.environ["LD_LIBRARY_PATH"] = before
