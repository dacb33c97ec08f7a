"""Plans and engines, where versions differ: headers, memory, types, inputs and outputs."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from .. import backend
from .versions import is_interpreter

INTERPRETER_MAGIC = b"TRTL-INTERP"
TENSORRT_MAGIC = (b"ftrt", b"ptrt")


def outdated(plan: bytes) -> bytes:
    """The same plan as if an older version had built it, to show how that is refused. Introduced in lesson 04_4.

    The header's first number of the version is one less (the interpreter's plans: the number of their format).
    """
    numbers = bytes(int(n) for n in re.findall(r"\d+", str(backend.trt.__version__))[:3])
    place = len(INTERPRETER_MAGIC) if is_interpreter() else plan.find(numbers, 0, 64)
    changed = bytearray(plan)
    changed[place if place >= 0 else 24] -= 1
    return bytes(changed)


def device_memory(engine: Any, profile: int | None = None) -> int:
    """Bytes of device memory that one execution context of the engine needs for activations.

    profile: index of one optimization profile; None: the largest of all.
    """
    if profile is not None and hasattr(engine, "get_device_memory_size_for_profile_v2"):
        return int(engine.get_device_memory_size_for_profile_v2(profile))  # trt: >=11
    if hasattr(engine, "device_memory_size_v2"):
        return int(engine.device_memory_size_v2)  # trt: >=11
    return int(engine.device_memory_size)  # trt: <11


_NUMPY_TYPES = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "INT8": np.int8,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
    "BOOL": np.bool_,
}
_ML_TYPES = {
    "BF16": "bfloat16",
    "FP8": "float8_e4m3fn",
    "INT4": "int4",
    "FP4": "float4_e2m1fn",
    "E8M0": "float8_e8m0fnu",
}


def np_dtype(trt_dtype: Any) -> np.dtype:
    """NumPy dtype of a `trt.DataType`; BF16, FP8 and INT4 come from ml_dtypes (`trt.nptype` lacks them)."""
    name = trt_dtype.name
    if name in _NUMPY_TYPES:
        return np.dtype(_NUMPY_TYPES[name])
    if name in _ML_TYPES:
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, _ML_TYPES[name]))
    raise TypeError(f"NumPy has no dtype for TensorRT's {name}")


def shape(dims: Any) -> tuple[int, ...]:
    """A `trt.Dims` as a tuple; () where TensorRT does not know the rank before the build."""
    try:
        return tuple(int(n) for n in dims)
    except ValueError:
        return ()


def io_tensors(engine: Any) -> list[dict[str, Any]]:
    """Inputs and outputs of an engine, in order: name, mode ("input" or "output"), NumPy dtype, shape."""
    trt, found = backend.trt, []
    for i in range(engine.num_io_tensors):
        name = engine.get_tensor_name(i)
        mode = "input" if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT else "output"
        dtype = str(np_dtype(engine.get_tensor_dtype(name)))
        found.append({"name": name, "mode": mode, "dtype": dtype, "shape": tuple(engine.get_tensor_shape(name))})
    return found
