"""Runs one plan in another version's runtime: `python -m trt_lessons.engines.portable.other_runtime REQUEST`.

A program for a process of its own, started by `try_plan` with that runtime first where modules are looked for. It
imports `tensorrt_lean` and never this machine's own `tensorrt`, since two TensorRTs in one process disturb each other.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

# `nptype` of 8.6.0 fails on today's NumPy
KINDS = {"FLOAT": np.float32, "HALF": np.float16, "INT8": np.int8, "INT32": np.int32, "INT64": np.int64}
KINDS |= {"BOOL": np.bool_, "UINT8": np.uint8}


def main(request: dict[str, str]) -> dict[str, str]:
    """Load, run, and write the outputs beside the inputs; what came of it: "answer" and "said"."""
    trt, cuda = _runtime(), _cuda()
    log = _log(trt)
    runtime = trt.Runtime(log)
    if request["through"]:
        runtime.engine_host_code_allowed = True
        runtime = runtime.load_runtime(request["through"])
    engine = runtime.deserialize_cuda_engine(Path(request["plan"]).read_bytes()) if runtime is not None else None
    if engine is None:
        return {"answer": "refused", "said": (log.errors or [""])[-1]}
    folder = Path(request["folder"])
    outputs = _run(cuda, engine, dict(np.load(folder / "inputs.npz")))
    np.savez(folder / "outputs.npz", **outputs)
    return {"answer": "runs", "said": ""}


def _runtime() -> Any:
    for name in ("tensorrt_lean_bindings", "tensorrt_lean"):
        try:
            return importlib.import_module(name)
        except ImportError as problem:
            last = problem
    raise last


def _cuda() -> Any:
    if os.environ.get("TRT_LESSONS_BACKEND") == "interpreter":
        return importlib.import_module("trt_lessons.backend").cuda
    try:
        importlib.import_module("pycuda.autoprimaryctx")
        return importlib.import_module("pycuda.driver")
    except ImportError:
        module = importlib.import_module("trt_lessons.driver.cuda_python")
        module.use_primary_context()
        return module


def _log(trt: Any) -> Any:
    class Log(trt.ILogger):
        """Keeps the error lines."""

        def __init__(self) -> None:
            super().__init__()
            self.errors: list[str] = []

        def log(self, severity: Any, msg: str) -> None:
            if str(getattr(severity, "name", severity)).endswith("ERROR"):
                self.errors.append(msg)

    return Log()


def _run(cuda: Any, engine: Any, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """One query, by the calls that every version since 8.5 has."""
    context, stream = engine.create_execution_context(), cuda.Stream()
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    for name, array in inputs.items():
        context.set_input_shape(name, array.shape)
    kept, outputs = [], {}
    for name in names:
        shape = tuple(context.get_tensor_shape(name))
        array = inputs.get(name, np.empty(shape, KINDS[engine.get_tensor_dtype(name).name]))
        memory = cuda.mem_alloc(max(array.nbytes, 1))
        context.set_tensor_address(name, int(memory))
        kept.append((memory, array))
        if name in inputs:
            cuda.memcpy_htod(memory, np.ascontiguousarray(array))
        else:
            outputs[name] = (array, memory)
    context.execute_async_v3(stream.handle)
    stream.synchronize()
    for array, memory in outputs.values():
        cuda.memcpy_dtoh(array, memory)
    return {name: array for name, (array, _) in outputs.items()}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))), flush=True)
