"""Run an engine: buffers, streams, CUDA graph, and the three-stream pipeline.

    with tl.Session(report) as session:
        answers = session.infer(images)             # one answer
        for answers in session.stream(batches):     # many: copies and compute overlap
            ...

It makes the calls of lesson 02 (`set_input_shape`, `set_tensor_address`, `execute_async_v3`) so that later
lessons need not repeat them; `stream` and CUDA graphs are introduced in lesson 04_3.
"""

from __future__ import annotations

import atexit
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .. import backend, compat
from ..engines.plans import load
from ..errors import DtypeError, LessonError, ShapeError
from ..files import sha256
from . import pipeline
from .buffers import Memory, Shape, TensorInfo, output_allocator
from .slots import STAGED_BYTES, Slot, can_share_profile, repeater

__all__ = ["Session", "Slot", "TensorInfo"]

KEPT_SHAPES = 16  # sets of input shapes whose buffers infer() keeps

_OPEN: weakref.WeakSet[Session] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    """Close what is still open while CUDA's context lives: later it would end the process with an error."""
    for session in list(_OPEN):
        session.close()


class Session:
    """An engine, one execution context and its buffers. For one thread at a time.

    Attributes: engine, context, cuda_stream (where infer works), inputs and outputs (name -> TensorInfo),
    data_dependent (some output's shape is known only after the run).
    """

    def __init__(self, plan: Any, *, profile: int = 0, graph: bool = False) -> None:
        """plan: a BuildReport, a plan (bytes or path), or an engine. profile: index of its shape ranges.

        graph: let infer() and stream() launch captured CUDA graphs. Raises PlanError for a plan that does not
        load, ShapeError for a profile that is not there.
        """
        self._closed = True
        self.report = plan if hasattr(plan, "plan") else None
        self._plan = _plan_bytes(plan)
        self.engine = _engine_of(self._plan if self._plan is not None else plan)
        self.profile, self.graph = profile, graph
        self._check_profile()
        self.cuda_stream = backend.cuda.Stream()
        self.context = self.new_context()
        self.execute = self.context.execute_async_v3
        self.inputs = self._tensors(backend.trt.TensorIOMode.INPUT)
        self.outputs = self._tensors(backend.trt.TensorIOMode.OUTPUT)
        self.memory = Memory()
        self.can_share_profile = can_share_profile(self.engine)
        self.shapes_now: tuple | None = None
        self.shape_changes = 0
        self.bound: Slot | None = None
        self._slots: OrderedDict[tuple, Slot] = OrderedDict()
        self._all_slots: set[Slot] = set()
        self._last: Slot | None = None
        self._again: Callable[[Any, bool], dict[str, np.ndarray] | None] | None = None
        self._closed = False
        _OPEN.add(self)
        self._specs = [(info.name, info.dtype, info.location == "host") for info in self.inputs.values()]
        self._has_host_inputs = any(host for _, _, host in self._specs)
        self.data_dependent_outputs: tuple[str, ...] = ()
        self._allocators: dict[str, Any] = {}
        self._find_data_dependent()

    def __repr__(self) -> str:
        told = [", ".join(map(str, side.values())) for side in (self.inputs, self.outputs)]
        return f"<Session {told[0]} -> {told[1]}{' (closed)' if self._closed else ''}>"

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        try:
            self.close()
        except Exception:  # at the end of the process CUDA may be gone already
            return

    @property
    def plan_sha256(self) -> str | None:
        """sha256 of the plan; None for a Session made from an engine."""
        return None if self._plan is None else sha256(self._plan)

    def close(self) -> None:
        """Give everything back: graphs, buffers, context, engine. Harmless the second time."""
        if self._closed:
            return
        self._closed = True
        try:
            self.cuda_stream.synchronize()
        finally:
            for slot in list(self._all_slots):
                slot.free()
            self._slots.clear()
            self._last = self._again = self.bound = None
            self.execute = self.context = None
            for allocator in self._allocators.values():
                allocator.release()
            self._allocators.clear()
            self.engine = None
            self.memory.close()

    # ---- the engine's tensors ----

    def new_context(self) -> Any:
        """Another execution context of the engine, on this session's profile."""
        context = self.engine.create_execution_context()
        if context is None:
            raise LessonError(
                "TensorRT made no execution context",
                why="most often there is not enough device memory; its log says more",
                cure="close sessions that are not needed any more",
            )
        if self.engine.num_optimization_profiles and context.active_optimization_profile != self.profile:
            taken = context.set_optimization_profile_async(self.profile, self.cuda_stream.handle)
            self.cuda_stream.synchronize()
            if not taken:
                raise LessonError(
                    f"optimization profile {self.profile} cannot be used by one more context",
                    why="before TensorRT 9 a profile of dynamic shapes serves one context at a time",
                    cure="close the other session, or build the engine with one profile for each",
                )
        return context

    def _check_profile(self) -> None:
        count = max(self.engine.num_optimization_profiles, 1)
        if not 0 <= self.profile < count:
            raise ShapeError(
                f"there is no optimization profile {self.profile}",
                why=f"the engine has {count}, numbered from 0",
                cure=f"use profile=0{f' to {count - 1}' if count > 1 else ''}",
            )

    def _tensors(self, mode: Any) -> dict[str, TensorInfo]:
        engine, host = self.engine, backend.trt.TensorLocation.HOST
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        found = {}
        for name in (n for n in names if engine.get_tensor_mode(n) == mode):
            if engine.get_tensor_format(name) != backend.trt.TensorFormat.LINEAR:
                raise LessonError(
                    f"{name} has {engine.get_tensor_format(name)}; a Session works with linear tensors",
                    cure="build without DIRECT_IO, or set the addresses yourself as in lesson 02",
                )
            dtype = compat.np_dtype(engine.get_tensor_dtype(name))
            where = "host" if engine.get_tensor_location(name) == host else "device"
            found[name] = TensorInfo(name, dtype, tuple(engine.get_tensor_shape(name)), where)
        return found

    def _range(self, name: str) -> tuple[Shape, Shape, Shape]:
        """(min, opt, max) of a device input in this session's profile."""
        info = self.inputs[name]
        if -1 not in info.shape:
            return (info.shape,) * 3
        return tuple(tuple(shape) for shape in self.engine.get_tensor_profile_shape(name, self.profile))

    @property
    def data_dependent(self) -> bool:
        """Is some output's shape known only after the run?"""
        return bool(self.data_dependent_outputs)

    def _find_data_dependent(self) -> None:
        """Outputs that keep a -1 when all inputs have their shapes. Uses the profile's best shapes."""
        if self._has_host_inputs or not any(-1 in info.shape for info in self.outputs.values()):
            return
        context = self.context
        for name, info in self.inputs.items():
            if -1 in info.shape:
                context.set_input_shape(name, self._range(name)[1])
        context.infer_shapes()
        shapes = {name: tuple(context.get_tensor_shape(name)) for name in self.outputs}
        self.data_dependent_outputs = tuple(name for name, shape in shapes.items() if -1 in shape)
        for name in self.data_dependent_outputs:
            self._allocators[name] = output_allocator(self.memory)
            context.set_output_allocator(name, self._allocators[name])

    def refused(self) -> None:
        """Raise what to say when TensorRT does not enqueue."""
        raise LessonError("TensorRT refused to run (execute_async_v3 gave False)", cure="look at its log")

    # ---- checking inputs ----

    def check(self, inputs: Any) -> list[np.ndarray]:
        """The input arrays in the engine's order. DtypeError; ShapeError for a missing or unknown name."""
        if self._closed:
            raise LessonError("this session is closed", cure="make a new Session")
        if type(inputs) is not dict:
            inputs = self._named(inputs)
        arrays = []
        for name, dtype, _ in self._specs:
            array = inputs.get(name)
            if type(array) is not np.ndarray:
                array = self._converted(name, inputs)
            if array.dtype is not dtype and array.dtype != dtype:
                raise _wrong_dtype(name, array.dtype, dtype)
            arrays.append(array)
        if len(inputs) != len(arrays):
            raise self._unknown(inputs)
        return arrays

    def _unknown(self, names: Iterable[str]) -> ShapeError:
        unknown = _listed(name for name in names if name not in self.inputs)
        return ShapeError(f"unknown input {unknown}", cure=f"the inputs are {_listed(self.inputs)}")

    def _named(self, inputs: Any) -> dict[str, Any]:
        if hasattr(inputs, "keys"):
            return dict(inputs)
        if len(self.inputs) != 1:
            what = f"one array was given for {len(self.inputs)} inputs"
            raise ShapeError(what, cure=f"give a dict with {_listed(self.inputs)}")
        return {next(iter(self.inputs)): inputs}

    def _converted(self, name: str, inputs: dict[str, Any]) -> np.ndarray:
        if name not in inputs:
            raise ShapeError(
                f"input {name!r} is missing",
                why=f"given: {_listed(inputs) or 'nothing'}",
                cure=f"the inputs are {_listed(self.inputs)}",
            )
        return np.asarray(inputs[name])

    def _check_shape(self, name: str, shape: Shape) -> None:
        low, _, high = self._range(name)
        if len(shape) == len(low) and all(a <= b <= c for a, b, c in zip(low, shape, high, strict=True)):
            return
        info = self.inputs[name]
        if len(shape) != len(low):
            raise ShapeError(
                f"{name} has shape {shape}, {len(shape)} dimensions; the engine has {len(low)}: {info.shape}",
                cure="add the batch dimension: array[None]" if len(shape) + 1 == len(low) else "reshape the array",
            )
        if low == high:
            raise ShapeError(f"{name} has shape {shape}; the engine was built for {low}", cure="give that shape")
        raise ShapeError(
            f"{name} has shape {shape}; profile {self.profile} takes {low} to {high}",
            why=f"the engine's own shape is {info.shape}; -1 stands for what the profile leaves open",
            cure="give a shape in that range, or build with a wider profile",
        )

    def key(self, arrays: list[np.ndarray]) -> tuple:
        """What tells one slot from another: the shapes, and the numbers of inputs that stay on the host."""
        if not self._has_host_inputs:
            return tuple([array.shape for array in arrays])
        values = [a.tobytes() for a, (_, _, host) in zip(arrays, self._specs, strict=True) if host]
        return (*[array.shape for array in arrays], *values)

    # ---- slots ----

    def slot(self, inputs: Any = None, *, shapes: dict[str, Shape] | None = None) -> Slot:
        """A new set of buffers: for inputs (copied in), for shapes (zeros), or the profile's best shapes."""
        if inputs is not None:
            arrays = self.check(inputs)
            slot = self.new_slot(arrays)
            for buffer, array in zip(slot.inputs.values(), arrays, strict=True):
                np.copyto(buffer.host, array)
            return slot
        if self._closed:
            raise LessonError("this session is closed", cure="make a new Session")
        wanted = {name: self._range(name)[1] for name in self.inputs} | dict(shapes or {})
        if len(wanted) != len(self.inputs):
            raise self._unknown(wanted)
        return self.new_slot([np.zeros(wanted[name], dtype) for name, dtype, _ in self._specs])

    def new_slot(self, arrays: list[np.ndarray]) -> Slot:
        """Buffers for arrays that `check` gave: only inputs that stay on the host are copied."""
        shapes, values = {}, {}
        for (name, _, host), array in zip(self._specs, arrays, strict=True):
            self._check_shape(name, array.shape)
            shapes[name] = array.shape
            if host:
                values[name] = array
        slot = Slot(self, shapes, values)
        self._all_slots.add(slot)
        return slot

    def forget(self, slot: Slot) -> None:
        """Called by a slot that was freed."""
        self._all_slots.discard(slot)

    def _slot_for(self, arrays: list[np.ndarray]) -> Slot:
        key = self.key(arrays)
        last = self._last
        if last is not None and last.key == key:
            return last
        self._last = self._again = None
        slot = self._slots.get(key)
        if slot is None:
            while len(self._slots) >= KEPT_SHAPES:
                self._slots.popitem(last=False)[1].free()
            slot = self._slots[key] = self.new_slot(arrays)
        self._slots.move_to_end(key)
        self._last, self._again = slot, repeater(slot)
        return slot

    # ---- one answer ----

    def infer(self, inputs: Any, *, graph: bool | None = None) -> dict[str, np.ndarray]:
        """Run once and wait. inputs: dict name -> array, or the array itself when there is one input.

        Returns new arrays by output name. ShapeError and DtypeError for inputs that do not fit; nothing is
        converted in silence.
        """
        use_graph = self.graph if graph is None else graph
        if self._again is not None:
            found = self._again(inputs, use_graph)
            if found is not None:
                return found
        arrays = self.check(inputs)
        slot = self._slot_for(arrays)
        stream, copy = self.cuda_stream, backend.cuda.memcpy_htod_async
        for array, buffer in zip(arrays, slot.inputs.values(), strict=True):
            if not buffer.is_copied:
                continue
            if buffer.nbytes <= STAGED_BYTES or not array.flags.c_contiguous:
                np.copyto(buffer.host, array)
                copy(buffer.device, buffer.raw, stream)
            else:
                copy(buffer.device, array.reshape(-1).view(np.uint8), stream)
        (slot.graph if use_graph else slot.compute)(stream)
        slot.d2h(stream)
        stream.synchronize()
        found = slot.results()
        return self._with_data_dependent(found) if self.data_dependent_outputs else found

    def _with_data_dependent(self, found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        for name, allocator in self._allocators.items():
            found[name] = allocator.fetch(self.outputs[name].dtype)
        return {name: found[name] for name in self.outputs}

    # ---- many ----

    def stream(
        self, batches: Iterable[Any], depth: int = 2, *, graph: bool | None = None
    ) -> Iterator[dict[str, np.ndarray]]:
        """Run many batches, copies and compute overlapped on three streams; yields outputs in order.

        depth: batches in flight while you work on a result. Arrays from `pinned(...)` are copied straight to
        the GPU: do not change one before its result is there. Others go through page-locked memory first.
        Outputs whose shape is known only after the run are computed one batch at a time.
        """
        if depth < 1:
            raise ShapeError(f"depth={depth}", cure="depth is 1 or more")
        if self.data_dependent:
            return (self.infer(batch, graph=False) for batch in batches)
        return pipeline.run(self, batches, depth, self.graph if graph is None else graph)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _wrong_dtype(name: str, given: np.dtype, wanted: np.dtype) -> DtypeError:
    kind = f"np.{wanted.name}" if hasattr(np, wanted.name) else f"ml_dtypes.{wanted.name}"
    return DtypeError(
        f"{name} is {given}; the engine wants {wanted}",
        why="nothing is converted in silence: it would cost time on every call, and may lose digits",
        cure=f"array.astype({kind})",
    )


def _plan_bytes(plan: Any) -> bytes | None:
    """The plan's bytes, or None when `plan` is an engine."""
    plan = getattr(plan, "plan", plan)
    if isinstance(plan, (str, Path)):
        return Path(plan).read_bytes() if Path(plan).is_file() else None
    return bytes(plan) if isinstance(plan, (bytes, bytearray, memoryview, backend.trt.IHostMemory)) else None


def _engine_of(plan: Any) -> Any:
    if isinstance(plan, (bytes, str, Path)):
        return load(plan)
    if not hasattr(plan, "create_execution_context"):
        raise LessonError(
            f"a Session is made from a plan or an engine, not from {type(plan).__name__}",
            why="build_serialized_network gives None when a build fails" if plan is None else "",
            cure="give what tl.build(...) returned, a plan, or an engine",
        )
    return plan
