"""The only room that knows TensorRT's versions: 8.6, 10.x, 11.x, and the interpreter, which is like 11.4.

Everything above this room writes one code path. Names that only some versions have are asked for by name,
never by number, and a precision that a version cannot do is an error, never dropped. Introduced in lesson 03.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from . import backend, engine_names
from .errors import BuildError, ModelFileError, PrecisionError

INTERPRETER_MAGIC = b"TRTL-INTERP"
TENSORRT_MAGIC = (b"ftrt", b"ptrt")
SEVERITIES = ("INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE")
PRECISIONS = ("fp16", "bf16", "int8", "fp8")
_ONCE: list[str] = []
_EXTERNAL_LIBRARIES = ("CUBLAS", "CUBLAS_LT", "CUDNN")
_REDUCES_ALL_ON_8 = {"ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd"}


# --- which version -----------------------------------------------------------------------------------------


def version() -> tuple[int, int]:
    """Major and minor of the loaded TensorRT, such as (8, 6); the interpreter answers (11, 4)."""
    numbers = re.findall(r"\d+", str(backend.trt.__version__))
    return int(numbers[0]), int(numbers[1]) if len(numbers) > 1 else 0


def is_interpreter() -> bool:
    """True when the interpreter computes instead of TensorRT."""
    return backend.name() == "interpreter"


def has(name: str) -> bool:
    """Whether this TensorRT has a name, dotted or not: has("IProgressMonitor"), has("BuilderFlag.FP16")."""
    thing: Any = backend.trt
    for part in name.split("."):
        if not hasattr(thing, part):
            return False
        thing = getattr(thing, part)
    return True


def strongly_typed() -> bool:
    """Whether networks are strongly typed by default here: from TensorRT 10 on."""
    return version()[0] >= 10


# --- the log -----------------------------------------------------------------------------------------------


def Log(print_from: str | None = "ERROR", keep_from: str = "INFO"):
    """A `trt.ILogger` that keeps what TensorRT says.

    print_from: lines this bad or worse are printed too; None prints nothing. keep_from: lines this bad or
    worse are kept ("VERBOSE" keeps all, which can be many thousands in a build).
    The object has `.records` (list of (severity name, text)), `.errors`, `.warnings`, `.since(n)`.
    """
    return _log_class(backend.trt.ILogger)(print_from, keep_from)


@lru_cache(maxsize=2)
def _log_class(base: Any) -> type:
    class Log(base):
        """Keeps TensorRT's lines as (severity name, text)."""

        def __init__(self, print_from: str | None, keep_from: str) -> None:
            super().__init__()
            self.records: list[tuple[str, str]] = []
            self._print = -1 if print_from is None else SEVERITIES.index(print_from)
            self._keep = SEVERITIES.index(keep_from)

        def log(self, severity: Any, msg: str) -> None:
            name = getattr(severity, "name", str(severity)).rpartition(".")[2]
            rank = SEVERITIES.index(name) if name in SEVERITIES else 1
            if rank <= self._keep:
                self.records.append((name, msg))
            if rank <= self._print:
                print(f"[TensorRT {name}] {msg}")

        @property
        def errors(self) -> list[str]:
            """Texts of ERROR and INTERNAL_ERROR lines."""
            return [text for name, text in self.records if name.endswith("ERROR")]

        @property
        def warnings(self) -> list[str]:
            """Texts of WARNING lines."""
            return [text for name, text in self.records if name == "WARNING"]

        def since(self, mark: int) -> list[str]:
            """Texts of the errors and warnings after the first `mark` records."""
            return [text for name, text in self.records[mark:] if name.endswith("ERROR") or name == "WARNING"]

        def __repr__(self) -> str:
            return f"Log: {len(self.errors)} errors, {len(self.warnings)} warnings, {len(self.records)} lines"

    return Log


@lru_cache(maxsize=1)
def shared_log():
    """The one quiet log that `build` and `load` use: TensorRT keeps a single logger a process."""
    return Log(print_from=None)


# --- builder, network, configuration -----------------------------------------------------------------------


def create_builder(log: Any) -> Any:
    """A `trt.Builder`, with TensorRT's own plugins registered where the version needs that said."""
    register_plugins(log)
    return backend.trt.Builder(log)


def register_plugins(log: Any) -> None:
    """Register TensorRT's own plugins once a process: InstanceNormalization from ONNX needs one on 8.6."""
    trt = backend.trt
    if not _ONCE and not is_interpreter() and hasattr(trt, "init_libnvinfer_plugins"):
        trt.init_libnvinfer_plugins(log, "")
        _ONCE.append("plugins")


def create_network(builder: Any, strongly_typed: bool = True) -> Any:
    """An empty network, explicit batch; strongly typed wherever the version has strong typing.

    strongly_typed=False asks for weak typing, which 8.6 and 10.x have and 11 has not (BuildError).
    """
    trt = backend.trt
    flags = 0
    kinds = trt.NetworkDefinitionCreationFlag
    if version()[0] < 10:
        flags |= 1 << int(kinds.EXPLICIT_BATCH)  # trt: <11
    elif strongly_typed and hasattr(kinds, "STRONGLY_TYPED"):
        flags |= 1 << int(kinds.STRONGLY_TYPED)  # trt: >=10
    elif not strongly_typed and not has("BuilderFlag.FP16"):
        raise BuildError(
            "weak typing was asked for, and this TensorRT has none",
            why="since TensorRT 11 every network is strongly typed: precision is in the model",
            cure="leave strongly_typed=True and give the graph the types you want (tl.precision)",
        )
    return builder.create_network(flags)


def check_precisions(kinds: Iterable[str]) -> None:
    """PrecisionError where this TensorRT cannot compute one of the precisions: BF16 and FP8 on 8.6."""
    for kind in sorted(set(kinds)):
        if kind not in PRECISIONS:
            raise PrecisionError(f"unknown precision {kind!r}", cure=f"one of {', '.join(PRECISIONS)}")
        if version()[0] < 10 and kind in ("bf16", "fp8"):
            flag_only = " (8.6 has the flag's name, but nothing behind it)" if kind == "fp8" else ""
            raise PrecisionError(
                f"TensorRT {'.'.join(map(str, version()))} cannot compute {kind.upper()}",
                why=f"{kind.upper()} came with TensorRT 10{flag_only}",
                cure="use fp16 or int8 here, or TensorRT 10 or later",
            )


def permit(config: Any, kinds: Iterable[str], *, strongly_typed: bool | None = None) -> None:
    """Permit precisions, {"fp16", "bf16", "int8", "fp8"}, where the version asks for permission.

    8.6 runs a half or Q/DQ graph as asked only with the builder flag of that name; a strongly typed network
    (10.x, 11.x) takes types from the graph and wants no flag. strongly_typed: None means as `create_network`
    does by default. PrecisionError where the version cannot do a precision at all.
    """
    trt = backend.trt
    check_precisions(kinds)
    typed = version()[0] >= 10 if strongly_typed is None else strongly_typed
    for kind in sorted(set(kinds)):
        if typed and version()[0] >= 10:
            continue
        flag = getattr(trt.BuilderFlag, kind.upper(), None)
        if flag is None:
            raise PrecisionError(
                f"this TensorRT has no BuilderFlag.{kind.upper()}",
                why="TensorRT 11 took the flags away: types and Q/DQ pairs in the model decide",
                cure=f"convert the model, for example with tl.precision, so that it is {kind} itself",
            )
        config.set_flag(flag)


def tf32(config: Any, allowed: bool) -> None:
    """Allow or forbid TF32 (10-bit mantissa products for FP32 layers); TensorRT allows it by default."""
    flag = backend.trt.BuilderFlag.TF32
    config.set_flag(flag) if allowed else config.clear_flag(flag)


def quiet_tactics(config: Any) -> list[str]:
    """Switch off the tactic sources that need libraries beside TensorRT's; returns the names switched off.

    8.x and 10.x can take kernels from cuBLAS and cuDNN, which then must be installed; 11 has no such sources.
    """
    kinds = backend.trt.TacticSource
    names = [n for n in _EXTERNAL_LIBRARIES if hasattr(kinds, n)]
    if names:
        sources = config.get_tactic_sources()
        for name in names:
            sources &= ~(1 << int(getattr(kinds, name)))
        config.set_tactic_sources(sources)
    return names


def default_level(has_qdq: bool) -> int | None:
    """builder_optimization_level to use when none is asked for; None leaves TensorRT's own (3).

    On 8.6 a Q/DQ graph at level 3 was not built after minutes on a big GPU: 2 there.
    """
    return 2 if has_qdq and version()[0] < 10 else None


def watch(config: Any, monitor: Any) -> None:
    """Attach a progress monitor where the version has them; None attaches nothing."""
    if monitor is not None and hasattr(config, "progress_monitor"):
        config.progress_monitor = monitor  # trt: >=10


def flags(config: Any) -> list[str]:
    """Names of the builder flags that are set."""
    kinds = backend.trt.BuilderFlag
    named = {n: getattr(kinds, n) for n in dir(kinds) if n.isupper()}
    return sorted(n for n, flag in named.items() if config.get_flag(flag))


def add_quantize(network: Any, x: Any, scale: Any, dtype: Any = None) -> Any:
    """`network.add_quantize` in the form the version knows; dtype: the output's, INT8 when None."""
    if version()[0] < 10:
        return network.add_quantize(x, scale)
    return network.add_quantize(x, scale, backend.trt.DataType.INT8 if dtype is None else dtype)


def add_dequantize(network: Any, x: Any, scale: Any, dtype: Any = None) -> Any:
    """`network.add_dequantize` in the form the version knows; dtype: the output's, FLOAT when None."""
    if version()[0] < 10:
        return network.add_dequantize(x, scale)
    return network.add_dequantize(x, scale, backend.trt.DataType.FLOAT if dtype is None else dtype)


def contexts_share_profiles() -> bool:
    """Whether two contexts may use one profile of a dynamic engine: from TensorRT 9 on."""
    return version() >= (9, 0)


def survives_any_bytes() -> bool:
    """Whether a runtime may be given bytes of any kind: before TensorRT 10 some end the process."""
    return version()[0] >= 10


def declare_type(tensor: Any, dtype: Any) -> None:
    """Say which `trt.DataType` an output has, after `mark_output`; from TensorRT 10 on it follows from the network.

    Before, an output is FLOAT unless declared, and a layer that makes INT32 or BOOL does not fit that.
    """
    if version()[0] < 10:
        tensor.dtype = dtype


def check_opset(model: Any) -> None:
    """ModelFileError for an ONNX model that this TensorRT would read wrongly without a word.

    model: onnx.ModelProto. 8.6 reads up to opset 17; of later ones it reduces over all axes in ReduceMean.
    """
    opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)
    if version()[0] >= 10 or opset <= 17:
        return
    wrong = sorted({n.op_type for n in model.graph.node} & _REDUCES_ALL_ON_8)
    if wrong:
        raise ModelFileError(
            f"this model is opset {opset}, and TensorRT 8.6 would compute its {', '.join(wrong)} wrongly",
            why="8.6 reads opset 17 at most; in later ones it misses the axes and reduces over all",
            cure="export again with opset_version=17 (and dynamo=False), or use TensorRT 10 or later",
        )


def parser_error(error: Any) -> dict[str, str]:
    """A parser error as plain text: node index, description; node name and op where the version has them."""
    told = {"node": str(error.node()), "desc": str(error.desc())}
    for key, name in (("name", "node_name"), ("op", "node_operator")):
        if hasattr(error, name):
            told[key] = str(getattr(error, name)())
    return told


# --- the engine --------------------------------------------------------------------------------------------


def outdated(plan: bytes) -> bytes:
    """The same plan as if an older version had built it, to show how that is refused. Introduced in lesson 04_4.

    The header's first number of the version is one less (the interpreter's plans: the number of their format).
    """
    numbers = bytes(int(n) for n in re.findall(r"\d+", str(backend.trt.__version__))[:3])
    place = len(INTERPRETER_MAGIC) if is_interpreter() else plan.find(numbers, 0, 64)
    changed = bytearray(plan)
    changed[place if place >= 0 else 24] -= 1
    return bytes(changed)


def device_memory(engine: Any, profile: int | None = None) -> int:
    """Bytes of device memory that one execution context of the engine needs for activations.

    profile: index of one optimization profile; None: the largest of all.
    """
    if profile is not None and hasattr(engine, "get_device_memory_size_for_profile_v2"):
        return int(engine.get_device_memory_size_for_profile_v2(profile))  # trt: >=11
    if hasattr(engine, "device_memory_size_v2"):
        return int(engine.device_memory_size_v2)  # trt: >=11
    return int(engine.device_memory_size)  # trt: <11


_NUMPY_TYPES = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "INT8": np.int8,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
    "BOOL": np.bool_,
}
_ML_TYPES = {
    "BF16": "bfloat16",
    "FP8": "float8_e4m3fn",
    "INT4": "int4",
    "FP4": "float4_e2m1fn",
    "E8M0": "float8_e8m0fnu",
}


def np_dtype(trt_dtype: Any) -> np.dtype:
    """NumPy dtype of a `trt.DataType`; BF16, FP8 and INT4 come from ml_dtypes (`trt.nptype` lacks them)."""
    name = trt_dtype.name
    if name in _NUMPY_TYPES:
        return np.dtype(_NUMPY_TYPES[name])
    if name in _ML_TYPES:
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, _ML_TYPES[name]))
    raise TypeError(f"NumPy has no dtype for TensorRT's {name}")


def shape(dims: Any) -> tuple[int, ...]:
    """A `trt.Dims` as a tuple; () where TensorRT does not know the rank before the build."""
    try:
        return tuple(int(n) for n in dims)
    except ValueError:
        return ()


def io_tensors(engine: Any) -> list[dict[str, Any]]:
    """Inputs and outputs of an engine, in order: name, mode ("input" or "output"), NumPy dtype, shape."""
    trt, found = backend.trt, []
    for i in range(engine.num_io_tensors):
        name = engine.get_tensor_name(i)
        mode = "input" if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT else "output"
        dtype = str(np_dtype(engine.get_tensor_dtype(name)))
        found.append({"name": name, "mode": mode, "dtype": dtype, "shape": tuple(engine.get_tensor_shape(name))})
    return found


# --- the inspector -----------------------------------------------------------------------------------------


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
    return json.loads(text, strict=False) if isinstance(text, str) else text


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
    return [_layer(raw) for raw in information.get("Layers", [])]


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


_COMPUTE = re.compile(r"conv|gemm|matmul|matrix_?multiply|fullyconnected|fully_connected|einsum|attention|mha", re.I)
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
    wide: set[str] = set()
    for x in layers:  # in order of execution; casts in between change nothing
        if x["type"] == "DequantizeLinear" or (x["type"] == "Cast" and wide & {t["name"] for t in x["inputs"]}):
            wide |= {t["name"] for t in x["outputs"]}
    products = [x for x in layers if is_compute(x)]
    integer = any(re.search(r"QLinear|Integer|QGemm|QAttention", x["type"]) for x in products)
    return integer or any(wide & {t["name"] for t in x["inputs"]} for x in products)


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
