"""Answers to lesson 04_2's exercises that the player tries."""

SEPARATE = """
def separate(network):
    x = network.add_input("x", trt.float32, (1, 3, 32, 32))
    conv = network.add_convolution_nd(x, 8, (3, 3), KERNEL, BIAS)
    tensor = conv.get_output(0)
    {between}
    relu = network.add_activation(tensor, trt.ActivationType.RELU)
    conv.name, relu.name, relu.get_output(0).name = "conv", "{relu}", "y"
    network.mark_output(relu.get_output(0))
"""
# No layer that does nothing stands here: TensorRT 8.6 keeps an identity and drops a pooling of 1x1, others do not.
WRITTEN = "tensor.name = 'inner'; network.mark_output(tensor)"
NAMED = "tensor.name = 'inner'"
NEGATIVE = "tensor = network.add_unary(tensor, trt.UnaryOperation.NEG).get_output(0)"

ANSWERS = {
    "04_2.1": {
        "alternative": (
            "def inside(name):\n"
            "    if 'CopyNode' in name:\n        return []\n"
            "    return name.replace('PWN(', ' ').replace(')', ' ').replace(',', ' ')"
            ".replace('+', ' ').replace('||', ' ').split()"
        ),
        "wrong": [
            ("def inside(name):\n    return name", "a list, even if"),
            ("def inside(name):\n    return name.split(' + ')", "|| separates names"),
            ("def inside(name):\n    return re.findall(r'[\\w.]+', name)", "a wrapper around names"),
            (
                "def inside(name):\n    return [w for w in re.findall(r'[\\w.]+', name) if w != 'PWN']",
                "a copy that TensorRT added",
            ),
        ],
    },
    "04_2.2": {
        "alternative": SEPARATE.format(between=WRITTEN, relu="relu"),
        "wrong": [
            (SEPARATE.format(between="pass", relu="relu"), "nothing keeps them apart"),
            (SEPARATE.format(between=NAMED, relu="relu"), "write the tensor between them"),
            (SEPARATE.format(between=NEGATIVE, relu="relu"), "must not change the numbers"),
            (SEPARATE.format(between="pass", relu="second"), "name the layers"),
        ],
    },
    "04_2.3": {
        "alternative": (
            "def traffic(shapes, itemsize):\n"
            "    n = [itemsize * int(np.prod(s)) for s in shapes]\n"
            "    return [sum(a + b for a, b in zip(n, n[1:])), n[0] + n[-1]]"
        ),
        "wrong": [
            (
                "def traffic(shapes, itemsize):\n    n = [math.prod(s) for s in shapes]\n"
                "    return 2 * sum(n) - n[0] - n[-1], n[0] + n[-1]",
                "you counted elements",
            ),
            (
                "def traffic(shapes, itemsize):\n    n = [itemsize * math.prod(s) for s in shapes]\n"
                "    return sum(n), n[0] + n[-1]",
                "counts twice",
            ),
            (
                "def traffic(shapes, itemsize):\n    n = [itemsize * math.prod(s) for s in shapes]\n"
                "    return 2 * sum(n) - n[0] - n[-1], sum(n)",
                "still touch the memory",
            ),
            ("def traffic(shapes, itemsize):\n    return itemsize * len(shapes)", "return two numbers"),
        ],
    },
}
