"""Questions about TensorRT, CUDA and NVIDIA's compiler: versions that fit, libraries that load."""

from __future__ import annotations

import re
from collections.abc import Collection

from .machine import Finding, Machine, has_gpu

TENSORRT_PACKAGES = ("tensorrt", "tensorrt-cu12", "tensorrt-cu13", "tensorrt-lean", "tensorrt-dispatch")
TENSORRT_CUDA = 12  # the CUDA major of the gpu extra
TENSORRT_MAJORS = ("8", "10", "11")
GPU_EXTRA = "tensorrt-cu12==11.4.*"


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
    answers = has_gpu(m)
    found = {p: v for p in TENSORRT_PACKAGES if (v := m.version(p))}
    if not m.has_module("tensorrt"):
        if not answers:
            return None
        cause = "there is a GPU, but the gpu extra is missing"
        return Finding(False, "TensorRT is not installed", cause, "make lab GPU=yes")
    error = m.try_import("tensorrt")
    parts = _tensorrt_parts(m)
    name = ", ".join(f"{p} {v}" for p, v in found.items()) or "tensorrt (not from pip)"
    if not error and (hides := m.hiding_tensorrt()):
        cause = f"{hides} is found before TensorRT when Python imports tensorrt, and it has no Builder"
        cure = "rename or move it" if parts else f"rename or move it, then pip install {GPU_EXTRA}"
        return Finding(False, "the module named tensorrt is not TensorRT", cause, cure)
    if not error:
        return Finding(True, f"TensorRT imports: {name}")
    if wanted := re.search(r"libcudnn\w*\.so\.(\d+)", error):
        cause = f"cuDNN, a package of its own that TensorRT 8.6 needs, is not on the loader's path: {error}"
        cure = f"pip install nvidia-cudnn-cu{12 if wanted[1] != '8' else 11}=={wanted[1]}.*"
        cure += "   (and its lib folder in LD_LIBRARY_PATH)"
        return Finding(False, f"{name} finds no {wanted[0]}", cause, cure)
    if wanted := re.search(r"lib(cudart|cublas|cublasLt|nvrtc)\.so\.\d+", error):
        cause = f"it was built for a CUDA that is not there: {error}"
        return Finding(False, f"{name} finds no {wanted[0]}", cause, _anew(_tensorrt_parts(m)))
    if "libnvinfer" in error or "cannot open shared object" in error or "libs" in error:
        cause = f"Python's bindings are installed, the libraries are not: {error}"
        cure = _the_same_again(parts)
        return Finding(False, f"{name} is installed without its libraries", cause, cure)
    return Finding(False, f"{name} does not import", error, _the_same_again(parts))


def _the_same_again(parts: dict[str, str]) -> str:
    """The command that brings bindings and libraries of the one version that is installed; else all anew."""
    versions = {".".join(version.split(".")[:3]) for version in parts.values()}
    majors = {part.split("-")[1] for part in parts if "-" in part}
    if len(versions) != 1 or len(majors) > 1 or next(iter(versions)).partition(".")[0] not in TENSORRT_MAJORS:
        return _anew(parts)
    version, cuda = versions.pop(), f"-{majors.pop()}" if majors else ""
    names = [f"tensorrt{cuda}{part}" for part in (("", "-libs", "-bindings") if cuda else ("",))]
    return f"pip install --no-cache-dir --force-reinstall {' '.join(f'{name}=={version}.*' for name in names)}"


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
    if not has_gpu(m):
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
