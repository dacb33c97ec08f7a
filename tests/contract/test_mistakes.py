"""The mistakes that learners make most, as notebook cells: the same verdict and class of message on both backends.

Each row: the mistake, the cell, what the last name `verdict` must be, the severity of the log line that
explains it (None where an exception does), and a pattern that the text has on TensorRT and on the interpreter.
TRT_LESSONS_DUMP=folder writes down what really came, so that this table and the interpreter's words can be
held to TensorRT's.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

import numpy as np
import pytest
from onnx import TensorProto, helper

from trt_lessons import compat

from .networks import (
    SHARED_PROFILES,
    builder,
    config,
    cuda,
    engine_of,
    log,
    network,
    numbers,
    runtime,
    stream,
    tell,
    trt,
)

KERNEL = numbers(8, 3, 3, 3)


class Mistake(NamedTuple):
    """One row of the table."""

    cell: str
    verdict: str
    severity: str | None
    pattern: str


ERROR = "ERROR"
MISTAKES: dict[str, Mistake] = {
    "no output marked": Mistake(
        """
        x = network.add_input("x", trt.float32, (1, 3))
        network.add_activation(x, trt.ActivationType.RELU)
        verdict = builder.build_serialized_network(network, config)
        """,
        "None",
        ERROR,
        r"Error Code 4.*at least one output",
    ),
    "dynamic input without a profile": Mistake(
        """
        x = network.add_input("x", trt.float32, (-1, 3))
        network.mark_output(network.add_activation(x, trt.ActivationType.RELU).get_output(0))
        verdict = builder.build_serialized_network(network, config)
        """,
        "None",
        ERROR,
        r"Error Code 4.*no optimization profile has been defined",
    ),
    "a profile that does not fit the input": Mistake(
        """
        x = network.add_input("x", trt.float32, (-1, 3))
        network.mark_output(network.add_activation(x, trt.ActivationType.RELU).get_output(0))
        profile = builder.create_optimization_profile()
        profile.set_shape("x", (1, 5), (2, 5), (4, 5))
        config.add_optimization_profile(profile)
        verdict = builder.build_serialized_network(network, config)
        """,
        "None",
        ERROR,
        r"Error Code 4.*profile 0",
    ),
    "a shape outside the profile": Mistake(
        """
        context = engine.create_execution_context()
        verdict = context.set_input_shape("x", (99, 4))
        """,
        "False",
        ERROR,
        r"Error Code 3.*(profile|dimension)",
    ),
    "a shape of another rank": Mistake(
        """
        context = engine.create_execution_context()
        verdict = context.set_input_shape("x", (2, 4, 1))
        """,
        "False",
        ERROR,
        r"Error Code 3.*(dimension|nbDims|rank)",
    ),
    "a name the engine does not have": Mistake(
        """
        context = engine.create_execution_context()
        verdict = context.set_input_shape("input", (2, 4))
        """,
        "False",
        ERROR,
        r"Error Code 3.*(input|name)",
    ),
    "no address for an output": Mistake(
        """
        context = engine.create_execution_context()
        context.set_input_shape("x", (2, 4))
        memory = cuda.mem_alloc(32)
        context.set_tensor_address("x", int(memory))
        verdict = context.execute_async_v3(stream.handle)
        """,
        "False",
        ERROR,
        r"Error Code 3.*allocator",
    ),
    "run before the shape is set": Mistake(
        """
        context = engine.create_execution_context()
        memory = [cuda.mem_alloc(256) for _ in "xy"]
        for name, block in zip("xy", memory):
            context.set_tensor_address(name, int(block))
        verdict = context.execute_async_v3(stream.handle)
        """,
        "False",
        ERROR,
        r"Error Code [37].*([Ss]hape|[Dd]imension)",
    ),
    "an op that TensorRT does not know": Mistake(
        """
        parser = trt.OnnxParser(network, log)
        verdict = parser.parse(strange_model)
        """,
        "False",
        ERROR,
        r"(plugin|importer)",
    ),
    "a file that is not there": Mistake(
        """
        parser = trt.OnnxParser(network, log)
        verdict = parser.parse_from_file("model.onx")
        """,
        "False",
        ERROR,
        r"model\.onx",
    ),
    "weights of the wrong size": Mistake(
        """
        x = network.add_input("x", trt.float32, (1, 5, 8, 8))
        conv = network.add_convolution_nd(x, 8, (3, 3), kernel, None)
        network.mark_output(conv.get_output(0))
        verdict = builder.build_serialized_network(network, config)
        """,
        "None",
        ERROR,
        r"(weights|count|channels)",
    ),
    "two types in one sum": Mistake(
        """
        a = network.add_input("a", trt.float32, (2, 3))
        b = network.add_input("b", trt.int32, (2, 3))
        network.mark_output(network.add_elementwise(a, b, trt.ElementWiseOperation.SUM).get_output(0))
        verdict = builder.build_serialized_network(network, config)
        """,
        "None",
        ERROR,
        r"Error Code 4.*incompatible input types Float and Int32",
    ),
    "shapes that do not fit in a sum": Mistake(
        """
        a = network.add_input("a", trt.float32, (2, 3))
        b = network.add_input("b", trt.float32, (4, 5))
        network.mark_output(network.add_elementwise(a, b, trt.ElementWiseOperation.SUM).get_output(0))
        verdict = builder.build_serialized_network(network, config)
        """,
        "None",
        ERROR,
        r"dimension|elementwise|broadcast",
    ),
    "float64 weights": Mistake(
        """
        weights = trt.Weights(np.ones(3))
        verdict = weights
        """,
        "ValueError|TypeError",
        None,
        r"Could not implicitly convert NumPy data type",
    ),
    "a profile that does not exist": Mistake(
        """
        context = engine.create_execution_context()
        verdict = context.set_optimization_profile_async(3, stream.handle)
        """,
        "False",
        ERROR,
        r"Error Code 3.*[Pp]rofile",
    ),
    "min above opt": Mistake(
        """
        profile = builder.create_optimization_profile()
        profile.set_shape("x", (4, 3), (2, 3), (8, 3))
        verdict = config.add_optimization_profile(profile)
        """,
        "-1",
        ERROR,
        r"MIN<=OPT<=MAX",
    ),
    "a profile without the input": Mistake(
        """
        x = network.add_input("x", trt.float32, (-1, 3))
        network.mark_output(network.add_activation(x, trt.ActivationType.RELU).get_output(0))
        config.add_optimization_profile(builder.create_optimization_profile())
        verdict = builder.build_serialized_network(network, config)
        """,
        "None",
        ERROR,
        r"Error Code 4.*dynamic input is missing dimensions in profile 0",
    ),
    "a layer past the end": Mistake(
        """
        verdict = network.get_layer(99)
        """,
        "None",
        ERROR,
        r"_M_range_check",
    ),
    "an input past the end": Mistake(
        """
        verdict = network.get_input(9)
        """,
        "None",
        ERROR,
        r"Error Code 3.*getNbInputs",
    ),
    "a tensor name past the end": Mistake(
        """
        verdict = engine.get_tensor_name(99)
        """,
        "None",
        ERROR,
        r"Error Code 3.*invalid index 99",
    ),
    "the range of a profile that does not exist": Mistake(
        """
        verdict = engine.get_tensor_profile_shape("x", 9)
        """,
        re.escape("[(0), (0), (0)]"),
        ERROR,
        r"Error Code 3.*getNbOptimizationProfiles",
    ),
    "float64 numbers in a layer": Mistake(
        """
        verdict = network.add_constant((3,), np.ones(3))
        """,
        "TypeError",
        None,
        r"incompatible function arguments",
    ),
    "too few numbers for a constant": Mistake(
        """
        verdict = network.add_constant((5,), np.ones(3, np.float32)).get_output(0).shape
        """,
        re.escape("(5,)"),
        ERROR,
        r"constant weights has count 3 but 5 was expected",
    ),
    "two inputs of one name": Mistake(
        """
        a = network.add_input("x", trt.float32, (2, 3))
        verdict = network.add_input("x", trt.float32, (2, 3))
        """,
        "None",
        ERROR,
        r"Error Code 3.*inName != knownInput->getName\(\)",
    ),
    "an input as an output": Mistake(
        """
        network.mark_output(network.add_input("x", trt.float32, (2, 3)))
        verdict = builder.build_serialized_network(network, config)
        """,
        "None",
        ERROR,
        r"Error Code 4.*cannot be both input and output",
    ),
    "refit what was not built for it": Mistake(
        """
        verdict = trt.Refitter(engine, log)
        """,
        "TypeError",
        None,
        r"factory function returned nullptr",
    ),
}
# 8.6 ends the whole process: never tried there.
CRASHES = {"a profile that does not exist": (9, 0)}  # the first version that survives it

# Only written down with TRT_LESSONS_DUMP: what these do differs by version, or is not known yet.
WATCHED: dict[str, str] = {
    "an empty profile": """
        verdict = config.add_optimization_profile(builder.create_optimization_profile())
        """,
    "shape of an unknown tensor": """
        verdict = repr(engine.get_tensor_shape("nothing"))
        """,
    "type of an unknown tensor": """
        verdict = engine.get_tensor_dtype("nothing")
        """,
    "profile shape of an unknown tensor": """
        verdict = engine.get_tensor_profile_shape("nothing", 0)
        """,
    "profile shape of an output": """
        verdict = engine.get_tensor_profile_shape("y", 0)
        """,
    "context shape of an unknown tensor": """
        context = engine.create_execution_context()
        verdict = repr(context.get_tensor_shape("nothing"))
        """,
    "max output size before the shape": """
        context = engine.create_execution_context()
        verdict = context.get_max_output_size("y")
        """,
    "weights not contiguous": """
        verdict = trt.Weights(np.ones((4, 4), np.float32)[:, ::2])
        """,
    "flags of another version": """
        verdict = hasattr(trt.BuilderFlag, "FP16"), hasattr(trt, "int64"), config.get_tactic_sources()
        """,
    "INT64 weights": """
        layer = network.add_constant((2,), np.array([1, 2]))
        verdict = layer.get_output(0).dtype
        """,
    "empty shape of a matrix product": """
        a = network.add_input("a", trt.float32, (2, 3))
        b = network.add_input("b", trt.float32, (4, 5))
        layer = network.add_matrix_multiply(a, trt.MatrixOperation.NONE, b, trt.MatrixOperation.NONE)
        verdict = None if layer is None else repr(layer.get_output(0).shape)
        """,
    "a second context of one profile": """
        first = engine.create_execution_context()
        second = engine.create_execution_context()
        verdict = [c and c.active_optimization_profile for c in (first, second)]
        """,
    "mask of no axis": """
        x = network.add_input("x", trt.float32, (2, 3))
        layer = network.add_softmax(x)
        layer.axes = 0
        network.mark_output(layer.get_output(0))
        verdict = builder.build_serialized_network(network, config)
        """,
    "top 99 of 3": """
        x = network.add_input("x", trt.float32, (2, 3))
        layer = network.add_topk(x, trt.TopKOperation.MAX, 99, 2)
        network.mark_output(layer.get_output(0))
        verdict = builder.build_serialized_network(network, config)
        """,
    "slice past the end": """
        x = network.add_input("x", trt.float32, (2, 3))
        layer = network.add_slice(x, (0, 1), (2, 5), (1, 1))
        network.mark_output(layer.get_output(0))
        verdict = builder.build_serialized_network(network, config)
        """,
    "concatenation of two widths": """
        a = network.add_input("a", trt.float32, (2, 3))
        b = network.add_input("b", trt.float32, (2, 4))
        layer = network.add_concatenation([a, b])
        layer.axis = 0
        network.mark_output(layer.get_output(0))
        verdict = builder.build_serialized_network(network, config)
        """,
    "reshape to another volume": """
        layer = network.add_shuffle(network.add_input("x", trt.float32, (2, 3)))
        layer.reshape_dims = (4, 5)
        network.mark_output(layer.get_output(0))
        verdict = builder.build_serialized_network(network, config)
        """,
    "an unused input": """
        x = network.add_input("x", trt.float32, (2, 3))
        network.add_input("unused", trt.float32, (2, 3))
        network.mark_output(network.add_activation(x, trt.ActivationType.RELU).get_output(0))
        verdict = builder.build_serialized_network(network, config) is not None
        """,
    "workspace of 0": """
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, 0)
        x = network.add_input("x", trt.float32, (1, 3, 8, 8))
        conv = network.add_convolution_nd(x, 8, (3, 3), kernel, None)
        network.mark_output(conv.get_output(0))
        verdict = builder.build_serialized_network(network, config) is not None
        """,
}


@functools.cache
def engine():
    """y = relu(x) on [-1, 4], 1 to 8 rows."""
    net = network()
    made = net.add_activation(net.add_input("x", trt.float32, (-1, 4)), trt.ActivationType.RELU).get_output(0)
    made.name = "y"
    net.mark_output(made)
    return engine_of(net, {"x": ((1, 4), (2, 4), (8, 4))})


@functools.cache
def strange_model():
    """A model with an op nobody has."""
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, (1, 3)) for n in "xy"]
    graph = helper.make_graph(
        [helper.make_node("NoSuchOperation", ["x"], ["y"], name="strange")], "g", info[:1], info[1:]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()


def tried(name, cell):
    """Run a cell as a notebook would: (verdict in words, text of the exception, log records)."""
    lines = cell.strip("\n").splitlines()
    indent = len(lines[0]) - len(lines[0].lstrip())
    code = "\n".join(line[indent:] for line in lines)
    names = {
        "trt": trt,
        "cuda": cuda,
        "np": np,
        "log": log(),
        "builder": builder(),
        "runtime": runtime(),
        "engine": engine() if SHARED_PROFILES else runtime().deserialize_cuda_engine(engine().serialize()),
        "stream": stream(),
        "strange_model": strange_model(),
        "kernel": KERNEL,
        "config": config(),
        "network": network(),
    }
    mark, raised = len(log().records), ""
    try:
        exec(code, names)
        verdict = repr(names["verdict"])
        if verdict.startswith("<"):
            verdict = type(names["verdict"]).__name__
    except Exception as problem:
        verdict, raised = type(problem).__name__, str(problem)
    stream().synchronize()
    records = log().records[mark:]
    tell("mistakes", name, cell=code, verdict=verdict, raised=raised, records=records)
    return verdict, raised, records


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(name):
    """Verdict, severity and class of the text."""
    row = MISTAKES[name]
    if compat.version() < CRASHES.get(name, (0, 0)):
        pytest.skip(f"TensorRT {trt.__version__} ends the process here")
    verdict, raised, records = tried(name, row.cell)
    assert re.fullmatch(row.verdict, verdict), (verdict, raised, records)
    if row.severity is None:
        assert re.search(row.pattern, raised, re.S), raised
    else:
        lines = [text for severity, text in records if severity.endswith(row.severity)]
        assert any(re.search(row.pattern, text, re.S | re.I) for text in lines), records


@pytest.mark.parametrize("name", WATCHED)
def test_watched(name):
    """Only that the process lives; what came is written down with TRT_LESSONS_DUMP."""
    tried(name, WATCHED[name])


def test_at_least_ten_mistakes():
    assert len(MISTAKES) >= 10
    assert compat.version() >= (8, 6)
