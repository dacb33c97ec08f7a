"""A program to look at in Nsight Systems, lesson 04_6's network: ResNet-50 in FP16, a picture a query.

    python tools/nsight_service.py                       builds (or finds) the engine
    nsys profile --trace=cuda,nvtx --sample=none --cpuctxsw=none --cuda-graph-trace=node -o service \\
        python tools/nsight_service.py

Eight queries are launched kernel by kernel, then eight as a CUDA graph, each in an NVTX range of its own.
"""

from __future__ import annotations

import numpy as np
import onnx

import trt_lessons as tl
from trt_lessons import models

QUERIES = 8


def main() -> None:
    """Build the engine once, then serve both ways."""
    model = tl.precision.to_fp16(onnx.load(models.resnet50()))
    shapes = {"images": tuple((b, 3, 224, 224) for b in (1, 8, 32))}
    report = tl.build(model, profiles=shapes, precision="fp16", level=1, name="resnet50")
    picture = np.zeros((1, 3, 224, 224), np.float32)
    for how, graph in (("kernel by kernel", False), ("CUDA graph", True)):
        with tl.Session(report, graph=graph) as session:
            for _ in range(20):  # the first queries capture, load kernels and wake the card
                session.infer(picture)
            with tl.nvtx_range(f"8 queries, {how}"):
                for query in range(QUERIES):
                    with tl.nvtx_range(f"query {query}"):
                        session.infer(picture)


if __name__ == "__main__":
    main()
