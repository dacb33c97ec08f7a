"""Checks of lesson 04_3, streams and graphs."""

import numpy as np

import trt_lessons as tl
from trt_lessons.workbook.exercises import exercise, right, wrong

COUNT = 1 << 22  # numbers a copy: 16 MB, some tenths of a millisecond


@exercise("04_3.1")
def link(answer):
    cuda = tl.cuda
    first, second, begun = cuda.Stream(1), cuda.Stream(1), cuda.Event()
    slow = [cuda.pagelocked_zeros(COUNT, np.float32) for _ in range(2)]
    slow[1].fill(7)
    there, seen = cuda.to_device(slow[0]), cuda.pagelocked_zeros(1, np.float32)
    for array in [slow[0]] * 24 + [slow[1]]:
        cuda.memcpy_htod_async(there, array, first)
    begun.record(first)
    answer(first, second)
    host_waited = begun.query()
    cuda.memcpy_dtoh_async(seen, int(there) + 4 * (COUNT - 1), second)
    second.synchronize()
    found = float(seen[0])
    cuda.Context.synchronize()
    expected = "the second stream copies what the first one has written, and the host goes on at once"
    if found != 7:
        return wrong(
            yours="the second stream copied the old numbers", expected=expected,
            hint="record an event in the first stream, then let the second one wait for it.",
        )  # fmt: skip
    if host_waited:
        return wrong(
            yours="the numbers are right, but the host waited for the first stream", expected=expected,
            hint="synchronize() holds up the host; a stream can wait by itself.",
        )  # fmt: skip
    return right("Any graph of dependencies between streams can be built from these two calls.")


@exercise("04_3.2")
def captured(answer):
    cuda, cudart = tl.cuda, tl.cudart
    stream, states = cuda.Stream(), []
    source, result = (cuda.pagelocked_zeros(4, np.float32) for _ in range(2))
    buffers = [cuda.mem_alloc(16) for _ in range(2)]

    def enqueue(queue):
        states.append(int(cudart.cudaStreamIsCapturing(queue.handle)[1]))
        cuda.memcpy_htod_async(buffers[0], source, queue)
        cuda.memcpy_dtod_async(buffers[1], buffers[0], 16, queue)
        cuda.memcpy_dtoh_async(result, buffers[1], queue)

    expected = "an executable graph of one query"
    try:
        graph = answer(enqueue, stream)
    finally:
        open_still = int(cudart.cudaStreamIsCapturing(stream.handle)[1]) != 0
        if open_still:
            cudart.cudaStreamEndCapture(stream.handle)
            cudart.cudaGetLastError()
    if open_still:
        return wrong(yours="the stream is still being captured", expected=expected, hint="end the capture too.")
    if 1 not in states:
        return wrong(
            yours=f"{len(states)} enqueues, none while capturing", expected=expected,
            hint="enqueue between the begin and the end of the capture.",
        )  # fmt: skip
    if states[0] == 1:
        return wrong(
            yours="the first enqueue was captured", expected="one plain run before the capture",
            hint="TensorRT settles its memory in a first plain run; enqueue once before the capture begins.",
        )  # fmt: skip
    if graph is None:
        return wrong(yours="the function returns nothing", expected=expected, hint="return the executable graph.")
    if not isinstance(graph, cudart.cudaGraphExec_t):
        return wrong(
            yours=f"a {type(graph).__name__}", expected=expected,
            hint="cudaGraphInstantiate makes a graph ready to launch, and its value is the second of its answer.",
        )  # fmt: skip
    for number in (3, 8):
        source.fill(number)
        cudart.cudaGraphLaunch(graph, stream.handle)
        stream.synchronize()
        if result[0] != number:
            return wrong(
                yours="a launch does not give the new answer", expected=expected,
                hint="copy in, compute and copy out all belong between begin and end.",
            )  # fmt: skip
    return right("One call from the host for a whole query, copies included.")


class Counted:
    """A context that counts its enqueues."""

    def __init__(self, context):
        self.context, self.enqueues = context, 0

    def __getattr__(self, name):
        return getattr(self.context, name)

    def execute_async_v3(self, stream):
        self.enqueues += 1
        return self.context.execute_async_v3(stream)


def plain_launcher(context, stream, sets):
    """What the exercise begins with."""

    def run(i):
        for name, address in sets[i].items():
            context.set_tensor_address(name, address)
        context.execute_async_v3(stream.handle)

    return run


def end_of_capture(stream):
    """Whether a capture was left open; it is ended then."""
    cudart = tl.cudart
    still = int(cudart.cudaStreamIsCapturing(stream.handle)[1]) != 0
    if still:
        cudart.cudaStreamEndCapture(stream.handle)
        cudart.cudaGetLastError()
    return still


def first_mistake(run, memory, session, stream):
    """Runs each set on numbers of its own, twice: None, or what is wrong with the answers."""
    cuda, expected = tl.cuda, "the plain answer in each set's own buffer"
    for seed in (1, 2):
        for i, (source, result) in enumerate(memory):
            numbers = np.random.default_rng(10 * seed + i).random(SHAPE, np.float32)
            cuda.memcpy_htod(source, numbers)
            for _, each in memory:
                cuda.memset_d8(each, 0, numbers.nbytes)
            run(i)
            stream.synchronize()
            found = np.empty(SHAPE, np.float32)
            cuda.memcpy_dtoh(found, result)
            if not found.any():
                return wrong(
                    yours=f"query {i} leaves its output buffer empty", expected=expected,
                    hint="the addresses are frozen in a graph: how many sets are there, and how many graphs?",
                )  # fmt: skip
            if not np.allclose(found, session.infer(numbers)["out"], 1e-3, 1e-4):
                return wrong(
                    yours=f"query {i} gives another answer", expected=expected,
                    hint="set both addresses of the set before its plain run and its capture.",
                )  # fmt: skip
    return None


SHAPE = (1, 16, 16, 16)


@exercise("04_3.3", points=2)
def launcher(answer):
    cuda, chain = tl.cuda, tl.models.stack("x", SHAPE, [16] * 40)
    engine = tl.load(tl.build(chain, precision="fp32", level=1).plan)
    memory = [tuple(cuda.mem_alloc(4 * 16**3) for _ in range(2)) for _ in range(2)]
    sets = [{"x": int(a), "out": int(b)} for a, b in memory]
    context, stream = Counted(engine.create_execution_context()), cuda.Stream()
    try:
        run = answer(context, stream, sets)
    finally:
        open_still = end_of_capture(stream)
    if open_still:
        return wrong(yours="the stream is still being captured", expected="a function", hint="end each capture too.")
    if not callable(run):
        return wrong(yours=type(run).__name__, expected="run(i), a function", hint="return the function run.")
    before = context.enqueues
    mistake = first_mistake(run, memory, tl.Session(engine), stream)
    if mistake:
        return mistake
    layers = context.enqueues - before
    if not tl.backend.is_gpu():
        if layers:
            return wrong(
                yours=f"{layers} layer-by-layer enqueues in 4 queries", expected="none: one launch per query",
                hint="capture in launcher, before run is returned; run only launches.",
            )  # fmt: skip
        return right("4 queries, 4 launches, no enqueue of layers.")
    usual, mine = (
        tl.call_times(lambda f=f: f(0), stream.synchronize)[0] for f in (plain_launcher(context, stream, sets), run)
    )
    if mine > 0.5 * usual:
        return wrong(
            yours=f"the host is held for {mine:.3f} ms", expected=f"at most half of {usual:.3f} ms",
            hint="capture in launcher, before run is returned; run only launches.",
        )  # fmt: skip
    return right(f"The host is held for {mine:.3f} ms in place of {usual:.3f} ms.")
