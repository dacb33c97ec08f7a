"""The interpreter's device: memory, lazy streams, events and captures, beyond what CUDA lets one see."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trt_lessons.driver import cpu_cuda as cuda
from trt_lessons.driver import cpu_cudart as cudart
from trt_lessons.driver import cpu_device as device

RELAXED = cudart.cudaStreamCaptureMode.cudaStreamCaptureModeRelaxed


@pytest.fixture(autouse=True)
def nothing_left_over():
    """Each test leaves no memory, no work and no capture behind."""
    gc.collect()
    before = cuda.mem_get_info()
    yield
    gc.collect()
    cuda.Context.synchronize()
    assert cuda.mem_get_info() == before


def note(log: list, word: str):
    return lambda: log.append(word)


# ---- memory ----


def test_addresses_are_no_host_pointers_and_never_used_twice():
    seen = set()
    for _ in range(20):
        memory = cuda.mem_alloc(100)
        assert int(memory) > 1 << 48 and int(memory) % 256 == 0 and int(memory) not in seen
        seen.add(int(memory))
        memory.free()


def test_a_view_writes_through():
    memory = cuda.mem_alloc(16)
    device.view(int(memory) + 4, 8).view(np.float32)[:] = [1.5, 2.5]
    assert cuda.from_device(int(memory) + 4, 2, np.float32).tolist() == [1.5, 2.5]


def test_a_view_of_page_locked_memory_by_its_host_address():
    array = cuda.pagelocked_zeros(4, np.int32)
    device.view(array.ctypes.data + 4, 4).view(np.int32)[:] = 7
    assert array.tolist() == [0, 7, 0, 0]
    with pytest.raises(cuda.LogicError):
        device.view(array.ctypes.data, 17)


def test_page_locked_memory_that_is_gone():
    array = cuda.pagelocked_zeros(4, np.int32)
    address = array.ctypes.data
    del array
    with pytest.raises(cuda.LogicError, match="host memory"):
        device.view(address, 4)


@pytest.mark.parametrize("count", [np.int64(8), 8.0, "8", True])
def test_sizes_are_python_ints(count):
    with pytest.raises(TypeError):
        cuda.mem_alloc(count)


def test_a_negative_size_or_address():
    with pytest.raises(OverflowError):
        cuda.mem_alloc(-1)
    with pytest.raises(OverflowError):
        cuda.memcpy_htod(-8, b"x")


def test_out_of_memory_leaves_the_accounts_right():
    free, total = cuda.mem_get_info()
    with pytest.raises(cuda.MemoryError, match="are free"):
        cuda.mem_alloc(total + 1)
    assert cuda.mem_get_info() == (free, total)


def test_remembering_freed_memory_ends_somewhere(monkeypatch):
    monkeypatch.setattr(device, "FREED_REMEMBERED", 10)
    kept = cuda.to_device(np.arange(4))
    for _ in range(50):
        cuda.mem_alloc(8).free()
    assert len(device._blocks) < 40
    assert cuda.from_device(kept, 4, np.int64).tolist() == [0, 1, 2, 3]


def test_pending_work_is_done_before_its_memory_goes():
    stream, back = cuda.Stream(), np.zeros(4, np.uint8)
    memory = cuda.mem_alloc(4)
    cuda.memset_d8_async(memory, 5, 4, stream)
    cuda.memcpy_dtoh_async(back, memory, stream)
    memory.free()
    assert back.tolist() == [5] * 4


def test_memory_dropped_in_flight_is_freed_after_the_work():
    stream, back = cuda.Stream(), np.zeros(4, np.uint8)
    memory = cuda.mem_alloc(4)
    cuda.memset_d8_async(memory, 6, 4, stream)
    cuda.memcpy_dtoh_async(back, memory, stream)
    del memory
    stream.synchronize()
    assert back.tolist() == [6] * 4


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5000), st.booleans()), max_size=30))
def test_accounts_balance(steps):
    before, live = cuda.mem_get_info()[0], []
    for size, drop in steps:
        live.append((cuda.mem_alloc(size), size))
        if drop:
            live.pop(len(live) // 2)[0].free()
    assert before - cuda.mem_get_info()[0] == sum(size for _, size in live)
    for memory, _ in live:
        memory.free()
    assert cuda.mem_get_info()[0] == before


# ---- streams ----


def test_work_waits_until_something_waits_for_it():
    stream, log = cuda.Stream(), []
    device.enqueue(stream.handle, note(log, "a"))
    device.enqueue(stream.handle, note(log, "b"))
    assert log == []
    assert stream.is_done() is False and log == ["a"]
    stream.synchronize()
    assert log == ["a", "b"]


def test_only_the_stream_that_is_waited_for_runs():
    first, second, log = cuda.Stream(), cuda.Stream(), []
    device.enqueue(first.handle, note(log, "first"))
    device.enqueue(second.handle, note(log, "second"))
    second.synchronize()
    assert log == ["second"]
    cuda.Context.synchronize()
    assert log == ["second", "first"]


def test_the_default_stream_is_a_barrier_for_blocking_streams():
    stream, log = cuda.Stream(), []
    device.enqueue(stream.handle, note(log, "before"))
    device.enqueue(0, note(log, "default"))
    device.enqueue(stream.handle, note(log, "after"))
    stream.synchronize()
    assert log == ["before", "default", "after"]


def test_a_non_blocking_stream_does_not_care():
    stream, log = cuda.Stream(cuda.stream_flags.NON_BLOCKING), []
    device.enqueue(0, note(log, "default"))
    device.enqueue(stream.handle, note(log, "own"))
    stream.synchronize()
    assert log == ["own"]
    device.run_now(note(log, "now"))
    assert log == ["own", "default", "now"]


def test_waiting_for_an_event_runs_the_other_stream_up_to_it():
    first, second, log = cuda.Stream(), cuda.Stream(), []
    device.enqueue(first.handle, note(log, "needed"))
    event = cuda.Event().record(first)
    device.enqueue(first.handle, note(log, "not needed"))
    second.wait_for_event(event)
    device.enqueue(second.handle, note(log, "then"))
    second.synchronize()
    assert log == ["needed", "then"]


def test_a_wait_is_for_the_mark_of_that_moment():
    first, second, log = cuda.Stream(), cuda.Stream(), []
    event = cuda.Event().record(first)
    second.wait_for_event(event)
    device.enqueue(first.handle, note(log, "later"))
    event.record(first)
    second.synchronize()
    assert log == []


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40), st.integers(0, 3))
def test_every_order_respects_streams_and_events(steps, last):
    """Random work and waits between four streams (number 0 is the default one), checked against the rules."""
    streams = [None, *(cuda.Stream() for _ in range(3))]
    log, waits = [], []
    for index, (to, other) in enumerate(steps):
        handle = streams[to].handle if to else 0
        if to and other and to != other:
            event = cuda.Event().record(streams[other])
            streams[to].wait_for_event(event)
            waits.append((index, to, other))
        device.enqueue(handle, lambda index=index, to=to: log.append((index, to)))
    if last:
        streams[last].synchronize()
    cuda.Context.synchronize()
    place = {index: at for at, (index, _) in enumerate(log)}
    assert len(place) == len(steps)
    for a, (to_a, _) in enumerate(steps):
        for b, (to_b, _) in enumerate(steps[:a]):
            if to_a == to_b or 0 in (to_a, to_b):
                assert place[b] < place[a]
    for index, _, other in waits:
        assert all(place[b] < place[index] for b, (to, _) in enumerate(steps[:index]) if to == other)


def test_an_error_of_the_work_surfaces_where_it_is_waited_for():
    stream, log = cuda.Stream(), []

    def fail():
        raise ValueError("bad numbers")

    device.enqueue(stream.handle, fail)
    device.enqueue(stream.handle, note(log, "after"))
    with pytest.raises(cuda.LogicError, match="ValueError: bad numbers"):
        stream.synchronize()
    stream.synchronize()
    assert log == []


def test_an_error_found_while_dropping_memory_is_told_at_the_next_wait():
    stream, memory = cuda.Stream(), cuda.mem_alloc(8)

    def fail():
        raise ValueError("bad numbers")

    device.enqueue(stream.handle, fail)
    del memory
    with pytest.raises(cuda.LogicError, match="bad numbers"):
        stream.synchronize()


def test_memory_freed_under_a_copy_that_another_stream_holds_back():
    stream, memory, target = cuda.Stream(), cuda.mem_alloc(8), np.zeros(8, np.uint8)
    memory.free()
    with pytest.raises(cuda.LogicError, match="use after free"):
        cuda.memcpy_dtoh_async(target, memory, stream)


def test_the_handle_of_a_stream_that_is_gone():
    stream = cuda.Stream()
    handle = stream.handle
    del stream
    gc.collect()
    with pytest.raises(cuda.LogicError, match="keep the Stream object"):
        device.enqueue(handle, print)
    assert cudart.cudaStreamSynchronize(handle)[0] == cudart.cudaError_t.cudaErrorInvalidResourceHandle


def test_work_of_a_stream_that_is_gone_is_still_done():
    stream, log = cuda.Stream(), []
    device.enqueue(stream.handle, note(log, "done"))
    del stream
    cuda.Context.synchronize()
    assert log == ["done"]


def test_event_times_are_those_of_the_work():
    import time

    stream = cuda.Stream()
    start = cuda.Event().record(stream)
    device.enqueue(stream.handle, lambda: time.sleep(0.02))
    end = cuda.Event().record(stream)
    end.synchronize()
    assert 20 <= end.time_since(start) < 500


# ---- captures ----


def test_two_captures_cannot_merge():
    first, second, event = cuda.Stream(), cuda.Stream(), cuda.Event()
    cudart.cudaStreamBeginCapture(first.handle, RELAXED)
    cudart.cudaStreamBeginCapture(second.handle, RELAXED)
    event.record(first)
    with pytest.raises(cuda.LogicError, match="merge"):
        second.wait_for_event(event)
    cudart.cudaStreamEndCapture(first.handle)
    cudart.cudaStreamEndCapture(second.handle)


def test_a_capture_cannot_wait_for_what_is_outside():
    first, second = cuda.Stream(), cuda.Stream()
    event = cuda.Event().record(second)
    cudart.cudaStreamBeginCapture(first.handle, RELAXED)
    with pytest.raises(cuda.LogicError, match="outside the capture"):
        first.wait_for_event(event)
    code, graph = cudart.cudaStreamEndCapture(first.handle)
    assert code == cudart.cudaError_t.cudaErrorStreamCaptureInvalidated and graph is None


def test_a_capture_ends_where_it_began():
    stream, codes = cuda.Stream(), []
    local = cudart.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
    cudart.cudaStreamBeginCapture(stream.handle, local)
    thread = threading.Thread(target=lambda: codes.append(cudart.cudaStreamEndCapture(stream.handle)[0]))
    thread.start()
    thread.join()
    assert codes == [cudart.cudaError_t.cudaErrorStreamCaptureWrongThread]
    assert not cudart.cudaStreamEndCapture(stream.handle)[0]


def test_a_relaxed_capture_allows_allocations():
    stream = cuda.Stream()
    cudart.cudaStreamBeginCapture(stream.handle, RELAXED)
    cuda.mem_alloc(64).free()
    assert not cudart.cudaStreamEndCapture(stream.handle)[0]


def test_a_destroyed_graph_cannot_be_used():
    stream = cuda.Stream()
    cudart.cudaStreamBeginCapture(stream.handle, RELAXED)
    _, graph = cudart.cudaStreamEndCapture(stream.handle)
    _, executable = cudart.cudaGraphInstantiate(graph, 0)
    cudart.cudaGraphDestroy(graph)
    invalid = cudart.cudaError_t.cudaErrorInvalidValue
    assert cudart.cudaGraphInstantiate(graph, 0) == (invalid, None)
    cudart.cudaGraphExecDestroy(executable)
    assert cudart.cudaGraphLaunch(executable, stream.handle) == (invalid,)
    assert cudart.cudaGraphExecDestroy(executable) == (invalid,)
    with pytest.raises(TypeError):
        cudart.cudaGraphLaunch(graph, stream.handle)


def test_threads_share_the_device():
    """Many threads on their own streams, with events between them."""
    wrong, event = [], cuda.Event()
    event.record(cuda.Stream())

    def work(value: int) -> None:
        cuda.Device(0).retain_primary_context().push()
        stream, memory, back = cuda.Stream(), cuda.mem_alloc(64), np.zeros(64, np.uint8)
        for _ in range(100):
            stream.wait_for_event(event)
            cuda.memset_d8_async(memory, value, 64, stream)
            cuda.memcpy_dtoh_async(back, memory, stream)
            stream.synchronize()
            if (back != value).any():
                wrong.append(value)
        cuda.Context.pop()

    threads = [threading.Thread(target=work, args=(value,)) for value in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
