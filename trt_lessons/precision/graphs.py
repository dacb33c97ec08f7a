"""What the other files of this room need to know of an ONNX graph, and to do with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..errors import ModelFileError, PrecisionError

Model = str | Path | bytes | onnx.ModelProto
NAMES = {TensorProto.FLOAT: "fp32", TensorProto.FLOAT16: "fp16", TensorProto.BFLOAT16: "bf16"}
LARGEST = 65504.0  # FP16's largest number
ENDLESS = 1e30  # a number this large stands for infinity: the mask of a transformer is float32's smallest number
QDQ = ("QuantizeLinear", "DequantizeLinear")
# ops that only move or choose numbers: their results need no rounding of their own
EXACT = {"Relu", "MaxPool", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Slice", "Concat"}
EXACT |= {"Gather", "Identity", "Constant", "Expand", "Split"}
# ops that mean the same in opset 17 and in 19 to 22
_STABLE = EXACT | {"Add", "AveragePool", "BatchNormalization", "Cast", "Clip", "ConstantOfShape", "Conv"}
_STABLE |= {"ConvTranspose", "Div", "Erf", "Exp", "Gemm", "GlobalAveragePool", "LayerNormalization", "MatMul"}
_STABLE |= {"Mul", "Pow", "Shape", "Sigmoid", "Softmax", "Sqrt", "Sub", "Tanh", "Where", "LeakyRelu", *QDQ}
_STABLE |= {"Abs", "And", "Einsum", "Equal", "GatherElements", "Greater", "Less", "Max", "Min", "Mod", "Neg"}
_STABLE |= {"Not", "Or", "Range", "Reciprocal", "Tile"}
# ops that opset 22 gave BF16, and nothing else (ONNX's changelog of operators)
_STABLE |= {"Acos", "Asin", "Atan", "Cos", "Cosh", "Elu", "GRU", "GlobalMaxPool", "GridSample", "HardSigmoid"}
_STABLE |= {"HardSwish", "InstanceNormalization", "LSTM", "LpNormalization", "Mish", "RNN", "Round", "Selu", "Sin"}
_STABLE |= {"Sinh", "Softplus", "Softsign", "Tan", "ThresholdedRelu"}
# ops whose later editions only add types, or attributes whose defaults are the old meaning
_STABLE |= {"Ceil", "Floor", "Log", "LogSoftmax", "Pad", "PRelu", "Resize", "ScatterElements", "ScatterND", "Sign"}
_STABLE |= {"Size", "Sum"}
_REDUCTIONS = {"ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd"}


def read(model: Model) -> onnx.ModelProto:
    """A copy of the model as a ModelProto; ModelFileError when it cannot be read."""
    if isinstance(model, onnx.ModelProto):
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        return copy
    if isinstance(model, (str, Path)):
        from ..models import _onnx

        return _onnx.load(model)
    try:
        return onnx.load_from_string(model)
    except Exception as error:
        raise ModelFileError("These bytes are not an ONNX model.", cure="Pass the content of an .onnx file.") from error


def types_of(model: onnx.ModelProto) -> dict[str, int]:
    """Element type of every tensor of the graph, as onnx infers them."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    values = (*graph.input, *graph.value_info, *graph.output)
    types = {value.name: value.type.tensor_type.elem_type for value in values}
    return {**types, **{item.name: item.data_type for item in graph.initializer}}


def all_weights(graph: onnx.GraphProto) -> list[TensorProto]:
    """Initializers and the tensors of Constant nodes, those in the bodies of If, Loop and Scan as well."""
    found = list(graph.initializer)
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.name == "value":
                found.append(attribute.t)
            elif attribute.type == attribute.GRAPH:
                found += all_weights(attribute.g)
    return found


def weights_of(model: onnx.ModelProto) -> dict[str, TensorProto]:
    return {item.name: item for item in model.graph.initializer}


def readers_of(graph: onnx.GraphProto) -> dict[str, list[onnx.NodeProto]]:
    readers: dict[str, list[onnx.NodeProto]] = {value.name: [] for value in graph.input}
    for node in graph.node:
        for name in node.output:
            readers.setdefault(name, [])
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return readers


def tensor(name: str, values: np.ndarray, kind: int) -> TensorProto:
    """A weight of element type `kind` from float values; numpy alone has neither BF16 nor FP8."""
    return numpy_helper.from_array(values.astype(helper.tensor_dtype_to_np_dtype(kind)), name)


def drop_unused(graph: onnx.GraphProto) -> None:
    used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    for item in [item for item in graph.initializer if item.name not in used]:
        graph.initializer.remove(item)
    del graph.value_info[:]


def cpu_session(model: onnx.ModelProto, severity: int = 3) -> Any:
    """An onnxruntime session for it on the CPU, quiet below errors (3), or altogether (4: an answer is enough)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = severity
    ops = {node.op_type for node in model.graph.node}
    if {"Cast", "MatMul", "Softmax"} <= ops:  # onnxruntime 1.31's highest level ends the process on some of these
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    if any(item.data_type == TensorProto.FLOAT8E4M3FN for item in model.graph.initializer):
        # above "basic" it makes an integer convolution of FP8 pairs, and then refuses its types
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def exposed(model: onnx.ModelProto, names: list[str]) -> onnx.ModelProto:
    """A copy of the model whose outputs are exactly these tensors."""
    copy = read(model)
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return copy


def inner_values(model: onnx.ModelProto, names: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
    return cpu_session(exposed(model, names)).run(names, inputs)


def raise_opset(model: onnx.ModelProto, opset: int) -> None:
    """Say opset `opset` in place, where every op means the same there; PrecisionError where one does not."""
    entry = next(item for item in model.opset_import if item.domain in ("", "ai.onnx"))
    if entry.version < 17:
        _converted(model, 17)
        entry = next(item for item in model.opset_import if item.domain in ("", "ai.onnx"))
    if entry.version >= opset:
        return
    for node in model.graph.node:
        if node.op_type in _REDUCTIONS and entry.version < 18:
            _axes_to_input(model.graph, node)
        elif node.op_type not in _STABLE | _REDUCTIONS and not _unchanged(node, entry.version, opset):
            raise PrecisionError(
                f"This graph needs opset {opset}, and what {node.op_type} means there is not known here.",
                cure=f"Export the model at opset {opset}, or use onnx.version_converter.",
            )
    entry.version = opset
    model.ir_version = max(model.ir_version, 9 if opset < 21 else 10)


def _unchanged(node: onnx.NodeProto, old: int, new: int) -> bool:
    """Is the op's definition of opset `old` the one of opset `new` too?"""
    if node.domain not in ("", "ai.onnx"):
        return True  # its own domain has its own version
    try:
        versions = {onnx.defs.get_schema(node.op_type, opset).since_version for opset in (old, new)}
    except onnx.defs.SchemaError:
        return False
    return len(versions) == 1


def _converted(model: onnx.ModelProto, opset: int) -> None:
    """In place, an older model in the words of `opset`, by ONNX's converter; PrecisionError where it has none."""
    from onnx import version_converter

    try:
        model.CopyFrom(version_converter.convert_version(model, opset))
    except Exception as error:  # the converter's own errors have no common class
        raise PrecisionError(
            f"This graph cannot be brought to opset {opset}.",
            why=str(error).splitlines()[0] if str(error) else type(error).__name__,
            cure=f"Export the model again at opset {opset} or later.",
        ) from error


def lift_constants(model: onnx.ModelProto) -> None:
    """In place, tensors of Constant nodes become weights: the same numbers, where every later step finds them."""
    graph, nodes = model.graph, []
    results = {value.name for value in graph.output}
    for node in graph.node:
        values = [a.t for a in node.attribute if a.name == "value"] if node.op_type == "Constant" else []
        if values and node.output[0] not in results:
            item = graph.initializer.add()
            item.CopyFrom(values[0])
            item.name = node.output[0]
        else:
            nodes.append(node)
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)


def _axes_to_input(graph: onnx.GraphProto, node: onnx.NodeProto) -> None:
    for attribute in [item for item in node.attribute if item.name == "axes"]:
        name = f"{node.name or node.output[0]}.axes"
        graph.initializer.append(numpy_helper.from_array(np.array(attribute.ints, np.int64), name))
        node.input.append(name)
        node.attribute.remove(attribute)
