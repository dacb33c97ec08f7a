"""Answers to lesson 04_3's exercises that the player tries."""

CAPTURE = """
def captured(enqueue, stream):
    {before}
    mode = cudart.cudaStreamCaptureMode.cudaStreamCaptureModeRelaxed
    cudart.cudaStreamBeginCapture(stream.handle, mode)
    {inside}
    graph = cudart.cudaStreamEndCapture(stream.handle)[1]
    {after}
    return {result}
"""
PLAIN = "enqueue(stream); stream.synchronize()"
READY = "cudart.cudaGraphInstantiate(graph, 0)[1]"

ANSWERS = {
    "04_3.1": {
        "alternative": (
            "def link(first, second):\n"
            "    flags = cuda.event_flags.DISABLE_TIMING\n"
            "    second.wait_for_event(cuda.Event(flags).record(first))"
        ),
        "wrong": [
            ("def link(first, second):\n    first.synchronize()", "synchronize() holds up the host"),
            (
                "def link(first, second):\n    event = cuda.Event().record(second)\n    first.wait_for_event(event)",
                "record an event in the first stream",
            ),
            (
                "def link(first, second):\n    second.wait_for_event(cuda.Event())",
                "record an event in the first stream",
            ),
        ],
    },
    "04_3.2": {
        "alternative": CAPTURE.format(before=PLAIN, inside="enqueue(stream)", after="ready = " + READY, result="ready"),
        "wrong": [
            (CAPTURE.format(before=PLAIN, inside="enqueue(stream)", after="", result="graph"), "ready to launch"),
            (CAPTURE.format(before="", inside="enqueue(stream)", after="", result=READY), "settles its memory"),
            (CAPTURE.format(before=PLAIN, inside="pass", after="enqueue(stream)", result="None"), "between the begin"),
            (
                "def captured(enqueue, stream):\n    enqueue(stream)\n    stream.synchronize()\n"
                "    mode = cudart.cudaStreamCaptureMode.cudaStreamCaptureModeRelaxed\n"
                "    cudart.cudaStreamBeginCapture(stream.handle, mode)\n    enqueue(stream)",
                "end the capture",
            ),
        ],
    },
    "04_3.3": {
        "alternative": (
            "def limit(m):\n"
            "    found = {k: m.median(k) for k in m.series if k not in ('latency', 'enqueue')}\n"
            "    slow = m.median('enqueue') / found['compute'] > 0.8\n"
            "    return 'host' if slow else sorted(found, key=found.get)[-1]"
        ),
        "wrong": [
            (
                "def limit(m):\n    return max((k for k in ('h2d', 'compute', 'd2h') if k in m.series), key=m.median)",
                "ask about the host first",
            ),
            (
                "def limit(m):\n    return 'host' if m.median('enqueue') > 0.4 * m.median('compute') else "
                "max((k for k in ('h2d', 'compute', 'd2h') if k in m.series), key=m.median)",
                "only above 0.8",
            ),
            (
                "def limit(m):\n    return 'host' if m.median('enqueue') > 0.8 * m.median('compute') else 'compute'",
                "the largest median",
            ),
        ],
    },
}
