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

ANEW = """
class Reader:
    def __init__(self, engine):
        self.engine = engine

    def read(self, pictures):
        context = self.engine.create_execution_context()
        context.set_input_shape("images", pictures.shape)
        out = np.zeros((len(pictures), 10), np.float32)
        a, b = cuda.mem_alloc(pictures.nbytes), cuda.mem_alloc(out.nbytes)
        context.set_tensor_address("images", int(a)); context.set_tensor_address("logits", int(b))
        cuda.memcpy_htod(a, np.ascontiguousarray(pictures))
        context.execute_v2([int(a), int(b)])
        cuda.memcpy_dtoh(out, b)
        return out.argmax(1)
"""

# page-locked: a copy into ordinary memory waits on a GPU, so reading "too early" would be right there
KEPT = """
class Reader:
    def __init__(self, engine):
        self.context, self.stream = engine.create_execution_context(), cuda.Stream()
        self.out = cuda.pagelocked_zeros((450, 10), np.float32)
        self.a, self.b = cuda.mem_alloc(450 * 4096), cuda.mem_alloc(450 * 40)
        self.context.set_tensor_address("images", int(self.a))
        self.context.set_tensor_address("logits", int(self.b))

    def read(self, pictures):
        self.context.set_input_shape("images", pictures.shape)
        cuda.memcpy_htod_async(self.a, np.ascontiguousarray(pictures), self.stream)
        self.context.execute_async_v3(self.stream.handle)
        cuda.memcpy_dtoh_async(self.out[: {rows}], self.b, self.stream)
        {wait}
        return self.out{cut}.argmax(1)
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
        "alternative": """
class Reader:
    def __init__(self, engine):
        self.session = tl.Session(engine)

    def read(self, pictures):
        return self.session.infer(pictures)["logits"].argmax(1)
""",
        "wrong": [
            (ANEW, "can be made once"),
            (KEPT.format(rows="450", wait="self.stream.synchronize()", cut=""), "only of the pictures"),
            (KEPT.format(rows="len(pictures)", wait="pass", cut="[: len(pictures)]"), "before it read"),
            ("class Reader:\n    def __init__(self, engine):\n        pass", "inside the class"),
        ],
    },
}
