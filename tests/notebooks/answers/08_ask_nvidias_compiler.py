"""Answers to lesson 08's exercises that the player tries."""

from trt_lessons import nvidia

HERE = nvidia.available()

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
        "alternative": (
            "counts = {}\n"
            "for node in onnx.load(DIGITS).graph.node:\n"
            "    if node.name.startswith('block5') and 'norm2' in node.name:\n"
            "        asked = tl.nvidia.ask(marked(node.output[0]), 'SM89', RANGE)\n"
            "        counts[node.output[0]] = len(asked['SM89'].table) if asked.builds else 0\n"
            "watch = min(counts, key=counts.get)"
        ),
        "wrong": [
            ('watch = "block5.conv1"', "Try one that stands later" if not HERE else "ask about the tensors behind it"),
            ('watch = "stem.conv"', "the last block"),
            ('watch = "block5"', "graph.node"),
            ("watch = 25", "in quotation marks"),
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
