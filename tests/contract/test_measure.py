"""`measure` on both backends: the same series, options and checks; only the times differ."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from trt_lessons import backend, recordings
from trt_lessons.engines.build import build
from trt_lessons.errors import DtypeError, MeasureError, ShapeError
from trt_lessons.measuring.measure import graph_costs, measure, measure_callable, measure_shapes
from trt_lessons.sessions.session import Session

FAST = {"warm_up_ms": 10, "duration_s": 0.05}


def network():
    """x[batch, 64] through a matrix product and a ReLU to y[batch, 16]; the batch is open."""
    weights = np.random.default_rng(0).standard_normal((64, 16)).astype(np.float32)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Relu", ["m"], ["y"])]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 64])
    made = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 16])
    graph = helper.make_graph(nodes, "g", [given], [made], [numpy_helper.from_array(weights, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


@pytest.fixture(scope="module")
def report():
    return build(network(), profiles={"x": [(1, 64), (4, 64), (8, 64)]}, cache=False, progress=False)


@pytest.fixture
def session(report):
    with Session(report) as made:
        yield made


def images(batch=4):
    return np.random.default_rng(1).standard_normal((batch, 64)).astype(np.float32)


@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("transfers", [True, False])
@pytest.mark.parametrize("spin", [False, True])
def test_series_and_options(session, transfers, graph, spin):
    m = measure(session, images(), transfers=transfers, graph=graph, spin=spin, **FAST)
    copies = {"h2d", "d2h"} if transfers else set()
    assert set(m.series) == {"enqueue", "compute", "latency"} | copies
    assert len({len(s) for s in m.series.values()}) == 1 and m.count >= 10
    assert all(np.isfinite(s).all() and (s >= 0).all() for s in m.series.values())
    assert m.batch == 4 and m.throughput == pytest.approx(4 * m.count / m.wall_s)
    parts = sum(m.series[k] for k in ("h2d", "compute", "d2h") if k in m.series)
    np.testing.assert_allclose(m.series["latency"], parts)
    assert m.options["graph"] is graph and m.options["shapes"] == {"x": [4, 64], "y": [4, 16]}
    assert m.source == ("measured" if backend.is_gpu() else "interpreter")
    assert len(m.provenance.plan_sha256) == 64 and len(m.provenance.model_sha256) == 64


def test_it_says_who_measured(session):
    m = measure(session, images(), **FAST)
    if backend.is_gpu():
        assert m.note.startswith("measured on NVIDIA")
    else:
        assert "onnxruntime on this CPU, not TensorRT" in repr(m)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_timeline_is_in_order(session, depth):
    m = measure(session, images(), depth=depth, **FAST)
    spans = {(s, q): (a, b) for s, q, a, b in m.timeline(6)}
    assert len(spans) == 18
    for q in range(6):
        assert spans["copy in", q][1] <= spans["compute", q][0] + 1e-3
        assert spans["compute", q][1] <= spans["copy out", q][0] + 1e-3
    for stream in ("copy in", "compute", "copy out"):
        assert all(spans[stream, q][1] <= spans[stream, q + 1][0] + 1e-3 for q in range(5))


def test_answers_stay_right_after_measuring(session):
    before = session.infer(images())["y"]
    measure(session, images(8), graph=True, **FAST)
    measure(session, **FAST)
    np.testing.assert_array_equal(session.infer(images())["y"], before)


def test_best_shape_when_no_inputs_are_given(session):
    assert measure(session, **FAST).batch == 4
    assert measure(session, shapes={"x": (2, 64)}, **FAST).batch == 2


def test_medians_over_shapes(session):
    found = measure_shapes(session, {n: {"x": (n, 64)} for n in (1, 4)}, **FAST)
    assert list(found) == [1, 4] and all(0 < ms < 1000 for ms in found.values())


def test_each_of_several_sessions_is_measured_at_the_shapes_that_it_takes(session):
    wide = build(network(), profiles={"x": [(12, 64)] * 3}, cache=False, progress=False)
    with Session(wide) as other:
        found = measure_shapes([session, other], {n: {"x": (n, 64)} for n in (1, 12, 13)}, **FAST)
    assert list(found) == [1, 12]
    with pytest.raises(MeasureError, match="takes any"):
        measure_shapes([session], {0: {"x": (13, 64)}}, **FAST)


def test_what_a_graph_costs(session):
    found = graph_costs(session, {n: {"x": (n, 64)} for n in (1, 2)}, **FAST)
    assert list(found) == ["capture", "plain", "graph"]
    assert all(list(times) == [1, 2] and all(0 < ms < 10_000 for ms in times.values()) for times in found.values())


def test_two_sessions_at_once(report):
    with Session(report) as one, Session(report) as two:
        m = measure([one, two], images(), **FAST)
    assert m.options["streams"] == 2 and m.count % 2 == 0 and m.count >= 10
    assert {row[0][0] for row in m.timeline(2)} == {"1", "2"}


def test_wrong_inputs_are_named_even_when_a_recording_is_asked_for(session):
    for name in (None, "any"):
        with pytest.raises(ShapeError):
            measure(session, images(9), name=name, **FAST)
        with pytest.raises(DtypeError):
            measure(session, images().astype(np.float64), name=name, **FAST)


def test_a_name_is_recorded_on_a_gpu_and_asked_for_elsewhere(session, monkeypatch, tmp_path):
    monkeypatch.setenv("TRT_LESSONS_RECORDINGS", str(tmp_path))
    monkeypatch.setenv("TRT_LESSONS_RECORD", "1")
    monkeypatch.setitem(recordings._current, "lesson", "02_test")
    if not backend.is_gpu():
        assert measure(session, images(), name="tiny", **FAST).source == "interpreter", "nobody recorded it yet"
        return
    live = measure(session, images(), name="tiny", **FAST)
    back = recordings.recall("tiny")
    assert back.value.median() == pytest.approx(live.median(), abs=1e-4)
    assert back.note.startswith("recorded on NVIDIA")


def test_callable_on_a_stream(session):
    stream = backend.cuda.Stream()
    slot = session.slot(images())
    m = measure_callable(lambda: slot.compute(stream), stream=stream, batch=4, runner="TensorRT", **FAST)
    assert m.count >= 10 and m.options["timed"] == "events"
    slot.free()
