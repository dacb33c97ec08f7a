"""Memory of a session: blocks used again, a buffer for each tensor, an allocator for outputs of unknown size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import backend

Shape = tuple[int, ...]


@dataclass(frozen=True)
class TensorInfo:
    """One input or output: shape with -1 where dynamic; location `device`, or `host` for shape inputs."""

    name: str
    dtype: np.dtype
    shape: Shape
    location: str

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype} {self.shape}"


class Memory:
    """Device and page-locked blocks of one session, kept for the next slot that needs one of that size."""

    def __init__(self) -> None:
        self._spare: dict[tuple[str, int], list[Any]] = {}

    def take(self, kind: str, nbytes: int) -> Any:
        """A block of at least `nbytes`: a DeviceAllocation for `device`, a uint8 array for `pinned`."""
        size = 1 << max(nbytes - 1, 511).bit_length() if nbytes < 1 << 24 else -(-nbytes >> 22) << 22
        spare = self._spare.get((kind, size))
        block = spare.pop() if spare else self._new(kind, size)
        return size, block

    @staticmethod
    def _new(kind: str, size: int) -> Any:
        cuda = backend.cuda
        return cuda.mem_alloc(size) if kind == "device" else cuda.pagelocked_empty(size, np.uint8)

    def give(self, kind: str, size: int, block: Any) -> None:
        """Take a block back."""
        self._spare.setdefault((kind, size), []).append(block)

    def close(self) -> None:
        """Free all blocks that were given back."""
        for (kind, _), blocks in self._spare.items():
            for block in blocks:
                if kind == "device":
                    block.free()
        self._spare.clear()


class Buffer:
    """One tensor of a slot: `host` (typed array), `raw` (its bytes), `device` (address)."""

    def __init__(self, memory: Memory, info: TensorInfo, shape: Shape) -> None:
        self.info, self.shape, self._memory = info, shape, memory
        self.nbytes = int(np.prod(shape, dtype=np.int64)) * info.dtype.itemsize
        self._pinned = memory.take("pinned", self.nbytes)
        self._device = memory.take("device", self.nbytes) if info.location == "device" else None
        self.raw = self._pinned[1][: self.nbytes]
        self.host = self.raw.view(info.dtype).reshape(shape)
        self.device = int(self._device[1]) if self._device else self._pinned[1].ctypes.data

        self.is_copied = self._device is not None and self.nbytes > 0

    def close(self) -> None:
        """Give both blocks back to the session."""
        self._memory.give("pinned", *self._pinned)
        if self._device:
            self._memory.give("device", *self._device)
        self.raw = self.host = self._pinned = self._device = None


def pinned(shape: int | Shape, dtype: Any = np.float32) -> np.ndarray:
    """Zeros in page-locked host memory: `Session.stream` copies such arrays to the GPU without a detour."""
    return backend.cuda.pagelocked_zeros(shape, dtype)


def is_pinned(array: np.ndarray) -> bool:
    """Whether an array lies in memory that `pinned` gave (also a part of it)."""
    kinds = backend.cuda.PagelockedHostAllocation
    base = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, kinds)


def output_allocator(memory: Memory) -> Any:
    """An IOutputAllocator with one growing block of `memory`; fetch(dtype) gives the output as an array."""

    class Allocator(backend.trt.IOutputAllocator):
        def __init__(self) -> None:
            super().__init__()
            self.block: tuple[int, Any] | None = None
            self.shape: Shape = ()

        def reallocate_output(self, tensor_name: str, memory_now: int, size: int, alignment: int) -> int:
            if self.block is None or self.block[0] < size:
                if self.block is not None:
                    memory.give("device", *self.block)
                self.block = memory.take("device", size)
            return int(self.block[1])

        def reallocate_output_async(
            self, tensor_name: str, memory_now: int, size: int, alignment: int, stream: int
        ) -> int:
            return self.reallocate_output(tensor_name, memory_now, size, alignment)

        def notify_shape(self, tensor_name: str, shape: Any) -> None:
            self.shape = tuple(shape)

        def fetch(self, dtype: np.dtype) -> np.ndarray:
            found = np.empty(self.shape, dtype)
            if found.size:
                backend.cuda.memcpy_dtoh(found.reshape(-1).view(np.uint8), self.block[1])
            return found

        def release(self) -> None:
            if self.block is not None:
                memory.give("device", *self.block)
                self.block = None

    return Allocator()
