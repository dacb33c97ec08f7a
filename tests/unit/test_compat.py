"""Version knowledge, on stand-ins for 8.6, 10 and 11 that have just the names these versions have."""

from __future__ import annotations

import enum
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import helper

from trt_lessons import backend, compat
from trt_lessons.errors import BuildError, ModelFileError, PrecisionError

FLAGS = {
    "8.6.0": ("FP16", "INT8", "FP8", "TF32", "REFIT"),
    "10.7.0": ("FP16", "INT8", "BF16", "FP8", "TF32", "REFIT"),
    "11.4.0": ("TF32", "REFIT"),
}
NETWORK_FLAGS = {
    "8.6.0": ("EXPLICIT_BATCH", "EXPLICIT_PRECISION"),
    "10.7.0": ("EXPLICIT_BATCH", "STRONGLY_TYPED"),
    "11.4.0": ("STRONGLY_TYPED",),
}
SOURCES = {
    "8.6.0": ("CUBLAS", "CUBLAS_LT", "CUDNN", "EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS"),
    "10.7.0": ("CUBLAS", "CUBLAS_LT", "CUDNN", "EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS"),
    "11.4.0": ("EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS"),
}


def _enum(name, members):
    return enum.IntEnum(name, {m: i for i, m in enumerate(members)})


def stand_in(version):
    """The few names of a TensorRT version that compat asks for."""
    logger = type("ILogger", (), {"log": lambda self, severity, msg: None})
    trt = SimpleNamespace(
        __version__=version,
        ILogger=logger,
        BuilderFlag=_enum("BuilderFlag", FLAGS[version]),
        NetworkDefinitionCreationFlag=_enum("Flag", NETWORK_FLAGS[version]),
        TacticSource=_enum("TacticSource", SOURCES[version]),
        DataType=SimpleNamespace(INT8="int8", FLOAT="float"),
    )
    if version != "8.6.0":
        trt.IProgressMonitor = object
    return trt


class Config:
    """A builder configuration that remembers flags and tactic sources."""

    def __init__(self):
        self.on, self.sources = set(), 0b11111

    def set_flag(self, flag):
        self.on.add(flag.name)

    def clear_flag(self, flag):
        self.on.discard(flag.name)

    def get_flag(self, flag):
        return flag.name in self.on

    def get_tactic_sources(self):
        return self.sources

    def set_tactic_sources(self, sources):
        self.sources = sources


@pytest.fixture(params=["8.6.0", "10.7.0", "11.4.0"])
def trt(request, monkeypatch):
    module = stand_in(request.param)
    monkeypatch.setattr(backend, "trt", module, raising=False)
    monkeypatch.setattr(backend, "name", lambda: "tensorrt")
    return module


def test_version_and_has(trt):
    assert compat.version() == tuple(int(n) for n in trt.__version__.split(".")[:2])
    assert compat.has("BuilderFlag.TF32") and not compat.has("BuilderFlag.NOPE") and not compat.has("Nope.x")
    assert compat.has("IProgressMonitor") is (compat.version() >= (10, 0))


def test_network_flags_by_name(trt):
    asked = []
    builder = SimpleNamespace(create_network=lambda flags: asked.append(flags) or "network")
    assert compat.create_network(builder) == "network"
    assert asked == [{"8.6.0": 1 << 0, "10.7.0": 1 << 1, "11.4.0": 1 << 0}[trt.__version__]]


def test_weak_typing_where_it_exists(trt):
    builder = SimpleNamespace(create_network=lambda flags: flags)
    if trt.__version__ == "11.4.0":
        with pytest.raises(BuildError, match="weak typing"):
            compat.create_network(builder, strongly_typed=False)
    else:
        assert compat.create_network(builder, strongly_typed=False) in (0, 1)


def test_permission_only_where_it_is_asked_for(trt):
    config = Config()
    compat.permit(config, {"fp16", "int8"})
    assert config.on == ({"FP16", "INT8"} if trt.__version__ == "8.6.0" else set())


def test_weakly_typed_networks_need_flags_or_an_error(trt):
    config = Config()
    if trt.__version__ == "11.4.0":
        with pytest.raises(PrecisionError, match="cure"):
            compat.permit(config, {"fp16"}, strongly_typed=False)
    else:
        compat.permit(config, {"fp16"}, strongly_typed=False)
        assert config.on == {"FP16"}


@pytest.mark.parametrize("kind", ["bf16", "fp8"])
def test_a_precision_the_version_cannot_do_is_an_error(trt, kind):
    config = Config()
    if trt.__version__ == "8.6.0":
        with pytest.raises(PrecisionError, match=kind.upper()) as caught:
            compat.permit(config, {kind})
        assert caught.value.why and caught.value.cure
        assert not config.on
    else:
        compat.permit(config, {kind})


def test_unknown_precision(trt):
    with pytest.raises(PrecisionError, match="fp12"):
        compat.permit(Config(), {"fp12"})


def test_external_libraries_are_switched_off(trt):
    config = Config()
    names = compat.quiet_tactics(config)
    if trt.__version__ == "11.4.0":
        assert names == [] and config.sources == 0b11111
    else:
        assert names == ["CUBLAS", "CUBLAS_LT", "CUDNN"] and config.sources == 0b11000


def test_tf32_and_flag_names(trt):
    config = Config()
    compat.tf32(config, True)
    assert compat.flags(config) == ["TF32"]
    compat.tf32(config, False)
    assert compat.flags(config) == []


def test_quantize_in_the_form_the_version_knows(trt):
    network = SimpleNamespace(add_quantize=lambda *a: a, add_dequantize=lambda *a: a)
    old = trt.__version__ == "8.6.0"
    assert compat.add_quantize(network, "x", "s") == (("x", "s") if old else ("x", "s", "int8"))
    assert compat.add_dequantize(network, "x", "s") == (("x", "s") if old else ("x", "s", "float"))
    assert compat.add_quantize(network, "x", "s", "fp8") == (("x", "s") if old else ("x", "s", "fp8"))


def test_qdq_builds_are_gentler_on_8_6(trt):
    assert compat.default_level(True) == (2 if trt.__version__ == "8.6.0" else None)
    assert compat.default_level(False) is None


def test_device_memory_by_the_name_there_is():
    assert compat.device_memory(SimpleNamespace(device_memory_size=7)) == 7
    both = SimpleNamespace(device_memory_size_v2=8, get_device_memory_size_for_profile_v2=lambda p: 10 + p)
    assert compat.device_memory(both) == 8
    assert compat.device_memory(both, profile=1) == 11


def test_the_log_keeps_and_prints(trt, capsys):
    severity = _enum("Severity", compat.SEVERITIES)
    log = compat.Log(print_from="WARNING")
    for name in compat.SEVERITIES:
        log.log(severity[name], f"a line of {name}")
    assert [name for name, _ in log.records] == ["INTERNAL_ERROR", "ERROR", "WARNING", "INFO"]
    assert log.errors == ["a line of INTERNAL_ERROR", "a line of ERROR"]
    assert log.warnings == ["a line of WARNING"]
    assert log.since(1) == ["a line of ERROR", "a line of WARNING"]
    assert capsys.readouterr().out.count("[TensorRT ") == 3
    compat.Log(print_from=None).log(severity.ERROR, "quiet")
    assert capsys.readouterr().out == ""


def test_every_dtype_has_a_numpy_dtype():
    for name, size in [
        ("FLOAT", 4),
        ("HALF", 2),
        ("INT64", 8),
        ("BOOL", 1),
        ("BF16", 2),
        ("FP8", 1),
        ("UINT8", 1),
    ]:
        assert compat.np_dtype(SimpleNamespace(name=name)).itemsize == size
    assert compat.np_dtype(SimpleNamespace(name="FLOAT")) == np.float32
    with pytest.raises(TypeError, match="FP3"):
        compat.np_dtype(SimpleNamespace(name="FP3"))


@pytest.mark.parametrize(
    ("opset", "op", "refused"), [(17, "ReduceMean", False), (18, "ReduceMean", True), (18, "Relu", False)]
)
def test_opsets_that_8_6_reads_wrongly(trt, opset, op, refused):
    node = helper.make_node(op, ["x"], ["y"], name="n")
    info = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [2, 3]) for n in "xy"]
    graph = helper.make_graph([node], "g", info[:1], info[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    if refused and trt.__version__ == "8.6.0":
        with pytest.raises(ModelFileError, match="wrongly"):
            compat.check_opset(model)
    else:
        compat.check_opset(model)


def test_parser_errors_of_old_and_new_versions():
    old = SimpleNamespace(node=lambda: 3, desc=lambda: "no")
    assert compat.parser_error(old) == {"node": "3", "desc": "no"}
    new = SimpleNamespace(node=lambda: 3, desc=lambda: "no", node_name=lambda: "n", node_operator=lambda: "Foo")
    assert compat.parser_error(new) == {"node": "3", "desc": "no", "name": "n", "op": "Foo"}


def test_a_profile_without_a_range_for_an_input():
    profile = compat.create_builder(compat.shared_log()).create_optimization_profile()
    assert compat.profile_shapes(profile, "x") == []
    profile.set_shape("x", (1, 8), (2, 8), (4, 8))
    assert compat.profile_shapes(profile, "x") == [(1, 8), (2, 8), (4, 8)]
    assert compat.profile_shapes(profile, "another") == []


def test_types_follow_from_the_network_since_10():
    log = compat.shared_log()
    network = compat.create_network(compat.create_builder(log))
    trt = backend.trt
    y = network.add_cast(network.add_input("x", trt.float32, (2,)), trt.int32).get_output(0)
    network.mark_output(y)
    mark = len(log.records)
    compat.declare_type(y, trt.int32)
    assert y.dtype == trt.int32 and not log.since(mark)


def test_an_attempt_prints_the_answer_and_the_errors(capsys) -> None:
    log = compat.Log(print_from=None)
    error = log.Severity.ERROR

    def refuse(width: int) -> bool:
        for text in ("one", "two", "three"):
            log.log(error, f"{text} {width}\n")
        return False

    assert log.attempt("a width", refuse, 20) is False
    assert log.attempt("a list", list) == [] and log.attempt("a mistake", int, "x") is None
    told = capsys.readouterr().out.splitlines()
    assert told[:4] == ["a width: False", "   | one 20", "   | two 20", "a list: list"]
    assert told[4].startswith("a mistake: ValueError: invalid literal") and len(told) == 5


def test_layers_without_numbers_are_added_by_their_kind() -> None:
    net = compat.create_network(backend.trt.Builder(compat.shared_log()))
    x = net.add_input("x", backend.trt.float32, (2, 3, 4, 4))
    for kind, tensors, shape in (("relu", [x], x.shape), ("add", [x, x], x.shape), ("pool", [x], (2, 3, 1, 1))):
        made = compat.add_plain(net, SimpleNamespace(kind=kind), *tensors)
        assert tuple(made.get_output(0).shape) == tuple(shape)
    flat = compat.add_plain(net, SimpleNamespace(kind="flatten"), x)
    flat.reshape_dims = (2, 48)
    assert tuple(flat.get_output(0).shape) == (2, 48)
    with pytest.raises(KeyError):
        compat.add_plain(net, SimpleNamespace(kind="conv"), x)


@pytest.mark.parametrize("told", ["", "no information", None, '{"Layers": null}'])
def test_an_engine_that_tells_nothing_has_no_layers(told: str | None) -> None:
    inspector = SimpleNamespace(get_engine_information=lambda form: told)
    engine = SimpleNamespace(create_engine_inspector=lambda: inspector, num_io_tensors=0)
    assert compat.engine_layers(engine) == []
