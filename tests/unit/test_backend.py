"""The choice of the backend: by default, by name, and what is said when it is not there."""

from __future__ import annotations

import os
import subprocess
import sys
import types

import pytest

from trt_lessons import backend
from trt_lessons.errors import BackendError


@pytest.fixture
def fresh(monkeypatch):
    """A process that has not chosen yet; put back as it was afterwards."""
    kept = {name: vars(backend)[name] for name in ("trt", "cuda", "cudart") if name in vars(backend)}
    backend._forget()
    monkeypatch.delenv("TRT_LESSONS_BACKEND", raising=False)
    monkeypatch.delenv("TRT_LESSONS_CUDA", raising=False)
    yield monkeypatch
    backend._forget()
    vars(backend).update(kept)


def pretend(monkeypatch, *, installed: bool = True, gpus: tuple = (1, ""), module: object = None) -> None:
    """Let the machine look as if TensorRT were installed, and as if a driver answered with `gpus`."""
    real = backend.importlib.util.find_spec
    monkeypatch.setattr(
        backend.importlib.util, "find_spec", lambda n: (installed or None) if n == "tensorrt" else real(n)
    )
    monkeypatch.setattr(backend, "count_gpus", lambda: gpus)
    if module is not None:
        monkeypatch.setitem(sys.modules, "tensorrt", module)


def fake_tensorrt() -> types.ModuleType:
    module = types.ModuleType("tensorrt")
    module.__version__, module.Builder = "11.4.0", object
    return module


def test_a_laptop_gets_the_interpreter_and_is_told_why(fresh):
    pretend(fresh, installed=False, gpus=(0, "no NVIDIA driver is installed"))
    assert backend.name() == "interpreter" and not backend.is_gpu()
    assert backend.choice().reason == "TensorRT is not installed"
    assert backend.trt.__name__ == "trt_lessons.interpreter.tensorrt"
    assert backend.cuda.__name__ == "trt_lessons.driver.cpu_cuda"
    assert backend.cudart.__name__ == "trt_lessons.driver.cpu_cudart"


def test_a_gpu_without_tensorrt_is_pointed_out(fresh):
    pretend(fresh, installed=False)
    assert backend.choice() == backend.Choice("interpreter", "a GPU answers, but TensorRT is not installed")


def test_tensorrt_without_a_device(fresh):
    pretend(fresh, gpus=(0, "the NVIDIA driver finds no GPU"))
    assert backend.choice() == backend.Choice("interpreter", "the NVIDIA driver finds no GPU")


def test_tensorrt_and_a_device(fresh):
    pretend(fresh, module=fake_tensorrt())
    assert backend.name() == "tensorrt" and backend.is_gpu()
    assert backend.trt.__version__ == "11.4.0"


def test_the_choice_is_made_once(fresh):
    fresh.setenv("TRT_LESSONS_BACKEND", "interpreter")
    assert backend.name() == "interpreter"
    fresh.setenv("TRT_LESSONS_BACKEND", "nonsense")
    assert backend.name() == "interpreter"


@pytest.mark.parametrize("asked", ["Interpreter", " interpreter "])
def test_by_name_however_it_is_written(fresh, asked):
    fresh.setenv("TRT_LESSONS_BACKEND", asked)
    pretend(fresh, module=fake_tensorrt())
    assert backend.choice().name == "interpreter"


def test_an_unknown_name(fresh):
    fresh.setenv("TRT_LESSONS_BACKEND", "cuda")
    with pytest.raises(BackendError, match="auto, tensorrt or interpreter"):
        backend.name()


@pytest.mark.parametrize(
    ("machine", "why"),
    [
        ({"installed": False, "gpus": (0, "no driver")}, "TensorRT is not installed"),
        ({"installed": False}, "a GPU answers, but TensorRT is not installed"),
        ({"gpus": (0, "no NVIDIA driver is installed")}, "no NVIDIA driver is installed"),
        ({"gpus": (0, "the NVIDIA driver finds no GPU")}, "the NVIDIA driver finds no GPU"),
        ({"module": types.ModuleType("tensorrt")}, "is not TensorRT"),
    ],
)
def test_tensorrt_by_name_where_it_cannot_work(fresh, machine, why):
    fresh.setenv("TRT_LESSONS_BACKEND", "tensorrt")
    pretend(fresh, **machine)
    with pytest.raises(BackendError, match=why) as raised:
        backend.name()
    assert raised.value.cure and "TRT_LESSONS_BACKEND" in raised.value.cure


def test_tensorrt_without_its_libraries(fresh, tmp_path):
    (tmp_path / "tensorrt.py").write_text("raise OSError('libnvinfer.so.11: cannot open shared object file')")
    fresh.syspath_prepend(str(tmp_path))
    fresh.setenv("TRT_LESSONS_BACKEND", "tensorrt")
    fresh.setattr(backend, "count_gpus", lambda: (1, ""))
    with pytest.raises(BackendError, match=r"does not import.*libnvinfer.so.11"):
        backend.name()


def test_this_machine_is_asked_through_the_driver():
    count, why = backend.count_gpus()
    assert count > 0 or "NVIDIA" in why


def test_the_description_is_one_line():
    told = backend.describe()
    assert told.backend == "interpreter" and told.cuda_package == "interpreter"
    assert told.gpu is None and told.driver is None and told.cuda_version is None
    assert str(told).startswith("the interpreter, on the CPU (") and "\n" not in str(told)


def test_the_description_of_a_gpu_is_one_line():
    told = backend.Description("tensorrt", "", "8.6.0", "NVIDIA H200", "570.1", "12.9", "pycuda", "3.10.1")
    assert str(told) == "TensorRT 8.6.0 on NVIDIA H200 (driver 570.1, CUDA 12.9, pycuda)"


def test_pycuda_by_name_where_it_is_not(fresh):
    fresh.setenv("TRT_LESSONS_CUDA", "pycuda")
    pretend(fresh, module=fake_tensorrt())
    fresh.setitem(sys.modules, "pycuda", None)
    with pytest.raises(BackendError, match="PyCUDA cannot be used"):
        _ = backend.cuda


def test_without_pycuda_it_is_cuda_python(fresh):
    pretend(fresh, module=fake_tensorrt())
    fresh.setitem(sys.modules, "pycuda", None)
    from trt_lessons.driver import cuda_python

    fresh.setattr(cuda_python, "use_primary_context", lambda: None)
    assert backend.cuda is cuda_python and backend.cuda_package() == "cuda-python"


def test_an_unknown_cuda_package(fresh):
    fresh.setenv("TRT_LESSONS_CUDA", "cupy")
    pretend(fresh, module=fake_tensorrt())
    with pytest.raises(BackendError, match="auto, pycuda or cuda-python"):
        _ = backend.cuda


def test_no_other_names():
    with pytest.raises(AttributeError):
        _ = backend.nothing


def test_importing_the_package_loads_nothing_heavy():
    heavy = "{'numpy', 'onnx', 'onnxruntime', 'torch', 'matplotlib', 'tensorrt', 'cuda.bindings'}"
    code = f"import sys, trt_lessons, trt_lessons.backend; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "[]"
