"""A plan: what a build returns, what it is tied to, and loading one without surprises.

Introduced in lesson 02; lesson 04_4 is about plans on disk.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import backend, compat
from ..errors import PlanError
from ..files import sha256


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
    if hasattr(plan, "plan"):
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
    if sidecar.is_file() and sidecar.read_text(encoding="utf-8").split()[:1] != [sha256(data)]:
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
