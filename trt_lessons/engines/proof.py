"""Is the precision that was asked for in the built engine? What tells it, from the surest word to the weakest.

1. A layer that multiplies, or a region of many (8.6: `ForeignNode`), whose type the inspector names.
2. A region whose inside is not told: in which type do the plan's own bytes hold its weights?
3. The size of the plan: one that is too small for the weights in FP32 does not hold them so. The other way round it
   says nothing: kernels and other forms of a weight make small networks' plans many times as large as their weights.

Where none of them speaks, nothing is claimed and nothing is refused: a note says so. Introduced in lesson 04_1.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from .. import compat
from ..errors import PrecisionError
from .built import UNTOLD, BuildReport
from .plans import load

RUN, DISTINCT, WEIGHTS = 16, 8, 4  # numbers in a row that are looked for, how many must differ, weights that are tried
SMALLER = 0.75  # of the weights' size in FP32: a quarter may be constants that the builder folded away or shares
PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def verify(report: BuildReport, wanted: set[str], kinds: set[str], proto: Any) -> list[str]:
    """Look into the built engine; PrecisionError where a precision that was asked for is not in it. Returns notes.

    wanted: what was asked for; kinds: what the network holds; proto: the ONNX model, None for a function's network.
    """
    if not wanted:
        return []
    layers = compat.engine_layers(load(report.plan, name=report.name))
    compute = [x for x in layers if compat.is_compute(x)]
    found = Counter(x["precision"] for x in compute or filter(compat.is_opaque, layers))
    seen = ", ".join(f"{n} in {p or 'an untold type'}" for p, n in sorted(found.items())) or "none found"
    if wanted & {"fp32", "tf32"}:
        low = set(found) & {"FP16", "BF16", "INT8", "FP8"}
        if low:
            raise PrecisionError(f"{report.asked} was asked for, the engine computes in {', '.join(low)}", why=seen)
        return []
    notes = []
    for kind in sorted(wanted & kinds):  # the others are permitted for the rest (8.6), not demanded
        present, how = told_by_layers(kind.upper(), layers), seen
        if present is None:
            present, how = told_by_plan(kind, report.plan, proto), f"the plan holds weights in {kind.upper()}"
        if present is False:
            raise PrecisionError(
                f"{kind} was asked for, and no layer of the built engine that multiplies computes in it",
                why=f"convolutions and matrix products of the engine: {seen}",
                cure="build with precision=None and look at report.layers(): perhaps it casts back too early",
            )
        notes.append(f"verified in the engine: {how}" if present else _untold(kind))
    return notes


def told_by_layers(kind: str, layers: Sequence[dict[str, Any]]) -> bool | None:
    """Does a layer that multiplies, or a region of many, compute in `kind` ("FP16")? None where the engine hides it."""
    opaque = [x for x in layers if compat.is_opaque(x)]
    if any(x["precision"] == kind for x in layers if compat.is_compute(x)) or any(
        kind in (x["precision"], *(t["dtype"] for t in (*x["inputs"], *x["outputs"]))) for x in opaque
    ):
        return True
    if compat.is_interpreter():
        return kind in ("INT8", "FP8") and compat.fed_by_dequantize(list(layers))
    return None if opaque else False


def told_by_plan(kind: str, plan: bytes, proto: Any) -> bool | None:
    """In which type a plan holds the weights of a model's products: `kind` ("fp16"), FP32 (False), or not found (None).

    A weight is found by runs of 16 numbers along its first or its last axis; a layout that cuts them up hides it.
    """
    narrow = wide = 0
    for run in _runs(kind, proto):
        narrow += run.tobytes() in plan
        wide += run.astype("float32").tobytes() in plan
    if narrow:
        return True
    count = sum(math.prod(t.dims) for t in proto.graph.initializer) if proto is not None else 0
    if kind in ("fp16", "bf16") and len(plan) < SMALLER * 4 * count:
        return True
    return False if wide else None


def _runs(kind: str, proto: Any) -> Iterator[Any]:
    """Pieces of the largest weights that products read, in the type `kind`."""
    import numpy as np
    import onnx

    code = {"fp16": onnx.TensorProto.FLOAT16, "bf16": onnx.TensorProto.BFLOAT16}.get(kind)
    if code is None or proto is None:
        return
    read = {name for node in proto.graph.node if node.op_type in PRODUCTS for name in node.input[1:2]}
    weights = [t for t in proto.graph.initializer if t.name in read and t.data_type == code]
    for tensor in sorted(weights, key=lambda t: -math.prod(t.dims))[:WEIGHTS]:
        array = onnx.numpy_helper.to_array(tensor)
        for turned in (array.reshape(len(array), -1) if array.ndim > 1 else array[None], array.T):
            run = np.ascontiguousarray(turned).reshape(-1)[:RUN]
            if len(set(run.tolist())) >= DISTINCT:
                yield run


def _untold(kind: str) -> str:
    if compat.strongly_typed():
        return f"{UNTOLD}: a strongly typed network computes in {kind} where its graph says so"
    return f"{UNTOLD}: TensorRT hides its layers in regions of many, and whether they compute in {kind} is not told"
