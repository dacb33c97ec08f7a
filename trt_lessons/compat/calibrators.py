"""TensorRT 8.6 and 10 only: the objects that chose INT8 scales during a build. TensorRT 11 has none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import backend
from ..errors import PrecisionError
from .versions import has


def calibrator(kind: str, batches: Sequence[np.ndarray]) -> Any:
    """An object of TensorRT's class `kind`, such as "IInt8EntropyCalibrator2", that hands out `batches`.

    batches: float32 arrays of one shape, for a network of one input. `tl.build(configure=it.configure)` builds with
    it; then `.lines` are the cache's lines, one scale per tensor. PrecisionError on TensorRT 11. From lesson 04_1.
    """
    if not has(kind):
        raise PrecisionError(
            f"this TensorRT has no {kind}",
            why="calibrators are gone in TensorRT 11",
            cure="put the scales into the model: tl.precision.quantize",
        )
    base, cuda = getattr(backend.trt, kind), backend.cuda

    class Calibrator(base):
        def __init__(self) -> None:
            base.__init__(self)
            self.batches, self.memory = iter(batches), cuda.mem_alloc(batches[0].nbytes)

        def get_batch_size(self) -> int:
            return len(batches[0])

        def get_batch(self, names: Sequence[str]) -> list[int] | None:
            batch = next(self.batches, None)
            if batch is not None:
                cuda.memcpy_htod(self.memory, np.ascontiguousarray(batch))
            return None if batch is None else [int(self.memory)]

        def read_calibration_cache(self) -> None:
            return None

        def write_calibration_cache(self, cache: Any) -> None:
            self.lines = bytes(cache).decode().splitlines()

        def configure(self, config: Any, network: Any) -> None:
            config.set_flag(backend.trt.BuilderFlag.INT8)  # trt: <11
            config.int8_calibrator = self  # trt: <11

    return Calibrator()
