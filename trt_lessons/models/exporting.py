"""From a PyTorch module to an ONNX file, by either of PyTorch's exporters, without their many lines. Lesson 03.

model = export_onnx(module, picture, "centred.onnx", newer=True, opset=20)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx

from ._onnx import quiet


def export_onnx(
    module: Any,
    example: Any,
    path: str | Path,
    *,
    newer: bool = False,
    opset: int = 17,
    names: tuple[str, str] = ("picture", "scores"),
    open_batch: bool = False,
) -> onnx.ModelProto:
    """Export a module of one input and one output; gives the file's content, which may have another opset.

    example: a tensor that the module takes, of any type. newer: the exporter that captures the program
    (`dynamo=True`); else the one that follows a run. names: of input and output. open_batch: axis 0 of both is open.
    What the exporter raises comes through.
    """
    import torch

    ways: dict[str, Any] = {"dynamo": newer, "opset_version": opset}
    if open_batch:
        ways |= {"dynamic_shapes": ({0: "batch"},)} if newer else {"dynamic_axes": {n: {0: "batch"} for n in names}}
    with quiet():
        torch.onnx.export(module, (example,), str(path), input_names=names[:1], output_names=names[1:], **ways)
    return onnx.load(path)


def opset(model: onnx.ModelProto) -> int:
    """The version of ONNX's own list of operations that a model uses; 0 where it uses none."""
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)


def centred() -> tuple[Any, Any]:
    """A small module, always the same, and a batch for it: it subtracts each map's mean, as no layer of torch does.

    scores [n, 10] of pictures [n, 1, 8, 8]; the batch holds four.
    """
    import torch

    class Centre(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x - x.mean((2, 3), keepdim=True)

    torch.manual_seed(0)
    convolution, classify = torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.Linear(8, 10)
    layers = [convolution, torch.nn.ReLU(), Centre(), torch.nn.MaxPool2d(8), torch.nn.Flatten(), classify]
    return torch.nn.Sequential(*layers).eval(), torch.rand(4, 1, 8, 8)


def wordy() -> onnx.ModelProto:
    """A reshape of [2, 3, 4] to [2, 12] as exporters write it: five nodes work out the shape, which is known."""
    return onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 17]>
        wordy (float[2, 3, 4] x) => (float[2, 12] y) {
            s = Shape(x)  zero = Constant<value_ints=[0]>()  n = Gather(s, zero)
            rest = Constant<value_ints=[-1]>()  shape = Concat<axis=0>(n, rest)  y = Reshape(x, shape)
        }""")
