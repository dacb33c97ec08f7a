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

LINEAR = """
def linear(net, x, table, kept):
    ready = {ready}
    kept.append(ready)
    made = net.add_constant(ready.shape, ready).get_output(0)
    plain = trt.MatrixOperation.NONE
    return net.add_matrix_multiply(x, plain, made, {how}){end}
"""
PLAIN, TURNED = "plain", "trt.MatrixOperation.TRANSPOSE"
LEAN = """
shapes = {{"images": ((1, 1, 32, 32), ({most}, 1, 32, 32), ({most}, 1, 32, 32))}}
lean = tl.build(digits.onnx_path(), profiles=shapes, level=1){end}
"""

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
        "alternative": LINEAR.format(
            ready="np.ascontiguousarray(table.T, np.float32)", how=PLAIN, end=".get_output(0)"
        ),
        "wrong": [
            (
                LINEAR.format(ready="table.astype(np.float32).reshape(64, 10)", how=PLAIN, end=".get_output(0)"),
                "a reshape is no transpose",
            ),
            (LINEAR.format(ready="table.astype(np.float32)", how=TURNED, end=""), "a layer is no tensor"),
            (
                LINEAR.format(ready="table.astype(np.float32)", how=TURNED, end=".get_output(0)").replace(
                    "kept.append(ready)", "pass"
                ),
                "is in no list",
            ),
            (
                LINEAR.format(ready="table.astype(np.float32)", how=TURNED, end=".get_output(0)").replace(
                    "return ", "made = "
                ),
                "return the product",
            ),
        ],
    },
    "01.3": {
        "alternative": LEAN.format(most=8, end=".engine()"),
        "wrong": [
            (LEAN.format(most=64, end=".engine()"), "who sets it"),
            (LEAN.format(most=32, end=".engine()"), "who sets it"),
            (LEAN.format(most=16, end=""), "report.engine()"),
        ],
    },
}
