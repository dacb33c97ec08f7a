"""Where a number comes from: the machine, the versions, the commit, the time.

A figure without this is a rumour. Introduced in lesson 00.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
import uuid
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from ..messages import Said, later

PACKAGES = (
    "numpy",
    "onnx",
    "onnxruntime",
    "torch",
    "pycuda",
    "cuda-bindings",
    "nvidia-modelopt",
    "trt-lessons",
)


@dataclass(frozen=True)
class Provenance:
    """Machine, versions, commit and time of one number.

    utc: ISO time to the second. commit: git commit, "unknown" outside a clone; dirty: the tree had changes.
    model_sha256 and plan_sha256: of the ONNX file and of the plan, None where there is none.
    """

    gpu: str | None
    driver: str | None
    cuda: str | None
    tensorrt: str | None
    packages: dict[str, str] = field(default_factory=dict)
    utc: str = ""
    commit: str = "unknown"
    dirty: bool = False
    run: str = ""
    model_sha256: str | None = None
    plan_sha256: str | None = None
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def date(self) -> str:
        """Day of the run, YYYY-MM-DD."""
        return self.utc[:10]

    def note(self, source: str = "recorded") -> str:
        """For the corner of a figure: "recorded on NVIDIA H200, TensorRT 8.6.0, 2026-11-22"."""
        if source == "recorded":
            return Said(later(f"recorded on {self.gpu or 'this CPU'}, TensorRT {self.tensorrt}, {self.date}"))
        return Said(later(f"measured on {self.gpu or 'this CPU'}, TensorRT {self.tensorrt}, {self.date}"))

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Provenance:
        """Back from `to_dict`; keys of later versions are left out."""
        known = {f.name for f in fields(cls)}
        return cls(**{k: v for k, v in data.items() if k in known})

    def about(self, **changes: Any) -> Provenance:
        """The same machine and run, about another model, plan or set of options."""
        return replace(self, **changes)


def utc_now() -> str:
    """UTC time to the second, ISO 8601."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@lru_cache(maxsize=1)
def run_id() -> str:
    """One identifier for the whole run; TRT_LESSONS_RUN carries it from `trt-lessons record` on."""
    return (
        os.environ.get("TRT_LESSONS_RUN") or f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{uuid.uuid4().hex[:6]}"
    )


def commit() -> tuple[str, bool]:
    """Git commit of the workbook and whether the tree has changes beside recordings and notebook outputs.

    TRT_LESSONS_COMMIT ("<sha>" or "<sha>-dirty") speaks for a copy without its .git folder.
    """
    told = os.environ.get("TRT_LESSONS_COMMIT")
    if told:
        return told.removesuffix("-dirty"), told.endswith("-dirty")
    return _commit_of_clone()


@lru_cache(maxsize=1)
def _commit_of_clone() -> tuple[str, bool]:
    root = Path(__file__).resolve().parents[2]
    try:
        sha = _git(root, "rev-parse", "HEAD").strip()
        changed = _git(root, "status", "--porcelain", "--", ".", ":!data/recordings", ":!notebooks", ":!workbook")
    except (OSError, subprocess.SubprocessError):
        return "unknown", False
    return sha, bool(changed.strip())


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=20, check=True)
    return done.stdout


@lru_cache(maxsize=1)
def _packages() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def here(**about: Any) -> Provenance:
    """Provenance of this process, now: about this backend's machine, versions, commit and run.

    about: model_sha256, plan_sha256, options.
    """
    from .. import backend

    told = backend.describe()
    sha, dirty = commit()
    return Provenance(
        gpu=told.gpu,
        driver=_text(told.driver),
        cuda=_text(told.cuda_version),
        tensorrt=_text(told.trt_version),
        packages=dict(_packages()),
        utc=utc_now(),
        commit=sha,
        dirty=dirty,
        run=run_id(),
        **about,
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def folder_name(gpu: str | None, tensorrt: str | None) -> str:
    """Folder of a machine's recordings: folder_name("NVIDIA H200", "8.6.0") is "nvidia-h200_trt8.6.0"."""
    slug = re.sub(r"[^a-z0-9]+", "-", (gpu or "cpu").lower()).strip("-")
    return f"{slug}_trt{tensorrt}"
