"""What each kind of layer that the layer API adds is in ONNX: one short function a kind, and `WRITERS` names them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from .. import enums as E
from ..layers import ILayer, ITensor
from ..types import TO_ONNX, Dims, volume
from .lowering import Emit
from .shapes import NetworkError


def bits(mask: int) -> list[int]:
    """The axes whose bits are set."""
    return [i for i in range(Dims.MAX_DIMS) if mask >> i & 1]


def _windows(layer: ILayer) -> dict:
    mode = layer.padding_mode.name if layer.padding_mode is not None else "EXPLICIT_ROUND_DOWN"
    ends = {"auto_pad": mode} if mode.startswith("SAME") else {"pads": [*layer.pre_padding, *layer.post_padding]}
    return {"strides": list(layer.stride_nd)} | ends


def _weights(layer: ILayer, e: Emit, transposed: bool) -> list:
    inputs = e.inputs[:2]
    if layer.kernel is not None:
        channels, maps, groups = e.known(inputs[0]).shape[1], layer.num_output_maps, layer.num_groups
        shape = [channels, maps // groups] if transposed else [maps, channels // groups]
        shape += layer.kernel_size_nd
        if layer.kernel.size != volume(shape):
            raise NetworkError(f"kernel weights has count {layer.kernel.size} but {volume(shape)} was expected")
        inputs = [inputs[0], e.const(layer.kernel.reshape(shape), "KERNEL")]
    return inputs if layer.bias is None else [*inputs, e.const(layer.bias.ravel(), "BIAS")]


def _conv(layer: ILayer, e: Emit) -> None:
    transposed = e.kind == E.LayerType.DECONVOLUTION
    attrs = {"dilations": list(layer.dilation_nd), "group": layer.num_groups} | _windows(layer)
    inputs, op = _weights(layer, e, transposed), "ConvTranspose" if transposed else "Conv"
    e.node(op, *inputs, kernel_shape=list(layer.kernel_size_nd), **attrs)


def _pool(layer: ILayer, e: Emit) -> None:
    up = int(layer.padding_mode == E.PaddingMode.EXPLICIT_ROUND_UP)
    attrs = _windows(layer) | {"kernel_shape": list(layer.window_size_nd), "ceil_mode": up}
    if layer.type == E.PoolingType.MAX_AVERAGE_BLEND:
        raise NetworkError("the interpreter has no MAX_AVERAGE_BLEND pooling")
    if layer.type == E.PoolingType.AVERAGE:
        attrs["count_include_pad"] = int(not layer.average_count_excludes_padding)
    e.node("MaxPool" if layer.type == E.PoolingType.MAX else "AveragePool", *e.inputs, **attrs)


_ACTIVATIONS = {  # the ONNX op, and which of its attributes are TensorRT's alpha and beta
    "RELU": ("Relu",), "SIGMOID": ("Sigmoid",), "TANH": ("Tanh",), "SOFTSIGN": ("Softsign",),
    "LEAKY_RELU": ("LeakyRelu", "alpha"), "ELU": ("Elu", "alpha"), "SELU": ("Selu", "alpha", "gamma"),
    "HARD_SIGMOID": ("HardSigmoid", "alpha", "beta"), "THRESHOLDED_RELU": ("ThresholdedRelu", "alpha"),
}  # fmt: skip


def _activation(layer: ILayer, e: Emit) -> None:
    x = e.inputs[0]
    kind, a, b = layer.type.name, layer.alpha, layer.beta
    if kind in _ACTIVATIONS:
        op, *names = _ACTIVATIONS[kind]
        e.node(op, x, **dict(zip(names, (a, b), strict=False)))
    elif kind == "CLIP":
        e.node("Clip", x, e.const(a, "low", x), e.const(b, "high", x))
    elif curve := {"SCALED_TANH": "Tanh", "SOFTPLUS": "Softplus"}.get(kind):  # alpha * curve(beta * x)
        e.chain(x, [("Mul", [e.const(b, "beta", x)], {}), (curve, [], {}), ("Mul", [e.const(a, "alpha", x)], {})])
    else:
        _gelu(x, e, kind)


def _gelu(x: ITensor, e: Emit, kind: str) -> None:
    if kind == "GELU_ERF":
        curve = e.step("Erf", e.step("Div", x, e.const(np.sqrt(2.0), "sqrt2", x)))
    else:
        cube = e.step("Mul", e.step("Mul", x, x), x)
        inner = e.step("Add", x, e.step("Mul", cube, e.const(0.044715, "c", x)))
        curve = e.step("Tanh", e.step("Mul", inner, e.const(np.sqrt(2 / np.pi), "k", x)))
    e.node("Mul", e.step("Mul", x, e.const(0.5, "half", x)), e.step("Add", curve, e.const(1.0, "one", x)))


def _one_axis(layer: ILayer) -> int:
    axes = bits(layer.axes)
    if len(axes) != 1:
        raise NetworkError(f"exactly one axis is wanted, the mask {layer.axes:#b} has {len(axes)}")
    return axes[0]


def _matmul(layer: ILayer, e: Emit) -> None:
    sides, vectors, ranks = [], [], []
    for i, x in enumerate(e.inputs):
        op, rank = (layer.op0, layer.op1)[i], e.rank(x)
        if op == E.MatrixOperation.TRANSPOSE:
            x = e.step("Transpose", x, perm=[*range(rank - 2), rank - 1, rank - 2])
        elif op == E.MatrixOperation.VECTOR:
            x = e.step("Unsqueeze", x, e.ints([rank - 1 + i], f"axis{i}"))
            vectors.append(-2 + i)
        sides.append(x)
        ranks.append(rank + (op == E.MatrixOperation.VECTOR))
    if ranks[0] != ranks[1]:
        raise NetworkError(f"inputs must have equal ranks, they have {ranks[0]} and {ranks[1]}")
    if vectors:
        e.node("Squeeze", e.step("MatMul", *sides), e.ints(vectors, "axes"))
    else:
        e.node("MatMul", *sides)


ELEMENTWISE = {
    "SUM": "Add", "PROD": "Mul", "MAX": "Max", "MIN": "Min", "SUB": "Sub", "DIV": "Div", "POW": "Pow", "AND": "And",
    "OR": "Or", "XOR": "Xor", "EQUAL": "Equal", "GREATER": "Greater", "LESS": "Less",
}  # fmt: skip


def _elementwise(layer: ILayer, e: Emit) -> None:
    a, b = (e.known(x) for x in e.inputs)
    op = layer.op.name
    if len(a.shape) != len(b.shape):
        raise NetworkError(f"Assertion x.nbDims == y.nbDims failed. mismatched inputs: {a.shape} and {b.shape}")
    if a.dtype != b.dtype:
        kinds = " and ".join(x.dtype.name.capitalize() for x in (a, b))
        raise NetworkError(f"operation {op} has incompatible input types {kinds}")
    if any(m != n and 1 not in (m, n) and -1 not in (m, n) for m, n in zip(a.shape, b.shape, strict=True)):
        told = "elementwise inputs must have same dimensions or follow broadcast rules"
        raise NetworkError(f"{told} (input dimensions were {a.shape} and {b.shape})")
    x, y = e.inputs
    if op != "FLOOR_DIV":
        e.node(ELEMENTWISE[op], x, y)
    elif a.dtype in (E.DataType.INT32, E.DataType.INT64):
        # ONNX's Div cuts towards 0: take 1 off where a remainder has the other sign
        e.node("Div", e.step("Sub", x, e.step("Mod", x, y)), y)
    else:
        e.node("Floor", e.step("Div", x, y))


def _unary(layer: ILayer, e: Emit) -> None:
    op = layer.op.name
    others = {"RECIP": "Reciprocal", "ISINF": "IsInf", "ISNAN": "IsNaN"}
    e.node(others.get(op, op.capitalize()), *e.inputs)


def _reduce(layer: ILayer, e: Emit) -> None:
    op = {"AVG": "Mean"}.get(layer.op.name, layer.op.name.capitalize())
    more, attrs = _axes(e, op, bits(layer.axes))
    e.node(f"Reduce{op}", e.inputs[0], *more, keepdims=int(layer.keep_dims), **attrs)


def _axes(e: Emit, op: str, axes: list[int]) -> tuple[list, dict]:
    """A reduction's axes: an input from opset 18 on (13 for the sum), an attribute before."""
    as_input = e.lowering.opset >= 18 or op == "Sum"
    return ([e.ints(axes, f"axes{len(e.nodes)}")], {}) if as_input else ([], {"axes": axes})


def _topk(layer: ILayer, e: Emit) -> None:
    x, *given = e.inputs
    count = e.step("Reshape", _as_int64(given[0], e), e.ints([1], "one")) if given else e.ints([layer.k], "k")
    indices, largest = f"{e.last[0]}/indices", int(layer.op == E.TopKOperation.MAX)
    e.node("TopK", x, count, outputs=[e.last[0], indices], axis=_one_axis(layer), largest=largest)
    e.node("Cast", indices, outputs=e.last[1:], to=TO_ONNX[layer.indices_type.name])


def _shuffle(layer: ILayer, e: Emit) -> None:
    x = e.inputs[0]
    steps: list[tuple[str, list, dict]] = []
    if layer.first_transpose is not None:
        steps.append(("Transpose", [], {"perm": list(layer.first_transpose)}))
    if len(e.inputs) > 1:
        steps.append(("Reshape", [_as_int64(e.inputs[1], e)], {}))
    elif layer.reshape_dims is not None:
        shape, wanted = e.known(x).shape, layer.reshape_dims
        if -1 not in shape and not {0, -1} & set(wanted) and volume(shape) != volume(wanted):
            raise NetworkError(f"reshape changes volume. Reshaping {list(shape)} to {list(wanted)}.")
        zero = {} if layer.zero_is_placeholder else {"allowzero": 1}
        steps.append(("Reshape", [e.ints(layer.reshape_dims, "shape")], zero))
    if layer.second_transpose is not None:
        steps.append(("Transpose", [], {"perm": list(layer.second_transpose)}))
    e.chain(x, steps)


def _as_int64(x: ITensor | str, e: Emit) -> str:
    return e.step("Cast", x, to=TensorProto.INT64)


def _slice(layer: ILayer, e: Emit) -> None:
    x, *given = e.inputs
    if layer.mode != E.SampleMode.STRICT_BOUNDS:
        raise NetworkError("the interpreter slices within bounds only (SampleMode.STRICT_BOUNDS)")
    axes, given = list(layer.axes or range(e.rank(x))), given[:3] + [None] * (3 - len(given))
    start, size, stride = (
        e.ints(getattr(layer, name), name) if tensor is None else _as_int64(tensor, e)
        for tensor, name in zip(given, ("start", "shape", "stride"), strict=True)
    )
    if given == [None] * 3:  # a negative stride ends one before the first element: far below 0, not at -1
        numbers = [s + n * k for s, n, k in zip(layer.start, layer.shape, layer.stride, strict=True)]
        ends = e.ints([n if n >= 0 else -(2**62) for n in numbers], "ends")
    else:
        ends = e.step("Add", start, e.step("Mul", size, stride))
    e.node("Slice", x, start, ends, e.ints(axes, "axes"), stride)


def _concat(layer: ILayer, e: Emit) -> None:
    kinds = {e.known(x).dtype for x in e.inputs}
    if len(kinds) > 1:
        raise NetworkError(f"inputs to concatenate must have one type, got {sorted(k.name for k in kinds)}")
    e.node("Concat", *e.inputs, axis=layer.axis)


def _gather(layer: ILayer, e: Emit) -> None:
    x, indices = e.inputs
    if layer.mode == E.GatherMode.ND:
        e.node("GatherND", x, _as_int64(indices, e), batch_dims=layer.num_elementwise_dims)
    else:
        op = "Gather" if layer.mode == E.GatherMode.DEFAULT else "GatherElements"
        e.node(op, x, indices, axis=layer.axis)


def _resize(layer: ILayer, e: Emit) -> None:
    x, *given = e.inputs
    if given or layer.shape is not None:
        size = ["", _as_int64(given[0], e) if given else e.ints(layer.shape, "shape")]
    else:
        size = [e.const(np.array(layer.scales, np.float32), "scales")]
    rounding = {"FLOOR": "floor", "CEIL": "ceil", "HALF_UP": "round_prefer_ceil", "HALF_DOWN": "round_prefer_floor"}
    coordinate = layer.coordinate_transformation
    nearest = layer.nearest_rounding
    e.node(
        "Resize", x, "", *size, cubic_coeff_a=layer.cubic_coeff, nearest_mode=rounding[nearest.name],
        mode=layer.resize_mode.name.lower(),
        coordinate_transformation_mode=coordinate.name.lower(),
    )  # fmt: skip


def _scale(layer: ILayer, e: Emit) -> None:
    x = e.inputs[0]
    mode, axis, shape = layer.mode.name, layer.channel_axis, e.known(x).shape
    wide = {"UNIFORM": [], "CHANNEL": [-1 if i == axis else 1 for i in range(len(shape))],
            "ELEMENTWISE": [1 if i < axis else d for i, d in enumerate(shape)]}[mode]  # fmt: skip
    ops = {"scale": "Mul", "shift": "Add", "power": "Pow"}
    numbers = [(op, name, getattr(layer, name)) for name, op in ops.items()]
    given = [(op, e.const(array.reshape(wide), name.upper())) for op, name, array in numbers if array is not None]
    e.chain(x, [(op, [constant], {}) for op, constant in given])


def _normalization(layer: ILayer, e: Emit) -> None:
    x, scale, bias = e.inputs
    groups = layer.num_groups
    axes, value = bits(layer.axes), x
    if groups != 1:
        value, axes = e.step("Reshape", x, e.ints([0, groups, -1], "groups")), [2]

    def mean(of: ITensor | str) -> str:
        more, attrs = _axes(e, "Mean", axes)
        return e.step("ReduceMean", of, *more, keepdims=1, **attrs)

    centred = e.step("Sub", value, mean(value))
    variance = mean(e.step("Mul", centred, centred))
    sigma = e.step("Sqrt", e.step("Add", variance, e.const(layer.epsilon, "epsilon", x)))
    normal = e.step("Div", centred, sigma)
    if groups != 1:
        normal = e.step("Reshape", normal, e.step("Shape", x))
    e.node("Add", e.step("Mul", normal, scale), bias)


def _quantize(layer: ILayer, e: Emit) -> None:
    x, scale = e.inputs[:2]
    quantizes = e.kind == E.LayerType.QUANTIZE
    kind = layer.to_type if quantizes else e.known(x).dtype
    op, inputs, attrs = "QuantizeLinear" if quantizes else "DequantizeLinear", [x, scale], {}
    if not e.known(scale).shape:
        e.constants.append(helper.make_tensor(f"{e.name}:ZERO", TO_ONNX[kind.name], [], [0]))
        inputs.append(e.constants[-1].name)
    else:
        attrs = {"axis": layer.axis} if layer.axis >= 0 else {}
        attrs |= {"output_dtype": TO_ONNX[kind.name]} if quantizes else {}
    e.node(op, *inputs, **attrs)


def _padding(layer: ILayer, e: Emit) -> None:
    x = e.inputs[0]
    front = [0] * (e.rank(x) - len(layer.pre_padding_nd))
    e.node("Pad", x, e.ints([*front, *layer.pre_padding_nd, *front, *layer.post_padding_nd], "pads"))


def _constant(layer: ILayer, e: Emit) -> None:
    if layer.weights.size != volume(layer.shape):
        raise NetworkError(f"constant weights has count {layer.weights.size} but {volume(layer.shape)} was expected")
    e.constants.append(numpy_helper.from_array(layer.weights.reshape(tuple(layer.shape)), e.last[0]))


def _non_zero(layer: ILayer, e: Emit) -> None:
    e.node("Cast", e.step("NonZero", *e.inputs), to=TO_ONNX[layer.indices_type.name])


def _lrn(layer: ILayer, e: Emit) -> None:
    e.node("LRN", *e.inputs, size=layer.window_size, alpha=layer.alpha, beta=layer.beta, bias=layer.k)


_SAME_OP = {  # layers that are one ONNX op without attributes
    "SELECT": "Where", "IDENTITY": "Identity", "SHAPE": "Shape", "PARAMETRIC_RELU": "PRelu", "SQUEEZE": "Squeeze",
    "UNSQUEEZE": "Unsqueeze",
}  # fmt: skip
_WRITERS: dict[str, Callable[[ILayer, Emit], object]] = {
    "CONVOLUTION": _conv, "DECONVOLUTION": _conv, "POOLING": _pool, "ACTIVATION": _activation,
    "SOFTMAX": lambda layer, e: e.node("Softmax", *e.inputs, axis=_one_axis(layer)),
    "MATRIX_MULTIPLY": _matmul, "CONSTANT": _constant, "ELEMENTWISE": _elementwise, "UNARY": _unary,
    "REDUCE": _reduce, "TOPK": _topk, "SHUFFLE": _shuffle, "SLICE": _slice, "CONCATENATION": _concat,
    "GATHER": _gather, "RESIZE": _resize, "SCALE": _scale, "NORMALIZATION": _normalization, "PADDING": _padding,
    "CAST": lambda layer, e: e.node("Cast", *e.inputs, to=TO_ONNX[layer.to_type.name]),
    "QUANTIZE": _quantize, "DEQUANTIZE": _quantize, "NON_ZERO": _non_zero, "LRN": _lrn,
    "EINSUM": lambda layer, e: e.node("Einsum", *e.inputs, equation=layer.equation),
    **dict.fromkeys(_SAME_OP, lambda layer, e: e.node(_SAME_OP[e.kind.name], *e.inputs)),
}  # fmt: skip
WRITERS = {E.LayerType.__members__[name]: writer for name, writer in _WRITERS.items()}
