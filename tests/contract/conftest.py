"""What the contract tests share: the backend's modules, its log, and a bench to build and run networks on.

A contract test is one test that TensorRT on a GPU and the interpreter must both pass: the same shapes, types,
verdicts and numbers. Mark what only one of them can promise with `interpreter_only` (with the reason).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from trt_lessons import backend, compat

Profiles = dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "interpreter_only(reason): what CUDA or TensorRT does not promise; not run on a GPU"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take tests marked interpreter_only out of a run on TensorRT; they count as deselected."""
    if not backend.is_gpu():
        return
    out = [item for item in items if item.get_closest_marker("interpreter_only")]
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


@pytest.fixture(scope="session")
def trt() -> Any:
    """`tensorrt`, or the interpreter's."""
    return backend.trt


@pytest.fixture(scope="session")
def cuda() -> Any:
    """`pycuda.driver`, the same on cuda-python, or the interpreter's."""
    return backend.cuda


@pytest.fixture(scope="session")
def cudart() -> Any:
    """`cuda.bindings.runtime`, or the interpreter's."""
    return backend.cudart


@pytest.fixture(scope="session")
def on_gpu() -> bool:
    """Is this TensorRT on a GPU?"""
    return backend.is_gpu()


@pytest.fixture
def log(cuda: Any) -> Any:
    """The process's one log, emptied: `.errors`, `.warnings`, `.records` hold what this test causes."""
    shared = compat.shared_log()
    shared.records.clear()
    return shared


class Bench:
    """Builds small networks and runs engines with the raw calls, as lesson 02 does."""

    def __init__(self, log: Any) -> None:
        self.log, self.trt, self.cuda = log, backend.trt, backend.cuda
        self._kept: list[Any] = []

    def network(self, strongly_typed: bool = True) -> tuple[Any, Any, Any]:
        """(builder, network, config): level 0, no TF32, no outside libraries, so that builds are short."""
        builder = compat.create_builder(self.log)
        network = compat.create_network(builder, strongly_typed)
        config = builder.create_builder_config()
        config.builder_optimization_level = 0
        compat.tf32(config, False)
        compat.quiet_tactics(config)
        self._kept.append((builder, network, config))
        return builder, network, config

    def plan(
        self,
        define: Callable[[Any], None],
        profiles: Profiles | list[Profiles] | None = None,
        configure: Callable[[Any, Any], None] | None = None,
        permit: tuple[str, ...] = (),
    ) -> Any:
        """What build_serialized_network returns for what `define(network)` makes: a plan or None."""
        builder, network, config = self.network()
        define(network)
        for shapes in [profiles] if isinstance(profiles, dict) else profiles or []:
            profile = builder.create_optimization_profile()
            for name, ranges in shapes.items():
                profile.set_shape(name, *ranges)
            config.add_optimization_profile(profile)
        compat.permit(config, permit)
        if configure is not None:
            configure(config, network)
        return builder.build_serialized_network(network, config)

    def engine(self, define: Callable[[Any], None], profiles: Any = None, **options: Any) -> Any:
        """An engine of the network that `define` makes. Fails, quoting the log, when the build gives None."""
        plan = self.plan(define, profiles, **options)
        assert plan is not None, f"no plan: {self.log.errors}"
        return self.load(plan)

    def load(self, plan: Any) -> Any:
        """Deserialize a plan."""
        runtime = self.trt.Runtime(self.log)
        engine = runtime.deserialize_cuda_engine(plan)
        self._kept.append((engine, runtime))
        return engine

    def names(self, engine: Any, mode: str) -> list[str]:
        """Names of the engine's tensors with mode INPUT or OUTPUT."""
        found = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        wanted = getattr(self.trt.TensorIOMode, mode)
        return [name for name in found if engine.get_tensor_mode(name) == wanted]

    def run(self, engine: Any, feeds: dict[str, np.ndarray], context: Any = None) -> dict[str, np.ndarray]:
        """Run an engine once on its own stream; arrays must have the engine's dtypes."""
        cuda = self.cuda
        context = context or engine.create_execution_context()
        stream, memory, results = cuda.Stream(), [], {}

        def place(name: str, nbytes: int) -> Any:
            memory.append(cuda.mem_alloc(max(int(nbytes), 1)))
            assert context.set_tensor_address(name, int(memory[-1]))
            return memory[-1]

        for name, array in feeds.items():
            if -1 in tuple(engine.get_tensor_shape(name)):
                assert context.set_input_shape(name, array.shape), self.log.errors
            if array.size:
                bytes_of = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
                cuda.memcpy_htod_async(place(name, array.nbytes), bytes_of, stream)
            else:
                place(name, 1)
        assert not context.infer_shapes()
        for name in self.names(engine, "OUTPUT"):
            dtype = compat.np_dtype(engine.get_tensor_dtype(name))
            results[name] = np.zeros(tuple(context.get_tensor_shape(name)), dtype)
        placed = {name: place(name, array.nbytes) for name, array in results.items()}
        assert context.execute_async_v3(stream.handle), self.log.errors
        for name, array in results.items():
            if array.size:
                cuda.memcpy_dtoh_async(array.reshape(-1).view(np.uint8), placed[name], stream)
        stream.synchronize()
        return results

    def once(
        self,
        define: Callable[[Any], None],
        feeds: dict[str, np.ndarray],
        profiles: Any = None,
        **options: Any,
    ) -> dict[str, np.ndarray]:
        """Build and run once."""
        return self.run(self.engine(define, profiles, **options), feeds)


@pytest.fixture(scope="session")
def shared_bench(cuda: Any) -> Bench:
    """A bench for engines that several tests use: build them in a module's own fixture."""
    return Bench(compat.shared_log())


@pytest.fixture
def bench(log: Any) -> Bench:
    """Builds and runs small networks on the backend under test."""
    return Bench(log)
