"""Statistics against hand-computed cases, the loops on a simulated GPU, warnings, thinning, recording."""

from __future__ import annotations

import gc
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trt_lessons
from trt_lessons import recordings
from trt_lessons.errors import MeasureError, RecordingError
from trt_lessons.measuring import timing
from trt_lessons.measuring.measure import measure, measure_callable
from trt_lessons.records.measurement import MOST_SAMPLES, Measurement, median, percentile, thin, variation

# -- statistics --


def test_median_by_hand():
    assert median([3, 1, 2]) == 2
    assert median([4, 1, 3, 2]) == 2.5
    assert median([7]) == 7


@pytest.mark.parametrize(
    ("n", "p", "expected"),
    [
        (10, 90, 9),
        (10, 50, 5),
        (10, 100, 10),
        (10, 0, 1),
        (3, 90, 3),
        (200, 95, 190),
        (1000, 99, 990),
    ],
)
def test_percentile_by_trtexecs_formula(n, p, expected):
    samples = np.random.default_rng(n).permutation(np.arange(1, n + 1))
    by_formula = sorted(samples)[max(n - 1 - int((1 - p / 100) * n), 0)]
    assert percentile(samples, p) == by_formula
    assert abs(by_formula - expected) <= 1  # binary fractions may move the rank by one, as in trtexec


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=300), st.floats(0, 100))
def test_percentile_is_one_of_the_samples_and_ordered(samples, p):
    assert percentile(samples, p) in samples
    assert min(samples) <= percentile(samples, p) <= max(samples)


def test_percentile_refuses_nonsense():
    for p in (-1, 101):
        with pytest.raises(MeasureError):
            percentile([1.0], p)
    with pytest.raises(MeasureError):
        percentile([], 50)


def test_variation_by_hand():
    assert variation([2, 4, 4, 4, 5, 5, 7, 9]) == pytest.approx(2 / 5)  # population sigma 2, mean 5
    assert variation([3, 3]) == 0


def test_thinning_keeps_ends_order_and_number():
    samples = np.arange(12_345.0)
    thinned = thin(samples)
    assert len(thinned) == MOST_SAMPLES <= 1000 and thinned[0] == 0 and thinned[-1] == 12_344
    steps = np.diff(thinned)
    assert steps.max() - steps.min() <= 1
    assert len(thin(samples[:MOST_SAMPLES])) == MOST_SAMPLES and len(thin(samples[:7])) == 7


def made(compute=1.0, enqueue=0.1, h2d=0.1, d2h=0.1, n=100, spread=0.0):
    wave = 1 + spread * np.where(np.arange(n) % 2, 1, -1)
    series = {k: v * np.ones(n) for k, v in (("enqueue", enqueue), ("h2d", h2d), ("d2h", d2h))}
    series["compute"] = compute * wave
    series["latency"] = series["h2d"] + series["compute"] + series["d2h"]
    return Measurement(series, 800.0, 8, 1.0, {"runner": "TensorRT", "transfers": True})


def test_trtexecs_four_warnings():
    assert made().warnings() == []
    assert made(enqueue=0.8).warnings() == []
    assert "host is the limit" in made(enqueue=0.81).warnings()[0]
    assert "input" in made(h2d=1.0).warnings()[0]
    assert "output" in made(d2h=1.5).warnings()[0]
    assert made(spread=0.0099).warnings() == []
    assert "varies by 1.1 %" in made(spread=0.011).warnings()[0]


def test_statistics_survive_thinning_and_rounding():
    rng = np.random.default_rng(0)
    m = made(n=5000)
    m.series["compute"] = rng.gamma(5, 0.1, 5000)
    back = Measurement.from_dict(m.to_dict())
    assert len(back.samples()) == MOST_SAMPLES and back.count == 5000 and "latency" in back.series
    assert back.median() == pytest.approx(median(m.samples()), abs=1e-6)
    for p in (90, 95, 99):
        assert back.percentile(p) == pytest.approx(percentile(m.samples(), p), abs=1e-6)
    assert back.cv() == pytest.approx(variation(m.samples()), abs=1e-6)
    assert back.percentile(75) == percentile(back.samples(), 75)
    assert Measurement.from_dict(back.to_dict()).to_dict() == back.to_dict()


def test_unknown_kind_names_those_that_exist():
    m = made()
    del m.series["h2d"]
    with pytest.raises(MeasureError, match="without transfers"):
        m.median("h2d")
    with pytest.raises(MeasureError, match="enqueue"):
        m.median("gpu")


# -- a simulated GPU --


class Event:
    made = 0

    def __init__(self, flags=0):
        Event.made += 1
        self.flags, self.at = flags, None

    def record(self, stream):
        self.at = stream.clock

    def synchronize(self):
        assert self.at is not None

    def query(self):
        return True

    def time_since(self, other):
        return self.at - other.at


class Stream:
    def __init__(self, flags=0):
        self.clock = 0.0

    def wait_for_event(self, event):
        self.clock = max(self.clock, event.at)

    def synchronize(self):
        pass


class Slot:
    batch = 4
    shapes = {"x": (4, 3), "y": (4, 2)}

    def __init__(self, times=(1.0, 2.0, 0.5)):
        self.times, self.captured, self.freed, self.calls = times, False, False, []

    def _work(self, i, stream, what):
        self.calls.append(what)
        stream.clock += self.times[i]

    def h2d(self, stream):
        self._work(0, stream, "h2d")

    def compute(self, stream):
        self._work(1, stream, "compute")

    def graph(self, stream):
        assert self.captured
        self._work(1, stream, "graph")

    def d2h(self, stream):
        self._work(2, stream, "d2h")

    def capture(self, stream):
        self.captured = True
        return True

    def free(self):
        self.freed = True


class Session:
    report = SimpleNamespace(onnx_sha256="aa", plan_sha256="bb")

    def __init__(self, *times):
        self.made = Slot(*times)

    def slot(self, inputs=None, *, shapes=None):
        return self.made


@pytest.fixture
def on(monkeypatch, tmp_path):
    def choose(gpu):
        told = SimpleNamespace(gpu="NVIDIA H200", trt_version="8.6.0", driver="570", cuda_version="12.9")
        cuda = SimpleNamespace(Event=Event, Stream=Stream, event_flags=SimpleNamespace(DEFAULT=0, BLOCKING_SYNC=1))
        fake = SimpleNamespace(is_gpu=lambda: gpu, describe=lambda: told, cuda=cuda)
        monkeypatch.setitem(vars(trt_lessons), "backend", fake)
        monkeypatch.setenv("TRT_LESSONS_RECORDINGS", str(tmp_path))
        monkeypatch.setenv("TRT_LESSONS_RECORD", "1" if gpu else "0")
        monkeypatch.setitem(recordings._current, "lesson", "02_test")

    return choose


FAST = {"warm_up_ms": 5, "duration_s": 0.02}


def test_series_of_a_pipelined_run(on):
    on(True)
    session = Session()
    m = measure(session, **FAST)
    assert set(m.series) == {"enqueue", "h2d", "compute", "d2h", "latency"}
    assert (m.median("h2d"), m.median("compute"), m.median("d2h")) == (1.0, 2.0, 0.5)
    assert m.median("latency") == 3.5 and m.source == "measured"
    # compute is the slowest of the three, so in the steady state one query ends every 2 ms
    n = m.count
    assert m.throughput == pytest.approx(4 * n / m.wall_s) and m.wall_s == pytest.approx(n * 0.002, rel=0.5)
    assert m.provenance.model_sha256 == "aa" and m.provenance.plan_sha256 == "bb"
    assert session.made.freed and len({len(s) for s in m.series.values()}) == 1


def test_warm_up_queries_are_dropped(on):
    on(True)
    session = Session()
    m = measure(session, warm_up_ms=20, duration_s=0.01)
    run = session.made.calls.count("compute") - 1  # one to warm the context
    assert m.count < run and m.count >= 10


def test_without_transfers_latency_is_compute(on):
    on(True)
    session = Session()
    m = measure(session, transfers=False, **FAST)
    assert set(m.series) == {"enqueue", "compute", "latency"}
    np.testing.assert_array_equal(m.series["latency"], m.series["compute"])
    assert session.made.calls.count("h2d") == 1 and "d2h" not in session.made.calls
    assert m.wall_s == pytest.approx(0.002 * m.count)


def test_graph_is_captured_once_and_launched(on):
    on(True)
    session = Session()
    m = measure(session, graph=True, spin=True, **FAST)
    assert session.made.captured and session.made.calls.count("graph") >= m.count
    assert m.options["graph"] is True and m.options["spin"] is True


def test_a_graph_that_cannot_be_captured_is_said(on):
    on(True)
    session = Session()
    session.made.capture = lambda stream: False
    session.made.captured = True
    m = measure(session, graph=True, **FAST)
    assert m.options["captured"] is False and "No CUDA graph" in m.warnings()[0]


def test_timeline_shows_the_overlap(on):
    on(True)
    rows = measure(Session(), **FAST).timeline(3)
    assert [r[:2] for r in rows] == [(s, q) for q in range(3) for s in ("copy in", "compute", "copy out")]
    assert min(r[2] for r in rows) == 0
    spans = {(s, q): (a, b) for s, q, a, b in rows}
    assert all(b - a == pytest.approx(2) for (s, _), (a, b) in spans.items() if s == "compute")
    assert all(spans["copy in", q][1] <= spans["compute", q][0] for q in range(3))
    assert spans["compute", 1][0] == pytest.approx(spans["compute", 0][1])


def test_several_sessions_have_streams_of_their_own(on):
    on(True)
    m = measure([Session(), Session()], **FAST)
    assert m.options["streams"] == 2 and m.count % 2 == 0
    assert {r[0] for r in m.timeline(2)} == {f"{i}: {s}" for i in (1, 2) for s in ("copy in", "compute", "copy out")}
    alone = m.throughput / 2
    assert alone == pytest.approx(4 / 0.002, rel=0.5)


def test_many_queries_reuse_their_events(on):
    on(True)
    Event.made = 0
    m = measure(Session((0.001, 0.002, 0.001)), warm_up_ms=5, duration_s=0.5)
    assert m.count > 2000 and Event.made <= 1024 * 6
    assert m.median() == pytest.approx(0.002)


def test_garbage_collection_is_back_afterwards(on):
    on(True)
    seen = []
    measure_callable(lambda: seen.append(gc.isenabled()), **FAST)
    assert gc.isenabled() and not any(seen)


def test_callable_by_the_hosts_clock(on):
    on(False)
    import time

    waited = []
    m = measure_callable(
        lambda: time.sleep(0.001), synchronize=lambda: waited.append(1), batch=3, runner="PyTorch 2", **FAST
    )
    assert 1.0 <= m.median() < 5 and len(waited) >= m.count >= 10
    assert m.throughput == pytest.approx(3 * m.count / m.wall_s)
    assert m.source == "interpreter" and m.note == "PyTorch 2 on this CPU"


def test_callable_on_a_stream(on):
    on(True)
    stream = Stream()

    def work():
        stream.clock += 2.0

    m = measure_callable(work, stream=stream, batch=2, **FAST)
    assert m.median() == 2.0 and m.options["timed"] == "events"
    assert m.throughput == pytest.approx(1000)


def test_unnamed_without_a_gpu_says_what_it_is(on):
    on(False)
    m = measure(Session(), **FAST)
    assert m.source == "interpreter"
    assert "onnxruntime on this CPU, not TensorRT" in repr(m)


def test_named_without_a_gpu_is_the_recording(on):
    on(True)
    live = measure(Session(), name="digits", **FAST)
    on(False)
    back = measure(Session(), name="digits", **FAST)
    assert back.source == "recorded" and back.median() == live.median() and back.name == "digits"
    assert back.note.startswith("recorded on NVIDIA H200, TensorRT 8.6.0, ")
    for old, new in zip(live.timeline(2), back.timeline(2), strict=True):
        assert old[:2] == new[:2] and old[2:] == pytest.approx(new[2:], abs=2e-4)
    with pytest.raises(RecordingError, match="transfers: recorded True, asked False"):
        measure(Session(), name="digits", transfers=False, **FAST)
    assert measure(Session(), name="other", **FAST).source == "interpreter", "nobody recorded it yet"


def test_nonsense_is_refused(on):
    on(True)
    for wrong in ({"depth": 0}, {"duration_s": -1}, {"min_iterations": 0}):
        with pytest.raises(MeasureError):
            measure(Session(), **wrong)
    with pytest.raises(MeasureError):
        measure([], **FAST)
    with pytest.raises(MeasureError, match="2 sessions and 3 inputs"):
        measure([Session(), Session()], [1, 2, 3], **FAST)


def test_a_stopwatch_keeps_the_seconds_of_each_call() -> None:
    seconds = timing.Stopwatch()
    assert seconds("sum", sum, [1, 2]) == 3
    assert list(seconds) == ["sum"] and 0 <= seconds["sum"] < 1
