"""Builds and runs small networks on whichever backend is loaded: one code path for TensorRT and the interpreter.

Builder, runtime, stream and logger are made once a process: TensorRT keeps one logger, and its first builder takes
seconds. Everything is built at optimization level 0 and without TF32, so that numbers are those of FP32.
"""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trt_lessons import backend, compat

ROOT = Path(__file__).parents[2]
trt, cuda = backend.trt, backend.cuda
ON_GPU = backend.is_gpu()
SHARED_PROFILES = compat.version() >= (9, 0)  # 8.x: a profile serves one context; a second one gets none and may crash
INT_SHAPES = compat.version()[0] < 10  # shapes and indices are INT32 before TensorRT 10
Profile = dict[str, tuple]


@functools.lru_cache(maxsize=1)
def log() -> Any:
    """The one log of this process."""
    return compat.shared_log()


@functools.lru_cache(maxsize=1)
def builder() -> Any:
    """The one builder of this process."""
    return compat.create_builder(log())


@functools.lru_cache(maxsize=1)
def runtime() -> Any:
    """The one runtime of this process."""
    builder()
    return trt.Runtime(log())


@functools.lru_cache(maxsize=1)
def stream() -> Any:
    """The one stream the tests run on."""
    return cuda.Stream()


def network() -> Any:
    """An empty network, strongly typed where the version has that."""
    return compat.create_network(builder())


def config(precisions: Iterable[str] = (), level: int = 0) -> Any:
    """A config for quick builds: level 0, FP32 without TF32, no libraries beside TensorRT's own."""
    made = builder().create_builder_config()
    made.builder_optimization_level = level
    compat.tf32(made, False)
    compat.quiet_tactics(made)
    compat.permit(made, precisions)
    return made


def add_profiles(made: Any, profiles: Profile | Sequence[Profile] | None) -> None:
    """Add optimization profiles, each {input: (min, opt, max)}, to a config."""
    several = [profiles] if isinstance(profiles, dict) else list(profiles or ())
    for shapes in several:
        profile = builder().create_optimization_profile()
        for name, (low, usual, high) in shapes.items():
            profile.set_shape(name, low, usual, high)
        made.add_optimization_profile(profile)


def build(
    net: Any, profiles: Any = None, precisions: Iterable[str] = (), configure: Callable | None = None
) -> bytes | None:
    """The plan as bytes, or None where the builder gives none."""
    made = config(precisions)
    add_profiles(made, profiles)
    if configure:
        configure(made)
    plan = builder().build_serialized_network(net, made)
    return None if plan is None else bytes(plan)


def engine_of(net: Any, profiles: Any = None, precisions: Iterable[str] = (), configure: Callable | None = None) -> Any:
    """Build and load; an AssertionError with the log's errors where that fails."""
    mark = len(log().records)
    plan = build(net, profiles, precisions, configure)
    assert plan is not None, f"the build failed: {log().since(mark)}"
    engine = runtime().deserialize_cuda_engine(plan)
    assert engine is not None, f"the plan does not load: {log().since(mark)}"
    return engine


def trt_type(kind: Any) -> Any:
    """TensorRT's type of a NumPy dtype."""
    names = {"float32": "FLOAT", "float16": "HALF", "int32": "INT32", "int8": "INT8", "bool": "BOOL"}
    return getattr(trt.DataType, names[np.dtype(kind).name])


def declare(tensor: Any, kind: Any) -> None:
    """Before TensorRT 10 a network's output is FLOAT unless declared, and whole numbers or truths do not fit that."""
    if np.dtype(kind).kind in "iub":
        compat.declare_type(tensor, trt.DataType.BOOL if np.dtype(kind).kind == "b" else trt.DataType.INT32)


def names_of(engine: Any) -> tuple[list[str], list[str]]:
    """Names of inputs and of outputs, in the engine's order."""
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    inputs = [n for n in names if engine.get_tensor_mode(n) == trt.TensorIOMode.INPUT]
    return inputs, [n for n in names if n not in inputs]


def type_of(engine: Any, name: str) -> np.dtype:
    """The NumPy type of an input's or output's memory."""
    return compat.np_dtype(engine.get_tensor_dtype(name))


def run(engine: Any, inputs: dict[str, np.ndarray], context: Any = None) -> dict[str, np.ndarray]:
    """One run: copies in, execute_async_v3, copies out."""
    context = context or engine.create_execution_context()
    ins, outs = names_of(engine)
    for name in ins:
        assert context.set_input_shape(name, inputs[name].shape), f"{name}: shape {inputs[name].shape} refused"
    assert list(context.infer_shapes()) == []
    memory = {}
    for name in ins:
        array = np.ascontiguousarray(inputs[name].astype(type_of(engine, name)))
        memory[name] = cuda.mem_alloc(max(array.nbytes, 1))
        cuda.memcpy_htod(memory[name], array)
    results = {n: np.zeros(tuple(context.get_tensor_shape(n)), type_of(engine, n)) for n in outs}
    for name, array in results.items():
        memory[name] = cuda.mem_alloc(max(array.nbytes, 1))
    for name, block in memory.items():
        assert context.set_tensor_address(name, int(block))
    assert context.execute_async_v3(stream().handle)
    stream().synchronize()
    for name, array in results.items():
        cuda.memcpy_dtoh(array, memory[name])
    return results


def numbers(*shape: int, low: float = -2.0, high: float = 2.0, seed: int = 0, kind: Any = np.float32) -> np.ndarray:
    """The same pseudo-random numbers every time, uniform in [low, high)."""
    generator = np.random.default_rng([seed, *shape])
    if np.dtype(kind).kind in "iu":
        return generator.integers(int(low), int(high), shape).astype(kind)
    if np.dtype(kind).kind == "b":
        return generator.random(shape) < 0.5
    return generator.uniform(low, high, shape).astype(kind)


def close(found: np.ndarray, wanted: np.ndarray, tolerance: float, what: str = "") -> None:
    """Same shape, and numbers equal within `tolerance` times the largest number (exactly for integers)."""
    wanted = np.asarray(wanted)
    assert tuple(found.shape) == tuple(wanted.shape), f"{what}: shape {found.shape}, wanted {wanted.shape}"
    if wanted.dtype.kind in "iub":
        np.testing.assert_array_equal(found.astype(np.int64), wanted.astype(np.int64), err_msg=what)
        return
    scale = max(1.0, float(np.abs(wanted[np.isfinite(wanted)]).max(initial=0)))
    np.testing.assert_allclose(
        found.astype(np.float64), wanted.astype(np.float64), rtol=0, atol=tolerance * scale, err_msg=what
    )


@dataclass
class Case:
    """One small computation: arrays in, layers, arrays out."""

    kind: str
    id: str
    define: Callable[..., Any]
    inputs: dict[str, np.ndarray]
    wanted: list[np.ndarray]
    tolerance: float = 1e-4
    precisions: tuple[str, ...] = ()
    needs: str = ""
    exact_types: bool = True
    names: list[str] = field(default_factory=list)

    def add_to(self, net: Any) -> None:
        """Put the case into a network, all its names starting with the case's id."""
        tensors = {n: net.add_input(f"{self.id}.{n}", trt_type(a.dtype), a.shape) for n, a in self.inputs.items()}
        made = self.define(net, **tensors)
        outputs, mark = made if isinstance(made, (list, tuple)) else [made], len(log().records)
        for i, (tensor, wanted) in enumerate(zip(outputs, self.wanted, strict=True)):
            tensor.name = f"{self.id}.out{i}"
            net.mark_output(tensor)
            declare(tensor, wanted.dtype)
        self.names = [t.name for t in outputs]
        try:
            self.network_shapes = [tuple(t.shape) for t in outputs]
        except ValueError:
            raise AssertionError(f"no shape: {log().since(mark)}") from None


class Bundle:
    """Cases of one kind built as one engine (a build each where that fails, so that one case cannot hide others)."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.results: dict[str, Any] = {}
        try:
            self._run(cases)
        except Exception:
            for case in cases:
                try:
                    self._run([case])
                except Exception as problem:
                    self.results[case.id] = problem

    def _run(self, cases: Sequence[Case]) -> None:
        net = network()
        for case in cases:
            case.add_to(net)
        engine = engine_of(net, precisions=cases[0].precisions)
        arrays = {f"{c.id}.{n}": a for c in cases for n, a in c.inputs.items()}
        found = run(engine, arrays)
        for case in cases:
            self.results[case.id] = [found[n] for n in case.names]


def has_errors(mark: int) -> bool:
    """Whether an ERROR line came after the first `mark` records."""
    return any(severity.endswith("ERROR") for severity, _ in log().records[mark:])


def errors_since(mark: int) -> list[str]:
    """Texts of the ERROR lines after the first `mark` records."""
    return [text for severity, text in log().records[mark:] if severity.endswith("ERROR")]


def tell(group: str, name: str, **facts: Any) -> None:
    """Write down what really happened, when TRT_LESSONS_DUMP names a folder (one JSON file a fact)."""
    folder = os.environ.get("TRT_LESSONS_DUMP")
    if folder:
        path = Path(folder) / group / (re.sub(r"[^\w.-]+", "_", name) + ".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        version = str(trt.__version__)
        path.write_text(json.dumps({"tensorrt": version, "name": name, **facts}, indent=1, default=str))


def in_subprocess(code: str, folder: Path) -> dict[str, Any]:
    """Run Python in a process of its own, which may crash; returns what it told, {name: value}, and its exit code."""
    told = folder / "told.jsonl"
    head = (
        "import json\n"
        f"def tell(name, value):\n    with open({str(told)!r}, 'a') as f: f.write(json.dumps([name, value]) + '\\n')\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    environment["TRT_LESSONS_BACKEND"] = backend.name()
    done = subprocess.run(
        [sys.executable, "-c", head + code], env=environment, cwd=folder, capture_output=True, text=True, timeout=300
    )
    lines = told.read_text().splitlines() if told.exists() else []
    return {**dict(json.loads(line) for line in lines), "exit": done.returncode, "stderr": done.stderr[-3000:]}
