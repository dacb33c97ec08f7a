"""What a model is and what TensorRT will say of it, before anything is built: `trt-lessons inspect`.

told = inspect.look("model.onnx")
print(told)                       # inputs, outputs, ops, verdict, what to do next
inspect.template("model.onnx", "inputs.npz")
"""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from .. import backend, compat
from ..engines.source import Source, left_out
from ..errors import CacheError, LessonError, ModelFileError
from ..files import write_atomically
from ..messages import filled, later, told
from ..precision.graphs import all_weights, cpu_session
from ..records.words import number
from . import nvidia

NOT_TAKEN = {
    "string",
    "uint16",
    "uint32",
    "uint64",
    "int16",
    "complex64",
    "complex128",
}  # no tensor of TensorRT has them
BODIES = ("If", "Loop", "Scan")
ROWS = 16  # of a template
LARGE = 100e6  # bytes; a larger file takes NVIDIA's parser seconds
SIZES = (("height|width|^h$|^w$", 224), ("past|cache", 8), ("seq|len|tokens|time", 16))  # of an open axis, by its name


@dataclass
class Told:
    """What `look` found. inputs, outputs: {"name", "dtype", "shape"}, open axes by name ("?" without one).

    verdict: "parsed" or "refused", by `asked`; errors: the parser's words. Sizes in bytes.
    """

    name: str
    sha256: str
    bytes: int
    opset: dict[str, int]
    made_by: str
    inputs: list[dict[str, Any]]
    outputs: list[dict[str, Any]]
    ops: dict[str, int]
    parameters: int
    asked: str
    verdict: str = ""
    errors: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    next: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The same as data, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        opset = ", ".join(f"{domain} {version}" for domain, version in self.opset.items())
        lines = [told(f"{self.name}  ({number(self.bytes / 1e6)} MB, opset {opset}, made by {self.made_by})")]
        for word, tensors in (("input", self.inputs), ("output", self.outputs)):
            lines += [
                f"  {filled(told(word), 7)} {t['name']}  {t['dtype']} [{', '.join(map(str, t['shape']))}]"
                for t in tensors
            ]
        common = ", ".join(f"{count} {op}" for op, count in list(self.ops.items())[:8])
        more = told(f" and {len(self.ops) - 8} other ops") if len(self.ops) > 8 else ""
        rows = [(told("nodes"), f"{sum(self.ops.values())}: {common}{more}")]
        rows += [(told("weights"), told(f"{self.parameters:,} numbers"))]
        lines += [f"  {filled(word, 7)} {text}" for word, text in rows]
        lines += [f"  {told(self.asked)}: {told(self.verdict)}", *(f"    {text}" for text in self.errors)]
        rest = [(told("note"), text) for text in self.remarks] + [(told("next"), text) for text in self.next]
        return "\n".join([*lines, *(f"  {filled(word, 7)} {told(text)}" for word, text in rest)])


def look(model: str | os.PathLike | bytes | onnx.ModelProto | Source) -> Told:
    """Read a model and ask the parser of this process about it. ModelFileError for what is no ONNX model."""
    source = model if isinstance(model, Source) else Source(model, None)
    proto = source.proto
    if not proto.graph.node:
        raise ModelFileError(
            f"{source.called()} holds no network",
            why="it reads as an ONNX file without a node: empty, or another kind of file",
            cure="export the model again, and look at the file's size",
        )
    graph = proto.graph
    weights = {item.name for item in (*graph.initializer, *graph.sparse_initializer)}
    told = Told(
        name=source.path.name if source.path else source.name,
        sha256=source.sha256 or "",
        bytes=len(source.data or b"") + sum(file.stat().st_size for file in source.external),
        opset={item.domain or "ai.onnx": item.version for item in proto.opset_import},
        made_by=f"{proto.producer_name} {proto.producer_version}".strip() or later("nobody who said so"),
        inputs=[_about(value) for value in graph.input if value.name not in weights],
        outputs=[_about(value) for value in graph.output],
        ops=dict(Counter(_op(node) for node in nodes_of(graph)).most_common()),
        parameters=sum(math.prod(item.dims) for item in all_weights(graph)),
        asked="TensorRT" if backend.is_gpu() else later("the interpreter of TensorRT"),
    )
    told.errors = _parse(source)
    told.verdict = later("refused" if told.errors else "parsed")
    told.remarks = _remarks(proto, told)
    told.next = _next(source, told)
    return told


def nvidia_word(model: str | os.PathLike | bytes | onnx.ModelProto, timeout: float = 20.0) -> str:
    """What NVIDIA's own parser says of the model, in a line; why it cannot be asked, where it is not there."""
    there = nvidia.available()
    if not there:
        return told(f"NVIDIA's parser was not asked: {there}")
    answer = nvidia.ask(model, cards=(), timeout=timeout)
    words = "; ".join(_in_words(error | {"desc": error["words"]}) for error in answer.refused[:3])
    said = answer.ended or (told("parsed") if answer.parsed else words)
    return told(f"NVIDIA's parser (TensorRT-RTX {answer.version}): {said}")


def _about(value: onnx.ValueInfoProto) -> dict[str, Any]:
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        return {"name": value.name, "dtype": (kind or "no type").removesuffix("_type"), "shape": []}
    tensor = value.type.tensor_type
    shape = [
        d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else d.dim_param or "?" for d in tensor.shape.dim
    ]
    dtype = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
    dtype = {"float": "float32", "double": "float64"}.get(dtype, dtype)
    return {"name": value.name, "dtype": dtype, "shape": shape if tensor.HasField("shape") else ["rank unknown"]}


def _op(node: onnx.NodeProto) -> str:
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op_type}"


def nodes_of(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """All nodes, those in bodies as well."""
    found = []
    for node in graph.node:
        found.append(node)
        for attribute in node.attribute:
            if attribute.type == attribute.GRAPH:
                found += nodes_of(attribute.g)
    return found


def _parse(source: Source) -> list[str]:
    """The parser's refusals, in its words; [] where it takes the model."""
    log = compat.Log(print_from=None)
    builder = backend.trt.Builder(log)
    network = compat.create_network(builder)
    parser = backend.trt.OnnxParser(network, log)
    if _read(parser, source):
        return []
    found = [compat.parser_error(parser.get_error(i)) for i in range(parser.num_errors)]
    return [_in_words(error) for error in found] or ["refused without a word"]


def _read(parser: Any, source: Source) -> bool:
    """Let the parser read the model; the interpreter's does not need the numbers of large weights."""
    if not backend.is_gpu():
        return parser.parse(left_out(source.proto).SerializeToString(), source.path and str(source.path))
    return parser.parse_from_file(str(source.path)) if source.external else parser.parse(source.data)


def _in_words(error: dict[str, Any]) -> str:
    """A parser's error in a line: which node, its op, what."""
    node = " ".join(filter(None, [str(error.get("op") or ""), str(error.get("name") or "")]))
    return f"node {error['node']}{f' ({node})' if node else ''}: {error['desc']}"


def _remarks(model: onnx.ModelProto, told: Told) -> list[str]:
    found = []
    for word, tensors in (("input", told.inputs), ("output", told.outputs)):
        for t in tensors:
            if t["dtype"] in ("map", "sequence", "optional", "no type", *NOT_TAKEN):
                found.append(later(f"{word} {t['name']} is a {t['dtype']}: TensorRT has only tensors of numbers"))
    foreign = sorted({op.partition("::")[0] for op in told.ops if "::" in op})
    if "ai.onnx.ml" in foreign:
        words = "ops of ai.onnx.ml (trees, scalers, encoders): TensorRT has none; onnxruntime runs this model"
        found.append(later(words))
    others = [domain for domain in foreign if domain != "ai.onnx.ml"]
    if others:
        found.append(later(f"ops of {', '.join(others)}: TensorRT takes them only as plugins of yours"))
    bodies = [f"{count} {op}" for op, count in told.ops.items() if op in BODIES]
    if bodies:
        found.append(later(f"control flow ({', '.join(bodies)}): both ways are built, and shapes must fit"))
    shapes = shape_inputs(model.graph, {t["name"] for t in told.inputs})
    found += [later(f"{name} holds a shape: its values need a profile (set_shape_input)") for name in shapes]
    floats = [t["name"] for t in told.inputs if t["dtype"] == "float64"]
    if floats:
        found.append(later(f"{', '.join(floats)}: TensorRT has no float64; export the model in float32"))
    whole = [t["name"] for t in told.inputs if t["dtype"] in ("int64", "int32") and t["name"] not in shapes]
    if whole:
        words = f"{', '.join(whole)}: whole numbers with a range of their own (tokens?), give real ones with --data"
        found.append(later(words))
    return found


SHAPE_READERS = {
    "Reshape": 1,
    "Expand": 1,
    "ConstantOfShape": 0,
    "Tile": 1,
    "Resize": 3,
    "Pad": 1,
    "Slice": 1,
    "Range": 0,
}


def shape_inputs(graph: onnx.GraphProto, inputs: set[str]) -> list[str]:
    """Inputs that an op reads as a shape, straight or through casts and joins."""
    origin = {name: {name} for name in inputs}
    found: dict[str, None] = {}
    for node in graph.node:
        first = SHAPE_READERS.get(node.op_type)
        if first is not None:
            last = {"Slice": 4, "Resize": 3, "Range": 2}.get(node.op_type, first)
            for name in node.input[first : last + 1]:
                found |= dict.fromkeys(sorted(origin.get(name, ())))
        if node.op_type in ("Cast", "Concat", "Identity", "Unsqueeze", "Squeeze", "Gather"):
            read = set().union(*(origin.get(name, set()) for name in node.input))
            origin |= dict.fromkeys(node.output, read)
    return list(found)


def _next(source: Source, told: Told) -> list[str]:
    if told.verdict == "refused" or any("only tensors of numbers" in text for text in told.remarks):
        return [later("mend what is refused (lesson 03 has four cures), then ask again")]
    path = source.path.name if source.path else "model.onnx"
    open_axes = any(not isinstance(n, int) for t in told.inputs for n in t["shape"][1:])
    whole = any(t["dtype"] != "float32" for t in told.inputs)
    if open_axes or whole:
        return [
            later(f"trt-lessons inspect {path} --template inputs.npz, fill it"),
            f"trt-lessons report {path} --data inputs.npz",
        ]
    return [later(f"trt-lessons report {path}, better with --data inputs.npz")]


# --- a template of inputs ---


def template(
    model: str | os.PathLike | bytes | onnx.ModelProto, path: str | os.PathLike, told: Told | None = None
) -> dict[str, tuple[int, ...]]:
    """Write an .npz with an array for each input, to be filled by its owner; returns name -> shape.

    16 rows where the inputs share an open first axis, else a list of 16 whole inputs (one axis more). Open axes get a
    size by their name. Floating-point arrays are random, whole numbers zero. CacheError where it exists or cannot be
    written. told: what `look` found, where it was asked already.
    """
    told = told or look(model)
    target = Path(path)
    if target.exists():
        raise CacheError(f"{target} is there already.", cure="Name another file: nothing is overwritten.")
    bad = [t["name"] for t in told.inputs if t["dtype"] in ("map", "sequence", "optional", *NOT_TAKEN)]
    if bad:
        raise ModelFileError(
            f"{', '.join(bad)} cannot be an array for TensorRT.", cure="trt-lessons inspect says more."
        )
    firsts = {str(t["shape"][0]) if t["shape"] else "" for t in told.inputs}
    rows = len(firsts) == 1 and not firsts & {""} and not next(iter(firsts)).isdigit()
    proto = Source(model, None).proto
    tries = [_whole_inputs(told.inputs, picture, *other) for other in OTHERS for picture in PICTURES]
    whole = next((arrays for arrays in tries if _runs(proto, arrays)), tries[0])
    random, arrays = np.random.default_rng(0), {}
    for name, array in whole.items():
        shape = (ROWS, *array.shape[1:]) if rows else (ROWS, *array.shape)
        numbers = random.standard_normal(shape) if array.dtype.kind == "f" else np.zeros(shape)
        arrays[name] = numbers.astype(array.dtype)
    _write(target, arrays)
    return {name: array.shape for name, array in arrays.items()}


OTHERS = ((512, 8), (512, 1), (256, 1), (16, 1))  # the length of a row, any other open axis
PICTURES = ((224, 224), (48, 320), (32, 320), (640, 640), (16, 512))  # height and width to try, in this order


def _whole_inputs(
    inputs: list[dict[str, Any]], picture: tuple[int, int], row: int, other: int
) -> dict[str, np.ndarray]:
    """One input each, of zeros."""
    found = {}
    for t in inputs:
        rank = len(t["shape"])
        sizes = [n if isinstance(n, int) else _size(str(n), axis, rank, picture) for axis, n in enumerate(t["shape"])]
        sizes = [n or (row if rank == 2 else other) for n in sizes]
        found[t["name"]] = np.zeros(sizes, {"bfloat16": "float32"}.get(t["dtype"], t["dtype"]))
    return found


def _size(name: str, axis: int, rank: int, picture: tuple[int, int]) -> int:
    """A sensible size of an open axis: by its name, by its place in a picture; 0 where nothing tells."""
    if axis == 0 or "batch" in name.lower():
        return 1
    if rank == 4 and axis in (2, 3) and not re.search("past|cache|seq|len", name, re.I):
        return picture[axis - 2]
    for pattern, size in SIZES:
        if re.search(pattern, name, re.I):
            return size
    return 0


def _runs(model: onnx.ModelProto, arrays: dict[str, np.ndarray]) -> bool:
    """Does onnxruntime run the model with inputs of these shapes?"""
    try:
        cpu_session(model, severity=4).run(None, arrays)
    except Exception:  # whatever its reason: another size is tried
        return False
    return True


def _write(target: Path, arrays: dict[str, np.ndarray]) -> None:
    import io

    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    try:
        write_atomically(target, buffer.getvalue())
    except OSError as error:
        raise CacheError(f"{target} cannot be written ({error.strerror}).", cure="Name another place.") from error


def shapes_of(words: list[str]) -> dict[str, tuple[tuple[int, ...], ...]]:
    """`name=1x3x224x224:8x3x224x224:16x3x224x224` -> {name: (min, opt, max)}; one shape alone is all three."""
    found = {}
    for word in words:
        name, _, ranges = word.rpartition("=")
        try:
            sizes = [tuple(int(n) for n in part.split("x")) for part in ranges.split(":")]
        except ValueError:
            sizes = []
        if not name or len(sizes) not in (1, 3) or len({len(size) for size in sizes}) != 1:
            raise LessonError(
                f"--profile {word} is not understood.",
                cure="NAME=MIN:OPT:MAX, each like 1x3x224x224; or NAME=SHAPE for one size.",
            )
        found[name] = tuple(sizes * 3) if len(sizes) == 1 else tuple(sizes)
    return found
