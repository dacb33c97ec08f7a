"""Stands for TensorRT's small value types: Dims, Weights, `volume`, `nptype` and the dtype aliases."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from onnx import TensorProto

from .enums import DataType

float32, float16, bfloat16, fp8, bool = DataType.FLOAT, DataType.HALF, DataType.BF16, DataType.FP8, DataType.BOOL
int4, int8, int32, int64, uint8 = DataType.INT4, DataType.INT8, DataType.INT32, DataType.INT64, DataType.UINT8
__all__ = ["Dims", "Permutation", "Weights", "nptype", "volume"]
__all__ += ["bfloat16", "bool", "float16", "float32", "fp8", "int4", "int8", "int32", "int64", "uint8"]

_NUMPY = {
    "FLOAT": np.float32, "HALF": np.float16, "INT8": np.int8, "INT32": np.int32, "INT64": np.int64, "BOOL": np.bool_,
    "UINT8": np.uint8,
}  # fmt: skip
TO_ONNX = {name: TensorProto.DataType.Value(name) for name in (*_NUMPY, "INT4") if name != "HALF"}
TO_ONNX |= {"HALF": TensorProto.FLOAT16, "BF16": TensorProto.BFLOAT16, "FP8": TensorProto.FLOAT8E4M3FN}
FROM_ONNX = {number: DataType[name] for name, number in TO_ONNX.items()}


def nptype(trt_type: DataType) -> type:
    """The NumPy type of a TensorRT type; TypeError where NumPy has none (BF16, FP8, INT4)."""
    if trt_type.name not in _NUMPY:
        raise TypeError("Could not resolve TensorRT datatype to an equivalent numpy datatype.")
    return _NUMPY[trt_type.name]


def dtype_of(array: np.ndarray) -> DataType:
    """The TensorRT type of an array; ValueError for float64, which TensorRT does not take."""
    for name, kind in _NUMPY.items():
        if array.dtype == kind:
            return DataType[name]
    raise ValueError(f"[TRT] [E] Could not implicitly convert NumPy data type: {array.dtype.str[1:]} to TensorRT.")


def volume(iterable: Iterable[int]) -> int:
    """Number of elements of a shape (the product; 1 for an empty shape)."""
    return math.prod(iterable)


class Dims(tuple):
    """A shape: compares equal to tuples and lists; -1 stands for a size known only at run time."""

    MAX_DIMS = 8

    def __new__(cls, shape: Iterable[int] = ()) -> Dims:
        dims = super().__new__(cls, (int(d) for d in shape))
        if tuple.__len__(dims) > cls.MAX_DIMS:
            raise ValueError(f"Dims has at most {cls.MAX_DIMS} dimensions, got {tuple.__len__(dims)}")
        return dims

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (tuple, list)) and tuple(self) == tuple(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = tuple.__hash__


class UnknownDims(Dims):
    """What TensorRT returns for the shape of a tensor it cannot work out: its length is negative."""

    def __len__(self) -> int:
        raise ValueError("__len__() should return >= 0")

    __iter__ = __len__  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "(0)"


class Permutation(Dims):
    """An order of axes, for a shuffle layer."""


class Weights:
    """A dtype, a count and a pointer: it does not copy the array, so the array must outlive the build."""

    def __init__(self, a: np.ndarray | DataType = float32, ptr: int = 0, count: int = 0) -> None:
        if isinstance(a, DataType):
            a = np.empty(0, nptype(a))
        if not a.flags.c_contiguous:
            told = "Could not convert non-contiguous NumPy array to Weights."
            raise ValueError(f"{told} Please use numpy.ascontiguousarray() to fix this.")
        self._array, self.dtype = a, dtype_of(a)

    size = property(lambda self: self._array.size)
    nbytes = property(lambda self: self._array.nbytes)

    def numpy(self) -> np.ndarray:
        """The numbers, without a copy."""
        return self._array

    def __len__(self) -> int:
        return self._array.size


def as_array(weights: Weights | np.ndarray | None) -> np.ndarray | None:
    """The array behind what a caller passes as weights, None when there are none; TypeError as pybind11 has it."""
    if weights is None:
        return None
    try:
        array = (weights if isinstance(weights, Weights) else Weights(weights)).numpy()
    except ValueError as problem:
        raise TypeError(f"incompatible function arguments: {problem}") from None
    return array if array.size else None
