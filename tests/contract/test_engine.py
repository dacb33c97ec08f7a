"""Builder, plan, engine, inspector and refitter: what is built, what it tells of itself, what is refused."""

from __future__ import annotations

import functools
import json

import numpy as np
import pytest

from trt_lessons import compat

from .networks import (
    build,
    builder,
    close,
    config,
    engine_of,
    errors_since,
    has_errors,
    in_subprocess,
    log,
    names_of,
    network,
    numbers,
    run,
    runtime,
    tell,
    trt,
    type_of,
)

KERNEL, BIAS = numbers(8, 3, 3, 3, seed=1), numbers(8, seed=2)
RANGE = {"x": ((1, 3, 8, 8), (2, 3, 8, 8), (4, 3, 16, 16))}
DIFFERS: dict[str, str] = {
    "combine": "8.6 combines no caches that hold nothing",
    "refit": "8.6 takes weights of another count, and may notice only when it refits",
}


def convolution(shape=(-1, 3, -1, -1)):
    """x, a convolution called conv, ReLU, y."""
    net = network()
    net.name = "the_net"
    conv = net.add_convolution_nd(net.add_input("x", trt.float32, shape), 8, (3, 3), KERNEL, BIAS)
    conv.name = "conv"
    relu = net.add_activation(conv.get_output(0), trt.ActivationType.RELU)
    relu.name = "relu"
    relu.get_output(0).name = "y"
    net.mark_output(relu.get_output(0))
    return net


@functools.cache
def plan(kind):
    """Plans that several tests look at."""
    if kind == "static":
        return build(convolution((2, 3, 8, 8)))
    if kind == "refit":
        return build(convolution((2, 3, 8, 8)), configure=lambda c: c.set_flag(trt.BuilderFlag.REFIT))
    wider = {"x": ((3, 3, 16, 16), (4, 3, 32, 32), (6, 3, 32, 32))}
    return build(
        convolution(),
        [RANGE, wider],
        configure=lambda c: setattr(c, "profiling_verbosity", trt.ProfilingVerbosity.DETAILED),
    )


@functools.cache
def engine(kind="dynamic"):
    """The engine of a plan."""
    return runtime().deserialize_cuda_engine(plan(kind))


# --- builder -----------------------------------------------------------------------------------------------


def test_new_config():
    made = builder().create_builder_config()
    assert made.builder_optimization_level == 3
    assert made.get_flag(trt.BuilderFlag.TF32)
    assert not made.get_flag(trt.BuilderFlag.REFIT)
    assert made.profiling_verbosity == trt.ProfilingVerbosity.LAYER_NAMES_ONLY
    assert made.num_optimization_profiles == 0


@pytest.mark.parametrize("flag", ["REFIT", "TF32", "DEBUG", "VERSION_COMPATIBLE", "DISABLE_TIMING_CACHE"])
def test_flag_on_and_off(flag):
    made, flag = builder().create_builder_config(), getattr(trt.BuilderFlag, flag)
    made.set_flag(flag)
    assert made.get_flag(flag)
    made.clear_flag(flag)
    assert not made.get_flag(flag)


def test_workspace_limit():
    made = builder().create_builder_config()
    made.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, 1 << 28)
    assert made.get_memory_pool_limit(trt.MemoryPoolType.WORKSPACE) == 1 << 28


def test_profile_reads_back():
    profile = builder().create_optimization_profile()
    profile.set_shape("x", (1, 3), (2, 3), (4, 3))
    assert [tuple(s) for s in profile.get_shape("x")] == [(1, 3), (2, 3), (4, 3)]


def test_profiles_are_numbered():
    made = builder().create_builder_config()
    for index in range(2):
        profile = builder().create_optimization_profile()
        profile.set_shape("x", (1, 3), (2, 3), (4, 3))
        assert made.add_optimization_profile(profile) == index
    assert made.num_optimization_profiles == 2


def no_output():
    net = network()
    net.add_activation(net.add_input("x", trt.float32, (1, 3)), trt.ActivationType.RELU)
    return net, None


def no_profile():
    return convolution(), None


def profile_rank():
    return convolution(), {"x": ((1, 3, 8), (2, 3, 8), (4, 3, 8))}


def profile_static_size():
    return convolution(), {"x": ((1, 4, 8, 8), (2, 4, 8, 8), (4, 4, 8, 8))}


def profile_for_another_input():
    return convolution(), {"other": ((1, 3, 8, 8), (2, 3, 8, 8), (4, 3, 8, 8))}


REFUSED = {f.__name__: f for f in (no_output, no_profile, profile_rank, profile_static_size, profile_for_another_input)}


@pytest.mark.parametrize("name", REFUSED)
def test_not_built(name):
    """None from the builder, an error line in the log."""
    mark = len(log().records)
    assert build(*REFUSED[name]()) is None
    tell("builder", name, records=log().records[mark:])
    assert has_errors(mark)


def test_min_above_opt_is_refused():
    """Somewhere between set_shape and the build; which place it is differs by version."""
    mark = len(log().records)
    try:
        verdict = build(convolution(), {"x": ((4, 3, 8, 8), (2, 3, 8, 8), (1, 3, 8, 8))})
    except ValueError as problem:
        verdict = f"ValueError: {problem}"
    tell("builder", "min_above_opt", verdict=verdict, records=log().records[mark:])
    assert verdict is None or str(verdict).startswith("ValueError")


def test_plan_is_bytes():
    made = builder().build_serialized_network(convolution((1, 3, 8, 8)), config())
    assert made.nbytes == len(bytes(made)) == len(memoryview(made))


@pytest.mark.parametrize("verbosity", ["NONE", "LAYER_NAMES_ONLY", "DETAILED"])
def test_verbosity_is_kept(verbosity):
    wanted = getattr(trt.ProfilingVerbosity, verbosity)
    made = engine_of(convolution((1, 3, 8, 8)), configure=lambda c: setattr(c, "profiling_verbosity", wanted))
    assert made.profiling_verbosity == wanted
    told = made.create_engine_inspector().get_layer_information(0, trt.LayerInformationFormat.ONELINE)
    assert bool(told.strip()) == (verbosity != "NONE")


def test_version_8_has_no_progress_monitor_and_others_call_it():
    """A progress monitor sees phases start, step and finish."""
    if not compat.has("IProgressMonitor"):
        assert compat.version() < (10, 0)
        return

    class Monitor(trt.IProgressMonitor):
        def __init__(self):
            trt.IProgressMonitor.__init__(self)
            self.seen = []

        def phase_start(self, phase_name, parent_phase, num_steps):
            self.seen.append("start")

        def step_complete(self, phase_name, step):
            self.seen.append("step")
            return True

        def phase_finish(self, phase_name):
            self.seen.append("finish")

    monitor = Monitor()
    assert build(convolution((1, 3, 8, 8)), configure=lambda c: setattr(c, "progress_monitor", monitor)) is not None
    assert monitor.seen[0] == "start"
    assert monitor.seen[-1] == "finish"
    assert "step" in monitor.seen


def test_is_network_supported():
    assert builder().is_network_supported(convolution((1, 3, 8, 8)), config())


# --- timing cache ------------------------------------------------------------------------------------------


def test_timing_cache_round_trip():
    made = config()
    cache = made.create_timing_cache(b"")
    assert made.set_timing_cache(cache, False)
    assert builder().build_serialized_network(convolution((1, 3, 8, 8)), made) is not None
    data = bytes(made.get_timing_cache().serialize())
    assert data
    again = config()
    copy = again.create_timing_cache(data)
    assert copy is not None
    assert again.set_timing_cache(copy, False)
    assert builder().build_serialized_network(convolution((1, 3, 8, 8)), again) is not None


def test_timing_caches_combine(request):
    if compat.version() == (8, 6):
        request.applymarker(pytest.mark.xfail(reason=DIFFERS["combine"], strict=False))
    made = config()
    one, other = made.create_timing_cache(b""), made.create_timing_cache(b"")
    assert one.combine(other, False)


# --- engine ------------------------------------------------------------------------------------------------


def test_engine_names():
    assert engine().num_io_tensors == 2
    assert names_of(engine()) == (["x"], ["y"])
    assert engine().name == "the_net"


def test_engine_modes():
    assert engine().get_tensor_mode("x") == trt.TensorIOMode.INPUT
    assert engine().get_tensor_mode("y") == trt.TensorIOMode.OUTPUT


def test_engine_types():
    assert {engine().get_tensor_dtype(n) for n in "xy"} == {trt.float32}
    assert type_of(engine(), "x") == np.float32


def test_engine_shapes():
    assert tuple(engine().get_tensor_shape("x")) == (-1, 3, -1, -1)
    assert tuple(engine().get_tensor_shape("y")) == (-1, 8, -1, -1)
    assert tuple(engine("static").get_tensor_shape("y")) == (2, 8, 6, 6)


def test_engine_locations():
    assert {engine().get_tensor_location(n) for n in "xy"} == {trt.TensorLocation.DEVICE}


def test_engine_format():
    assert engine().get_tensor_format("x") == trt.TensorFormat.LINEAR


def test_engine_profiles():
    assert engine().num_optimization_profiles == 2
    assert [tuple(s) for s in engine().get_tensor_profile_shape("x", 0)] == list(RANGE["x"])
    assert tuple(engine().get_tensor_profile_shape("x", 1)[2]) == (6, 3, 32, 32)


def test_static_engine_profile():
    """Without a profile there is one all the same, the static shape thrice."""
    assert engine("static").num_optimization_profiles == 1
    assert [tuple(s) for s in engine("static").get_tensor_profile_shape("x", 0)] == [(2, 3, 8, 8)] * 3


def test_engine_memory():
    assert compat.device_memory(engine()) >= 0


def test_engine_layers():
    assert engine().num_layers >= 1


def test_unknown_name():
    """An unknown name is an error line, and NONE for its mode."""
    mark = len(log().records)
    mode = engine().get_tensor_mode("no such tensor")
    tell("engine", "unknown_name", mode=str(mode), records=log().records[mark:])
    assert mode == trt.TensorIOMode.NONE
    assert has_errors(mark)


def test_not_refittable_by_default():
    assert not engine("static").refittable
    assert engine("refit").refittable


# --- serialization -----------------------------------------------------------------------------------------


def test_serialize_again():
    """The plan of a loaded engine loads and computes the same."""
    again = runtime().deserialize_cuda_engine(engine("static").serialize())
    x = numbers(2, 3, 8, 8)
    np.testing.assert_array_equal(run(again, {"x": x})["y"], run(engine("static"), {"x": x})["y"])


def test_plan_through_a_file(tmp_path):
    path = tmp_path / "net.plan"
    path.write_bytes(plan("static"))
    again = runtime().deserialize_cuda_engine(path.read_bytes())
    x = numbers(2, 3, 8, 8)
    np.testing.assert_array_equal(run(again, {"x": x})["y"], run(engine("static"), {"x": x})["y"])


JUNK = """
from pathlib import Path
from trt_lessons import backend, compat
trt = backend.trt
backend.cuda
log = compat.shared_log()
builder = trt.Builder(log)
runtime = trt.Runtime(log)
whole = Path("whole.plan").read_bytes()
plans = {"whole": whole, "junk": b"this is no plan at all" * 40, "zeros": bytes(4096), "empty": b"",
         "other_magic": b"XXXX" + whole[4:],
         "half": whole[: len(whole) // 2], "without_its_end": whole[:-40]}
def caches():
    made = builder.create_builder_config()
    junk = made.create_timing_cache(b"no timing cache" * 20)
    return str(junk)
for name, plan in plans.items():
    mark = len(log.records)
    tell(name, "started")
    try:
        verdict = "engine" if runtime.deserialize_cuda_engine(plan) is not None else "None"
    except Exception as problem:
        verdict = f"{type(problem).__name__}: {problem}"
    tell(name, [verdict, log.records[mark:]])
mark = len(log.records)
tell("cache", "started")
tell("cache", [caches(), log.records[mark:]])
"""


@pytest.fixture(scope="module")
def junk(tmp_path_factory):
    """What becomes of damaged plans, tried in a process of its own."""
    folder = tmp_path_factory.mktemp("junk")
    (folder / "whole.plan").write_bytes(plan("static"))
    told = in_subprocess(JUNK, folder)
    tell("engine", "junk", **{k.replace("exit", "exit_code"): v for k, v in told.items()})
    assert isinstance(told.get("whole"), list), told
    assert told["whole"][0] == "engine", told
    return told


@pytest.mark.parametrize("name", ["junk", "zeros", "other_magic", "half"])
def test_damaged_plan_is_refused(junk, name, request):
    """None and an error line, never an engine."""
    if name in DIFFERS and compat.version() == (8, 6):
        request.applymarker(pytest.mark.xfail(reason=DIFFERS[name], strict=False))
    assert isinstance(junk.get(name), list), f"the process ended at {name} with code {junk['exit']}: {junk['stderr']}"
    verdict, records = junk[name]
    assert verdict == "None"
    assert any(severity.endswith("ERROR") for severity, _ in records)


def test_foreign_timing_cache(junk):
    """Bytes that are no timing cache: error lines say so (whether an empty cache comes back is not promised)."""
    assert isinstance(junk.get("cache"), list), f"the process ended with code {junk['exit']}: {junk['stderr']}"
    assert any(severity in ("ERROR", "INTERNAL_ERROR") for severity, _ in junk["cache"][1])


# --- inspector ---------------------------------------------------------------------------------------------


def test_inspector_json():
    told = json.loads(engine().create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON))
    assert len(told["Layers"]) == engine().num_layers
    assert "Bindings" in told or "I/O Tensors" in told


def test_inspector_layer_json():
    inspector = engine().create_engine_inspector()
    for index in range(engine().num_layers):
        layer = json.loads(inspector.get_layer_information(index, trt.LayerInformationFormat.JSON))
        assert layer["Name"]
        assert layer["LayerType"]


def test_inspector_one_line():
    told = engine().create_engine_inspector().get_engine_information(trt.LayerInformationFormat.ONELINE)
    assert "conv" in told


def test_inspector_names_only():
    told = json.loads(
        engine("static").create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON)
    )
    assert all(isinstance(layer, str) for layer in told["Layers"])
    assert any("conv" in layer for layer in told["Layers"])


def test_layers_read_by_compat():
    rows = compat.engine_layers(engine())
    assert len(rows) == engine().num_layers
    assert any("conv" in str(row["origins"]) + row["name"] for row in rows)


# --- refitter ----------------------------------------------------------------------------------------------


def refitted(kernel):
    """An engine of its own with other convolution weights."""
    made = runtime().deserialize_cuda_engine(plan("refit"))
    refitter = trt.Refitter(made, log())
    assert refitter.set_weights("conv", trt.WeightsRole.KERNEL, kernel)
    layers, roles = refitter.get_missing()
    for layer, role in zip(layers, roles, strict=True):
        assert refitter.set_weights(layer, role, {trt.WeightsRole.KERNEL: kernel, trt.WeightsRole.BIAS: BIAS}[role])
    assert refitter.refit_cuda_engine()
    return made


def test_refit_changes_the_numbers():
    import torch
    import torch.nn.functional as F

    other, x = np.ascontiguousarray(-KERNEL), numbers(2, 3, 8, 8)
    made = refitted(other)
    wanted = F.relu(F.conv2d(torch.from_numpy(x), torch.from_numpy(other), torch.from_numpy(BIAS))).numpy()
    close(run(made, {"x": x})["y"], wanted, 1e-4)


def test_refitter_lists_weights():
    refitter = trt.Refitter(engine("refit"), log())
    layers, roles = refitter.get_all()
    assert ("conv", trt.WeightsRole.KERNEL) in list(zip(layers, roles, strict=True))


def test_refit_of_an_unknown_layer():
    refitter = trt.Refitter(engine("refit"), log())
    mark = len(log().records)
    assert not refitter.set_weights("no such layer", trt.WeightsRole.KERNEL, KERNEL)
    assert has_errors(mark)


def test_refit_with_too_few_weights(request):
    if compat.version() == (8, 6):
        request.applymarker(pytest.mark.xfail(reason=DIFFERS["refit"], strict=False))
    refitter = trt.Refitter(engine("refit"), log())
    mark = len(log().records)
    assert not refitter.set_weights("conv", trt.WeightsRole.KERNEL, np.ascontiguousarray(KERNEL[:4]))
    assert has_errors(mark)


def test_no_errors_in_an_ordinary_build():
    mark = len(log().records)
    assert build(convolution(), RANGE) is not None
    assert errors_since(mark) == []
