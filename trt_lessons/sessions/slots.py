"""What is enqueued with the buffers of a session: used by `session` and by `measure`.

A slot holds, for one set of input shapes, page-locked host arrays, device buffers, and (once captured) a
CUDA graph. One query is `h2d`, `compute`, `d2h`. Compute of all slots of one session goes to one stream: they
share its context.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import backend, compat
from ..errors import LessonError, ShapeError
from .buffers import Buffer, Shape

STAGED_BYTES = 1 << 16  # smaller inputs go through page-locked memory; CUDA copies larger ones itself as fast


class Slot:
    """Buffers for one set of input shapes, and what one query enqueues. Made by `session.slot(...)`."""

    def __init__(self, session: Any, shapes: dict[str, Shape], values: dict[str, np.ndarray]) -> None:
        """shapes: of every input. values: of the inputs that live on the host (shape tensors)."""
        self.session, self._closed = session, False
        self._graph = self._graph_context = None
        self._no_graph = False
        self._stamp = -1
        self.key = tuple(shapes.values())
        memory = session.memory
        self.inputs = {n: Buffer(memory, info, shapes[n]) for n, info in session.inputs.items()}
        self.outputs: dict[str, Buffer] = {}
        for buffer in self.inputs.values():
            buffer.raw.fill(0)
        for name, array in values.items():
            np.copyto(self.inputs[name].host, array)
            self.key += (array.tobytes(),)
        try:
            self._shape_outputs()
        except Exception:
            self.free()
            raise
        self._h2d = [(b.device, b.raw) for b in self.inputs.values() if b.is_copied]
        self._d2h = [(b.raw, b.device) for b in self.outputs.values() if b.is_copied]
        self._addresses = [(n, b.device) for n, b in (*self.inputs.items(), *self.outputs.items())]

    def _shape_outputs(self) -> None:
        """Let TensorRT work out the output shapes, and make buffers for those it knows before a run."""
        session, context = self.session, self.session.context
        self._set_shapes(context)
        for name, buffer in self.inputs.items():
            if buffer.info.location == "host":
                context.set_tensor_address(name, buffer.device)
        missing = context.infer_shapes()
        if missing:
            raise LessonError(
                f"TensorRT cannot work out the output shapes: {', '.join(missing)} not specified",
                cure="give every input",
            )
        for name, info in session.outputs.items():
            shape = tuple(context.get_tensor_shape(name))
            if name in session.data_dependent_outputs:
                continue
            if -1 in shape:
                raise LessonError(
                    f"the shape of {name} is known only after the run: {shape}",
                    cure="run such an engine with an IOutputAllocator of your own",
                )
            self.outputs[name] = Buffer(session.memory, info, shape)

    def _set_shapes(self, context: Any) -> None:
        for name, info in self.session.inputs.items():
            if -1 in info.shape and not context.set_input_shape(name, self.inputs[name].shape):
                raise ShapeError(
                    f"TensorRT refuses shape {self.inputs[name].shape} for {name}",
                    cure="look at the last lines of its log",
                )
        if context is self.session.context:
            self.session.shapes_now, self.session.bound = self.key, None
            self.session.shape_changes += 1

    # ---- facts ----

    @property
    def shapes(self) -> dict[str, Shape]:
        """Shapes of all inputs and outputs (those that are known before a run)."""
        return {name: buffer.shape for name, buffer in (*self.inputs.items(), *self.outputs.items())}

    @property
    def batch(self) -> int:
        """The first dimension of the first input; 1 when it has none."""
        shape = next(iter(self.inputs.values())).shape if self.inputs else ()
        return shape[0] if shape else 1

    # ---- one query ----

    def fill(self, inputs: Any) -> None:
        """Put other numbers of the same shapes into the page-locked buffers."""
        arrays = self.session.check(inputs)
        for buffer, array in zip(self.inputs.values(), arrays, strict=True):
            if array.shape != buffer.shape:
                raise ShapeError(
                    f"{buffer.info.name} has shape {array.shape}; this slot was made for {buffer.shape}",
                    cure="make another slot for other shapes",
                )
            np.copyto(buffer.host, array)

    def h2d(self, stream: Any) -> None:
        """Enqueue the copies of all inputs to the device."""
        copy = backend.cuda.memcpy_htod_async
        for device, raw in self._h2d:
            copy(device, raw, stream)

    def compute(self, stream: Any) -> None:
        """Enqueue the engine on this slot's buffers."""
        session = self.session
        if session.bound is not self:
            self._bind()
        if not session.execute(stream.handle):
            session.refused()

    def d2h(self, stream: Any) -> None:
        """Enqueue the copies of all outputs to the host."""
        copy = backend.cuda.memcpy_dtoh_async
        for raw, device in self._d2h:
            copy(raw, device, stream)

    def results(self) -> dict[str, np.ndarray]:
        """The outputs, as new arrays; call after waiting for `d2h`."""
        return {name: buffer.host.copy() for name, buffer in self.outputs.items()}

    def _bind(self) -> None:
        """Make this slot the one that the session's context works on."""
        session = self.session
        if session.shapes_now != self.key:
            self._set_shapes(session.context)
        self._set_addresses(session.context)
        session.bound = self

    def _set_addresses(self, context: Any) -> None:
        for name, address in self._addresses:
            if not context.set_tensor_address(name, address):
                raise LessonError(f"TensorRT refuses the address of {name}", cure="look at its log")

    # ---- CUDA graph ----

    def capture(self, stream: Any) -> bool:
        """Capture `compute` into a CUDA graph, once. False, after one warning, where that cannot be done."""
        if self._graph_is_good():
            return True
        if self._no_graph or self.session.data_dependent:
            self._warn("an output's shape is known only after the run" if self.session.data_dependent else "")
            return False
        self._drop_graph()
        try:
            self._capture(stream)
        except LessonError as failed:
            backend.cudart.cudaGetLastError()  # else the next call of TensorRT may trip over it
            self._warn(failed.what)
        return self._graph is not None

    def _graph_is_good(self) -> bool:
        own = self._graph_context is not None
        return self._graph is not None and (own or self._stamp == self.session.shape_changes)

    def _warn(self, why: str) -> None:
        if not self._no_graph:
            self._no_graph = True
            warnings.warn(f"no CUDA graph: {why}; going on without", RuntimeWarning, stacklevel=3)

    def _capture(self, stream: Any) -> None:
        """One plain enqueue (TensorRT settles its memory in it), then the capture."""
        cudart, handle = backend.cudart, stream.handle
        enqueue = self._graph_enqueue()
        if not enqueue(handle):
            self.session.refused()
        stream.synchronize()
        mode = cudart.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        succeed("cudaStreamBeginCapture", cudart.cudaStreamBeginCapture(handle, mode))
        try:
            done = enqueue(handle)
        finally:
            ended = cudart.cudaStreamEndCapture(handle)
        if not done:
            raise LessonError("TensorRT refused to run during the capture")
        graph = succeed("cudaStreamEndCapture", ended)
        try:
            self._graph = succeed("cudaGraphInstantiate", cudart.cudaGraphInstantiate(graph, 0))
        finally:
            cudart.cudaGraphDestroy(graph)

    def _graph_enqueue(self) -> Any:
        """What to capture: a context of this slot's own, where TensorRT allows one, else the session's.

        A graph is good as long as its context keeps its shapes, so other slots must not share it. Before
        TensorRT 9 two contexts cannot share a profile of dynamic shapes: there the graph is captured again
        after a change of shapes.
        """
        session = self.session
        if session.can_share_profile:
            context = self._graph_context or session.new_context()
            self._set_shapes(context)
            self._set_addresses(context)
            self._graph_context = context
            return context.execute_async_v3
        self._bind()
        self._stamp = session.shape_changes
        return session.execute

    def graph(self, stream: Any) -> None:
        """Launch the captured `compute`; capture it first when needed; plain `compute` where it cannot be."""
        if not self._graph_is_good() and (self._no_graph or not self.capture(stream)):
            self.compute(stream)
            return
        code = backend.cudart.cudaGraphLaunch(self._graph, stream.handle)[0]
        if code:
            succeed("cudaGraphLaunch", (code,))

    def _drop_graph(self) -> None:
        if self._graph is not None:
            backend.cudart.cudaGraphExecDestroy(self._graph)
            self._graph = None

    def free(self) -> None:
        """Give everything back; the slot cannot be used any more. Harmless the second time."""
        if self._closed:
            return
        self._closed = True
        self._drop_graph()
        self._graph_context = None
        if self.session.bound is self:
            self.session.bound = None
        for buffer in (*self.inputs.values(), *self.outputs.values()):
            buffer.close()
        self._h2d, self._d2h = [], []
        self.session.forget(self)


def repeater(slot: Slot) -> Callable[[Any, bool], dict[str, np.ndarray] | None] | None:
    """again(inputs, graph): what `Session.infer` does when shapes and types are those of the last call.

    While the host waits for the GPU its caches grow cold, and then every look-up is a fetch from memory: here
    all are done once. `again` enqueues nothing and gives None for inputs that do not fit at first sight. There is
    no such function for large inputs, inputs on the host, and outputs of unknown shape.
    """
    session, inputs = slot.session, slot.inputs
    small = all(b.is_copied and b.nbytes <= STAGED_BYTES for b in inputs.values())
    if not inputs or not small or session.data_dependent_outputs:
        return None
    cuda, stream, only = backend.cuda, session.cuda_stream, next(iter(inputs))
    copy_in, copy_out, wait, handle = cuda.memcpy_htod_async, cuda.memcpy_dtoh_async, stream.synchronize, stream.handle
    wanted = [(name, b.info.dtype, b.shape, b.host) for name, b in inputs.items()]
    h2d, d2h = slot._h2d, slot._d2h
    answers = [(name, b.host) for name, b in slot.outputs.items()]

    def again(given: Any, graph: bool) -> dict[str, np.ndarray] | None:
        if type(given) is not dict:
            given = {only: given}
        if len(given) != len(wanted):
            return None
        for name, dtype, shape, host in wanted:
            array = given.get(name)
            if type(array) is not np.ndarray or array.dtype is not dtype or array.shape != shape:
                return None
            host[...] = array
        for device, raw in h2d:
            copy_in(device, raw, stream)
        if graph:
            slot.graph(stream)
        elif session.bound is not slot:
            slot.compute(stream)
        elif not session.execute(handle):
            session.refused()
        for raw, device in d2h:
            copy_out(raw, device, stream)
        wait()
        return {name: host.copy() for name, host in answers}

    return again


def succeed(call: str, answer: tuple) -> Any:
    """The value of a cudart answer, or a LessonError naming the call."""
    code, *values = answer
    if code:
        raise LessonError(f"{call} failed: {getattr(code, 'name', code)}")
    return values[0] if values else None


def can_share_profile(engine: Any) -> bool:
    """May two contexts use one profile? Before TensorRT 9 only when no input is dynamic."""
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    dynamic = any(-1 in tuple(engine.get_tensor_shape(name)) for name in names)
    return compat.contexts_share_profiles() or not dynamic
