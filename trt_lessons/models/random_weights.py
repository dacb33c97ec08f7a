"""ResNet-50, a BERT-like encoder and small stacks of convolutions with seeded random weights: real work, meaningless
answers. Lessons 04_1 and 04_3.

Made with onnx.helper and NumPy alone, in a second or two, on first use; kept in the cache folder. The weights
are scaled so that numbers neither grow nor vanish on the way, in FP16 too. Every graph is opset 17, IR
version 8, and holds only what TensorRT 8.6 reads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from . import _onnx

_REVISION = 1  # part of the file name: raise it when the graphs change


class _Graph:
    """A graph under construction: nodes in order, weights, one generator of random numbers."""

    def __init__(self, seed: int) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.random = np.random.Generator(np.random.PCG64(seed))

    def add(self, op: str, name: str, *inputs: str, output: str | None = None, **attributes: object) -> str:
        output = output or name
        self.nodes.append(helper.make_node(op, list(inputs), [output], name=name, **attributes))
        return output

    def constant(self, name: str, value: np.ndarray) -> str:
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def normal(self, name: str, shape: tuple[int, ...], deviation: float) -> str:
        values = self.random.standard_normal(shape, dtype=np.float32)
        return self.constant(name, values * np.float32(deviation))

    def model(self, name: str, inputs: list, outputs: list) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, name, inputs, outputs, self.weights)
        opset = [helper.make_opsetid("", _onnx.OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=_onnx.IR_VERSION)
        return _onnx.anonymous(model)


def _kept(name: str, make: Callable[[], onnx.ModelProto]) -> Path:
    path = _onnx.cache_folder() / f"{name}_r{_REVISION}.onnx"
    if not path.is_file():
        _onnx.save(make(), path)
    return path


def convolutions(gain: float = 1.0) -> onnx.ModelProto:
    """Three convolutions with ReLUs: "x" to "y", both [16, 64, 48, 48] float32. Lesson 07.

    gain: the first one's weights are larger, the second one's smaller by this factor: the function stays the same.
    """
    shape = (16, 64, 48, 48)
    weights = np.random.default_rng(7).normal(0, 0.06, (3, 64, 64, 3, 3)).astype(np.float32)
    weights *= np.array([gain, 1 / gain, 1], np.float32).reshape(3, 1, 1, 1, 1)
    arrays = [numpy_helper.from_array(array, f"w{i}") for i, array in enumerate(weights)]
    nodes, source = [], "x"
    for i in range(3):
        nodes.append(helper.make_node("Conv", [source, f"w{i}"], [f"conv{i}"], f"conv{i}", pads=[1] * 4))
        nodes.append(helper.make_node("Relu", [f"conv{i}"], [f"relu{i}"], f"relu{i}"))
        source = f"relu{i}"
    nodes[-1].output[0] = "y"
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy"]
    graph = helper.make_graph(nodes, "convolutions", ends[:1], ends[1:], arrays)
    opset = [helper.make_opsetid("", _onnx.OPSET)]
    return helper.make_model(graph, opset_imports=opset, ir_version=_onnx.IR_VERSION)


def resnet50(batch: int | None = None, seed: int = 0) -> Path:
    """Path of ResNet-50: "images" [batch, 3, 224, 224] to "logits" [batch, 1000]; 25.6 M weights, 102 MB.

    batch: a number for a static graph, None for a dynamic one. Weights are random: use it for speed alone.
    """
    size = "dynamic" if batch is None else f"b{batch}"
    return _kept(f"resnet50_{size}_seed{seed}", lambda: _resnet50(batch, seed))


def _resnet50(batch: int | None, seed: int) -> onnx.ModelProto:
    graph = _Graph(seed)
    x = _conv(graph, "stem.conv", "images", 3, 64, 7, 2)
    x = graph.add("Relu", "stem.relu", x)
    x = graph.add("MaxPool", "stem.pool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    wide = 64
    for stage, (narrow, blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), start=1):
        for block in range(blocks):
            stride = 2 if block == 0 and stage > 1 else 1
            x = _bottleneck(graph, f"stage{stage}.block{block + 1}", x, wide, narrow, stride)
            wide = 4 * narrow
    x = graph.add("Flatten", "flatten", graph.add("GlobalAveragePool", "pool", x), axis=1)
    weight = graph.normal("classifier.weight", (1000, wide), 1 / math.sqrt(wide))
    bias = graph.constant("classifier.bias", np.zeros(1000, np.float32))
    graph.add("Gemm", "classifier", x, weight, bias, output="logits", transB=1)
    count = "batch" if batch is None else batch
    inputs = [helper.make_tensor_value_info("images", TensorProto.FLOAT, [count, 3, 224, 224])]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [count, 1000])]
    return graph.model("resnet50", inputs, outputs)


def _conv(
    graph: _Graph, name: str, source: str, narrow: int, wide: int, kernel: int, stride: int, gain: float = 2.0
) -> str:
    deviation = math.sqrt(gain / (narrow * kernel * kernel))
    weight = graph.normal(f"{name}.weight", (wide, narrow, kernel, kernel), deviation)
    bias = graph.normal(f"{name}.bias", (wide,), 0.01)
    shape = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [kernel // 2] * 4}
    return graph.add("Conv", name, source, weight, bias, **shape)


def _bottleneck(graph: _Graph, name: str, source: str, wide: int, narrow: int, stride: int) -> str:
    x = graph.add("Relu", f"{name}.relu1", _conv(graph, f"{name}.conv1", source, wide, narrow, 1, 1))
    x = graph.add("Relu", f"{name}.relu2", _conv(graph, f"{name}.conv2", x, narrow, narrow, 3, stride))
    # the branch adds a quarter of its size to the sum, so that sixteen sums do not run away
    x = _conv(graph, f"{name}.conv3", x, narrow, 4 * narrow, 1, 1, gain=0.25)
    skip = source
    if stride != 1 or wide != 4 * narrow:
        skip = _conv(graph, f"{name}.skip", source, wide, 4 * narrow, 1, stride, gain=1.0)
    return graph.add("Relu", f"{name}.relu3", graph.add("Add", f"{name}.add", x, skip))


def stack(
    name: str, shape: tuple[int | str, ...], widths: Sequence[int], *, kernel: int = 3, seed: int = 0
) -> onnx.ModelProto:
    """Convolutions with these numbers of channels, a ReLU after each: float32 `name` of `shape` to "out".

    shape: a batch that is a name stays open.
    kernel: side of each convolution, odd; 1 makes it a matrix product over the channels.
    """
    graph = _Graph(seed)
    last = _convolutions(graph, "layer", name, shape[1], widths, "out", kernel)
    ends = [[(name, shape)], [(last, (shape[0], widths[-1], *shape[2:]))]]
    return graph.model("stack", *([_value(*end) for end in side] for side in ends))


def tower(batch: int | str, channels: int = 128, size: int = 32) -> onnx.ModelProto:
    """Four 3x3 convolutions "conv1" to "conv4", each with a ReLU, and the mean: "x" to "y" [batch, channels, 1, 1].

    x is float32 [batch, channels, size, size]; a batch that is a name stays open. Lesson 04_5.
    """
    rng, nodes, weights, x = np.random.default_rng(0), [], [], "x"
    for i in range(1, 5):
        kernel = rng.standard_normal((channels, channels, 3, 3)) * np.sqrt(2 / (9 * channels))
        weights.append(numpy_helper.from_array(kernel.astype(np.float32), f"conv{i}.weight"))
        shape = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
        nodes.append(helper.make_node("Conv", [x, f"conv{i}.weight"], [f"conv{i}.out"], name=f"conv{i}", **shape))
        nodes.append(helper.make_node("Relu", [f"conv{i}.out"], [f"relu{i}.out"], name=f"relu{i}"))
        x = f"relu{i}.out"
    nodes.append(helper.make_node("GlobalAveragePool", [x], ["y"], name="mean"))
    ends = [_value(name, (batch, channels, s, s)) for name, s in (("x", size), ("y", 1))]
    graph = helper.make_graph(nodes, "tower", ends[:1], ends[1:], weights)
    opset = [helper.make_opsetid("", _onnx.OPSET)]
    return helper.make_model(graph, opset_imports=opset, ir_version=_onnx.IR_VERSION)


def branches(count: int = 4, deep: int = 6, channels: int = 32, size: int = 32, seed: int = 0) -> onnx.ModelProto:
    """`count` branches of `deep` convolutions each, side by side: "x" [1, count * channels, size, size] to "out"."""
    graph, wide = _Graph(seed), count * channels
    parts = [f"part{i}" for i in range(count)]
    graph.nodes.append(helper.make_node("Split", ["x"], parts, name="split", axis=1))
    widths = [channels] * deep
    last = [_convolutions(graph, f"branch{i}", part, channels, widths) for i, part in enumerate(parts)]
    graph.add("Concat", "join", *last, output="out", axis=1)
    return graph.model("branches", [_value("x", (1, wide, size, size))], [_value("out", (1, wide, size, size))])


def _convolutions(
    graph: _Graph, name: str, x: str, narrow: int, widths: Sequence[int], output: str | None = None, kernel: int = 3
) -> str:
    for i, wide in enumerate(widths):
        x = _conv(graph, f"{name}{i}.conv", x, narrow, wide, kernel, 1)
        x = graph.add("Relu", f"{name}{i}.relu", x, output=output if i == len(widths) - 1 else None)
        narrow = wide
    return x


def _value(name: str, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))


def bert(
    batch: int | None = None,
    length: int | None = None,
    layers: int = 6,
    hidden: int = 384,
    heads: int = 6,
    words: int = 8192,
    seed: int = 0,
) -> Path:
    """Path of a BERT-like encoder: "tokens" int64 [batch, length] to "encoded" [batch, length, hidden].

    batch, length: numbers for a static graph, None for dynamic ones (length up to 512). Six layers of 384
    hold 14 M weights, 56 MB. Weights are random: use it for speed alone. TensorRT 8.6 reads the tokens as
    INT32.
    """
    numbers = "_".join("x" if value is None else str(value) for value in (batch, length, layers, hidden, heads, words))
    return _kept(f"bert_{numbers}_seed{seed}", lambda: _bert(batch, length, layers, hidden, heads, words, seed))


def _bert(
    batch: int | None, length: int | None, layers: int, hidden: int, heads: int, words: int, seed: int
) -> onnx.ModelProto:
    graph = _Graph(seed)
    graph.constant("split_heads", np.array([0, 0, heads, hidden // heads], np.int64))
    graph.constant("join_heads", np.array([0, 0, hidden], np.int64))
    graph.constant("attention_factor", np.array(1 / math.sqrt(hidden // heads), np.float32))
    for name, value in (("half", 0.5), ("one", 1.0), ("root_half", math.sqrt(0.5))):
        graph.constant(name, np.array(value, np.float32))
    x = graph.add("Gather", "embed.words", graph.normal("embed.table", (words, hidden), 1.0), "tokens")
    x = graph.add("Add", "embed.add", x, _positions(graph, hidden, length))
    x = _norm(graph, "embed.norm", x, hidden)
    for number in range(1, layers + 1):
        last = "encoded" if number == layers else None
        x = _encoder_layer(graph, f"layer{number}", x, hidden, last)
    shape = ["batch" if batch is None else batch, "length" if length is None else length]
    inputs = [helper.make_tensor_value_info("tokens", TensorProto.INT64, shape)]
    outputs = [helper.make_tensor_value_info("encoded", TensorProto.FLOAT, [*shape, hidden])]
    return graph.model("bert", inputs, outputs)


def _positions(graph: _Graph, hidden: int, length: int | None) -> str:
    """Weights for 512 positions, cut to the length of the input."""
    table = graph.normal("embed.positions", (512 if length is None else length, hidden), 0.5)
    if length is not None:
        return table
    graph.constant("zero", np.array([0], np.int64))
    graph.constant("one_place", np.array([1], np.int64))
    graph.constant("two_places", np.array([2], np.int64))
    shape = graph.add("Shape", "embed.shape", "tokens")
    end = graph.add("Slice", "embed.length", shape, "one_place", "two_places", "zero")
    return graph.add("Slice", "embed.cut", table, "zero", end, "zero")


def _norm(graph: _Graph, name: str, source: str, hidden: int, output: str | None = None) -> str:
    scale = graph.constant(f"{name}.weight", np.ones(hidden, np.float32))
    shift = graph.constant(f"{name}.bias", np.zeros(hidden, np.float32))
    return graph.add("LayerNormalization", name, source, scale, shift, output=output, axis=-1, epsilon=1e-5)


def _dense(graph: _Graph, name: str, source: str, narrow: int, wide: int, gain: float = 1.0) -> str:
    weight = graph.normal(f"{name}.weight", (narrow, wide), math.sqrt(gain / narrow))
    bias = graph.normal(f"{name}.bias", (wide,), 0.01)
    return graph.add("Add", f"{name}.add", graph.add("MatMul", name, source, weight), bias)


def _encoder_layer(graph: _Graph, name: str, x: str, hidden: int, last: str | None) -> str:
    def heads(part: str, order: list[int]) -> str:
        y = _dense(graph, f"{name}.{part}", x, hidden, hidden)
        y = graph.add("Reshape", f"{name}.{part}.split", y, "split_heads")
        return graph.add("Transpose", f"{name}.{part}.turn", y, perm=order)

    query, key, value = heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1]), heads("value", [0, 2, 1, 3])
    scores = graph.add("MatMul", f"{name}.scores", query, key)
    scores = graph.add("Mul", f"{name}.scale", scores, "attention_factor")
    shares = graph.add("Softmax", f"{name}.softmax", scores, axis=-1)
    mixed = graph.add("MatMul", f"{name}.mix", shares, value)
    mixed = graph.add("Transpose", f"{name}.turn", mixed, perm=[0, 2, 1, 3])
    mixed = graph.add("Reshape", f"{name}.join", mixed, "join_heads")
    y = graph.add("Add", f"{name}.add1", x, _dense(graph, f"{name}.out", mixed, hidden, hidden))
    y = _norm(graph, f"{name}.norm1", y, hidden)
    z = _gelu(graph, f"{name}.gelu", _dense(graph, f"{name}.up", y, hidden, 4 * hidden))
    z = graph.add("Add", f"{name}.add2", y, _dense(graph, f"{name}.down", z, 4 * hidden, hidden, gain=2.0))
    return _norm(graph, f"{name}.norm2", z, hidden, last)


def _gelu(graph: _Graph, name: str, x: str) -> str:
    """x * (1 + erf(x / sqrt 2)) / 2 in single ops: TensorRT 8.6 knows no Gelu."""
    y = graph.add("Erf", f"{name}.erf", graph.add("Mul", f"{name}.narrow", x, "root_half"))
    y = graph.add("Mul", f"{name}.gate", x, graph.add("Add", f"{name}.raise", y, "one"))
    return graph.add("Mul", f"{name}.halve", y, "half")
