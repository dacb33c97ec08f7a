"""Answers to lesson 04_1's exercises that the player tries."""

PAIR = "def int8_and_back(values, largest):\n    values, s = np.asarray(values), largest / 127\n    return {}"
NODES = """
def tensors_to_quantize(model):
    nodes = [n for n in model.graph.node if n.op_type in {ops}]
    return {result}
"""
BOTH = ("Conv", "Gemm")

ANSWERS = {
    "04_1.1": {
        "alternative": PAIR.format("np.minimum(np.maximum(np.rint(values / s), -128), 127) * s"),
        "wrong": [
            (PAIR.format("np.round(values / s) * s"), "beyond the range"),
            (PAIR.format("np.clip(np.round(values / s), -128, 127)"), "stored integers"),
            (PAIR.format("np.clip(values / s, -128, 127) * s"), "nothing was rounded"),
            (PAIR.format("np.clip(np.trunc(values / s), -128, 127) * s"), "cut the fraction off"),
        ],
    },
    "04_1.2": {
        "alternative": "keep_fp32 = ('block4.conv2', 'block4.relu1', 'block4.norm1')",
        "wrong": [
            ("keep_fp32 = 'block4.norm1'", "give a list of names"),
            ("keep_fp32 = ['block4.norm1']", "still infinities"),
            ("keep_fp32 = ['block9.norm1']", "not all of these are names"),
            ("keep_fp32 = [n.name for n in base.graph.node]", "more than needed"),
        ],
    },
    "04_1.3": {
        "alternative": NODES.format(ops=BOTH, result="[n.input[i] for n in nodes for i in (1, 0)]"),
        "wrong": [
            (NODES.format(ops=BOTH, result="{name for n in nodes for name in n.input}"), "biases are among them"),
            (NODES.format(ops=BOTH, result="{n.input[0] for n in nodes}"), "weights are missing"),
            (NODES.format(ops=BOTH, result="{n.input[1] for n in nodes}"), "activations are missing"),
            (NODES.format(ops=("Conv",), result="{x for n in nodes for x in n.input[:2]}"), "the last layer is a Gemm"),
        ],
    },
}
