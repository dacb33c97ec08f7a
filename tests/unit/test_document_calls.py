"""The table of the document's calls: names exist where it says so, texts are whole."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from trt_lessons.workbook import document_calls

ROOT = Path(__file__).resolve().parents[2]
DATABASE = json.loads((ROOT / "tests" / "names" / "trt_names.json").read_text("utf-8"))
SUPPORTED = ("8.6.0", "10.0", "10.16", "11.4")
CALLS = list(document_calls.table())


def versions_with(name: str) -> set[str]:
    bits = DATABASE["names"].get(name, "")
    return {v for v, bit in zip(DATABASE["versions"], bits, strict=False) if bit == "1"}


@pytest.mark.parametrize("call", CALLS, ids=lambda c: c.cpp)
def test_todays_names_are_in_every_version(call: document_calls.Call) -> None:
    for name in call.names:
        assert set(SUPPORTED) <= versions_with(name), name


@pytest.mark.parametrize("call", CALLS, ids=lambda c: c.cpp)
def test_names_that_went_are_gone(call: document_calls.Call) -> None:
    for name in call.gone:
        assert "8.6.0" in versions_with(name), f"{name} was never there"
        assert "11.4" not in versions_with(name), f"{name} is still there"


@pytest.mark.parametrize("call", CALLS, ids=lambda c: c.cpp)
def test_the_python_call_uses_the_names(call: document_calls.Call) -> None:
    """Each name of the list that is a method stands in the call or its remark; nothing else is promised."""
    told = f"{call.python} {call.remark}"
    members = [name.rpartition(".")[2] for name in call.names]
    assert not members or any(re.search(rf"\b{member}\b", told) for member in members)


@pytest.mark.parametrize("call", CALLS, ids=lambda c: c.cpp)
def test_no_column_is_empty(call: document_calls.Call) -> None:
    assert all([call.cpp, call.step, call.valid, call.python, call.since, call.runs])


def test_every_cpp_call_of_the_document_is_there() -> None:
    told = " ".join(call.cpp for call in CALLS)
    for name in (
        "createInferBuilder createNetworkV2 buildCudaEngine createExecutionContext enqueue createParser parseFromFile "
        "createBuilderConfig setMaxWorkspaceSize buildEngineWithConfig serialize getInput setDimensions getProfile "
        "addOptimizationProfile setBindingDimensions allInputDimensionsSpecified destroy"
    ).split():
        assert name in told, name


def test_shows_as_text_and_html() -> None:
    table = document_calls.table()
    assert len(table) == len(CALLS) == repr(table).count("\n    -> ")
    html = table._repr_html_()
    assert html.count("<tr>") == len(CALLS) + 1 and "createNetworkV2" in html
