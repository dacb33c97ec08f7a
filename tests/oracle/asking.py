"""What one side says of an ONNX model: `python asking.py interpreter|nvidia` reads paths, a line each, and answers.

The two sides live in processes of their own (a case that ends its process ends nothing else), and may live in
environments of their own: on NVIDIA's side this file needs tensorrt_rtx, onnx and numpy alone. An answer is JSON:

verdict   "accepts", "parse" or "build" (who refused), "exception" (one left a call that should answer)
words     the reason, as the side gave it
right     after a run on the interpreter: True, or in words what was wrong; absent where nothing was run
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper


class Side:
    """One implementation of TensorRT's Python API, with a log that keeps the errors."""

    def __init__(self, name: str) -> None:
        self.errors: list[str] = []
        if name == "nvidia":
            import tensorrt_rtx as trt

            self.cuda = None
        else:
            from trt_lessons import backend

            trt, self.cuda = backend.trt, backend.cuda
        self.trt, errors = trt, self.errors

        class Log(trt.ILogger):
            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, severity: Any, message: str) -> None:
                if severity in (trt.Logger.ERROR, trt.Logger.INTERNAL_ERROR):
                    errors.append(message)

        self.log = Log()
        self.builder = trt.Builder(self.log)

    def ask(self, path: Path) -> dict:
        """The answer about one model; an exception is an answer too."""
        self.errors.clear()
        try:
            return self._ask(path)
        except Exception as problem:  # whatever leaves the API is what is being looked for
            last = traceback.extract_tb(problem.__traceback__)[-1]
            words = f"{type(problem).__name__}: {problem} ({Path(last.filename).name}:{last.lineno} {last.name})"
            return {"verdict": "exception", "words": words[:400]}

    def _ask(self, path: Path) -> dict:
        feeds, wanted = stored(path)
        network = self.builder.create_network(0)
        parser = self.trt.OnnxParser(network, self.log)
        if not parser.parse_from_file(str(path)):
            told = [parser.get_error(i) for i in range(parser.num_errors)]
            words = [f"{e.code().name}: {e.desc()}" for e in told] or self.errors
            return {"verdict": "parse", "words": " | ".join(words)[:400]}
        plan = self.builder.build_serialized_network(network, self._config(network, feeds))
        if plan is None:
            return {"verdict": "build", "words": " | ".join(self.errors[:3])[:400]}
        answer = {"verdict": "accepts", "words": ""}
        if self.cuda is None or not wanted:
            return answer
        return answer | {"right": self._run(plan, feeds, wanted)}

    def _config(self, network: Any, feeds: dict) -> Any:
        """A config with a profile of the stored inputs' shapes (and values, where an input holds a shape)."""
        config, profile = self.builder.create_builder_config(), self.builder.create_optimization_profile()
        used = False
        for tensor in (network.get_input(i) for i in range(network.num_inputs)):
            value, dims = feeds.get(tensor.name), sizes(tensor)
            if tensor.is_shape_tensor:
                numbers = [1] * max(1, *dims, 1) if value is None else [int(v) for v in value.ravel()]
                profile.set_shape_input(tensor.name, numbers, numbers, numbers)
                used = True
            if dims is not None and -1 in dims:
                shape = tuple(2 if d < 0 else d for d in dims) if value is None else value.shape
                profile.set_shape(tensor.name, shape, shape, shape)
                used = True
        if used:
            config.add_optimization_profile(profile)
        return config

    def _run(self, plan: Any, feeds: dict, wanted: dict) -> bool | str:
        """True where the engine gives the stored outputs, else what is different."""
        engine = self.trt.Runtime(self.log).deserialize_cuda_engine(plan)
        context, memory, stream = engine.create_execution_context(), [], self.cuda.Stream()
        for name in (engine.get_tensor_name(i) for i in range(engine.num_io_tensors)):
            if engine.get_tensor_mode(name).name == "INPUT":
                if name not in feeds:
                    return f"no stored input {name}"
                memory.append(self._feed(engine, context, name, feeds[name]))
        results = Results(self.trt, self.cuda)
        names = [n for n in wanted if engine.get_tensor_mode(n).name == "OUTPUT"]
        for name in names:
            context.set_output_allocator(name, results.allocator)
        if not context.execute_async_v3(stream.handle):
            return f"the run was refused: {self.errors}"
        stream.synchronize()
        return differences({n: results.array(n, dtype_of(engine.get_tensor_dtype(n).name)) for n in names}, wanted)

    def _feed(self, engine: Any, context: Any, name: str, value: np.ndarray) -> Any:
        array = np.ascontiguousarray(value.astype(dtype_of(engine.get_tensor_dtype(name).name))).reshape(value.shape)
        if engine.get_tensor_location(name) == self.trt.TensorLocation.HOST:  # an input that holds a shape
            context.set_tensor_address(name, array.ctypes.data)
            return array
        block = self.cuda.mem_alloc(max(array.nbytes, 1))
        if array.nbytes:
            self.cuda.memcpy_htod(block, array.reshape(-1).view(np.uint8))
        if -1 in tuple(engine.get_tensor_shape(name)):
            context.set_input_shape(name, array.shape)
        context.set_tensor_address(name, int(block))
        return block, array


class Results:
    """Memory for the outputs, taken when their sizes are known."""

    def __init__(self, trt: Any, cuda: Any) -> None:
        self.cuda, self.blocks, self.shapes = cuda, {}, {}
        blocks, shapes = self.blocks, self.shapes

        class Allocator(trt.IOutputAllocator):
            def __init__(self) -> None:
                trt.IOutputAllocator.__init__(self)

            def reallocate_output(self, name: str, memory: int, size: int, alignment: int) -> int:
                blocks[name] = cuda.mem_alloc(max(size, 1))
                return int(blocks[name])

            def notify_shape(self, name: str, shape: Any) -> None:
                shapes[name] = tuple(shape)

        self.allocator = Allocator()

    def array(self, name: str, kind: np.dtype) -> np.ndarray:
        """An output's numbers."""
        array = np.zeros(self.shapes[name], kind)
        if array.nbytes:
            raw = np.zeros(array.nbytes, np.uint8)
            self.cuda.memcpy_dtoh(raw, self.blocks[name])
            array = raw.view(kind).reshape(array.shape)
        return array


def sizes(tensor: Any) -> tuple[int, ...] | None:
    """A tensor's shape, None where the rank is unknown."""
    try:
        return tuple(tensor.shape)
    except (ValueError, RuntimeError):  # a negative length; TensorRT-RTX raises the second
        return None


def dtype_of(name: str) -> np.dtype:
    """The NumPy type of a TensorRT type's name."""
    names = {"HALF": "FLOAT16", "BF16": "BFLOAT16", "FP8": "FLOAT8E4M3FN", "FP4": "FLOAT4E2M1", "E8M0": "FLOAT8E8M0"}
    return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(getattr(onnx.TensorProto, names.get(name, name))))


def stored(path: Path) -> tuple[dict, dict]:
    """The inputs and outputs that come with a model, as arrays by name; nothing for what is no tensor."""
    folder = path.parent / "test_data_set_0"
    if not folder.is_dir():
        return {}, {}
    graph = onnx.load(str(path), load_external_data=False).graph
    return tuple(dict(_read(folder, kind, i)) for kind, i in (("input", graph.input), ("output", graph.output)))


def _read(folder: Path, kind: str, infos: Any) -> Any:
    for i, info in enumerate(infos):
        file, proto = folder / f"{kind}_{i}.pb", onnx.TensorProto()
        if file.exists() and info.type.HasField("tensor_type"):
            proto.ParseFromString(file.read_bytes())
            yield info.name, numpy_helper.to_array(proto)


def differences(found: dict, wanted: dict) -> bool | str:
    """True, or which output has another shape or other numbers (narrow types: within a hundredth)."""
    for name, right in wanted.items():
        if name not in found:
            return f"there is no output {name}"
        if found[name].shape != right.shape:
            return f"{name} has the shape {found[name].shape}, wanted {right.shape}"
        if right.dtype.kind in "OSU":
            return f"{name} is text"
        narrow = any(a.dtype.itemsize < 4 and a.dtype.kind not in "biu" for a in (found[name], right))
        a, b = (x.astype(np.complex128 if x.dtype.kind == "c" else np.float64) for x in (found[name], right))
        close = np.isclose(a, b, rtol=1e-2 if narrow else 1e-3, atol=1e-2 if narrow else 1e-5, equal_nan=True)
        if not close.all():
            return f"{name}: {(~close).sum()} of {close.size} numbers differ"
    return True


def main() -> None:
    """Answer until the input ends; what libraries print does not get between the answers."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    side = Side(sys.argv[1])
    print(json.dumps({"version": side.trt.__version__}), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(side.ask(Path(line.rstrip("\n")))), file=answers, flush=True)


if __name__ == "__main__":
    main()
