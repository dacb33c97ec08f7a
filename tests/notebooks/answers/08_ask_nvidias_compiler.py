"""Answers to lesson 08's exercises that the player tries."""

MENDED = """
def mended(network):
    half = network.add_input("half", trt.float16, (4, 4))
    full = network.add_input("full", trt.float32, (4, 4))
    {cast}
    total = network.add_elementwise(a, b, trt.ElementWiseOperation.SUM).get_output(0)
    {end}
"""
WIDE = "a, b = network.add_cast(half, trt.float32).get_output(0), full"
NARROW = "a, b = half, network.add_cast(full, trt.float16).get_output(0)"
END = "network.mark_output(total)"
EMPTIED = """
small = precision.to_fp16(base)
for tensor in small.graph.initializer:
    if len(tensor.dims) == 4:
        values = onnx.numpy_helper.to_array(tensor)
        tensor.CopyFrom(onnx.numpy_helper.from_array(0 * values, tensor.name))
"""

ANSWERS = {
    "08.1": {
        "alternative": "def alone(table):\n    return [r.name for r in table if r.origins and not r.origins[1:]]",
        "wrong": [
            (
                "def alone(table):\n    return [r.name for r in table if len(r.origins) < 2]",
                "no network layer",
            ),
            ("def alone(table):\n    return [r.origins[0] for r in table if len(r.origins) == 1]", "row.name"),
            ("def alone(table):\n    return [r.name for r in table]", "how long is row.origins"),
        ],
    },
    "08.2": {
        "alternative": "small = precision.to_fp16(precision.fold_batch_norms(base))",
        "wrong": [
            ('small = versions["INT8"]', "how many bytes has a half"),
            ("small = base", "how many bytes has a half"),
            (EMPTIED, "answers lost"),
            ("small = precision", "what do the helpers"),
        ],
    },
    "08.3": {
        "alternative": MENDED.format(cast=WIDE.replace("a, b", "b, a"), end=END),
        "wrong": [
            (MENDED.format(cast="a, b = half, full", end=END), "add_cast"),
            (MENDED.format(cast=NARROW, end=END), "no digit is lost"),
            (MENDED.format(cast=WIDE, end="return total"), "mark_output"),
        ],
    },
}
