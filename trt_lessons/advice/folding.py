"""Models whose control flow asks for sizes: with the sizes fixed, the questions have answers, and it is gone.

TensorRT wants the branches of an If to give equal ranks, unless it knows the condition when it builds. Conditions
such as "has the batch one row?" become known once the shapes of the inputs are.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace

import onnx
from onnx import numpy_helper
from onnx.shape_inference import infer_shapes

from ..interpreter.tensorrt.reading.rewriting import renamed
from .inspect import nodes_of
from .subject import Subject

ASKING = ("If", "Loop", "Scan")
ROUNDS = 10


def control_flow(graph: onnx.GraphProto) -> int:
    """How many If, Loop and Scan nodes a graph holds, with the graphs inside."""
    return sum(node.op_type in ASKING for node in nodes_of(graph))


def flattened(graph: onnx.GraphProto) -> None:
    """Put the branch that is taken in place of each If whose condition is a constant of this graph."""
    known = {tensor.name: tensor for tensor in graph.initializer}
    kept: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type != "If" or node.input[0] not in known:
            kept.append(node)
            continue
        wanted = "then_branch" if numpy_helper.to_array(known[node.input[0]]).item() else "else_branch"
        branch = next(a.g for a in node.attribute if a.name == wanted)
        inner = {name for n in branch.node for name in n.output} | {tensor.name for tensor in branch.initializer}
        new = {name: f"{node.output[0]}/{name}" for name in inner if name}
        renamed(node, lambda name, new=new: new.get(name, name))
        graph.initializer.extend(branch.initializer)
        kept += branch.node
        ends = zip(branch.output, node.output, strict=True)
        kept += [onnx.helper.make_node("Identity", [end.name], [name], name=f"{name}/taken") for end, name in ends]
    del graph.node[:]
    graph.node.extend(kept)


def with_shapes(model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]]) -> onnx.ModelProto:
    """A copy whose inputs have these shapes: ONNX GraphSurgeon folds constants, branches are taken, in turn."""
    import onnx_graphsurgeon as gs
    import onnxruntime

    found = copy.deepcopy(model)
    for value in found.graph.input:
        for dimension, size in zip(value.type.tensor_type.shape.dim, shapes.get(value.name, ()), strict=False):
            dimension.dim_value = size
    onnxruntime.set_default_logger_severity(3)
    for _ in range(ROUNDS):
        before = control_flow(found.graph)
        graph = gs.import_onnx(infer_shapes(found, data_prop=True)).fold_constants(flatten_subgraphs=False)
        found = gs.export_onnx(graph.cleanup().toposort())
        flattened(found.graph)
        if not before or control_flow(found.graph) == before:
            break
    return found


def fixed(mine: Subject) -> Subject | None:
    """The subject for the shapes of its first batch alone, without control flow; None where that does not help."""
    shapes = {name: array.shape for name, array in mine.batches[0].items()}
    alike = all({n: a.shape for n, a in part.items()} == shapes for part in [*mine.batches, *mine.calibration])
    before = control_flow(mine.model.graph)
    if not (alike and before and mine.profiles):
        return None
    model = with_shapes(mine.model, shapes)
    if control_flow(model.graph):
        return None
    told = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
    note = (
        f"For these shapes alone: {told}. Its {before} nodes of control flow ask for sizes, and fixed sizes fold them."
    )
    return replace(mine, model=model, given={}, note=note)
