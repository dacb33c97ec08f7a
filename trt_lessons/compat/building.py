"""Builder, network, configuration and parser, where versions differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .. import backend
from ..errors import BuildError, ModelFileError, PrecisionError
from .versions import has, is_interpreter, strongly_typed, version

PRECISIONS = ("fp16", "bf16", "int8", "fp8")
_ONCE: list[str] = []
_EXTERNAL_LIBRARIES = ("CUBLAS", "CUBLAS_LT", "CUDNN")
_REDUCES_ALL_ON_8 = {"ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd"}


def create_builder(log: Any) -> Any:
    """A `trt.Builder`, with TensorRT's own plugins registered where the version needs that said."""
    register_plugins(log)
    return backend.trt.Builder(log)


def register_plugins(log: Any) -> None:
    """Register TensorRT's own plugins once a process: InstanceNormalization from ONNX needs one on 8.6."""
    trt = backend.trt
    if not _ONCE and not is_interpreter() and hasattr(trt, "init_libnvinfer_plugins"):
        trt.init_libnvinfer_plugins(log, "")
        _ONCE.append("plugins")


def network_flags(strongly_typed: bool = True) -> int:
    """Flags for `builder.create_network`: explicit batch for 8.6; strong typing wherever the version has it.

    strongly_typed=False asks for weak typing, which 8.6 and 10.x have and 11 has not (BuildError).
    """
    kinds = backend.trt.NetworkDefinitionCreationFlag
    if version()[0] < 10:
        return 1 << int(kinds.EXPLICIT_BATCH)  # trt: <11
    if strongly_typed and hasattr(kinds, "STRONGLY_TYPED"):
        return 1 << int(kinds.STRONGLY_TYPED)  # trt: >=10
    if not strongly_typed and not has("BuilderFlag.FP16"):
        raise BuildError(
            "weak typing was asked for, and this TensorRT has none",
            why="since TensorRT 11 every network is strongly typed: precision is in the model",
            cure="leave strongly_typed=True and give the graph the types you want (tl.precision)",
        )
    return 0


def create_network(builder: Any, strongly_typed: bool = True) -> Any:
    """An empty network, with `network_flags`."""
    return builder.create_network(network_flags(strongly_typed))


def check_precisions(kinds: Iterable[str]) -> None:
    """PrecisionError where this TensorRT cannot compute one of the precisions: BF16 and FP8 on 8.6."""
    for kind in sorted(set(kinds)):
        if kind not in PRECISIONS:
            raise PrecisionError(f"unknown precision {kind!r}", cure=f"one of {', '.join(PRECISIONS)}")
        if version()[0] < 10 and kind in ("bf16", "fp8"):
            flag_only = " (8.6 has the flag's name, but nothing behind it)" if kind == "fp8" else ""
            raise PrecisionError(
                f"TensorRT {'.'.join(map(str, version()))} cannot compute {kind.upper()}",
                why=f"{kind.upper()} came with TensorRT 10{flag_only}",
                cure="use fp16 or int8 here, or TensorRT 10 or later",
            )


def permit(config: Any, kinds: Iterable[str], *, strongly_typed: bool | None = None) -> None:
    """Permit precisions, {"fp16", "bf16", "int8", "fp8"}, where the version asks for permission.

    8.6 runs a half or Q/DQ graph as asked only with the builder flag of that name; a strongly typed network
    (10.x, 11.x) takes types from the graph and wants no flag. strongly_typed: None means as `create_network`
    does by default. PrecisionError where the version cannot do a precision at all.
    """
    trt = backend.trt
    check_precisions(kinds)
    typed = version()[0] >= 10 if strongly_typed is None else strongly_typed
    for kind in sorted(set(kinds)):
        if typed and version()[0] >= 10:
            continue
        flag = getattr(trt.BuilderFlag, kind.upper(), None)
        if flag is None:
            raise PrecisionError(
                f"this TensorRT has no BuilderFlag.{kind.upper()}",
                why="TensorRT 11 took the flags away: types and Q/DQ pairs in the model decide",
                cure=f"convert the model, for example with tl.precision, so that it is {kind} itself",
            )
        config.set_flag(flag)


def hold_in_fp32(names: Iterable[str]) -> Callable[[Any, Any], None]:
    """For `tl.build(configure=...)`: these layers compute in FP32 on 8.6 too, where a graph's types are advice.

    A strongly typed network obeys its graph, so there nothing is done. Lesson 04_5 shows the calls.
    """
    held = set(names)

    def configure(config: Any, network: Any) -> None:
        if strongly_typed():
            return
        trt = backend.trt
        config.set_flag(trt.BuilderFlag.OBEY_PRECISION_CONSTRAINTS)  # trt: <11
        for layer in (network.get_layer(i) for i in range(network.num_layers)):
            if layer.name in held:
                layer.precision = trt.float32  # trt: <11
                layer.set_output_type(0, trt.float32)  # trt: <11

    return configure


def tf32(config: Any, allowed: bool) -> None:
    """Allow or forbid TF32 (10-bit mantissa products for FP32 layers); TensorRT allows it by default."""
    flag = backend.trt.BuilderFlag.TF32
    config.set_flag(flag) if allowed else config.clear_flag(flag)


def quiet_tactics(config: Any) -> list[str]:
    """Switch off the tactic sources that need libraries beside TensorRT's; returns the names switched off.

    8.x and 10.x can take kernels from cuBLAS and cuDNN, which then must be installed; 11 has no such sources.
    """
    kinds = backend.trt.TacticSource
    names = [n for n in _EXTERNAL_LIBRARIES if hasattr(kinds, n)]
    if names:
        sources = config.get_tactic_sources()
        for name in names:
            sources &= ~(1 << int(getattr(kinds, name)))
        config.set_tactic_sources(sources)
    return names


def default_level(has_qdq: bool) -> int | None:
    """builder_optimization_level to use when none is asked for; None leaves TensorRT's own (3).

    On 8.6 a Q/DQ graph at level 3 was not built after minutes on a big GPU: 2 there.
    """
    return 2 if has_qdq and version()[0] < 10 else None


def watch(config: Any, monitor: Any) -> None:
    """Attach a progress monitor where the version has them; None attaches nothing."""
    if monitor is not None and hasattr(config, "progress_monitor"):
        config.progress_monitor = monitor  # trt: >=10


def flags(config: Any) -> list[str]:
    """Names of the builder flags that are set."""
    kinds = backend.trt.BuilderFlag
    named = {n: getattr(kinds, n) for n in dir(kinds) if n.isupper()}
    return sorted(n for n, flag in named.items() if config.get_flag(flag))


def add_quantize(network: Any, x: Any, scale: Any, dtype: Any = None) -> Any:
    """`network.add_quantize` in the form the version knows; dtype: the output's, INT8 when None."""
    if version()[0] < 10:
        return network.add_quantize(x, scale)
    return network.add_quantize(x, scale, backend.trt.DataType.INT8 if dtype is None else dtype)


def add_dequantize(network: Any, x: Any, scale: Any, dtype: Any = None) -> Any:
    """`network.add_dequantize` in the form the version knows; dtype: the output's, FLOAT when None."""
    if version()[0] < 10:
        return network.add_dequantize(x, scale)
    return network.add_dequantize(x, scale, backend.trt.DataType.FLOAT if dtype is None else dtype)


def add_plain(network: Any, layer: Any, *tensors: Any) -> Any:
    """Add a layer that holds no numbers and return the `ILayer`. Introduced in lesson 01.

    layer: one of `models.digits.LAYERS`, its kind "relu", "add", "pool" or "flatten" (KeyError for another).
    tensors: the one or two `ITensor`s that it reads.
    """
    trt = backend.trt
    kinds = {
        "relu": lambda x: network.add_activation(x, trt.ActivationType.RELU),
        "add": lambda x, y: network.add_elementwise(x, y, trt.ElementWiseOperation.SUM),
        "pool": lambda x: network.add_reduce(x, trt.ReduceOperation.AVG, 0b1100, keep_dims=True),
        "flatten": network.add_shuffle,
    }
    return kinds[layer.kind](*tensors)


def contexts_share_profiles() -> bool:
    """Whether two contexts may use one profile of a dynamic engine: from TensorRT 9 on."""
    return version() >= (9, 0)


def survives_any_bytes() -> bool:
    """Whether a runtime may be given bytes of any kind: before TensorRT 10 some end the process."""
    return version()[0] >= 10


def declare_type(tensor: Any, dtype: Any) -> None:
    """Say which `trt.DataType` an output has, after `mark_output`; from TensorRT 10 on it follows from the network.

    Before, an output is FLOAT unless declared, and a layer that makes INT32 or BOOL does not fit that.
    """
    if version()[0] < 10:
        tensor.dtype = dtype


def plain_config(builder: Any, level: int = 0) -> Any:
    """A builder config of this optimization level: all details kept, no tactics of other libraries. Lesson 07."""
    config = builder.create_builder_config()
    config.builder_optimization_level = level
    config.profiling_verbosity = backend.trt.ProfilingVerbosity.DETAILED
    quiet_tactics(config)
    return config


def profile_shapes(profile: Any, name: str) -> list[tuple[int, ...]]:
    """[min, opt, max] of an input in an `IOptimizationProfile`; [] where none is set, at which some versions raise."""
    try:
        shapes = [tuple(shape) for shape in profile.get_shape(name)]
    except RuntimeError:
        return []
    return shapes if len(shapes) == 3 and all(shapes) else []


def fill_build(builder: Any, fill: Callable[[Any], None], *profiles: Any) -> Any:
    """What TensorRT gives for a network that `fill(network)` makes: a plan, or None, and nothing is raised.

    Level 0, FP16 permitted, the profiles added as they are: for failures on purpose. Introduced in lesson 07.
    """
    network, config = create_network(builder), plain_config(builder)
    permit(config, {"fp16"})
    for profile in profiles:
        config.add_optimization_profile(profile)
    fill(network)
    return builder.build_serialized_network(network, config)


def check_opset(model: Any) -> None:
    """ModelFileError for an ONNX model that this TensorRT would read wrongly without a word.

    model: onnx.ModelProto. 8.6 reads up to opset 17; of later ones it reduces over all axes in ReduceMean.
    """
    opset = max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=0)
    if version()[0] >= 10 or opset <= 17:
        return
    wrong = sorted({n.op_type for n in model.graph.node} & _REDUCES_ALL_ON_8)
    if wrong:
        raise ModelFileError(
            f"this model is opset {opset}, and TensorRT 8.6 would compute its {', '.join(wrong)} wrongly",
            why="8.6 reads opset 17 at most; in later ones it misses the axes and reduces over all",
            cure="export again with opset_version=17 (and dynamo=False), or use TensorRT 10 or later",
        )


def parser_error(error: Any) -> dict[str, str]:
    """A parser error as plain text: node index, description; node name and op where the version has them."""
    told = {"node": str(error.node()), "desc": str(error.desc())}
    for key, name in (("name", "node_name"), ("op", "node_operator")):
        if hasattr(error, name):
            told[key] = str(getattr(error, name)())
    return told
