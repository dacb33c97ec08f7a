"""Which TensorRT and which CUDA this process uses: `trt`, `cuda`, `cudart`, and `describe()`.

`TRT_LESSONS_BACKEND` = auto (the default), tensorrt or interpreter. `auto` takes TensorRT when a device
answers and TensorRT imports, else the interpreter on the CPU, and says why in one line. `TRT_LESSONS_CUDA` =
auto, pycuda or cuda-python chooses the package for CUDA's calls. The choice is made once, when first needed.
Introduced in lesson 00.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import BackendError
from .messages import told

BACKENDS = ("auto", "tensorrt", "interpreter")
CUDA_PACKAGES = ("auto", "pycuda", "cuda-python")
INSTALL = "in the workbook's folder: pip install '.[gpu]' (make lab does it on a machine with a GPU)"
WITHOUT_GPU = "unset TRT_LESSONS_BACKEND, or set it to interpreter, to work on the CPU"


@dataclass(frozen=True)
class Choice:
    """The backend's name and, in one line, why it was chosen."""

    name: str
    reason: str


@dataclass(frozen=True)
class Description:
    """What this process works with; str() is one line. Versions and names are None where there is none."""

    backend: str
    reason: str
    trt_version: str
    gpu: str | None
    driver: str | None
    cuda_version: str | None
    cuda_package: str
    python: str

    def __str__(self) -> str:
        if self.backend == "interpreter":
            return told(f"the interpreter, on the CPU ({self.reason})")
        extras = [
            f"driver {self.driver}" if self.driver else "",
            f"CUDA {self.cuda_version}",
            self.cuda_package,
        ]
        return told(f"TensorRT {self.trt_version} on {self.gpu} ({', '.join(filter(None, extras))})")


def name() -> str:
    """`tensorrt` or `interpreter`."""
    return choice().name


def is_gpu() -> bool:
    """Is this TensorRT on a GPU?"""
    return name() == "tensorrt"


def describe() -> Description:
    """Backend, versions and device of this process."""
    gpu = is_gpu()
    this = sys.modules[__name__]
    return Description(
        backend=name(),
        reason=choice().reason,
        trt_version=str(this.trt.__version__),
        gpu=this.cuda.Device(0).name() if gpu else None,
        driver=_driver_version() if gpu else None,
        cuda_version=_cuda_version() if gpu else None,
        cuda_package=cuda_package(),
        python=platform.python_version(),
    )


def cuda_package() -> str:
    """Which package `cuda` comes from: `pycuda`, `cuda-python` or `interpreter`."""
    module = sys.modules[__name__].cuda.__name__
    return {"pycuda.driver": "pycuda", "trt_lessons.driver.cuda_python": "cuda-python"}.get(module, "interpreter")


# ---- the choice ----


@functools.cache
def choice() -> Choice:
    """Choose the backend, once. BackendError when the one asked for by name is not there."""
    asked = _setting("TRT_LESSONS_BACKEND", BACKENDS)
    if asked == "interpreter":
        return Choice("interpreter", "TRT_LESSONS_BACKEND asks for it")
    missing = _what_is_missing()
    if missing is None:
        reason = "TRT_LESSONS_BACKEND asks for it" if asked == "tensorrt" else "TensorRT imports and a GPU answers"
        return Choice("tensorrt", reason)
    if asked == "tensorrt":
        raise missing
    return Choice("interpreter", missing.why)


def _setting(variable: str, valid: tuple[str, ...]) -> str:
    value = os.environ.get(variable, "").strip().lower() or "auto"
    if value not in valid:
        raise BackendError(
            f"{variable}={value!r} is not known",
            why=f"it can be {', '.join(valid[:-1])} or {valid[-1]}",
            cure=f"set it to one of these, or unset it (the same as {valid[0]})",
        )
    return value


def _what_is_missing() -> BackendError | None:
    """Why TensorRT cannot be used, or None. Makes no TensorRT object: without a GPU that may crash."""
    installed = importlib.util.find_spec("tensorrt") is not None
    gpus, why = count_gpus()
    if not installed:
        there = "a GPU answers, but " if gpus else ""
        return _missing(f"{there}TensorRT is not installed", f"{INSTALL}; {WITHOUT_GPU}")
    if not gpus:
        return _missing(why, f"use a machine with an NVIDIA GPU and its driver; {WITHOUT_GPU}")
    try:
        module = importlib.import_module("tensorrt")
    except Exception as cause:  # the loader raises ImportError, OSError, FileNotFoundError and others
        return _missing(
            f"TensorRT is installed but does not import; are its libraries there? ({_line(cause)})",
            f"install it with its libraries: {INSTALL}; {WITHOUT_GPU}",
        )
    if not hasattr(module, "Builder"):
        return _missing(
            f"the module named tensorrt is not TensorRT ({getattr(module, '__file__', None) or 'a folder'})",
            f"rename what hides it, or {INSTALL}; {WITHOUT_GPU}",
        )
    return None


def _missing(why: str, cure: str) -> BackendError:
    return BackendError("TensorRT cannot be used here", why=why, cure=cure)


def _line(cause: Exception) -> str:
    text = " ".join(str(cause).split()) or type(cause).__name__
    return text if len(text) <= 160 else text[:157] + "..."


def count_gpus() -> tuple[int, str]:
    """(number of GPUs that answer, why there are none), asked of the driver itself."""
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        return 0, f"no NVIDIA driver is installed ({library} was not found)"
    code = driver.cuInit(0)
    if code == 100:
        return 0, "the NVIDIA driver finds no GPU (is one there, and visible? see CUDA_VISIBLE_DEVICES)"
    if code:
        return 0, f"the NVIDIA driver does not start (cuInit gave error {code})"
    count = ctypes.c_int(0)
    code = driver.cuDeviceGetCount(ctypes.byref(count))
    if code or not count.value:
        return 0, "the NVIDIA driver finds no GPU (is one there, and visible? see CUDA_VISIBLE_DEVICES)"
    return count.value, ""


# ---- the modules ----


def _load_trt() -> Any:
    return importlib.import_module("tensorrt" if is_gpu() else "trt_lessons.interpreter.tensorrt")


def _load_cuda() -> Any:
    if not is_gpu():
        return importlib.import_module("trt_lessons.driver.cpu_cuda")
    asked = _setting("TRT_LESSONS_CUDA", CUDA_PACKAGES)
    if asked == "cuda-python":
        return _load_cuda_python()
    try:
        importlib.import_module("pycuda.autoprimaryctx")  # the context that TensorRT and PyTorch use, popped at exit
        return importlib.import_module("pycuda.driver")
    except ImportError as cause:
        if asked == "pycuda":
            raise BackendError(
                "PyCUDA cannot be used here",
                why=f"it does not import ({_line(cause)})",
                cure="conda install -c conda-forge pycuda, or set TRT_LESSONS_CUDA=cuda-python",
            ) from cause
        return _load_cuda_python()


def _load_cuda_python() -> Any:
    module = importlib.import_module("trt_lessons.driver.cuda_python")
    module.use_primary_context()
    return module


def _load_cudart() -> Any:
    if not is_gpu():
        return importlib.import_module("trt_lessons.driver.cpu_cudart")
    _ = sys.modules[__name__].cuda  # the context first
    try:
        return importlib.import_module("cuda.bindings.runtime")
    except ImportError as cause:
        raise BackendError(
            "CUDA graphs cannot be used here",
            why=f"cuda-bindings does not import ({_line(cause)})",
            cure="pip install cuda-bindings, of the CUDA major that TensorRT uses",
        ) from cause


_LOADERS = {"trt": _load_trt, "cuda": _load_cuda, "cudart": _load_cudart}


def __getattr__(wanted: str) -> Any:
    if wanted not in _LOADERS:
        raise AttributeError(f"module {__name__!r} has no attribute {wanted!r}")
    module = globals()[wanted] = _LOADERS[wanted]()
    return module


def _forget() -> None:
    """Choose again at the next use: for tests."""
    choice.cache_clear()
    for loaded in _LOADERS:
        globals().pop(loaded, None)


@contextlib.contextmanager
def in_this_thread() -> Iterator[None]:
    """Make CUDA usable in a thread other than the main one: the context is pushed, and popped at the end."""
    cuda = sys.modules[__name__].cuda
    context = cuda.Device(0).retain_primary_context()
    context.push()
    try:
        yield
    finally:
        cuda.Context.pop()


def elsewhere(program: str, *arguments: str, front: Any = None, timeout: float = 240) -> subprocess.CompletedProcess:
    """Run a Python program in a process of its own, on this backend; its stdout, stderr and returncode.

    program: source text, or "-m package.module". front: a folder to put first where modules are looked for.
    A crash or an abort in there does not reach this process. TimeoutExpired after `timeout` seconds. Lesson 07.
    """
    path = os.pathsep.join([str(front)] * (front is not None) + sys.path)
    place = {**os.environ, "PYTHONPATH": path, "TRT_LESSONS_BACKEND": name()}
    how = program.split() if program.startswith("-m ") else ["-c", program]
    command = [sys.executable, *how, *map(str, arguments)]
    return subprocess.run(command, env=place, capture_output=True, text=True, timeout=timeout)


def load_alone(path: Any) -> str:
    """What TensorRT's own call makes of a plan file, in a process of its own: "ICudaEngine", "NoneType", or how the
    process ended: damaged plans have ended whole processes. No checksum is looked at. Lesson 07."""
    program = """
import sys
from pathlib import Path
from trt_lessons import trt
plan = Path(sys.argv[1]).read_bytes()
print(type(trt.Runtime(trt.Logger()).deserialize_cuda_engine(plan)).__name__)
"""
    done = elsewhere(program, str(path))
    return f"the process ended with {done.returncode}" if done.returncode else done.stdout.split()[-1]


def tool(*words: Any, timeout: float = 240) -> str:
    """What a command of this environment prints, such as `tool("polygraphy", "run", path, "--onnxrt")`; stdout and
    stderr together. BackendError where it is not installed. Lesson 07."""
    command = _command(str(words[0]))
    if command is None:
        raise BackendError(f"there is no command {words[0]} here", why="its package is not installed", cure="make lab")
    joined = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "timeout": timeout}
    return subprocess.run([*command, *map(str, words[1:])], **joined).stdout


def _command(wanted: str) -> list[str] | None:
    """How to start a command: its file, or where a package was only unpacked the function that it names."""
    places = [os.path.dirname(sys.executable), os.environ.get("PATH", "")]
    if file := shutil.which(wanted, path=os.pathsep.join(places)):
        return [file]
    for entry in importlib.metadata.entry_points(group="console_scripts", name=wanted):
        module, _, function = entry.value.partition(":")
        start = f"import sys; from {module} import {function}; sys.argv[0] = {wanted!r}; sys.exit({function}())"
        return [sys.executable, "-c", start]
    return None


# ---- versions ----


def _cuda_version() -> str | None:
    try:
        number = sys.modules[__name__].cudart.cudaRuntimeGetVersion()[1]
        return f"{number // 1000}.{number % 1000 // 10}"
    except (BackendError, TypeError):
        return ".".join(map(str, sys.modules[__name__].cuda.get_version()[:2]))


def _driver_version() -> str | None:
    try:
        told = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8")
        found = re.search(r"Module.*?\s(\d+(?:\.\d+)+)\s", told)
        return found.group(1) if found else None
    except OSError:
        pass
    try:
        nvml = importlib.import_module("pynvml")
        nvml.nvmlInit()
        version = nvml.nvmlSystemGetDriverVersion()
        return version.decode() if isinstance(version, bytes) else str(version)
    except Exception:  # no such package, or a driver without NVML: the version stays unknown
        return None
