"""A merge keeps Jupyter's trust where there was trust, and gives none where there was none."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from nbformat.sign import NotebookNotary

from trt_lessons.workbook.copies import encode, trust


def notebook(text: str, kind: str = "text/html") -> bytes:
    output = {"output_type": "display_data", "data": {kind: "<b>1</b>"}, "metadata": {}}
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "execution_count": 1, "source": text, "outputs": [output]}
    return encode({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def trusted(content: bytes) -> bool:
    return NotebookNotary().check_signature(nbformat.reads(content.decode(), as_version=4))


@pytest.fixture(autouse=True)
def own_keys(tmp_path: Path, monkeypatch) -> None:
    """Keys of this test's own."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))


def test_a_trusted_notebook_is_trusted_after_the_merge() -> None:
    NotebookNotary().sign(nbformat.reads(notebook("1").decode(), as_version=4))
    trust.carry_over(notebook("1"), notebook("2"))
    assert trusted(notebook("2"))


def test_one_from_elsewhere_is_not() -> None:
    trust.carry_over(notebook("1"), notebook("2"))
    assert not trusted(notebook("2"))


@pytest.mark.parametrize("before", [b"no notebook, text/html", b'"text/html"', b"", notebook("1", "text/plain")])
def test_where_there_is_nothing_to_carry_nothing_is_said(before: bytes, capfd, tmp_path: Path) -> None:
    trust.carry_over(before, json.dumps({}).encode())
    assert capfd.readouterr() == ("", "")
