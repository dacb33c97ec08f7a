"""A plan: what a build returns, what it is tied to, and loading one without surprises.

Introduced in lesson 02; lesson 04_4 is about plans on disk.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import backend, compat
from .errors import CacheError, PlanError
from .files import sha256, write_atomically
from .profiles import show


@dataclass(repr=False)
class BuildReport:
    """A plan and how it came to be.

    plan: bytes. seconds: how long the build took when the plan was made (also when it came from the cache).
    log: (severity name, text) lines of that build. inputs, outputs: {name, dtype, shape with -1}.
    network: {name, type, dtype, metadata, reads, makes} of each layer. notes: remarks in plain words.
    """

    plan: bytes
    name: str
    seconds: float
    from_cache: bool
    options: dict[str, Any]
    log: list[tuple[str, str]]
    onnx_sha256: str | None
    inputs: list[dict[str, Any]] = field(default_factory=list)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    profiles: list[dict[str, Any]] = field(default_factory=list)
    network: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    made_by: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of the plan."""
        return len(self.plan)

    @property
    def plan_sha256(self) -> str:
        """sha256 of the plan, hexadecimal."""
        return sha256(self.plan)

    @property
    def asked(self) -> str | None:
        """The precision asked for and verified, None where none was asked for."""
        return self.options.get("precision")

    def engine(self) -> Any:
        """Deserialize the plan: an `ICudaEngine`."""
        return load(self.plan, name=self.name)

    def session(self, **options: Any) -> Any:
        """A `Session` that runs this plan."""
        from .session import Session

        return Session(self, **options)

    def layers(self) -> Any:
        """What is in the engine: `layers.table`, each engine layer with the network layers it holds."""
        from . import layers

        return layers.table(self.engine(), network=self.network, title=self.name)

    def save(self, path: str | os.PathLike) -> Path:
        """Write the plan, and beside it `<path>.sha256`, which `load` and `sha256sum -c` check. Raises CacheError."""
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            sidecar = Path(f"{path}.sha256")
            sidecar.unlink(missing_ok=True)  # a kill between the two writes leaves no wrong sum
            write_atomically(path, self.plan)
            write_atomically(sidecar, f"{self.plan_sha256}  {path.name}\n".encode())
        except OSError as error:
            cure = "make room or permit it, or name another place"
            raise CacheError(f"{path} cannot be written", why=error.strerror or str(error), cure=cure) from error
        return path

    def summary(self) -> None:
        """Print what every backend agrees on: inputs, outputs, profiles, the precision asked for."""
        print(self.name)
        width = max((len(t["name"]) for t in self.inputs + self.outputs), default=0)
        for word, tensors in (("input", self.inputs), ("output", self.outputs)):
            for t in tensors:
                print(f"  {word:<9} {t['name']:<{width}}  {t['dtype']:<8} {show(t['shape'])}")
        for i, profile in enumerate(self.profiles):
            for name, shapes in profile.items():
                low, best, high = map(show, shapes)
                print(f"  profile {i} {name:<{width}}  min {low}, opt {best}, max {high}")
        told = f"{self.asked}, verified in the engine" if self.asked else "as the graph says"
        print(f"  precision {told}")

    def __repr__(self) -> str:
        ins, outs = (", ".join(f"{t['name']} {show(t['shape'])}" for t in x) for x in (self.inputs, self.outputs))
        return f"BuildReport({self.name}: {ins} -> {outs}, precision {self.asked or 'as in the graph'})"


def made_by() -> dict[str, Any]:
    """What a plan is tied to."""
    told = backend.describe()
    return {
        "backend": told.backend,
        "tensorrt": str(told.trt_version),
        "gpu": told.gpu,
        "driver": None if told.driver is None else str(told.driver),
    }


_WARNED: set[str] = set()


def load(plan: Any, *, name: str = "", log: Any = None, host_code: bool = False) -> Any:
    """Deserialize a plan: path, bytes, `IHostMemory` or BuildReport to `ICudaEngine`.

    host_code: allow code for the CPU inside the plan (version-compatible plans have it). Such a plan is a
    program: allow it only for plans that you built. PlanError says in plain words why a plan does not load.
    """
    data, called = _plan_bytes(plan, name)
    _refuse_foreign(data, called, host_code)
    log = log if log is not None else compat.shared_log()
    mark = len(getattr(log, "records", ()))
    compat.register_plugins(log)
    runtime = backend.trt.Runtime(log)
    if host_code:
        runtime.engine_host_code_allowed = True
    engine = runtime.deserialize_cuda_engine(data)
    if engine is None:
        raise _load_failed(called, log_lines(log, mark))
    return engine


def _plan_bytes(plan: Any, name: str) -> tuple[bytes, str]:
    if isinstance(plan, BuildReport):
        return plan.plan, name or plan.name
    if not isinstance(plan, (str, os.PathLike)):
        return bytes(plan), name or "this plan"
    path = Path(plan)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PlanError(
            f"cannot read the plan {path}", why=str(error), cure="check the path, or build it first"
        ) from None
    sidecar = Path(f"{path}.sha256")
    if sidecar.is_file() and sidecar.read_text().split()[:1] != [sha256(data)]:
        raise PlanError(
            f"{path} is not what was saved",
            why=f"its sha256 is not the one in {sidecar.name}: it was changed, damaged or cut short",
            cure="build it again, or copy it again together with its .sha256",
        )
    return data, name or str(path)


def _refuse_foreign(data: bytes, called: str, host_code: bool) -> None:
    """PlanError for bytes that this backend must not even try (TensorRT 8.6 may crash on them)."""
    ours = compat.is_interpreter()
    cure = "build the model here: a plan runs on the TensorRT and the GPU that built it"
    if not data:
        raise PlanError(f"{called} is empty", cure="build it again")
    if data.startswith(compat.INTERPRETER_MAGIC):
        if not ours:
            raise PlanError(f"{called} was made by the interpreter; TensorRT cannot run it", cure=cure)
        return
    if data.startswith(compat.TENSORRT_MAGIC):
        if ours:
            raise PlanError(f"{called} was made by TensorRT; the interpreter cannot run it", cure=cure)
        return
    if ours or not (compat.survives_any_bytes() or host_code):
        raise PlanError(
            f"{called} is not a plan",
            why=f"it begins with {data[:8]!r}: damaged, or another kind of file, such as an ONNX model",
            cure="build it again, or give the file that `save` wrote",
        )


def _load_failed(called: str, lines: Sequence[str]) -> PlanError:
    text = " ".join(lines)
    why = "it is damaged, or from another TensorRT"
    if re.search(
        r"version tag|serialization version|TensorRT version|version of TensorRT|its format is|built with", text, re.I
    ):
        why = "it was built by another version of TensorRT"
    elif re.search(r"magic", text, re.I):
        why = "it does not begin as a plan does: damaged, or another kind of file"
    elif re.search(r"size specified in header|blobSize|truncat|end of|checksum|crc|sizeRead|remaining", text, re.I):
        why = "it is damaged or cut short"
    elif re.search(r"compute capability|expecting compute|different (?:gpu|device)|platform", text, re.I):
        why = "it was built for another GPU"
    elif re.search(r"host code|host_code|lean runtime", text, re.I):
        why = "it contains code for the CPU, which is not allowed unless asked for (host_code=True)"
    return PlanError(f"{called} does not load: {why}", why=f"TensorRT said:{quote(lines)}", cure="build it again here")


def log_lines(log: Any, mark: int, limit: int = 8) -> list[str]:
    """Errors and warnings since a mark in the log, each once, the last few."""
    found = [t for n, t in getattr(log, "records", ())[mark:] if n.endswith("ERROR") or n == "WARNING"]
    errors = [t for n, t in getattr(log, "records", ())[mark:] if n.endswith("ERROR")]
    return list(dict.fromkeys(errors or found))[-limit:]


def quote(lines: Sequence[str]) -> str:
    return (
        "".join(f"\n        | {line.strip()}" for line in lines)
        or " nothing (its lines may have gone to another logger)"
    )
