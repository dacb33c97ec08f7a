"""TensorRT by doing: the helper package of the workbook.

    import trt_lessons as tl
    from trt_lessons import trt, cuda

`trt` and `cuda` are TensorRT and CUDA where a GPU answers, else the interpreter on the CPU.
Everything loads when it is first used, so that the import itself stays fast.
"""

from __future__ import annotations

import importlib
import time
from typing import TYPE_CHECKING

STARTED = time.perf_counter() - time.process_time()  # of this process, as `time.perf_counter` counts

if TYPE_CHECKING:  # what an editor sees; `_EXPORTS` below says the same to Python, and a test compares them
    from . import backend as backend
    from . import compat as compat
    from . import doctor as doctor
    from . import errors as errors
    from . import models as models
    from . import plots as plots
    from . import precision as precision
    from . import scale as scale
    from .advice import buckets as buckets
    from .advice import nvidia as nvidia
    from .advice import report as report
    from .advice import search as search
    from .advice.comparison import compare as compare
    from .backend import cuda as cuda
    from .backend import cudart as cudart
    from .backend import describe as describe
    from .backend import trt as trt
    from .compat import Log as Log
    from .engines import layers as layers
    from .engines.build import build as build
    from .engines.built import BuildReport as BuildReport
    from .engines.inside import inside as inside
    from .engines.inside import unfused_mb as unfused_mb
    from .engines.plans import load as load
    from .measuring import baselines as baselines
    from .measuring import roofline as roofline
    from .measuring.kernels import layer_times as layer_times
    from .measuring.kernels import measure_each as measure_each
    from .measuring.measure import graph_costs as graph_costs
    from .measuring.measure import measure as measure
    from .measuring.measure import measure_callable as measure_callable
    from .measuring.measure import measure_shapes as measure_shapes
    from .measuring.trace import Trace as Trace
    from .measuring.trace import call_times as call_times
    from .measuring.trace import change_times as change_times
    from .measuring.trace import nvtx_range as nvtx_range
    from .measuring.trace import nvtx_source as nvtx_source
    from .measuring.trace import save_trace as save_trace
    from .records import recordings as recordings
    from .records.recordings import lesson as lesson
    from .records.recordings import live_or_recorded as live_or_recorded
    from .sessions.buffers import pinned as pinned
    from .sessions.judge import Judge as Judge
    from .sessions.session import Session as Session
    from .workbook import exercises as exercises
    from .workbook.copies.solution import solution as solution
    from .workbook.exercises import check as check
    from .workbook.predictions import outcome as outcome
    from .workbook.predictions import predict as predict
    from .workbook.progress import progress as progress
    from .workbook.quiz import quiz as quiz
    from .workbook.recorded import recorded as recorded
    from .workbook.scoreboard import scoreboard as scoreboard

__version__ = "0.1.0"

# the module that a name of this package comes from -> the names (a module of that name, or something in it)
_FROM = {
    "": "backend compat doctor errors models plots precision scale",
    "advice": "buckets nvidia report search",
    "advice.comparison": "compare",
    "backend": "cuda cudart describe trt",
    "compat": "Log",
    "engines": "layers",
    "engines.build": "build",
    "engines.built": "BuildReport",
    "engines.inside": "inside unfused_mb",
    "engines.plans": "load",
    "measuring": "baselines roofline",
    "measuring.kernels": "layer_times measure_each",
    "measuring.measure": "graph_costs measure measure_callable measure_shapes",
    "measuring.trace": "Trace call_times change_times nvtx_range nvtx_source save_trace",
    "records": "recordings",
    "records.recordings": "lesson live_or_recorded",
    "sessions.buffers": "pinned",
    "sessions.judge": "Judge",
    "sessions.session": "Session",
    "workbook": "exercises",
    "workbook.copies.solution": "solution",
    "workbook.exercises": "check",
    "workbook.predictions": "outcome predict",
    "workbook.progress": "progress",
    "workbook.quiz": "quiz",
    "workbook.recorded": "recorded",
    "workbook.scoreboard": "scoreboard",
}
_EXPORTS = {name: module for module, names in _FROM.items() for name in names.split()}

__all__ = [*sorted(_EXPORTS), "__version__"]


def __getattr__(name: str):
    if name not in _EXPORTS:
        raise AttributeError(f"trt_lessons has no {name!r}; it has: {', '.join(sorted(_EXPORTS))}")
    where = f"{__name__}.{_EXPORTS[name]}".rstrip(".")
    room = importlib.import_module(where)
    if _EXPORTS[name] and hasattr(room, name):
        return getattr(room, name)
    return importlib.import_module(f"{where}.{name}")


def __dir__() -> list[str]:
    return __all__
