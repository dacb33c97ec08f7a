"""Questions about Python, packages, the driver, settings, disks and memory."""

from __future__ import annotations

from .machine import Finding, Machine, has_gpu

GIB = 1024**3
NEEDED_DISK = 2 * GIB  # engines, timing caches, models made on demand
NEEDED_SHM = 64 * 1024**2  # PyTorch's loaders and PyCUDA's pinned buffers use it
BASE_PACKAGES = ("numpy", "onnx", "onnxruntime", "torch", "matplotlib", "nbclient", "ipykernel")

WSL = "/usr/lib/wsl/lib"  # where WSL 2 shows the driver of Windows


def python(m: Machine) -> Finding:
    """Is this Python one that the packages exist for?"""
    version = ".".join(map(str, m.python()))
    if (3, 10) <= m.python() <= (3, 13):
        return Finding(True, f"Python {version}")
    cause = "the packages exist in these versions for Python 3.10 to 3.13"
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
        if isinstance(cuda, str) and "not installed" in cuda and not m.driver_version():
            cause = f"{cuda} where the loader looks, and a GPU's device file is there"
            there = "this is WSL 2" if m.is_wsl() else "on WSL 2"
            cure = f"{there}: Windows' driver lies in {WSL}: export LD_LIBRARY_PATH={WSL}:$LD_LIBRARY_PATH"
            cure += "   (a container: start it with --gpus all)"
            return Finding(False, "an NVIDIA driver is there but does not answer", cause, cure)
        cause = cuda if isinstance(cuda, str) else "it reports no device (CUDA_VISIBLE_DEVICES empty?)"
        cure = "nvidia-smi   (a container: start it with --gpus all; a driver just updated: reboot)"
        return Finding(False, "an NVIDIA driver is there but does not answer", cause, cure)
    what = "no NVIDIA GPU: the lessons run on the interpreter, GPU figures are recordings"
    return Finding(None, what)


def backend_setting(m: Machine) -> Finding:
    """Does TRT_LESSONS_BACKEND name a backend that can work here?"""
    name = m.setting("TRT_LESSONS_BACKEND") or "auto"
    if name not in ("auto", "tensorrt", "interpreter"):
        cause = "TRT_LESSONS_BACKEND is auto, tensorrt or interpreter"
        return Finding(False, f"TRT_LESSONS_BACKEND={name} is unknown", cause, "unset TRT_LESSONS_BACKEND")
    if name == "tensorrt" and not has_gpu(m):
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
