"""Manners of TensorRT's Python API, asked of one side: `manners.py interpreter|nvidia` prints {question: answer}.

A question is an expression. An answer is what it gives, or the class of its error, or "ends the process": each is
asked in a forked process of its own. Needs numpy and the side's own package alone.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import numpy as np

KINDS = (
    "DataType LayerType TensorIOMode TensorLocation TensorFormat BuilderFlag MemoryPoolType ProfilingVerbosity "
    "HardwareCompatibilityLevel TacticSource ActivationType PoolingType PaddingMode ElementWiseOperation "
    "UnaryOperation ReduceOperation TopKOperation ScaleMode MatrixOperation GatherMode InterpolationMode "
    "ResizeCoordinateTransformation ResizeRoundMode SampleMode LayerInformationFormat WeightsRole ErrorCode "
    "ErrorCodeTRT ExecutionContextAllocationStrategy ILogger.Severity"
).split()
OF_A_KIND = (  # k is the enumeration, a and b its first and last member
    "a < b, a <= a, b > a, a == int(a), a != b", "a < int(b)", "a | b", "a + 1", "[*k]", "len(k)", "k[a.name]",
    "hash(a) == int(a), k(int(b)) is b or k(int(b)) == b, str(a), repr(b)", "k(a.name)",
)  # fmt: skip
CALLS = {  # good arguments of each call that adds something
    "add_activation": "x, trt.ActivationType.RELU", "add_softmax": "x", "add_identity": "x", "add_shape": "x",
    "add_cast": "x, trt.float16", "add_unary": "x, trt.UnaryOperation.EXP", "add_shuffle": "x", "add_resize": "x",
    "add_elementwise": "x, x, trt.ElementWiseOperation.SUM", "add_pooling_nd": "x, trt.PoolingType.MAX, (2, 2)",
    "add_convolution_nd": "x, 4, (3, 3), kernel", "add_deconvolution_nd": "x, 4, (3, 3), kernel",
    "add_matrix_multiply": "x, trt.MatrixOperation.NONE, x, trt.MatrixOperation.TRANSPOSE",
    "add_reduce": "x, trt.ReduceOperation.SUM, 2, False", "add_topk": "x, trt.TopKOperation.MAX, 2, 2",
    "add_slice": "x, (0, 0, 0, 0), (1, 2, 4, 4), (1, 1, 1, 1)", "add_gather": "x, i, 0",
    "add_gather_v2": "x, i, trt.GatherMode.DEFAULT", "add_select": "c, x, x", "add_lrn": "x, 3, 1.0, 1.0, 1.0",
    "add_padding_nd": "x, (1, 1), (1, 1)", "add_parametric_relu": "x, x", "add_quantize": "x, s, trt.int8",
    "add_input": "'new', trt.float32, (1, 2)", "add_constant": "(2,), np.ones(2, np.float32)", "mark_output": "x",
}  # fmt: skip
WRONG = ("None", "'text'", "1.5", "trt.Logger.ERROR", "n", "[None]")
OBJECTS = ("trt.Builder(log)", "n", "B.create_builder_config()", "x", "n.add_identity(x)", "trt.OnnxParser(net(), log)")
OTHERS = """
trt.Dims((1, 2)) == (1, 2), (1, 2) == trt.Dims((1, 2)), trt.Dims((1, 2)) == [1, 2], trt.Dims((1,)) == (1, 2)
trt.Dims((1, 2)) == trt.Dims((1, 2))
hash(trt.Dims((1, 2)))
trt.Dims((1, 2)) + (3,)
(3,) + trt.Dims((1, 2))
[*trt.Dims((1, 2))] + [3], trt.Dims((1, 2, 3))[1:], trt.Dims((1, 2))[-1], len(trt.Dims()), 2 in trt.Dims((1, 2))
trt.Dims((1, 2))[5]
trt.Dims([1.5])
trt.Dims('12')
trt.Dims(3)
trt.Dims([1] * 9)
isinstance(trt.Dims((1, 2)), tuple), trt.Dims.MAX_DIMS, str(trt.Dims((1, 2))), np.zeros(trt.Dims((1, 2))).shape
json.dumps(trt.Dims((1, 2)))
trt.Dims((1, 2)).index(1)
trt.Dims2(1, 2), trt.Dims2(), trt.Dims3((1, 2, 3)), trt.Dims4(1, 2, 3, 4), trt.DimsHW(3, 4).h, trt.DimsHW((3, 4)).w
trt.Dims2((1, 2, 3))
issubclass(trt.DimsHW, trt.Dims2), issubclass(trt.Dims2, trt.Dims)
trt.Weights([1.0, 2.0])
trt.Weights(np.ones(2))
trt.Weights(np.float32(1))
trt.Weights(np.ones((4, 4), np.float32).T[::2])
trt.Weights(np.ones((2, 3), np.float32)).numpy().shape, len(trt.Weights()), trt.Weights(trt.bfloat16).dtype
trt.Weights(trt.float32, kernel.ctypes.data, 3).numpy().tolist()
trt.Weights(a=kernel).size
trt.fp4, trt.e8m0, trt.bfloat16, trt.float32.itemsize, trt.int4.itemsize
trt.nptype(trt.bfloat16)
trt.volume((2, 3)), trt.volume(())
trt.IHostMemory()
len(plan())
plan()[:4]
[*plan()]
plan() == bytes(plan())
plan().startswith
isinstance(plan(), bytes), bool(plan()), plan().dtype, memoryview(plan()).readonly
len(bytes(p := plan())) == p.nbytes, len(memoryview(p)) == p.nbytes, io.BytesIO().write(p) == p.nbytes
len(hashlib.sha256(plan()).digest()), np.frombuffer(p := plan(), np.uint8).size == p.nbytes
len(n), n[-1].name == n[len(n) - 1].name, [layer.name for layer in n] != []
n[99]
n[-99]
n[0:1]
B.create_network(64)
B.create_network('x')
B.create_network(flag=0)
B.create_network(0, 0)
trt.Builder()
trt.Builder(3)
trt.Builder(None)
trt.OnnxParser(None, log)
trt.OnnxParser(n, 3)
trt.OnnxParser(n, log).parse('text')
trt.OnnxParser(n, log).parse_from_file(pathlib.Path('none.onnx'))
trt.OnnxParser(n, log).parse_from_file("none.onnx"), trt.OnnxParser(n, log).get_error(9)
trt.Logger(3)
trt.Logger(trt.Logger.INFO).min_severity, trt.ILogger().log(trt.Logger.ERROR, 'x')
trt.Builder(Bare())
B.build_serialized_network(B.create_builder_config(), n)
B.build_serialized_network(n)
B.build_serialized_network(net(), B.create_builder_config())
B.create_builder_config().set_flag(3)
B.create_builder_config().get_flag('TF32')
B.create_builder_config().set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, 1e6)
B.create_builder_config().set_memory_pool_limit(0, 1)
option('builder_optimization_level', 9)
option('builder_optimization_level', -1)
option('builder_optimization_level', '3')
option('builder_optimization_level', 1.5)
option('profiling_verbosity', 1)
option('max_aux_streams', 2)
option('progress_monitor', 3)
option('max_workspace_size', 1)
conv('stride_nd', (0, 0))
conv('stride_nd', 2)
conv('stride_nd', 'ab')
conv('padding_nd', (-1, -1))
conv('dilation_nd', (0, 0))
conv('num_groups', 0)
conv('num_groups', 'x')
conv('num_output_maps', 0)
conv('padding_mode', 0)
conv('kernel', None)
n.add_input('zero', trt.float32, (0, 2)).shape, n.add_input('open', trt.float32, (-1, 2)).shape
n.add_input('x', trt.float32, (1,))
n.add_input('new', trt.float32, (-2,))
n.add_concatenation([])
n.add_topk(x, trt.TopKOperation.MAX, 5000, 2)
n.add_elementwise(x, net().add_input('y', trt.float32, (1,)), trt.ElementWiseOperation.SUM)
n.get_layer(99), n.get_input(99), n.get_output(99), n[0].get_output(9), n[0].get_input(9)
n.get_layer('a')
B.create_optimization_profile().set_shape('x', 1, 2, 3)
B.create_optimization_profile().set_shape('x', (1.5,), (2,), (3,))
setattr(x, 'name', 3)
watched('raise in phase_start'), watched('raise in phase_finish'), watched('False'), watched('raise in step_complete')
trt.Builder(Raising()).create_network(0).num_layers
x.get_outputs(0)
trt.ActivationType.RELUU
trt.Buildr
builds(lambda n, x: n.add_pooling_nd(x, trt.PoolingType.MAX, (20, 20)))
builds(lambda n, x: n.add_pooling_nd(x, trt.PoolingType.MAX, (8, 8)))
builds(lambda n, x: n.add_convolution_nd(x, 4, (9, 9), np.ones((4, 3, 9, 9), np.float32)))
builds(lambda n, x: n.add_convolution_nd(x, 4, (9, 9), np.ones((4, 3, 9, 9), np.float32)), padding_nd=(1, 1))
builds(lambda n, x: n.add_convolution_nd(x, 4, (3, 3), kernel), dilation_nd=(4, 4))
builds(lambda n, x: n.add_convolution_nd(x, 4, (3, 3), kernel), num_groups=2)
builds(lambda n, x: n.add_convolution_nd(x, 4, (3, 3), kernel), stride_nd=(1, 1, 1))
builds(lambda n, x: n.add_convolution_nd(x, 4, (3, 3), np.ones(5, np.float32)))
builds(lambda n, x: n.add_deconvolution_nd(x, 4, (3, 3), np.ones(5, np.float32)))
builds(lambda n, x: n.add_reduce(x, trt.ReduceOperation.SUM, 0, False))
builds(lambda n, x: n.add_reduce(x, trt.ReduceOperation.SUM, 1 << 7, False))
builds(lambda n, x: n.add_topk(x, trt.TopKOperation.MAX, 100, 2))
builds(lambda n, x: n.add_topk(x, trt.TopKOperation.MAX, 1, 3))
builds(lambda n, x: n.add_topk(x, trt.TopKOperation.MAX, 0, 2))
builds(lambda n, x: n.add_slice(x, (0, 0, 0, 0), (1, 9, 8, 8), (1, 1, 1, 1)))
builds(lambda n, x: n.add_slice(x, (0, 2, 0, 0), (1, 1, 8, 8), (1, 1, 1, 1)))
builds(lambda n, x: n.add_slice(x, (0, 5, 0, 0), (1, 1, 8, 8), (1, 1, 1, 1)))
builds(lambda n, x: n.add_slice(x, (0, 2, 7, 0), (1, 3, 4, 8), (1, -1, -2, 1)))
builds(lambda n, x: n.add_slice(x, (0, 2, 7, 0), (1, 4, 4, 8), (1, -1, -2, 1)))
builds(lambda n, x: n.add_slice(x, (0, 0, 0), (1, 3, 8), (1, 1, 1)))
builds(lambda n, x: n.add_concatenation([x, x]), axis=9)
builds(lambda n, x: n.add_concatenation([x, x]), axis=-1)
builds(lambda n, x: n.add_concatenation([x, x]), axis=5)
builds(lambda n, x: n.add_softmax(x), axes=0)
builds(lambda n, x: n.add_softmax(x), axes=3)
builds(lambda n, x: n.add_softmax(x), axes=1 << 6)
builds(lambda n, x: n.add_shuffle(x), first_transpose=(0, 2, 3))
builds(lambda n, x: n.add_shuffle(x), first_transpose=(0, 1, 2, 2))
builds(lambda n, x: n.add_shuffle(x), first_transpose=(0, 3, 2, 1))
builds(lambda n, x: n.add_shuffle(x), reshape_dims=(7, -1))
builds(lambda n, x: n.add_shuffle(x), reshape_dims=(-1, -1))
builds(lambda n, x: n.add_shuffle(x), reshape_dims=(0, -1))
builds(lambda n, x: n.add_matrix_multiply(x, AS_IS, x, AS_IS))
builds(lambda n, x: n.add_matrix_multiply(n.add_input("y", trt.int32, (8, 8)), AS_IS, n.get_input(1), AS_IS))
builds(lambda n, x: n.add_matrix_multiply(x, AS_IS, n.add_input("y", trt.float32, (8, 8)), AS_IS))
builds(lambda n, x: n.add_elementwise(x, n.add_input("y", trt.float32, (1, 3, 7, 8)), trt.ElementWiseOperation.SUM))
builds(lambda n, x: n.add_elementwise(x, n.add_input("y", trt.float32, (8, 8)), trt.ElementWiseOperation.SUM))
builds(lambda n, x: n.add_elementwise(x, n.add_input("y", trt.float16, (1, 3, 8, 8)), trt.ElementWiseOperation.SUM))
builds(lambda n, x: n.add_constant((2, 2), np.ones(3, np.float32)))
builds(lambda n, x: n.add_einsum([x, x], "bq,b->b"))
builds(lambda n, x: n.add_resize(x), scales=[1, 1, 2])
builds(lambda n, x: n.add_resize(x), shape=(1, 3, 16))
builds(lambda n, x: n.add_resize(x), shape=(1, 3, 16, 16))
builds(lambda n, x: n.add_gather(x, n.add_input("i", trt.float32, (3,)), 0))
builds(lambda n, x: n.add_gather(x, n.add_input("i", trt.int32, (3,)), 7))
builds(lambda n, x: n.add_scale(x, trt.ScaleMode.CHANNEL, np.ones(2, np.float32)))
builds(lambda n, x: n.add_padding_nd(x, (-9, -9), (0, 0)))
builds(lambda n, x: n.add_padding_nd(x, (-3, -3), (0, 0)))
builds(lambda n, x: n.add_lrn(x, 4, 1.0, 1.0, 1.0))
builds(lambda n, x: n.add_lrn(x, 17, 1.0, 1.0, 1.0))
B.create_builder_config().runtime_platform, B.create_builder_config().engine_capability, B.max_threads, B.num_DLA_cores
B.create_builder_config().tiling_optimization_level, B.create_builder_config().l2_limit_for_tiling, B.reset()
(c := B.create_builder_config()).avg_timing_iterations, c.profile_stream, c.DLA_core
B.create_builder_config().max_num_tactics, B.create_builder_config().plugins_to_serialize
B.create_builder_config().default_device_type, B.create_builder_config().can_run_on_DLA(n[0])
option('avg_timing_iterations', 0)
option('tiling_optimization_level', trt.TilingOptimizationLevel.FULL)
option('runtime_platform', 1)
B.create_builder_config().add_optimization_profile(None)
B.create_builder_config().set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, -1)
B.create_optimization_profile().set_shape('x', (-1,), (2,), (3,))
B.create_optimization_profile().extra_memory_target
n.logger
n.mark_debug(n[0].get_output(0)), n.is_debug_tensor(n[0].get_output(0)), n.unmark_debug(n[0].get_output(0))
x.set_dimension_name(0, 'batch') or x.get_dimension_name(0), x.is_execution_tensor, n.remove_tensor(x), n.num_inputs > 0
n[0].set_input(9, x) or n[0].num_inputs
trt.OnnxParser(net(), log).supports_operator('Conv'), trt.OnnxParser(net(), log).supports_operator('Nope')
trt.OnnxParser(net(), log).flags, trt.OnnxParser(net(), log).get_used_vc_plugin_libraries()
""".strip().splitlines()


def questions() -> list[tuple[str, str]]:
    """(what is asked, the Python that asks it)."""
    asked = [
        (f"{kind}: {text}", f"(lambda k, a, b: ({text}))(*ends({kind!r}))") for kind in KINDS for text in OF_A_KIND
    ]
    for call, good in CALLS.items():
        arguments = split(good)
        for i in range(len(arguments)):
            for wrong in WRONG:
                text = f"n.{call}({', '.join([*arguments[:i], wrong, *arguments[i + 1 :]])})"
                asked.append((text, f"({text}) is None"))
        asked += [(f"n.{call}({good})", f"({f'n.{call}({good})'}) is None"), (f"n.{call}()", f"n.{call}()")]
    asked += [(f"{thing}.nonsense = 1", f"setattr({thing}, 'nonsense', 1)") for thing in OBJECTS]
    return asked + [(text, text if text.startswith("setattr") else f"({text})") for text in OTHERS]


def split(text: str) -> list[str]:
    """Arguments at the commas that stand in no bracket."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        parts = [*parts, ""] if letter == "," and not depth else [*parts[:-1], parts[-1] + letter]
    return [part.strip() for part in parts]


def world(trt: Any) -> dict[str, Any]:
    """What the questions use: a builder B, a network n with an input x and a convolution, and helpers."""
    import hashlib
    import io
    import pathlib

    class Log(trt.ILogger):
        def log(self, severity: Any, message: str) -> None:
            pass

    class Bare(Log):
        def __init__(self) -> None:
            pass

    class Raising(trt.ILogger):
        def log(self, severity: Any, message: str) -> None:
            raise ValueError("no")

    class Monitor(trt.IProgressMonitor):
        fault = ""

        def _raise(self, where: str) -> None:
            if self.fault == f"raise in {where}":
                raise ValueError(where)

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            self._raise("phase_start")

        def step_complete(self, phase: str, step: int) -> bool:
            self._raise("step_complete")
            return self.fault != "False"

        def phase_finish(self, phase: str) -> None:
            self._raise("phase_finish")

    log = Log()
    builder = trt.Builder(log)
    kernel = np.ones((4, 3, 3, 3), np.float32)
    network = builder.create_network(0)
    x = network.add_input("x", trt.float32, (1, 3, 8, 8))
    convolution = network.add_convolution_nd(x, 4, (3, 3), kernel)
    network.mark_output(convolution.get_output(0))
    others = {"i": trt.int32, "c": trt.bool}
    tensors = {name: network.add_input(name, kind, (1, 1, 1, 1)) for name, kind in others.items()}
    scale = network.add_constant((), kernel.ravel()[:1]).get_output(0)

    def ends(name: str) -> tuple[Any, Any, Any]:
        kind = trt
        for part in name.split("."):
            kind = getattr(kind, part)
        members = sorted(kind.__members__.values(), key=int)
        return kind, members[0], members[1]

    def changed(thing: Any, name: str, value: Any) -> Any:
        setattr(thing, name, value)
        return getattr(thing, name)

    def plan(monitor: Any = None) -> Any:
        config, small = builder.create_builder_config(), builder.create_network(0)
        if monitor is not None:
            config.progress_monitor = monitor
        small.mark_output(small.add_identity(small.add_input("x", trt.float32, (2,))).get_output(0))
        return builder.build_serialized_network(small, config)

    def watched(fault: str) -> bool:
        monitor = Monitor()
        monitor.fault = fault
        return plan(monitor) is None

    def builds(add: Any, **attributes: Any) -> str:
        """Whether a network of that one layer is built."""
        small = builder.create_network(0)
        layer = add(small, small.add_input("x", trt.float32, (1, 3, 8, 8)))
        if layer is None:
            return "no layer"
        for name, value in attributes.items():
            setattr(layer, name, value)
        small.mark_output(layer.get_output(0))
        done = builder.build_serialized_network(small, builder.create_builder_config())
        return "built" if done is not None else "refused"

    return {
        "trt": trt, "np": np, "builds": builds, "AS_IS": trt.MatrixOperation.NONE,
        "json": json, "hashlib": hashlib, "io": io, "pathlib": pathlib, "log": log, "x": x,
        "B": builder, "n": network, "net": lambda: builder.create_network(0), "kernel": kernel, "s": scale, **tensors,
        "Bare": Bare, "Raising": Raising, "ends": ends, "plan": plan, "watched": watched,
        "conv": lambda name, value: changed(convolution, name, value),
        "option": lambda name, value: changed(builder.create_builder_config(), name, value),
    }  # fmt: skip


def answer(code: str, names: dict[str, Any]) -> str:
    """What the code gives, as text; for an error its class."""
    try:
        return repr(eval(code, names))
    except Exception as problem:
        return type(problem).__name__


def main(side: str) -> None:
    """Ask all questions, each in a process of its own."""
    if side == "nvidia":
        import tensorrt_rtx as trt
    else:
        from trt_lessons.interpreter import tensorrt as trt
    names, told = world(trt), {}
    for question, code in questions():
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(write, answer(code, names)[:2000].encode())
            os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            told[question] = pipe.read().decode() or "ends the process"
        os.waitpid(child, 0)
    print("\n" + json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1])
