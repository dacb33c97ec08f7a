"""Traces: spans in streams, waits between them, files that Perfetto opens, and the small stacks that are timed."""

from __future__ import annotations

import json

import numpy as np
import onnxruntime
import pytest

import trt_lessons as tl
from trt_lessons import backend, models
from trt_lessons.measuring import trace as traces


def test_spans_become_rows_in_order():
    stream, trace = backend.cuda.Stream(), tl.Trace()
    for query in range(2):
        with trace.span("compute", query, stream):
            pass
    rows = trace.rows()
    assert [row[:2] for row in rows] == [("compute", 0), ("compute", 1)]
    assert rows[0][2] == 0 and all(start <= end for _, _, start, end in rows)
    assert tl.Trace().rows() == []


def test_a_wait_is_on_the_end_of_a_piece_and_nothing_without_one():
    class Stream:
        waited: list = []

        def wait_for_event(self, event):
            self.waited.append(event)

    trace, other = tl.Trace(), Stream()
    trace.wait(other, "in", 0)
    assert other.waited == []
    with trace.span("in", 0, backend.cuda.Stream()):
        pass
    trace.wait(other, "in", 0)
    assert other.waited == [trace._marks["in", 0][1]]


def test_a_trace_is_written_in_microseconds_with_a_row_for_each_lane(tmp_path):
    path = tl.save_trace([("in", 0, 0.0, 0.5), ("out", 0, 0.5, 1.25), ("in", 1, 0.5, 1.0)], tmp_path / "t.json")
    events = json.loads(path.read_text("utf-8"))["traceEvents"]
    assert [e["args"]["name"] for e in events if e["ph"] == "M"] == ["in", "out"]
    bars = [e for e in events if e["ph"] == "X"]
    assert [(e["name"], e["tid"], e["ts"], e["dur"]) for e in bars] == [
        ("query 0", 0, 0, 500),
        ("query 0", 1, 500, 750),
        ("query 1", 0, 500, 500),
    ]


def test_call_times_tell_the_call_from_the_wait(monkeypatch):
    clock = iter(range(100))  # a second a look
    monkeypatch.setattr(traces, "perf_counter", lambda: next(clock))
    assert tl.call_times(lambda: None, lambda: None, repeat=3) == [1000, 2000]
    assert tl.call_times(lambda: None, repeat=3) == [1000, 1000]


def test_a_change_of_shape_is_told_from_the_same_shape_again(monkeypatch):
    clock, last, known = [0.0], [None], set()
    monkeypatch.setattr(traces, "perf_counter", lambda: clock[0])

    def call(shape):  # a new shape 5 s, another than the last 2 s, the same again 1 s
        clock[0] += 5 if shape not in known else 1 + (shape != last[0])
        known.add(shape)
        last[0] = shape

    found = tl.change_times(call, (16, 32), other=40)
    assert found == {"first": {16: 5000, 32: 5000}, "back": {16: 2000, 32: 2000}, "steady": {16: 1000, 32: 1000}}


@pytest.mark.skipif(backend.is_gpu(), reason="a GPU's profiler may listen")
def test_ranges_do_nothing_where_nobody_listens():
    assert tl.nvtx_source() == "nobody here"
    with tl.nvtx_range("a query"):
        pass


@pytest.mark.parametrize("model", [models.stack("x", (2, 3, 8, 8), [4, 5]), models.branches(2, 2, 4, 8)])
def test_stacks_and_branches_run(model):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    shape = session.get_inputs()[0].shape
    (out,) = session.run(None, {"x": np.ones(shape, np.float32)})
    assert out.shape == tuple(session.get_outputs()[0].shape) and out.min() >= 0 and out.any()
