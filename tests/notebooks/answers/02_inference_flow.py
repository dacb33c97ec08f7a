"""Answers to lesson 02's exercises that the player tries."""

RUN = """
def classify(pictures):
    import numpy as np
    pictures = np.ascontiguousarray(pictures, np.float32)
    engine = report.engine()
    context = engine.create_execution_context()
    context.set_input_shape("images", pictures.shape)
    out = cuda.pagelocked_zeros((len(pictures), 10), np.float32)
    a, b = cuda.mem_alloc(pictures.nbytes), cuda.mem_alloc(out.nbytes)
    context.set_tensor_address("images", int(a)); context.set_tensor_address("logits", int(b))
    cuda.memcpy_htod(a, pictures)
    {run}
    cuda.memcpy_dtoh(out, b)
    {result}
"""

ANSWERS = {
    "02.1": {
        "alternative": "def buffer_bytes(shape, dtype):\n    return np.empty(shape, trt.nptype(dtype)).nbytes",
        "wrong": [
            ("def buffer_bytes(shape, dtype):\n    return trt.volume(shape)", "you counted elements"),
            ("def buffer_bytes(shape, dtype):\n    return trt.volume(shape) * 4", "not every element has 4 bytes"),
            ("def buffer_bytes(shape, dtype):\n    return sum(shape)", "multiply the number of elements"),
        ],
    },
    "02.2": {
        "alternative": RUN.format(run="context.execute_v2([int(a), int(b)])", result="return list(out.argmax(1))"),
        "wrong": [
            (
                RUN.format(run="context.execute_v2([int(a), int(b)])", result="return out"),
                "which of the ten is largest",
            ),
            (
                RUN.format(run="context.execute_v2([int(a), int(b)])", result="return out.argmax(0)"),
                "argmax along axis 1",
            ),
            (RUN.format(run="pass", result="return np.zeros(len(pictures), int)"), "did you wait?"),
        ],
    },
    "02.3": {
        "alternative": "unsure = int(torch.softmax(torch.from_numpy(host_out), 1).max(1).values.argmin())",
        "wrong": [
            (
                "p = torch.softmax(torch.from_numpy(host_out).double(), 1).max(1).values\nunsure = int(p.argmax())",
                "most sure",
            ),
            ("unsure = host_out[:3]", "one index"),
            ("unsure = 7", "the row where that is smallest"),
        ],
    },
}
