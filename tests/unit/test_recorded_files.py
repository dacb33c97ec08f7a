"""The recordings that are shipped: every one is whole, and what the notebooks ask for is there."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from trt_lessons import recordings
from trt_lessons.records.measurement import Measurement

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "data" / "recordings").glob("*/*.json"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
BY_KEYWORD = {"measure", "measure_callable", "card"}
MOST_BYTES = 3_000_000


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_recording_is_whole(path):
    one = recordings.load(path)
    assert one.lesson == path.stem and one.entries
    assert path.stat().st_size < MOST_BYTES
    for name in one.entries:
        found = one.get(name)
        where = found.provenance
        assert where.gpu and where.tensorrt and where.driver and where.utc and where.packages, name
        assert one.machine == recordings.origin.folder_name(where.gpu, where.tensorrt)
        if isinstance(found.value, Measurement):
            assert found.value.count >= 10 and found.value.median() > 0, name


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_what_the_notebook_asks_for_is_recorded(path):
    asked = names(path)
    files = [f for f in FILES if f.stem == path.stem]
    there = set().union(*(recordings.load(f).entries for f in files))
    assert not asked - there, f"not recorded: {sorted(asked - there)}; record the lesson on a GPU"


def names(path: Path) -> set[str]:
    """Names of recordings that are written out in the notebook's code."""
    found = set()
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        lines = "".join(cell["source"]).splitlines()
        source = "\n".join("pass" if line.lstrip().startswith(("%", "!")) else line for line in lines)
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call):
                found |= name_of(node)
    return found


def name_of(call: ast.Call) -> set[str]:
    function = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    given = [k.value for k in call.keywords if k.arg == "name"] if function in BY_KEYWORD else []
    if function == "live_or_recorded":
        given = call.args[:1]
    return {v.value for v in given if isinstance(v, ast.Constant) and isinstance(v.value, str)}
