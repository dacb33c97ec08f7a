"""Answers to lesson 01's exercises that the player tries."""

BLOCK = """
def block(net, x, kernel):
    made = net.add_convolution_nd(x, kernel.shape[0], kernel.shape[2:], kernel)
    {padding}
    relu = net.add_activation(made.get_output(0), trt.ActivationType.RELU)
    pool = net.add_pooling_nd({source}.get_output(0), trt.PoolingType.MAX, (2, 2))
    pool.stride_nd = (2, 2)
    return {result}
"""
SAME = "made.padding_mode = trt.PaddingMode.SAME_UPPER"

RANGES = """
def ranges(engine, profile):
    found = {{}}
    for i in range(engine.num_io_tensors):
        name = engine.get_tensor_name(i)
        if {condition}:
            found[name] = {shapes}
    return found
"""
INPUTS = "engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT"

ANSWERS = {
    "01.1": {
        "alternative": BLOCK.format(padding=SAME, source="relu", result="pool.get_output(0)"),
        "wrong": [
            (BLOCK.format(padding="pass", source="relu", result="pool.get_output(0)"), "give it a padding"),
            (BLOCK.format(padding=SAME, source="relu", result="pool"), "a layer is no tensor"),
            (BLOCK.format(padding=SAME, source="relu", result="relu.get_output(0)"), "return the pooling's tensor"),
            (
                "def block(net, x, kernel):\n    return net.add_convolution_nd(x, 8, (3, 3), kernel).get_output(0)",
                "ReLU is missing",
            ),
        ],
    },
    "01.2": {
        "alternative": "ready = measured.T.astype(np.float32).copy(order='C')",
        "wrong": [
            ("ready = measured.T.astype(np.float32)", "still in the old order"),
            ("ready = np.ascontiguousarray(measured.T)", "the type is still not"),
            ("ready = measured.astype(np.float32).reshape(10, 64)", "a reshape is no transpose"),
            ("ready = measured.astype(np.float32)", "10 rows"),
        ],
    },
    "01.3": {
        "alternative": RANGES.format(
            condition=INPUTS, shapes="[list(s) for s in engine.get_tensor_profile_shape(name, profile)]"
        ),
        "wrong": [
            (RANGES.format(condition=INPUTS, shapes="engine.get_tensor_profile_shape(name, 0)"), "whatever was asked"),
            (RANGES.format(condition="True", shapes="engine.get_tensor_shape(name)"), "an output has no range"),
            (
                RANGES.format(condition=INPUTS, shapes="tuple(engine.get_tensor_shape(name))"),
                "three shapes for each input",
            ),
            (
                RANGES.format(condition="name == 'a'", shapes="engine.get_tensor_profile_shape(name, profile)"),
                "every input belongs there",
            ),
        ],
    },
}
