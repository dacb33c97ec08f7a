"""What the inspector tells of an engine's layers, in one form from every version."""

from __future__ import annotations

import json
import re
from typing import Any

from .. import backend
from . import names as engine_names
from .engines import io_tensors


def engine_layers(engine: Any) -> list[dict[str, Any]]:
    """Layers of a built engine, the same form from every version.

    Each: name, type, precision ("FP32", "FP16", "INT8", ... or "" where the engine does not say),
    inputs and outputs (lists of {name, dims, dtype, format}), tactic, origins (network layers inside,
    as far as the layer's own name tells), metadata, raw (the inspector's own object).
    """
    return normalize_layers(engine_information(engine))


def engine_information(engine: Any) -> dict[str, Any]:
    """The inspector's JSON for an engine; for dynamic shapes, at the optimum of profile 0."""
    trt = backend.trt
    inspector = engine.create_engine_inspector()
    context = _context_at_optimum(engine)
    if context is not None:
        inspector.execution_context = context
    text = inspector.get_engine_information(trt.LayerInformationFormat.JSON)
    if not isinstance(text, str):
        return text or {"Layers": []}
    told = text.lstrip()[:1] in ("{", "[")  # built with ProfilingVerbosity.NONE, 8.6's engine tells nothing
    return json.loads(text, strict=False) if told else {"Layers": []}


def _context_at_optimum(engine: Any) -> Any:
    """A context with every dynamic input set, or None for a static engine (no memory is taken then)."""
    inputs = [t for t in io_tensors(engine) if t["mode"] == "input"]
    if not any(-1 in t["shape"] for t in inputs):
        return None
    context = engine.create_execution_context()
    for tensor in inputs:
        if context is not None and -1 in tensor["shape"]:
            context.set_input_shape(tensor["name"], tuple(engine.get_tensor_profile_shape(tensor["name"], 0)[1]))
    return context


def normalize_layers(information: dict[str, Any]) -> list[dict[str, Any]]:
    """Inspector JSON of 8.6, 10.x, 11.x or the interpreter to the form that `engine_layers` describes."""
    return [_layer(raw) for raw in information.get("Layers") or []]


def _layer(raw: Any) -> dict[str, Any]:
    if isinstance(raw, str):  # an engine built without DETAILED verbosity names its layers and no more
        raw = {"Name": raw}
    inputs = [_tensor(t) for t in raw.get("Inputs") or []]
    outputs = [_tensor(t) for t in raw.get("Outputs") or []]
    name, kind = str(raw.get("Name", "")), str(raw.get("LayerType", ""))
    metadata = str(raw.get("Metadata") or "")
    held = raw.get("Origins")
    layer = {
        "name": name,
        "type": kind,
        "precision": "",
        "inputs": inputs,
        "outputs": outputs,
        "tactic": str(raw.get("TacticName") or raw.get("TacticValue") or ""),
        "origins": list(held) if held is not None else engine_names.origins(name, None, metadata),
        "metadata": metadata,
        "raw": raw,
    }
    layer["precision"] = _precision(layer)
    return layer


_DTYPE_WORDS = (
    (r"bf16|bfloat16", "BF16"),
    (r"fp16|float16|\bhalf\b", "FP16"),
    (r"fp8|float8\w*|e4m3\w*", "FP8"),
    (r"fp4|float4\w*", "FP4"),
    (r"fp32|float32|\bfloat\b", "FP32"),
    (r"\buint8\b", "UINT8"),
    (r"\bint8\b", "INT8"),
    (r"\bint4\b", "INT4"),
    (r"\bint64\b", "INT64"),
    (r"\bint32\b", "INT32"),
    (r"\bbool(?:ean)?\b", "BOOL"),
)


def short_dtype(text: Any) -> str:
    """ "FP16" from "Half", "Row major linear FP16 format", "float16"; "" when no type is named."""
    words = str(text or "")
    for pattern, name in _DTYPE_WORDS:
        if re.search(pattern, words, re.I):
            return name
    return ""


def _tensor(raw: Any) -> dict[str, Any]:
    if isinstance(raw, str):
        return {"name": raw, "dims": None, "dtype": "", "format": ""}
    both = raw.get("Format/Datatype")
    dtype = raw.get("Datatype", both)
    layout = str(raw.get("Format", both) or "")
    dims = raw.get("Dimensions")
    return {
        "name": str(raw.get("Name", "")),
        "dims": tuple(dims) if isinstance(dims, (list, tuple)) else None,
        "dtype": short_dtype(dtype),
        "format": layout.strip().rstrip("."),
    }


_COMPUTE = re.compile(
    r"conv|gemm|matmul|matrix_?multiply|fullyconnected|fully_connected|einsum|attention|mha|lstm|gru|rnn", re.I
)
_OPAQUE = re.compile(r"myelin|foreignnode", re.I)
_NARROW = ("FP4", "INT4", "FP8", "INT8", "BF16", "FP16", "FP32")


def is_compute(layer: dict[str, Any]) -> bool:
    """True for the layers that multiply matrices: convolutions, GEMMs, attention."""
    if re.search(r"reformat|noop|shuffle|constant", layer["type"], re.I):
        return False
    told = layer["type"] + " " + str(layer["raw"].get("ParameterType", ""))
    if re.search(r"convert|conversion", told, re.I):
        return False
    if _COMPUTE.search(told):
        return True
    return layer["type"].lower() in ("fusion", "") and bool(re.search(r"gemm|conv|fmha|xmma", layer["tactic"], re.I))


def is_opaque(layer: dict[str, Any]) -> bool:
    """True for a layer in which TensorRT hides many (8.x: a `ForeignNode`): its inner types are not told."""
    return bool(_OPAQUE.search(layer["type"] + " " + layer["name"])) and not is_compute(layer)


def fed_by_dequantize(layers: list[dict[str, Any]]) -> bool:
    """Whether a product takes quantized numbers, where Q/DQ pairs stay layers (the interpreter)."""
    return bool(_quantized_products(layers))


def products_in(layers: list[dict[str, Any]], kind: str) -> int:
    """How many convolutions and matrix products compute in `kind` ("FP16", "INT8"); layers: of `engine_layers`.

    Where Q/DQ pairs stay layers (the interpreter), a product between them counts as INT8, or FP8, alone.
    """
    quantized = [id(x) for x in _quantized_products(layers)]
    if kind in ("INT8", "FP8") and quantized:
        return len(quantized)
    return sum(is_compute(x) and x["precision"] == kind and id(x) not in quantized for x in layers)


def _quantized_products(layers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    wide: set[str] = set()
    for x in layers:  # in order of execution; casts in between change nothing
        if x["type"] == "DequantizeLinear" or (x["type"] == "Cast" and wide & {t["name"] for t in x["inputs"]}):
            wide |= {t["name"] for t in x["outputs"]}
    products = [x for x in layers if is_compute(x)]
    integer = r"QLinear|Integer|QGemm|QAttention"
    return [x for x in products if re.search(integer, x["type"]) or wide & {t["name"] for t in x["inputs"]}]


def _precision(layer: dict[str, Any]) -> str:
    """Type in which a layer computes, as far as the engine says."""
    if short_dtype(layer["raw"].get("Precision")):  # the interpreter says it outright
        return short_dtype(layer["raw"]["Precision"])
    weights = layer["raw"].get("Weights")
    if isinstance(weights, dict) and short_dtype(weights.get("Type")):
        return short_dtype(weights["Type"])
    ins = [t["dtype"] for t in layer["inputs"] if t["dtype"]]
    outs = [t["dtype"] for t in layer["outputs"] if t["dtype"]]
    if is_compute(layer):
        if re.search(r"i8i8", layer["tactic"]):
            return "INT8"
        seen = ins or outs
    elif is_opaque(layer):
        seen = ins + outs
    else:
        return (outs or ins or [""])[0]
    return next((p for p in _NARROW if p in seen), (seen or [""])[0])
