"""One case in a process of its own: convert, build, measure, answer with one line of JSON.

`python -m trt_lessons.scale.worker FOLDER` reads case.json, model.onnx and data.npz from the folder and writes
answer.json there: {"status": "ok", "value": ..., "provenance": ...}, or "refused" or "failed" with the words.
Without a GPU the value is counted work in place of times.
"""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import Any

from .. import backend, precision
from ..engines.build import build
from ..errors import LessonError
from ..measuring.measure import measure
from ..measuring.roofline import work
from ..records import provenance
from ..records.codec import encode
from ..sessions.session import Session

ITEM_BYTES = {"fp32": 4, "tf32": 4, "fp16": 2, "bf16": 2, "int8": 1, "fp8": 1}


def main(folder: Path) -> None:
    """Run the case of a folder; the answer, or what went wrong, is in answer.json afterwards."""
    case = json.loads((folder / "case.json").read_text())
    try:
        answer = run(case, folder)
    except LessonError as error:
        answer = {"status": "refused", "error": str(error)}
    except MemoryError as error:
        answer = {"status": "memory", "error": f"out of memory: {error}"}
    except OSError as error:
        answer = {"status": "disk" if error.errno == 28 else "failed", "error": str(error)}
    except Exception:
        answer = {"status": "failed", "error": traceback.format_exc(limit=-3)}
    (folder / "answer.json").write_text(json.dumps(answer))


def run(case: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Build and measure one case; "ok" with the encoded Measurement, or with counted work on the interpreter."""
    asked, model = converted(case, folder)
    shapes = shapes_of(model, case)
    ranges = {name: (shape,) * 3 for name, shape in shapes.items()}
    dynamic = {k: v for k, v in ranges.items() if k in open_inputs(model)}
    report = build(model, profiles=dynamic or None, precision=asked, level=case["level"], progress=False, cache=False)
    built = {"build_s": round(report.seconds, 3), "plan_bytes": len(report.plan)}
    with Session(report) as session:
        if backend.is_gpu():
            value: Any = measure(session, shapes=shapes, duration_s=case["seconds"])
            where = value.provenance.about(options={**value.provenance.options, **built})
        else:
            operations, traffic = work(model, shapes, item_bytes=ITEM_BYTES[case["precision"]])
            value = {"operations": operations, "bytes": traffic, "plan_bytes": len(report.plan), "source": "counted"}
            where = provenance.here(model_sha256=report.onnx_sha256, plan_sha256=report.plan_sha256, options=built)
    return {"status": "ok", "value": encode(value), "provenance": where.to_dict(), **built}


def converted(case: dict[str, Any], folder: Path) -> tuple[str, Any]:
    """(precision to ask `build` for, the graph that holds it)."""
    from ..advice import search, subject

    data = folder / "data.npz"
    path = folder / "model.onnx"
    if case["precision"] in ("int8", "fp8"):
        shipped = not data.exists() and is_digits(path)
        mine = subject.read(None if shipped else path, data if data.exists() else None)
        return search.variants(mine)[case["precision"].upper()]()
    change = {"fp16": precision.to_fp16, "bf16": precision.to_bf16}.get(case["precision"])
    model = precision.read(path)
    return case["precision"], change(model) if change else model


def is_digits(path: Path) -> bool:
    """Whether a file is the workbook's digits, whose real inputs come with it."""
    from ..models import digits

    return path.read_bytes() == digits.onnx_path().read_bytes()


def open_inputs(model: Any) -> set[str]:
    """Names of the inputs with a dimension that is not fixed."""
    held = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in held]
    return {v.name for v in inputs if any(d.dim_value < 1 for d in v.type.tensor_type.shape.dim)}


def shapes_of(model: Any, case: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """{input: shape} of the case; LessonError where a dimension beyond the batch is open and no shape is given."""
    held = {tensor.name for tensor in model.graph.initializer}
    given, found = case["shapes"] or {}, {}
    for value in (v for v in model.graph.input if v.name not in held):
        dims = [d.dim_value for d in value.type.tensor_type.shape.dim]
        if dims and dims[0] < 1:
            dims[0] = case["batch"]
        found[value.name] = tuple(given.get(value.name, dims))
        if any(n < 1 for n in found[value.name]):
            raise LessonError(
                f"{value.name} has open dimensions: {dims}", cure=f'say "shapes": {{"{value.name}": ...}}'
            )
    if unknown := set(given) - set(found):
        raise LessonError(f"no input {', '.join(sorted(unknown))}", cure=f"the inputs are {', '.join(found)}")
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
