"""What this card can do, measured, and how much of it a network asks for.

The roof is made of two measured numbers, memory bandwidth and matrix rate; never of a datasheet's.
No lesson draws it: docs/gallery.md does, from the recordings of tests/benchmarks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import MeasureError
from ..records.measurement import median


def card(name: str = "card", *, size: int = 8192, repeats: int = 30) -> Any:
    """Measured limits of this GPU: {"bandwidth": GB/s, "peaks": {precision: TFLOP/s}}, or their recording.

    Bandwidth: copying 1 GiB on the device, bytes read and written. Rates: products of size x size matrices by
    PyTorch's library, medians. Returns a Recorded.
    """
    from ..records.recordings import live_or_recorded

    return live_or_recorded(name, lambda: {"bandwidth": bandwidth(repeats=repeats), "peaks": peaks(size, repeats)})


def bandwidth(nbytes: int = 1 << 30, repeats: int = 30) -> float:
    """Device memory, GB/s: bytes read plus bytes written a second in a copy on the device."""
    from .. import backend

    cuda = backend.cuda
    source, target, stream = cuda.mem_alloc(nbytes), cuda.mem_alloc(nbytes), cuda.Stream()

    def work() -> None:
        cuda.memcpy_dtod_async(int(target), int(source), nbytes, stream)

    try:
        took = _median_ms(work, stream, repeats)
    finally:
        source.free()
        target.free()
    return 2 * nbytes / took / 1e6


def peaks(size: int = 8192, repeats: int = 30) -> dict[str, float]:
    """Matrix rates in TFLOP/s by precision: FP32, TF32, FP16, BF16, as far as the card and PyTorch have them."""
    import torch

    from .. import backend

    if not torch.cuda.is_available():
        raise MeasureError(
            "The matrix rate is measured with PyTorch, and PyTorch does not see the GPU.",
            cure="Install a PyTorch wheel with CUDA, or use the recording.",
        )
    stream = backend.cuda.Stream()
    found = {}
    before = torch.backends.cuda.matmul.allow_tf32
    try:
        with torch.inference_mode(), torch.cuda.stream(torch.cuda.ExternalStream(int(stream.handle))):
            for word, dtype, tf32 in (
                ("FP32", torch.float32, False),
                ("TF32", torch.float32, True),
                ("FP16", torch.float16, False),
                ("BF16", torch.bfloat16, False),
            ):
                torch.backends.cuda.matmul.allow_tf32 = tf32
                left, right = (torch.randn(size, size, device="cuda", dtype=dtype) for _ in range(2))
                out = torch.empty(size, size, device="cuda", dtype=dtype)
                took = _median_ms(lambda a=left, b=right, c=out: torch.mm(a, b, out=c), stream, repeats)
                found[word] = 2 * size**3 / took / 1e9
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
    return found


def _median_ms(work: Any, stream: Any, repeats: int) -> float:
    from .. import backend

    for _ in range(5):
        work()
    pairs = []
    for _ in range(repeats):
        start, end = backend.cuda.Event(), backend.cuda.Event()
        start.record(stream)
        work()
        end.record(stream)
        pairs.append((start, end))
    stream.synchronize()
    return median([end.time_since(start) for start, end in pairs])


def work(model: Any, shapes: dict[str, tuple[int, ...]] | None = None, *, item_bytes: int = 4) -> tuple[float, float]:
    """(operations, bytes of memory traffic) of one inference of an ONNX model.

    Counted on convolutions and matrix products, a multiply-add as two operations; each reads its inputs and
    weights and writes its output once, and everything between them is taken to be fused. shapes: input name ->
    shape, for models with open dimensions. item_bytes: 4 for FP32, 2 for FP16, 1 for INT8.
    """
    import onnx

    loaded = _with_shapes(model, shapes)
    dims = {i.name: tuple(i.dims) for i in loaded.graph.initializer}
    for value in (*loaded.graph.value_info, *loaded.graph.input, *loaded.graph.output):
        dims.setdefault(value.name, tuple(d.dim_value for d in value.type.tensor_type.shape.dim))
    operations = traffic = 0.0
    for node in loaded.graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul", "ConvTranspose"):
            continue
        left, right, out = (dims.get(name) for name in (node.input[0], node.input[1], node.output[0]))
        if not left or not right or not out or 0 in (*left, *right, *out):
            raise MeasureError(
                f"The shapes around {node.name or node.op_type} are not known.",
                cure="Give `shapes` for every input of the model.",
            )
        inner = _inner(node, onnx.helper, left, right)
        operations += 2.0 * float(np.prod(left if node.op_type == "ConvTranspose" else out)) * inner
        traffic += item_bytes * float(np.prod(left) + np.prod(right) + np.prod(out))
    return operations, traffic


def _inner(node: Any, helper: Any, left: tuple[int, ...], right: tuple[int, ...]) -> float:
    """Multiply-adds an output element (for ConvTranspose: an input element)."""
    if node.op_type in ("Conv", "ConvTranspose"):
        return float(np.prod(right[1:]))
    if node.op_type == "Gemm":
        flipped = any(a.name == "transA" and helper.get_attribute_value(a) for a in node.attribute)
        return float(left[0] if flipped else left[-1])
    return float(left[-1])


def _with_shapes(model: Any, shapes: dict[str, tuple[int, ...]] | None) -> Any:
    import onnx

    if hasattr(model, "SerializeToString"):
        loaded = onnx.ModelProto()
        loaded.CopyFrom(model)
    else:
        loaded = onnx.load_from_string(model) if isinstance(model, bytes) else onnx.load(str(model))
    for value in loaded.graph.input:
        if shapes and value.name in shapes:
            for dim, size in zip(value.type.tensor_type.shape.dim, shapes[value.name], strict=True):
                dim.dim_value = int(size)
    del loaded.graph.value_info[:]
    for value in loaded.graph.output:
        for dim in value.type.tensor_type.shape.dim:
            dim.ClearField("dim_param")
    return onnx.shape_inference.infer_shapes(loaded, data_prop=True)
