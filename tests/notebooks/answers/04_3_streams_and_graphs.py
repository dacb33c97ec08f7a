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

LAUNCHER = """
def launcher(context, stream, sets):
    def enqueue(i):
        for name, address in sets[i].items():
            context.set_tensor_address(name, address)
        context.execute_async_v3(stream.handle)
    enqueue({which})
    stream.synchronize()
    mode = cudart.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
    cudart.cudaStreamBeginCapture(stream.handle, mode)
    enqueue({which})
    graph = cudart.cudaGraphInstantiate(cudart.cudaStreamEndCapture(stream.handle)[1], 0)[1]
    def run(i):
        {inside}
    return run
"""

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
            "def launcher(context, stream, sets):\n"
            "    graphs, mode = {}, cudart.cudaStreamCaptureMode.cudaStreamCaptureModeRelaxed\n"
            "    for i, one in enumerate(sets):\n"
            "        [context.set_tensor_address(*pair) for pair in one.items()]\n"
            "        context.execute_async_v3(stream.handle)\n"
            "        stream.synchronize()\n"
            "        cudart.cudaStreamBeginCapture(stream.handle, mode)\n"
            "        context.execute_async_v3(stream.handle)\n"
            "        graph = cudart.cudaStreamEndCapture(stream.handle)[1]\n"
            "        graphs[i] = cudart.cudaGraphInstantiate(graph, 0)[1]\n"
            "    def run(i):\n"
            "        cudart.cudaGraphLaunch(graphs[i], stream.handle)\n"
            "    return run"
        ),
        "wrong": [
            (LAUNCHER.format(which="0", inside="cudart.cudaGraphLaunch(graph, stream.handle)"), "addresses are frozen"),
            (LAUNCHER.format(which="0", inside="enqueue(i)"), "run only launches"),
            ("def launcher(context, stream, sets):\n    pass", "return the function run"),
        ],
    },
}
