"""Stands for Runtime and ICudaEngine: a plan, loaded and looked into."""

from __future__ import annotations

from .. import enums as E
from ..callbacks import SERIALIZATION, IHostMemory, ILogger, Reporter
from ..types import Dims, UnknownDims
from . import plan as P
from .context import IExecutionContext
from .inspector import EngineInspector
from .loaded import Loaded


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
        super().__init__(runtime._logger)
        self._runtime, self._loaded = runtime, Loaded(runtime._logger, facts, model)

    name = property(lambda self: self._loaded.facts["name"])
    num_layers = property(lambda self: len(self._loaded.facts["layers"]))
    num_io_tensors = property(lambda self: len(self._loaded.io))
    num_optimization_profiles = property(lambda self: len(self._loaded.facts["profiles"]))
    refittable = property(lambda self: "REFIT" in self._loaded.facts["flags"])
    profiling_verbosity = property(lambda self: E.ProfilingVerbosity.__members__[self._loaded.facts["verbosity"]])
    hardware_compatibility_level = property(
        lambda self: E.HardwareCompatibilityLevel.__members__[self._loaded.facts["compatibility"]]
    )
    tactic_sources = property(lambda self: self._loaded.facts["tactics"])
    num_aux_streams = property(lambda self: 0)
    device_memory_size_v2 = property(lambda self: max(self._loaded.facts["memory"]))

    def get_device_memory_size_for_profile_v2(self, profile_index: int) -> int:
        """Bytes of intermediate tensors alive at once at the profile's largest shapes."""
        return self._loaded.facts["memory"][profile_index]

    def _told(self, name: str, where: str, what: str, otherwise: str) -> str:
        found = self._tensor(name, where)
        return found[what] if found else otherwise

    def _tensor(self, name: str, where: str) -> dict | None:
        found = self._loaded.io.get(name)
        if found is None:
            self._refuse(where, f"Given invalid tensor name: {name}. Get valid tensor names with getIOTensorName()")
        return found

    def get_tensor_name(self, index: int) -> str | None:
        """The index-th input or output, inputs first; None and an error past the end."""
        if 0 <= index < len(self._loaded.io):
            return list(self._loaded.io)[index]
        told = f"getIOTensorName is called with invalid index {index}."
        return self._refuse("getIOTensorName", f"condition: index >= 0 && index < getNbIOTensors(). {told}") or None

    def get_tensor_mode(self, name: str) -> E.TensorIOMode:
        """INPUT, OUTPUT, or NONE for a name the engine does not know."""
        return E.TensorIOMode.__members__[self._told(name, "getTensorIOMode", "mode", "NONE")]

    def get_tensor_dtype(self, name: str) -> E.DataType:
        """The element type."""
        return E.DataType.__members__[self._told(name, "getTensorDataType", "dtype", "FLOAT")]

    def get_tensor_shape(self, name: str) -> Dims:
        """The shape as built, -1 for dynamic sizes."""
        found = self._tensor(name, "getTensorShape")
        return Dims(found["shape"]) if found else UnknownDims()

    def get_tensor_location(self, name: str) -> E.TensorLocation:
        """Where the tensor's memory must be."""
        return E.TensorLocation.__members__[self._told(name, "getTensorLocation", "location", "DEVICE")]

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
        return [Dims(s) for s in self._loaded.ranges(name, profile_index)]

    def is_shape_inference_io(self, name: str) -> bool:
        """Whether an input's numbers are a shape: such an input lies in host memory."""
        found = self._tensor(name, "isShapeInferenceIO")
        return bool(found and found.get("holds_shape"))

    def get_tensor_profile_values(self, profile_index: int, name: str) -> list[list[int]]:
        """[min, opt, max] numbers of an input that holds a shape; an empty list for any other."""
        known = 0 <= profile_index < self.num_optimization_profiles
        return self._loaded.facts["values"][profile_index].get(name, []) if known else []

    def serialize(self) -> IHostMemory:
        """The plan again."""
        facts = {key: value for key, value in self._loaded.facts.items() if key != "stripped" or self._loaded.missing}
        return IHostMemory._of(P.pack(facts, self._loaded.model.SerializeToString()))

    def create_engine_inspector(self) -> EngineInspector:
        """What the engine is made of."""
        return EngineInspector(self._loaded)

    def create_execution_context(
        self, strategy: E.ExecutionContextAllocationStrategy | None = None
    ) -> IExecutionContext | None:
        """A state for running; several contexts of one engine share its weights."""
        if self._loaded.missing:
            told = "the plan was built without its weights (STRIP_PLAN): refit it first"
            return self._refuse("createExecutionContext", told) or None
        return IExecutionContext(self, self._loaded)
