"""ONNX models whose trouble is in their values: branches and loops, types, zero points, modes, limits, names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

from trt_lessons import backend, compat

from .networks import builder, log, network, runtime, stream

trt, cuda = backend.trt, backend.cuda
node, FLOAT, INT64 = helper.make_node, TensorProto.FLOAT, TensorProto.INT64
later = pytest.mark.skipif(compat.version() < (10, 0), reason="TensorRT 8.6's parser has other words or types")


def value(name: str, shape: list | None, kind: int = FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def const(name: str, numbers: Any) -> TensorProto:
    return numpy_helper.from_array(np.asarray(numbers), name)


def model(nodes: list[NodeProto], inputs: list, outputs: list, constants: tuple = (), opset: int = 17) -> ModelProto:
    graph = helper.make_graph(nodes, "main", inputs, outputs, list(constants))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def parsed(given: ModelProto) -> tuple[Any, Any, bool]:
    net = network()
    parser = trt.OnnxParser(net, log())
    return net, parser, parser.parse(given.SerializeToString())


def told(parser: Any) -> str:
    return " ".join(parser.get_error(i).desc() for i in range(parser.num_errors))


def plan_of(net: Any) -> Any:
    config = builder().create_builder_config()
    config.builder_optimization_level = 0
    compat.tf32(config, False)
    return builder().build_serialized_network(net, config)


def run(net: Any, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Build and run once; all outputs."""
    engine = runtime().deserialize_cuda_engine(plan_of(net))
    context, memory, found = engine.create_execution_context(), [], []
    for name in map(engine.get_tensor_name, range(engine.num_io_tensors)):
        dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(name)))
        if name in feeds:
            array = np.ascontiguousarray(feeds[name].astype(dtype))
        else:
            array = np.empty(tuple(context.get_tensor_shape(name)), dtype)
            found.append((array, len(memory)))
        memory.append(cuda.mem_alloc(max(array.nbytes, 1)))
        if name in feeds:
            cuda.memcpy_htod(memory[-1], array)
        assert context.set_tensor_address(name, int(memory[-1]))
    assert context.execute_async_v3(stream().handle)
    stream().synchronize()
    for array, i in found:
        cuda.memcpy_dtoh(array, memory[i])
    return [array for array, _ in found]


S = [2, 4]


def branches() -> dict[str, GraphProto]:
    yes = helper.make_graph(
        [node("Mul", ["r", "two"], ["t"])], "yes", [], [value("t", S)], [const("two", np.float32(2))]
    )
    no = helper.make_graph([node("Neg", ["r"], ["e"])], "no", [], [value("e", S)])
    return {"then_branch": yes, "else_branch": no}


def conditional() -> ModelProto:
    """y = 2 * relu(x) where the sum of x is above 0, -relu(x) elsewhere."""
    nodes = [
        node("Relu", ["x"], ["r"], "relu"),
        node("ReduceSum", ["x"], ["sum"], "sum", keepdims=0),
        node("Greater", ["sum", "zero"], ["c"], "above"),
        node("If", ["c"], ["y"], "choose", **branches()),
    ]
    return model(nodes, [value("x", S)], [value("y", S)], (const("zero", np.float32(0)),))


@pytest.mark.parametrize("sign", [1, -1])
def test_an_if_runs_the_branch_that_its_condition_says(sign: int) -> None:
    net, _, done = parsed(conditional())
    x = np.linspace(-1, 2, 8, dtype=np.float32).reshape(S) * sign
    assert done
    want = np.maximum(x, 0) * (2 if x.sum() > 0 else -1)
    assert np.allclose(run(net, {"x": x})[0], want)


def test_a_tensor_that_a_branch_takes_from_outside_may_be_renamed() -> None:
    net, _, done = parsed(conditional())
    assert done
    relu = next(net.get_layer(i) for i in range(net.num_layers) if net.get_layer(i).name == "relu")
    relu.get_output(0).name = "another name"
    x = np.ones(S, np.float32)
    assert np.allclose(run(net, {"x": x})[0], 2)


def test_a_loop_runs_its_body_so_many_times() -> None:
    nodes = [node("Add", ["acc", "x"], ["more"]), node("Identity", ["go"], ["on"])]
    inputs = [value("i", [], INT64), value("go", [], TensorProto.BOOL), value("acc", S)]
    body = helper.make_graph(nodes, "body", inputs, [value("on", [], TensorProto.BOOL), value("more", S)])
    constants = const("trips", np.int64(3)), const("true", np.array(True))
    net, _, done = parsed(
        model(
            [node("Loop", ["trips", "true", "x"], ["y"], "loop", body=body)],
            [value("x", S)],
            [value("y", S)],
            constants,
        )
    )
    x = np.arange(8, dtype=np.float32).reshape(S)
    assert done and np.allclose(run(net, {"x": x})[0], 4 * x)


@later
def test_fp16_inside_a_loop_is_rounded_at_every_step() -> None:
    half = TensorProto.FLOAT16
    nodes = [node("Mul", ["acc", "acc"], ["more"]), node("Identity", ["go"], ["on"])]
    inputs = [value("i", [], INT64), value("go", [], TensorProto.BOOL), value("acc", [1], half)]
    body = helper.make_graph(nodes, "body", inputs, [value("on", [], TensorProto.BOOL), value("more", [1], half)])
    constants = (
        const("trips", np.int64(2)),
        const("true", np.array(True)),
        const("low", np.array([2.0**-12], np.float16)),
    )
    loop = [node("Loop", ["trips", "true", "x"], ["z"], "loop", body=body), node("Mul", ["z", "low"], ["y"])]
    net, _, done = parsed(model(loop, [value("x", [1], half)], [value("y", [1], half)], constants))
    assert done and np.isinf(run(net, {"x": np.array([16.5], np.float16)})[0])  # 16.5**4 is beyond 65,504


def test_a_scan_goes_along_the_first_axis() -> None:
    nodes = [node("Add", ["before", "row"], ["after"]), node("Identity", ["after"], ["kept"])]
    body = helper.make_graph(
        nodes, "body", [value("before", [4]), value("row", [4])], [value("after", [4]), value("kept", [4])]
    )
    given = model(
        [node("Scan", ["start", "x"], ["last", "all"], "scan", body=body, num_scan_inputs=1)],
        [value("x", S)], [value("all", S)], (const("start", np.zeros(4, np.float32)),),
    )  # fmt: skip
    net, _, done = parsed(given)
    x = np.arange(8, dtype=np.float32).reshape(S)
    assert done and np.allclose(run(net, {"x": x})[0], np.cumsum(x, axis=0))


def squeeze_if(condition: list[NodeProto], constants: tuple) -> ModelProto:
    """What an exporter makes of a squeeze: branches of two ranks."""
    yes = helper.make_graph([node("Squeeze", ["x", "ax"], ["t"])], "yes", [], [value("t", None)], [const("ax", [1])])
    no = helper.make_graph([node("Identity", ["x"], ["e"])], "no", [], [value("e", None)])
    choose = node("If", ["c"], ["y"], "choose", then_branch=yes, else_branch=no)
    return model([*condition, choose], [value("x", [2, 1, 4])], [value("y", None)], constants)


@later
def test_branches_of_two_ranks_are_no_engine() -> None:
    nodes = [node("ReduceSum", ["x"], ["sum"], keepdims=0), node("Greater", ["sum", "zero"], ["c"])]
    net, _, done = parsed(squeeze_if(nodes, (const("zero", np.float32(0)),)))
    log().records.clear()
    assert not done or plan_of(net) is None
    assert not done or "equal ranks" in " ".join(text for _, text in log().records)


@later
@pytest.mark.parametrize(("size", "shape"), [(1, (2, 4)), (3, (2, 1, 4))])
def test_a_condition_known_from_shapes_takes_one_branch(size: int, shape: tuple) -> None:
    nodes = [
        node("Shape", ["x"], ["shape"]), node("Gather", ["shape", "one"], ["n"]), node("Equal", ["n", "want"], ["c"]),
    ]  # fmt: skip
    net, _, done = parsed(squeeze_if(nodes, (const("one", np.int64(1)), const("want", np.int64(size)))))
    x = np.arange(8, dtype=np.float32).reshape(2, 1, 4)
    assert done and np.array_equal(run(net, {"x": x})[0], x.reshape(shape))


@later
def test_float64_becomes_float32() -> None:
    double = TensorProto.DOUBLE
    net, _, done = parsed(
        model(
            [node("Add", ["x", "c"], ["y"])],
            [value("x", [2], double)],
            [value("y", [2], double)],
            (const("c", np.ones(2)),),
        )
    )
    assert done and net.get_input(0).dtype == trt.float32
    assert np.array_equal(run(net, {"x": np.array([1.0, 2.0], np.float32)})[0], [2, 3])


@later
@pytest.mark.parametrize("kind", ["STRING", "INT16", "UINT16", "UINT32", "UINT64"])
def test_types_that_tensorrt_has_not_are_refused(kind: str) -> None:
    number = TensorProto.DataType.Value(kind)
    _, parser, done = parsed(
        model([node("Identity", ["x"], ["y"])], [value("x", [2], number)], [value("y", [2], number)])
    )
    assert done is False and parser.num_errors >= 1


@later
def test_uint8_is_taken_where_a_cast_follows_and_computes_nothing() -> None:
    uint8 = TensorProto.UINT8
    nodes = [node("Cast", ["x"], ["f"], to=FLOAT), node("Add", ["f", "f"], ["y"])]
    net, _, done = parsed(model(nodes, [value("x", S, uint8)], [value("y", S)]))
    assert done and np.array_equal(run(net, {"x": np.full(S, 200, np.uint8)})[0], np.full(S, 400))
    net, _, done = parsed(model([node("Add", ["x", "x"], ["y"])], [value("x", S, uint8)], [value("y", S, uint8)]))
    assert not done or plan_of(net) is None


@pytest.mark.parametrize("zero", [np.uint8(128), np.int8(5)])
def test_zero_points_other_than_0_are_refused(zero: Any) -> None:
    nodes = [node("QuantizeLinear", ["x", "s", "z"], ["q"]), node("DequantizeLinear", ["q", "s", "z"], ["y"])]
    _, parser, done = parsed(
        model(nodes, [value("x", S)], [value("y", S)], (const("s", np.float32(0.1)), const("z", zero)))
    )
    assert done is False and "zero point" in told(parser).lower().replace("zeropoint", "zero point")


RESIZES = [  # attributes, and whether TensorRT takes them
    ({"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, True),
    ({"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"}, True),
    ({"mode": "cubic"}, True),
    ({"mode": "nearest", "coordinate_transformation_mode": "tf_half_pixel_for_nn", "nearest_mode": "floor"}, False),
    ({"mode": "nearest", "coordinate_transformation_mode": "tf_crop_and_resize"}, False),
    ({"mode": "linear", "antialias": 1}, False),
]


@later
@pytest.mark.parametrize(("attrs", "taken"), RESIZES)
def test_modes_of_resize(attrs: dict, taken: bool) -> None:
    opset = 18 if "antialias" in attrs else 13 if "tf_half" in str(attrs) else 17
    resize = node("Resize", ["x", "", "s"], ["y"], "up", **attrs)
    scales = const("s", np.array([1, 1, 2, 2], np.float32))
    _, _, done = parsed(model([resize], [value("x", [1, 1, 4, 4])], [value("y", [1, 1, 8, 8])], (scales,), opset))
    assert done is taken


@pytest.mark.parametrize(("k", "taken"), [(3840, True), (3841, False)])
def test_topk_ends_at_3840(k: int, taken: bool) -> None:
    top = node("TopK", ["x", "k"], ["v", "i"], "keep", axis=1)
    outputs = [value("v", [2, k]), value("i", [2, k], INT64)]
    net, _, done = parsed(model([top], [value("x", [2, 5000])], outputs, (const("k", [k]),)))
    assert (done and plan_of(net) is not None) is taken


def test_nodes_of_one_name_are_told_apart() -> None:
    nodes = [node("Relu", ["x"], ["a"], "op"), node("Neg", ["a"], ["b"], "op"), node("Exp", ["b"], ["y"], "op")]
    net, _, done = parsed(model(nodes, [value("x", S)], [value("y", S)]))
    names = [net.get_layer(i).name for i in range(net.num_layers)]
    assert done and len(set(names)) == 3 and names[0] == "op"
    x = np.linspace(-1, 1, 8, dtype=np.float32).reshape(S)
    assert np.allclose(run(net, {"x": x})[0], np.exp(-np.maximum(x, 0)), atol=1e-5)


@later
def test_a_network_is_parsed_into_once() -> None:
    data = model([node("Relu", ["x"], ["y"])], [value("x", S)], [value("y", S)]).SerializeToString()
    parser = trt.OnnxParser(net := network(), log())
    log().records.clear()
    assert parser.parse(data) is True and parser.parse(data) is False
    assert "non-empty network" in " ".join(text for _, text in log().records) and net.num_layers == 1
