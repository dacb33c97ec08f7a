"""A Triton model repository from a plan or an ONNX file: config.pbtxt, the plan, and the Python backend's file.

    folder = write("digits.onnx", "repository", batches=[1, 8, 32])     # repository/digits/config.pbtxt, 1/model.plan

On TensorRT the platform is `tensorrt_plan`; elsewhere, or when asked, the Python backend runs the same plan through
`tl.Session`. Every number of the config is read from the engine, so that it cannot contradict the plan.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ... import backend
from ...engines.build import build
from ...engines.built import BuildReport
from ...errors import LessonError
from ...files import write_atomically
from ...precision import read as read_onnx
from ...sessions.session import Session
from .client import TYPES

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Config:
    """What the server is told. largest: rows of the largest batch, 0 where the engine's shapes are fixed.

    tensors: {"input": [(name, type, dims without the batch)], "output": ...}. preferred: batch sizes worth waiting
    for. delay_us: the longest wait for them. instances: copies of the model. profile: the engine's profile.
    """

    name: str
    platform: str
    largest: int
    tensors: dict[str, list[tuple[str, str, tuple[int, ...]]]]
    preferred: tuple[int, ...] = ()
    delay_us: int = 1000
    instances: int = 1
    gpu: bool = False
    profile: int = 0
    warm_up: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def text(self) -> str:
        """config.pbtxt."""
        engine = f'platform: "{self.platform}"' if self.platform == "tensorrt_plan" else 'backend: "python"'
        lines = [f'name: "{self.name}"', engine, f"max_batch_size: {self.largest}"]
        for side, tensors in self.tensors.items():
            for name, kind, dims in tensors:
                lines.append(f'{side} [ {{ name: "{name}" data_type: TYPE_{kind} dims: {list(dims)} }} ]')
        if self.largest > 1:
            wanted = f" preferred_batch_size: {list(self.preferred)}" if self.preferred else ""
            lines.append(f"dynamic_batching {{{wanted} max_queue_delay_microseconds: {self.delay_us} }}")
        kind = "KIND_GPU" if self.gpu else "KIND_CPU"
        profile = f' profile: ["{self.profile}"]' if self.platform == "tensorrt_plan" else ""
        lines.append(f"instance_group [ {{ count: {self.instances} kind: {kind}{profile} }} ]")
        lines += self._warm_up()
        return "\n".join(lines) + "\n"

    def _warm_up(self) -> list[str]:
        """One request of zeros before the model counts as ready."""
        rows = []
        for name, kind, _ in self.tensors["input"]:
            dims = list(self.warm_up.get(name, ()))
            rows.append(f'inputs {{ key: "{name}" value {{ data_type: TYPE_{kind} dims: {dims} zero_data: true }} }}')
        batch = f"batch_size: {max(self.preferred, default=1)} " if self.largest else ""
        return [f'model_warmup [ {{ name: "zeros" {batch}{" ".join(rows)} }} ]']


def write(
    model: Any,
    folder: str | Path,
    *,
    name: str | None = None,
    batches: Sequence[int] = (1, 8, 32),
    delay_us: int = 1000,
    instances: int = 1,
    python: bool | None = None,
    precision: str | None = None,
) -> Path:
    """Write `folder/<name>/` with config.pbtxt and version 1; returns that folder.

    model: an ONNX file (built here for batches up to the last of `batches`), a plan's path, or a BuildReport.
    batches: sizes that the server should prefer; `advice.buckets.propose` finds them in a sample of real requests.
    delay_us: how long a request may wait for others. instances: copies of the model on each device.
    python: serve through the Python backend and `tl.Session`; None: only where TensorRT is not the backend.
    LessonError for a name that Triton refuses, a plan that does not load here, or a plan whose batch is too small.
    """
    python = not backend.is_gpu() if python is None else python
    report = plan_for(model, sorted(batches), precision)
    name = name or (model.name if isinstance(model, BuildReport) else Path(model).stem)
    if not NAME.fullmatch(name):
        raise LessonError(f"{name!r} cannot be a model's name in Triton", cure="letters, digits, _ . and -")
    with Session(report) as session:  # a plan of another card or version is refused here, in words
        config = describe(session, name, sorted(batches), python=python, delay_us=delay_us, instances=instances)
        plan = report.plan if isinstance(report, BuildReport) else Path(report).read_bytes()
    place = Path(folder) / name
    (place / "1").mkdir(parents=True, exist_ok=True)
    write_atomically(place / "1" / "model.plan", plan)
    if python:
        shutil.copyfile(Path(__file__).with_name("model.py"), place / "1" / "model.py")
    write_atomically(place / "config.pbtxt", config.text().encode())
    return place


def describe(session: Session, name: str, batches: Sequence[int], *, python: bool, **options: Any) -> Config:
    """The config that fits a session's engine. options: delay_us, instances."""
    ranges = {n: session._range(n) for n in session.inputs}
    open_batch = all(info.shape and info.shape[0] == -1 for info in session.inputs.values())
    largest = min(high[0] for _, _, high in ranges.values()) if open_batch else 0
    if open_batch and batches and batches[-1] > largest:
        raise LessonError(
            f"batches of {batches[-1]} are asked for, the plan of {name} takes {largest}",
            why="the server would send what the engine refuses",
            cure="build the plan with a larger profile, or ask for smaller batches",
        )
    cut = 1 if open_batch else 0
    tensors = {
        side: [(i.name, TYPES[str(np.dtype(i.dtype))], tuple(i.shape[cut:])) for i in found.values()]
        for side, found in (("input", session.inputs), ("output", session.outputs))
    }
    warm = {n: tuple(best[cut:]) for n, (_, best, _) in ranges.items()}
    preferred = tuple(b for b in batches if b > 1) if open_batch else ()
    platform = "python" if python else "tensorrt_plan"
    gpu = backend.is_gpu() and not python
    return Config(
        name, platform, largest, tensors, preferred, gpu=gpu, profile=session.profile, warm_up=warm, **options
    )


def plan_for(model: Any, batches: Sequence[int], precision: str | None) -> Any:
    """A BuildReport (an ONNX file is built here, for batches up to the last), or a plan's path as it was given."""
    if isinstance(model, BuildReport) or Path(model).suffix != ".onnx":
        return model
    proto = read_onnx(model)
    held = {tensor.name for tensor in proto.graph.initializer}
    ranges = {}
    for value in (v for v in proto.graph.input if v.name not in held):
        dims = [d.dim_value for d in value.type.tensor_type.shape.dim]
        if dims and dims[0] < 1 and all(n > 0 for n in dims[1:]):
            ranges[value.name] = [(n, *dims[1:]) for n in (1, batches[-1], batches[-1])]
    return build(model, profiles=ranges or None, precision=precision, progress=False)
