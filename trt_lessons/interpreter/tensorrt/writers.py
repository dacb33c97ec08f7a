"""What each kind of layer that the layer API adds is in ONNX: one short function a kind, and `WRITERS` names them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from . import enums as E
from .layers import ILayer
from .lowering import Emit, NetworkError
from .types import TO_ONNX, Dims, volume

if TYPE_CHECKING:
    from .network import ITensor


def bits(mask: int) -> list[int]:
    """The axes whose bits are set."""
    return [i for i in range(Dims.MAX_DIMS) if mask >> i & 1]


def _windows(layer: ILayer) -> dict:
    v = layer._values
    mode = v["padding_mode"].name if "padding_mode" in v else "EXPLICIT_ROUND_DOWN"
    ends = {"auto_pad": mode} if mode.startswith("SAME") else {"pads": [*v["pre_padding"], *v["post_padding"]]}
    return {"strides": list(v["stride_nd"])} | ends


def _weights(layer: ILayer, e: Emit, transposed: bool) -> list:
    v, inputs = layer._values, layer._inputs[:2]
    if v["kernel"] is not None:
        channels, maps, groups = e.known(inputs[0]).shape[1], v["num_output_maps"], v.get("num_groups", 1)
        shape = [channels, maps // groups] if transposed else [maps, channels // groups]
        shape += v["kernel_size_nd"]
        if v["kernel"].size != volume(shape):
            raise NetworkError(f"kernel weights has count {v['kernel'].size} but {volume(shape)} was expected")
        inputs = [inputs[0], e.const(v["kernel"].reshape(shape), "KERNEL")]
    return inputs if v["bias"] is None else [*inputs, e.const(v["bias"].ravel(), "BIAS")]


def _conv(layer: ILayer, e: Emit) -> None:
    v, transposed = layer._values, layer._kind == "IDeconvolutionLayer"
    attrs = {"dilations": list(v["dilation_nd"]), "group": v.get("num_groups", 1)} | _windows(layer)
    inputs, op = _weights(layer, e, transposed), "ConvTranspose" if transposed else "Conv"
    e.node(op, *inputs, kernel_shape=list(v["kernel_size_nd"]), **attrs)


def _pool(layer: ILayer, e: Emit) -> None:
    v = layer._values
    up = int(v.get("padding_mode") == E.PaddingMode.EXPLICIT_ROUND_UP)
    attrs = _windows(layer) | {"kernel_shape": list(v["window_size_nd"]), "ceil_mode": up}
    if v["type"] == E.PoolingType.MAX_AVERAGE_BLEND:
        raise NetworkError("the interpreter has no MAX_AVERAGE_BLEND pooling")
    if v["type"] == E.PoolingType.AVERAGE:
        attrs["count_include_pad"] = int(not v.get("average_count_excludes_padding", True))
    e.node("MaxPool" if v["type"] == E.PoolingType.MAX else "AveragePool", *layer._inputs, **attrs)


_ACTIVATIONS = {  # the ONNX op, and which of its attributes are TensorRT's alpha and beta
    "RELU": ("Relu",), "SIGMOID": ("Sigmoid",), "TANH": ("Tanh",), "SOFTSIGN": ("Softsign",),
    "LEAKY_RELU": ("LeakyRelu", "alpha"), "ELU": ("Elu", "alpha"), "SELU": ("Selu", "alpha", "gamma"),
    "HARD_SIGMOID": ("HardSigmoid", "alpha", "beta"), "THRESHOLDED_RELU": ("ThresholdedRelu", "alpha"),
}  # fmt: skip


def _activation(layer: ILayer, e: Emit) -> None:
    v, x = layer._values, layer._inputs[0]
    kind, a, b = v["type"].name, v.get("alpha", 0.0), v.get("beta", 0.0)
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
    axes = bits(layer._values["axes"])
    if len(axes) != 1:
        raise NetworkError(f"exactly one axis is wanted, the mask {layer._values['axes']:#b} has {len(axes)}")
    return axes[0]


def _matmul(layer: ILayer, e: Emit) -> None:
    sides, vectors, ranks = [], [], []
    for i, x in enumerate(layer._inputs):
        op, rank = layer._values[f"op{i}"], e.rank(x)
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
    a, b = (e.known(x) for x in layer._inputs)
    op = layer._values["op"].name
    if len(a.shape) != len(b.shape):
        raise NetworkError(f"Assertion x.nbDims == y.nbDims failed. mismatched inputs: {a.shape} and {b.shape}")
    if a.dtype != b.dtype:
        kinds = " and ".join(x.dtype.name.capitalize() for x in (a, b))
        raise NetworkError(f"operation {op} has incompatible input types {kinds}")
    if any(m != n and 1 not in (m, n) and -1 not in (m, n) for m, n in zip(a.shape, b.shape, strict=True)):
        told = "elementwise inputs must have same dimensions or follow broadcast rules"
        raise NetworkError(f"{told} (input dimensions were {a.shape} and {b.shape})")
    x, y = layer._inputs
    if op != "FLOOR_DIV":
        e.node(ELEMENTWISE[op], x, y)
    elif a.dtype in (E.DataType.INT32, E.DataType.INT64):
        # ONNX's Div cuts towards 0: take 1 off where a remainder has the other sign
        e.node("Div", e.step("Sub", x, e.step("Mod", x, y)), y)
    else:
        e.node("Floor", e.step("Div", x, y))


def _unary(layer: ILayer, e: Emit) -> None:
    op = layer._values["op"].name
    others = {"RECIP": "Reciprocal", "ISINF": "IsInf", "ISNAN": "IsNaN"}
    e.node(others.get(op, op.capitalize()), *layer._inputs)


def _reduce(layer: ILayer, e: Emit) -> None:
    v = layer._values
    op = {"AVG": "Mean"}.get(v["op"].name, v["op"].name.capitalize())
    more, attrs = _axes(e, op, bits(v["axes"]))
    e.node(f"Reduce{op}", layer._inputs[0], *more, keepdims=int(v["keep_dims"]), **attrs)


def _axes(e: Emit, op: str, axes: list[int]) -> tuple[list, dict]:
    """A reduction's axes: an input from opset 18 on (13 for the sum), an attribute before."""
    as_input = e.lowering.opset >= 18 or op == "Sum"
    return ([e.ints(axes, f"axes{len(e.nodes)}")], {}) if as_input else ([], {"axes": axes})


def _topk(layer: ILayer, e: Emit) -> None:
    v, (x, *given) = layer._values, layer._inputs
    count = e.step("Reshape", _as_int64(given[0], e), e.ints([1], "one")) if given else e.ints([v["k"]], "k")
    indices, largest = f"{e.last[0]}/indices", int(v["op"] == E.TopKOperation.MAX)
    e.node("TopK", x, count, outputs=[e.last[0], indices], axis=_one_axis(layer), largest=largest)
    e.node("Cast", indices, outputs=e.last[1:], to=TO_ONNX[v["indices_type"].name])


def _shuffle(layer: ILayer, e: Emit) -> None:
    v, x = layer._values, layer._inputs[0]
    steps: list[tuple[str, list, dict]] = []
    if "first_transpose" in v:
        steps.append(("Transpose", [], {"perm": list(v["first_transpose"])}))
    if len(layer._inputs) > 1:
        steps.append(("Reshape", [_as_int64(layer._inputs[1], e)], {}))
    elif "reshape_dims" in v:
        shape, wanted = e.known(x).shape, v["reshape_dims"]
        if -1 not in shape and not {0, -1} & set(wanted) and volume(shape) != volume(wanted):
            raise NetworkError(f"reshape changes volume. Reshaping {list(shape)} to {list(wanted)}.")
        zero = {} if v.get("zero_is_placeholder", True) else {"allowzero": 1}
        steps.append(("Reshape", [e.ints(v["reshape_dims"], "shape")], zero))
    if "second_transpose" in v:
        steps.append(("Transpose", [], {"perm": list(v["second_transpose"])}))
    e.chain(x, steps)


def _as_int64(x: ITensor | str, e: Emit) -> str:
    return e.step("Cast", x, to=TensorProto.INT64)


def _slice(layer: ILayer, e: Emit) -> None:
    v, (x, *given) = layer._values, layer._inputs
    if v.get("mode", E.SampleMode.STRICT_BOUNDS) != E.SampleMode.STRICT_BOUNDS:
        raise NetworkError("the interpreter slices within bounds only (SampleMode.STRICT_BOUNDS)")
    axes, given = list(v.get("axes") or range(e.rank(x))), given[:3] + [None] * (3 - len(given))
    start, size, stride = (
        e.ints(v[name], name) if tensor is None else _as_int64(tensor, e)
        for tensor, name in zip(given, ("start", "shape", "stride"), strict=True)
    )
    if given == [None] * 3:  # a negative stride ends one before the first element: far below 0, not at -1
        numbers = [s + n * k for s, n, k in zip(v["start"], v["shape"], v["stride"], strict=True)]
        ends = e.ints([n if n >= 0 else -(2**62) for n in numbers], "ends")
    else:
        ends = e.step("Add", start, e.step("Mul", size, stride))
    e.node("Slice", x, start, ends, e.ints(axes, "axes"), stride)


def _concat(layer: ILayer, e: Emit) -> None:
    kinds = {e.known(x).dtype for x in layer._inputs}
    if len(kinds) > 1:
        raise NetworkError(f"inputs to concatenate must have one type, got {sorted(k.name for k in kinds)}")
    e.node("Concat", *layer._inputs, axis=layer._values["axis"])


def _gather(layer: ILayer, e: Emit) -> None:
    v, (x, indices) = layer._values, layer._inputs
    if v["mode"] == E.GatherMode.ND:
        e.node("GatherND", x, _as_int64(indices, e), batch_dims=v.get("num_elementwise_dims", 0))
    else:
        op = "Gather" if v["mode"] == E.GatherMode.DEFAULT else "GatherElements"
        e.node(op, x, indices, axis=v.get("axis", 0))


def _resize(layer: ILayer, e: Emit) -> None:
    v, (x, *given) = layer._values, layer._inputs
    if given or "shape" in v:
        size = ["", _as_int64(given[0], e) if given else e.ints(v["shape"], "shape")]
    else:
        size = [e.const(np.array(v["scales"], np.float32), "scales")]
    rounding = {"FLOOR": "floor", "CEIL": "ceil", "HALF_UP": "round_prefer_ceil", "HALF_DOWN": "round_prefer_floor"}
    coordinate = v.get("coordinate_transformation", E.ResizeCoordinateTransformation.ASYMMETRIC)
    nearest = v.get("nearest_rounding", E.ResizeRoundMode.FLOOR)
    e.node(
        "Resize", x, "", *size, cubic_coeff_a=v.get("cubic_coeff", -0.75), nearest_mode=rounding[nearest.name],
        mode=v.get("resize_mode", E.InterpolationMode.NEAREST).name.lower(),
        coordinate_transformation_mode=coordinate.name.lower(),
    )  # fmt: skip


def _scale(layer: ILayer, e: Emit) -> None:
    v, x = layer._values, layer._inputs[0]
    mode, axis, shape = v["mode"].name, v["channel_axis"], e.known(x).shape
    wide = {"UNIFORM": [], "CHANNEL": [-1 if i == axis else 1 for i in range(len(shape))],
            "ELEMENTWISE": [1 if i < axis else d for i, d in enumerate(shape)]}[mode]  # fmt: skip
    ops = {"scale": "Mul", "shift": "Add", "power": "Pow"}
    given = [(op, e.const(v[name].reshape(wide), name.upper())) for name, op in ops.items() if v[name] is not None]
    e.chain(x, [(op, [constant], {}) for op, constant in given])


def _normalization(layer: ILayer, e: Emit) -> None:
    x, scale, bias = layer._inputs
    v, groups = layer._values, layer._values.get("num_groups", 1)
    axes, value = bits(v["axes"]), x
    if groups != 1:
        value, axes = e.step("Reshape", x, e.ints([0, groups, -1], "groups")), [2]

    def mean(of: ITensor | str) -> str:
        more, attrs = _axes(e, "Mean", axes)
        return e.step("ReduceMean", of, *more, keepdims=1, **attrs)

    centred = e.step("Sub", value, mean(value))
    variance = mean(e.step("Mul", centred, centred))
    sigma = e.step("Sqrt", e.step("Add", variance, e.const(v.get("epsilon", 1e-5), "epsilon", x)))
    normal = e.step("Div", centred, sigma)
    if groups != 1:
        normal = e.step("Reshape", normal, e.step("Shape", x))
    e.node("Add", e.step("Mul", normal, scale), bias)


def _quantize(layer: ILayer, e: Emit) -> None:
    v, (x, scale) = layer._values, layer._inputs[:2]
    quantizes = layer._kind == "IQuantizeLayer"
    kind = v["to_type"] if quantizes else e.known(x).dtype
    op, inputs, attrs = "QuantizeLinear" if quantizes else "DequantizeLinear", [x, scale], {}
    if not e.known(scale).shape:
        e.constants.append(helper.make_tensor(f"{layer._name}:ZERO", TO_ONNX[kind.name], [], [0]))
        inputs.append(e.constants[-1].name)
    else:
        attrs = {"axis": v["axis"]} if v.get("axis", -1) >= 0 else {}
        attrs |= {"output_dtype": TO_ONNX[kind.name]} if quantizes else {}
    e.node(op, *inputs, **attrs)


def _padding(layer: ILayer, e: Emit) -> None:
    v, x = layer._values, layer._inputs[0]
    front = [0] * (e.rank(x) - len(v["pre_padding_nd"]))
    e.node("Pad", x, e.ints([*front, *v["pre_padding_nd"], *front, *v["post_padding_nd"]], "pads"))


def constant_proto(layer: ILayer) -> TensorProto:
    """A constant layer's numbers under its output's name; a parsed one keeps the file's own bytes."""
    name, values = layer._outputs[0]._name, layer._values
    if "proto" not in values:
        if values["weights"].size != volume(values["shape"]):
            count, wanted = values["weights"].size, volume(values["shape"])
            raise NetworkError(f"constant weights has count {count} but {wanted} was expected")
        return numpy_helper.from_array(values["weights"].reshape(tuple(values["shape"])), name)
    proto = TensorProto()
    proto.CopyFrom(values["proto"])
    proto.name = name
    return proto


def _non_zero(layer: ILayer, e: Emit) -> None:
    e.node("Cast", e.step("NonZero", *layer._inputs), to=TO_ONNX[layer._values["indices_type"].name])


def _lrn(layer: ILayer, e: Emit) -> None:
    v = layer._values
    e.node("LRN", *layer._inputs, size=v["window_size"], alpha=v["alpha"], beta=v["beta"], bias=v["k"])


_SAME_OP = {  # layers that are one ONNX op without attributes
    "ISelectLayer": "Where", "IIdentityLayer": "Identity", "IShapeLayer": "Shape", "IParametricReLULayer": "PRelu",
    "ISqueezeLayer": "Squeeze", "IUnsqueezeLayer": "Unsqueeze",
}  # fmt: skip
WRITERS: dict[str, Callable[[ILayer, Emit], object]] = {
    "IConvolutionLayer": _conv, "IDeconvolutionLayer": _conv, "IPoolingLayer": _pool, "IActivationLayer": _activation,
    "ISoftMaxLayer": lambda layer, e: e.node("Softmax", *layer._inputs, axis=_one_axis(layer)),
    "IMatrixMultiplyLayer": _matmul, "IConstantLayer": lambda layer, e: e.constants.append(constant_proto(layer)),
    "IElementWiseLayer": _elementwise, "IUnaryLayer": _unary, "IReduceLayer": _reduce, "ITopKLayer": _topk,
    "IShuffleLayer": _shuffle, "ISliceLayer": _slice, "IConcatenationLayer": _concat, "IGatherLayer": _gather,
    "IResizeLayer": _resize, "IScaleLayer": _scale, "INormalizationLayer": _normalization, "IPaddingLayer": _padding,
    "ICastLayer": lambda layer, e: e.node("Cast", *layer._inputs, to=TO_ONNX[layer._values["to_type"].name]),
    "IQuantizeLayer": _quantize, "IDequantizeLayer": _quantize, "INonZeroLayer": _non_zero, "ILRNLayer": _lrn,
    "IEinsumLayer": lambda layer, e: e.node("Einsum", *layer._inputs, equation=layer._values["equation"]),
    **dict.fromkeys(_SAME_OP, lambda layer, e: e.node(_SAME_OP[layer._kind], *layer._inputs)),
}  # fmt: skip
