"""Answers to lesson 07's exercises that the player tries."""

RIGHT = {
    "A": "no profile",
    "B": "no address",
    "C": "another version",
    "D": "outside every profile",
    "E": "misspelt name",
}
RELU = """
def relu(rows):
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
LOOP = """
def diagnose(medians):
    found = set()
    {host}
        found.add("host")
    {copy_in}
        found.add("copy in")
    {copy_out}
        found.add("copy out")
    return found or {{"GPU"}}
"""
RULES = {
    "host": "if medians['enqueue'] > 0.8 * medians['compute']:",
    "copy_in": "if medians.get('h2d', 0) >= medians['compute']:",
    "copy_out": "if medians.get('d2h', 0) >= medians['compute']:",
}

ANSWERS = {
    "07.1": {
        "alternative": 'causes = dict(zip("ABCDE", ("no profile", "no address", "another version", '
        '"outside every profile", "misspelt name")))',
        "wrong": [
            (f"causes = {RIGHT | {'E': 'no profile'}}", "For which name, then?"),
            (f"causes = {RIGHT | {'B': 'no profile'}}", "which pointers"),
            (f"causes = {RIGHT | {'D': 'wrong shape'}}", "none of them takes this shape"),
            ("causes = list('ABCDE')", "causes = {"),
        ],
    },
    "07.2": {
        "alternative": """
def relu(rows):
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
    "07.3": {
        "alternative": """
def diagnose(medians):
    rules = {"host": medians["enqueue"] / 0.8, "copy in": medians.get("h2d", 0), "copy out": medians.get("d2h", 0)}
    held = {w for w, ms in rules.items() if ms > medians["compute"] or (w != "host" and ms == medians["compute"])}
    return held if held else {"GPU"}
""",
        "wrong": [
            (LOOP.format(**RULES | {"copy_in": "if medians['h2d'] >= medians['compute']:"}), "medians.get"),
            (LOOP.format(**{k: v if k == "host" else "el" + v for k, v in RULES.items()}), "no `elif`"),
            (LOOP.format(**RULES | {"copy_in": RULES["copy_in"].replace(">=", ">")}), "counts too"),
            (LOOP.format(**RULES | {"host": "if medians['enqueue'] > 0.5 * medians['compute']:"}), "not before"),
            ("def diagnose(medians):\n    return 'GPU'", "a set"),
        ],
    },
}
