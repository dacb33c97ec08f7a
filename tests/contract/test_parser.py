"""OnnxParser: small models at opset 17 against onnxruntime, and what the parser says of files it cannot read."""

from __future__ import annotations

import functools

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from trt_lessons import compat

from .networks import close, engine_of, errors_since, has_errors, log, names_of, network, numbers, run, tell, trt

FLOAT, INT32, INT64, HALF = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64, TensorProto.FLOAT16
DIFFERS = {
    "damaged_is_refused": "8.6 reads these bytes as a model without a graph: True, no error, an empty network",
    "damaged_is_in_the_error_list": "8.6 reads these bytes as a model without a graph",
    "damaged_has_a_code": "8.6 reads these bytes as a model without a graph",
    "missing_file_is_in_the_error_list": "8.6 logs a missing file, but leaves the error list empty",
    "damaged_is_in_the_log": "8.6 puts bytes that are no model into the error list only",
    "cut_is_in_the_log": "8.6 puts bytes that are no whole model into the error list only",
}


def model(nodes, inputs, outputs, weights=(), opset=17):
    """A model's bytes; inputs and outputs are {name: (type, shape)}, weights {name: array}."""
    infos = [
        [helper.make_tensor_value_info(n, kind, shape) for n, (kind, shape) in side.items()]
        for side in (inputs, outputs)
    ]
    constants = [numpy_helper.from_array(a, n) for n, a in dict(weights).items()]
    graph = helper.make_graph(nodes, "small", *infos, constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(made)
    return made.SerializeToString()


def node(op, inputs, outputs="y", **attrs):
    return helper.make_node(op, inputs.split(), outputs.split(), name=f"the_{op}", **attrs)


def w(*shape, seed=0, **more):
    return numbers(*shape, seed=seed, **more)


IMAGE, ROWS = (FLOAT, (2, 3, 12, 10)), (FLOAT, (4, 8))
DYNAMIC = (FLOAT, ("batch", 3, 12, 10))
NORM = {"s": w(3, low=0.5), "b": w(3, seed=1), "m": w(3, seed=2), "v": w(3, low=0.5, seed=3)}
K, KB = w(5, 3, 3, 3, seed=4), w(5, seed=5)
DENSE, DENSE_B = w(8, 6, seed=6), w(6, seed=7)
LN, LNB = w(8, low=0.5, seed=8), w(8, seed=9)

# name: (nodes, inputs, outputs, weights)
MODELS = {
    "conv": (
        [node("Conv", "x k kb", pads=[1, 1, 1, 1])],
        {"x": IMAGE},
        {"y": (FLOAT, (2, 5, 12, 10))},
        {"k": K, "kb": KB},
    ),
    "conv_strides": ([node("Conv", "x k", strides=[2, 2])], {"x": IMAGE}, {"y": (FLOAT, (2, 5, 5, 4))}, {"k": K}),
    "conv_dynamic": ([node("Conv", "x k")], {"x": DYNAMIC}, {"y": (FLOAT, ("batch", 5, 10, 8))}, {"k": K}),
    "conv_transpose": (
        [node("ConvTranspose", "x k", strides=[2, 2])],
        {"x": IMAGE},
        {"y": (FLOAT, (2, 4, 24, 20))},
        {"k": w(3, 4, 2, 2)},
    ),
    "batch_norm": ([node("BatchNormalization", "x s b m v")], {"x": IMAGE}, {"y": IMAGE}, NORM),
    "max_pool": (
        [node("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2])],
        {"x": IMAGE},
        {"y": (FLOAT, (2, 3, 6, 5))},
        {},
    ),
    "average_pool": (
        [node("AveragePool", "x", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)],
        {"x": IMAGE},
        {"y": IMAGE},
        {},
    ),
    "global_average_pool": ([node("GlobalAveragePool", "x")], {"x": DYNAMIC}, {"y": (FLOAT, ("batch", 3, 1, 1))}, {}),
    "gemm": ([node("Gemm", "x d db")], {"x": ROWS}, {"y": (FLOAT, (4, 6))}, {"d": DENSE, "db": DENSE_B}),
    "gemm_transposed": (
        [node("Gemm", "x d db", transB=1, alpha=0.5)],
        {"x": ROWS},
        {"y": (FLOAT, (4, 6))},
        {"d": DENSE.T.copy(), "db": DENSE_B},
    ),
    "matmul": ([node("MatMul", "x d")], {"x": (FLOAT, (3, 4, 8))}, {"y": (FLOAT, (3, 4, 6))}, {"d": DENSE}),
    "relu": ([node("Relu", "x")], {"x": ROWS}, {"y": ROWS}, {}),
    "sigmoid": ([node("Sigmoid", "x")], {"x": ROWS}, {"y": ROWS}, {}),
    "tanh": ([node("Tanh", "x")], {"x": ROWS}, {"y": ROWS}, {}),
    "leaky_relu": ([node("LeakyRelu", "x", alpha=0.3)], {"x": ROWS}, {"y": ROWS}, {}),
    "clip": ([node("Clip", "x lo hi")], {"x": ROWS}, {"y": ROWS}, {"lo": np.float32(-0.5), "hi": np.float32(0.75)}),
    "erf": ([node("Erf", "x")], {"x": ROWS}, {"y": ROWS}, {}),
    "softmax": ([node("Softmax", "x", axis=-1)], {"x": ROWS}, {"y": ROWS}, {}),
    "log_softmax": ([node("LogSoftmax", "x", axis=1)], {"x": ROWS}, {"y": ROWS}, {}),
    "add_broadcast": ([node("Add", "x c")], {"x": (FLOAT, (2, 4, 8))}, {"y": (FLOAT, (2, 4, 8))}, {"c": w(8)}),
    "sub": ([node("Sub", "x c")], {"x": ROWS}, {"y": ROWS}, {"c": w(4, 8)}),
    "mul": ([node("Mul", "x c")], {"x": ROWS}, {"y": ROWS}, {"c": w(1, 8)}),
    "div": ([node("Div", "x c")], {"x": ROWS}, {"y": ROWS}, {"c": w(1, 8, low=0.5)}),
    "pow": ([node("Pow", "x c")], {"x": ROWS}, {"y": ROWS}, {"c": np.float32(2)}),
    "sqrt_of_square": ([node("Mul", "x x", "q"), node("Sqrt", "q")], {"x": ROWS}, {"y": ROWS}, {}),
    "where": (
        [node("Greater", "x c", "g"), node("Where", "g x c")],
        {"x": ROWS},
        {"y": ROWS},
        {"c": np.zeros((1, 8), np.float32)},
    ),
    "reduce_mean": ([node("ReduceMean", "x", axes=[2, 3], keepdims=0)], {"x": IMAGE}, {"y": (FLOAT, (2, 3))}, {}),
    "reduce_sum": ([node("ReduceSum", "x a")], {"x": IMAGE}, {"y": (FLOAT, (2, 1, 12, 10))}, {"a": np.array([1])}),
    "reduce_max": ([node("ReduceMax", "x", axes=[1])], {"x": IMAGE}, {"y": (FLOAT, (2, 1, 12, 10))}, {}),
    "reshape": ([node("Reshape", "x s")], {"x": IMAGE}, {"y": (FLOAT, (2, 36, 10))}, {"s": np.array([0, -1, 10])}),
    "flatten_dynamic": ([node("Flatten", "x")], {"x": DYNAMIC}, {"y": (FLOAT, ("batch", 360))}, {}),
    "transpose": ([node("Transpose", "x", perm=[0, 2, 3, 1])], {"x": IMAGE}, {"y": (FLOAT, (2, 12, 10, 3))}, {}),
    "concat": (
        [node("Relu", "x", "r"), node("Concat", "x r", axis=1)],
        {"x": IMAGE},
        {"y": (FLOAT, (2, 6, 12, 10))},
        {},
    ),
    "slice": (
        [node("Slice", "x a b ax st")],
        {"x": IMAGE},
        {"y": (FLOAT, (2, 3, 5, 10))},
        {"a": np.array([1]), "b": np.array([11]), "ax": np.array([2]), "st": np.array([2])},
    ),
    "split": ([node("Split", "x", "p q", axis=3), node("Sub", "p q")], {"x": IMAGE}, {"y": (FLOAT, (2, 3, 12, 5))}, {}),
    "gather": ([node("Gather", "x i", axis=1)], {"x": IMAGE}, {"y": (FLOAT, (2, 2, 12, 10))}, {"i": np.array([2, 0])}),
    "embedding": ([node("Gather", "t x")], {"x": (INT32, (2, 5))}, {"y": (FLOAT, (2, 5, 6))}, {"t": DENSE}),
    "squeeze_unsqueeze": (
        [node("Unsqueeze", "x a", "u"), node("Squeeze", "u a", "s"), node("Relu", "s")],
        {"x": ROWS},
        {"y": ROWS},
        {"a": np.array([1])},
    ),
    "expand": ([node("Expand", "x s")], {"x": (FLOAT, (4, 1))}, {"y": (FLOAT, (4, 8))}, {"s": np.array([4, 8])}),
    "pad": (
        [node("Pad", "x p")],
        {"x": IMAGE},
        {"y": (FLOAT, (2, 3, 14, 13))},
        {"p": np.array([0, 0, 1, 1, 0, 0, 1, 2])},
    ),
    "cast": ([node("Cast", "x", to=INT32)], {"x": ROWS}, {"y": (INT32, (4, 8))}, {}),
    "identity": ([node("Identity", "x", "i"), node("Neg", "i")], {"x": ROWS}, {"y": ROWS}, {}),
    "layer_norm": (
        [node("LayerNormalization", "x s b", axis=-1)],
        {"x": (FLOAT, (2, 5, 8))},
        {"y": (FLOAT, (2, 5, 8))},
        {"s": LN, "b": LNB},
    ),
    "resize": (
        [
            node(
                "Resize",
                "x  sc".replace("  ", " none "),
                mode="nearest",
                nearest_mode="floor",
                coordinate_transformation_mode="asymmetric",
            )
        ],
        {"x": IMAGE},
        {"y": (FLOAT, (2, 3, 24, 20))},
        {"sc": np.array([1, 1, 2, 2], np.float32)},
    ),
    "topk": (
        [node("TopK", "x k", "y i", axis=1)],
        {"x": ROWS},
        {"y": (FLOAT, (4, 3)), "i": (INT64, (4, 3))},
        {"k": np.array([3])},
    ),
    "arg_max": ([node("ArgMax", "x", axis=1, keepdims=0)], {"x": ROWS}, {"y": (INT64, (4,))}, {}),
    "einsum": ([node("Einsum", "x d", equation="ij,jk->ik")], {"x": ROWS}, {"y": (FLOAT, (4, 6))}, {"d": DENSE}),
    "shape_arithmetic": (
        [
            node("Shape", "x", "s"),
            node("Gather", "s zero", "b"),
            node("Unsqueeze", "b zero1", "b1"),
            node("Concat", "b1 rest", "to", axis=0),
            node("Reshape", "x to"),
        ],
        {"x": DYNAMIC},
        {"y": (FLOAT, ("batch", 36, 10))},
        {"zero": np.array(0), "zero1": np.array([0]), "rest": np.array([36, 10])},
    ),
    "constant_node": (
        [helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(w(1, 8))), node("Add", "x c")],
        {"x": ROWS},
        {"y": ROWS},
        {},
    ),
    "two_outputs": ([node("Relu", "x", "y"), node("Neg", "y", "z")], {"x": ROWS}, {"y": ROWS, "z": ROWS}, {}),
    "two_inputs": ([node("Add", "x z")], {"x": ROWS, "z": ROWS}, {"y": ROWS}, {}),
    "depth_to_space": (
        [node("DepthToSpace", "x", blocksize=2)],
        {"x": (FLOAT, (1, 8, 3, 4))},
        {"y": (FLOAT, (1, 2, 6, 8))},
        {},
    ),
    "instance_norm": (
        [node("InstanceNormalization", "x s b")],
        {"x": IMAGE},
        {"y": IMAGE},
        {"s": NORM["s"], "b": NORM["b"]},
    ),
    "qdq": (
        [node("QuantizeLinear", "x sc z", "q"), node("DequantizeLinear", "q sc z")],
        {"x": IMAGE},
        {"y": IMAGE},
        {"sc": np.float32(0.05), "z": np.int8(0)},
    ),
}
for _nodes, *_ in MODELS.values():
    for _node in _nodes:
        for _i, _name in enumerate(_node.input):
            if _name == "none":
                _node.input[_i] = ""

PRECISIONS = {"qdq": ("int8",)}


@functools.cache
def parsed(name):
    """(bytes, network, engine) of a model."""
    data, net = model(*MODELS[name]), network()
    parser = trt.OnnxParser(net, log())
    assert parser.parse(data), [parser.get_error(i).desc() for i in range(parser.num_errors)]
    assert parser.num_errors == 0
    batch = {"x": ((1, 3, 12, 10), (2, 3, 12, 10), (4, 3, 12, 10))}
    dynamic = any("batch" in shape for _, shape in MODELS[name][1].values())
    return data, net, engine_of(net, batch if dynamic else None, PRECISIONS.get(name, ()))


@pytest.mark.parametrize("name", MODELS)
def test_numbers(name):
    """The engine's numbers are onnxruntime's."""
    data, _, engine = parsed(name)
    reference = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    feeds = {}
    for number, (key, (kind, shape)) in enumerate(MODELS[name][1].items()):
        sizes = [2 if isinstance(d, str) else d for d in shape]
        feeds[key] = w(*sizes, low=0, high=8, kind=np.int32) if kind == INT32 else w(*sizes, seed=50 + number)
    wanted = dict(zip([o.name for o in reference.get_outputs()], reference.run(None, feeds), strict=True))
    found = run(engine, feeds)
    assert set(found) == set(wanted)
    for key in wanted:
        close(found[key], wanted[key], 1e-3, key)


@pytest.mark.parametrize("name", MODELS)
def test_network(name):
    """Names and shapes of inputs and outputs are the file's, -1 where a size is a name."""
    _, net, engine = parsed(name)
    _, inputs, outputs, _ = MODELS[name]
    got = {net.get_input(i).name: tuple(net.get_input(i).shape) for i in range(net.num_inputs)}
    assert got == {n: tuple(-1 if isinstance(d, str) else d for d in shape) for n, (_, shape) in inputs.items()}
    got = {net.get_output(i).name: tuple(net.get_output(i).shape) for i in range(net.num_outputs)}
    assert got == {n: tuple(-1 if isinstance(d, str) else d for d in shape) for n, (_, shape) in outputs.items()}
    assert names_of(engine) == (list(inputs), list(outputs))


def test_dimension_name():
    assert parsed("conv_dynamic")[1].get_input(0).get_dimension_name(0) == "batch"


def test_half_model():
    """FP16 in the graph is FP16 at the engine's inputs and outputs."""
    half = (HALF, (4, 8))
    data = model([node("Mul", "x x")], {"x": half}, {"y": half})
    net = network()
    assert trt.OnnxParser(net, log()).parse(data)
    assert net.get_input(0).dtype == net.get_output(0).dtype == trt.float16
    engine = engine_of(net, precisions=("fp16",))
    assert engine.get_tensor_dtype("y") == trt.float16
    array = w(4, 8).astype(np.float16)
    close(run(engine, {"x": array})["y"], array.astype(np.float32) ** 2, 2e-3)


def test_int64_input():
    """An INT64 input of the file: INT64 from TensorRT 10 on, INT32 before."""
    long = (INT64, (2, 5))
    data = model([node("Gather", "t x")], {"x": long}, {"y": (FLOAT, (2, 5, 6))}, {"t": DENSE})
    net = network()
    assert trt.OnnxParser(net, log()).parse(data)
    engine = engine_of(net)
    assert engine.get_tensor_dtype("x").name == ("INT32" if compat.version()[0] < 10 else "INT64")
    picks = w(2, 5, low=0, high=8, kind=np.int64)
    close(run(engine, {"x": picks})["y"], DENSE[picks], 1e-6)


def test_file(tmp_path):
    path = tmp_path / "relu.onnx"
    path.write_bytes(model(*MODELS["relu"]))
    net = network()
    assert trt.OnnxParser(net, log()).parse_from_file(str(path))
    assert net.get_input(0).name == "x"


def test_weights_in_a_file_beside(tmp_path):
    proto = onnx.load_model_from_string(model(*MODELS["gemm"]))
    onnx.save_model(proto, tmp_path / "m.onnx", save_as_external_data=True, location="m.weights", size_threshold=0)
    net = network()
    assert trt.OnnxParser(net, log()).parse_from_file(str(tmp_path / "m.onnx"))
    array = w(4, 8)
    close(run(engine_of(net), {"x": array})["y"], array @ DENSE + DENSE_B, 1e-4)


def unsupported():
    graph = helper.make_graph(
        [
            helper.make_node("Relu", ["x"], ["r"], name="fine"),
            helper.make_node("NoSuchOperation", ["r"], ["y"], name="strange"),
        ],
        "g",
        [helper.make_tensor_value_info("x", FLOAT, (1, 3))],
        [helper.make_tensor_value_info("y", FLOAT, (1, 3))],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


@functools.cache
def refused(name):
    """What the parser said of a file it cannot read: (parser, verdict, its log lines, its network)."""
    net, mark = network(), len(log().records)
    parser = trt.OnnxParser(net, log())
    if name == "missing_file":
        verdict = parser.parse_from_file("/no/such/folder/model.onnx")
    else:
        verdict = parser.parse(
            {"unsupported": unsupported(), "damaged": b"\xff" * 300, "cut": model(*MODELS["conv"])[:200]}[name]
        )
    errors = [
        {"code": str(e.code()), "desc": e.desc(), "node": e.node(), "str": str(e)}
        for e in map(parser.get_error, range(parser.num_errors))
    ]
    tell("parser", name, verdict=verdict, errors=errors, records=log().records[mark:])
    return parser, verdict, errors_since(mark), has_errors(mark), net


BAD = ("unsupported", "damaged", "cut", "missing_file")


def expect_on_8(request, key):
    """Mark a test as one that 8.6 is known to fail, with the reason."""
    if key in DIFFERS and compat.version() == (8, 6):
        request.applymarker(pytest.mark.xfail(reason=DIFFERS[key], strict=False))


@pytest.mark.parametrize("name", BAD)
def test_refused(name, request):
    expect_on_8(request, f"{name}_is_refused")
    assert refused(name)[1] is False


@pytest.mark.parametrize("name", BAD)
def test_refused_in_the_log(name, request):
    """An error line says why."""
    expect_on_8(request, f"{name}_is_in_the_log")
    assert refused(name)[3]


@pytest.mark.parametrize("name", BAD)
def test_refused_in_the_error_list(name, request):
    expect_on_8(request, f"{name}_is_in_the_error_list")
    assert refused(name)[0].num_errors >= 1


def test_unsupported_names_the_node():
    error = refused("unsupported")[0].get_error(0)
    assert error.code() == trt.ErrorCode.UNSUPPORTED_NODE
    assert error.node() == 1


@pytest.mark.parametrize("name", ["damaged", "cut"])
def test_damaged_code(name, request):
    expect_on_8(request, f"{name}_has_a_code")
    assert refused(name)[0].get_error(0).code() == trt.ErrorCode.MODEL_DESERIALIZE_FAILED


def test_clear_errors():
    net = network()
    parser = trt.OnnxParser(net, log())
    assert not parser.parse(unsupported())
    parser.clear_errors()
    assert parser.num_errors == 0


def test_good_model_logs_no_error():
    mark = len(log().records)
    assert trt.OnnxParser(network(), log()).parse(model(*MODELS["conv"]))
    assert errors_since(mark) == []
