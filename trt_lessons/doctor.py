"""Looks for what usually goes wrong with an environment; each finding names its cause and a command.

Every probe of the machine is a method of `Machine`, so that faults can be simulated.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .files import cache_root, home, probe

GIB = 1024**3
NEEDED_DISK = 2 * GIB  # engines, timing caches, models made on demand
NEEDED_SHM = 64 * 1024**2  # PyTorch's loaders and PyCUDA's pinned buffers use it
TENSORRT_PACKAGES = ("tensorrt", "tensorrt-cu12", "tensorrt-cu13", "tensorrt-lean", "tensorrt-dispatch")
BASE_PACKAGES = ("numpy", "onnx", "onnxruntime", "torch", "matplotlib", "nbclient", "ipykernel")
TENSORRT_CUDA = 12  # the CUDA major of the gpu extra
TENSORRT_MAJORS = ("8", "10", "11")
GPU_EXTRA = "tensorrt-cu12==11.4.*"


@dataclass(frozen=True)
class Finding:
    """One line of the report. ok None: a remark, neither good nor bad (there is simply no GPU)."""

    ok: bool | None
    what: str
    cause: str = ""
    cure: str = ""

    def lines(self) -> str:
        """The text of this finding, ready to print."""
        mark = {True: "[OK]  ", False: "[FAIL]", None: "[--]  "}[self.ok]
        more = [f"       {label}: {t}" for label, t in (("cause", self.cause), ("do", self.cure)) if t]
        return "\n".join([f"{mark} {self.what}", *more])


class Machine:
    """What doctor asks this machine."""

    def python(self) -> tuple[int, int]:
        """(major, minor) of this Python."""
        return sys.version_info[:2]

    def version(self, package: str) -> str | None:
        """Installed version of a package, or None."""
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return None

    def has_module(self, name: str) -> bool:
        """True when a module can be found (it is not imported)."""
        try:
            return importlib.util.find_spec(name) is not None
        except (ImportError, ValueError):
            return False

    def try_import(self, module: str) -> str:
        """Import in a process of its own; the last line of the error, or "" when it works."""
        done = subprocess.run([sys.executable, "-c", f"import {module}"], capture_output=True, text=True)
        if done.returncode == 0:
            return ""
        return (done.stderr.strip().splitlines() or [f"it ended with status {done.returncode}"])[-1]

    def nvidia_device_files(self) -> bool:
        """True when the kernel driver made its device files."""
        return Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists()

    def driver_version(self) -> str:
        """Version of the kernel driver, or ""."""
        try:
            words = Path("/proc/driver/nvidia/version").read_text().split()
            return next((w for w in words if w.count(".") >= 1 and w.replace(".", "").isdigit()), "")
        except OSError:
            return ""

    def cuda(self) -> tuple[int, int, int] | str:
        """(device count, CUDA major, CUDA minor) that the driver supports, or why there is none."""
        try:
            driver = ctypes.CDLL("libcuda.so.1")
        except OSError:
            return "libcuda.so.1 is not installed"
        if status := driver.cuInit(0):
            return f"cuInit failed with status {status}"
        count, version = ctypes.c_int(), ctypes.c_int()
        driver.cuDeviceGetCount(ctypes.byref(count))
        driver.cuDriverGetVersion(ctypes.byref(version))
        return count.value, version.value // 1000, version.value % 1000 // 10

    def nvidia_compiler(self) -> Any:
        """Whether TensorRT-RTX can be asked: `nvidia.Availability`."""
        from .advice import nvidia

        return nvidia.available()

    def cache_folder(self) -> Path:
        """Where engines are kept."""
        return cache_root()

    def free_bytes(self, folder: Path) -> int:
        """Free space where a folder is, or will be."""
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free

    def can_write(self, folder: Path) -> str:
        """Write a small file without a name; the error, or ""."""
        try:
            probe(folder)
            return ""
        except OSError as error:
            return str(error)

    def shared_memory(self) -> int | None:
        """Free bytes in /dev/shm; None where the system has none."""
        shm = Path("/dev/shm")
        return shutil.disk_usage(shm).free if shm.is_dir() else None

    def pinned(self) -> dict[str, str]:
        """package -> version of constraints.txt, for this Python; empty without the file."""
        file = home() / "constraints.txt"
        return read_pins(file.read_text("utf-8")) if file.exists() else {}

    def setting(self, name: str) -> str:
        """An environment variable, or ""."""
        return os.environ.get(name, "")


def read_pins(text: str) -> dict[str, str]:
    """name -> version of the lines `name==version ; marker` whose marker holds here."""
    from packaging.requirements import Requirement

    pins = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate():
                pins[requirement.name] = str(requirement.specifier).removeprefix("==")
    return pins


# --- one question each ------------------------------------------------------------------------------------


def python(m: Machine) -> Finding:
    """Is this Python one that the packages exist for?"""
    version = ".".join(map(str, m.python()))
    if (3, 10) <= m.python() <= (3, 13):
        return Finding(True, f"Python {version}")
    cause = "the pinned packages exist for Python 3.10 to 3.13"
    return Finding(False, f"Python {version}", cause, "make lab PYTHON=python3.12")


def packages(m: Machine) -> Finding:
    """Is the base installed?"""
    missing = [p for p in BASE_PACKAGES if m.version(p) is None]
    if missing:
        cause = "this Python is not the workbook's environment, or its installation was cut short"
        return Finding(False, f"packages missing: {', '.join(missing)}", cause, "make lab")
    return Finding(True, f"the {len(BASE_PACKAGES)} base packages are installed")


def mixed_versions(m: Machine) -> Finding:
    """Are packages at the versions that the workbook was tested with?"""
    pins = m.pinned()
    other = []
    for package in BASE_PACKAGES:
        have, want = m.version(package), pins.get(package)
        if have and want and have.partition("+")[0] != want:
            other.append(f"{package} {have} (tested: {want})")
    if other:
        cause = "another installation changed them, so results may differ from those shown"
        return Finding(False, f"mixed versions: {', '.join(other)}", cause, "make clean lab")
    return Finding(True, "package versions are the tested ones" if pins else "no constraints.txt to compare with")


def driver(m: Machine) -> Finding:
    """Is there a GPU, and does its driver answer?"""
    cuda = m.cuda()
    if not isinstance(cuda, str) and cuda[0] > 0:
        version = m.driver_version()
        what = f"NVIDIA driver {version or '(version unknown)'}, {cuda[0]} GPU, CUDA up to {cuda[1]}.{cuda[2]}"
        return Finding(True, what)
    if m.nvidia_device_files() or m.driver_version():
        cause = cuda if isinstance(cuda, str) else "it reports no device (CUDA_VISIBLE_DEVICES empty?)"
        cure = "nvidia-smi   (a container: start it with --gpus all; a driver just updated: reboot)"
        return Finding(False, "an NVIDIA driver is there but does not answer", cause, cure)
    what = "no NVIDIA GPU: the lessons run on the interpreter, GPU figures are recordings"
    return Finding(None, what)


def cuda_major(m: Machine) -> Finding | None:
    """Does the driver support the CUDA major of the installed TensorRT?"""
    cuda = m.cuda()
    if isinstance(cuda, str) or cuda[0] == 0:
        return None
    needed = 13 if m.version("tensorrt-cu13") and not m.version("tensorrt-cu12") else TENSORRT_CUDA
    if cuda[1] < needed:
        cause = f"the installed TensorRT is for CUDA {needed}; the driver supports CUDA {cuda[1]}.{cuda[2]}"
        cure = "update the NVIDIA driver" if needed == TENSORRT_CUDA else _anew(_tensorrt_parts(m))
        return Finding(False, f"the driver is too old for CUDA {needed}", cause, cure)
    return Finding(True, f"the driver supports CUDA {needed}")


def tensorrt(m: Machine) -> Finding | None:
    """Does TensorRT import, with its libraries?"""
    has_gpu = _has_gpu(m)
    found = {p: v for p in TENSORRT_PACKAGES if (v := m.version(p))}
    if not m.has_module("tensorrt"):
        if not has_gpu:
            return None
        cause = "there is a GPU, but the gpu extra is missing"
        return Finding(False, "TensorRT is not installed", cause, "make lab GPU=yes")
    error = m.try_import("tensorrt")
    name = ", ".join(f"{p} {v}" for p, v in found.items()) or "tensorrt (not from pip)"
    if not error:
        return Finding(True, f"TensorRT imports: {name}")
    if wanted := re.search(r"lib(cudart|cublas|cublasLt|cudnn|nvrtc)\.so\.\d+", error):
        cause = f"it was built for a CUDA that is not there: {error}"
        return Finding(False, f"{name} finds no {wanted[0]}", cause, _anew(_tensorrt_parts(m)))
    if "libnvinfer" in error or "cannot open shared object" in error or "libs" in error:
        cause = f"Python's bindings are installed, the libraries are not: {error}"
        cure = "pip install --force-reinstall tensorrt-cu12-libs==11.4.*"
        return Finding(False, f"{name} is installed without its libraries", cause, cure)
    cure = f"pip install --force-reinstall {GPU_EXTRA}"
    return Finding(False, f"{name} does not import", error, cure)


def tensorrt_mixed(m: Machine) -> Finding | None:
    """Are all parts of TensorRT of one version and one CUDA major?"""
    parts = _tensorrt_parts(m)
    versions = sorted({".".join(v.split(".")[:3]) for v in parts.values()})
    majors = sorted({p.split("-")[1] for p in parts if "-" in p})
    if len(versions) > 1 or len(majors) > 1:
        cause = ", ".join(f"{p} {v}" for p, v in parts.items()) + ": one overwrites files of the other"
        return Finding(False, "mixed TensorRT packages", cause, _anew(parts))
    return Finding(True, f"one TensorRT: {', '.join([*versions, *majors])}") if parts else None


def tensorrt_version(m: Machine) -> Finding | None:
    """Is the installed TensorRT of a major that the lessons are written for?"""
    parts = _tensorrt_parts(m)
    other = sorted({v for v in parts.values() if v.partition(".")[0] not in TENSORRT_MAJORS})
    if not other:
        return None
    newer = int(other[-1].partition(".")[0]) > int(TENSORRT_MAJORS[-1])
    cause = "pip takes the newest where no version is given" if newer else "it is old"
    cause += f"; the lessons know TensorRT {', '.join(TENSORRT_MAJORS)}, and each major takes names away"
    return Finding(False, f"TensorRT {', '.join(other)} is not one that the lessons know", cause, _anew(parts))


def _tensorrt_parts(m: Machine) -> dict[str, str]:
    """name -> version of the installed packages that put files into the folder `tensorrt`."""
    names = ["tensorrt", *(f"tensorrt-cu{major}{part}" for major in (12, 13) for part in ("", "-bindings", "-libs"))]
    return {name: version for name in names if (version := m.version(name))}


def _anew(parts: Collection[str]) -> str:
    """The command that takes these packages away and installs the one TensorRT of the gpu extra."""
    away = f"pip uninstall -y {' '.join(parts)} && " if parts else ""
    return f"{away}pip install {GPU_EXTRA}"


def cuda_python(m: Machine) -> Finding | None:
    """Is there a way from Python to CUDA: PyCUDA, or cuda-python in its place?"""
    if not _has_gpu(m):
        return None
    has_pycuda, has_bindings = m.has_module("pycuda"), m.has_module("cuda.bindings")
    if has_pycuda and (error := m.try_import("pycuda.driver")):
        cause = f"it was built for another CUDA or Python: {error}"
        cure = "pip install --no-cache-dir --force-reinstall pycuda"
        return Finding(False, "PyCUDA is installed but does not import", cause, cure)
    if has_pycuda:
        return Finding(True, f"PyCUDA {m.version('pycuda') or ''}".rstrip())
    if has_bindings:
        cause = "PyCUDA is missing (pip builds it from source and needs a compiler and CUDA's headers)"
        cure = "nothing: the lessons run the same; or conda env create -f environment.yml, which has it built"
        return Finding(None, "cuda-python takes PyCUDA's place", cause, cure)
    cause = "neither PyCUDA nor cuda-python is installed"
    return Finding(False, "no way from Python to CUDA", cause, "pip install 'cuda-bindings==12.9.*'")


def nvidia_compiler(m: Machine) -> Finding:
    """Can NVIDIA's compiler be asked about models? Where it is installed it must load; else it is a remark."""
    there = m.nvidia_compiler()
    if there:
        return Finding(True, f"NVIDIA's compiler can be asked: {there.why}")
    if there.version:  # the wheel is there and does not work
        return Finding(False, "NVIDIA's compiler is installed and cannot be asked", there.why, there.cure)
    return Finding(None, f"NVIDIA's compiler cannot be asked, recorded answers are shown: {there.why}")


def backend_setting(m: Machine) -> Finding:
    """Does TRT_LESSONS_BACKEND name a backend that can work here?"""
    name = m.setting("TRT_LESSONS_BACKEND") or "auto"
    if name not in ("auto", "tensorrt", "interpreter"):
        cause = "TRT_LESSONS_BACKEND is auto, tensorrt or interpreter"
        return Finding(False, f"TRT_LESSONS_BACKEND={name} is unknown", cause, "unset TRT_LESSONS_BACKEND")
    if name == "tensorrt" and not _has_gpu(m):
        cause = "it asks for TensorRT by name on a machine without a GPU that answers"
        what = "TRT_LESSONS_BACKEND=tensorrt cannot work here"
        return Finding(False, what, cause, "unset TRT_LESSONS_BACKEND")
    return Finding(True, f"backend setting: {name}")


def disk(m: Machine) -> Finding:
    """Is there room for engines and models?"""
    folder = m.cache_folder()
    free = m.free_bytes(folder)
    if free < NEEDED_DISK:
        cause = f"{free / GIB:.1f} GiB are free at {folder}; engines take up to {NEEDED_DISK / GIB:.0f} GiB"
        cure = "free some, or export TRT_LESSONS_CACHE=/a/larger/disk"
        return Finding(False, "little disk space", cause, cure)
    return Finding(True, f"disk: {free / GIB:.0f} GiB free for engines")


def cache(m: Machine) -> Finding:
    """Can the engine cache be written?"""
    folder = m.cache_folder()
    if error := m.can_write(folder):
        cure = "export TRT_LESSONS_CACHE=/a/folder/you/may/write"
        return Finding(False, "the cache cannot be written", error, cure)
    return Finding(True, "the cache can be written")


def shared_memory(m: Machine) -> Finding:
    """Is /dev/shm large enough?"""
    free = m.shared_memory()
    if free is not None and free < NEEDED_SHM:
        cause = f"{free / 1024**2:.0f} MiB are free in /dev/shm; containers start with 64 MiB"
        return Finding(False, "little shared memory", cause, "docker run --shm-size=1g ...")
    return Finding(True, "shared memory is enough")


def _has_gpu(m: Machine) -> bool:
    cuda = m.cuda()
    return not isinstance(cuda, str) and cuda[0] > 0


QUESTIONS: tuple[Callable[[Machine], Finding | None], ...] = (
    python,
    packages,
    mixed_versions,
    driver,
    cuda_major,
    tensorrt_mixed,
    tensorrt_version,
    tensorrt,
    cuda_python,
    nvidia_compiler,
    backend_setting,
    disk,
    cache,
    shared_memory,
)


def examine(machine: Machine | None = None) -> list[Finding]:
    """All findings, in the order in which they are best mended."""
    machine = machine or Machine()
    return [finding for ask in QUESTIONS if (finding := _answer(ask, machine))]


def _answer(ask: Callable[[Machine], Finding | None], machine: Machine) -> Finding | None:
    """A probe that breaks is a finding too, so that the others are still heard."""
    try:
        return ask(machine)
    except Exception as error:
        cause = f"{type(error).__name__}: {error}"
        return Finding(False, f"the question about {ask.__name__} could not be answered", cause, "")


def report(findings: Iterable[Finding]) -> str:
    """The whole report as text, with a closing line."""
    findings = list(findings)
    failed = sum(f.ok is False for f in findings)
    end = f"{failed} to mend, from the top down." if failed else "Everything that was looked at is in order."
    return "\n".join([*(f.lines() for f in findings), end])
