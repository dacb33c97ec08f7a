"""What the workbook's ONNX files share: a folder, readable names, no trace of where they were made."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from onnx import numpy_helper

from ..errors import CacheError, ModelFileError
from ..files import cache_root, write_atomically

OPSET = 17
IR_VERSION = 8
SHIPPED = Path(__file__).resolve().parents[2] / "data" / "models"


def shipped(name: str) -> Path:
    """Path of a model that comes with the repository; ModelFileError when it is not there."""
    path = SHIPPED / name
    if not path.is_file():
        raise ModelFileError(
            f"The model file {name} is not in {path.parent}.",
            why="The repository is incomplete, or the package was installed without its data folder.",
            cure=f"git checkout data/models/{name}, or train it again: "
            f"python -m trt_lessons.models.{path.stem} --train",
        )
    return path


def load(path: str | Path) -> onnx.ModelProto:
    """Read and check an ONNX file; ModelFileError says what is wrong with it."""
    path = Path(path)
    if not path.is_file():
        raise ModelFileError(f"There is no ONNX file {path}.", cure="Check the path.")
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except Exception as error:
        raise ModelFileError(
            f"{path.name} is not a readable ONNX file ({str(error).strip().splitlines()[0][:200]}).",
            why="The file is damaged or cut short, or is something else.",
            cure="Fetch or make it again; data/README.md says how.",
        ) from error
    return model


def cache_folder() -> Path:
    """Folder for models made on demand: TRT_LESSONS_CACHE/models, else the user's cache folder."""
    folder = cache_root() / "models"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CacheError(
            f"The cache folder {folder} cannot be made ({error.strerror}).",
            cure="Set TRT_LESSONS_CACHE to a folder you can write to.",
        ) from error
    return folder


def save(model: onnx.ModelProto, path: str | Path) -> Path:
    """Write to a temporary name beside `path`, then rename: nobody ever sees half a file."""
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, model.SerializeToString(deterministic=True))
    except OSError as error:
        raise CacheError(
            f"{path} cannot be written ({error.strerror}).",
            cure="Free some space, or choose a folder you can write to (TRT_LESSONS_CACHE for made models).",
        ) from error
    return path


def from_torch(
    module: Any, example: Any, source: str, result: str, dynamic: dict[str, dict[int, str]], keep_norms: bool
) -> onnx.ModelProto:
    """Export with PyTorch's TorchScript exporter at opset 17; batch norms are folded unless `keep_norms`."""
    import torch

    buffer = io.BytesIO()
    mode = torch.onnx.TrainingMode.PRESERVE if keep_norms else torch.onnx.TrainingMode.EVAL
    with quiet():
        torch.onnx.export(
            module,
            (example,),
            buffer,
            dynamo=False,
            training=mode,
            opset_version=OPSET,
            input_names=[source],
            output_names=[result],
            dynamic_axes=dynamic,
        )
    return onnx.load_from_string(buffer.getvalue())


def from_torch_dynamo(module: Any, example: Any, source: str, result: str, dynamic: dict[int, str]) -> onnx.ModelProto:
    """Export with PyTorch's newer exporter, which writes opset 18, and bring the file back to opset 17."""
    import torch

    shapes = ({axis: torch.export.Dim(name) for axis, name in dynamic.items()},)
    with quiet():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            dynamic_shapes=shapes,
            opset_version=18,
            input_names=[source],
            output_names=[result],
            verbose=False,
        )
    return opset_18_to_17(program.model_proto)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence the exporters, which print, warn and log about packages that are not needed here."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    silence = io.StringIO()
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(silence), contextlib.redirect_stdout(silence):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


_SAME_IN_17_AND_18 = {
    "Add",
    "Conv",
    "Flatten",
    "Gemm",
    "GlobalAveragePool",
    "MatMul",
    "Relu",
    "Reshape",
    "Softmax",
}


def opset_18_to_17(model: onnx.ModelProto) -> onnx.ModelProto:
    """Opset 17 from 18, in place, for graphs of few ops: TensorRT 8.6 misreads ReduceMean of opset 18.

    ReduceMean's axes become an attribute again; an op that this function does not know is a ModelFileError.
    """
    constants = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "ReduceMean":
            if len(node.input) == 2:
                axes = constants[node.input.pop()]
                node.attribute.append(onnx.helper.make_attribute("axes", [int(axis) for axis in axes]))
            unused = [item for item in node.attribute if item.name == "noop_with_empty_axes"]
            for item in unused:
                node.attribute.remove(item)
        elif node.op_type not in _SAME_IN_17_AND_18:
            raise ModelFileError(
                f"{node.op_type} cannot be brought back from opset 18 to 17 here.",
                cure='Export with exporter="torchscript".',
            )
    used = {name for node in model.graph.node for name in node.input}
    for item in [item for item in model.graph.initializer if item.name not in used]:
        model.graph.initializer.remove(item)
    for item in model.opset_import:
        if item.domain in ("", "ai.onnx"):
            item.version = OPSET
    model.ir_version = IR_VERSION
    return model


def _separate_copies(graph: onnx.GraphProto) -> None:
    """Give each weight its own values again where the exporter let equal ones share, through Identity."""
    values = {item.name: item for item in graph.initializer}
    for node in [node for node in graph.node if node.op_type == "Identity" and node.input[0] in values]:
        copy = graph.initializer.add()
        copy.CopyFrom(values[node.input[0]])
        copy.name = node.output[0]
        graph.node.remove(node)


def _lift_constants(graph: onnx.GraphProto) -> None:
    """Turn Constant nodes that hold a tensor into initializers of the same name."""
    for node in [node for node in graph.node if node.op_type == "Constant" and node.attribute[0].name == "value"]:
        graph.initializer.add().CopyFrom(node.attribute[0].t)
        graph.initializer[-1].name = node.output[0]
        graph.node.remove(node)


def tidy(model: onnx.ModelProto, graph_name: str) -> onnx.ModelProto:
    """Readable names and no machine in the file, in place.

    Nodes get the name of the torch module they come from ("/block1/conv1/Conv" becomes "block1.conv1"),
    tensors the name of the node that makes them. Metadata, doc strings and inner shape notes are removed.
    """
    _separate_copies(model.graph)
    _lift_constants(model.graph)
    names = _node_names(model.graph)
    kept = {value.name for value in (*model.graph.input, *model.graph.output)}
    tensors: dict[str, str] = {}
    for node, name in zip(model.graph.node, names, strict=True):
        node.name = name
        for index, output in enumerate(node.output):
            if output and output not in kept:
                tensors[output] = name if index == 0 else f"{name}:{index}"
    for initializer in model.graph.initializer:
        tensors[initializer.name] = initializer.name.lstrip("/").replace("/", ".")
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            if name.startswith("onnx::"):  # folded weights: the exporter numbers them
                tensors[name] = f"{node.name}.{'bias' if index == 2 else 'weight'}"
    for node in model.graph.node:
        node.input[:] = [tensors.get(name, name) for name in node.input]
        node.output[:] = [tensors.get(name, name) for name in node.output]
    for initializer in model.graph.initializer:
        initializer.name = tensors[initializer.name]
    return anonymous(model, graph_name)


def _node_names(graph: onnx.GraphProto) -> list[str]:
    parents = [node.name.strip("/").rsplit("/", 1)[0] for node in graph.node]
    alone = Counter(parents)
    names: list[str] = []
    for node, parent in zip(graph.node, parents, strict=True):
        path = node.name.strip("/")
        if "/" in path and alone[parent] == 1:
            path = parent
        elif path:
            path = "/".join([*path.split("/")[:-1], path.rsplit("/", 1)[-1].lower()])
        name = re.sub(r"[/]+", ".", path) or node.op_type.lower()
        while name in names:
            name += "_"
        names.append(name)
    return names


def anonymous(model: onnx.ModelProto, graph_name: str | None = None) -> onnx.ModelProto:
    """Clear what is not the model itself: metadata, doc strings, inner shape notes. In place."""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    model.doc_string = model.graph.doc_string = ""
    model.producer_name, model.producer_version = "trt-lessons", ""
    if graph_name:
        model.graph.name = graph_name
    for item in (*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output):
        item.doc_string = ""
        del item.metadata_props[:]
    return model
