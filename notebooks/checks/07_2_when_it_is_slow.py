"""Checks of lesson 07_2, failures at the run, and slow runs."""

import itertools
from time import perf_counter
from unittest import mock

import numpy as np

import trt_lessons as tl
from trt_lessons.measuring import turns
from trt_lessons.workbook.exercises import exercise, right, wrong

_SEEDS = itertools.count(7)
SHAPE = (16, 64, 48, 48)


def _rows(count, kind=np.float32):
    """Other numbers at each call: an output that was never written may still hold the last answer."""
    return np.random.default_rng(next(_SEEDS)).integers(-50, 50, (count, 4)).astype(kind)


@exercise("07_2.1")
def repair(answer):
    hints = {
        np.float32: "is the shape set before the output's shape is asked for, and has `out` an address?",
        np.float64: "the engine reads float32 from memory: eight bytes per number are no float32.",
        np.int64: "the engine reads float32 from memory: integers are no float32.",
    }
    for kind, hint in hints.items():
        for count in (3, 1, 8):
            rows = _rows(count, kind)
            called, expected = f"{count} rows of {np.dtype(kind).name}", f"relu of them, float32 [{count}, 4]"
            try:
                got = answer(rows)
            except Exception as problem:
                return wrong(yours=f"{type(problem).__name__} for {called}: {problem}", expected=expected, hint=hint)
            if got is None:
                return wrong(yours=f"nothing for {called}", expected=expected, hint="end with `return result`.")
            if np.shape(got) != rows.shape or not np.array_equal(got, np.maximum(rows, 0)):
                return wrong(yours=f"other numbers for {called}", expected=expected, hint=hint)
    turned = np.asfortranarray(_rows(4))
    if not np.array_equal(answer(turned), np.maximum(turned, 0)):
        return wrong(
            yours="other numbers for a transposed array", expected="relu of it",
            hint="np.ascontiguousarray puts rows one after another, as the engine reads them.",
        )  # fmt: skip
    return _refuses(answer)


def _refuses(answer):
    hint, expected = "set_input_shape answers with a bool: look at it.", "ValueError for 9 rows"
    try:
        got = answer(_rows(9))
    except ValueError as problem:
        if "negative dimensions" not in str(problem):
            return right("Every bool that TensorRT gives back is worth an `if`.")
        return wrong(yours=f"an accident for 9 rows: {problem}", expected=expected, hint=hint)
    except Exception as problem:
        return wrong(yours=f"{type(problem).__name__} for 9 rows: {problem}", expected=expected, hint=hint)
    return wrong(yours=got, expected=expected, hint=hint)


@exercise("07_2.2")
def gpu_ms(answer, context, stream):
    """Against our own events around the same queries, so that load of other programs is in both times."""
    with turns.turn():
        got, own = _watched(answer, context, stream)
        alone = _event_ms(context, stream)
    if got is None:
        return wrong(yours="nothing", expected="milliseconds per query", hint="return the median.")
    queries, own = len(own), own[3:] or [alone]
    low, high = sorted((float(np.median(own)), alone))
    expected = f"about {low:.3g} ms for one query"
    if queries < 18:
        hint = "3 queries that do not count, and at least 15 that do, by context.execute_async_v3."
        return wrong(yours=f"{queries} queries", expected="at least 18 queries", hint=hint)
    if 0.6 * low <= got <= 3 * high:
        return right(f"{got:.3g} ms per query, copies not counted.")
    hint = (
        "is something else in your time: a first call, a copy, more than one query? By the host's clock also the"
        " turns of other programs on this GPU: take events."
    )
    if got < low:
        hint = (
            "too little. Is it the host's time to enqueue: did you wait before you stopped? Or seconds: time_since"
            " gives milliseconds already."
        )
    return wrong(yours=f"{got:.3g}", expected=expected, hint=hint)


def _watched(answer, context, stream):
    """The answer, and the ms of each query that it made, by events of ours inside of the learner's."""
    pairs, kind, event = [], type(context), tl.cuda.Event
    execute, made = kind.execute_async_v3, [(event(), event()) for _ in range(64)]  # made before the clock runs

    def timed(*given, **named):
        first, last = made.pop() if made else (event(), event())
        first.record(stream)
        done = execute(*given, **named)
        last.record(stream)
        pairs.append((first, last))
        return done

    with mock.patch.object(kind, "execute_async_v3", timed):
        got = answer(context, stream)
    stream.synchronize()
    return got, [last.time_since(first) for first, last in pairs]


def _event_ms(context, stream):
    """Median ms of five queries by events, after two more."""
    first, last, taken = tl.cuda.Event(), tl.cuda.Event(), []
    for _ in range(7):
        first.record(stream)
        context.execute_async_v3(stream.handle)
        last.record(stream)
        last.synchronize()
        taken.append(last.time_since(first))
    return float(np.median(taken[2:]))


def _slow(engine, batches):
    """The loop of the task: everything anew for each batch."""
    stream = tl.cuda.Stream()
    for batch in batches:
        context = engine.create_execution_context()
        memory = {name: tl.cuda.mem_alloc(batch.nbytes) for name in "xy"}
        for name, block in memory.items():
            context.set_tensor_address(name, int(block))
        tl.cuda.memcpy_htod(memory["x"], batch)
        context.execute_async_v3(stream.handle)
        stream.synchronize()
        y = np.empty(SHAPE, np.float32)
        tl.cuda.memcpy_dtoh(y, memory["y"])
        yield y


@exercise("07_2.3")
def faster(answer, engine):
    random = np.random.default_rng(5)
    batches = [tl.pinned(SHAPE) for _ in range(3)]
    for batch in batches:
        batch[...] = random.random(SHAPE, np.float32)
    verdict = _same(answer(engine, batches), list(_slow(engine, batches)))
    verdict = verdict or _counted(answer, engine, [batches[i % 3] for i in range(24)])
    if verdict or not tl.backend.is_gpu():
        return verdict or right("Everything is made once.")
    return _timed(answer, engine, [batches[i % 3] for i in range(96)])


def _same(got, wanted):
    """What is wrong with the answers, each looked at before the next is asked for; None where all are right."""
    count = 0
    for mine in () if got is None else got:
        if count == len(wanted):
            return wrong(yours="more than 3 answers", expected="3 answers", hint="one per batch.")
        if np.shape(mine) != SHAPE or not np.allclose(mine, wanted[count], rtol=1e-3, atol=1e-3):
            hint = "the buffers are used again: yield an answer before the next one is computed, and keep the order."
            return wrong(yours=f"other numbers in answer {count}", expected="the loop's answers", hint=hint)
        count += 1
    if count < len(wanted):
        return wrong(yours=f"{count} answers", expected="3 answers", hint="one per batch.")
    return None


def _counted(answer, engine, many):
    """On both backends: contexts and allocations of device memory; None where they are few enough."""
    made = {"contexts": 0, "allocations": 0}
    create, allocate = type(engine).create_execution_context, tl.cuda.mem_alloc

    def counting(what, call):
        def counted(*arguments, **more):
            made[what] += 1
            return call(*arguments, **more)

        return counted

    with (
        mock.patch.object(type(engine), "create_execution_context", counting("contexts", create)),
        mock.patch.object(tl.cuda, "mem_alloc", counting("allocations", allocate)),
    ):
        _consumed(answer, engine, many)
    if made["contexts"] <= 4 and made["allocations"] <= 12:
        return None
    told = f"{made['contexts']} contexts and {made['allocations']} allocations for {len(many)} batches"
    hint = "make context and buffers once, before the first batch."
    return wrong(yours=told, expected="at most 4 contexts and 12 allocations", hint=hint)


def _consumed(function, engine, many):
    for _ in function(engine, many):
        pass


def _timed(answer, engine, many):
    """On a GPU: five rounds, both in turn, and the median of the five shares: load of other programs hits both."""
    taken = []
    with turns.turn():
        for function in (answer, _slow) * 5:
            start = perf_counter()
            _consumed(function, engine, many)
            taken.append(1000 * (perf_counter() - start) / len(many))
    mine, theirs = np.array(taken[::2]), np.array(taken[1::2])
    share = float(np.median(mine / theirs))
    told = f"{np.median(mine):.2f} ms per batch, the loop {np.median(theirs):.2f} ms: {100 * share:.0f} %"
    if share <= 0.6:
        return right(told + ".")
    hint = "does the copy of the next batch run while this one is computed?"
    return wrong(yours=told, expected="at most 60 % of the loop's time", hint=hint)
