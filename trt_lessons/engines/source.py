"""A model as a learner gives it: read, checked for damage, and asked which precisions it holds.

Introduced in lesson 02.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import compat
from ..errors import ModelFileError

LARGE = 64 << 20  # bytes of a file from which on the checker gets a lighter model
BYTES = {"FLOAT": 4, "DOUBLE": 8, "INT64": 8, "INT32": 4, "FLOAT16": 2, "BFLOAT16": 2}  # of a number, by type
LEFT_OUT = 1 << 16  # numbers of a weight from which on `left_out` leaves them out


class Source:
    """A model as given: its bytes, its ONNX form, its file, or the function that defines it."""

    def __init__(self, model: Any, name: str | None) -> None:
        self.path: Path | None = None
        self.data: bytes | None = None
        self.proto: Any = None
        self.define: Callable[[Any], Any] | None = None
        if isinstance(model, (str, os.PathLike)):
            self.path = Path(model)
            self.data = read_model(self.path)
        elif isinstance(model, (bytes, bytearray, memoryview)):
            self.data = bytes(model)
        elif hasattr(model, "SerializeToString"):
            self.proto = model
            self.data = model.SerializeToString(deterministic=True)
        elif callable(model):
            self.define = model
        else:
            raise ModelFileError(
                f"cannot build from {type(model).__name__}",
                cure="give a path, bytes, an onnx.ModelProto, or a function that takes a network",
            )
        if self.data is not None:
            self.proto = self.proto or _parse_onnx(self.data, self.called())
            compat.check_opset(self.proto)
        self.external = _external_files(self.proto, self.path) if self.path else []
        self.sha256: str | None = None
        if self.data is not None:
            self.sha256 = _sha256(self.data, self.external)
        graph = self.proto.graph.name if self.proto is not None else ""
        self.name = (
            name or (self.path.stem if self.path else "") or graph or getattr(model, "__name__", "") or "network"
        )

    def own(self) -> Any:
        """The ModelProto with all its weights, for the caller to change; the caller's of this object stays as it is."""
        import onnx

        if self.path is None:
            return onnx.load_model_from_string(self.data)
        if self.external:
            onnx.load_external_data_for_model(self.proto, str(self.path.parent))
        return self.proto

    def called(self) -> str:
        return str(self.path) if self.path else "the model"


def read_model(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelFileError(
            f"there is no file {path}",
            why=f"looked in {path.absolute().parent}",
            cure="check the spelling, or export the model first (lesson 02 does)",
        ) from None
    except OSError as error:
        raise ModelFileError(
            f"cannot read {path}", why=str(error), cure="check what it is and who may read it"
        ) from error


def _parse_onnx(data: bytes, called: str) -> Any:
    """ModelProto of an ONNX file's bytes; ModelFileError says what is wrong with a file that is none."""
    import onnx

    def refuse(why: str) -> ModelFileError:
        return ModelFileError(
            f"{called} is not a whole ONNX model",
            why=why,
            cure="export or download it again, and compare sizes or sha256 sums",
        )

    if not data:
        raise refuse("it is empty")
    if data.startswith(b"version https://git-lfs"):
        raise refuse("it is a Git LFS pointer, not the file: fetch it with `git lfs pull`")
    if data.startswith(compat.INTERPRETER_MAGIC) or data.startswith(compat.TENSORRT_MAGIC):
        raise refuse("it is a plan, already built: give it to tl.load or tl.Session")
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf has had several classes for this
        raise refuse(f"protobuf stops reading it ({len(data):,} bytes): cut short, or another kind of file") from error
    if not model.ir_version or not (model.graph.node or model.graph.output):
        raise refuse("it has no graph")
    if not model.graph.output:
        raise refuse("its graph has no outputs")
    try:
        if not any(t.data_location == t.EXTERNAL for t in model.graph.initializer):  # else: needs the folder
            onnx.checker.check_model(_lighter(model) if len(data) > LARGE else model)
    except onnx.checker.ValidationError as error:
        # an op that ONNX does not know may be a plugin's, and an output's shape may be left out: the parser decides
        if not re.search(r"No Op registered|No opset import|Unrecognized|Field 'shape' of", str(error)):
            raise refuse(f"it breaks ONNX's rules: {str(error).splitlines()[0]}") from error
    except (ValueError, RuntimeError) as error:
        raise refuse(f"onnx.checker cannot read it: {error}") from error
    wrong = _broken_link(model.graph) or _short_weight(model.graph)
    if wrong:
        raise refuse(wrong)
    return model


def _lighter(model: Any) -> Any:
    """The model with its large weights as inputs: the checker would copy them all, and reads only their types."""
    import onnx

    large = {t.name: t for t in model.graph.initializer if t.HasField("raw_data") and t.ByteSize() > 2048}
    light = _without(model, set(large))
    inputs = [value for value in light.graph.input if value.name not in large]
    inputs += [onnx.helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in large.values()]
    del light.graph.input[:]
    light.graph.input.extend(inputs)
    return light


def left_out(model: Any) -> Any:
    """A copy in which large floating-point weights have name, type and dimensions, and no numbers.

    Enough for the interpreter's parser, which then copies none of them. Such a weight is external and names no file.
    """
    import onnx

    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
    large = [t for t in model.graph.initializer if t.data_type in floats and math.prod(t.dims) > LEFT_OUT]
    light = _without(model, {t.name for t in large})
    for t in large:
        light.graph.initializer.add(name=t.name, data_type=t.data_type, dims=t.dims, data_location=t.EXTERNAL)
    return light


def _without(model: Any, weights: set[str]) -> Any:
    """A copy of a model without these weights, none of which is copied."""
    import onnx

    light = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    graph, kept = model.graph, [t for t in model.graph.initializer if t.name not in weights]
    light.graph.MergeFrom(onnx.GraphProto(
        name=graph.name, node=graph.node, input=graph.input, output=graph.output, value_info=graph.value_info,
        initializer=kept, sparse_initializer=graph.sparse_initializer,
    ))  # fmt: skip
    return light


def _short_weight(graph: Any) -> str:
    """What is wrong with the size of a large weight, which the checker does not see; "" where nothing is."""
    import onnx

    for t in graph.initializer:
        if t.HasField("raw_data") and t.data_type in onnx.TensorProto.DataType.values():
            wanted = math.prod(t.dims) * BYTES.get(onnx.TensorProto.DataType.Name(t.data_type), 0)
            if t.ByteSize() < wanted:
                return f"its weight {t.name!r} of {list(t.dims)} is cut short"
    return ""


def _sha256(data: bytes, files: list[Path]) -> str:
    """Hexadecimal sha256 of a model and the files beside it, read a piece at a time."""
    found = hashlib.sha256(data)
    for path in files:
        with open(path, "rb") as file:
            while piece := file.read(1 << 20):
                found.update(piece)
    return found.hexdigest()


def _broken_link(graph: Any) -> str:
    """What is wrong with the names in a graph, "" when every node reads something that exists."""
    known = {""} | {x.name for x in [*graph.input, *graph.initializer]}
    known |= {x.values.name for x in graph.sparse_initializer}
    for node in graph.node:
        for name in node.input:
            if name not in known:
                return f"node {node.name!r} ({node.op_type}) reads {name!r}, which nothing makes"
        known.update(node.output)
    told = [w for n in graph.node for w in (n.name, n.op_type, n.domain, *(a.name for a in n.attribute))]
    if not all(isinstance(word, str) for word in [graph.name, *known, *told]):  # protobuf gives bytes else
        return "a name in it is not text"
    missing = [x.name for x in graph.output if x.name not in known]
    return f"its output {missing[0]!r} is made by no node" if missing else ""


def _external_files(model: Any, path: Path) -> list[Path]:
    """Files beside an ONNX file that hold its weights (external data)."""
    places = {
        entry.value
        for tensor in model.graph.initializer
        if tensor.data_location == tensor.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    files = [path.parent / place for place in sorted(places)]
    for file in files:
        if not file.is_file():
            raise ModelFileError(
                f"{path} keeps its weights in {file.name}, which is not beside it",
                why="large models are exported in two or more files",
                cure="keep the files of one export in one folder",
            )
    return files


def graph_kinds(model: Any) -> set[str]:
    """Precisions that an ONNX graph asks for by its types: a subset of {"fp16", "bf16", "int8", "fp8"}."""
    import onnx

    words = {onnx.TensorProto.FLOAT16: "fp16", onnx.TensorProto.BFLOAT16: "bf16"}
    eights = {n: "fp8" for n in (getattr(onnx.TensorProto, t, None) for t in ("FLOAT8E4M3FN", "FLOAT8E5M2")) if n}
    found: set[str] = set()

    def look(graph: Any) -> None:
        types = {t.name: t.data_type for t in graph.initializer}
        for value in [*graph.input, *graph.output, *graph.value_info]:
            types.setdefault(value.name, value.type.tensor_type.elem_type)
        for node in graph.node:
            for attribute in node.attribute:
                if attribute.name == "value" and attribute.type == attribute.TENSOR:
                    types.update(dict.fromkeys(node.output, attribute.t.data_type))
                elif node.op_type == "Cast" and attribute.name == "to":
                    types.update(dict.fromkeys(node.output, attribute.i))
                elif attribute.type == attribute.GRAPH:
                    look(attribute.g)
        for node in graph.node:
            if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
                zero = node.input[2] if len(node.input) > 2 else ""
                data = node.input[0] if node.op_type == "DequantizeLinear" else ""
                kind = eights.get(types.get(zero)) or eights.get(types.get(data))
                found.add(kind or "int8")
            elif node.op_type.startswith("TRT_FP8"):
                found.add("fp8")
        found.update(words[t] for t in types.values() if t in words)

    look(model.graph)
    return found
