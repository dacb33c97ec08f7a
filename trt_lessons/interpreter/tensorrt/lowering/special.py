"""What the rarer kinds of layer are in ONNX: fill, scatter, one-hot, NMS, cumulative, attention, conditionals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import TensorProto, helper

from .. import enums as E
from ..layers import ILayer, ITensor
from ..types import TO_ONNX
from .lowering import Emit
from .shapes import NetworkError

INT64 = TensorProto.INT64


def _fill(layer: ILayer, e: Emit) -> None:
    inputs = [*e.inputs, None, None, None][:3]
    kind = TO_ONNX[layer.to_type.name]
    sizes = e.step("Cast", inputs[0], to=INT64) if inputs[0] else e.ints(layer.shape, "shape")
    if layer.operation == E.FillOperation.LINSPACE:
        _linspace(layer, e, sizes, kind, inputs[1:])
        return
    low, high = (_number(layer, e, i, tensor, kind) for i, tensor in enumerate(inputs[1:]))
    space = e.step("ConstantOfShape", sizes, value=helper.make_tensor("zero", kind, [1], [0]))
    if layer.operation == E.FillOperation.RANDOM_UNIFORM:
        drawn, wide = e.step("RandomUniformLike", space), e.step("Sub", high, low)
    else:
        drawn, wide = e.step("RandomNormalLike", space), high
    e.node("Add", e.step("Mul", drawn, wide), low)


def _number(layer: ILayer, e: Emit, index: int, tensor: ITensor | None, kind: int) -> ITensor | str:
    """A fill's alpha or beta: the tensor, or a constant of the output's type."""
    if tensor is not None:
        return tensor
    name = ("alpha", "beta")[index]
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    return e.const(np.array(getattr(layer, name), dtype), name)


def _linspace(layer: ILayer, e: Emit, sizes: str, kind: int, given: list) -> None:
    """alpha + sum over the axes of beta[axis] * index[axis]."""
    rank = e.known(e.inputs[0]).shape[0] if e.inputs and e.inputs[0] is not None else len(layer.shape)
    value, steps = (_number(layer, e, i, tensor, kind) for i, tensor in enumerate(given))
    if rank > 1 and given[1] is None:
        raise NetworkError("LINSPACE of several axes wants beta as a tensor (its third input), one number an axis")
    zero, one = e.const(np.int64(0), "zero"), e.const(np.int64(1), "one")
    for axis in range(rank):
        place = e.const(np.int64(axis), f"axis{axis}")
        count = e.step("Gather", sizes, place)
        index = e.step("Cast", e.step("Range", zero, count, one), to=kind)
        beside = e.ints([-1, *[1] * (rank - 1 - axis)], f"beside{axis}")
        step = steps if rank == 1 else e.step("Gather", steps, place)
        value = e.step("Add", value, e.step("Mul", e.step("Reshape", index, beside), step))
    e.node("Identity", value) if rank else e.node("Reshape", value, sizes)


def _scatter(layer: ILayer, e: Emit) -> None:
    data, indices, updates = e.inputs
    places = e.step("Cast", indices, to=INT64)
    if layer.mode == E.ScatterMode.ND:
        e.node("ScatterND", data, places, updates)
    else:
        e.node("ScatterElements", data, places, updates, axis=layer.axis)


def _one_hot(layer: ILayer, e: Emit) -> None:
    indices, values, depth = e.inputs
    e.node("OneHot", indices, depth, values, axis=layer.axis)


def _nms(layer: ILayer, e: Emit) -> None:
    boxes, scores, most, *limits = e.inputs
    if e.rank(boxes) != 3:
        raise NetworkError("the interpreter computes NMS for boxes of [batch, count, 4] only; TensorRT has more")
    most = e.step("Reshape", e.step("Cast", most, to=INT64), e.ints([1], "one"))
    limits = [e.step("Reshape", x, e.ints([1], f"one{i}")) for i, x in enumerate(limits) if x is not None]
    by_class = e.step("Transpose", scores, perm=[0, 2, 1])
    centre = int(layer.bounding_box_format == E.BoundingBoxFormat.CENTER_SIZES)
    found = e.step("NonMaxSuppression", boxes, by_class, most, *limits, center_point_box=centre)
    kind = TO_ONNX[layer.indices_type.name]
    e.node("Cast", found, outputs=e.last[:1], to=kind)
    count = e.step("Gather", e.step("Shape", found), e.const(np.int64(0), "first"))
    e.node("Cast", count, outputs=e.last[1:], to=TensorProto.INT32)


def _cumulative(layer: ILayer, e: Emit) -> None:
    e.node("CumSum", *e.inputs, exclusive=int(layer.exclusive), reverse=int(layer.reverse))


def _attention(layer: ILayer, e: Emit) -> None:
    query, key, value, *mask = e.inputs
    scores = e.step("MatMul", query, e.step("Transpose", key, perm=[0, 1, 3, 2]))
    if layer.causal and mask:
        raise NetworkError("an attention has a mask or is causal, not both")
    if layer.causal:
        sizes = [e.step("Gather", e.step("Shape", x), e.ints([2], f"length{i}")) for i, x in enumerate((query, key))]
        ones = helper.make_tensor("one", TensorProto.BOOL, [1], [1])
        seen = e.step("Trilu", e.step("ConstantOfShape", e.step("Concat", *sizes, axis=0), value=ones), upper=0)
        scores = e.step("Where", seen, scores, e.const(-np.inf, "hidden", query))
    elif mask and e.known(mask[0]).dtype == E.DataType.BOOL:
        scores = e.step("Where", mask[0], scores, e.const(-np.inf, "hidden", query))
    elif mask:
        scores = e.step("Add", scores, mask[0])
    if layer.norm_op == E.AttentionNormalizationOp.SOFTMAX:
        scores = e.step("Softmax", scores, axis=-1)
    e.node("MatMul", scores, value)


def _choice(layer: ILayer, e: Emit) -> None:
    """An If whose branches hand on what is worked out before it: the numbers are those of lazy branches."""
    asked = [c for c in e.lowering.layers_of(E.LayerType.CONDITION) if c.conditional is layer.conditional]
    if not asked:
        raise NetworkError("its conditional has no condition: call set_condition")
    shapes = [tuple(e.known(x).shape) for x in e.inputs]
    if shapes[0] != shapes[1]:
        raise NetworkError(f"the two branches have shapes {shapes[0]} and {shapes[1]}; they must be equal")
    kind = TO_ONNX[e.known(e.inputs[0]).dtype.name]
    branches = {}
    for name, tensor in zip(("then_branch", "else_branch"), e.inputs, strict=True):
        inner = f"{e.last[0]}/{name}"
        info = helper.make_tensor_value_info(inner, kind, None)
        branches[name] = helper.make_graph([helper.make_node("Identity", [tensor.name], [inner])], name, [], [info])
    scalar = e.step("Reshape", asked[0].get_input(0), e.ints([], "scalar"))
    e.node("If", scalar, **branches)


_WRITERS: dict[str, Callable[[ILayer, Emit], object]] = {
    "FILL": _fill, "SCATTER": _scatter, "ONE_HOT": _one_hot, "NMS": _nms, "CUMULATIVE": _cumulative,
    "ATTENTION_INPUT": lambda layer, e: None, "ATTENTION_OUTPUT": _attention, "CONDITION": lambda layer, e: None,
    "CONDITIONAL_INPUT": lambda layer, e: e.node("Identity", *e.inputs), "CONDITIONAL_OUTPUT": _choice,
}  # fmt: skip
SPECIAL = {E.LayerType.__members__[name]: writer for name, writer in _WRITERS.items()}
