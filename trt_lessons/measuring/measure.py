"""Measure a session, or any function, as trtexec measures an engine.

    m = tl.measure(session, images, name="digits_fp16")
    m.median(), m.percentile(99), m.throughput

Introduced in lesson 02, explained in lesson 04_3. The definitions are trtexec's: warm-up queries dropped,
three streams, six events a query, two queries in flight, all using one set of buffers, as there.
In a class measurements take turns: see `turns`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from ..errors import MeasureError, RecordingError, ShapeError
from ..progressbar import Bar
from ..records import provenance as origin
from ..records.measurement import Measurement, median, percentile, thin, variation
from ..records.provenance import Provenance
from .timing import Lane, Plan, Samples, Work, run_host, run_lanes
from .turns import turn

__all__ = [
    "Measurement",
    "graph_costs",
    "measure",
    "measure_callable",
    "measure_shapes",
    "median",
    "percentile",
    "thin",
    "variation",
]

GPU_TIMES = {"warm_up_ms": 200.0, "duration_s": 3.0}
CPU_TIMES = {"warm_up_ms": 20.0, "duration_s": 0.3}


class _Notice(Bar):
    """Says what is measured and for how long, and stands still: moving, it would disturb what it shows."""

    def __init__(self, name: str | None, plan: Plan) -> None:
        seconds = plan.warm_up_ms / 1000 + plan.duration_s
        super().__init__(f"measuring {name or 'a session'} for {seconds:.1f} s")
        self.shown = self.shown and seconds >= 1

    def line(self) -> str:
        return self.label

    def _tick(self) -> None:
        self._done.wait()


def measure(
    session: Any,
    inputs: Any = None,
    *,
    name: str | None = None,
    transfers: bool = True,
    graph: bool = False,
    spin: bool = False,
    warm_up_ms: float | None = None,
    duration_s: float | None = None,
    depth: int = 2,
    min_iterations: int = 10,
    shapes: dict[str, tuple[int, ...]] | None = None,
) -> Measurement:
    """Time a session's queries; every sample is kept.

    session: one Session, or several, each then in streams of its own (trtexec's --infStreams).
    inputs: as for `infer` (a list of them for several sessions); None: zeros of the profile's best shapes.
    name: recorded under this name with TRT_LESSONS_RECORD=1; without a GPU that recording comes back,
        or, where there is none yet, what the interpreter takes here, which says so.
    transfers: copy inputs and outputs (False: --noDataTransfers). graph: launch a captured CUDA graph.
    spin: wait by asking the event again and again (--useSpinWait) and not by sleeping.
    warm_up_ms, duration_s: 200 ms and 3 s on a GPU, 20 ms and 0.3 s on the interpreter unless given.
    depth: queries in flight. shapes: input shapes, in place of inputs.
    Raises ShapeError and DtypeError for inputs, RecordingError for a name that was recorded with other options.
    """
    from ..records import recordings

    plan = _plan(warm_up_ms, duration_s, depth, min_iterations, spin)
    sessions = list(session) if isinstance(session, (list, tuple)) else [session]
    slots = _slots(sessions, inputs, shapes)
    options = {
        "runner": "TensorRT",
        "transfers": transfers,
        "graph": graph,
        "streams": len(sessions),
        "shapes": {k: list(v) for k, v in sorted(slots[0].shapes.items())},
    }
    try:
        if name is not None and recordings.recalls(name):
            return _recall(name, {**options, "depth": depth})
        with turn(), _Notice(name, plan):
            found, captured = _run_slots(slots, plan, transfers, graph)
    finally:
        for slot in slots:
            slot.free()
    if graph:
        options["captured"] = captured
    where = _about(sessions[0], options, plan)
    return _finish(found, slots[0].batch, where, name)


def measure_callable(
    fn: Callable[[], Any],
    *,
    name: str | None = None,
    batch: int = 1,
    synchronize: Callable[[], Any] | None = None,
    stream: Any = None,
    runner: str = "Python",
    warm_up_ms: float | None = None,
    duration_s: float | None = None,
    depth: int = 2,
    min_iterations: int = 10,
    spin: bool = False,
) -> Measurement:
    """Time any function by the same loop: PyTorch, onnxruntime, or one of your own.

    stream: the cuda.Stream that fn enqueues its work on: timed by events on it, `depth` calls in flight.
    Without a stream: one call at a time by the host's clock; synchronize() is called after fn() and counts.
    batch: samples a call, for the throughput. runner: who does the work, for tables and notes.
    """
    from ..records import recordings

    plan = _plan(warm_up_ms, duration_s, depth, min_iterations, spin)
    options = {"runner": runner, "transfers": False, "timed": "events" if stream else "host clock"}
    if name is not None and recordings.recalls(name):
        return _recall(name, {"runner": runner}, batch)
    with turn(), _Notice(name or runner, plan):
        if stream is None:
            found = run_host(fn, synchronize, plan)
        else:
            lane = Lane(Work(lambda _stream: fn()), (stream, stream, stream), _event_maker(spin), plan)
            found = run_lanes([lane], plan)
    return _finish(found, batch, _about(None, options, plan), name)


def measure_shapes(session: Any, shapes: Mapping[Any, dict[str, tuple[int, ...]]], **options: Any) -> dict[Any, float]:
    """{key: median compute time in ms} over {key: {input: shape}}. Options: `measure`'s. Introduced in lesson 05_2.

    session: one Session, or several: each is then measured alone, at the shapes that it takes (a later one replaces
    an earlier one at the same key). MeasureError where none takes any; ShapeError where the one does not take all.
    """
    if not isinstance(session, (list, tuple)):
        return {key: measure(session, shapes=sizes, **options).median() for key, sizes in shapes.items()}
    found: dict[Any, float] = {}
    for one in session:
        for key, sizes in shapes.items():
            with suppress(ShapeError):
                found[key] = measure(one, shapes=sizes, **options).median()
    if shapes and not found:
        raise MeasureError(
            f"None of {len(session)} sessions takes any of these shapes.", cure="Look at their inputs and profiles."
        )
    return found


def graph_costs(
    session: Any, shapes: Mapping[Any, dict[str, tuple[int, ...]]], **options: Any
) -> dict[str, dict[Any, float]]:
    """What CUDA graphs cost and give, over {key: {input: shape}}: {"capture": {key: ms once on the host, with its
    buffers}, "plain": {key: ms per query}, "graph": {key: ms per query}}. Options: `measure`'s. Introduced in
    lesson 05_2."""
    found: dict[str, dict[Any, float]] = {"capture": {}, "plain": {}, "graph": {}}
    for key, sizes in shapes.items():
        found["capture"][key] = _capture_ms(session, sizes)
        for kind in ("plain", "graph"):
            timed = measure(session, shapes=sizes, graph=kind == "graph", **options)
            found[kind][key] = 1000 / timed.throughput
    return found


def _capture_ms(session: Any, shapes: dict[str, tuple[int, ...]]) -> float:
    """ms to make the buffers of these shapes and to capture a graph with them, on the host."""
    start = time.perf_counter()
    slot = session.slot(shapes=shapes)
    try:
        slot.capture(session.cuda_stream)
        return 1000 * (time.perf_counter() - start)
    finally:
        slot.free()


def _plan(warm_up_ms: float | None, duration_s: float | None, depth: int, min_iterations: int, spin: bool) -> Plan:
    from .. import backend

    times = GPU_TIMES if backend.is_gpu() else CPU_TIMES
    warm_up_ms = times["warm_up_ms"] if warm_up_ms is None else warm_up_ms
    duration_s = times["duration_s"] if duration_s is None else duration_s
    if depth < 1 or min_iterations < 1 or warm_up_ms < 0 or duration_s < 0:
        raise MeasureError(
            f"Cannot measure with depth={depth}, min_iterations={min_iterations}, warm_up_ms={warm_up_ms}, "
            f"duration_s={duration_s}.",
            cure="depth and min_iterations are 1 or more, times are 0 or more.",
        )
    return Plan(float(warm_up_ms), float(duration_s), int(depth), int(min_iterations), bool(spin))


def _slots(sessions: list[Any], inputs: Any, shapes: dict[str, tuple[int, ...]] | None) -> list[Any]:
    """One slot a session; inputs and shapes are checked here, on both backends alike."""
    if not sessions:
        raise MeasureError("There is no session to measure.", cure="Give a Session, or a list of them.")
    many = inputs if isinstance(inputs, (list, tuple)) else [inputs] * len(sessions)
    if len(many) != len(sessions):
        raise MeasureError(
            f"{len(sessions)} sessions and {len(many)} inputs.",
            cure="Give one set of inputs a session, or one.",
        )
    if inputs is None:
        return [one.slot(shapes=shapes) if shapes else one.slot() for one in sessions]
    return [one.slot(x) for one, x in zip(sessions, many, strict=True)]


def _event_maker(spin: bool) -> Callable[[], Any]:
    from .. import backend

    kinds = backend.cuda.event_flags
    flags = kinds.DEFAULT if spin else kinds.BLOCKING_SYNC
    return lambda: backend.cuda.Event(flags)


def _run_slots(slots: Sequence[Any], plan: Plan, transfers: bool, graph: bool) -> tuple[Samples, bool]:
    from .. import backend

    new_event = _event_maker(plan.spin)
    lanes, captured = [], graph
    for slot in slots:
        streams = [backend.cuda.Stream() for _ in range(3)]
        slot.h2d(streams[1])  # real numbers in the buffers, with transfers or without
        if graph:
            captured = slot.capture(streams[1]) and captured
        else:
            slot.compute(streams[1])
        streams[1].synchronize()
        work = Work(
            slot.graph if graph else slot.compute,
            slot.h2d if transfers else None,
            slot.d2h if transfers else None,
        )
        lanes.append(Lane(work, streams, new_event, plan))
    return run_lanes(lanes, plan), captured


def _about(session: Any, options: dict[str, Any], plan: Plan) -> Provenance:
    """Where the measurement comes from, with the hashes of model and plan where they are known."""
    report = getattr(session, "report", None)
    times = {k: getattr(plan, k) for k in ("warm_up_ms", "duration_s", "depth", "spin")}
    return origin.here(
        model_sha256=getattr(report, "onnx_sha256", None) or getattr(session, "onnx_sha256", None),
        plan_sha256=getattr(report, "plan_sha256", None) or getattr(session, "plan_sha256", None),
        options={**options, **times},
    )


def _finish(found: Samples, batch: int, where: Provenance, name: str | None) -> Measurement:
    """Samples to a Measurement, recorded when it has a name and recording is on."""
    from .. import backend
    from ..records import recordings

    series = {"enqueue": np.array(found.enqueue), "compute": np.array(found.compute)}
    if found.h2d:
        series["h2d"], series["d2h"] = np.array(found.h2d), np.array(found.d2h)
    parts = [series[k] for k in ("h2d", "compute", "d2h") if k in series]
    series["latency"] = np.sum(parts, axis=0)
    made = Measurement(
        series=series,
        throughput=len(found.compute) * batch / found.wall_s,
        batch=batch,
        wall_s=found.wall_s,
        options=where.options,
        provenance=where,
        source="measured" if backend.is_gpu() else "interpreter",
        name=name,
        events=found.events,
    )
    if name is not None:
        recordings.save(name, made, where)
    return made


def _recall(name: str, asked: dict[str, Any], batch: int | None = None) -> Measurement:
    """The recording of `name`, refused when it was made with other options than asked for."""
    from ..records import recordings

    found = recordings.recall(name).value
    if not isinstance(found, Measurement):
        raise RecordingError(f"'{name}' is recorded, but it is not a measurement.", cure="Use live_or_recorded for it.")
    differ = {k: v for k, v in asked.items() if found.options.get(k) != v}
    if batch is not None and batch != found.batch:
        differ["batch"] = batch
    if differ:
        recorded = {"batch": found.batch, **found.options}
        pairs = "; ".join(f"{k}: recorded {recorded.get(k)}, asked {v}" for k, v in differ.items())
        raise RecordingError(
            f"'{name}' was not recorded as it is asked for here.",
            why=pairs,
            cure="Without a name it is measured on this CPU; on a GPU it is measured as asked.",
        )
    return found
