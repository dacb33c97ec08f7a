"""Answers to lesson 07_2's exercises that the player tries."""

RELU = """
def relu_of(rows):
    {first}
    context = tl.load(relu_plan).create_execution_context()
    {shape}
    result = np.empty({size}, np.float32)
    device = {{name: cuda.mem_alloc(8 * 4 * 4) for name in ("rows", "out")}}
    for name in {names}:
        context.set_tensor_address(name, int(device[name]))
    cuda.memcpy_htod_async(device["rows"], rows, stream)
    context.execute_async_v3(stream.handle)
    cuda.memcpy_dtoh_async(result, device["out"], stream)
    stream.synchronize()
    return result
"""
PARTS = {
    "first": "rows = np.ascontiguousarray(rows, np.float32)",
    "shape": "if not context.set_input_shape('rows', rows.shape): raise ValueError(rows.shape)",
    "size": "tuple(context.get_tensor_shape('out'))",
    "names": "device",
}
EVENTS = """
def gpu_ms(context, stream):
    before, after, taken = cuda.Event(), cuda.Event(), []
    for _ in range(18):
        before.record(stream)
        context.execute_async_v3(stream.handle)
        after.record(stream)
        after.synchronize()
        taken.append(after.time_since(before))
    return {result}
"""
HOST = """
import time
def gpu_ms(context, stream):
    taken = []
    for _ in range(18):
        start = time.perf_counter()
        context.execute_async_v3(stream.handle)
        {wait}
        taken.append({unit} * (time.perf_counter() - start))
        stream.synchronize()
    return float(np.median(taken[3:]))
"""
LOOP = """
def faster(engine, batches):
    memory = {{name: cuda.mem_alloc(x.nbytes) for name in "xy"}}
    {once}
    for batch in batches:
        {each}
        for name, block in memory.items():
            context.set_tensor_address(name, int(block))
        cuda.memcpy_htod(memory["x"], batch)
        context.execute_async_v3(stream.handle)
        stream.synchronize()
        cuda.memcpy_dtoh(y, memory["y"])
        {answer}
    {end}
"""
MAKE = "context = engine.create_execution_context()"

ANSWERS = {
    "07_2.1": {
        "alternative": """
def relu_of(rows):
    context = tl.load(relu_plan).create_execution_context()
    if len(rows) > 8:
        raise ValueError("8 rows at most")
    context.set_input_shape("rows", rows.shape)
    there, back = cuda.mem_alloc(128), cuda.mem_alloc(128)
    context.set_tensor_address("rows", int(there))
    context.set_tensor_address("out", int(back))
    cuda.memcpy_htod(there, rows.astype(np.float32, order="C"))
    context.execute_async_v3(stream.handle)
    stream.synchronize()
    result = np.empty_like(rows, np.float32, order="C")
    cuda.memcpy_dtoh(result, back)
    return result
""",
        "wrong": [
            (RELU.format(**PARTS | {"first": ""}), "no float32"),
            (RELU.format(**PARTS | {"shape": "context.set_input_shape('rows', rows.shape)"}), "answers with a bool"),
            (RELU.format(**PARTS | {"names": "['rows']"}), "has `out` an address"),
            (RELU.format(**PARTS | {"shape": ""}), "is the shape set before"),
        ],
    },
    "07_2.2": {
        "alternative": """
def gpu_ms(context, stream):
    marks = [cuda.Event() for _ in range(19)]
    for mark in marks:
        mark.record(stream)
        context.execute_async_v3(stream.handle)
    stream.synchronize()
    taken = [after.time_since(before) for before, after in zip(marks, marks[1:])]
    return float(np.median(taken[3:]))
""",
        "wrong": [
            (HOST.format(wait="", unit="1000"), "host's time to enqueue"),
            (EVENTS.format(result="float(np.sum(taken))"), "more than one query"),
            (EVENTS.format(result="float(np.median(taken[3:])) / 1000"), "milliseconds already"),
            ("def gpu_ms(context, stream):\n    context.execute_async_v3(stream.handle)", "return the median"),
            (EVENTS.replace("18", "6").format(result="float(np.median(taken[3:]))"), "at least 15"),
        ],
    },
    "07_2.3": {
        "alternative": """
def faster(engine, batches):
    session = tl.Session(engine)
    return (answer["y"] for answer in session.stream(batches, depth=3))
""",
        "wrong": [
            (LOOP.format(once="", each=MAKE, answer="yield y", end=""), "make context and buffers once"),
            (
                LOOP.format(once=f"{MAKE}; found = []", each="pass", answer="found.append(y)", end="return found"),
                "the buffers are used again",
            ),
            ("def faster(engine, batches):\n    return []", "one per batch"),
        ],
    },
}
