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
    for array in [slow[0]] * 8 + [slow[1]]:
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


def made(**medians):
    """A Measurement whose samples are ten of each median, and one late one."""
    from trt_lessons.records.measurement import Measurement

    series = {kind: np.array([ms] * 10 + [50 * ms]) for kind, ms in medians.items()}
    return Measurement(series, throughput=1.0, batch=1, wall_s=1.0)


@exercise("04_3.3")
def limit(answer):
    cases = [
        ("host", {"enqueue": 0.5, "h2d": 0.1, "compute": 0.52, "d2h": 0.1}),
        ("compute", {"enqueue": 0.1, "h2d": 0.2, "compute": 0.9, "d2h": 0.3}),
        ("h2d", {"enqueue": 0.05, "h2d": 0.7, "compute": 0.4, "d2h": 0.3}),
        ("d2h", {"enqueue": 0.3, "h2d": 0.2, "compute": 0.4, "d2h": 0.6}),
        ("host", {"enqueue": 0.5, "compute": 0.55}),
        ("compute", {"enqueue": 0.1, "compute": 0.55}),
    ]
    for wanted, medians in cases:
        got = answer(made(**medians))
        if got == wanted:
            continue
        told = ", ".join(f"{kind} {ms}" for kind, ms in medians.items())
        if got is None:
            hint = "return one of the four names."
        elif wanted == "host":
            hint = "ask about the host first: compute contains the waiting for it."
        elif got == "host":
            hint = "the host is the limit only above 0.8 of compute, by the medians."
        elif got == "enqueue":
            hint = 'the enqueue is not a stream of the GPU; its name here is "host".'
        else:
            hint = "of h2d, compute and d2h, take the one with the largest median."
        return wrong(yours=got, expected=f"the limit for medians of {told}", hint=hint)
    return right("Only the limit is worth working on.")
