"""What doctor asks this machine, each probe a method, so that faults can be simulated; and what a finding is."""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import cache_root, home, probe
from ..messages import joined, told


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
        told_more = ((told("cause:"), self.cause), (told("do:"), self.cure))
        more = [f"       {joined(label, told(text))}" for label, text in told_more if text]
        return "\n".join([f"{mark} {told(self.what)}", *more])


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

    def is_wsl(self) -> bool:
        """Is this Linux inside Windows? Its GPU device, or its kernel's name, says so."""
        try:
            return Path("/dev/dxg").exists() or "microsoft" in Path("/proc/version").read_text(encoding="utf-8").lower()
        except OSError:
            return False

    def hiding_tensorrt(self) -> str:
        """What is imported as `tensorrt` and is not TensorRT: a file or a folder; "" when it is TensorRT."""
        look = "import tensorrt as t; print('' if hasattr(t, 'Builder') else t.__file__ or list(t.__path__)[0])"
        done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True)
        return done.stdout.strip()

    def driver_version(self) -> str:
        """Version of the kernel driver, or ""."""
        try:
            words = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8").split()
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
        from ..advice import nvidia

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


def has_gpu(m: Machine) -> bool:
    """Does a GPU answer?"""
    cuda = m.cuda()
    return not isinstance(cuda, str) and cuda[0] > 0


def two_cudas(folder: Path) -> Path:
    """Make in `folder` what site-packages look like after `pip install tensorrt-cu12` and, later, `tensorrt-cu13`.

    The metadata of both, and a module `tensorrt` whose library belongs to a CUDA that is not there. Returns the
    folder to put first where modules are looked for. Lesson 07 breaks this one, so that no real one is broken.
    """
    site = Path(folder) / "site"
    for name, number in {"tensorrt_cu12": "10.16.1", "tensorrt_cu13": "11.4.0"}.items():
        metadata = site / f"{name}-{number}.dist-info" / "METADATA"
        metadata.parent.mkdir(parents=True)
        metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n")
    (site / "tensorrt").mkdir()
    (site / "tensorrt" / "__init__.py").write_text("import ctypes\nctypes.CDLL('libcudart.so.99')\n")
    return site
