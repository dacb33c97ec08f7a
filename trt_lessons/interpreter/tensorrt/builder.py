"""Stands for Builder: from a network to a plan."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import onnx
from onnx import TensorProto, helper

from . import enums as E
from .callbacks import (
    CONFIG,
    INTERNAL,
    USAGE,
    IHostMemory,
    ILogger,
    Reporter,
    swallowed,
)
from .config import IBuilderConfig, IOptimizationProfile
from .lowering.limits import beyond
from .lowering.rounding import round_halves
from .lowering.shapes import NetworkError
from .manners import option
from .network import INetworkDefinition
from .running import plan as P
from .types import TO_ONNX, Dims, volume

_PHASES = ("checking the network", "writing the graph", "fusing layers", "packing the plan")


class _Stopped(Exception):
    """The progress monitor said so."""


class Builder(Reporter):
    """Makes networks, configs and profiles, and turns them into a plan."""

    def __init__(self, logger: ILogger) -> None:
        if not isinstance(logger, ILogger):
            raise TypeError("Builder(logger): a tensorrt.ILogger is wanted")
        super().__init__(logger)

    max_threads = option(int, lambda count: count > 0, "count > 0", default=1)
    num_DLA_cores, max_DLA_batch_size = 0, 1
    logger = property(lambda self: self._logger)

    def reset(self) -> None:
        """The builder as it was made."""
        self.max_threads = 1

    def create_network(self, flags: int = 0) -> INetworkDefinition | None:
        """An empty network; explicit batch and strong typing always, as in TensorRT 11; None for unknown flags."""
        if flags >> len(E.NetworkDefinitionCreationFlag.__members__):
            return self._refuse("createNetworkV2", f"unknown flags: {flags:#b}") or None
        return INetworkDefinition(self, flags)

    def create_builder_config(self) -> IBuilderConfig:
        """Options at their defaults."""
        return IBuilderConfig(self._logger)

    def create_optimization_profile(self) -> IOptimizationProfile:
        """An empty profile."""
        return IOptimizationProfile(self._logger)

    def is_network_supported(self, network: INetworkDefinition, config: IBuilderConfig) -> bool:
        """Whether the network can be built: the checks of a build, without one."""
        return self._problem(network, config) is None

    def build_serialized_network(self, network: INetworkDefinition, config: IBuilderConfig) -> IHostMemory | None:
        """The plan, or None and the reason in the log."""
        problem = self._problem(network, config)
        if problem:
            return self._fail(*problem)
        try:
            plan = self._build(network, config)
        except _Stopped:
            self._say(E.Severity.WARNING, "IBuilder::buildSerializedNetwork: the progress monitor stopped the build")
            return None
        except Exception as error:  # onnxruntime's errors have no common base class in its public API
            told = f"the interpreter cannot run this network (TensorRT may): {error}"
            return self._fail(INTERNAL, "IBuilder::buildSerializedNetwork", told)
        self._say(E.Severity.INFO, f"the interpreter packed a plan of {len(plan)} bytes; {P.ENGINE} will compute it")
        return IHostMemory._of(plan)

    def _problem(self, network: INetworkDefinition, config: IBuilderConfig) -> tuple[str, str, str] | None:
        """What stands against building: kind of error, where, and the words; None when nothing does."""
        where, profiles = "IBuilder::buildSerializedNetwork", config._profiles
        if not network._outputs:
            return CONFIG, where, "Network must have at least one output"
        try:
            network._lowering.update()
            network._lowering.fold(network._lowering)
        except NetworkError as problem:
            return INTERNAL, where, str(problem)
        wrong = beyond(network._lowering)
        if wrong:
            return USAGE, where, wrong
        for t in network._outputs:
            known = network._lowering.types.get(t._name)
            if t not in network._inputs and (known is None or known.shape is None):
                return INTERNAL, where, f"{t._name}: the interpreter cannot work out how many dimensions it has"
        holders = {t._name: t for t in network._inputs if t.is_shape_tensor}
        for name, t in holders.items():
            if len(t._shape) > 1:
                told = "its numbers become a shape, and a shape tensor has rank 0 or 1"
                return INTERNAL, where, f"{name}: {told}, not {len(t._shape)}"
        if (holders or any(-1 in t._shape for t in network._inputs)) and not profiles:
            return INTERNAL, where, "Network has dynamic or shape inputs, but no optimization profile has been defined."
        for number, profile in enumerate(profiles):
            for t in network._inputs:
                reason = _misfit(t._shape, profile._shapes.get(t._name), number)
                if t._name in holders:
                    reason = reason or _misfit_values(t._shape, profile._values.get(t._name), number)
                if reason:
                    return INTERNAL, where, f"{t._name}: {reason}"
        return None

    def _build(self, network: INetworkDefinition, config: IBuilderConfig) -> bytes:
        monitor, phase = config.progress_monitor, "Building engine"
        if monitor is None:
            return self._steps(network, config, lambda i: None)

        def step(i: int) -> None:
            if not swallowed("step_complete", monitor.step_complete, phase, i):
                raise _Stopped

        swallowed("phase_start", monitor.phase_start, phase, None, len(_PHASES))
        try:
            return self._steps(network, config, step)
        finally:
            swallowed("phase_finish", monitor.phase_finish, phase)

    def _steps(self, network: INetworkDefinition, config: IBuilderConfig, step: Callable[[int], None]) -> bytes:
        step(0)
        lowering = network._lowering
        kinds = {name: TO_ONNX[k.dtype.name] for name, k in lowering.types.items() if k.dtype}
        kinds |= {c.name: c.data_type for c in lowering.constants()}
        full = round_halves(lowering.model([_output_info(t) for t in network._outputs]), kinds)
        step(1)
        data = full.SerializeToString()
        fused = P.optimized(data, P.session_options(config.builder_optimization_level, full))
        step(2)
        shapes = {name: [*k.shape] for name, k in lowering.types.items() if k.shape is not None}
        facts = _facts(network, config) | {"layers": P.engine_layers(fused, full, kinds, shapes, _origins(network))}
        light = P.light_model(full)
        facts["memory"] = [
            _memory(light, facts["io"], shapes, values, kinds)
            for shapes, values in zip(facts["profiles"], facts["values"], strict=True)
        ]
        if config._timing_cache is not None:
            config._timing_cache._seen |= {hashlib.sha256(n.SerializeToString()).hexdigest() for n in full.graph.node}
        if config.get_flag(E.BuilderFlag.STRIP_PLAN):
            facts["flags"] = sorted({*facts["flags"], "REFIT"})
            facts["stripped"] = strip_weights(full, facts["weights"])
            data = full.SerializeToString()
        step(3)
        return P.pack(facts, data)


def _facts(network: INetworkDefinition, config: IBuilderConfig) -> dict:
    """What a plan says of the network and of the options it was built with."""
    names = {t._name for t in network._inputs}
    profiles = [{n: [list(s) for s in v] for n, v in p._shapes.items() if n in names} for p in config._profiles]
    values = [{n: [list(v) for v in three] for n, three in p._values.items() if n in names} for p in config._profiles]
    io = [_io_facts(t, "INPUT") for t in network._inputs] + [_io_facts(t, "OUTPUT") for t in network._outputs]
    return {
        "level": config.builder_optimization_level, "verbosity": config.profiling_verbosity.name, "io": io,
        "compatibility": config.hardware_compatibility_level.name,
        "flags": [name for name, flag in E.BuilderFlag.__members__.items() if config.get_flag(flag)],
        "profiles": profiles or [{}],
        "values": values or [{}],
        "name": network.name, "weights": _weight_names(network), "tactics": config._tactics,
    }  # fmt: skip


def _origins(network: INetworkDefinition) -> dict[str, str]:
    """The layer that makes each value."""
    parts = ((layer, network._lowering.parts[layer._index]) for layer in network._layers)
    return {name: layer._name for layer, part in parts for node in part.nodes for name in node.output}


def _memory(light: onnx.ModelProto, io: list[dict], profile: dict, values: dict, kinds: dict) -> int:
    """Bytes of intermediate tensors at a profile's largest shapes."""
    types = {t["name"]: TO_ONNX[t["dtype"]] for t in io}
    inputs = {t["name"]: t["shape"] for t in io if t["mode"] == "INPUT"}
    numbers = {
        n: helper.make_tensor(n, types[n], [len(three[2])] if inputs[n] else [], three[2])
        for n, three in values.items()
    }
    largest = inputs | {name: shapes[2] for name, shapes in profile.items()}
    return P.activation_peak(light, P.concrete(light, largest, numbers), kinds)


def _misfit(shape: Dims, ranges: tuple[Dims, Dims, Dims] | None, number: int) -> str | None:
    """What is wrong with a profile's range for an input of that shape, in TensorRT's words."""
    if ranges is None:
        return f"dynamic input is missing dimensions in profile {number}." if -1 in shape else None
    if len(ranges[0]) != len(shape):
        return f"number of dimensions is {len(shape)} but profile {number} has {len(ranges[0])}."
    for i, (n, *sizes) in enumerate(zip(shape, *ranges, strict=True)):
        if n != -1 and sizes != [n] * 3:
            got = ", ".join(f"{which}={m}" for which, m in zip(("min", "opt", "max"), sizes, strict=True))
            told = f"for dimension number {i} in profile {number} does not match network definition"
            return f"{told} (got {got}), expected min=opt=max={n})."
    return None


def _misfit_values(shape: Dims, ranges: tuple[list, list, list] | None, number: int) -> str | None:
    """What is wrong with a profile's range for the numbers in an input that holds a shape."""
    if ranges is None:
        return f"shape input is missing values in profile {number} (set_shape_input)."
    count = volume(shape)
    if -1 not in shape and any(len(values) != count for values in ranges):
        return f"it holds {count} numbers, but profile {number} has {[len(values) for values in ranges]}."
    return None


def _output_info(tensor: object) -> onnx.ValueInfoProto:
    shape = [None if d < 0 else d for d in tensor.shape]
    return helper.make_tensor_value_info(tensor._name, TO_ONNX[tensor.dtype.name], shape)


def _io_facts(tensor: object, mode: str) -> dict:
    told = {"name": tensor._name, "mode": mode, "dtype": tensor.dtype.name, "shape": list(tensor.shape)}
    holds_shape = mode == "INPUT" and tensor.is_shape_tensor
    return told | {"location": "HOST" if holds_shape else tensor.location.name, "holds_shape": holds_shape}


def _weight_names(network: INetworkDefinition) -> dict[str, list]:
    """Every constant a Refitter can replace: its name, and (layer, role) where it came by the layer API."""
    floats = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16)
    names: dict[str, list] = {name: [] for name, c in network._lowering.initializers.items() if c.data_type in floats}
    for layer in network._layers:
        for constant in network._lowering.parts[layer._index].constants:
            role = constant.name.rpartition(":")[2]
            if layer._type == E.LayerType.CONSTANT:
                role = "" if layer._values["weights"] is None else "CONSTANT"
            if constant.data_type in floats:
                names[constant.name] = [layer._name, role] if role in E.WeightsRole.__members__ else []
    return names


def strip_weights(model: onnx.ModelProto, names: dict) -> list[str]:
    """Empty the large constants of a model, leaving their types and shapes; returns their names."""
    stripped = [c for c in model.graph.initializer if c.name in names and len(c.raw_data) > 1024]
    for constant in stripped:
        constant.raw_data = b""
    return [constant.name for constant in stripped]
