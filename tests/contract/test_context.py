"""IExecutionContext: shapes, verdicts, several contexts, profiles, output allocators, the profiler."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from trt_lessons import compat

from .networks import (
    SHARED_PROFILES,
    cuda,
    declare,
    engine_of,
    errors_since,
    has_errors,
    log,
    network,
    numbers,
    run,
    runtime,
    stream,
    tell,
    trt,
    type_of,
)

SMALL, LARGE = ((1, 4), (2, 4), (8, 4)), ((9, 4), (16, 4), (32, 4))
SLOPE = np.array([2.0], np.float32)


@functools.cache
def engine(kind="dynamic"):
    """y = 2x + 1 on [-1, 4] with profiles 1..8 and 9..32, or on [2, 4]; or x1 + x2, both dynamic."""
    net = network()
    dynamic = kind != "static"
    x = net.add_input("x", trt.float32, (-1, 4) if dynamic else (2, 4))
    if kind == "two_inputs":
        made = net.add_elementwise(
            x, net.add_input("z", trt.float32, (-1, 4)), trt.ElementWiseOperation.SUM
        ).get_output(0)
    else:
        two, one = (net.add_constant((1, 1), w).get_output(0) for w in (SLOPE, ONE))
        made = net.add_elementwise(x, two, trt.ElementWiseOperation.PROD).get_output(0)
        made = net.add_elementwise(made, one, trt.ElementWiseOperation.SUM).get_output(0)
    made.name = "y"
    net.mark_output(made)
    profiles = {"dynamic": [{"x": SMALL}, {"x": LARGE}], "two_inputs": {"x": SMALL, "z": SMALL}}.get(kind)
    return engine_of(net, profiles)


ONE = np.array([1.0], np.float32)


@functools.cache
def plan(kind):
    """The plan of an engine."""
    return bytes(engine(kind).serialize())


def context(kind="dynamic"):
    """A context on profile 0; of an engine of its own where a profile serves one context only."""
    if SHARED_PROFILES:
        return engine(kind).create_execution_context()
    return runtime().deserialize_cuda_engine(plan(kind)).create_execution_context()


def device(array):
    """Device memory with an array's bytes."""
    block = cuda.mem_alloc(array.nbytes)
    cuda.memcpy_htod(block, array)
    return block


def host(block, shape, kind=np.float32):
    """What is in device memory."""
    array = np.empty(shape, kind)
    cuda.memcpy_dtoh(array, block)
    return array


# --- shapes ------------------------------------------------------------------------------------------------


def test_shapes_before():
    made = context()
    assert tuple(made.get_tensor_shape("x")) == (-1, 4)
    assert tuple(made.get_tensor_shape("y")) == (-1, 4)
    assert list(made.infer_shapes()) == ["x"]


def test_shapes_after():
    made = context()
    assert made.set_input_shape("x", (5, 4))
    assert tuple(made.get_tensor_shape("x")) == (5, 4)
    assert tuple(made.get_tensor_shape("y")) == (5, 4)
    assert list(made.infer_shapes()) == []


def test_shapes_of_a_static_engine():
    made = context("static")
    assert made.all_binding_shapes_specified
    assert list(made.infer_shapes()) == []
    assert tuple(made.get_tensor_shape("y")) == (2, 4)


def test_infer_shapes_names_what_is_missing():
    made = context("two_inputs")
    assert set(made.infer_shapes()) == {"x", "z"}
    assert made.set_input_shape("x", (2, 4))
    assert list(made.infer_shapes()) == ["z"]


def test_max_output_size():
    made = context()
    made.set_input_shape("x", (5, 4))
    assert made.get_max_output_size("y") >= 5 * 4 * 4


@pytest.mark.parametrize("rows", [1, 2, 8])
def test_shape_in_range(rows):
    mark = len(log().records)
    assert context().set_input_shape("x", (rows, 4))
    assert errors_since(mark) == []


WRONG_SHAPES = {"above": ("x", (33, 4)), "below": ("x", (0, 4)), "static_size": ("x", (2, 5)), "rank": ("x", (2, 4, 1)),
                "no_such_tensor": ("nothing", (2, 4)), "an_output": ("y", (2, 4))}  # fmt: skip
DIFFERS = {"non_zero": "8.6.0 builds an engine with add_non_zero, but may make no context for it on Hopper"}


@pytest.mark.parametrize("name", WRONG_SHAPES)
def test_shape_refused(name):
    """False and an error line; the context stays as it was."""
    made, mark = context(), len(log().records)
    verdict = made.set_input_shape(*WRONG_SHAPES[name])
    tell("context", f"shape_{name}", verdict=verdict, records=log().records[mark:])
    assert verdict is False
    assert has_errors(mark)


def test_shape_of_another_profile():
    """set_input_shape takes what any profile takes; the run refuses what its own does not."""
    made, _ = prepared("dynamic")
    mark = len(log().records)
    assert made.set_input_shape("x", (9, 4)) is True
    assert made.execute_async_v3(stream().handle) is False
    assert has_errors(mark)
    tell("context", "shape_of_another_profile", records=log().records[mark:])


def test_static_shape_can_be_set_again():
    assert context("static").set_input_shape("x", (2, 4))


# --- running -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_numbers(rows):
    x = numbers(rows, 4, seed=rows)
    np.testing.assert_allclose(run(engine(), {"x": x})["y"], 2 * x + 1, rtol=1e-6)


def test_one_context_many_shapes():
    made = context()
    for rows in (2, 8, 1, 5):
        x = numbers(rows, 4, seed=rows)
        np.testing.assert_allclose(run(engine(), {"x": x}, made)["y"], 2 * x + 1, rtol=1e-6)


def test_address_reads_back():
    made, block = context("static"), cuda.mem_alloc(64)
    assert made.get_tensor_address("x") == 0
    assert made.set_tensor_address("x", int(block))
    assert made.get_tensor_address("x") == int(block)


def test_address_of_an_unknown_tensor():
    made, mark, block = context("static"), len(log().records), cuda.mem_alloc(64)
    assert made.set_tensor_address("nothing", int(block)) is False
    assert has_errors(mark)


def prepared(kind, missing=(), rows=2):
    """A context with addresses and shapes set, except what is missing."""
    made = context(kind)
    blocks = {n: cuda.mem_alloc(256) for n in "xy"}
    for name, block in blocks.items():
        if name not in missing:
            made.set_tensor_address(name, int(block))
    if "shape" not in missing and kind == "dynamic":
        made.set_input_shape("x", (rows, 4))
    return made, blocks


@pytest.mark.parametrize("missing", ["x", "y", "shape"])
def test_not_ready(missing):
    """An input's or output's address, or a shape, is missing: False and an error line."""
    made, blocks = prepared("dynamic", (missing,))
    mark = len(log().records)
    verdict = made.execute_async_v3(stream().handle)
    stream().synchronize()
    tell("context", f"missing_{missing}", verdict=verdict, records=log().records[mark:])
    assert verdict is False
    assert has_errors(mark)
    assert len(blocks) == 2


def test_ready_after_all():
    """A context that refused to run does so once what was missing is set."""
    made, blocks = prepared("dynamic", ("y",))
    cuda.memcpy_htod(blocks["x"], numbers(2, 4))
    assert made.execute_async_v3(stream().handle) is False
    assert made.set_tensor_address("y", int(blocks["y"]))
    assert made.execute_async_v3(stream().handle)
    stream().synchronize()
    np.testing.assert_allclose(host(blocks["y"], (2, 4)), 2 * numbers(2, 4) + 1, rtol=1e-6)


def test_execute_v2():
    made = context("static")
    x = numbers(2, 4)
    blocks = [device(x), cuda.mem_alloc(x.nbytes)]
    assert made.execute_v2([int(b) for b in blocks])
    np.testing.assert_allclose(host(blocks[1], (2, 4)), 2 * x + 1, rtol=1e-6)


def test_copies_in_stream_order():
    """Copy in, run, copy out, one synchronize: each sees what came before it in the stream."""
    made, own = context("static"), cuda.Stream()
    x, y = cuda.pagelocked_empty((2, 4), np.float32), cuda.pagelocked_empty((2, 4), np.float32)
    x[:], y[:] = numbers(2, 4, seed=5), 0
    blocks = [cuda.mem_alloc(x.nbytes) for _ in range(2)]
    for name, block in zip("xy", blocks, strict=True):
        made.set_tensor_address(name, int(block))
    cuda.memcpy_htod_async(blocks[0], x, own)
    assert made.execute_async_v3(own.handle)
    cuda.memcpy_dtoh_async(y, blocks[1], own)
    own.synchronize()
    np.testing.assert_allclose(y, 2 * x + 1, rtol=1e-6)


def test_two_contexts_of_a_static_engine():
    one, other = context("static"), context("static")
    for number, made in enumerate((one, other, one)):
        x = numbers(2, 4, seed=number)
        np.testing.assert_allclose(run(engine("static"), {"x": x}, made)["y"], 2 * x + 1, rtol=1e-6)


# --- profiles ----------------------------------------------------------------------------------------------


def test_first_profile_is_chosen():
    assert context().active_optimization_profile == 0


def test_other_profile():
    """Profile 1 takes the shapes profile 0 refuses, and the other way round."""
    made, mark = context(), len(log().records)
    assert made.set_optimization_profile_async(1, stream().handle)
    stream().synchronize()
    assert made.active_optimization_profile == 1
    assert errors_since(mark) == []
    x = numbers(20, 4)
    np.testing.assert_allclose(run(engine(), {"x": x}, made)["y"], 2 * x + 1, rtol=1e-6)
    _, blocks = prepared("dynamic")
    for name, block in blocks.items():
        made.set_tensor_address(name, int(block))
    assert not (made.set_input_shape("x", (2, 4)) and made.execute_async_v3(stream().handle))


def test_shape_is_set_again_after_a_switch():
    """What became of the old shape is not promised; one set after the switch counts."""
    made = context()
    assert made.set_input_shape("x", (3, 4))
    assert made.set_optimization_profile_async(1, stream().handle)
    stream().synchronize()
    tell("context", "shape_after_a_switch", shape=str(made.get_tensor_shape("x")))
    assert made.set_input_shape("x", (20, 4))
    assert tuple(made.get_tensor_shape("y")) == (20, 4)


@pytest.mark.skipif(compat.version() < (9, 0), reason="8.6 ends the process where the profile does not exist")
def test_no_such_profile():
    made, mark = context(), len(log().records)
    verdict = made.set_optimization_profile_async(7, stream().handle)
    tell("context", "no_such_profile", verdict=verdict, records=log().records[mark:])
    assert verdict is False
    assert has_errors(mark)


# --- outputs whose size only the run tells -----------------------------------------------------------------


@functools.cache
def non_zero():
    """Indices of the elements that are not 0."""
    net = network()
    made = net.add_non_zero(net.add_input("x", trt.float32, (3, 5))).get_output(0)
    made.name = "y"
    net.mark_output(made)
    declare(made, np.int32)
    assert tuple(made.shape) == (2, -1)
    return engine_of(net)


def finder():
    """A context of it."""
    mark = len(log().records)
    made = non_zero().create_execution_context()
    tell("context", "non_zero", made=str(made), records=log().records[mark:])
    if made is None and compat.version() == (8, 6):
        pytest.xfail(f"{DIFFERS['non_zero']}: {errors_since(mark)}")
    return made


class Allocator(trt.IOutputAllocator):
    """Gives memory when asked and remembers the shape."""

    def __init__(self):
        trt.IOutputAllocator.__init__(self)
        self.block, self.size, self.shape, self.names = None, 0, None, set()

    def reallocate_output(self, tensor_name, memory, size, alignment):
        self.names.add(tensor_name)
        if size > self.size or self.block is None:
            self.block, self.size = cuda.mem_alloc(max(int(size), 1)), int(size)
        return int(self.block)

    def notify_shape(self, tensor_name, shape):
        self.shape = tuple(shape)


@pytest.mark.parametrize("count", [0, 1, 7, 15])
def test_output_allocator(count):
    """The allocator is asked for memory, and told the shape."""
    x = np.zeros((3, 5), np.float32)
    x.flat[np.random.default_rng(count).permutation(15)[:count]] = 1.5
    made, allocator, block = finder(), Allocator(), device(x)
    assert made.set_tensor_address("x", int(block))
    assert made.set_output_allocator("y", allocator)
    assert made.execute_async_v3(stream().handle)
    stream().synchronize()
    assert allocator.shape == (2, count)
    assert allocator.names == {"y"}
    if count:
        found = host(allocator.block, (2, count), type_of(non_zero(), "y"))
        order = np.lexsort(found[::-1])
        np.testing.assert_array_equal(found[:, order], np.stack(np.nonzero(x)))


def test_output_shape_is_open_before_the_run():
    assert tuple(non_zero().get_tensor_shape("y")) == (2, -1)
    assert tuple(finder().get_tensor_shape("y")) == (2, -1)


# --- profiler ----------------------------------------------------------------------------------------------


class Profiler(trt.IProfiler):
    """Keeps what it is told."""

    def __init__(self):
        trt.IProfiler.__init__(self)
        self.times = []

    def report_layer_time(self, layer_name, ms):
        self.times.append((layer_name, ms))


def profiled(emits):
    made, blocks = prepared("static")
    cuda.memcpy_htod(blocks["x"], numbers(2, 4))
    made.profiler = profiler = Profiler()
    made.enqueue_emits_profile = emits
    assert made.execute_async_v3(stream().handle)
    stream().synchronize()
    return made, profiler, blocks


def test_profiler_hears_of_every_layer():
    _, profiler, _ = profiled(True)
    tell("context", "profiler", times=profiler.times, num_layers=engine("static").num_layers)
    assert len({name for name, _ in profiler.times}) == engine("static").num_layers
    assert all(ms >= 0 for _, ms in profiler.times)


def test_profiler_on_demand():
    """With enqueue_emits_profile off, times come when asked for."""
    made, profiler, _ = profiled(False)
    assert profiler.times == []
    assert made.report_to_profiler()
    assert profiler.times
