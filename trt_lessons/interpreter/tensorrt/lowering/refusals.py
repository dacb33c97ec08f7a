"""What TensorRT refuses of a layer once the shapes of its inputs are known, and onnx's inference lets pass."""

from __future__ import annotations

from collections.abc import Sequence

from ..enums import DataType, LayerType, SampleMode
from ..layers import ILayer
from .shapes import Known

_MULTIPLIED = [DataType.__members__[name] for name in ("FLOAT", "HALF", "BF16", "FP8", "INT4", "INT8")]


def _too_small(layer: ILayer, inputs: Sequence[Known]) -> bool:
    """A convolution's window reaches over the image and its padding."""
    padding = [a + b for a, b in zip(layer.pre_padding, layer.post_padding, strict=False)]
    sizes = zip(inputs[0].shape[2:], layer.kernel_size_nd, layer.dilation_nd, padding, strict=False)
    explicit = not layer.padding_mode.name.startswith("SAME")
    return explicit and any(size >= 0 and size + more < (k - 1) * apart + 1 for size, k, apart, more in sizes)


def _outside(layer: ILayer, inputs: Sequence[Known]) -> bool:
    """A slice with numbers given starts or ends where the tensor is not."""
    taken = zip(layer.start, layer.shape, layer.stride, layer.axes or range(len(layer.start)), strict=False)
    reach = [(inputs[0].shape[axis], (s, s + (n - 1) * k)) for s, n, k, axis in taken if n > 0]
    return len(inputs) == 1 and any(size >= 0 and not (min(ends) >= 0 and max(ends) < size) for size, ends in reach)


RULES = {
    "CONVOLUTION": (_too_small, "image size is smaller than filter size"),
    "REDUCE": (lambda layer, inputs: not layer.axes, "no dimensions to be reduced"),
    "SLICE": (
        lambda layer, inputs: layer.mode == SampleMode.STRICT_BOUNDS and _outside(layer, inputs),
        "out of bounds slice",
    ),
    "SHUFFLE": (
        lambda layer, inputs: len(layer.first_transpose or inputs[0].shape) < len(inputs[0].shape),
        "first transpose is not valid: it has fewer entries than the input has dimensions",
    ),
    "MATRIX_MULTIPLY": (
        lambda layer, inputs: any(x.dtype not in _MULTIPLIED for x in inputs),
        "an input must be of a floating point type, INT8 or INT4",
    ),
}
BY_KIND = {LayerType.__members__[kind]: rule for kind, rule in RULES.items()}
