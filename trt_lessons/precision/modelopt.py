"""NVIDIA's ModelOpt beside our own functions: AutoCast for FP16 and BF16, post-training quantization for INT8.

    cast = precision.autocast("digits.onnx", calibration={"images": pictures})
    eight = precision.ptq("digits.onnx", {"images": pictures})

ModelOpt reads files and may write into the file that it reads, so it gets a copy in a folder of its own.
Introduced in lesson 04_1.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import onnx

from ..errors import PrecisionError
from .graphs import Model, read

_PACKAGE = "nvidia-modelopt"


def autocast(
    model: Model, *, kind: str = "fp16", calibration: Mapping[str, np.ndarray] | None = None
) -> onnx.ModelProto:
    """The graph in "fp16" or "bf16" by ModelOpt's AutoCast; nodes whose numbers grow large stay in FP32.

    AutoCast runs the model once: on `calibration`, {input: array of one or more samples}, or on random inputs.
    A node stays in FP32 where a number passes 512 (its default). Inputs and outputs keep their types.
    PrecisionError where ModelOpt is missing or fails.
    """
    with _at_work(model) as path:
        from modelopt.onnx.autocast import convert_to_mixed_precision

        data = path.with_name("calibration.npz")
        if calibration is not None:
            np.savez(data, **calibration)
        kept = str(data) if calibration is not None else None
        return convert_to_mixed_precision(str(path), low_precision_type=kind, keep_io_types=True, calibration_data=kept)


def ptq(model: Model, calibration: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """The graph with INT8 Q/DQ pairs by ModelOpt's post-training quantization, the rest in FP16: opset 19.

    calibration: {input: array of samples}; the largest number seen decides each scale. TensorRT 10 and 11 read
    it; 8.6 reads up to opset 17. PrecisionError where ModelOpt is missing or fails.
    """
    with _at_work(model) as path, _without_tensorrt_8():
        from modelopt.onnx.quantization import quantize

        made = path.with_name("int8.onnx")
        quantize(
            str(path), quantize_mode="int8", calibration_data=dict(calibration), calibration_method="max",
            calibration_eps=["cpu"], output_path=str(made),
        )  # fmt: skip
        return onnx.load(made)


@contextmanager
def _without_tensorrt_8() -> Iterator[None]:
    """ModelOpt as if no TensorRT were there, where that is 8.

    It asks TensorRT's parser for plugins, with a network made without flags: 8 makes one of implicit batch then, which
    no ONNX file fits.
    """
    from modelopt.onnx import trt_utils

    found = getattr(getattr(trt_utils, "trt", None), "__version__", "10")
    with patch.object(trt_utils, "TRT_PYTHON_AVAILABLE", trt_utils.TRT_PYTHON_AVAILABLE and not found.startswith("8.")):
        yield


@contextmanager
def _at_work(model: Model) -> Iterator[Path]:
    """A copy of the model in a folder that goes afterwards; ModelOpt's log is off, its errors become ours."""
    before = logging.root.manager.disable
    with tempfile.TemporaryDirectory(prefix="trt-lessons-modelopt-") as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(read(model), path)
        try:
            logging.disable(logging.CRITICAL)
            yield path
        except ImportError as error:
            cure = f"pip install {_PACKAGE} and what pyproject.toml names beside it; or use precision.to_fp16, quantize"
            raise PrecisionError("ModelOpt cannot be used here.", why=str(error), cure=cure) from error
        except Exception as error:  # whatever it raises: its own errors have no common class
            why = f"{type(error).__name__}: {error}"
            raise PrecisionError(
                "ModelOpt could not convert this model.", why=why, cure="Check the model first."
            ) from error
        finally:
            logging.disable(before)
