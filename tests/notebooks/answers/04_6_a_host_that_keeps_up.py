"""Answers to lesson 04_6's exercises that the player tries."""

BOTH = """
def both(engine, first, second):
    lanes = []
    shared = {shared}
    for numbers in (first, second):
        own = {context}
        queue = {stream}
        a, b = cuda.to_device(numbers), cuda.mem_alloc(numbers.nbytes)
        own.set_tensor_address("x", int(a))
        own.set_tensor_address("out", int(b))
        own.execute_async_v3(queue.handle)
        {between}
        lanes.append((own, queue, a, b))
    answers = []
    for _own, queue, _a, b in lanes:
        queue.synchronize()
        answer = np.empty(TINY, np.float32)
        cuda.memcpy_dtoh(answer, b)
        answers.append(answer)
    return {result}
"""
GOOD = {
    "shared": "None",
    "context": "engine.create_execution_context()",
    "stream": "cuda.Stream()",
    "between": "pass",
    "result": "answers",
}
SERVER = """
def server(engine, buffers):
    mode, lanes = cudart.cudaStreamCaptureMode.cudaStreamCaptureModeRelaxed, []
    shared = {shared}
    for addresses in buffers:
        own, queue = {context}, {stream}
        for pair in {addresses}.items():
            own.set_tensor_address(*pair)
        own.execute_async_v3(queue.handle)
        queue.synchronize()
        cudart.cudaStreamBeginCapture(queue.handle, mode)
        own.execute_async_v3(queue.handle)
        graph = cudart.cudaStreamEndCapture(queue.handle)[1]
        lanes.append((own, queue, cudart.cudaGraphInstantiate(graph, 0)[1]))
    def run():
        for own, queue, graph in lanes:
            {go}
        for own, queue, graph in lanes:
            {wait}
    return run
"""
WELL = {
    "shared": "None",
    "context": "engine.create_execution_context()",
    "stream": "cuda.Stream()",
    "addresses": "addresses",
    "go": "cudart.cudaGraphLaunch(graph, queue.handle)",
    "wait": "queue.synchronize()",
}

ANSWERS = {
    "04_6.1": {
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
    "04_6.2": {
        "alternative": BOTH.format(**GOOD | {"stream": "cuda.Stream(1)", "result": "tuple(answers)"}),
        "wrong": [
            (
                BOTH.format(**GOOD | {"shared": "engine.create_execution_context()", "context": "shared"}),
                "one context holds one running query",
            ),
            (BOTH.format(**GOOD | {"shared": "cuda.Stream()", "stream": "shared"}), "a stream of its own"),
            (BOTH.format(**GOOD | {"between": "queue.synchronize()"}), "wait in a second one"),
            (BOTH.format(**GOOD | {"result": "answers[::-1]"}), "the order of the inputs"),
        ],
    },
    "04_6.3": {
        "alternative": SERVER.format(**WELL),
        "wrong": [
            (SERVER.format(**WELL | {"go": "own.execute_async_v3(queue.handle)"}), "capture a graph for each query"),
            (SERVER.format(**WELL | {"addresses": "buffers[0]"}), "its own addresses"),
            (SERVER.format(**WELL | {"wait": "pass"}), "wait for every stream"),
            (SERVER.format(**WELL | {"shared": "cuda.Stream()", "stream": "shared"}), "each in a stream of its own"),
            (
                SERVER.format(**WELL | {"shared": "engine.create_execution_context()", "context": "shared"}),
                "create one for each query",
            ),
        ],
    },
}
