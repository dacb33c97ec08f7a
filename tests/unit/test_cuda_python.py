"""PyCUDA's names on cuda-bindings: the same calls as the interpreter's, and clear words without a driver."""

from __future__ import annotations

import ctypes
import enum
import inspect
import types

import numpy as np
import pytest

from trt_lessons.driver import cpu_cuda as interpreter_cuda
from trt_lessons.driver import cuda_python
from trt_lessons.errors import BackendError


def public(module: types.ModuleType) -> dict[str, object]:
    """The public classes and functions that a module defines."""
    return {
        name: thing
        for name, thing in vars(module).items()
        if not name.startswith("_") and callable(thing) and thing.__module__.startswith("trt_lessons.")
    }


ONLY_INTERPRETER = {"device_attribute"}
SHARED = sorted(set(public(interpreter_cuda)) - ONLY_INTERPRETER)


@pytest.mark.parametrize("name", SHARED)
def test_every_name_is_there_with_the_same_parameters(name):
    here, there = getattr(cuda_python, name), getattr(interpreter_cuda, name)
    if inspect.isroutine(there):
        assert list(inspect.signature(here).parameters) == list(inspect.signature(there).parameters)
    elif isinstance(there, enum.EnumMeta):
        assert {m.name: m.value for m in here} == {m.name: m.value for m in there}
    else:
        wanted = {n for n in dir(there) if not n.startswith("_")}
        assert wanted <= {n for n in dir(here) if not n.startswith("_")}


def test_the_two_keep_their_own_classes():
    for kind in ("Device", "Context", "Stream", "Event", "DeviceAllocation", "PagelockedHostAllocation"):
        assert getattr(cuda_python, kind) is not getattr(interpreter_cuda, kind)
    assert len(SHARED) > 30


@pytest.fixture
def without_driver(monkeypatch):
    """No driver answers, whatever this machine has."""

    def refuse(*_):
        raise RuntimeError("libcuda.so.1 was not found")

    fake = types.SimpleNamespace(cuInit=refuse)
    monkeypatch.setattr(cuda_python.importlib, "import_module", lambda name: fake)
    cuda_python._driver.cache_clear()
    yield
    cuda_python._driver.cache_clear()


@pytest.mark.parametrize(
    "call",
    [
        cuda_python.init,
        cuda_python.Stream,
        cuda_python.Event,
        cuda_python.Device,
        cuda_python.Device.count,
        cuda_python.mem_get_info,
        cuda_python.Context.synchronize,
        lambda: cuda_python.mem_alloc(64),
        lambda: cuda_python.pagelocked_empty(4, np.float32),
        lambda: cuda_python.memcpy_htod(512, b"x"),
        lambda: cuda_python.device_attribute.WARP_SIZE,
    ],
)
def test_without_a_driver_it_says_so(without_driver, call):
    with pytest.raises(BackendError, match=r"no NVIDIA driver answers.*libcuda") as raised:
        call()
    assert "TRT_LESSONS_BACKEND=interpreter" in raised.value.cure


def test_without_cuda_bindings_it_says_so(monkeypatch):
    def refuse(name):
        raise ImportError("No module named 'cuda'")

    monkeypatch.setattr(cuda_python.importlib, "import_module", refuse)
    cuda_python._driver.cache_clear()
    with pytest.raises(BackendError, match="cuda-bindings does not import") as raised:
        cuda_python.mem_alloc(64)
    assert "pip install cuda-bindings" in raised.value.cure
    cuda_python._driver.cache_clear()


class Code(enum.IntEnum):
    """Some of CUresult."""

    CUDA_SUCCESS = 0
    CUDA_ERROR_INVALID_VALUE = 1
    CUDA_ERROR_OUT_OF_MEMORY = 2
    CUDA_ERROR_NOT_READY = 600
    CUDA_ERROR_LAUNCH_FAILED = 719
    CUDA_ERROR_UNKNOWN = 999


class FakeDriver:
    """Enough of cuda.bindings.driver to move bytes; its device memory is host memory."""

    CUdevice_attribute = types.SimpleNamespace(
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR=75, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR=76
    )

    def __init__(self):
        self.blocks, self.next_code, self.calls = {}, Code.CUDA_SUCCESS, []

    def __getattr__(self, name):
        if not name.startswith("cu"):
            raise AttributeError(name)

        def call(*arguments):
            self.calls.append(name)
            code, self.next_code = self.next_code, Code.CUDA_SUCCESS
            if code:
                return (code,)
            return (Code.CUDA_SUCCESS, *getattr(self, "_" + name, lambda *_: ())(*arguments))

        return call

    def cuInit(self, flags):
        return (Code.CUDA_SUCCESS,)

    def cuGetErrorString(self, code):
        return Code.CUDA_SUCCESS, code.name.lower().encode()

    def _cuMemAlloc(self, size):
        block = ctypes.create_string_buffer(size)
        self.blocks[ctypes.addressof(block)] = block
        return (ctypes.addressof(block),)

    def _cuMemFree(self, address):
        del self.blocks[address]
        return ()

    def _cuMemHostAlloc(self, size, flags):
        return self._cuMemAlloc(size)

    _cuMemFreeHost = _cuMemFree

    def _cuMemcpyHtoD(self, to, start, size, stream=None):
        ctypes.memmove(to, start, size)
        return ()

    _cuMemcpyDtoH = _cuMemcpyHtoDAsync = _cuMemcpyDtoHAsync = _cuMemcpyDtoD = _cuMemcpyHtoD

    def _cuMemsetD8(self, address, value, size):
        ctypes.memset(address, value, size)
        return ()

    def _cuStreamCreate(self, flags):
        return (77,)

    def _cuEventCreate(self, flags):
        return (88,)

    def _cuEventElapsedTime(self, start, end):
        return (1.5,)

    def _cuDeviceGet(self, number):
        return (number,)

    def _cuDeviceGetName(self, length, device):
        return (b"Some GPU\0\0\0",)

    def _cuDeviceGetAttribute(self, attribute, device):
        return ({75: 9, 76: 0}[attribute],)

    def _cuMemGetInfo(self):
        return (10, 20)


@pytest.fixture
def driver(monkeypatch):
    fake = FakeDriver()
    monkeypatch.setattr(cuda_python, "_driver", lambda: fake)
    return fake


def test_bytes_move_and_memory_is_given_back(driver):
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    memory, back = cuda_python.to_device(array), np.zeros((3, 4), np.float32)
    stream = cuda_python.Stream()
    cuda_python.memcpy_dtoh_async(back, int(memory), stream)
    np.testing.assert_array_equal(back, array)
    other = cuda_python.mem_alloc(48)
    cuda_python.memset_d8(other, 0, 48)
    cuda_python.memcpy_dtod(other, memory, 16)
    np.testing.assert_array_equal(cuda_python.from_device(other, 6, np.float32), [0, 1, 2, 3, 0, 0])
    memory.free()
    del other
    assert driver.blocks == {}
    with pytest.raises(cuda_python.LogicError):
        memory.free()


def test_page_locked_arrays(driver):
    array = cuda_python.pagelocked_zeros((2, 3), np.float16)
    assert array.shape == (2, 3) and array.dtype == np.float16 and not array.any()
    assert isinstance(array.base, cuda_python.PagelockedHostAllocation)
    assert cuda_python.pagelocked_empty((2, 3), np.int32, order="F").flags.f_contiguous
    view = array[1]
    del array
    view[...] = 4
    assert view.tolist() == [4] * 3 and len(driver.blocks) == 1
    del view
    assert driver.blocks == {}


def test_streams_events_and_device(driver):
    stream, event = cuda_python.Stream(), cuda_python.Event(cuda_python.event_flags.DISABLE_TIMING)
    assert stream.handle == 77
    assert event.record(stream) is event and event.synchronize() is event and event.query() is True
    assert event.time_since(cuda_python.Event()) == 1.5
    stream.wait_for_event(event)
    driver.next_code = Code.CUDA_ERROR_NOT_READY
    assert stream.is_done() is False
    device = cuda_python.Device(0)
    assert (device.name(), device.compute_capability()) == ("Some GPU", (9, 0))
    assert cuda_python.mem_get_info() == (10, 20)
    del stream, event
    assert "cuStreamDestroy" in driver.calls and "cuEventDestroy" in driver.calls


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (Code.CUDA_ERROR_INVALID_VALUE, cuda_python.LogicError),
        (Code.CUDA_ERROR_OUT_OF_MEMORY, cuda_python.MemoryError),
        (Code.CUDA_ERROR_NOT_READY, cuda_python.RuntimeError),
        (Code.CUDA_ERROR_LAUNCH_FAILED, cuda_python.LaunchError),
        (Code.CUDA_ERROR_UNKNOWN, cuda_python.Error),
    ],
)
def test_errors_are_sorted_as_pycuda_sorts_them(driver, code, kind):
    driver.next_code = code
    with pytest.raises(cuda_python.Error, match=f"cuMemAlloc failed: {code.name.lower()}") as raised:
        cuda_python.mem_alloc(64)
    assert type(raised.value) is kind


def test_wrong_arguments(driver):
    memory = cuda_python.mem_alloc(8)
    with pytest.raises(TypeError, match="right order"):
        cuda_python.memcpy_htod(np.zeros(2, np.float32), memory)
    with pytest.raises(TypeError, match="the Stream itself"):
        cuda_python.memcpy_htod_async(memory, np.zeros(2, np.float32), 77)
    with pytest.raises(TypeError, match="Python int"):
        cuda_python.mem_alloc(np.int64(8))
    with pytest.raises(ValueError, match="contiguous"):
        cuda_python.memcpy_htod(memory, np.zeros((4, 4), np.float32)[:, ::2])
