"""Session beyond what a learner sees: kept buffers, graphs where contexts cannot share a profile, failures."""

from __future__ import annotations

import gc
import warnings

import numpy as np
import pytest

from trt_lessons import backend, errors
from trt_lessons.engines import build
from trt_lessons.sessions import buffers, session, slots
from trt_lessons.sessions.buffers import pinned
from trt_lessons.sessions.session import Session


def negative(network) -> None:
    """y = -x for x of shape (-1, 3)."""
    trt = backend.trt
    x = network.add_input("x", trt.float32, (-1, 3))
    y = network.add_unary(x, trt.UnaryOperation.NEG).get_output(0)
    y.name = "y"
    network.mark_output(y)


@pytest.fixture(scope="module")
def report():
    return build.build(negative, profiles={"x": ((1, 3), (4, 3), (64, 3))}, cache=False, progress=False)


@pytest.fixture
def made(report):
    with Session(report) as one:
        yield one


def x_of(rows: int, value: float = 1) -> np.ndarray:
    return np.full((rows, 3), value, np.float32)


def test_it_can_be_made_from_everything_that_holds_a_plan(report, tmp_path):
    path = report.save(tmp_path / "negative.plan")
    for plan in (report, report.plan, bytearray(report.plan), memoryview(report.plan), path, str(path)):
        with Session(plan) as one:
            assert one.infer(x_of(2))["y"].tolist() == [[-1] * 3] * 2
            assert one.plan_sha256 == report.plan_sha256
    with Session(report.engine()) as one:
        assert one.plan_sha256 is None and one.report is None
    with session.Session(report, graph=True) as one:
        assert one.graph and one.report is report


def test_a_plan_that_is_not_there(tmp_path):
    with pytest.raises(errors.LessonError):
        Session(tmp_path / "missing.plan")


@pytest.mark.parametrize("thing", [42, object()])
def test_something_else(thing):
    with pytest.raises(errors.LessonError, match="from a plan or an engine"):
        Session(thing)


def test_buffers_of_few_shapes_are_kept(made, monkeypatch):
    monkeypatch.setattr(session, "KEPT_SHAPES", 3)
    for rows in (1, 2, 3, 4, 5, 1):
        made.infer(x_of(rows), graph=True)
    assert [key[0][0] for key in made._slots] == [4, 5, 1]
    assert len(made._all_slots) == 3


def test_an_error_after_buffers_were_given_up(made, monkeypatch):
    """The shape of the last call is forgotten with its buffers, also when no others take their place."""
    monkeypatch.setattr(session, "KEPT_SHAPES", 1)
    made.infer(x_of(2))
    with pytest.raises(errors.ShapeError):
        made.infer(x_of(65))
    assert made.infer(x_of(2, 7))["y"].tolist() == [[-7] * 3] * 2


def test_the_second_call_takes_the_short_way(made, monkeypatch):
    made.infer(x_of(2))
    monkeypatch.setattr(made, "check", lambda inputs: pytest.fail("the long way"))
    for given in (x_of(2, 3), {"x": x_of(2, 3)}):
        assert made.infer(given)["y"].tolist() == [[-3] * 3] * 2


def test_blocks_are_used_again(made, monkeypatch):
    monkeypatch.setattr(session, "KEPT_SHAPES", 1)
    for rows in (1, 2, 3):
        made.infer(x_of(rows))
    free = backend.cuda.mem_get_info()[0]
    for rows in (4, 5, 6, 7) * 20:
        made.infer(x_of(rows))
    assert backend.cuda.mem_get_info()[0] == free


def test_sizes_of_blocks():
    memory = buffers.Memory()
    sizes = [memory.take("pinned", n)[0] for n in (0, 1, 512, 513, 5000, (1 << 24) - 1, 1 << 24, (1 << 24) + 1)]
    assert sizes == [512, 512, 512, 1024, 8192, 1 << 24, 1 << 24, (1 << 24) + (4 << 20)]


def test_graphs_where_two_contexts_cannot_share_a_profile(made):
    """As on TensorRT 8.6: the graph belongs to the session's context and is captured again after other shapes."""
    made.can_share_profile = False
    stream, captures = made.cuda_stream, []
    real = slots.Slot._capture

    def counted(slot, where):
        captures.append(slot.batch)
        real(slot, where)

    slots.Slot._capture = counted
    try:
        for rows in (2, 2, 5, 5, 2, 2):
            assert made.infer(x_of(rows, 3), graph=True)["y"].tolist() == [[-3] * 3] * rows
        assert captures == [2, 5, 2]
        both = [made.slot(x_of(4, value)) for value in (1, 2)]
        for slot in (*both, *both):
            slot.h2d(stream)
            slot.graph(stream)
            slot.d2h(stream)
        stream.synchronize()
        assert [slot.results()["y"][0, 0] for slot in both] == [-1, -2]
        found = [a["y"][0, 0] for a in made.stream([x_of(1 + i % 3, i) for i in range(9)], graph=True)]
        assert found == [-i for i in range(9)]
    finally:
        slots.Slot._capture = real


def test_a_capture_that_fails_warns_once_and_goes_on(made, monkeypatch):
    cudart = backend.cudart
    failed = cudart.cudaError_t.cudaErrorStreamCaptureInvalidated

    def broken(handle):
        return failed, real(handle)[1] and None

    real = cudart.cudaStreamEndCapture
    monkeypatch.setattr(cudart, "cudaStreamEndCapture", broken)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for value in (1, 2, 3):
            assert made.infer(x_of(2, value), graph=True)["y"][0, 0] == -value
    assert len(caught) == 1 and "cudaErrorStreamCaptureInvalidated" in str(caught[0].message)


def test_tensorrt_saying_no_is_an_error(made, monkeypatch):
    made.infer(x_of(2))
    monkeypatch.setattr(made, "execute", lambda handle: False)
    with pytest.raises(errors.LessonError, match="refused to run"):
        made.infer(x_of(2))


def test_an_abandoned_stream_gives_its_buffers_back(made):
    answers = made.stream(x_of(3, i) for i in range(100))
    next(answers)
    assert made._all_slots
    answers.close()
    assert not made._all_slots


def test_closing_with_a_stream_under_way(report):
    one = Session(report)
    answers = one.stream(x_of(3, i) for i in range(100))
    next(answers)
    one.close()
    answers.close()
    assert "(closed)" in repr(one)


def test_everything_goes_when_nobody_closes(report):
    gc.collect()
    before = backend.cuda.mem_get_info()
    one = Session(report)
    one.infer(x_of(2), graph=True)
    del one
    gc.collect()
    assert backend.cuda.mem_get_info() == before


def test_depth_of_a_stream(made):
    with pytest.raises(errors.ShapeError, match="depth"):
        made.stream([x_of(1)], depth=0)


def test_pinned_arrays_are_zero_and_known(made):
    array = pinned((2, 3))
    assert array.dtype == np.float32 and not array.any()
    assert buffers.is_pinned(array) and buffers.is_pinned(array[1:]) and not buffers.is_pinned(x_of(2))


def test_page_locked_arrays_are_not_copied_on_the_host(made, monkeypatch):
    array = pinned((4, 3))
    array[...] = 5
    copies = []
    monkeypatch.setattr(session.np, "copyto", lambda *a: copies.append(a))
    (answer,) = made.stream([array])
    assert copies == [] and answer["y"].tolist() == [[-5] * 3] * 4
