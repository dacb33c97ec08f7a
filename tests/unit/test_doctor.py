"""doctor names each fault rightly, on simulated machines; on this one it answers every question."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from trt_lessons import doctor
from trt_lessons.advice.nvidia import Availability
from trt_lessons.doctor import GIB, Finding, Machine, examine, report

TRT = {f"tensorrt-cu12{part}": "11.4.0.106" for part in ("", "-bindings", "-libs")}
BASE = dict.fromkeys(doctor.BASE_PACKAGES, "1.0")
HERE = Availability(True, "TensorRT-RTX 1.7.1.116", version="1.7.1.116")


@dataclass
class Pretended(Machine):
    """A machine in perfect order, with a GPU; a test changes one thing."""

    packages: dict = field(default_factory=lambda: {**BASE, **TRT, "pycuda": "2026.1"})
    modules: tuple = ("tensorrt", "pycuda", "cuda.bindings")
    import_errors: dict = field(default_factory=dict)
    device_files: bool = True
    gpu: object = (1, 12, 9)
    pins: dict = field(default_factory=lambda: dict(BASE))
    free: int = 100 * GIB
    write_error: str = ""
    shm: int | None = GIB
    settings: dict = field(default_factory=dict)
    version_of_python: tuple = (3, 12)
    compiler: Availability = HERE

    def python(self):
        return self.version_of_python

    def version(self, package):
        return self.packages.get(package)

    def has_module(self, name):
        return name in self.modules

    def try_import(self, module):
        return self.import_errors.get(module, "")

    def nvidia_device_files(self):
        return self.device_files

    def driver_version(self):
        return "580.65.06" if self.device_files else ""

    def cuda(self):
        return self.gpu

    def hiding_tensorrt(self):
        return ""

    def is_wsl(self):
        return False

    def nvidia_compiler(self):
        return self.compiler

    def cache_folder(self):
        return Path("cache")

    def free_bytes(self, folder):
        return self.free

    def can_write(self, folder):
        return self.write_error

    def shared_memory(self):
        return self.shm

    def pinned(self):
        return self.pins

    def setting(self, name):
        return self.settings.get(name, "")


def failures(machine: Machine) -> list[Finding]:
    """What doctor finds wrong."""
    return [f for f in examine(machine) if f.ok is False]


def test_all_in_order() -> None:
    assert not failures(Pretended())
    assert all(f.ok for f in examine(Pretended()))


def test_a_laptop_is_in_order_too() -> None:
    laptop = Pretended(packages=BASE, modules=(), device_files=False, gpu="libcuda.so.1 is not installed")
    assert not failures(laptop)
    assert "interpreter" in report(examine(laptop))


NO_LIBS = {"tensorrt": "ImportError: libnvinfer.so.11: cannot open shared object file"}
OTHER_CUDA = {"tensorrt": "ImportError: libcudart.so.13: cannot open shared object file"}
MIXED_TRT = {**BASE, **TRT, "tensorrt-cu12-libs": "10.16.1.11"}
TWO_MAJORS = {**BASE, **TRT, "tensorrt-cu13": "11.4.0.106"}
OLD_BESIDE_NEW = {**BASE, **TRT, "tensorrt": "8.6.0"}
CUDA_13 = {**BASE, **{name.replace("cu12", "cu13"): version for name, version in TRT.items()}}
NEXT_MAJOR = {**BASE, **dict.fromkeys(TRT, "12.0.0.1"), "tensorrt": "12.0.0.1"}
FAULTS = {
    "the driver does not answer": (Pretended(gpu="cuInit failed with status 804"), "does not answer", "nvidia-smi"),
    "no device visible": (Pretended(gpu=(0, 12, 9)), "does not answer", "nvidia-smi"),
    "driver for an older CUDA": (Pretended(gpu=(1, 11, 8)), "too old for CUDA 12", "update the NVIDIA driver"),
    "TensorRT not installed": (
        Pretended(packages={**BASE, "pycuda": "2026.1"}, modules=("pycuda",)),
        "TensorRT is not installed",
        "make lab GPU=yes",
    ),
    "TensorRT without its libraries": (Pretended(import_errors=NO_LIBS), "without its libraries", "tensorrt-cu12-libs"),
    "TensorRT for a CUDA that is not there": (
        Pretended(import_errors=OTHER_CUDA),
        "finds no libcudart.so.13",
        "&& pip install tensorrt-cu12==11.4.*",
    ),
    "mixed versions of TensorRT": (Pretended(packages=MIXED_TRT), "mixed TensorRT", "pip uninstall"),
    "TensorRT for two CUDA majors": (Pretended(packages=TWO_MAJORS), "mixed TensorRT", "pip uninstall"),
    "an old TensorRT beside a new one": (
        Pretended(packages=OLD_BESIDE_NEW),
        "mixed TensorRT",
        "uninstall -y tensorrt ",
    ),
    "TensorRT for CUDA 13, driver for CUDA 12": (
        Pretended(packages=CUDA_13),
        "too old for CUDA 13",
        "&& pip install tensorrt-cu12==11.4.*",
    ),
    "TensorRT jumped a major": (Pretended(packages=NEXT_MAJOR), "12.0.0.1 is not one", "tensorrt-cu12==11.4.*"),
    "TensorRT does not import": (
        Pretended(import_errors={"tensorrt": "ImportError: undefined symbol: PyExc"}),
        "does not import",
        "--force-reinstall tensorrt-cu12",
    ),
    "no way to CUDA": (Pretended(modules=("tensorrt",)), "no way from Python to CUDA", "cuda-bindings"),
    "PyCUDA for another CUDA": (
        Pretended(import_errors={"pycuda.driver": "ImportError: libcurand.so.10"}),
        "PyCUDA is installed but does not import",
        "--force-reinstall pycuda",
    ),
    "no space": (Pretended(free=GIB // 2), "little disk space", "TRT_LESSONS_CACHE"),
    "read-only cache": (Pretended(write_error="Read-only file system"), "cache cannot be written", "TRT_LESSONS_CACHE"),
    "small /dev/shm": (Pretended(shm=1024), "little shared memory", "--shm-size"),
    "other versions": (
        Pretended(packages={**BASE, **TRT, "torch": "2.0"}),
        "mixed versions: torch 2.0",
        "make clean lab",
    ),
    "a package is missing": (Pretended(packages={**TRT, "numpy": "1.0"}), "packages missing: onnx", "make lab"),
    "Python too new": (Pretended(version_of_python=(3, 14)), "Python 3.14", "make lab PYTHON="),
    "unknown backend": (Pretended(settings={"TRT_LESSONS_BACKEND": "cuda"}), "cuda is unknown", "unset"),
    "TensorRT asked for without a GPU": (
        Pretended(settings={"TRT_LESSONS_BACKEND": "tensorrt"}, device_files=False, gpu="none", modules=()),
        "cannot work here",
        "unset",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_names_the_fault(name: str) -> None:
    machine, what, cure = FAULTS[name]
    found = failures(machine)
    matching = [f for f in found if what in f.what]
    assert len(matching) == 1, report(found)
    assert cure in matching[0].cure and matching[0].cause
    assert len(found) <= 2, "one fault is not reported in many places"


def test_the_old_single_package_is_in_order() -> None:
    """TensorRT 8.6 came as one package, without -bindings and -libs."""
    assert not failures(Pretended(packages={**BASE, "tensorrt": "8.6.0", "pycuda": "2026.1"}))


def test_an_unsupported_old_tensorrt_is_told() -> None:
    (found,) = failures(Pretended(packages={**BASE, "tensorrt": "7.2.3", "pycuda": "2026.1"}))
    assert "7.2.3 is not one" in found.what and "it is old" in found.cause


def test_pycuda_missing_is_no_fault_with_cuda_python() -> None:
    machine = Pretended(modules=("tensorrt", "cuda.bindings"))
    assert not failures(machine)
    remark = next(f for f in examine(machine) if f.ok is None)
    assert "cuda-python" in remark.what and "environment.yml" in remark.cure


def test_a_probe_that_breaks_does_not_hide_the_others() -> None:
    class Broken(Pretended):
        def shared_memory(self):
            raise RuntimeError("odd")

    found = failures(Broken(free=0))
    assert [f.what[:10] for f in found] == ["little dis", "the questi"]
    assert "RuntimeError: odd" in found[1].cause


def test_report_marks_and_counts() -> None:
    text = report([Finding(True, "a"), Finding(False, "b", "because", "run"), Finding(None, "c")])
    lines = text.splitlines()
    assert lines[0] == "[OK]   a" and lines[1] == "[FAIL] b"
    assert lines[2].strip() == "cause: because" and lines[3].strip() == "do: run"
    assert lines[4] == "[--]   c" and lines[-1].startswith("1 to mend")


def test_pins_are_read_for_this_python() -> None:
    text = "# why\na==1.0\nb==2.0 ; python_full_version < '3.0'\nb==3.0 ; python_full_version >= '3.0'\n"
    assert doctor.read_pins(text) == {"a": "1.0", "b": "3.0"}


def test_this_machine(tmp_path: Path, monkeypatch) -> None:
    """Every real probe answers; the cache and the disk of this test are in order."""
    monkeypatch.setenv("TRT_LESSONS_CACHE", str(tmp_path / "cache"))
    machine = Machine()
    assert machine.can_write(tmp_path / "cache") == "" and machine.free_bytes(tmp_path / "no" / "such") > 0
    assert machine.try_import("json") == "" and "NoSuch" in machine.try_import("NoSuchModule")
    assert machine.version("numpy") and machine.version("no-such-package") is None
    assert machine.has_module("json") and not machine.has_module("no.such.module")
    assert isinstance(machine.cuda(), str | tuple)
    assert len(machine.pinned()) > 100
    assert "could not be answered" not in report(examine(machine))


def test_two_cudas_in_a_real_folder(tmp_path: Path) -> None:
    """Nothing is pretended here: packages of two CUDA majors, and a module whose library is not there."""
    for name, number in {"tensorrt_cu12": "10.16.1", "tensorrt_cu13": "11.4.0"}.items():
        metadata = tmp_path / f"{name}-{number}.dist-info" / "METADATA"
        metadata.parent.mkdir()
        metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n")
    (tmp_path / "tensorrt").mkdir()
    (tmp_path / "tensorrt" / "__init__.py").write_text("import ctypes\nctypes.CDLL('libcudart.so.99')\n")
    program = (
        "from trt_lessons import doctor as d\nprint(d.report(a(d.Machine()) for a in (d.tensorrt_mixed, d.tensorrt)))"
    )
    place = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run([sys.executable, "-c", program], env=place, capture_output=True, text=True, timeout=60)
    assert "[FAIL] mixed TensorRT packages" in done.stdout, done.stderr
    assert "finds no libcudart.so.99" in done.stdout


def ask_really(folder: Path, packages: dict[str, str], files: dict[str, str]) -> str:
    """The doctor's report in a process whose path begins with a folder of these packages and files; a GPU is told."""
    for name, number in packages.items():
        metadata = folder / f"{name.replace('-', '_')}-{number}.dist-info" / "METADATA"
        metadata.parent.mkdir(parents=True)
        metadata.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    program = (
        "from trt_lessons import doctor as d\nclass Here(d.Machine):\n    def cuda(self): return (1, 12, 9)\n"
        "print(d.report(a(Here()) for a in (d.tensorrt,)))"
    )
    place = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
    done = subprocess.run([sys.executable, "-c", program], env=place, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "files", [{"tensorrt/notes.txt": ""}, {"tensorrt.py": "x = 1\n"}, {"tensorrt/__init__.py": ""}]
)
def test_what_hides_tensorrt_is_named(tmp_path: Path, files: dict[str, str]) -> None:
    said = ask_really(tmp_path, {"tensorrt-cu12": "11.4.0"}, files)
    assert "[FAIL] the module named tensorrt is not TensorRT" in said and str(tmp_path / "tensorrt") in said


@pytest.mark.parametrize("version", ["8.6.1", "10.3.0", "11.4.0"])
def test_the_command_keeps_the_version_that_is_installed(tmp_path: Path, version: str) -> None:
    text = "raise ImportError('libnvinfer.so.10: cannot open shared object file: No such file or directory')\n"
    said = ask_really(
        tmp_path, {"tensorrt-cu12": version, "tensorrt-cu12-bindings": version}, {"tensorrt/__init__.py": text}
    )
    assert f"tensorrt-cu12=={version}" in said and "without its libraries" in said


def test_cudnn_is_called_by_its_name(tmp_path: Path) -> None:
    text = "raise ImportError('libcudnn.so.8: cannot open shared object file: No such file or directory')\n"
    said = ask_really(tmp_path, {"tensorrt": "8.6.1"}, {"tensorrt/__init__.py": text})
    assert "cuDNN" in said and "nvidia-cudnn" in said


def test_wsl_names_the_folder_of_windows_driver() -> None:
    class Wsl(Pretended):
        def driver_version(self):
            return ""

    said = doctor.driver(Wsl(gpu="libcuda.so.1 is not installed")).lines()
    assert "/usr/lib/wsl/lib" in said and said.startswith("[FAIL]")


def test_unwritable_folder_is_told(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert "Not a directory" in Machine().can_write(file / "cache") or "exists" in Machine().can_write(file)


@pytest.mark.parametrize(
    ("compiler", "ok", "says"),
    [
        (HERE, True, "TensorRT-RTX 1.7.1.116"),
        (Availability(False, "TensorRT-RTX is not installed", "make lab"), None, "not installed"),
        (
            Availability(False, "no libs", "pip install --force-reinstall x", "1.7.1"),
            False,
            "no libs",
        ),
    ],
)
def test_nvidias_compiler(compiler: Availability, ok: bool | None, says: str) -> None:
    found = doctor.nvidia_compiler(Pretended(compiler=compiler))
    assert found.ok is ok and says in found.lines()
    assert ok is not False or "--force-reinstall" in found.cure
