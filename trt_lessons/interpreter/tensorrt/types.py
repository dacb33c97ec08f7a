"""Stands for TensorRT's small value types: Dims, Weights, `volume`, `nptype` and the dtype aliases."""

from __future__ import annotations

import ctypes
import math
import operator
from collections.abc import Iterable, Iterator
from typing import NoReturn

import numpy as np
from onnx import TensorProto

from .enums import DataType
from .manners import Mismatch

float32, float16, bfloat16, fp8, bool = DataType.FLOAT, DataType.HALF, DataType.BF16, DataType.FP8, DataType.BOOL
int4, int8, int32, int64, uint8 = DataType.INT4, DataType.INT8, DataType.INT32, DataType.INT64, DataType.UINT8
fp4, e8m0 = DataType.FP4, DataType.E8M0
__all__ = ["Dims", "Dims2", "Dims3", "Dims4", "DimsHW", "Permutation", "Weights", "nptype", "volume"]
__all__ += ["bfloat16", "bool", "e8m0", "float16", "float32", "fp4", "fp8", "int4", "int8", "int32", "int64", "uint8"]

_NUMPY = {
    "FLOAT": np.float32, "HALF": np.float16, "INT8": np.int8, "INT32": np.int32, "INT64": np.int64, "BOOL": np.bool_,
    "UINT8": np.uint8,
}  # fmt: skip
TO_ONNX = {name: TensorProto.DataType.Value(name) for name in (*_NUMPY, "INT4") if name != "HALF"}
TO_ONNX |= {"HALF": TensorProto.FLOAT16, "BF16": TensorProto.BFLOAT16, "FP8": TensorProto.FLOAT8E4M3FN}
FROM_ONNX = {number: DataType.__members__[name] for name, number in TO_ONNX.items()}


def nptype(trt_type: DataType) -> type:
    """The NumPy type of a TensorRT type; TypeError where NumPy has none (BF16, FP8, INT4)."""
    if trt_type.name not in _NUMPY:
        raise TypeError("Could not resolve TensorRT datatype to an equivalent numpy datatype.")
    return _NUMPY[trt_type.name]


def dtype_of(array: np.ndarray) -> DataType:
    """The TensorRT type of an array; ValueError for float64, which TensorRT does not take."""
    for name, kind in _NUMPY.items():
        if array.dtype == kind:
            return DataType.__members__[name]
    raise ValueError(f"[TRT] [E] Could not implicitly convert NumPy data type: {array.dtype.str[1:]} to TensorRT.")


def volume(iterable: Iterable[int]) -> int:
    """Number of elements of a shape (the product; 1 for an empty shape)."""
    return math.prod(iterable)


class Dims:
    """A shape: no tuple, but it reads as one and equals tuples and lists; -1 is a size known only at run time."""

    MAX_DIMS = 8
    _bound = True
    __slots__ = ("_sizes",)

    def __init__(self, shape: Iterable[int] = ()) -> None:
        try:
            sizes = [operator.index(d) for d in shape]
        except TypeError:
            raise TypeError(f"Dims(): incompatible constructor arguments: {shape!r}") from None
        if len(sizes) > self.MAX_DIMS:
            raise ValueError(f"Dims has at most {self.MAX_DIMS} dimensions, got {len(sizes)}")
        if not all(-(2**63) <= d < 2**63 for d in sizes):
            raise TypeError(f"Dims(): incompatible constructor arguments: {shape!r}")
        self._sizes = sizes

    @classmethod
    def _cast(cls, value: object) -> Dims:
        if isinstance(value, (str, bytes)):
            raise Mismatch
        try:
            return cls(value)
        except (TypeError, ValueError):
            raise Mismatch from None

    def __len__(self) -> int:
        return len(self._sizes)

    def __iter__(self) -> Iterator[int]:
        return iter(self._sizes)

    def __getitem__(self, index: int | slice) -> int | tuple[int, ...]:
        if isinstance(index, slice):
            return tuple(self._sizes[index])
        return self._sizes[index]

    def __setitem__(self, index: int, size: int) -> None:
        if isinstance(index, slice):
            raise IndexError("Out of bounds")
        self._sizes[index] = operator.index(size)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (tuple, list)):
            raise TypeError(f"__eq__(): incompatible function arguments: {other!r} is neither tuple nor list")
        return self._sizes == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(tuple(self._sizes))

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle '{type(self).__name__}' object")


def _fixed(name: str, count: int, base: type[Dims] = Dims, **more: property) -> type[Dims]:
    """Dims of so many sizes, taken one by one or as one sequence."""

    def __init__(self: Dims, *sizes: int | Iterable[int]) -> None:
        given = sizes[0] if len(sizes) == 1 else sizes or [0] * count
        Dims.__init__(self, given)
        if len(self) != count:
            raise ValueError(f"{name} has {count} dimensions, got {len(self)}")

    return type(name, (base,), {"__init__": __init__, "__module__": __name__, "__slots__": (), **more})


Dims2, Dims3, Dims4 = (_fixed(f"Dims{n}", n) for n in (2, 3, 4))
_HW = (property(operator.itemgetter(0)), property(operator.itemgetter(1)))
DimsHW = _fixed("DimsHW", 2, Dims2, h=_HW[0], w=_HW[1])


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

    def __init__(self, *given: object, **named: object) -> None:
        if "a" in named:
            given = (named["a"],)
        kind = given[0] if given else named.get("type", float32)
        if isinstance(kind, DataType):
            ptr, count = (*given[1:], named.get("ptr", 0), named.get("count", 0))[:2]
            self._array, self.dtype = _at(kind, operator.index(ptr), operator.index(count)), kind
            return
        if not isinstance(kind, np.ndarray):
            raise TypeError(f"Weights(): incompatible constructor arguments: {kind!r} is no NumPy array")
        if not kind.flags.c_contiguous:
            told = "Could not convert non-contiguous NumPy array to Weights."
            raise ValueError(f"{told} Please use numpy.ascontiguousarray() to fix this.")
        self._array, self.dtype = kind.reshape(-1), dtype_of(kind)

    @classmethod
    def _cast(cls, value: object) -> object:
        if not isinstance(value, np.ndarray):
            raise Mismatch
        return value

    size = property(lambda self: self._array.size)
    nbytes = property(lambda self: self._array.nbytes)

    def numpy(self) -> np.ndarray:
        """The numbers, without a copy."""
        return self._array

    def __len__(self) -> int:
        return self._array.size


def _at(kind: DataType, address: int, count: int) -> np.ndarray:
    """Numbers in memory that the caller keeps; of types that NumPy has not, only that there are none."""
    numpy_type = np.dtype(_NUMPY.get(kind.name, np.uint8))
    if not address or not count:
        return np.empty(0, numpy_type)
    memory = (ctypes.c_char * (count * numpy_type.itemsize)).from_address(address)
    return np.frombuffer(memory, numpy_type)


def as_array(weights: Weights | np.ndarray | None) -> np.ndarray | None:
    """The array behind what a caller passes as weights, None when there are none; TypeError as pybind11 has it."""
    if weights is None:
        return None
    try:
        array = (weights if isinstance(weights, Weights) else Weights(weights)).numpy()
    except ValueError as problem:
        raise TypeError(f"incompatible function arguments: {problem}") from None
    return array if array.size else None
