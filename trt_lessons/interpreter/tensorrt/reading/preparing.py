"""A model in the form that layers are made of: functions inlined, nodes in order, an opset that can be computed."""

from __future__ import annotations

import onnx
from onnx import NodeProto, helper, inliner, version_converter

from ..enums import ErrorCode
from .rewriting import captured
from .rules import graphs_of

OLDEST, UNSAID = 7, 21  # the oldest opset that onnxruntime computes; the one taken where a model names none


class Unreadable(Exception):
    """A graph that is broken as a whole: the parser's code, and the reason in words."""

    def __init__(self, code: ErrorCode, words: str) -> None:
        super().__init__(words)
        self.code, self.words = code, words


def prepared(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its functions inlined, its nodes sorted and a known opset; Unreadable where it is broken."""
    if not any(o.domain in ("", "ai.onnx") for o in model.opset_import):
        model.opset_import.append(helper.make_opsetid("", UNSAID))
    if model.functions:
        model = inliner.inline_local_functions(model)
    for opset in model.opset_import:
        if opset.domain in ("", "ai.onnx"):
            opset.version = min(opset.version, onnx.defs.onnx_opset_version())
    nodes = _sorted(model.graph)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def opset_of(model: onnx.ModelProto) -> int:
    """The version of ONNX's own ops that a model is written for."""
    return next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), UNSAID)


def computable(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model, brought to an opset that onnxruntime computes where it is older; as it is where that fails."""
    if opset_of(model) >= OLDEST:
        return model
    try:
        return version_converter.convert_version(model, OLDEST)
    except Exception:  # the converter's errors have no class of their own; the build then names the op
        return model


def _sorted(graph: onnx.GraphProto) -> list[NodeProto]:
    """The nodes, each behind those that make its inputs, otherwise in their order."""
    made = [name for node in graph.node for name in node.output if name]
    known = {v.name for v in graph.input} | {c.name for c in graph.initializer}
    known |= {c.values.name for c in graph.sparse_initializer} | {""}
    if len(made) != len(set(made)):
        double = sorted({name for name in made if made.count(name) > 1})
        raise Unreadable(ErrorCode.INVALID_GRAPH, f"Failed to sort the graph: two nodes make {', '.join(double)}")
    order, waiting = [], [(node, _wanted(node)) for node in graph.node]
    lost = sorted({name for _, wanted in waiting for name in wanted} - known - set(made))
    if lost:
        told = f"nothing makes {', '.join(lost)}, which a node reads: Node input was not registered."
        raise Unreadable(ErrorCode.INVALID_GRAPH, told)
    while waiting:
        later = []
        for node, wanted in waiting:
            if wanted <= known:
                order.append(node)
                known.update(node.output)
            else:
                later.append((node, wanted))
        if len(later) == len(waiting):
            told = ", ".join(node.name or node.op_type for node, _ in later[:5])
            raise Unreadable(ErrorCode.INVALID_GRAPH, f"Failed to sort the graph: it has a cycle ({told})")
        waiting = later
    gone = sorted({v.name for v in graph.output} - known)
    if gone:
        raise Unreadable(ErrorCode.INTERNAL_ERROR, f"nothing makes the output {', '.join(gone)}")
    return order


def _wanted(node: NodeProto) -> set[str]:
    """What a node reads, the graphs inside it included."""
    return {*node.input, *(name for graph in graphs_of(node) for name in captured(graph))}
