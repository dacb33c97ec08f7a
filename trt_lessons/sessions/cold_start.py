"""From "start the program" to the first answer, stage by stage, in a process of its own. Lesson 04_4.

cold_start.stages("engine.plan")     # {"imports and CUDA": 0.29, "runtime": 0.02, ...}, seconds
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from .. import backend, compat
from ..errors import MeasureError
from ..messages import later


def stages(plan: str | os.PathLike) -> dict[str, float]:
    """Seconds of each stage of a new Python process that loads this plan and runs it twice, in their order.

    On the interpreter only the order says something. MeasureError where that process fails.
    """
    done = backend.elsewhere(f"-m {__name__}", str(Path(plan).absolute()))
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if not found:
        raise MeasureError("The new process gave no answer.", why=done.stderr[-1000:], cure="Read its error above.")
    return found[-1]


def start_builder() -> float:
    """Seconds that a `trt.Builder` takes to make: in a new process the first one loads the library of kernels."""
    start = time.perf_counter()
    backend.trt.Builder(compat.shared_log())
    return time.perf_counter() - start


def loading(report: Any) -> dict[str, float]:
    """What building this took and what loading it takes here: {"build": s, "bytes": of the plan, "deserialize": s}.

    report: a BuildReport. deserialize: the median of three `deserialize_cuda_engine`.
    """
    runtime = backend.trt.Runtime(compat.shared_log())
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        engine = runtime.deserialize_cuda_engine(report.plan)
        taken.append(time.perf_counter() - start)
        del engine
    return {"build": report.seconds, "bytes": report.size, "deserialize": statistics.median(taken)}


def main(path: str) -> dict[str, float]:
    """What `stages` has run: the clock starts when Python and NumPy are there."""
    marks = [("", time.perf_counter())]

    def mark(stage: str) -> None:
        marks.append((stage, time.perf_counter()))

    import trt_lessons as tl

    tl.cuda.mem_get_info()
    mark(later("imports and CUDA"))
    runtime = tl.trt.Runtime(tl.Log(print_from=None))
    mark("runtime")
    plan = Path(path).read_bytes()
    mark(later("read the file"))
    engine = runtime.deserialize_cuda_engine(plan)
    mark("deserialize")
    session = tl.Session(engine)
    mark("context")
    picture = {n: np.zeros([abs(d) for d in t.shape], t.dtype) for n, t in session.inputs.items()}
    for stage in (later("first inference"), later("second inference")):
        session.infer(picture)
        mark(stage)
    session.close()
    return {after[0]: after[1] - before[1] for before, after in itertools.pairwise(marks)}


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])), flush=True)
