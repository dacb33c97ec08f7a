"""Stands for Runtime, ICudaEngine, EngineInspector and Refitter: a plan, loaded and looked into."""

from __future__ import annotations

import json
from collections.abc import Iterable

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

from . import enums as E
from . import plan as P
from .callbacks import SERIALIZATION, IHostMemory, ILogger, Reporter
from .types import TO_ONNX, Dims, UnknownDims, Weights, as_array


class Runtime(Reporter):
    """Loads plans."""

    def __init__(self, logger: ILogger) -> None:
        if not isinstance(logger, ILogger):
            raise TypeError("Runtime(logger): a tensorrt.ILogger is wanted")
        super().__init__(logger)
        self.engine_host_code_allowed = False

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        """The engine in a plan; None and an error for anything that is not a whole plan of the interpreter."""
        if not bytes(serialized_engine):
            return self._refuse("deserializeCudaEngine", "Cannot deserialize with an empty memory buffer.") or None
        try:
            facts, model = P.unpack(bytes(serialized_engine))
            return ICudaEngine(self, facts, model)
        except P.PlanError as problem:
            return self._fail(SERIALIZATION, "IRuntime::deserializeCudaEngine", str(problem))


class ICudaEngine(Reporter):
    """A network as it will run: its inputs and outputs, profiles, layers and memory."""

    def __init__(self, runtime: Runtime, facts: dict, model: bytes) -> None:
        super().__init__(runtime.logger)
        self._runtime, self._facts = runtime, facts
        self._io = {t["name"]: t for t in facts["io"]}
        self._missing: set[str] = set(facts.get("stripped", ()))
        self._load(onnx.load_model_from_string(model), model)

    def _load(self, model: onnx.ModelProto, data: bytes | None = None) -> None:
        self._model, self._light = model, P.light_model(model)
        self._shapes_seen: dict[tuple, dict] = {}
        self._session: ort.InferenceSession | None = None
        if not self._missing:
            options = P.session_options(self._facts["level"], model)
            self._session = P.session(data or model.SerializeToString(), options)
        self._bounds = _data_dependent(model)

    name = property(lambda self: self._facts["name"])
    num_layers = property(lambda self: len(self._facts["layers"]))
    num_io_tensors = property(lambda self: len(self._io))
    num_optimization_profiles = property(lambda self: len(self._facts["profiles"]))
    refittable = property(lambda self: "REFIT" in self._facts["flags"])
    profiling_verbosity = property(lambda self: E.ProfilingVerbosity[self._facts["verbosity"]])
    hardware_compatibility_level = property(lambda self: E.HardwareCompatibilityLevel[self._facts["compatibility"]])
    tactic_sources = property(lambda self: self._facts["tactics"])
    num_aux_streams = property(lambda self: 0)
    device_memory_size_v2 = property(lambda self: max(self._facts["memory"]))

    def get_device_memory_size_for_profile_v2(self, profile_index: int) -> int:
        """Bytes of intermediate tensors alive at once at the profile's largest shapes."""
        return self._facts["memory"][profile_index]

    def _told(self, name: str, where: str, what: str, otherwise: str) -> str:
        found = self._tensor(name, where)
        return found[what] if found else otherwise

    def _tensor(self, name: str, where: str) -> dict | None:
        found = self._io.get(name)
        if found is None:
            self._refuse(where, f"Given invalid tensor name: {name}. Get valid tensor names with getIOTensorName()")
        return found

    def get_tensor_name(self, index: int) -> str | None:
        """The index-th input or output, inputs first; None and an error past the end."""
        if 0 <= index < len(self._io):
            return list(self._io)[index]
        told = f"getIOTensorName is called with invalid index {index}."
        return self._refuse("getIOTensorName", f"condition: index >= 0 && index < getNbIOTensors(). {told}") or None

    def get_tensor_mode(self, name: str) -> E.TensorIOMode:
        """INPUT, OUTPUT, or NONE for a name the engine does not know."""
        return E.TensorIOMode[self._told(name, "getTensorIOMode", "mode", "NONE")]

    def get_tensor_dtype(self, name: str) -> E.DataType:
        """The element type."""
        return E.DataType[self._told(name, "getTensorDataType", "dtype", "FLOAT")]

    def get_tensor_shape(self, name: str) -> Dims:
        """The shape as built, -1 for dynamic sizes."""
        found = self._tensor(name, "getTensorShape")
        return Dims(found["shape"]) if found else UnknownDims()

    def get_tensor_location(self, name: str) -> E.TensorLocation:
        """Where the tensor's memory must be."""
        return E.TensorLocation[self._told(name, "getTensorLocation", "location", "DEVICE")]

    def get_tensor_format(self, name: str, profile_index: int = 0) -> E.TensorFormat:
        """LINEAR: the interpreter knows no other layout."""
        return E.TensorFormat.LINEAR

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[Dims]:
        """[min, opt, max] of an input in a profile; three unknown shapes for anything else."""
        found = self._tensor(name, "getProfileShape")
        known = 0 <= profile_index < self.num_optimization_profiles
        if not known:
            condition = "condition: profileIndex >= 0 && profileIndex < getNbOptimizationProfiles()"
            self._refuse("getProfileShape", condition)
        if found is None or found["mode"] != "INPUT" or not known:
            return [UnknownDims()] * 3
        ranges = self._facts["profiles"][profile_index].get(name, [found["shape"]] * 3)
        return [Dims(s) for s in ranges]

    def serialize(self) -> IHostMemory:
        """The plan again."""
        facts = {key: value for key, value in self._facts.items() if key != "stripped" or self._missing}
        return IHostMemory(P.pack(facts, self._model.SerializeToString()))

    def create_engine_inspector(self) -> EngineInspector:
        """What the engine is made of."""
        return EngineInspector(self)

    def create_execution_context(self, strategy: E.ExecutionContextAllocationStrategy | None = None) -> object:
        """A state for running; several contexts of one engine share its weights."""
        from .context import IExecutionContext

        if self._missing:
            told = "the plan was built without its weights (STRIP_PLAN): refit it first"
            return self._refuse("createExecutionContext", told) or None
        return IExecutionContext(self)

    def _shapes(self, inputs: dict[str, tuple[int, ...]]) -> dict[str, tuple]:
        """Shapes of the outputs for given input shapes; -1 where only a run tells."""
        key = tuple(sorted(inputs.items()))
        if key not in self._shapes_seen:
            found = P.concrete(self._light, inputs)
            outputs = [n for n, t in self._io.items() if t["mode"] == "OUTPUT"]
            if any(-1 in found.get(n, (-1,)) and n not in self._bounds for n in outputs):
                zeros = {n: np.zeros(s, _numpy(self._io[n])) for n, s in inputs.items()}
                arrays = self._session.run(outputs, zeros)
                found |= {n: a.shape for n, a in zip(outputs, arrays, strict=True) if n not in self._bounds}
            self._shapes_seen[key] = {n: found.get(n, ()) for n in outputs}
        return self._shapes_seen[key]


def _numpy(tensor: dict) -> np.dtype:
    return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(TO_ONNX[tensor["dtype"]]))


def _data_dependent(model: onnx.ModelProto) -> set[str]:
    """Values whose shape depends on numbers that only a run brings: all that follows from a NonZero."""
    found: set[str] = set()
    for node in model.graph.node:
        if node.op_type == "NonZero" or found & set(node.input):
            found |= set(node.output)
    return found


class EngineInspector(Reporter):
    """Reports what onnxruntime really fused, as JSON or one line a layer, marked as the interpreter's."""

    def __init__(self, engine: ICudaEngine) -> None:
        super().__init__(engine.logger)
        self._engine, self.execution_context = engine, None

    def get_engine_information(self, format: E.LayerInformationFormat) -> str:
        """All layers."""
        layers = [self._layer(i) for i in range(self._engine.num_layers)]
        if format == E.LayerInformationFormat.ONELINE:
            return "\n".join([f"Made by {P.ENGINE}", *(_line(layer) for layer in layers)])
        titles = {"Name": "name", "Mode": "mode", "Datatype": "dtype", "Dimensions": "shape"}
        io = [{title: tensor[key] for title, key in titles.items()} for tensor in self._engine._facts["io"]]
        return json.dumps({"Layers": layers, "I/O Tensors": io, "Made by": P.ENGINE}, indent=1)

    def get_layer_information(self, layer_index: int, format: E.LayerInformationFormat) -> str:
        """One layer."""
        layer = self._layer(layer_index)
        return _line(layer) if format == E.LayerInformationFormat.ONELINE else json.dumps(layer, indent=1)

    def _layer(self, index: int) -> dict | str:
        layer = self._engine._facts["layers"][index]
        verbosity = self._engine.profiling_verbosity
        return {"NONE": {}, "DETAILED": layer}.get(verbosity.name, layer["Name"])


def _line(layer: dict | str) -> str:
    if isinstance(layer, str):
        return layer
    if not layer:
        return ""
    sides = ((f"{t['Name']}{t['Dimensions']}:{t['Datatype']}" for t in layer.get(s, ())) for s in ("Inputs", "Outputs"))
    return f"{layer.get('LayerType', '')} {layer.get('Name', '')}: {' -> '.join(map(', '.join, sides))}"


class Refitter(Reporter):
    """Gives an engine built with BuilderFlag.REFIT other weights, without building it again."""

    def __init__(self, engine: ICudaEngine, logger: ILogger) -> None:
        super().__init__(logger)
        self._engine, self._given, self._names = engine, {}, engine._facts["weights"]
        if not engine.refittable:
            self._refuse("createInferRefitter", "condition: e.isRefittable()")
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def _roles(self, names: Iterable[str]) -> tuple[list[str], list[E.WeightsRole]]:
        pairs = [self._names[n] for n in names if self._names[n]]
        return [layer for layer, _ in pairs], [E.WeightsRole[role] for _, role in pairs]

    def get_all(self) -> tuple[list[str], list[E.WeightsRole]]:
        """Layer names and roles of the weights that can be replaced."""
        return self._roles(self._names)

    def get_missing_weights(self) -> list[str]:
        """Names that still have to be given before the engine is whole."""
        return [n for n in self._engine._missing if n not in self._given]

    def get_missing(self) -> tuple[list[str], list[E.WeightsRole]]:
        """The same as layer names and roles."""
        return self._roles(self.get_missing_weights())

    def set_weights(self, layer_name: str, role: E.WeightsRole, weights: Weights) -> bool:
        """New weights for a layer; False and an error where the layer has none of that role or size."""
        name = next((n for n, pair in self._names.items() if pair == [layer_name, role.name]), None)
        old = next((c for c in self._engine._model.graph.initializer if c.name == name), None)
        if old is None:
            return self._refuse("setNamedWeights", f"there are no weights named {layer_name} {role.name}")
        array, count = as_array(weights), int(np.prod(old.dims))
        given = 0 if array is None else array.size
        if given != count:
            return self._refuse("setNamedWeights", f"{name} has {count} weights, {given} were given")
        kind = onnx.helper.tensor_dtype_to_np_dtype(old.data_type)
        self._given[name] = numpy_helper.from_array(array.astype(kind).reshape(tuple(old.dims)), name)
        return True

    def refit_cuda_engine(self) -> bool:
        """Put the new weights in; False and an error while some are missing."""
        if self.get_missing_weights():
            return self._refuse("refitCudaEngine", f"weights are missing: {self.get_missing_weights()}")
        for constant in self._engine._model.graph.initializer:
            if constant.name in self._given:
                constant.CopyFrom(self._given[constant.name])
        self._engine._missing.clear()
        self._engine._load(self._engine._model)
        return True
