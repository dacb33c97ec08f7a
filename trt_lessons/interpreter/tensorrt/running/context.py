"""Stands for IExecutionContext: shapes, addresses, and the call that runs the engine on a stream."""

from __future__ import annotations

import ctypes
import json
import os
import tempfile
from collections.abc import Sequence

import numpy as np
import onnxruntime as ort

from ....driver import cpu_device as device
from ..callbacks import IOutputAllocator, IProfiler, Reporter
from ..enums import DataType
from ..types import Dims, UnknownDims, volume
from . import plan as P
from .loaded import Loaded

_ALIGNMENT = 256


class IExecutionContext(Reporter):
    """One way of running an engine: input shapes, tensor addresses, the profile in use."""

    def __init__(self, engine: object, loaded: Loaded) -> None:
        super().__init__(loaded.logger)
        self.engine, self._loaded, self.name = engine, loaded, "Unnamed Execution Context"
        self.enqueue_emits_profile = True
        self.profiler: IProfiler | None = None
        self._profile, self._addresses, self._allocators = 0, {}, {}
        shapes = {name: tuple(loaded.io[name]["shape"]) for name in loaded.inputs}
        self._given: dict[str, tuple[int, ...]] = {name: shape for name, shape in shapes.items() if -1 not in shape}
        self._times: list[tuple[str, float]] = []

    active_optimization_profile = property(lambda self: self._profile)
    all_binding_shapes_specified = property(lambda self: not self._open())

    def _open(self) -> list[str]:
        """Inputs whose shape is not set yet, or whose numbers are a shape and have no address."""
        loaded = self._loaded
        unset = [name for name in loaded.holders if not self._addresses.get(name)]
        return [name for name in loaded.inputs if name not in self._given or name in unset]

    def _numbers(self) -> dict[str, np.ndarray]:
        """What the inputs that hold a shape hold at this moment, read from host memory."""
        found = {}
        for name in self._loaded.holders:
            address, kind, shape = self._addresses[name], self._loaded.numpy(name), self._given[name]
            if address >= device.FIRST_ADDRESS:
                told = f"{name} holds a shape, which is read on the host: {address:#x} is device memory"
                raise device.error("enqueueV3", "cudaErrorInvalidValue", told)
            data = ctypes.string_at(address, volume(shape) * kind.itemsize)
            found[name] = np.frombuffer(data, kind).reshape(shape)
        return found

    def _misfits_values(self, numbers: dict[str, np.ndarray]) -> str:
        """Where such numbers lie outside the profile in use, that profile's range in words."""
        for name, array in numbers.items():
            low, _, high = self._loaded.facts["values"][self._profile][name]
            if any(not a <= n <= b for a, n, b in zip(low, array.ravel().tolist(), high, strict=True)):
                return f"Values {array.tolist()} of shape input {name} are outside {low}..{high} of the profile."
        return ""

    def _tensor(self, name: str, where: str) -> dict | None:
        found = self._loaded.io.get(name)
        if found is None:
            self._refuse(where, f"Given invalid tensor name: {name}. Get valid tensor names with getIOTensorName()")
        return found

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        """Use another profile; set the input shapes again: those kept may not fit it."""
        if not 0 <= profile_index < len(self._loaded.facts["profiles"]):
            return self._refuse("setOptimizationProfileAsync", f"there is no profile {profile_index}")
        self._profile = profile_index
        return True

    def _misfits(self, name: str, shape: Sequence[int], profile: int) -> str:
        """Where a shape lies outside a profile, that profile's range in words."""
        low, _, high = self._loaded.ranges(name, profile)
        fits = all(a <= d <= b for a, d, b in zip(low, shape, high, strict=True))
        return "" if fits else f"Valid range for profile {profile}: {list(low)}..{list(high)}."

    def set_input_shape(self, name: str, shape: Sequence[int]) -> bool:
        """The shape of an input for the next run; False where no profile takes it (the run looks at its own)."""
        tensor, call, wanted = self._loaded.io.get(name), "setInputShape", Dims(shape)
        if tensor is None or tensor["mode"] != "INPUT":
            told = f"Given invalid tensor name: {name}. Get valid tensor names with getIOTensorName()"
            return self._refuse(call, told)
        if len(wanted) != len(tensor["shape"]):
            return self._refuse(call, f"condition: engineDims.nbDims == dims.nbDims. {name} wants {tensor['shape']}")
        if any(n not in (-1, d) for n, d in zip(tensor["shape"], wanted, strict=True)):
            told = f"Set dimensions are {list(wanted)}. Expected dimensions are {tensor['shape']}."
            return self._refuse(call, f"Static dimension mismatch while setting input shape for {name}. {told}")
        wrong = [self._misfits(name, wanted, i) for i in range(len(self._loaded.facts["profiles"]))]
        if all(wrong):
            told = f"Set dimension {list(wanted)} for tensor {name} does not satisfy any optimization profiles."
            return self._refuse(call, " ".join([told, *wrong]))
        self._given[name] = tuple(wanted)
        return True

    def infer_shapes(self) -> list[str]:
        """Names of inputs that still miss a shape; an empty list when all is known."""
        return self._open()

    def get_tensor_shape(self, name: str) -> Dims:
        """The shape in the next run; -1 where it is not known yet."""
        tensor = self._tensor(name, "getTensorShape")
        if tensor is None:
            return UnknownDims()
        if tensor["mode"] == "INPUT":
            return Dims(self._given.get(name, tensor["shape"]))
        return Dims(tensor["shape"] if self._open() else self._loaded.shapes(self._given, self._numbers())[name])

    def get_max_output_size(self, name: str) -> int:
        """An upper bound of an output's size in bytes; -1 while input shapes are missing."""
        if self._open():
            return -1
        largest = max((volume(s) for s in self._given.values()), default=1)
        shape = [largest if d < 0 else d for d in self.get_tensor_shape(name)]
        return int(volume(shape) * DataType.__members__[self._loaded.io[name]["dtype"]].itemsize)

    def set_tensor_address(self, name: str, memory: int) -> bool:
        """Where an input or output is; False and an error for an unknown name."""
        if self._tensor(name, "setTensorAddress") is None:
            return False
        self._addresses[name] = int(memory)
        return True

    def get_tensor_address(self, name: str) -> int:
        """The address set, 0 where none is."""
        return self._addresses.get(name, 0)

    def set_output_allocator(self, name: str, output_allocator: IOutputAllocator | None) -> bool:
        """Who provides memory for an output once its size is known."""
        tensor = self._tensor(name, "setOutputAllocator")
        if tensor is None or tensor["mode"] != "OUTPUT":
            return False
        self._allocators[name] = output_allocator
        return True

    def set_aux_streams(self, aux_streams: Sequence[int]) -> None:
        """Accepted: the interpreter uses no auxiliary streams."""

    def report_to_profiler(self) -> bool:
        """Give the last run's layer times to the profiler (for `enqueue_emits_profile = False`)."""
        if self.profiler is None or not self._times:
            return False
        for name, ms in self._times:
            self.profiler.report_layer_time(name, ms)
        return True

    def execute_async_v3(self, stream_handle: int) -> bool:
        """Put one run into a stream; False and an error where a shape or an address is missing."""
        if not self._ready("enqueueV3"):
            return False
        run = self._prepared(dict(self._addresses))
        if any(n in self._loaded.open_ended for n in self._loaded.io):
            device.run_now(run, "enqueueV3")  # as TensorRT does: it has to wait to learn the size
        else:
            device.enqueue(int(stream_handle), run, "enqueueV3")
        return True

    def execute_v2(self, bindings: Sequence[int]) -> bool:
        """Run now and wait; `bindings` are addresses in the order of the engine's tensors."""
        self._addresses.update(zip(self._loaded.io, map(int, bindings), strict=False))
        if not self._ready("executeV2"):
            return False
        device.run_now(self._prepared(dict(self._addresses)), "executeV2")
        return True

    def _ready(self, call: str) -> bool:
        missing = self._open()
        if missing:
            return self._refuse(call, f"Input shapes are not set, condition: allInputDimensionsSpecified: {missing}")
        for name, shape in self._given.items():
            wrong = self._misfits(name, shape, self._profile)
            if wrong:
                return self._refuse(call, f"Supplied dimension {list(shape)} for {name} exceeds min ~ max. {wrong}")
        wrong = self._misfits_values(self._numbers())
        if wrong:
            return self._refuse(call, wrong)
        for name in self._loaded.io:
            if not self._addresses.get(name) and self._allocators.get(name) is None:
                told = "Call setTensorAddress or setOutputAllocator before enqueue/execute."
                return self._refuse(call, f"Neither address or allocator is set for tensor {name}. {told}")
        return True

    def _prepared(self, addresses: dict[str, int]) -> object:
        """The run as a function without arguments, with the shapes and addresses of this moment."""
        loaded, shapes, profiler = self._loaded, dict(self._given), self.profiler
        numbers, outputs = self._numbers(), loaded.outputs
        inputs = [(n, loaded.numpy(n), shapes[n]) for n in shapes if n not in numbers]

        def run() -> None:
            feeds = {n: _view(addresses[n], kind, shape) for n, kind, shape in inputs} | numbers
            session = loaded.session if profiler is None else self._profiling_session()
            results = P.computed(session, outputs, feeds)
            if profiler is not None:
                self._profile_done(session)
            for name, array in zip(outputs, results, strict=True):
                self._deliver(name, np.ascontiguousarray(array).reshape(array.shape), addresses)

        return run

    def _deliver(self, name: str, array: np.ndarray, addresses: dict[str, int]) -> None:
        address, allocator = addresses.get(name, 0), self._allocators.get(name)
        if allocator is not None:
            address = int(allocator.reallocate_output(name, address, max(array.nbytes, 1), _ALIGNMENT))
            allocator.notify_shape(name, Dims(array.shape))
        if array.nbytes:
            _view(address, array.dtype, array.shape)[...] = array

    def _profiling_session(self) -> ort.InferenceSession:
        options = P.session_options(self._loaded.facts["level"], self._loaded.model)
        options.enable_profiling = True
        options.profile_file_prefix = os.path.join(tempfile.mkdtemp(), "profile")
        return P.session(self._loaded.model.SerializeToString(), options)

    def _profile_done(self, session: ort.InferenceSession) -> None:
        path = session.end_profiling()
        with open(path) as file:
            events = json.load(file)
        os.remove(path)
        os.rmdir(os.path.dirname(path))
        suffix = "_kernel_time"
        self._times = [(e["name"].removesuffix(suffix), e["dur"] / 1000) for e in events if e["name"].endswith(suffix)]
        if self.enqueue_emits_profile:
            self.report_to_profiler()


def _view(address: int, kind: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """Device memory as an array."""
    kind = np.dtype(kind)
    return device.view(address, volume(shape) * kind.itemsize, "enqueueV3").view(kind).reshape(shape)
