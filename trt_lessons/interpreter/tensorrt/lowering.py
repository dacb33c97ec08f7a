"""From layers to ONNX: what each layer computes, and the shapes and types that follow from it.

Layers that came from an ONNX file keep their own node; layers added by the layer API are written as
nodes here. Shapes and types are onnx's own shape inference over those nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from . import enums as E
from .types import FROM_ONNX, TO_ONNX, Dims, volume

if TYPE_CHECKING:
    from .layers import ILayer
    from .network import INetworkDefinition, ITensor

OPSET = 21
IR_VERSION = 10
_SMALL = 256  # elements; larger constants are left out of shape inference


class NetworkError(Exception):
    """The network as defined makes no sense; the text names the layer."""


class Known(NamedTuple):
    """What is known of a tensor: its type, and its shape (None when not even the rank is known)."""

    dtype: E.DataType | None
    shape: Dims | None


class Part(NamedTuple):
    """One layer, written as ONNX: nodes and the constants they use."""

    nodes: list[NodeProto]
    constants: list[TensorProto]


class Lowering:
    """A network's ONNX form, kept up to date layer by layer."""

    def __init__(self, network: INetworkDefinition) -> None:
        self.network = network
        self.parts: dict[int, Part] = {}  # by the layer's index
        self.order: list[int] = []  # in which layers can run: one may use the output of a layer added after it
        self.types: dict[str, Known] = {}
        self.problems: dict[int, str] = {}  # layers that make no sense, by index
        self.initializers: dict[str, TensorProto] = {}  # of parsed models
        self.opset, self.domains = OPSET, {}

    def invalidate(self, index: int) -> None:
        """Forget everything from the index-th layer on."""
        self.parts = {i: part for i, part in self.parts.items() if i < index}
        if index == 0:
            self.types.clear()

    def update(self) -> None:
        """Write the layers that are not written yet; raises NetworkError where one makes no sense."""
        layers = self.network._layers
        if len(self.parts) == len(layers) and (self.types or not layers):
            return
        self._sort(layers)
        self.problems.clear()
        for layer in (layers[i] for i in self.order if i not in self.parts):
            emit = Emit(self, layer)
            try:
                WRITERS[layer._kind](layer, emit) if layer._node is None else emit.original(layer)
                self.parts[layer._index] = Part(emit.nodes, emit.constants)
            except NetworkError as problem:
                self.problems[layer._index] = f"{layer._name}: {problem}"
        self._infer(strict=not self.problems)
        if self.problems:
            raise NetworkError(next(iter(self.problems.values())))

    def _sort(self, layers: list[ILayer]) -> None:
        order: dict[int, None] = {}

        def visit(layer: ILayer) -> None:
            for tensor in layer._tensors():
                if tensor._producer is not None and tensor._producer._index not in order:
                    visit(tensor._producer)
            order[layer._index] = None

        for layer in layers:
            if layer._index not in order:
                visit(layer)
        self.order = list(order)

    def known(self, tensor: ITensor) -> Known:
        """Type and shape of a tensor whose layer is written already."""
        if tensor._producer is None:
            return Known(tensor._dtype, tensor._shape)
        if tensor._name not in self.types:
            self._infer(strict=not self.problems)
        return self.types.get(tensor._name, Known(None, None))

    def nodes(self) -> list[NodeProto]:
        """All nodes, each behind those it needs."""
        return [node for i in self.order if i in self.parts for node in self.parts[i].nodes]

    def constants(self) -> list[TensorProto]:
        """All constants the nodes use."""
        own = [c for part in self.parts.values() for c in part.constants]
        return [*self.initializers.values(), *own]

    def model(self, outputs: Iterable[onnx.ValueInfoProto], *, light: bool = False) -> onnx.ModelProto:
        """The network as an ONNX model; `light` replaces large constants by inputs of the same type."""
        inputs = [input_info(t) for t in self.network._inputs]
        nodes, kept = self.nodes(), []
        if light:
            used = {name for node in nodes for name in node.input}
        for constant in self.constants():
            if light and constant.name not in used:
                continue
            if light and volume(constant.dims) > _SMALL:
                inputs.append(helper.make_tensor_value_info(constant.name, constant.data_type, list(constant.dims)))
            else:
                kept.append(constant)
        graph = helper.make_graph(nodes, self.network.name or "network", inputs, list(outputs), kept)
        opsets = [helper.make_opsetid("", self.opset)] + [helper.make_opsetid(d, v) for d, v in self.domains.items()]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)

    def _infer(self, strict: bool = True) -> None:
        """onnx's shape inference, strictly; BF16 again without its type check, which knows BF16 from opset 22 on."""
        model, reason = self.model([], light=True), ""
        for check in (True, False) if strict else ():
            try:
                self._remember(
                    onnx.shape_inference.infer_shapes(model, check_type=check, strict_mode=True, data_prop=True)
                )
                if check or any(k.dtype == E.DataType.BF16 for k in self.types.values()):
                    return
            except onnx.shape_inference.InferenceError as problem:
                reason = reason or _first_reason(str(problem))
        self._remember(onnx.shape_inference.infer_shapes(model, data_prop=True))
        if strict:
            raise NetworkError(reason)

    def _remember(self, model: onnx.ModelProto) -> None:
        graph = model.graph
        self.types = {c.name: Known(FROM_ONNX.get(c.data_type), Dims(c.dims)) for c in self.constants()}
        self.types |= {v.name: known_of(v) for v in [*graph.input, *graph.value_info]}


def _first_reason(text: str) -> str:
    """The part of onnx's message that a learner needs."""
    for line in text.splitlines():
        if "error" in line.lower() or "op_type" in line:
            return line.strip()
    return text.strip()


def input_info(tensor: ITensor) -> onnx.ValueInfoProto:
    """An input of the network as ONNX wants it: -1 becomes a named dimension."""
    names = tensor._dimension_names
    shape = [d if d >= 0 else names.get(i) or f"{tensor._name}_{i}" for i, d in enumerate(tensor._shape)]
    return helper.make_tensor_value_info(tensor._name, TO_ONNX[tensor._dtype.name], shape)


def known_of(info: onnx.ValueInfoProto) -> Known:
    """Type and shape of an ONNX value, -1 where a size is not a number."""
    kind = info.type.tensor_type
    if not kind.HasField("shape"):
        return Known(FROM_ONNX.get(kind.elem_type), None)
    shape = Dims(d.dim_value if d.HasField("dim_value") else -1 for d in kind.shape.dim)
    return Known(FROM_ONNX.get(kind.elem_type), shape)


class Emit:
    """Writes one layer: `node` adds a node, `const` a constant."""

    def __init__(self, lowering: Lowering, layer: ILayer) -> None:
        self.lowering, self.layer = lowering, layer
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self.last = [t._name for t in layer._outputs]

    def known(self, tensor: ITensor) -> Known:
        """Type and shape of an input; NetworkError when the rank is not known."""
        known = self.lowering.known(tensor)
        if known.shape is None:
            raise NetworkError(f"the shape of its input {tensor._name} is not known")
        return known

    def rank(self, tensor: ITensor) -> int:
        """How many dimensions an input has."""
        return tuple.__len__(self.known(tensor).shape)

    def original(self, layer: ILayer) -> None:
        """The layer's own ONNX node, its tensors under their present names."""
        node = NodeProto()
        node.CopyFrom(layer._node)
        node.name = layer._name
        del node.input[:], node.output[:]
        node.input.extend("" if x is None else x if isinstance(x, str) else x._name for x in layer._inputs)
        node.output.extend(self.last)
        self.nodes.append(node)

    def node(self, op: str, inputs: list, output: str | list[str] | None = None, **attrs: object) -> str:
        """Add a node; without `output` it writes the layer's output. Returns the first output's name."""
        outputs = self.last if output is None else [output] if isinstance(output, str) else output
        names = [x if isinstance(x, str) else x._name for x in inputs]
        title = self.layer._name if output is None else f"{self.layer._name}/{output}"
        self.nodes.append(helper.make_node(op, names, outputs, name=title, **attrs))
        return outputs[0]

    def temp(self, hint: str) -> str:
        """A name for a value inside the layer."""
        return f"{self.last[0]}/{hint}{len(self.nodes)}"

    def const(self, values: object, hint: str, like: ITensor | None = None) -> str:
        """A constant; `like` gives it a tensor's element type."""
        array = np.asarray(values)
        named = self.lowering.network._weight_names.get(array.ctypes.data)
        name = named or f"{self.layer._name}:{hint}"
        if like is not None:
            kind = TO_ONNX[self.known(like).dtype.name]
            proto = helper.make_tensor(name, kind, array.shape, array.astype(np.float32).ravel())
        else:
            proto = numpy_helper.from_array(array, name)
        self.constants.append(proto)
        return name

    def ints(self, values: Iterable[int], hint: str) -> str:
        """A constant list of INT64."""
        return self.const(np.array(list(values), np.int64), hint)


def bits(mask: int) -> list[int]:
    """The axes whose bits are set."""
    return [i for i in range(Dims.MAX_DIMS) if mask >> i & 1]


def _windows(layer: ILayer) -> dict:
    mode = layer._values["padding_mode"].name if "padding_mode" in layer._values else "EXPLICIT_ROUND_DOWN"
    attrs: dict = {"strides": list(layer._values["stride_nd"])}
    if mode.startswith("SAME"):
        attrs["auto_pad"] = mode
    else:
        attrs["pads"] = [*layer._values["pre_padding"], *layer._values["post_padding"]]
    return attrs


def _weights(layer: ILayer, e: Emit, transposed: bool) -> list:
    v = layer._values
    inputs: list = [layer._inputs[0]]
    size = list(v["kernel_size_nd"])
    if v["kernel"] is None:
        inputs.append(layer._inputs[1])
    else:
        channels = e.known(inputs[0]).shape[1]
        groups = v.get("num_groups", 1)
        shape = [channels, v["num_output_maps"] // groups] if transposed else [v["num_output_maps"], channels // groups]
        if v["kernel"].size != volume(shape + size):
            raise NetworkError(f"kernel weights has count {v['kernel'].size} but {volume(shape + size)} was expected")
        inputs.append(e.const(v["kernel"].reshape(shape + size), "KERNEL"))
    if v["bias"] is not None:
        inputs.append(e.const(v["bias"].ravel(), "BIAS"))
    return inputs


def _conv(layer: ILayer, e: Emit) -> None:
    v = layer._values
    transposed = layer._kind == "IDeconvolutionLayer"
    attrs = _windows(layer) | {"dilations": list(v["dilation_nd"]), "group": v.get("num_groups", 1)}
    attrs["kernel_shape"] = list(v["kernel_size_nd"])
    e.node("ConvTranspose" if transposed else "Conv", _weights(layer, e, transposed), **attrs)


def _pool(layer: ILayer, e: Emit) -> None:
    v = layer._values
    attrs = _windows(layer) | {"kernel_shape": list(v["window_size_nd"])}
    if v.get("padding_mode") == E.PaddingMode.EXPLICIT_ROUND_UP:
        attrs["ceil_mode"] = 1
    if v["type"] == E.PoolingType.MAX:
        e.node("MaxPool", layer._inputs, **attrs)
    elif v["type"] == E.PoolingType.AVERAGE:
        e.node(
            "AveragePool",
            layer._inputs,
            count_include_pad=int(not v.get("average_count_excludes_padding", True)),
            **attrs,
        )
    else:
        raise NetworkError("the interpreter has no MAX_AVERAGE_BLEND pooling")


_ACTIVATIONS: dict[str, tuple[str, Callable[[float, float], dict]]] = {
    "RELU": ("Relu", lambda a, b: {}), "SIGMOID": ("Sigmoid", lambda a, b: {}), "TANH": ("Tanh", lambda a, b: {}),
    "SOFTSIGN": ("Softsign", lambda a, b: {}), "LEAKY_RELU": ("LeakyRelu", lambda a, b: {"alpha": a}),
    "ELU": ("Elu", lambda a, b: {"alpha": a}), "SELU": ("Selu", lambda a, b: {"alpha": a, "gamma": b}),
    "HARD_SIGMOID": ("HardSigmoid", lambda a, b: {"alpha": a, "beta": b}),
    "THRESHOLDED_RELU": ("ThresholdedRelu", lambda a, b: {"alpha": a}),
}  # fmt: skip


def _activation(layer: ILayer, e: Emit) -> None:
    v, x = layer._values, layer._inputs[0]
    kind, a, b = v["type"].name, v.get("alpha", 0.0), v.get("beta", 0.0)
    if kind in _ACTIVATIONS:
        op, attrs = _ACTIVATIONS[kind]
        e.node(op, [x], **attrs(a, b))
    elif kind == "CLIP":
        e.node("Clip", [x, e.const(a, "low", x), e.const(b, "high", x)])
    elif kind == "SCALED_TANH":  # alpha * tanh(beta * x)
        inner = e.node("Mul", [x, e.const(b, "beta", x)], e.temp("bx"))
        e.node("Mul", [e.node("Tanh", [inner], e.temp("tanh")), e.const(a, "alpha", x)])
    elif kind == "SOFTPLUS":  # alpha * log(exp(beta * x) + 1)
        inner = e.node("Mul", [x, e.const(b, "beta", x)], e.temp("bx"))
        e.node("Mul", [e.node("Softplus", [inner], e.temp("softplus")), e.const(a, "alpha", x)])
    else:
        _gelu(x, e, kind)


def _gelu(x: ITensor, e: Emit, kind: str) -> None:
    if kind == "GELU_ERF":
        scaled = e.node("Div", [x, e.const(np.sqrt(2.0), "sqrt2", x)], e.temp("x"))
        curve = e.node("Erf", [scaled], e.temp("erf"))
    else:
        cube = e.node("Mul", [e.node("Mul", [x, x], e.temp("x2")), x], e.temp("x3"))
        small = e.node("Mul", [cube, e.const(0.044715, "c", x)], e.temp("c"))
        inner = e.node(
            "Mul", [e.node("Add", [x, small], e.temp("s")), e.const(np.sqrt(2 / np.pi), "k", x)], e.temp("k")
        )
        curve = e.node("Tanh", [inner], e.temp("tanh"))
    half = e.node("Mul", [x, e.const(0.5, "half", x)], e.temp("half"))
    e.node("Mul", [half, e.node("Add", [curve, e.const(1.0, "one", x)], e.temp("one"))])


def _one_axis(layer: ILayer) -> int:
    axes = bits(layer._values["axes"])
    if len(axes) != 1:
        raise NetworkError(f"exactly one axis is wanted, the mask {layer._values['axes']:#b} has {len(axes)}")
    return axes[0]


def _matmul(layer: ILayer, e: Emit) -> None:
    sides, vectors = [], []
    for i, (x, op) in enumerate(zip(layer._inputs, (layer._values["op0"], layer._values["op1"]), strict=True)):
        rank = e.rank(x)
        vectors.append(op == E.MatrixOperation.VECTOR)
        if op == E.MatrixOperation.TRANSPOSE:
            order = [*range(rank - 2), rank - 1, rank - 2]
            x = e.node("Transpose", [x], e.temp(f"t{i}"), perm=order)
        elif vectors[-1]:
            x = e.node("Unsqueeze", [x, e.ints([rank - 1 + i], f"axis{i}")], e.temp(f"v{i}"))
        sides.append(x)
    ranks = [e.rank(x) + v for x, v in zip(layer._inputs, vectors, strict=True)]
    if ranks[0] != ranks[1]:
        raise NetworkError(f"inputs must have equal ranks, they have {ranks[0]} and {ranks[1]}")
    if not any(vectors):
        e.node("MatMul", sides)
        return
    product = e.node("MatMul", sides, e.temp("product"))
    e.node("Squeeze", [product, e.ints([-2 + i for i, v in enumerate(vectors) if v], "axes")])


_ELEMENTWISE = {
    "SUM": "Add", "PROD": "Mul", "MAX": "Max", "MIN": "Min", "SUB": "Sub", "DIV": "Div", "POW": "Pow", "AND": "And",
    "OR": "Or", "XOR": "Xor", "EQUAL": "Equal", "GREATER": "Greater", "LESS": "Less",
}  # fmt: skip


def _elementwise(layer: ILayer, e: Emit) -> None:
    a, b = (e.known(x) for x in layer._inputs)
    op = layer._values["op"].name
    if tuple.__len__(a.shape) != tuple.__len__(b.shape):
        raise NetworkError(f"Assertion x.nbDims == y.nbDims failed. mismatched inputs: {a.shape} and {b.shape}")
    if a.dtype != b.dtype:
        kinds = " and ".join(x.dtype.name.capitalize() for x in (a, b))
        raise NetworkError(f"operation {op} has incompatible input types {kinds}")
    if any(m != n and 1 not in (m, n) and -1 not in (m, n) for m, n in zip(a.shape, b.shape, strict=True)):
        told = "elementwise inputs must have same dimensions or follow broadcast rules"
        raise NetworkError(f"{told} (input dimensions were {a.shape} and {b.shape})")
    if op != "FLOOR_DIV":
        e.node(_ELEMENTWISE[op], layer._inputs)
    elif a.dtype in (
        E.DataType.INT32,
        E.DataType.INT64,
    ):  # ONNX's Div cuts towards 0: take 1 off where a remainder has the other sign
        rest = e.node("Mod", layer._inputs, e.temp("rest"))
        e.node("Div", [e.node("Sub", [layer._inputs[0], rest], e.temp("whole")), layer._inputs[1]])
    else:
        e.node("Floor", [e.node("Div", layer._inputs, e.temp("div"))])


_UNARY = {"RECIP": "Reciprocal", "ISINF": "IsInf", "ISNAN": "IsNaN"}


def _unary(layer: ILayer, e: Emit) -> None:
    op = layer._values["op"].name
    e.node(_UNARY.get(op, op.capitalize()), layer._inputs)


def _reduce(layer: ILayer, e: Emit) -> None:
    v = layer._values
    op = {"AVG": "Mean"}.get(v["op"].name, v["op"].name.capitalize())
    axes, keep = bits(v["axes"]), int(v["keep_dims"])
    reduce_over(e, f"Reduce{op}", layer._inputs[0], axes, None, keep)


def reduce_over(e: Emit, op: str, x: object, axes: list[int], output: str | None, keep: int = 1) -> str:
    """A reduction; its axes are an input from opset 18 on (13 for the sum), an attribute before."""
    if e.lowering.opset >= 18 or op == "ReduceSum":
        return e.node(op, [x, e.ints(axes, f"axes{len(e.nodes)}")], output, keepdims=keep)
    return e.node(op, [x], output, axes=axes, keepdims=keep)


def _topk(layer: ILayer, e: Emit) -> None:
    v = layer._values
    count = layer._inputs[1] if len(layer._inputs) > 1 else e.ints([v["k"]], "k")
    if len(layer._inputs) > 1:
        count = e.node(
            "Reshape", [e.node("Cast", [count], e.temp("k"), to=TensorProto.INT64), e.ints([1], "one")], e.temp("k")
        )
    indices = e.temp("indices")
    largest = int(v["op"] == E.TopKOperation.MAX)
    e.node("TopK", [layer._inputs[0], count], [e.last[0], indices], axis=_one_axis(layer), largest=largest)
    e.node("Cast", [indices], e.last[1], to=TO_ONNX[v["indices_type"].name])


def _shuffle(layer: ILayer, e: Emit) -> None:
    v, x = layer._values, layer._inputs[0]
    steps: list[tuple[str, list, dict]] = []
    if "first_transpose" in v:
        steps.append(("Transpose", [], {"perm": list(v["first_transpose"])}))
    if len(layer._inputs) > 1:
        steps.append(("Reshape", [_as_int64(layer._inputs[1], e)], {}))
    elif "reshape_dims" in v:
        _check_volume(e.known(x).shape, v["reshape_dims"])
        zero = {} if v.get("zero_is_placeholder", True) else {"allowzero": 1}
        steps.append(("Reshape", [e.ints(v["reshape_dims"], "shape")], zero))
    if "second_transpose" in v:
        steps.append(("Transpose", [], {"perm": list(v["second_transpose"])}))
    for op, more, attrs in steps[:-1]:
        x = e.node(op, [x, *more], e.temp("step"), **attrs)
    op, more, attrs = steps[-1] if steps else ("Identity", [], {})
    e.node(op, [x, *more], **attrs)


def _check_volume(shape: Dims, wanted: Dims) -> None:
    if -1 not in shape and not {0, -1} & set(wanted) and volume(shape) != volume(wanted):
        raise NetworkError(f"reshape changes volume. Reshaping {list(shape)} to {list(wanted)}.")


def _as_int64(x: object, e: Emit) -> str:
    return e.node("Cast", [x], e.temp("int64"), to=TensorProto.INT64)


def _slice(layer: ILayer, e: Emit) -> None:
    v = layer._values
    if v.get("mode", E.SampleMode.STRICT_BOUNDS) != E.SampleMode.STRICT_BOUNDS:
        raise NetworkError("the interpreter slices within bounds only (SampleMode.STRICT_BOUNDS)")
    axes = list(v.get("axes") or range(e.rank(layer._inputs[0])))
    given = layer._inputs[1:4] + [None] * (4 - len(layer._inputs))
    start, size, stride = (
        e.ints(v[name], name) if x is None else _as_int64(x, e)
        for x, name in zip(given, ("start", "shape", "stride"), strict=True)
    )
    ends = e.node("Add", [start, e.node("Mul", [size, stride], e.temp("span"))], e.temp("ends"))
    if given == [None] * 3:  # a negative stride ends one before the first element: far below 0, not at -1
        numbers = [s + n * k for s, n, k in zip(v["start"], v["shape"], v["stride"], strict=True)]
        ends = e.ints([n if n >= 0 else -(2**62) for n in numbers], "ends")
        del e.nodes[-2:]
    e.node("Slice", [layer._inputs[0], start, ends, e.ints(axes, "axes"), stride])


def _concat(layer: ILayer, e: Emit) -> None:
    kinds = {e.known(x).dtype for x in layer._inputs}
    if len(kinds) > 1:
        raise NetworkError(f"inputs to concatenate must have one type, got {sorted(k.name for k in kinds)}")
    e.node("Concat", layer._inputs, axis=layer._values["axis"])


def _gather(layer: ILayer, e: Emit) -> None:
    v = layer._values
    mode = v["mode"].name
    if mode == "ND":
        e.node(
            "GatherND", [layer._inputs[0], _as_int64(layer._inputs[1], e)], batch_dims=v.get("num_elementwise_dims", 0)
        )
    else:
        e.node("Gather" if mode == "DEFAULT" else "GatherElements", layer._inputs, axis=v.get("axis", 0))


def _resize(layer: ILayer, e: Emit) -> None:
    v, x = layer._values, layer._inputs[0]
    shape = e.ints(v["shape"], "shape") if "shape" in v else None
    if len(layer._inputs) > 1:
        shape = _as_int64(layer._inputs[1], e)
    scales = "" if shape else e.const(np.array(v["scales"], np.float32), "scales")
    coordinates = {"HALF_PIXEL": "half_pixel", "ALIGN_CORNERS": "align_corners", "ASYMMETRIC": "asymmetric"}
    rounding = {"FLOOR": "floor", "CEIL": "ceil", "HALF_UP": "round_prefer_ceil", "HALF_DOWN": "round_prefer_floor"}
    coordinate = v.get("coordinate_transformation", E.ResizeCoordinateTransformation.ASYMMETRIC)
    nearest = v.get("nearest_rounding", E.ResizeRoundMode.FLOOR)
    e.node(
        "Resize", [x, "", scales] + ([shape] if shape else []), cubic_coeff_a=v.get("cubic_coeff", -0.75),
        mode=v.get("resize_mode", E.InterpolationMode.NEAREST).name.lower(), nearest_mode=rounding[nearest.name],
        coordinate_transformation_mode=coordinates[coordinate.name],
    )  # fmt: skip


def _scale(layer: ILayer, e: Emit) -> None:
    v, x = layer._values, layer._inputs[0]
    shape = e.known(x).shape
    wide = {
        "UNIFORM": lambda: [],
        "CHANNEL": lambda: [-1 if i == v["channel_axis"] else 1 for i in range(len(shape))],
        "ELEMENTWISE": lambda: [1 if i < v["channel_axis"] else d for i, d in enumerate(shape)],
    }[v["mode"].name]()
    steps = [
        (op, v[n].reshape(wide), n.upper())
        for op, n in (("Mul", "scale"), ("Add", "shift"), ("Pow", "power"))
        if v[n] is not None
    ]
    for op, array, hint in steps[:-1]:
        x = e.node(op, [x, e.const(array, hint)], e.temp(hint))
    if steps:
        op, array, hint = steps[-1]
        e.node(op, [x, e.const(array, hint)])
    else:
        e.node("Identity", [x])


def _normalization(layer: ILayer, e: Emit) -> None:
    x, scale, bias = layer._inputs
    v, groups = layer._values, layer._values.get("num_groups", 1)
    axes = bits(v["axes"])
    value: object = x
    if groups != 1:
        value, axes = e.node("Reshape", [x, e.ints([0, groups, -1], "groups")], e.temp("groups")), [2]
    mean = reduce_over(e, "ReduceMean", value, axes, e.temp("mean"))
    centred = e.node("Sub", [value, mean], e.temp("centred"))
    square = e.node("Mul", [centred, centred], e.temp("square"))
    variance = reduce_over(e, "ReduceMean", square, axes, e.temp("variance"))
    shifted = e.node("Add", [variance, e.const(v.get("epsilon", 1e-5), "epsilon", x)], e.temp("shifted"))
    normal = e.node("Div", [centred, e.node("Sqrt", [shifted], e.temp("sigma"))], e.temp("normal"))
    if groups != 1:
        normal = e.node("Reshape", [normal, e.node("Shape", [x], e.temp("shape"))], e.temp("back"))
    e.node("Add", [e.node("Mul", [normal, scale], e.temp("scaled")), bias])


def _quantize(layer: ILayer, e: Emit) -> None:
    v, (x, scale) = layer._values, layer._inputs[:2]
    quantizes = layer._kind == "IQuantizeLayer"
    per_axis = bool(tuple.__len__(e.known(scale).shape))
    kind = v["to_type"] if quantizes else e.known(x).dtype
    zero = helper.make_tensor(f"{layer._name}:ZERO", TO_ONNX[kind.name], [], [0])
    inputs: list = [x, scale]
    if not per_axis:
        e.constants.append(zero)
        inputs.append(zero.name)
    attrs = {"axis": v["axis"]} if per_axis and v.get("axis", -1) >= 0 else {}
    if per_axis and quantizes:
        attrs["output_dtype"] = TO_ONNX[kind.name]
    e.node("QuantizeLinear" if quantizes else "DequantizeLinear", inputs, **attrs)


def _padding(layer: ILayer, e: Emit) -> None:
    v, rank = layer._values, e.rank(layer._inputs[0])
    front = [0] * (rank - len(v["pre_padding_nd"]))
    pads = [*front, *v["pre_padding_nd"], *front, *v["post_padding_nd"]]
    e.node("Pad", [layer._inputs[0], e.ints(pads, "pads")])


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
    found = e.node("NonZero", layer._inputs, e.temp("indices"))
    e.node("Cast", [found], to=TO_ONNX[layer._values["indices_type"].name])


WRITERS: dict[str, Callable[[ILayer, Emit], object]] = {
    "IConvolutionLayer": _conv, "IDeconvolutionLayer": _conv, "IPoolingLayer": _pool, "IActivationLayer": _activation,
    "ISoftMaxLayer": lambda layer, e: e.node("Softmax", layer._inputs, axis=_one_axis(layer)),
    "IMatrixMultiplyLayer": _matmul,
    "IConstantLayer": lambda layer, e: e.constants.append(constant_proto(layer)),
    "IElementWiseLayer": _elementwise, "IUnaryLayer": _unary, "IReduceLayer": _reduce, "ITopKLayer": _topk,
    "IShuffleLayer": _shuffle, "ISliceLayer": _slice, "IConcatenationLayer": _concat, "IGatherLayer": _gather,
    "ISelectLayer": lambda layer, e: e.node("Where", layer._inputs), "IResizeLayer": _resize, "IScaleLayer": _scale,
    "INormalizationLayer": _normalization, "IIdentityLayer": lambda layer, e: e.node("Identity", layer._inputs),
    "ICastLayer": lambda layer, e: e.node("Cast", layer._inputs, to=TO_ONNX[layer._values["to_type"].name]),
    "IQuantizeLayer": _quantize, "IDequantizeLayer": _quantize,
    "IShapeLayer": lambda layer, e: e.node("Shape", layer._inputs),
    "IEinsumLayer": lambda layer, e: e.node("Einsum", layer._inputs, equation=layer._values["equation"]),
    "INonZeroLayer": _non_zero, "IPaddingLayer": _padding,
    "IParametricReLULayer": lambda layer, e: e.node("PRelu", layer._inputs),
    "ISqueezeLayer": lambda layer, e: e.node("Squeeze", layer._inputs),
    "IUnsqueezeLayer": lambda layer, e: e.node("Unsqueeze", layer._inputs),
    "ILRNLayer": lambda layer, e: e.node(
        "LRN", layer._inputs, size=layer._values["window_size"], alpha=layer._values["alpha"],
        beta=layer._values["beta"], bias=layer._values["k"],
    ),
}  # fmt: skip
