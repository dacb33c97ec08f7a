"""Session: the same answers, shapes and errors on TensorRT and on the interpreter."""

from __future__ import annotations

import os
import threading
import warnings

import numpy as np
import pytest

from trt_lessons import backend, compat, errors
from trt_lessons.sessions.buffers import pinned
from trt_lessons.sessions.session import Session

WEIGHTS = (np.arange(32, dtype=np.float32).reshape(8, 4) - 16) / 8
RANGES = {"x": ((1, 8), (4, 8), (16, 8))}


def linear(network) -> None:
    """y = x @ WEIGHTS, for x of shape (-1, 8)."""
    trt = backend.trt
    x = network.add_input("x", trt.float32, (-1, 8))
    weights = network.add_constant((8, 4), WEIGHTS).get_output(0)
    none = trt.MatrixOperation.NONE
    y = network.add_matrix_multiply(x, none, weights, none).get_output(0)
    y.name = "y"
    network.mark_output(y)


def two_inputs(network) -> None:
    """total = a + b and difference = a - b, for int32 of shape (2, 3)."""
    trt = backend.trt
    a, b = (network.add_input(name, trt.int32, (2, 3)) for name in "ab")
    kinds = trt.ElementWiseOperation
    for name, kind in (("total", kinds.SUM), ("difference", kinds.SUB)):
        output = network.add_elementwise(a, b, kind).get_output(0)
        output.name = name
        network.mark_output(output)


def x_of(rows: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, 8)).astype(np.float32)


def close(found: np.ndarray, wanted: np.ndarray) -> None:
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def plans(shared_bench):
    """Plans by name, each built once."""
    return {
        "linear": bytes(shared_bench.plan(linear, RANGES)),
        "two": bytes(shared_bench.plan(two_inputs)),
        "profiles": bytes(shared_bench.plan(linear, [RANGES, {"x": ((32, 8), (32, 8), (64, 8))}])),
    }


@pytest.fixture
def session(plans):
    with Session(plans["linear"]) as made:
        yield made


def test_it_tells_its_inputs_and_outputs(session):
    assert list(session.inputs) == ["x"] and list(session.outputs) == ["y"]
    x = session.inputs["x"]
    assert (x.name, x.dtype, x.shape, x.location) == ("x", np.float32, (-1, 8), "device")
    assert session.outputs["y"].shape == (-1, 4)
    assert repr(session) == "<Session x: float32 (-1, 8) -> y: float32 (-1, 4)>"
    assert session.data_dependent is False


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("rows", [1, 4, 16])
def test_infer(session, rows, graph):
    x = x_of(rows)
    found = session.infer({"x": x}, graph=graph)
    assert list(found) == ["y"] and found["y"].dtype == np.float32
    close(found["y"], x @ WEIGHTS)


def test_one_input_needs_no_dict(session):
    close(session.infer(x_of(2))["y"], x_of(2) @ WEIGHTS)


def test_shapes_come_and_go(session):
    for graph in (False, True, False):
        for rows in (4, 1, 16, 4, 2, 1, 16):
            close(session.infer(x_of(rows, rows), graph=graph)["y"], x_of(rows, rows) @ WEIGHTS)


def test_more_shapes_than_it_keeps_buffers_for(plans):
    with Session(plans["linear"]) as session:
        for rows in [*range(1, 17), *range(16, 0, -1)]:
            session.slot(shapes={"x": (rows, 8)}).free()
            close(session.infer(x_of(rows))["y"], x_of(rows) @ WEIGHTS)


def test_answers_are_new_arrays(session):
    first = session.infer(x_of(2, 1))["y"]
    kept = first.copy()
    session.infer(x_of(2, 2))
    np.testing.assert_array_equal(first, kept)


def test_strided_and_fortran_inputs_are_taken(session):
    wide = np.repeat(x_of(4), 2, axis=1)
    close(session.infer(wide[:, ::2])["y"], x_of(4) @ WEIGHTS)
    close(session.infer(np.asfortranarray(x_of(4)))["y"], x_of(4) @ WEIGHTS)


def test_large_inputs(bench):
    """Large enough to be copied without a detour through page-locked memory."""

    def scale(network):
        trt = backend.trt
        x = network.add_input("x", trt.float32, (64, 1000))
        output = network.add_unary(x, trt.UnaryOperation.NEG).get_output(0)
        output.name = "y"
        network.mark_output(output)

    x = np.random.default_rng(0).standard_normal((64, 1000)).astype(np.float32)
    with Session(bytes(bench.plan(scale))) as session:
        np.testing.assert_array_equal(session.infer(x)["y"], -x)
        array = pinned(x.shape)
        array[...] = x
        np.testing.assert_array_equal(session.infer(array)["y"], -x)


def test_two_inputs_and_two_outputs(plans):
    a, b = np.arange(6, dtype=np.int32).reshape(2, 3), np.full((2, 3), 10, np.int32)
    with Session(plans["two"]) as session:
        found = session.infer({"b": b, "a": a})
        assert list(found) == ["total", "difference"]
        np.testing.assert_array_equal(found["total"], a + b)
        np.testing.assert_array_equal(found["difference"], a - b)


@pytest.mark.parametrize("graph", [False, True])
def test_the_same_call_again_and_again(session, graph):
    """After the first call of its shape infer takes a shorter way: new numbers, new arrays, the same answers."""
    kept = []
    for seed in range(4):
        x = x_of(3, seed)
        kept.append((session.infer(x if seed % 2 else {"x": x}, graph=graph)["y"], x @ WEIGHTS))
        x[...] = 99
    for found, wanted in kept:
        close(found, wanted)
    close(session.infer(np.repeat(x_of(3), 2, axis=1)[:, ::2], graph=graph)["y"], x_of(3) @ WEIGHTS)
    close(session.infer(np.asfortranarray(x_of(3)), graph=not graph)["y"], x_of(3) @ WEIGHTS)


@pytest.mark.parametrize("graph", [False, True])
def test_two_shapes_in_turn(session, graph):
    for seed in range(6):
        rows = 2 + seed % 2
        close(session.infer(x_of(rows, seed), graph=graph)["y"], x_of(rows, seed) @ WEIGHTS)


def test_other_work_of_the_session_between_two_calls(session):
    close(session.infer(x_of(3))["y"], x_of(3) @ WEIGHTS)
    slot = session.slot(x_of(5))
    slot.compute(session.cuda_stream)
    session.cuda_stream.synchronize()
    slot.free()
    close(session.infer(x_of(3, 1))["y"], x_of(3, 1) @ WEIGHTS)


def test_mistakes_in_the_second_call_of_two_inputs(plans):
    a, b = np.arange(6, dtype=np.int32).reshape(2, 3), np.full((2, 3), 10, np.int32)
    with Session(plans["two"]) as session:
        for wrong, kind in (
            ({"a": a, "b": b.astype(np.float32)}, errors.DtypeError),
            ({"a": a}, errors.ShapeError),
            ({"a": a, "c": b}, errors.ShapeError),
            ({"a": a, "b": b, "c": b}, errors.ShapeError),
            ({"a": a, "b": b[:1]}, errors.ShapeError),
            (a, errors.ShapeError),
        ):
            np.testing.assert_array_equal(session.infer({"a": a, "b": b})["total"], a + b)
            with pytest.raises(kind):
                session.infer(wrong)
        found = session.infer({"b": a, "a": b})
        np.testing.assert_array_equal(found["difference"], b - a)


# ---- many batches ----


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_stream_yields_all_in_order(session, depth, graph):
    batches = [x_of(4, seed) for seed in range(12)]
    found = list(session.stream(batches, depth=depth, graph=graph))
    assert len(found) == 12
    for answer, batch in zip(found, batches, strict=True):
        close(answer["y"], batch @ WEIGHTS)


def test_stream_takes_shapes_as_they_come(session):
    batches = [x_of(1 + seed * 7 % 16, seed) for seed in range(40)]
    for answer, batch in zip(session.stream(batches), batches, strict=True):
        close(answer["y"], batch @ WEIGHTS)


def test_stream_takes_page_locked_arrays_and_dicts(session):
    batches = [pinned((4, 8)) for _ in range(6)]
    for value, batch in enumerate(batches):
        batch[...] = value
    for answer, batch in zip(session.stream({"x": b} for b in batches), batches, strict=True):
        close(answer["y"], batch @ WEIGHTS)


def test_stream_reads_few_batches_ahead(session):
    read = []

    def batches():
        for seed in range(10):
            read.append(seed)
            yield x_of(4, seed)

    answers = session.stream(batches(), depth=2)
    next(answers)
    assert len(read) == 3
    answers.close()
    close(session.infer(x_of(4))["y"], x_of(4) @ WEIGHTS)


def test_stream_of_nothing(session):
    assert list(session.stream([])) == []


def test_stream_says_what_is_wrong_with_a_batch_and_the_session_lives_on(session):
    with pytest.raises(errors.DtypeError):
        list(session.stream([x_of(4), x_of(4).astype(np.float64)]))
    close(session.infer(x_of(4))["y"], x_of(4) @ WEIGHTS)


def test_infer_between_the_answers_of_a_stream(session):
    for answer, seed in zip(session.stream([x_of(4, s) for s in range(6)]), range(6), strict=True):
        close(session.infer(x_of(9, 99))["y"], x_of(9, 99) @ WEIGHTS)
        close(answer["y"], x_of(4, seed) @ WEIGHTS)


# ---- slots, as measure uses them ----


def test_a_slot_is_one_query(cuda, session):
    x = x_of(4)
    slot, streams = session.slot(x), [cuda.Stream() for _ in range(3)]
    assert slot.batch == 4 and slot.shapes == {"x": (4, 8), "y": (4, 4)}
    copied, computed = cuda.Event(), cuda.Event()
    slot.h2d(streams[0])
    copied.record(streams[0])
    streams[1].wait_for_event(copied)
    slot.compute(streams[1])
    computed.record(streams[1])
    streams[2].wait_for_event(computed)
    slot.d2h(streams[2])
    streams[2].synchronize()
    close(slot.results()["y"], x @ WEIGHTS)
    slot.free()
    slot.free()


@pytest.mark.parametrize("graph", [False, True])
def test_two_slots_in_turn(session, graph):
    stream = session.cuda_stream
    slots = [session.slot(x_of(4, seed)) for seed in (1, 2)]
    for _ in range(3):
        for slot in slots:
            slot.h2d(stream)
            (slot.graph if graph else slot.compute)(stream)
            slot.d2h(stream)
    stream.synchronize()
    for slot, seed in zip(slots, (1, 2), strict=True):
        close(slot.results()["y"], x_of(4, seed) @ WEIGHTS)


def test_slots_of_different_shapes_with_graphs(session):
    stream = session.cuda_stream
    slots = [session.slot(x_of(rows)) for rows in (2, 7)]
    assert all(slot.capture(stream) for slot in slots)
    for slot in (*slots, *slots):
        slot.h2d(stream)
        slot.graph(stream)
        slot.d2h(stream)
    stream.synchronize()
    for slot, rows in zip(slots, (2, 7), strict=True):
        close(slot.results()["y"], x_of(rows) @ WEIGHTS)


def test_other_numbers_in_the_same_slot(session):
    slot, stream = session.slot(shapes={"x": (3, 8)}), session.cuda_stream
    assert slot.capture(stream) and slot.capture(stream)
    for seed in range(3):
        slot.fill(x_of(3, seed))
        slot.h2d(stream)
        slot.graph(stream)
        slot.d2h(stream)
        stream.synchronize()
        close(slot.results()["y"], x_of(3, seed) @ WEIGHTS)
    with pytest.raises(errors.ShapeError):
        slot.fill(x_of(4))


def test_a_slot_of_nothing_has_the_best_shapes(session):
    assert session.slot().shapes["x"] == (4, 8)


# ---- mistakes ----


@pytest.mark.parametrize(
    ("inputs", "kind", "words"),
    [
        (np.zeros((4, 8)), "DtypeError", r"float64.*wants float32(.|\n)*astype\(np.float32\)"),
        (np.zeros((4, 8), np.int32), "DtypeError", "int32"),
        ([[1.0] * 8], "DtypeError", "float64"),
        (np.zeros((17, 8), np.float32), "ShapeError", r"\(17, 8\).*\(1, 8\) to \(16, 8\)"),
        (np.zeros((0, 8), np.float32), "ShapeError", r"\(0, 8\)"),
        (np.zeros((4, 9), np.float32), "ShapeError", r"\(4, 9\)"),
        (np.zeros(8, np.float32), "ShapeError", r"array\[None\]"),
        ({"z": np.zeros((4, 8), np.float32)}, "ShapeError", "'x' is missing"),
        ({"x": np.zeros((4, 8), np.float32), "z": 1}, "ShapeError", "unknown input 'z'"),
        ({}, "ShapeError", "missing"),
    ],
)
@pytest.mark.parametrize("after", [False, True], ids=["first call", "after a good call"])
def test_inputs_that_do_not_fit(session, after, inputs, kind, words):
    if after:
        session.infer(x_of(4))
    with pytest.raises(getattr(errors, kind), match=words):
        session.infer(inputs)
    close(session.infer(x_of(4))["y"], x_of(4) @ WEIGHTS)


def test_int64_for_an_int32_tensor(plans):
    with Session(plans["two"]) as session, pytest.raises(errors.DtypeError, match=r"astype\(np.int32\)"):
        session.infer({"a": np.zeros((2, 3), np.int64), "b": np.zeros((2, 3), np.int64)})


def test_an_array_alone_for_two_inputs(plans):
    with Session(plans["two"]) as session, pytest.raises(errors.ShapeError, match="'a', 'b'"):
        session.infer(np.zeros((2, 3), np.int32))


def test_errors_are_also_pythons_own(session):
    with pytest.raises(TypeError):
        session.infer(np.zeros((4, 8)))
    with pytest.raises(ValueError):
        session.infer(np.zeros((17, 8), np.float32))


def test_none_is_no_plan():
    with pytest.raises(errors.LessonError, match="None when a build fails"):
        Session(None)


def test_a_damaged_plan(plans):
    with pytest.raises(errors.PlanError):
        Session(plans["linear"][:100])


def test_a_closed_session(plans):
    session = Session(plans["linear"])
    session.infer(x_of(2))
    session.close()
    session.close()
    with pytest.raises(errors.LessonError, match="closed"):
        session.infer(x_of(2))
    assert "(closed)" in repr(session)


# ---- profiles, contexts, life and death ----


def test_the_second_profile(plans):
    with Session(plans["profiles"], profile=1) as session:
        close(session.infer(x_of(40))["y"], x_of(40) @ WEIGHTS)
        with pytest.raises(errors.ShapeError, match="profile 1"):
            session.infer(x_of(4))


def test_a_profile_that_is_not_there(plans):
    with pytest.raises(errors.ShapeError, match="has 2, numbered from 0"):
        Session(plans["profiles"], profile=2)


def test_two_sessions_of_one_engine(plans):
    with Session(plans["two"]) as first, Session(first.engine) as second:
        feeds = {"a": np.ones((2, 3), np.int32), "b": np.ones((2, 3), np.int32)}
        for session in (first, second, first):
            assert session.infer(feeds)["total"].tolist() == [[2, 2, 2], [2, 2, 2]]


def test_two_profiles_two_sessions_of_one_engine(plans):
    with Session(plans["profiles"]) as first, Session(first.engine, profile=1) as second:
        close(first.infer(x_of(4))["y"], x_of(4) @ WEIGHTS)
        close(second.infer(x_of(32))["y"], x_of(32) @ WEIGHTS)


def test_a_session_in_another_thread(plans):
    outcome = []

    def work():
        with backend.in_this_thread(), Session(plans["linear"]) as session:
            outcome.append(session.infer(x_of(3))["y"])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    close(outcome[0], x_of(3) @ WEIGHTS)


@pytest.mark.skipif(
    backend.is_gpu() and os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1") != "1",
    reason="other test processes use the GPU's memory too: run it alone",
)
def test_fifty_sessions_leave_no_memory_behind(cuda, plans):
    def use():
        with Session(plans["linear"]) as session:
            session.infer(x_of(4))
            session.infer(x_of(8), graph=True)
            list(session.stream([x_of(4)] * 3))

    use()
    before = cuda.mem_get_info()[0]
    for _ in range(50):
        use()
    assert abs(before - cuda.mem_get_info()[0]) <= (4 << 20 if backend.is_gpu() else 0)


# ---- outputs of unknown shape ----


def where_not_zero(network) -> None:
    trt = backend.trt
    x = network.add_input("x", trt.int32, (6,))
    output = network.add_non_zero(x).get_output(0)
    output.name = "where"
    network.mark_output(output)
    compat.declare_type(output, trt.int32)


@pytest.fixture
def finder(bench):
    engine = bench.engine(where_not_zero)
    if compat.version() == (8, 6) and engine.create_execution_context() is None:
        pytest.xfail(f"8.6.0 may make no context for add_non_zero on Hopper: {bench.log.errors}")
    with Session(engine) as session:
        yield session


@pytest.mark.parametrize("values", [[0, 5, 0, 7, 0, 1], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0]])
def test_an_output_whose_shape_is_known_after_the_run(finder, values):
    assert finder.data_dependent
    x = np.array(values, np.int32)
    assert finder.infer(x)["where"].tolist() == [np.flatnonzero(x).tolist()]


def test_a_stream_of_such_outputs(finder):
    batches = [np.array([0, seed, 1, 0, 0, seed], np.int32) for seed in range(3)]
    for answer, batch in zip(finder.stream(batches), batches, strict=True):
        assert answer["where"].tolist() == [np.flatnonzero(batch).tolist()]


def test_no_graph_for_such_outputs_and_one_warning(finder):
    x = np.array([0, 5, 0, 7, 0, 1], np.int32)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            assert finder.infer(x, graph=True)["where"].tolist() == [[1, 3, 5]]
    assert [str(w.message) for w in caught if "no CUDA graph" in str(w.message)] != []
    assert len([w for w in caught if "no CUDA graph" in str(w.message)]) == 1
