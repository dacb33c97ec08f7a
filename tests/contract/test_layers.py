"""Every kind of layer against NumPy or PyTorch: attributes, types, static and dynamic shapes."""

from __future__ import annotations

import functools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from trt_lessons import compat

from .networks import INT_SHAPES, Bundle, Case, close, engine_of, network, numbers, run, trt, trt_type

# On 8.6 only: {case id: why it may differ there}.
DIFFERS: dict[str, str] = {
    "unary-NEG_int32": "8.6 negates no INT32",
    "cast-int32_to_float": "8.6.0 takes a small INT32 input for a shape tensor and works no shape out behind the cast",
    "quantize-per_channel": "8.6 may take a scale per channel for weights only",
    "scale-nd": "8.6 scales along a channel axis only with two or three axes behind it",
}

CASES: list[Case] = []


def case(kind, name, define, inputs, wanted, **more):
    """Add a case; its id is the kind and the name."""
    wanted = wanted if isinstance(wanted, list) else [wanted]
    wanted = [w.numpy() if isinstance(w, torch.Tensor) else np.asarray(w) for w in wanted]
    CASES.append(Case(kind, f"{kind}-{name}", define, inputs, wanted, **more))


def t(array):
    return torch.from_numpy(np.ascontiguousarray(array))


def out(layer, index=0):
    return layer.get_output(index)


def with_attributes(layer, **attributes):
    for name, value in attributes.items():
        setattr(layer, name, value)
    return layer


# --- convolutions and pooling ------------------------------------------------------------------------------

IMAGE = numbers(2, 4, 9, 8)
KERNEL = numbers(6, 4, 3, 3, low=-0.5, high=0.5, seed=1)
BIAS = numbers(6, seed=2)
GROUPED = numbers(6, 2, 3, 3, low=-0.5, high=0.5, seed=3)
ROW = numbers(2, 4, 12, seed=4)
POINTWISE = numbers(3, 4, 1, 1, seed=6)
UP = numbers(4, 5, 3, 3, low=-0.5, high=0.5, seed=7)
UP_BIAS = numbers(5, seed=8)
UP_GROUPED = numbers(4, 3, 2, 2, low=-0.5, high=0.5, seed=9)


def convolution(kernel, bias=None, **attributes):
    size = kernel.shape[2:]

    def define(net, x):
        return out(with_attributes(net.add_convolution_nd(x, kernel.shape[0], size, kernel, bias), **attributes))

    return define


CONVOLUTIONS = {
    "plain": (KERNEL, None, {}, {}),
    "bias": (KERNEL, BIAS, {}, {}),
    "padding": (KERNEL, BIAS, {"padding_nd": (1, 1)}, {"padding": (1, 1)}),
    "stride": (KERNEL, None, {"stride_nd": (2, 3)}, {"stride": (2, 3)}),
    "dilation": (KERNEL, None, {"dilation_nd": (2, 2)}, {"dilation": (2, 2)}),
    "groups": (GROUPED, None, {"num_groups": 2}, {"groups": 2}),
    "pointwise": (POINTWISE, None, {}, {}),
}
for _name, (_kernel, _bias, _ours, _theirs) in CONVOLUTIONS.items():
    case(
        "conv",
        _name,
        convolution(_kernel, _bias, **_ours),
        {"x": IMAGE},
        F.conv2d(t(IMAGE), t(_kernel), None if _bias is None else t(_bias), **_theirs),
    )
case(
    "conv",
    "uneven_padding",
    convolution(KERNEL, None, pre_padding=(0, 1), post_padding=(2, 0)),
    {"x": IMAGE},
    F.conv2d(F.pad(t(IMAGE), (1, 0, 0, 2)), t(KERNEL)),
)
case(
    "conv",
    "same_upper",
    convolution(KERNEL, None, padding_mode=trt.PaddingMode.SAME_UPPER),
    {"x": IMAGE},
    F.conv2d(t(IMAGE), t(KERNEL), padding="same"),
)
case(
    "conv",
    "half",
    convolution(KERNEL.astype(np.float16)),
    {"x": IMAGE.astype(np.float16)},
    F.conv2d(t(IMAGE), t(KERNEL)),
    precisions=("fp16",),
    tolerance=5e-3,
)


def deconvolution(kernel, groups=1, bias=None, **attributes):
    def define(net, x):
        layer = net.add_deconvolution_nd(x, kernel.shape[1] * groups, kernel.shape[2:], kernel, bias)
        return out(with_attributes(layer, num_groups=groups, **attributes))

    return define


case("deconv", "plain", deconvolution(UP), {"x": IMAGE}, F.conv_transpose2d(t(IMAGE), t(UP)))
case(
    "deconv",
    "stride_bias",
    deconvolution(UP, bias=UP_BIAS, stride_nd=(2, 2)),
    {"x": IMAGE},
    F.conv_transpose2d(t(IMAGE), t(UP), t(UP_BIAS), stride=2),
)
case(
    "deconv",
    "padding",
    deconvolution(UP, stride_nd=(2, 2), padding_nd=(1, 1)),
    {"x": IMAGE},
    F.conv_transpose2d(t(IMAGE), t(UP), stride=2, padding=1),
)
case(
    "deconv",
    "groups",
    deconvolution(UP_GROUPED, 2, stride_nd=(2, 2)),
    {"x": IMAGE},
    F.conv_transpose2d(t(IMAGE), t(UP_GROUPED), stride=2, groups=2),
)


def pooling(kind, window, **attributes):
    def define(net, x):
        return out(with_attributes(net.add_pooling_nd(x, getattr(trt.PoolingType, kind), window), **attributes))

    return define


case("pool", "max", pooling("MAX", (2, 2), stride_nd=(2, 2)), {"x": IMAGE}, F.max_pool2d(t(IMAGE), 2))
case("pool", "default_stride", pooling("MAX", (2, 2)), {"x": IMAGE}, F.max_pool2d(t(IMAGE), 2, 1))
case(
    "pool", "max_stride", pooling("MAX", (3, 2), stride_nd=(1, 2)), {"x": IMAGE}, F.max_pool2d(t(IMAGE), (3, 2), (1, 2))
)
case(
    "pool",
    "max_padding",
    pooling("MAX", (3, 3), stride_nd=(2, 2), padding_nd=(1, 1)),
    {"x": IMAGE},
    F.max_pool2d(t(IMAGE), 3, 2, 1),
)
case(
    "pool",
    "max_round_up",
    pooling("MAX", (2, 2), stride_nd=(2, 2), padding_mode=trt.PaddingMode.EXPLICIT_ROUND_UP),
    {"x": IMAGE},
    F.max_pool2d(t(IMAGE), 2, 2, ceil_mode=True),
)
case("pool", "average", pooling("AVERAGE", (2, 2), stride_nd=(2, 2)), {"x": IMAGE}, F.avg_pool2d(t(IMAGE), 2))
case(
    "pool",
    "average_excludes_padding",
    pooling("AVERAGE", (3, 3), stride_nd=(2, 2), padding_nd=(1, 1)),
    {"x": IMAGE},
    F.avg_pool2d(t(IMAGE), 3, 2, 1, count_include_pad=False),
)
case(
    "pool",
    "average_includes_padding",
    pooling("AVERAGE", (3, 3), stride_nd=(2, 2), padding_nd=(1, 1), average_count_excludes_padding=False),
    {"x": IMAGE},
    F.avg_pool2d(t(IMAGE), 3, 2, 1, count_include_pad=True),
)

# --- element by element ------------------------------------------------------------------------------------

FLAT = numbers(3, 16, low=-3, high=3, seed=10)
ACTIVATIONS = {
    "RELU": ((), F.relu),
    "SIGMOID": ((), torch.sigmoid),
    "TANH": ((), torch.tanh),
    "SOFTSIGN": ((), F.softsign),
    "LEAKY_RELU": ((0.2,), lambda x: F.leaky_relu(x, 0.2)),
    "ELU": ((1.5,), lambda x: F.elu(x, 1.5)),
    "SELU": ((1.6732632, 1.050701), F.selu),
    "SOFTPLUS": ((1.0, 1.0), F.softplus),
    "CLIP": ((-0.5, 1.5), lambda x: x.clamp(-0.5, 1.5)),
    "HARD_SIGMOID": ((0.2, 0.5), lambda x: (0.2 * x + 0.5).clamp(0, 1)),
    "SCALED_TANH": ((1.7, 0.6), lambda x: 1.7 * torch.tanh(0.6 * x)),
    "THRESHOLDED_RELU": ((0.7,), lambda x: torch.where(x > 0.7, x, 0.0)),
    "GELU_ERF": ((), F.gelu),
    "GELU_TANH": ((), lambda x: F.gelu(x, approximate="tanh")),
}


def activation(name, numbers_):
    def define(net, x):
        layer = net.add_activation(x, getattr(trt.ActivationType, name))
        return out(with_attributes(layer, **dict(zip(("alpha", "beta"), numbers_, strict=False))))

    return define


for _name, (_numbers, _reference) in ACTIVATIONS.items():
    case(
        "activation",
        _name,
        activation(_name, _numbers),
        {"x": FLAT},
        _reference(t(FLAT)),
        needs=f"ActivationType.{_name}",
        tolerance=2e-4,
    )
for _name in ("RELU", "TANH"):
    case(
        "activation",
        f"{_name}_half",
        activation(_name, ()),
        {"x": FLAT.astype(np.float16)},
        ACTIVATIONS[_name][1](t(FLAT)),
        precisions=("fp16",),
        tolerance=2e-3,
    )

UNIT = numbers(4, 6, low=-0.9, high=0.9, seed=11)
POSITIVE = numbers(4, 6, low=0.2, high=3.0, seed=12)
ABOVE_ONE = numbers(4, 6, low=1.1, high=4.0, seed=13)
HALVES = np.arange(-12, 12, dtype=np.float32).reshape(4, 6) / 2
INFINITE = np.array([[1, np.inf, -np.inf, 0]], np.float32)
NAN = np.array([[1, np.nan, -2, 0]], np.float32)
UNARIES = {
    "EXP": (UNIT, np.exp),
    "LOG": (POSITIVE, np.log),
    "SQRT": (POSITIVE, np.sqrt),
    "RECIP": (POSITIVE, np.reciprocal),
    "ABS": (UNIT, np.abs),
    "NEG": (UNIT, np.negative),
    "SIN": (UNIT, np.sin),
    "COS": (UNIT, np.cos),
    "TAN": (UNIT, np.tan),
    "SINH": (UNIT, np.sinh),
    "COSH": (UNIT, np.cosh),
    "ASIN": (UNIT, np.arcsin),
    "ACOS": (UNIT, np.arccos),
    "ATAN": (UNIT, np.arctan),
    "ASINH": (UNIT, np.arcsinh),
    "ACOSH": (ABOVE_ONE, np.arccosh),
    "ATANH": (UNIT, np.arctanh),
    "CEIL": (FLAT, np.ceil),
    "FLOOR": (FLAT, np.floor),
    "SIGN": (FLAT, np.sign),
    "ROUND": (HALVES, np.round),
    "ERF": (UNIT, lambda x: torch.erf(t(x))),
    "ISINF": (INFINITE, np.isinf),
    "ISNAN": (NAN, np.isnan),
}


def unary(name):
    return lambda net, x: out(net.add_unary(x, getattr(trt.UnaryOperation, name)))


for _name, (_array, _reference) in UNARIES.items():
    case("unary", _name, unary(_name), {"x": _array}, _reference(_array), needs=f"UnaryOperation.{_name}")
for _name in ("ABS", "NEG"):
    _array = numbers(3, 5, low=-9, high=9, kind=np.int32)
    case("unary", f"{_name}_int32", unary(_name), {"x": _array}, UNARIES[_name][1](_array))
case(
    "unary",
    "EXP_half",
    unary("EXP"),
    {"x": UNIT.astype(np.float16)},
    np.exp(UNIT),
    precisions=("fp16",),
    tolerance=2e-3,
)

LEFT, RIGHT = numbers(2, 3, 5, seed=14), numbers(2, 3, 5, seed=15)
ROWS, COLUMNS = numbers(2, 3, 1, seed=16), numbers(1, 1, 5, low=0.5, seed=17)
WHOLE, OTHER = (numbers(2, 3, 5, low=-20, high=20, kind=np.int32, seed=s) for s in (18, 19))
OTHER = np.where(OTHER == 0, 7, OTHER).astype(np.int32)
TRUE, FALSE = (numbers(3, 5, kind=bool, seed=s) for s in (20, 21))
ELEMENTWISE = {
    "SUM": np.add,
    "PROD": np.multiply,
    "SUB": np.subtract,
    "MAX": np.maximum,
    "MIN": np.minimum,
    "DIV": np.divide,
    "POW": np.power,
    "FLOOR_DIV": np.floor_divide,
    "EQUAL": np.equal,
    "GREATER": np.greater,
    "LESS": np.less,
}


def elementwise(name):
    return lambda net, a, b: out(net.add_elementwise(a, b, getattr(trt.ElementWiseOperation, name)))


def logical(name):
    def define(net, a, b):
        zero = out(net.add_constant((1, 1), ZERO))
        truths = [out(net.add_elementwise(x, zero, trt.ElementWiseOperation.GREATER)) for x in (a, b)]
        both = out(net.add_elementwise(*truths, getattr(trt.ElementWiseOperation, name)))
        return out(net.add_cast(both, trt.int32))

    return define


ZERO = np.zeros(1, np.int32)
for _name, _reference in ELEMENTWISE.items():
    _a, _b = (
        (np.abs(LEFT) + 0.1, RIGHT) if _name == "POW" else (LEFT, np.where(np.abs(RIGHT) < 0.3, np.float32(0.7), RIGHT))
    )
    case("elementwise", _name, elementwise(_name), {"a": _a, "b": _b}, _reference(_a, _b))
for _name in ("SUM", "PROD", "SUB", "MAX", "MIN", "FLOOR_DIV", "EQUAL", "LESS"):
    case(
        "elementwise", f"{_name}_int32", elementwise(_name), {"a": WHOLE, "b": OTHER}, ELEMENTWISE[_name](WHOLE, OTHER)
    )
for _name in ("SUM", "DIV"):
    case(
        "elementwise",
        f"{_name}_broadcast",
        elementwise(_name),
        {"a": ROWS, "b": COLUMNS},
        ELEMENTWISE[_name](ROWS, COLUMNS),
    )
    case(
        "elementwise",
        f"{_name}_half",
        elementwise(_name),
        {"a": ROWS.astype(np.float16), "b": COLUMNS.astype(np.float16)},
        ELEMENTWISE[_name](ROWS, COLUMNS),
        precisions=("fp16",),
        tolerance=3e-3,
    )
for _name, _reference in {"AND": np.logical_and, "OR": np.logical_or, "XOR": np.logical_xor}.items():
    case(
        "elementwise",
        _name,
        logical(_name),
        {"a": TRUE.astype(np.int32), "b": FALSE.astype(np.int32)},
        _reference(TRUE, FALSE).astype(np.int32),
    )


def inverse(net, x):
    zero = out(net.add_constant((1, 1), ZERO))
    truth = out(net.add_elementwise(x, zero, trt.ElementWiseOperation.GREATER))
    return out(net.add_cast(out(net.add_unary(truth, trt.UnaryOperation.NOT)), trt.int32))


case("unary", "NOT", inverse, {"x": TRUE.astype(np.int32)}, (~TRUE).astype(np.int32))


def select(net, c, a, b):
    zero = out(net.add_constant((1, 1), ZERO))
    truth = out(net.add_elementwise(c, zero, trt.ElementWiseOperation.GREATER))
    return out(net.add_select(truth, a, b))


case(
    "select",
    "float",
    select,
    {"c": TRUE.astype(np.int32), "a": numbers(3, 5), "b": numbers(3, 5, seed=1)},
    np.where(TRUE, numbers(3, 5), numbers(3, 5, seed=1)),
)
case(
    "select",
    "int32_broadcast",
    select,
    {"c": TRUE.astype(np.int32), "a": WHOLE[0], "b": np.full((1, 1), 99, np.int32)},
    np.where(TRUE, WHOLE[0], 99).astype(np.int32),
)

# --- scale, normalization, softmax, reductions, top k ------------------------------------------------------

CHANNELS = numbers(4, low=0.5, high=1.5, seed=22)
SHIFTS, ONE, PER_ELEMENT = numbers(4, seed=23), np.array([1.5], np.float32), numbers(4, 9, 8, low=0.5, seed=24)
TWO = np.array([2.0], np.float32)


def scale(mode, *arrays):
    return lambda net, x: out(net.add_scale(x, getattr(trt.ScaleMode, mode), *arrays))


case("scale", "uniform", scale("UNIFORM", ONE, TWO), {"x": IMAGE}, IMAGE * 2 + 1.5)
case(
    "scale",
    "channel",
    scale("CHANNEL", SHIFTS, CHANNELS),
    {"x": IMAGE},
    IMAGE * CHANNELS[:, None, None] + SHIFTS[:, None, None],
)
case("scale", "elementwise", scale("ELEMENTWISE", None, PER_ELEMENT), {"x": IMAGE}, IMAGE * PER_ELEMENT)
case("scale", "power", scale("UNIFORM", None, None, TWO), {"x": np.abs(IMAGE)}, IMAGE**2)
case(
    "scale",
    "nd",
    lambda net, x: out(net.add_scale_nd(x, trt.ScaleMode.CHANNEL, None, NINE, None, 2)),
    {"x": IMAGE},
    IMAGE * numbers(9, seed=25)[:, None],
)
NINE = numbers(9, seed=25)

GAMMA, BETA = numbers(1, 1, 12, low=0.5, seed=26), numbers(1, 1, 12, seed=27)
SEQUENCE = numbers(2, 5, 12, seed=28)
GAMMA_C, BETA_C = numbers(1, 4, 1, 1, low=0.5, seed=29), numbers(1, 4, 1, 1, seed=30)


def normalization(gamma, beta, axes, epsilon=1e-5):
    def define(net, x):
        parts = [out(net.add_constant(w.shape, w)) for w in (gamma, beta)]
        return out(with_attributes(net.add_normalization(x, *parts, axes), epsilon=epsilon))

    return define


case(
    "normalization",
    "layer",
    normalization(GAMMA, BETA, 1 << 2),
    {"x": SEQUENCE},
    F.layer_norm(t(SEQUENCE), (12,), t(GAMMA.ravel()), t(BETA.ravel())),
    tolerance=5e-4,
)
case(
    "normalization",
    "layer_epsilon",
    normalization(GAMMA, BETA, 1 << 2, 0.1),
    {"x": SEQUENCE},
    F.layer_norm(t(SEQUENCE), (12,), t(GAMMA.ravel()), t(BETA.ravel()), 0.1),
    tolerance=5e-4,
)
case(
    "normalization",
    "instance",
    normalization(GAMMA_C, BETA_C, (1 << 2) | (1 << 3)),
    {"x": IMAGE},
    F.instance_norm(t(IMAGE), weight=t(GAMMA_C.ravel()), bias=t(BETA_C.ravel())),
    tolerance=5e-4,
)


def softmax(axis):
    return lambda net, x: out(with_attributes(net.add_softmax(x), axes=1 << axis))


for _axis in (0, 1, 2):
    case("softmax", f"axis{_axis}", softmax(_axis), {"x": SEQUENCE}, torch.softmax(t(SEQUENCE), _axis))
case("softmax", "default_axis_of_4d", lambda net, x: out(net.add_softmax(x)), {"x": IMAGE}, torch.softmax(t(IMAGE), 1))
case(
    "softmax",
    "half",
    softmax(2),
    {"x": SEQUENCE.astype(np.float16)},
    torch.softmax(t(SEQUENCE), 2),
    precisions=("fp16",),
    tolerance=2e-3,
)


def reduce(name, axes, keep):
    mask = sum(1 << a for a in axes)
    return lambda net, x: out(net.add_reduce(x, getattr(trt.ReduceOperation, name), mask, keep))


REDUCES = {"SUM": np.sum, "AVG": np.mean, "MAX": np.max, "MIN": np.min, "PROD": np.prod}
for _name, _reference in REDUCES.items():
    case(
        "reduce",
        f"{_name}_last",
        reduce(_name, (2,), False),
        {"x": SEQUENCE},
        _reference(SEQUENCE, axis=2),
        tolerance=5e-4,
    )
    case(
        "reduce",
        f"{_name}_two_kept",
        reduce(_name, (0, 2), True),
        {"x": SEQUENCE},
        _reference(SEQUENCE, axis=(0, 2), keepdims=True),
        tolerance=2e-3 if _name == "PROD" else 5e-4,
    )
for _name in ("SUM", "MAX"):
    case(
        "reduce",
        f"{_name}_int32",
        reduce(_name, (1,), False),
        {"x": WHOLE},
        REDUCES[_name](WHOLE, axis=1).astype(np.int32),
    )
case("reduce", "global_average", reduce("AVG", (2, 3), True), {"x": IMAGE}, IMAGE.mean((2, 3), keepdims=True))

DISTINCT = np.random.default_rng(31).permutation(48).reshape(4, 12).astype(np.float32)


def topk(name, k, axis):
    def define(net, x):
        layer = net.add_topk(x, getattr(trt.TopKOperation, name), k, 1 << axis)
        return [out(layer), out(layer, 1)]

    return define


for _name, _k, _axis in (("MAX", 3, 1), ("MIN", 2, 1), ("MAX", 2, 0), ("MAX", 1, 1)):
    _order = np.argsort(-DISTINCT if _name == "MAX" else DISTINCT, _axis, kind="stable")
    _order = np.take(_order, range(_k), _axis)
    case(
        "topk",
        f"{_name}_{_k}_axis{_axis}",
        topk(_name, _k, _axis),
        {"x": DISTINCT},
        [np.take_along_axis(DISTINCT, _order, _axis), _order.astype(np.int32)],
    )

# --- matrices ----------------------------------------------------------------------------------------------

A, B, WIDE = numbers(2, 4, 6, seed=32), numbers(2, 6, 5, seed=33), numbers(1, 6, 5, seed=34)
VECTOR = numbers(2, 6, seed=35)


def matmul(first="NONE", second="NONE"):
    kinds = getattr(trt.MatrixOperation, first), getattr(trt.MatrixOperation, second)
    return lambda net, a, b: out(net.add_matrix_multiply(a, kinds[0], b, kinds[1]))


case("matmul", "plain", matmul(), {"a": A, "b": B}, A @ B)
case("matmul", "transpose_second", matmul("NONE", "TRANSPOSE"), {"a": A, "b": B.transpose(0, 2, 1).copy()}, A @ B)
case("matmul", "transpose_first", matmul("TRANSPOSE"), {"a": A.transpose(0, 2, 1).copy(), "b": B}, A @ B)
case("matmul", "broadcast_batch", matmul(), {"a": A, "b": WIDE}, A @ WIDE)
case("matmul", "vector", matmul("NONE", "VECTOR"), {"a": A, "b": VECTOR}, np.einsum("bij,bj->bi", A, VECTOR))
case(
    "matmul",
    "half",
    matmul(),
    {"a": A.astype(np.float16), "b": B.astype(np.float16)},
    A @ B,
    precisions=("fp16",),
    tolerance=4e-3,
)
case(
    "matmul",
    "constant",
    lambda net, a: out(
        net.add_matrix_multiply(
            a, trt.MatrixOperation.NONE, out(net.add_constant(WIDE.shape, WIDE)), trt.MatrixOperation.NONE
        )
    ),
    {"a": A},
    A @ WIDE,
)


def einsum(equation):
    return lambda net, a, b: out(net.add_einsum([a, b], equation))


case("einsum", "matrices", einsum("bij,bjk->bik"), {"a": A, "b": B}, A @ B)
case("einsum", "transposed", einsum("bij,bjk->bki"), {"a": A, "b": B}, (A @ B).transpose(0, 2, 1))
case("einsum", "outer", einsum("i,j->ij"), {"a": A[0, 0], "b": B[0, 0]}, np.outer(A[0, 0], B[0, 0]))

# --- moving numbers ----------------------------------------------------------------------------------------


def shuffle(**attributes):
    return lambda net, x: out(with_attributes(net.add_shuffle(x), **attributes))


def permutation(*order):
    return trt.Permutation(list(order))


case("shuffle", "reshape", shuffle(reshape_dims=(2, 60)), {"x": SEQUENCE}, SEQUENCE.reshape(2, 60))
case("shuffle", "minus_one", shuffle(reshape_dims=(-1, 12)), {"x": SEQUENCE}, SEQUENCE.reshape(-1, 12))
case("shuffle", "zero_keeps", shuffle(reshape_dims=(0, -1)), {"x": SEQUENCE}, SEQUENCE.reshape(2, -1))
case(
    "shuffle", "transpose", shuffle(first_transpose=permutation(2, 0, 1)), {"x": SEQUENCE}, SEQUENCE.transpose(2, 0, 1)
)
case(
    "shuffle",
    "both",
    shuffle(first_transpose=permutation(0, 2, 1), reshape_dims=(2, 3, 20), second_transpose=permutation(1, 0, 2)),
    {"x": SEQUENCE},
    SEQUENCE.transpose(0, 2, 1).reshape(2, 3, 20).transpose(1, 0, 2),
)
case("shuffle", "int32", shuffle(first_transpose=permutation(1, 0, 2)), {"x": WHOLE}, WHOLE.transpose(1, 0, 2))


def slice_(start, size, step):
    return lambda net, x: out(net.add_slice(x, start, size, step))


case("slice", "part", slice_((0, 1, 2), (2, 3, 4), (1, 1, 1)), {"x": SEQUENCE}, SEQUENCE[:, 1:4, 2:6])
case("slice", "steps", slice_((0, 0, 1), (2, 3, 4), (1, 2, 3)), {"x": SEQUENCE}, SEQUENCE[:, 0:5:2, 1:11:3])
case(
    "slice",
    "backwards",
    slice_((1, 4, 11), (2, 5, 12), (-1, -1, -1)),
    {"x": SEQUENCE},
    SEQUENCE[::-1, ::-1, ::-1].copy(),
)
case("slice", "int32", slice_((0, 1, 0), (1, 2, 5), (1, 1, 1)), {"x": WHOLE}, WHOLE[:1, 1:])


def concat(axis):
    return lambda net, a, b: out(with_attributes(net.add_concatenation([a, b]), axis=axis))


case("concat", "axis0", concat(0), {"a": LEFT, "b": RIGHT[:1].copy()}, np.concatenate([LEFT, RIGHT[:1]]))
case("concat", "axis2", concat(2), {"a": LEFT, "b": ROWS}, np.concatenate([LEFT, ROWS], 2))
case(
    "concat",
    "default_axis_of_4d",
    lambda net, a, b: out(net.add_concatenation([a, b])),
    {"a": IMAGE, "b": IMAGE[:, :2].copy()},
    np.concatenate([IMAGE, IMAGE[:, :2]], 1),
)
case("concat", "int32", concat(1), {"a": WHOLE, "b": OTHER}, np.concatenate([WHOLE, OTHER], 1))

PICKS = np.array([2, 0, 2], np.int32)
PICKS_2D = np.array([[0, 4], [3, 1]], np.int32)
PICKS_EACH = numbers(2, 2, 12, low=0, high=5, kind=np.int32, seed=36)
PLACES = np.array([[0, 1], [1, 4]], np.int32)


def gather_v2(mode, **attributes):
    return lambda net, x, i: out(with_attributes(net.add_gather_v2(x, i, getattr(trt.GatherMode, mode)), **attributes))


case("gather", "axis1", lambda net, x, i: out(net.add_gather(x, i, 1)), {"x": SEQUENCE, "i": PICKS}, SEQUENCE[:, PICKS])
case(
    "gather",
    "two_dimensions",
    lambda net, x, i: out(net.add_gather(x, i, 1)),
    {"x": SEQUENCE, "i": PICKS_2D},
    SEQUENCE[:, PICKS_2D],
)
case(
    "gather",
    "elements",
    gather_v2("ELEMENT", axis=1),
    {"x": SEQUENCE, "i": PICKS_EACH},
    np.take_along_axis(SEQUENCE, PICKS_EACH, 1),
)
case("gather", "nd", gather_v2("ND"), {"x": SEQUENCE, "i": PLACES}, SEQUENCE[PLACES[:, 0], PLACES[:, 1]])
case(
    "gather",
    "int32",
    lambda net, x, i: out(net.add_gather(x, i, 0)),
    {"x": WHOLE, "i": np.array([1, 0], np.int32)},
    WHOLE[[1, 0]],
)


def resize(**attributes):
    return lambda net, x: out(with_attributes(net.add_resize(x), **attributes))


SMALL = numbers(1, 2, 4, 5, seed=37)
LINEAR = trt.InterpolationMode.LINEAR
HALF_PIXEL, ALIGNED = trt.ResizeCoordinateTransformation.HALF_PIXEL, trt.ResizeCoordinateTransformation.ALIGN_CORNERS
case(
    "resize",
    "nearest_twice",
    resize(shape=(1, 2, 8, 10)),
    {"x": SMALL},
    F.interpolate(t(SMALL), scale_factor=2, mode="nearest"),
)
case(
    "resize",
    "nearest_scales",
    resize(scales=[1, 1, 2, 3]),
    {"x": SMALL},
    F.interpolate(t(SMALL), scale_factor=(2, 3), mode="nearest"),
)
case(
    "resize",
    "linear_half_pixel",
    resize(shape=(1, 2, 7, 9), resize_mode=LINEAR, coordinate_transformation=HALF_PIXEL),
    {"x": SMALL},
    F.interpolate(t(SMALL), size=(7, 9), mode="bilinear", align_corners=False),
)
case(
    "resize",
    "linear_align_corners",
    resize(shape=(1, 2, 7, 9), resize_mode=LINEAR, coordinate_transformation=ALIGNED),
    {"x": SMALL},
    F.interpolate(t(SMALL), size=(7, 9), mode="bilinear", align_corners=True),
)

case(
    "padding",
    "around",
    lambda net, x: out(net.add_padding_nd(x, (1, 2), (0, 3))),
    {"x": IMAGE},
    np.pad(IMAGE, [(0, 0), (0, 0), (1, 0), (2, 3)]),
)
case("identity", "float", lambda net, x: out(net.add_identity(x)), {"x": SEQUENCE}, SEQUENCE)
SLOPES = numbers(1, 4, 1, 1, low=0.1, high=0.5, seed=38)
case(
    "prelu",
    "per_channel",
    lambda net, x: out(net.add_parametric_relu(x, out(net.add_constant(SLOPES.shape, SLOPES)))),
    {"x": IMAGE},
    np.where(IMAGE > 0, IMAGE, IMAGE * SLOPES),
)
case(
    "lrn",
    "window3",
    lambda net, x: out(net.add_lrn(x, 3, 0.1, 0.75, 2.0)),
    {"x": IMAGE},
    F.local_response_norm(t(IMAGE), 3, 0.1, 0.75, 2.0),
    tolerance=5e-4,
)
case(
    "constant",
    "float",
    lambda net, x: out(net.add_elementwise(x, out(net.add_constant((1, 3, 1), THREE)), trt.ElementWiseOperation.SUM)),
    {"x": LEFT},
    LEFT + np.array([1, 2, 3], np.float32)[:, None],
)
THREE = np.array([1, 2, 3], np.float32)
case(
    "constant",
    "int32",
    lambda net, x: out(net.add_elementwise(x, out(net.add_constant((1, 1, 5), FIVE)), trt.ElementWiseOperation.PROD)),
    {"x": WHOLE},
    WHOLE * np.arange(5, dtype=np.int32),
)
FIVE = np.arange(5, dtype=np.int32)

SQUEEZED = numbers(2, 1, 5, seed=39)
AXES_1 = np.array([1], np.int64)
case(
    "squeeze",
    "axis1",
    lambda net, x: out(net.add_squeeze(x, out(net.add_constant((1,), AXES_1)))),
    {"x": SQUEEZED},
    SQUEEZED[:, 0],
    needs="INetworkDefinition.add_squeeze",
)
case(
    "unsqueeze",
    "axis1",
    lambda net, x: out(net.add_unsqueeze(x, out(net.add_constant((1,), AXES_1)))),
    {"x": SQUEEZED},
    SQUEEZED[:, None],
    needs="INetworkDefinition.add_unsqueeze",
)

# --- types -------------------------------------------------------------------------------------------------


def cast(*kinds):
    def define(net, x):
        for kind in kinds:
            x = out(net.add_cast(x, getattr(trt.DataType, kind)))
        return x

    return define


case("cast", "float_to_int32", cast("INT32"), {"x": FLAT}, FLAT.astype(np.int32))
case("cast", "int32_to_float", cast("FLOAT"), {"x": WHOLE}, WHOLE.astype(np.float32))
case(
    "cast",
    "float_bool_int32",
    cast("BOOL", "INT32"),
    {"x": np.array([[0, 1.5, -2, 0]], np.float32)},
    np.array([[0, 1, 1, 0]], np.int32),
)
case(
    "cast",
    "through_half",
    cast("HALF", "FLOAT"),
    {"x": FLAT},
    FLAT.astype(np.float16).astype(np.float32),
    precisions=("fp16",),
    tolerance=1e-3,
)

STEP, STEPS = np.array(0.05, np.float32), np.array([0.05, 0.1, 0.02, 0.3], np.float32)


def quantized(scale_array, axis=None):
    def define(net, x):
        step = out(net.add_constant(scale_array.shape, scale_array))
        down = compat.add_quantize(net, x, step)
        up = compat.add_dequantize(net, out(down), step)
        if axis is not None:
            down.axis = up.axis = axis
        return out(up)

    return define


def rounded(x, scales):
    return (np.clip(np.round(x / scales), -128, 127) * scales).astype(np.float32)


case(
    "quantize", "per_tensor", quantized(STEP), {"x": IMAGE}, rounded(IMAGE, STEP), precisions=("int8",), tolerance=1e-3
)
case(
    "quantize",
    "clips",
    quantized(STEP),
    {"x": IMAGE * 10},
    rounded(IMAGE * 10, STEP),
    precisions=("int8",),
    tolerance=1e-3,
)
case(
    "quantize",
    "per_channel",
    quantized(STEPS, 1),
    {"x": IMAGE},
    rounded(IMAGE, STEPS[:, None, None]),
    precisions=("int8",),
    tolerance=1e-3,
)

case("shape", "static", lambda net, x: out(net.add_shape(x)), {"x": SEQUENCE}, np.array(SEQUENCE.shape))


TEN_TWELVE = np.array([10, 12], np.int64)
TEN_TWELVE_32 = TEN_TWELVE.astype(np.int32)


# --- the tests ---------------------------------------------------------------------------------------------


@functools.cache
def bundle(kind, precisions):
    """All cases of a kind, built as one engine."""
    return Bundle(
        [c for c in CASES if (c.kind, c.precisions) == (kind, precisions) and (not c.needs or compat.has(c.needs))]
    )


def expect(request, name, table):
    """Mark a test that may differ on 8.6."""
    if name in table and compat.version() == (8, 6):
        request.applymarker(pytest.mark.xfail(reason=table[name], strict=False))


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_layer(case, request):
    """Shapes in the network, shapes and numbers in the engine."""
    expect(request, case.id, DIFFERS)
    if case.needs and not compat.has(case.needs):
        pytest.skip(f"TensorRT {trt.__version__} has no {case.needs}")
    found = bundle(case.kind, case.precisions).results[case.id]
    if isinstance(found, Exception):
        raise found
    assert case.network_shapes == [w.shape for w in case.wanted]
    for array, wanted in zip(found, case.wanted, strict=True):
        close(array, wanted, case.tolerance, case.id)


# --- dynamic shapes: (shape with -1, layers, min, opt, max, network's shape of the output, reference) ------

DENSE, DENSE_BIAS = numbers(1, 12, 7, seed=40), numbers(1, 7, seed=41)
LINE_GAMMA, LINE_BETA = numbers(1, 1, 12, low=0.5, seed=42), numbers(1, 1, 12, seed=43)


def dense(net, x):
    return out(
        net.add_matrix_multiply(
            x, trt.MatrixOperation.NONE, out(net.add_constant(DENSE.shape, DENSE)), trt.MatrixOperation.NONE
        )
    )


def flatten_then_dense(net, x):
    flat = with_attributes(net.add_shuffle(x), reshape_dims=(0, 12))
    weights = out(net.add_constant((12, 7), DENSE))
    product = out(net.add_matrix_multiply(out(flat), trt.MatrixOperation.NONE, weights, trt.MatrixOperation.NONE))
    return out(net.add_elementwise(product, out(net.add_constant((1, 7), DENSE_BIAS)), trt.ElementWiseOperation.SUM))


def rows_and_columns(net, x):
    """A reshape to a shape computed from the input's: [a, b, c] becomes [a * b, c]."""
    shape = out(net.add_shape(x))
    parts = [out(net.add_slice(shape, (i,), (1,), (1,))) for i in range(3)]
    rows = out(net.add_elementwise(parts[0], parts[1], trt.ElementWiseOperation.PROD))
    layer = net.add_shuffle(x)
    layer.set_input(1, out(net.add_concatenation([rows, parts[2]])))
    return out(layer)


def average_over(axis, keep):
    return reduce("AVG", (axis,), keep)


I4, I3 = (-1, 4, 9, 8), (-1, -1, 12)
R4 = ((1, 4, 9, 8), (2, 4, 9, 8), (5, 4, 9, 8))
HW = (-1, 4, -1, -1)
RHW = ((1, 4, 6, 6), (2, 4, 9, 8), (3, 4, 16, 20))
R3 = ((1, 1, 12), (2, 5, 12), (4, 9, 12))
DYNAMIC = {
    "conv_batch": (I4, convolution(KERNEL, BIAS), R4, (-1, 6, 7, 6), lambda x: F.conv2d(t(x), t(KERNEL), t(BIAS))),
    "conv_image": (
        HW,
        convolution(KERNEL, None, padding_nd=(1, 1), stride_nd=(2, 2)),
        RHW,
        (-1, 6, -1, -1),
        lambda x: F.conv2d(t(x), t(KERNEL), padding=1, stride=2),
    ),
    "deconv_image": (
        HW,
        deconvolution(UP, stride_nd=(2, 2)),
        RHW,
        (-1, 5, -1, -1),
        lambda x: F.conv_transpose2d(t(x), t(UP), stride=2),
    ),
    "pool_image": (
        HW,
        pooling("MAX", (2, 2), stride_nd=(2, 2)),
        RHW,
        (-1, 4, -1, -1),
        lambda x: F.max_pool2d(t(x), 2),
    ),
    "global_average": (HW, reduce("AVG", (2, 3), True), RHW, (-1, 4, 1, 1), lambda x: x.mean((2, 3), keepdims=True)),
    "activation": (I3, activation("TANH", ()), R3, (-1, -1, 12), np.tanh),
    "softmax": (I3, softmax(2), R3, (-1, -1, 12), lambda x: torch.softmax(t(x), 2)),
    "softmax_over_dynamic": (I3, softmax(1), R3, (-1, -1, 12), lambda x: torch.softmax(t(x), 1)),
    "dense": (I3, dense, R3, (-1, -1, 7), lambda x: x @ DENSE[0]),
    "flatten_dense": (
        (-1, 3, 4),
        flatten_then_dense,
        ((1, 3, 4), (4, 3, 4), (8, 3, 4)),
        (-1, 7),
        lambda x: x.reshape(-1, 12) @ DENSE[0] + DENSE_BIAS,
    ),
    "reduce_dynamic": (I3, average_over(1, False), R3, (-1, 12), lambda x: x.mean(1)),
    "reduce_dynamic_kept": (I3, average_over(1, True), R3, (-1, 1, 12), lambda x: x.mean(1, keepdims=True)),
    "transpose": (I3, shuffle(first_transpose=permutation(2, 1, 0)), R3, (12, -1, -1), lambda x: x.transpose(2, 1, 0)),
    "reshape_zero": (
        I3,
        shuffle(reshape_dims=(0, 0, 3, 4)),
        R3,
        (-1, -1, 3, 4),
        lambda x: x.reshape(*x.shape[:2], 3, 4),
    ),
    "reshape_minus_one": (I3, shuffle(reshape_dims=(-1, 12)), R3, (-1, 12), lambda x: x.reshape(-1, 12)),
    "reshape_by_shape": (I3, rows_and_columns, R3, (-1, 12), lambda x: x.reshape(-1, 12)),
    "concat_dynamic_axis": (
        I3,
        lambda net, x: out(with_attributes(net.add_concatenation([x, x]), axis=1)),
        R3,
        (-1, -1, 12),
        lambda x: np.concatenate([x, x], 1),
    ),
    "unary": (I3, unary("ABS"), R3, (-1, -1, 12), np.abs),
    "normalization": (
        I3,
        normalization(LINE_GAMMA, LINE_BETA, 1 << 2),
        R3,
        (-1, -1, 12),
        lambda x: F.layer_norm(t(x), (12,), t(LINE_GAMMA.ravel()), t(LINE_BETA.ravel())),
    ),
    "scale": (
        HW,
        scale("CHANNEL", SHIFTS, CHANNELS),
        RHW,
        (-1, 4, -1, -1),
        lambda x: x * CHANNELS[:, None, None] + SHIFTS[:, None, None],
    ),
    "resize_scales": (
        HW,
        resize(scales=[1, 1, 2, 2]),
        RHW,
        (-1, 4, -1, -1),
        lambda x: F.interpolate(t(x), scale_factor=2, mode="nearest"),
    ),
    "topk": (
        I3,
        lambda net, x: out(net.add_topk(x, trt.TopKOperation.MAX, 3, 1 << 2)),
        R3,
        (-1, -1, 3),
        lambda x: -np.sort(-x, 2)[:, :, :3],
    ),
    "gather_constant": (
        I3,
        lambda net, x: out(net.add_gather(x, out(net.add_constant((3,), PICKS)), 2)),
        R3,
        (-1, -1, 3),
        lambda x: x[:, :, PICKS],
    ),
    "shape_layer": (I3, lambda net, x: out(net.add_shape(x)), R3, (3,), lambda x: np.array(x.shape)),
    "einsum": (
        I3,
        lambda net, x: out(net.add_einsum([x, x], "bij,bkj->bik")),
        R3,
        (-1, -1, -1),
        lambda x: x @ x.transpose(0, 2, 1),
    ),
    "broadcast_add": (
        I3,
        lambda net, x: out(net.add_elementwise(x, average_over(1, True)(net, x), trt.ElementWiseOperation.SUB)),
        R3,
        (-1, -1, 12),
        lambda x: x - x.mean(1, keepdims=True),
    ),
}


@functools.cache
def dynamic_engine(name):
    """Engine of a dynamic case, and the shape its output had in the network."""
    shape, define, profile, *_ = DYNAMIC[name]
    net = network()
    made = define(net, net.add_input("x", trt.float32, shape))
    made.name = "y"
    net.mark_output(made)
    seen = tuple(made.shape)
    return engine_of(net, {"x": profile}), seen


@pytest.mark.parametrize("name", DYNAMIC)
def test_dynamic_shape_in_network(name, request):
    """Sizes that depend on the input's are -1 in the network."""
    expect(request, name, DIFFERS)
    assert dynamic_engine(name)[1] == DYNAMIC[name][3]


@pytest.mark.parametrize("which", ["min", "opt", "max"])
@pytest.mark.parametrize("name", DYNAMIC)
def test_dynamic_numbers(name, which, request):
    """At the profile's smallest, usual and largest shape: the reference's shapes and numbers."""
    expect(request, name, DIFFERS)
    *_, profile, _, reference = DYNAMIC[name]
    x = numbers(*profile[("min", "opt", "max").index(which)], seed=len(name))
    wanted = reference(x)
    wanted = wanted.numpy() if isinstance(wanted, torch.Tensor) else np.asarray(wanted)
    close(run(dynamic_engine(name)[0], {"x": x})["y"], wanted, 5e-4, name)


def test_reshape_by_constant_tensor():
    """A shuffle's second input is its shape: INT32 before TensorRT 10, INT64 from then on."""
    net = network()
    made = by_shape_tensor(net, net.add_input("x", trt.float32, SEQUENCE.shape))
    net.mark_output(made)
    assert tuple(made.shape) == (10, 12)
    (found,) = run(engine_of(net), {"x": SEQUENCE}).values()
    close(found, SEQUENCE.reshape(10, 12), 0)


def by_shape_tensor(net, x):
    layer = net.add_shuffle(x)
    layer.set_input(1, out(net.add_constant((2,), TEN_TWELVE_32 if INT_SHAPES else TEN_TWELVE)))
    return out(layer)


def test_boolean_input_and_output():
    """Booleans can be inputs and outputs."""
    net = network()
    a, b = (net.add_input(n, trt.bool, TRUE.shape) for n in "ab")
    made = out(net.add_elementwise(a, b, trt.ElementWiseOperation.AND))
    made.name = "y"
    net.mark_output(made)
    engine = engine_of(net)
    assert engine.get_tensor_dtype("y") == trt.DataType.BOOL
    np.testing.assert_array_equal(run(engine, {"a": TRUE, "b": FALSE})["y"], TRUE & FALSE)


def test_half_overflows():
    """60000 + 60000 is infinite in FP16, on both backends."""
    net = network()
    a, b = (net.add_input(n, trt.float16, (1, 4)) for n in "ab")
    made = out(net.add_elementwise(a, b, trt.ElementWiseOperation.SUM))
    made.name = "y"
    made.dtype = trt.float16 if INT_SHAPES else made.dtype
    net.mark_output(made)
    big = np.array([[6e4, 1, -6e4, 0.5]], np.float16)
    found = run(engine_of(net, precisions=("fp16",)), {"a": big, "b": big})["y"].astype(np.float32)
    np.testing.assert_array_equal(found, [[math.inf, 2, -math.inf, 1]])


@pytest.mark.parametrize("kind", ["float32", "float16", "int32"])
def test_types_follow_the_inputs(kind):
    """An element-wise product has its inputs' type (before strong typing, 10.0, half may read as float)."""
    if kind == "float16" and not compat.strongly_typed():
        pytest.skip("networks of TensorRT 8 are not strongly typed")
    net = network()
    x = net.add_input("x", trt_type(kind), (2, 3))
    assert out(net.add_elementwise(x, x, trt.ElementWiseOperation.PROD)).dtype == trt_type(kind)
