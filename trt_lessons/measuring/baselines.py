"""The others, by the same loop: PyTorch eager, compiled and under a CUDA graph, and onnxruntime.

    eager = baselines.eager(network, images)
    m = eager.measure(name="torch_eager")
    baselines.error(reference, eager.output())

Nothing is prepared (moved, compiled, captured) before it is needed, so a named measurement on a laptop is a
recording at once. Introduced in lesson 02.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np

from ..errors import MeasureError
from ..records.measurement import Measurement


class Baseline:
    """One way to run a model on one set of inputs. runner: who does the work; batch: samples a call."""

    def __init__(self, runner: str, batch: int) -> None:
        self.runner, self.batch = runner, batch
        self._run: Callable[[], Any] | None = None
        self._stream: Any = None

    def _prepare(self) -> Callable[[], Any]:
        raise NotImplementedError

    @contextmanager
    def _around(self) -> Iterator[None]:
        yield

    def _ready(self) -> Callable[[], Any]:
        if self._run is None:
            with self._around():
                self._run = self._prepare()
        return self._run

    def measure(self, *, name: str | None = None, **how: Any) -> Measurement:
        """Time it; how: the options of `measure_callable` (duration_s, warm_up_ms, depth, spin)."""
        from ..records import recordings
        from .measure import measure_callable

        if name is not None and recordings.recalling() and recordings.there(name):
            return measure_callable(_nothing, name=name, batch=self.batch, runner=self.runner)
        run = self._ready()
        with self._around():
            return measure_callable(run, name=name, batch=self.batch, runner=self.runner, stream=self._stream, **how)

    def output(self) -> np.ndarray:
        """What it computes, as an array (the first output when there are several)."""
        run = self._ready()
        with self._around():
            made = run()
            if self._stream is not None:
                self._stream.synchronize()
            made = made[0] if isinstance(made, (list, tuple)) else made
            return made.detach().float().cpu().numpy() if hasattr(made, "detach") else np.asarray(made)


def _nothing() -> None:
    return None


class TorchBaseline(Baseline):
    """A PyTorch module on the GPU where TensorRT runs on one, else on the CPU."""

    def __init__(self, runner: str, module: Any, inputs: Any, *, half: bool, tf32: bool) -> None:
        arrays = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        super().__init__(runner, int(np.shape(arrays[0])[0]))
        self._module, self._arrays, self._half, self._tf32 = module, arrays, half, tf32

    def _device(self) -> str:
        import torch

        from .. import backend

        if not backend.is_gpu():
            return "cpu"
        if not torch.cuda.is_available():
            raise MeasureError(
                "PyTorch does not see the GPU that TensorRT uses.",
                why=f"torch {torch.__version__} is built for {torch.version.cuda or 'CPUs only'}",
                cure="Install a PyTorch wheel with CUDA, or leave the PyTorch baselines out.",
            )
        return "cuda"

    @contextmanager
    def _around(self) -> Iterator[None]:
        """Inference mode, our stream, and exactly the arithmetic asked for, put back afterwards."""
        import torch

        if self._stream is None and self._device() == "cuda":
            from .. import backend

            self._stream = backend.cuda.Stream()
        flags = (torch.backends.cuda.matmul, torch.backends.cudnn)
        before = [flag.allow_tf32 for flag in flags]
        on = nullcontext()
        if self._stream is not None:
            on = torch.cuda.stream(torch.cuda.ExternalStream(int(self._stream.handle)))
        try:
            for flag in flags:
                flag.allow_tf32 = self._tf32
            with torch.inference_mode(), on:
                yield
        finally:
            for flag, value in zip(flags, before, strict=True):
                flag.allow_tf32 = value

    def _moved(self) -> tuple[Any, list[Any]]:
        import torch

        device = self._device()
        module = copy.deepcopy(self._module).to(device).eval()
        tensors = [torch.as_tensor(array).to(device) for array in self._arrays]
        if self._half:
            module = module.half()
            tensors = [t.half() if t.is_floating_point() else t for t in tensors]
        if device == "cuda":
            torch.cuda.synchronize()
        return module, tensors

    def _prepare(self) -> Callable[[], Any]:
        module, tensors = self._moved()
        return lambda: module(*tensors)


class CompiledBaseline(TorchBaseline):
    """The module under torch.compile; compiled by the first calls, before any timing."""

    def _prepare(self) -> Callable[[], Any]:
        import torch

        module, tensors = self._moved()
        made = torch.compile(module)
        for _ in range(3):
            made(*tensors)
        return lambda: made(*tensors)


class GraphedBaseline(TorchBaseline):
    """The module captured into a CUDA graph by PyTorch."""

    def _prepare(self) -> Callable[[], Any]:
        import torch

        if self._device() != "cuda":
            raise MeasureError("A CUDA graph needs a GPU.", cure="Give a name to see the recording, or use eager here.")
        module, tensors = self._moved()
        for _ in range(3):
            module(*tensors)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            out = module(*tensors)

        def run() -> Any:
            graph.replay()
            return out

        return run


class OrtBaseline(Baseline):
    """An ONNX model under onnxruntime, timed by the host's clock: its call comes back when the work is done."""

    def __init__(self, model: Any, inputs: Mapping[str, np.ndarray], provider: str) -> None:
        super().__init__(f"onnxruntime {provider}", int(next(iter(inputs.values())).shape[0]))
        self._model, self._inputs, self._provider = model, dict(inputs), provider

    def _prepare(self) -> Callable[[], Any]:
        import onnxruntime

        wanted = f"{self._provider}ExecutionProvider"
        there = onnxruntime.get_available_providers()
        if wanted not in there:
            raise MeasureError(
                f"This onnxruntime has no {wanted}.",
                why=f"it has {', '.join(there)}",
                cure="Install onnxruntime-gpu for CUDA, or use CPU.",
            )
        model = self._model if isinstance(self._model, (str, bytes)) else _as_bytes(self._model)
        session = onnxruntime.InferenceSession(model, providers=[wanted])
        if self._provider != "CUDA":
            return lambda: session.run(None, self._inputs)
        binding = session.io_binding()
        for name, array in self._inputs.items():
            binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array, "cuda", 0))
        for output in session.get_outputs():
            binding.bind_output(output.name, "cuda")

        def run() -> Any:
            session.run_with_iobinding(binding)
            binding.synchronize_outputs()
            return binding.get_outputs()[0].numpy() if self._wants_output else None

        return run

    _wants_output = False

    def output(self) -> np.ndarray:
        """What it computes, as an array."""
        self._wants_output = True
        try:
            return super().output()
        finally:
            self._wants_output = False


def _as_bytes(model: Any) -> Any:
    return model.SerializeToString() if hasattr(model, "SerializeToString") else str(model)


def eager(module: Any, inputs: Any, *, half: bool = False, tf32: bool = False) -> TorchBaseline:
    """PyTorch as written. inputs: an array or a list of them. half: in FP16; tf32: TensorFloat-32 allowed."""
    return TorchBaseline(_runner("PyTorch eager", half, tf32), module, inputs, half=half, tf32=tf32)


def compiled(module: Any, inputs: Any, *, half: bool = False, tf32: bool = False) -> CompiledBaseline:
    """PyTorch under torch.compile (which needs a compiler for its kernels)."""
    return CompiledBaseline(_runner("PyTorch compiled", half, tf32), module, inputs, half=half, tf32=tf32)


def graphed(module: Any, inputs: Any, *, half: bool = False, tf32: bool = False) -> GraphedBaseline:
    """PyTorch under a CUDA graph."""
    return GraphedBaseline(_runner("PyTorch CUDA graph", half, tf32), module, inputs, half=half, tf32=tf32)


def ort(model: Any, inputs: Mapping[str, np.ndarray], *, provider: str = "CPU") -> OrtBaseline:
    """onnxruntime. model: path, bytes or ModelProto; provider: "CPU" or "CUDA"."""
    return OrtBaseline(model, inputs, provider)


def _runner(words: str, half: bool, tf32: bool) -> str:
    return f"{words}, {'FP16' if half else 'TF32' if tf32 else 'FP32'}"


def error(reference: np.ndarray, output: np.ndarray) -> tuple[float, float]:
    """(largest absolute error, the same over the reference's largest magnitude)."""
    reference, output = np.asarray(reference, np.float64), np.asarray(output, np.float64)
    if reference.shape != output.shape:
        raise MeasureError(
            f"Outputs of shapes {reference.shape} and {output.shape} cannot be compared.",
            cure="Run both on the same inputs.",
        )
    worst = float(np.abs(reference - output).max())
    return worst, worst / (float(np.abs(reference).max()) or 1.0)


def table(rows: Mapping[str, tuple[Measurement, tuple[float, float] | None]]) -> str:
    """Who is fast, and how right: {label: (Measurement, error(...) or None)} as text, one method for all."""
    from ..records.words import note_of, number

    wide = max([len(label) for label in rows] + [8])
    lines = [f"{'':<{wide}}{'median ms':>12}{'p99 ms':>10}{'samples/s':>12}{'max error':>11}{'relative':>10}"]
    for label, (m, wrong) in rows.items():
        errors = f"{wrong[0]:>11.2g}{wrong[1]:>10.2g}" if wrong else f"{'reference':>21}"
        times = f"{m.median('latency'):>12.4f}{m.percentile(99, 'latency'):>10.4f}{number(m.throughput):>12}"
        lines.append(f"{label:<{wide}}{times}{errors}")
    lines.append(f"({note_of([m for m, _ in rows.values()])})")
    return "\n".join(lines)
