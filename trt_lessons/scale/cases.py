"""The table of a sweep: one case is one model in one precision, at one batch, on one kind of card.

cases = table(["digits.onnx"], precision=["fp32", "fp16"], batch=[1, 64], card=["H100", "L4"])
cases = read("cases.json")       # a list of objects with the fields of `Case`
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import LessonError
from ..files import sha256

PRECISIONS = ("fp32", "tf32", "fp16", "bf16", "int8", "fp8")


@dataclass(frozen=True)
class Case:
    """One row of the table.

    model: path of an ONNX file. precision: one of PRECISIONS, made from the FP32 model. batch: rows of the first
    axis, where it is open. shapes: {input: shape} in place of batch. level: builder_optimization_level, None:
    TensorRT's own. card: Ray's name of the kind of card, such as "H100"; None: any. data: .npz of real inputs, which
    INT8 and FP8 need (the workbook's digits bring theirs). seconds: how long a GPU is measured, None: 3.
    """

    model: str
    precision: str = "fp32"
    batch: int = 1
    shapes: Mapping[str, Sequence[int]] | None = None
    level: int | None = None
    card: str | None = None
    data: str | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise LessonError(f"{self.precision!r} is not a precision", cure=f"one of {', '.join(PRECISIONS)}")
        if type(self.batch) is not int or self.batch < 1:
            raise LessonError(f"batch {self.batch!r} of {self.model}", cure="a whole number, 1 or more")

    @cached_property
    def hashes(self) -> dict[str, str]:
        """sha256 of each file that the case names; LessonError for one that cannot be read."""
        return {path: sha256(content(path)) for path in (self.model, self.data) if path}

    @property
    def name(self) -> str:
        """For people and recordings: "digits fp16 batch 64 H100"; different cases may share it, never a key."""
        shape = f"batch {self.batch}"
        if self.shapes:
            shape = " ".join("x".join(map(str, dims)) for dims in self.shapes.values())
        level = "" if self.level is None else f" level {self.level}"
        return f"{Path(self.model).stem} {self.precision} {shape}{level}{f' {self.card}' if self.card else ''}"

    @property
    def key(self) -> str:
        """sha256 of all that decides the result; files count by content, so that a moved model is the same case."""
        told = {k: self.hashes.get(v, v) if k in ("model", "data") else v for k, v in self.plain().items()}
        return sha256(json.dumps(told, sort_keys=True).encode())

    def plain(self) -> dict[str, Any]:
        """The fields as JSON holds them."""
        shapes = {k: list(v) for k, v in self.shapes.items()} if self.shapes else None
        return {**asdict(self), "shapes": shapes}


def content(path: str) -> bytes:
    """The bytes of one file of a case."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise LessonError(f"{path} cannot be read", why=str(error), cure="name a file that is there") from None


def table(models: Iterable[str | Path], **columns: Sequence[Any]) -> list[Case]:
    """Every combination: table(["a.onnx"], precision=["fp32", "fp16"], batch=[1, 64]) has four cases."""
    models = [str(model) for model in models]
    return [
        Case(model, **dict(zip(columns, row, strict=True)))
        for model in models
        for row in itertools.product(*columns.values())
    ]


def read(path: str | Path) -> list[Case]:
    """Cases from a JSON file, a list of objects; paths in it are relative to it. LessonError names the bad row."""
    path = Path(path)
    try:
        rows = json.loads(content(str(path)))
    except ValueError as error:
        raise LessonError(f"{path} is not JSON", why=str(error)) from None
    known = {f.name for f in fields(Case)}
    if not isinstance(rows, list) or not rows:
        raise LessonError(f"{path} holds no cases", cure='a list such as [{"model": "digits.onnx", "batch": 8}]')
    cases = []
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or "model" not in row or set(row) - known:
            why = f"a row has model, and any of {', '.join(sorted(known - {'model'}))}"
            raise LessonError(f"row {number} of {path} is no case: {row!r:.100}", why=why)
        places = {k: str(path.parent / row[k]) for k in ("model", "data") if row.get(k)}
        cases.append(Case(**{**row, **places}))
    return cases
