"""CUDA's calls, as the lessons make them: the same on PyCUDA, on cuda-python and on the interpreter."""

from __future__ import annotations

import threading

import numpy as np
import pytest

DTYPES = ["float32", "float16", "float64", "int8", "uint8", "int32", "int64", "bool"]


def numbers(dtype: str = "float32", shape: tuple[int, ...] = (6, 5)) -> np.ndarray:
    """Numbers without meaning, the same each time."""
    return (np.arange(np.prod(shape)).reshape(shape) * 7 % 23).astype(dtype)


@pytest.fixture
def stream(cuda):
    return cuda.Stream()


@pytest.fixture(autouse=True)
def forget_errors(cudart):
    """CUDA keeps the last error for whoever asks next, which must not be the next test."""
    yield
    cudart.cudaGetLastError()


# ---- device and context ----


def test_a_device_is_there_and_tells_about_itself(cuda):
    device = cuda.Device(0)
    major, minor = device.compute_capability()
    assert cuda.Device.count() >= 1
    assert isinstance(device.name(), str) and device.name()
    assert isinstance(major, int) and isinstance(minor, int)
    assert device.total_memory() > 1 << 28


def test_there_is_no_device_of_a_high_number(cuda):
    with pytest.raises(cuda.Error):
        cuda.Device(99)


def test_device_attributes_are_numbers(cuda):
    assert cuda.Device(0).get_attribute(cuda.device_attribute.MULTIPROCESSOR_COUNT) >= 1


def test_memory_info_is_free_and_total(cuda):
    free, total = cuda.mem_get_info()
    assert 0 < free <= total


def test_the_main_thread_has_a_context(cuda):
    assert cuda.Context.get_current() is not None
    assert cuda.Context.get_device() == cuda.Device(0)
    assert cuda.Context.synchronize() is None


def in_a_thread(work) -> list:
    """Run work() in a new thread; what it returned or raised."""
    outcome = []

    def run():
        try:
            outcome.append(work())
        except BaseException as raised:
            outcome.append(raised)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return outcome


def test_another_thread_has_no_context(cuda):
    (outcome,) = in_a_thread(lambda: cuda.mem_alloc(64))
    assert isinstance(outcome, cuda.LogicError)


def test_another_thread_works_once_the_context_is_pushed(cuda):
    def work():
        context = cuda.Device(0).retain_primary_context()
        context.push()
        try:
            memory, back = cuda.to_device(numbers()), np.zeros((6, 5), np.float32)
            cuda.memcpy_dtoh(back, memory)
            memory.free()
            return back
        finally:
            cuda.Context.pop()

    (outcome,) = in_a_thread(work)
    np.testing.assert_array_equal(outcome, numbers())


# ---- memory ----


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_copy_there_and_back(cuda, dtype):
    array, back = numbers(dtype), np.zeros((6, 5), dtype)
    memory = cuda.mem_alloc(array.nbytes)
    assert cuda.memcpy_htod(memory, array) is None
    cuda.memcpy_dtoh(back, memory)
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_asynchronous_copy_there_and_back(cuda, stream, dtype):
    array, back = cuda.pagelocked_empty((6, 5), dtype), cuda.pagelocked_zeros((6, 5), dtype)
    array[...] = numbers(dtype)
    memory = cuda.mem_alloc(array.nbytes)
    cuda.memcpy_htod_async(memory, array, stream)
    cuda.memcpy_dtoh_async(back, memory, stream)
    stream.synchronize()
    np.testing.assert_array_equal(back, numbers(dtype))


def test_asynchronous_copies_take_ordinary_arrays_too(cuda, stream):
    array, back = numbers(), np.zeros((6, 5), np.float32)
    memory = cuda.mem_alloc(array.nbytes)
    cuda.memcpy_htod_async(memory, array, stream)
    cuda.memcpy_dtoh_async(back, memory, stream)
    stream.synchronize()
    np.testing.assert_array_equal(back, array)


def test_without_a_stream_asynchronous_copies_go_to_the_default_stream(cuda):
    array, back = numbers(), np.zeros((6, 5), np.float32)
    memory = cuda.mem_alloc(array.nbytes)
    cuda.memcpy_htod_async(memory, array)
    cuda.memcpy_dtoh_async(back, memory)
    cuda.Context.synchronize()
    np.testing.assert_array_equal(back, array)


def test_a_blocking_copy_waits_for_all_streams(cuda, stream):
    array, back = cuda.pagelocked_zeros(1 << 20, np.float32), np.zeros(1 << 20, np.float32)
    array[...] = 3
    memory = cuda.mem_alloc(array.nbytes)
    cuda.memcpy_htod_async(memory, array, stream)
    cuda.memcpy_dtoh(back, memory)
    assert (back == 3).all()


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_either_order_are_copied_as_they_lie(cuda, order):
    array = np.asarray(numbers(), order=order)
    back = np.empty_like(array)
    memory = cuda.mem_alloc(array.nbytes)
    cuda.memcpy_htod(memory, array)
    cuda.memcpy_dtoh(back, memory)
    np.testing.assert_array_equal(back, array)


def test_bytes_and_scalars_are_buffers(cuda):
    memory, back = cuda.mem_alloc(8), bytearray(8)
    cuda.memcpy_htod(memory, b"TensorRT")
    cuda.memcpy_dtoh(back, memory)
    assert bytes(back) == b"TensorRT"
    cuda.memcpy_htod(memory, np.float64(2.5))
    assert cuda.from_device(memory, (1,), np.float64)[0] == 2.5


def test_later_changes_on_the_host_do_not_reach_the_device(cuda):
    array = numbers()
    memory = cuda.to_device(array)
    array[...] = -1
    np.testing.assert_array_equal(cuda.from_device(memory, (6, 5), np.float32), numbers())


def test_an_address_is_a_number_that_can_be_added_to(cuda):
    memory = cuda.mem_alloc(40)
    assert isinstance(int(memory), int) and int(memory) > 0
    cuda.memcpy_htod(memory, np.zeros(10, np.float32))
    cuda.memcpy_htod(int(memory) + 12, np.full(2, 5, np.float32))
    np.testing.assert_array_equal(cuda.from_device(memory, 10, np.float32), [0, 0, 0, 5, 5, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(cuda.from_device(int(memory) + 16, 2, np.float32), [5, 0])


def test_two_allocations_do_not_overlap(cuda):
    first, second = cuda.mem_alloc(1000), cuda.mem_alloc(1000)
    assert abs(int(first) - int(second)) >= 1000
    assert int(first) % 256 == 0 and int(second) % 256 == 0


def test_copy_inside_the_device(cuda, stream):
    source, target = cuda.to_device(numbers()), cuda.mem_alloc(120)
    cuda.memcpy_dtod(target, source, 120)
    np.testing.assert_array_equal(cuda.from_device_like(target, numbers()), numbers())
    cuda.memset_d8(target, 0, 120)
    cuda.memcpy_dtod_async(target, source, 60, stream)
    stream.synchronize()
    flat = cuda.from_device(target, 30, np.float32)
    np.testing.assert_array_equal(flat[:15], numbers().reshape(-1)[:15])
    assert not flat[15:].any()


def test_memset_fills_bytes(cuda):
    memory = cuda.mem_alloc(16)
    cuda.memset_d8(memory, 1, 16)
    np.testing.assert_array_equal(cuda.from_device(memory, 4, np.int32), [0x01010101] * 4)


def test_freed_memory_is_free_again(cuda):
    before = cuda.mem_get_info()[0]
    memory = cuda.mem_alloc(256 << 20)
    assert before - cuda.mem_get_info()[0] >= 250 << 20
    memory.free()
    assert before - cuda.mem_get_info()[0] < 64 << 20


def test_memory_goes_with_its_object(cuda):
    before = cuda.mem_get_info()[0]
    memory = cuda.mem_alloc(256 << 20)
    del memory
    assert before - cuda.mem_get_info()[0] < 64 << 20


def test_page_locked_arrays_are_arrays(cuda):
    array = cuda.pagelocked_zeros((2, 3), np.float16)
    assert type(array) is np.ndarray and array.shape == (2, 3) and array.dtype == np.float16
    assert not array.any() and array.flags.c_contiguous and array.flags.writeable
    assert cuda.pagelocked_empty(5, np.int8).shape == (5,)
    assert cuda.pagelocked_empty_like(array).dtype == np.float16
    assert isinstance(array.base, cuda.PagelockedHostAllocation)


def test_a_page_locked_array_can_be_in_fortran_order(cuda):
    array = cuda.pagelocked_empty((4, 5), np.float32, order="F")
    assert array.flags.f_contiguous and not array.flags.c_contiguous


# ---- mistakes ----


def test_a_double_free_is_a_logic_error(cuda):
    memory = cuda.mem_alloc(64)
    memory.free()
    with pytest.raises(cuda.LogicError):
        memory.free()


def test_no_bytes_cannot_be_allocated(cuda):
    with pytest.raises(cuda.LogicError):
        cuda.mem_alloc(0)


def test_more_memory_than_there_is(cuda):
    with pytest.raises(cuda.MemoryError):
        cuda.mem_alloc(1 << 50)


def test_address_zero_is_no_memory(cuda):
    with pytest.raises(cuda.LogicError):
        cuda.memcpy_htod(0, numbers())


def test_arguments_in_the_wrong_order(cuda):
    memory = cuda.mem_alloc(120)
    with pytest.raises(TypeError):
        cuda.memcpy_htod(numbers(), memory)
    with pytest.raises(TypeError):
        cuda.memcpy_dtoh(memory, numbers())


def test_a_stream_is_given_as_an_object(cuda, stream):
    memory = cuda.mem_alloc(120)
    with pytest.raises(TypeError):
        cuda.memcpy_htod_async(memory, numbers(), stream.handle)


def test_strided_arrays_cannot_be_copied(cuda):
    memory = cuda.mem_alloc(120)
    with pytest.raises((ValueError, BufferError)):
        cuda.memcpy_htod(memory, numbers()[:, ::2])


def test_read_only_arrays_cannot_be_written(cuda):
    memory, target = cuda.to_device(numbers()), numbers()
    target.flags.writeable = False
    with pytest.raises((ValueError, BufferError)):
        cuda.memcpy_dtoh(target, memory)


def test_the_errors_form_one_family(cuda):
    for kind in (cuda.LogicError, cuda.MemoryError, cuda.RuntimeError, cuda.LaunchError):
        assert issubclass(kind, cuda.Error)


# ---- streams and events ----


def test_streams_have_handles_of_their_own(cuda):
    first, second = cuda.Stream(), cuda.Stream()
    assert isinstance(first.handle, int) and first.handle != second.handle and first.handle


def test_an_idle_stream_is_done(cuda, stream):
    stream.synchronize()
    assert stream.is_done() is True


def test_work_in_one_stream_is_done_in_order(cuda, stream):
    back = cuda.pagelocked_zeros(4, np.uint8)
    memory = cuda.mem_alloc(4)
    for value in range(50):
        cuda.memset_d8_async(memory, value, 4, stream)
    cuda.memcpy_dtoh_async(back, memory, stream)
    stream.synchronize()
    assert back.tolist() == [49] * 4


def test_asking_again_and_again_ends(cuda, stream):
    memory = cuda.mem_alloc(1 << 20)
    cuda.memset_d8_async(memory, 1, 1 << 20, stream)
    event = cuda.Event().record(stream)
    while not event.query():
        pass
    while not stream.is_done():
        pass
    assert event.query() is True


def test_an_event_returns_itself(cuda, stream):
    event = cuda.Event()
    assert event.record(stream) is event
    assert event.synchronize() is event
    assert event.query() is True


def test_events_measure_milliseconds(cuda, stream):
    memory = cuda.mem_alloc(1 << 22)
    start, end = cuda.Event(), cuda.Event()
    start.record(stream)
    cuda.memset_d8_async(memory, 1, 1 << 22, stream)
    end.record(stream)
    end.synchronize()
    assert 0 < end.time_since(start) < 1000
    assert start.time_till(end) == end.time_since(start)


def test_an_event_waits_for_what_is_before_it_in_its_stream(cuda, stream):
    array, back = cuda.pagelocked_zeros(8, np.float32), cuda.pagelocked_zeros(8, np.float32)
    array[...] = 4
    memory = cuda.mem_alloc(32)
    cuda.memcpy_htod_async(memory, array, stream)
    cuda.memcpy_dtoh_async(back, memory, stream)
    cuda.Event().record(stream).synchronize()
    assert (back == 4).all()


def test_a_stream_waits_for_an_event_of_another(cuda):
    first, second, event = cuda.Stream(), cuda.Stream(), cuda.Event(cuda.event_flags.DISABLE_TIMING)
    size = 1 << 22
    array, back = cuda.pagelocked_zeros(size, np.uint8), cuda.pagelocked_zeros(size, np.uint8)
    array[...] = 9
    memory = cuda.mem_alloc(size)
    cuda.memset_d8(memory, 0, size)
    cuda.memcpy_htod_async(memory, array, first)
    event.record(first)
    second.wait_for_event(event)
    cuda.memcpy_dtoh_async(back, memory, second)
    second.synchronize()
    assert (back == 9).all()


def test_a_chain_of_three_streams(cuda):
    """Copy in, work, copy out, each in its own stream and behind an event, several rounds in flight."""
    streams = [cuda.Stream() for _ in range(3)]
    inputs, outputs, events, memories = [], [], [], []
    for value in range(6):
        inputs.append(cuda.pagelocked_zeros(64, np.uint8))
        outputs.append(cuda.pagelocked_zeros(64, np.uint8))
        inputs[-1][...] = value + 1
        source, target = cuda.mem_alloc(64), cuda.mem_alloc(64)
        memories.append((source, target))
        copied, worked = cuda.Event(), cuda.Event()
        events.append((copied, worked))
        cuda.memcpy_htod_async(source, inputs[-1], streams[0])
        copied.record(streams[0])
        streams[1].wait_for_event(copied)
        cuda.memcpy_dtod_async(target, source, 64, streams[1])
        worked.record(streams[1])
        streams[2].wait_for_event(worked)
        cuda.memcpy_dtoh_async(outputs[-1], target, streams[2])
    streams[2].synchronize()
    assert [int(output[0]) for output in outputs] == [1, 2, 3, 4, 5, 6]
    assert all(output.min() == output.max() for output in outputs)


def test_an_event_never_recorded_is_nothing_to_wait_for(cuda, stream):
    event = cuda.Event()
    assert event.query() is True
    event.synchronize()
    stream.wait_for_event(event)
    stream.synchronize()


def test_times_need_recorded_events_with_timing(cuda, stream):
    recorded = cuda.Event().record(stream)
    silent = cuda.Event(cuda.event_flags.DISABLE_TIMING).record(stream)
    stream.synchronize()
    with pytest.raises(cuda.Error):
        recorded.time_since(cuda.Event())
    with pytest.raises(cuda.Error):
        recorded.time_since(silent)


def test_threads_work_on_their_own_streams(cuda):
    def work(value: int) -> bool:
        cuda.Device(0).retain_primary_context().push()
        try:
            own, memory = cuda.Stream(), cuda.mem_alloc(4096)
            array, back = cuda.pagelocked_zeros(4096, np.uint8), cuda.pagelocked_zeros(4096, np.uint8)
            for round_ in range(20):
                array[...] = value + round_
                cuda.memcpy_htod_async(memory, array, own)
                cuda.memcpy_dtoh_async(back, memory, own)
                own.synchronize()
                assert (back == value + round_).all()
            memory.free()
            return True
        finally:
            del own, memory, array, back
            cuda.Context.pop()

    outcomes: list = []
    threads = [threading.Thread(target=lambda v=v: outcomes.append(work(v))) for v in (1, 50, 100, 150)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [True] * 4


# ---- graphs ----


@pytest.fixture
def copies(cuda, stream):
    """A round trip through the device that can be enqueued again and again: (enqueue, source, target)."""
    source, target = cuda.pagelocked_zeros(8, np.float32), cuda.pagelocked_zeros(8, np.float32)
    memory = cuda.mem_alloc(32)

    def enqueue():
        cuda.memcpy_htod_async(memory, source, stream)
        cuda.memcpy_dtoh_async(target, memory, stream)

    return enqueue, source, target


def modes(cudart):
    kinds = cudart.cudaStreamCaptureMode
    return [
        kinds.cudaStreamCaptureModeGlobal,
        kinds.cudaStreamCaptureModeThreadLocal,
        kinds.cudaStreamCaptureModeRelaxed,
    ]


@pytest.mark.parametrize("mode", [0, 1, 2], ids=["global", "thread-local", "relaxed"])
def test_a_captured_graph_runs_when_launched(cudart, stream, copies, mode):
    enqueue, source, target = copies
    ok = cudart.cudaError_t.cudaSuccess
    source[...] = 1
    assert cudart.cudaStreamBeginCapture(stream.handle, modes(cudart)[mode]) == (ok,)
    enqueue()
    code, graph = cudart.cudaStreamEndCapture(stream.handle)
    assert code == ok
    stream.synchronize()
    assert not target.any()  # recorded, not run
    code, executable = cudart.cudaGraphInstantiate(graph, 0)
    assert code == ok
    assert cudart.cudaGraphDestroy(graph) == (ok,)
    for value in (1, 2, 3):
        source[...] = value
        assert cudart.cudaGraphLaunch(executable, stream.handle) == (ok,)
        stream.synchronize()
        assert target.tolist() == [value] * 8
    assert cudart.cudaGraphExecDestroy(executable) == (ok,)


def test_a_graph_can_be_launched_into_another_stream(cuda, cudart, stream, copies):
    enqueue, source, target = copies
    cudart.cudaStreamBeginCapture(stream.handle, modes(cudart)[1])
    enqueue()
    _, graph = cudart.cudaStreamEndCapture(stream.handle)
    _, executable = cudart.cudaGraphInstantiate(graph, 0)
    source[...] = 6
    other = cuda.Stream()
    cudart.cudaGraphLaunch(executable, other.handle)
    other.synchronize()
    assert target.tolist() == [6] * 8


def test_the_stream_says_that_it_captures(cudart, stream):
    status = cudart.cudaStreamCaptureStatus
    assert cudart.cudaStreamIsCapturing(stream.handle)[1] == status.cudaStreamCaptureStatusNone
    cudart.cudaStreamBeginCapture(stream.handle, modes(cudart)[1])
    assert cudart.cudaStreamIsCapturing(stream.handle)[1] == status.cudaStreamCaptureStatusActive
    cudart.cudaStreamEndCapture(stream.handle)
    assert cudart.cudaStreamIsCapturing(stream.handle)[1] == status.cudaStreamCaptureStatusNone


def broken(cudart, stream) -> bool:
    """End a capture; was it broken? The stream must be usable afterwards."""
    code, graph = cudart.cudaStreamEndCapture(stream.handle)
    stream.synchronize()
    return bool(code) and not graph


def test_waiting_for_a_capturing_stream_breaks_the_capture(cuda, cudart, stream, copies):
    cudart.cudaStreamBeginCapture(stream.handle, modes(cudart)[0])
    copies[0]()
    with pytest.raises(cuda.Error):
        stream.synchronize()
    assert broken(cudart, stream)


def test_a_blocking_copy_breaks_a_capture(cuda, cudart, stream, copies):
    memory = cuda.mem_alloc(120)
    cudart.cudaStreamBeginCapture(stream.handle, modes(cudart)[0])
    copies[0]()
    with pytest.raises(cuda.Error):
        cuda.memcpy_htod(memory, numbers())
    assert broken(cudart, stream)


def test_allocating_breaks_a_global_capture(cuda, cudart, stream, copies):
    cudart.cudaStreamBeginCapture(stream.handle, modes(cudart)[0])
    copies[0]()
    with pytest.raises(cuda.Error):
        cuda.mem_alloc(64)
    assert broken(cudart, stream)


def test_captures_begin_and_end_in_pairs(cudart, stream):
    begin, end = cudart.cudaStreamBeginCapture, cudart.cudaStreamEndCapture
    assert end(stream.handle)[0] == cudart.cudaError_t.cudaErrorIllegalState
    assert not begin(stream.handle, modes(cudart)[1])[0]
    assert begin(stream.handle, modes(cudart)[1])[0] == cudart.cudaError_t.cudaErrorIllegalState
    end(stream.handle)


def test_the_default_stream_cannot_be_captured(cudart):
    code = cudart.cudaStreamBeginCapture(0, modes(cudart)[1])[0]
    assert code == cudart.cudaError_t.cudaErrorStreamCaptureUnsupported


def test_a_capture_follows_events_into_a_second_stream_and_back(cuda, cudart, stream):
    second, fork, join = cuda.Stream(), cuda.Event(), cuda.Event()
    source, target = cuda.pagelocked_zeros(8, np.float32), cuda.pagelocked_zeros(8, np.float32)
    memory = cuda.mem_alloc(32)
    cudart.cudaStreamBeginCapture(stream.handle, modes(cudart)[1])
    fork.record(stream)
    second.wait_for_event(fork)
    cuda.memcpy_htod_async(memory, source, second)
    join.record(second)
    stream.wait_for_event(join)
    cuda.memcpy_dtoh_async(target, memory, stream)
    code, graph = cudart.cudaStreamEndCapture(stream.handle)
    assert not code
    _, executable = cudart.cudaGraphInstantiate(graph, 0)
    source[...] = 8
    cudart.cudaGraphLaunch(executable, stream.handle)
    stream.synchronize()
    assert target.tolist() == [8] * 8


def test_a_branch_that_does_not_come_back_is_refused(cuda, cudart, stream):
    second, fork, memory = cuda.Stream(), cuda.Event(), cuda.mem_alloc(32)
    cudart.cudaStreamBeginCapture(stream.handle, modes(cudart)[1])
    fork.record(stream)
    second.wait_for_event(fork)
    cuda.memset_d8_async(memory, 1, 32, second)
    code, _ = cudart.cudaStreamEndCapture(stream.handle)
    assert code == cudart.cudaError_t.cudaErrorStreamCaptureUnjoined
    second.synchronize()


def test_an_event_recorded_in_a_capture_cannot_be_waited_for(cuda, cudart, stream):
    event = cuda.Event()
    cudart.cudaStreamBeginCapture(stream.handle, modes(cudart)[1])
    event.record(stream)
    with pytest.raises(cuda.Error):
        event.synchronize()
    cudart.cudaStreamEndCapture(stream.handle)


def test_the_last_error_is_kept_until_it_is_asked_for(cudart):
    cudart.cudaGetLastError()
    assert not cudart.cudaGetLastError()[0]
    code = cudart.cudaStreamBeginCapture(0, modes(cudart)[1])[0]
    assert cudart.cudaGetLastError()[0] == code
    assert not cudart.cudaGetLastError()[0]


def test_errors_have_words(cudart):
    code, text = cudart.cudaGetErrorString(cudart.cudaError_t.cudaErrorInvalidValue)
    assert not code and b"invalid argument" in text
    code, name = cudart.cudaGetErrorName(cudart.cudaError_t.cudaErrorInvalidValue)
    assert not code and name == b"cudaErrorInvalidValue"


def test_memory_info_of_the_runtime(cuda, cudart):
    code, free, total = cudart.cudaMemGetInfo()
    assert not code and 0 < free <= total
    assert total == cuda.mem_get_info()[1]


# ---- what the interpreter promises beyond CUDA ----

laziness = pytest.mark.interpreter_only(reason="on a GPU the copy may be done before it is waited for")
guards = pytest.mark.interpreter_only(reason="on a GPU a wrong address may go unnoticed, or end the process")


@laziness
def test_a_forgotten_synchronize_reads_the_old_numbers_every_time(cuda, stream):
    memory, back = cuda.to_device(numbers()), np.zeros((6, 5), np.float32)
    cuda.memcpy_dtoh_async(back, memory, stream)
    assert not back.any()
    stream.synchronize()
    np.testing.assert_array_equal(back, numbers())


@laziness
def test_the_host_array_is_read_when_the_stream_gets_there(cuda, stream):
    array = np.full(4, 1, np.float32)
    memory = cuda.mem_alloc(16)
    cuda.memcpy_htod_async(memory, array, stream)
    array[...] = 2
    assert cuda.from_device(memory, 4, np.float32).tolist() == [2] * 4


@guards
def test_memory_that_was_never_written_holds_garbage(cuda):
    assert (cuda.from_device(cuda.mem_alloc(64), 64, np.uint8) == 0xCD).all()


@guards
def test_use_after_free_names_the_address(cuda):
    memory = cuda.mem_alloc(64)
    memory.free()
    with pytest.raises(cuda.LogicError, match=rf"{int(memory):#x}.*use after free"):
        cuda.memcpy_htod(memory, np.zeros(16, np.float32))


@guards
def test_a_copy_past_the_end_says_how_far(cuda):
    memory = cuda.mem_alloc(64)
    with pytest.raises(cuda.LogicError, match=r"4 bytes past the end .* has 64 bytes"):
        cuda.memcpy_htod(memory, np.zeros(17, np.float32))


@guards
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_host_pointer_is_no_device_address(cuda, stream, asynchronous):
    array = numbers()
    with pytest.raises(cuda.LogicError, match="looks like a pointer to host memory"):
        if asynchronous:
            cuda.memcpy_htod_async(array.ctypes.data, array, stream)
        else:
            cuda.memcpy_htod(array.ctypes.data, array)


@guards
def test_an_address_in_no_allocation(cuda):
    with pytest.raises(cuda.LogicError, match="no allocation holds"):
        cuda.memcpy_htod(int(cuda.mem_alloc(64)) + (1 << 40), numbers())


@pytest.mark.interpreter_only(reason="PyCUDA's own words differ")
def test_a_time_that_is_not_reached_yet(cuda, stream):
    start, end = cuda.Event().record(stream), cuda.Event().record(stream)
    with pytest.raises(cuda.RuntimeError, match="not reached"):
        end.time_since(start)


@pytest.mark.interpreter_only(reason="a real device has a real name and capability")
def test_the_interpreter_does_not_pretend_to_be_a_gpu(cuda):
    assert cuda.Device(0).compute_capability() == (0, 0)
    assert cuda.Device(0).name().startswith("CPU (") and "interpreter" in cuda.Device(0).name()
