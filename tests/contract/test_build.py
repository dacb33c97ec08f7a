"""`build` and `load`: the same reports, verdicts and errors on TensorRT and on the interpreter."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import threading
import time
import warnings

import filelock
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from trt_lessons import backend, compat, layers
from trt_lessons.engines import build as room
from trt_lessons.engines import cache as engine_cache
from trt_lessons.engines.build import load
from trt_lessons.engines.built import UNTOLD
from trt_lessons.errors import BuildError, CacheError, ModelFileError, PlanError, PrecisionError

TYPES = {"fp32": (TensorProto.FLOAT, np.float32), "fp16": (TensorProto.FLOAT16, np.float16)}
build = functools.partial(room.build, level=0)  # the quickest builds, except where the level matters
thorough = functools.partial(room.build, level=3, cache=False)
RANGE = {"x": [(1, 1, 8, 8), (4, 1, 8, 8), (16, 1, 8, 8)]}


def tiny(kind="fp32", batch=2, *, op="Relu", channels=8):
    """Convolution, activation, flatten, matrix product: x[batch, 1, 8, 8] to y[batch, 10]."""
    number, dtype = TYPES[kind]
    rng = np.random.default_rng(0)
    kernel = numpy_helper.from_array((rng.standard_normal((channels, 1, 3, 3)) * 0.2).astype(dtype), "kernel")
    matrix = numpy_helper.from_array((rng.standard_normal((channels * 64, 10)) * 0.1).astype(dtype), "matrix")
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node(op, ["c"], ["r"], name="act"),
        helper.make_node("Flatten", ["r"], ["f"], name="flat"),
        helper.make_node("MatMul", ["f", "matrix"], ["y"], name="fc"),
    ]
    return _model(nodes, number, [batch, 1, 8, 8], [batch, 10], [kernel, matrix])


def heavy(kind="fp32", batch=8):
    """Two convolutions with enough work for types to matter: x[batch, 32, 32, 32] to y[batch, 64, 32, 32]."""
    number, dtype = TYPES[kind]
    rng = np.random.default_rng(1)
    shapes = {"k1": (64, 32, 3, 3), "k2": (64, 64, 3, 3)}
    weights = [numpy_helper.from_array((rng.standard_normal(s) * 0.05).astype(dtype), n) for n, s in shapes.items()]
    nodes = [
        helper.make_node("Conv", ["x", "k1"], ["a"], name="conv1", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], name="relu1"),
        helper.make_node("Conv", ["b", "k2"], ["y"], name="conv2", pads=[1, 1, 1, 1]),
    ]
    return _model(nodes, number, [batch, 32, 32, 32], [batch, 64, 32, 32], weights)


def quantized():
    """A convolution with Q/DQ pairs on both inputs: x[8, 32, 16, 16] to y[8, 32, 16, 16].

    Its kernel is a tensor, so `kernel_shape` has to be written out: 8.6's parser does not work it out.
    """
    rng = np.random.default_rng(1)
    arrays = {
        "kernel": (rng.standard_normal((32, 32, 3, 3)) * 0.3).astype(np.float32),
        "s_x": np.float32(0.05),
        "s_w": np.float32(0.01),
        "zero": np.int8(0),
    }
    weights = [numpy_helper.from_array(np.asarray(a), n) for n, a in arrays.items()]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s_x", "zero"], ["xq"], name="q"),
        helper.make_node("DequantizeLinear", ["xq", "s_x", "zero"], ["xd"], name="dq"),
        helper.make_node("QuantizeLinear", ["kernel", "s_w", "zero"], ["wq"], name="q_w"),
        helper.make_node("DequantizeLinear", ["wq", "s_w", "zero"], ["wd"], name="dq_w"),
        helper.make_node("Conv", ["xd", "wd"], ["y"], name="conv", pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
    ]
    return _model(nodes, TensorProto.FLOAT, [8, 32, 16, 16], [8, 32, 16, 16], weights)


def _model(nodes, number, shape_in, shape_out, weights):
    given = helper.make_tensor_value_info("x", number, shape_in)
    result = helper.make_tensor_value_info("y", number, shape_out)
    graph = helper.make_graph(nodes, "tiny", [given], [result], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def by_hand(network):
    """The same idea with the layer API: x[2, 3] times a constant."""
    trt = backend.trt
    x = network.add_input("x", trt.float32, (2, 3))
    weights = np.arange(12, dtype=np.float32).reshape(3, 4)
    constant = network.add_constant((3, 4), weights).get_output(0)
    none = trt.MatrixOperation.NONE
    y = network.add_matrix_multiply(x, none, constant, none).get_output(0)
    y.name = "y"
    network.mark_output(y)
    return weights


# --- what comes back ---


def test_report_of_a_static_model():
    report = build(tiny(), cache=False)
    assert not report.from_cache and report.size == len(report.plan) > 100
    assert report.inputs == [{"name": "x", "dtype": "float32", "shape": (2, 1, 8, 8)}]
    assert report.outputs == [{"name": "y", "dtype": "float32", "shape": (2, 10)}]
    assert len(report.onnx_sha256) == len(report.plan_sha256) == 64
    assert report.seconds > 0 and "s" not in repr(report.seconds)[:1]
    assert [x["type"] for x in report.network if x["name"] in ("conv", "act")] == [
        "CONVOLUTION",
        "ACTIVATION",
    ]
    assert repr(report) == "BuildReport(tiny: x 2x1x8x8 -> y 2x10, precision as in the graph)"


def test_summary_says_what_all_backends_agree_on(capsys):
    build(tiny(batch="n"), profiles=RANGE, precision="fp32", cache=False, name="demo").summary()
    assert capsys.readouterr().out.splitlines() == [
        "demo",
        "  input     x  float32  -1x1x8x8",
        "  output    y  float32  -1x10",
        "  profile 0 x  min 1x1x8x8, opt 4x1x8x8, max 16x1x8x8",
        "  precision fp32, verified in the engine",
    ]


def test_path_bytes_and_proto_are_the_same_model(tmp_path):
    model = tiny()
    file = tmp_path / "tiny.onnx"
    file.write_bytes(model.SerializeToString(deterministic=True))
    reports = [build(m, cache=False) for m in (file, str(file), file.read_bytes(), model)]
    assert len({r.onnx_sha256 for r in reports}) == 1
    assert [r.name for r in reports] == ["tiny"] * 4


def test_weights_beside_the_file(tmp_path):
    file = tmp_path / "big.onnx"
    model = onnx.ModelProto.FromString(tiny().SerializeToString())
    onnx.save_model(model, str(file), save_as_external_data=True, location="big.bin", size_threshold=0)
    assert build(file, cache=False).outputs[0]["shape"] == (2, 10)
    first = build(file, cache=False).onnx_sha256
    (tmp_path / "big.bin").write_bytes(bytes(len((tmp_path / "big.bin").read_bytes())))
    assert build(file, cache=False).onnx_sha256 != first
    (tmp_path / "big.bin").unlink()
    with pytest.raises(ModelFileError, match=r"big\.bin"):
        build(file, cache=False)


def test_a_network_by_hand():
    report = build(by_hand, cache=False)
    assert report.name == "by_hand" and report.onnx_sha256 is None
    engine = report.engine()
    assert [t["name"] for t in compat.io_tensors(engine)] == ["x", "y"]
    assert tuple(engine.get_tensor_shape("y")) == (2, 4)


def test_configure_has_the_last_word():
    seen = []

    def configure(config, network):
        config.builder_optimization_level = 1
        seen.append((network.num_layers, config.builder_optimization_level))

    build(tiny(), level=2, configure=configure, cache=False)
    assert seen[0][0] >= 4 and seen[0][1] == 1


def test_level_and_workspace_reach_tensorrt():
    seen = {}
    trt = backend.trt

    def look(config, network):
        seen["level"] = config.builder_optimization_level
        seen["workspace"] = config.get_memory_pool_limit(trt.MemoryPoolType.WORKSPACE)
        seen["verbosity"] = config.profiling_verbosity

    build(tiny(), level=1, workspace=1 << 26, configure=look, cache=False)
    assert seen == {"level": 1, "workspace": 1 << 26, "verbosity": trt.ProfilingVerbosity.DETAILED}
    with pytest.raises(BuildError, match="level 9"):
        build(tiny(), level=9, cache=False)


def test_several_profiles():
    second = {"x": [(1, 1, 8, 8), (32, 1, 8, 8), (64, 1, 8, 8)]}
    report = build(tiny(batch="n"), profiles=[RANGE, second], cache=False)
    engine = report.engine()
    assert engine.num_optimization_profiles == 2
    assert [tuple(s) for s in engine.get_tensor_profile_shape("x", 1)] == second["x"]


# --- layers ---


def test_every_network_layer_is_somewhere():
    report = build(tiny(), cache=False)
    table = report.layers()
    found = layers.fusion(report.network, table)
    assert not found.lost, found
    assert {"conv", "act", "fc"} <= set(found.where)
    names = {x["name"] for x in report.network}
    assert set(found.where) | set(found.absorbed) == names
    assert table.lost == []
    assert json.loads(json.dumps(table.to_dict()))["rows"]


def test_layers_of_a_dynamic_engine_are_told_too():
    table = build(tiny(batch="n"), profiles=RANGE, cache=False).layers()
    assert any("conv" in row.origins for row in table)
    assert any(row.type and row.outputs for row in table)


def test_device_memory_is_a_number():
    report = build(tiny(), cache=False)
    memory = compat.device_memory(report.engine())
    assert report.costs == {"s": report.seconds, "plan": len(report.plan), "context": memory} and memory >= 0


# --- precision ---


@pytest.mark.parametrize("kind", ["fp32", "fp16"])
def test_precision_is_verified(kind):
    """What was asked for is in the engine, or it is an error: 8.x only permits FP16, and may time FP32 as faster."""
    try:
        report = thorough(heavy(kind), precision=kind)
    except PrecisionError as refusal:
        assert kind == "fp16" and not compat.strongly_typed() and "fp16 was asked for" in str(refusal)
        return
    assert report.asked == kind
    assert report.inputs[0]["dtype"] == {"fp32": "float32", "fp16": "float16"}[kind]


def test_a_small_transformer_in_fp16_is_not_refused_for_its_plans_size():
    """Attention and a norm become one region on 8.6, with a plan of many times its weights: what was asked for is
    verified, or it is said that the engine does not tell; it is refused only where the weights lie there in FP32."""
    random = np.random.default_rng(0)
    weights = {
        name: random.standard_normal((32, 32)).astype(np.float16) / np.float16(6) for name in ("q", "k", "v", "out")
    }
    nodes = [helper.make_node("MatMul", ["x", name], [name + "s"]) for name in ("q", "k", "v")]
    nodes.append(helper.make_node("Transpose", ["ks"], ["kt"], perm=[0, 2, 1]))
    nodes.append(helper.make_node("MatMul", ["qs", "kt"], ["scores"]))
    nodes.append(helper.make_node("Softmax", ["scores"], ["shares"], axis=-1))
    nodes.append(helper.make_node("MatMul", ["shares", "vs"], ["mixed"]))
    nodes.append(helper.make_node("MatMul", ["mixed", "out"], ["y"]))
    model = _model(
        nodes,
        TensorProto.FLOAT16,
        [2, 10, 32],
        [2, 10, 32],
        [numpy_helper.from_array(a, n) for n, a in weights.items()],
    )
    try:
        report = room.build(model, precision="fp16", cache=False, level=1)
    except PrecisionError as refusal:
        assert not compat.strongly_typed() and "in FP32" in str(refusal)
        return
    assert any(note.startswith(("verified in the engine", UNTOLD)) for note in report.notes)


def test_tf32_is_a_flag():
    assert "TF32" in build(tiny(), precision="tf32", cache=False).options["flags"]
    assert "TF32" not in build(tiny(), precision="fp32", cache=False).options["flags"]


def test_int8_is_verified():
    report = room.build(quantized(), precision="int8", cache=False)
    assert report.asked == "int8"
    assert report.options["level"] == (2 if compat.version()[0] < 10 else None)
    found = layers.fusion(report.network, report.layers())
    assert not found.lost and "conv" in found.where


@pytest.mark.parametrize("kind", ["bf16", "fp8"])
def test_precisions_of_later_versions(kind):
    number = {"bf16": TensorProto.BFLOAT16, "fp8": TensorProto.FLOAT8E4M3FN}[kind]
    nodes = [helper.make_node("Cast", ["x"], ["h"], to=number), helper.make_node("Cast", ["h"], ["y"], to=1)]
    model = _model(nodes, TensorProto.FLOAT, [2, 3], [2, 3], [])
    assert room.graph_kinds(model) == ({"bf16"} if kind == "bf16" else set())
    if compat.version()[0] < 10 and kind == "bf16":
        with pytest.raises(PrecisionError, match="TensorRT 10"):
            build(model, cache=False)


@pytest.mark.parametrize("kind", ["fp16", "bf16", "int8", "fp8"])
def test_a_precision_the_graph_does_not_hold_is_an_error(kind):
    with pytest.raises(PrecisionError, match=kind) as caught:
        build(tiny(), precision=kind, cache=False)
    assert "tl.precision" in caught.value.cure


def test_fp32_of_a_half_graph_is_an_error():
    with pytest.raises(PrecisionError, match="fp16"):
        build(tiny("fp16"), precision="fp32", cache=False)


@pytest.mark.parametrize("precision", ["fp31", "fp32+int8"])
def test_nonsense_precisions(precision):
    with pytest.raises(PrecisionError):
        build(tiny(), precision=precision, cache=False)


# --- bad models ---


def test_a_missing_file():
    with pytest.raises(ModelFileError, match=r"there is no file .*nope\.onnx"):
        build("nope.onnx")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: b"this is a text about models, not a model\n" * 20,
        lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        lambda data: b"ftrt" + bytes(100),
        lambda data: bytes(400),
    ],
    ids=["empty", "cut", "text", "lfs", "plan", "zeros"],
)
def test_a_damaged_model(spoil, tmp_path):
    file = tmp_path / "bad.onnx"
    file.write_bytes(spoil(tiny().SerializeToString()))
    with pytest.raises(ModelFileError, match="not a whole ONNX model") as caught:
        build(file, cache=False)
    assert caught.value.why and caught.value.cure


def test_an_unknown_op_is_quoted():
    with pytest.raises(ModelFileError, match="parser cannot read") as caught:
        build(tiny(op="Nonsense"), cache=False)
    assert "Nonsense" in str(caught.value) and "replace the op" in caught.value.cure


def test_something_that_is_no_model():
    with pytest.raises(ModelFileError, match="int"):
        build(3)


def test_a_network_without_outputs():
    with pytest.raises(BuildError, match="no output"):
        build(lambda network: network.add_input("x", backend.trt.float32, (1,)), cache=False)


# --- profiles ---


def test_a_dynamic_input_without_a_profile():
    with pytest.raises(BuildError, match="'x' -1x1x8x8") as caught:
        build(tiny(batch="n"), cache=False)
    assert "profiles=" in caught.value.cure


@pytest.mark.parametrize(
    ("profiles", "words"),
    [
        ({"x": [(4, 1, 8, 8), (1, 1, 8, 8), (16, 1, 8, 8)]}, "min <= opt <= max"),
        ({"x": [(1, 1, 8), (4, 1, 8), (16, 1, 8)]}, "rank"),
        ({"x": [(1, 1, 8, 8), (4, 1, 8, 8)]}, "2 shapes"),
        ({"x": [(1, 1, 8, 8), (4, 1, 8, 9), (16, 1, 8, 9)]}, "free"),
        ({"z": [(1,), (4,), (16,)]}, "'x'"),
        ({**RANGE, "z": [(1,), (4,), (16,)]}, "no input"),
        ([RANGE, {}], "profile 1"),
    ],
)
def test_profiles_that_cannot_be(profiles, words):
    with pytest.raises(BuildError) as caught:
        build(tiny(batch="n"), profiles=profiles, cache=False)
    assert words in str(caught.value)


def test_one_shape_stands_for_all_three():
    report = build(tiny(batch="n"), profiles={"x": (4, 1, 8, 8)}, cache=False)
    assert report.profiles == [{"x": ((4, 1, 8, 8),) * 3}]


# --- plans ---


def test_save_and_load(tmp_path):
    report = build(tiny(), cache=False)
    file = report.save(tmp_path / "deep" / "tiny.plan")
    assert [t["name"] for t in compat.io_tensors(load(file))] == ["x", "y"]
    assert (tmp_path / "deep" / "tiny.plan.sha256").read_text() == f"{report.plan_sha256}  tiny.plan\n"
    assert sorted(p.name for p in file.parent.iterdir()) == ["tiny.plan", "tiny.plan.sha256"]
    for plan in (report, report.plan, str(file)):
        assert load(plan) is not None


@pytest.mark.parametrize("damage", ["cut", "flipped", "appended"])
def test_a_damaged_plan_file(tmp_path, damage):
    file = build(tiny(), cache=False).save(tmp_path / "tiny.plan")
    data = bytearray(file.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "appended":
        data += b"more"
    else:
        data[len(data) // 2] ^= 0xFF
    file.write_bytes(bytes(data))
    with pytest.raises(PlanError, match="not what was saved"):
        load(file)


def test_a_cut_plan_in_memory():
    plan = build(tiny(), cache=False).plan
    with pytest.raises(PlanError) as caught:
        load(plan[: len(plan) // 2])
    assert caught.value.why and caught.value.cure


def test_the_other_backends_plan():
    foreign = (b"ftrt" if compat.is_interpreter() else compat.INTERPRETER_MAGIC) + bytes(200)
    with pytest.raises(PlanError, match="cannot run it"):
        load(foreign)


def test_plans_that_are_none(tmp_path):
    with pytest.raises(PlanError, match="empty"):
        load(b"")
    with pytest.raises(PlanError, match="cannot read"):
        load(tmp_path / "none.plan")
    if compat.is_interpreter() or compat.version()[0] < 10:
        with pytest.raises(PlanError, match="not a plan"):
            load(tiny().SerializeToString())


# --- the engine cache ---


def test_the_second_build_comes_from_the_cache(tmp_path):
    first = build(tiny(batch="n"), profiles=RANGE, cache=tmp_path)
    second = build(tiny(batch="n"), profiles=RANGE, cache=tmp_path)
    assert (first.from_cache, second.from_cache) == (False, True)
    assert first.plan == second.plan and repr(first) == repr(second)
    for name in ("seconds", "inputs", "outputs", "profiles", "network", "notes", "onnx_sha256", "made_by"):
        assert getattr(first, name) == getattr(second, name), name
    assert not list(tmp_path.glob("*.tmp")) and not list(tmp_path.glob(".*"))


def test_other_options_and_models_have_other_keys(tmp_path):
    build(tiny(), cache=tmp_path)
    assert not room.build(tiny(), level=1, cache=tmp_path).from_cache
    assert not build(tiny(channels=4), cache=tmp_path).from_cache
    assert not build(tiny(), precision="fp32", cache=tmp_path).from_cache
    assert len(list(tmp_path.glob("*.plan"))) == 4


def test_what_is_permitted_is_part_of_the_key(tmp_path):
    # a graph without scales: 8.6 may refuse INT8 for it ("no scaling factors detected"), so FP16 and BF16 are permitted
    more = ("fp16", "bf16") if compat.has("BuilderFlag.BF16") else ("fp16",)
    plain, free = build(tiny(), cache=tmp_path), build(tiny(), permit=more, cache=tmp_path)
    assert not free.from_cache and build(tiny(), permit=set(more), cache=tmp_path).from_cache
    weak = {"FP16"} if not compat.strongly_typed() else set()
    assert weak <= set(free.options["flags"]) and not weak & set(plain.options["flags"])
    with pytest.raises(PrecisionError, match="unknown precision"):
        build(tiny(), permit=("fp4",))


def test_what_cannot_be_keyed_is_not_cached(tmp_path):
    build(by_hand, cache=tmp_path)
    build(tiny(), configure=lambda config, network: None, cache=tmp_path)
    assert not list(tmp_path.glob("*.plan"))


def test_a_plan_that_cannot_be_saved(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CacheError, match="cannot be written"):
        build(tiny(), cache=False).save(tmp_path / "file" / "x.plan")


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "no facts", "facts cut"])
def test_a_damaged_cache_entry_is_set_aside_and_rebuilt(tmp_path, damage, capsys):
    first = build(tiny(), cache=tmp_path)
    (plan,), (facts,) = tmp_path.glob("*.plan"), tmp_path.glob("*.json")
    data = bytearray(plan.read_bytes())
    if damage == "no facts":
        facts.unlink()
    elif damage == "facts cut":
        facts.write_text(facts.read_text()[:50])
    else:
        data[len(data) // 2] ^= 0xFF
        plan.write_bytes({"cut": data[:99], "flipped": data, "empty": b""}[damage])
    second = build(tiny(), cache=tmp_path)
    assert not second.from_cache and second.outputs == first.outputs
    assert "set aside" in capsys.readouterr().out
    assert list(tmp_path.glob("*.plan.bad"))
    assert build(tiny(), cache=tmp_path).from_cache


def test_a_plan_that_does_not_load_is_rebuilt(tmp_path, capsys, monkeypatch):
    build(tiny(), cache=tmp_path)
    (plan,), (facts,) = tmp_path.glob("*.plan"), tmp_path.glob("*.json")
    cut = plan.read_bytes()[:-200]
    plan.write_bytes(cut)
    told = json.loads(facts.read_text()) | {"plan_sha256": room.sha256(cut)}
    facts.write_text(json.dumps(told))
    assert not build(tiny(), cache=tmp_path).from_cache
    assert "does not load" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(CacheError, match="cannot be written") as caught:
        build(tiny(), cache=blocked / "cache")
    assert caught.value.cure
    monkeypatch.setenv("TRT_LESSONS_CACHE", str(blocked / "cache"))
    monkeypatch.setattr(engine_cache, "_WARNED", set())
    with pytest.warns(UserWarning, match="going on without the cache"):
        report = build(tiny())
    assert not report.from_cache and report.plan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build(tiny())  # said once


def test_a_full_disk_loses_no_build(tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(engine_cache, "write_atomically", full)
    monkeypatch.setattr(engine_cache, "_WARNED", set())
    monkeypatch.setenv("TRT_LESSONS_CACHE", str(tmp_path / "default"))
    with pytest.warns(UserWarning, match="No space left"):
        assert build(tiny()).plan
    with pytest.raises(CacheError, match="cannot be written") as caught:
        build(tiny(), cache=tmp_path / "named")
    assert caught.value.report.plan  # the build itself is in the error


def test_two_threads_build_once(tmp_path):
    reports = []
    threads = [threading.Thread(target=lambda: reports.append(build(tiny(), cache=tmp_path))) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(timeout=300)
    assert sorted(r.from_cache for r in reports) == [False, True, True]
    assert len({r.plan_sha256 for r in reports}) == 1


SCRIPT = """
import sys
from trt_lessons.engines.build import build
build.__kwdefaults__["level"] = 0
print("cached" if build(sys.argv[1], cache=sys.argv[2]).from_cache else "built")
"""


def test_two_processes_build_once(tmp_path):
    file = tmp_path / "tiny.onnx"
    file.write_bytes(tiny().SerializeToString())
    words = [sys.executable, "-c", SCRIPT, str(file), str(tmp_path / "cache")]
    running = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = sorted(p.communicate(timeout=300)[0].split()[-1] for p in running)  # the second may say that it waits
    assert told == ["built", "cached"]


def test_what_a_killed_build_left_is_swept(tmp_path):
    build(tiny(), cache=tmp_path)
    (plan,) = tmp_path.glob("*.plan")
    left = [tmp_path / f".{plan.stem}.{kind}.x.part" for kind in ("plan", "json")]
    for file in left:
        file.write_bytes(b"half")
    assert build(tiny(), cache=tmp_path).from_cache
    assert not any(file.exists() for file in left)


def test_a_second_build_says_that_it_waits(tmp_path, capsys, monkeypatch):
    build(tiny(), cache=tmp_path)
    (held,) = tmp_path.glob("*.lock")
    monkeypatch.setattr(engine_cache, "_PATIENCE", 0.1)
    taken = threading.Event()

    def hold():
        with filelock.FileLock(str(held)):
            taken.set()
            time.sleep(0.4)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(5)
    assert build(tiny(), cache=tmp_path).from_cache
    assert "waiting for it" in capsys.readouterr().out
    thread.join()


# --- the timing cache ---


def test_timing_cache_in_a_file(tmp_path):
    file = tmp_path / "t.cache"
    assert build(tiny(), timing_cache=file, cache=False).options["timing_cache"] is True
    assert file.stat().st_size > 0
    again = build(tiny(), timing_cache=file, cache=False)
    assert again.notes == []
    file.write_bytes(b"junk" * 30)
    notes = build(tiny(), timing_cache=file, cache=False).notes
    assert any("started afresh" in note for note in notes)
    assert file.read_bytes()[:4] != b"junk"


def test_timing_cache_that_cannot_be_written_loses_no_build(tmp_path):
    (tmp_path / "file").write_text("")
    report = build(tiny(), timing_cache=tmp_path / "file" / "t.cache", cache=False)
    assert any("not written" in note for note in report.notes)


def test_no_timing_cache_on_request(tmp_path):
    build(tiny(), timing_cache=False, cache=tmp_path)
    assert not list(tmp_path.glob("timing-*"))
