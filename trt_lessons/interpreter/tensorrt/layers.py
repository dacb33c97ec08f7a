"""Stands for ILayer and its kinds: what a layer is and holds. How it computes is in `writers`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from . import enums as E
from .types import Dims, as_array

if TYPE_CHECKING:
    from .network import INetworkDefinition, ITensor


def _dims(value: Any) -> Dims:
    return value if isinstance(value, Dims) else Dims(value)


_TITLES = {"ELEMENTWISE": "ElementWise", "MATRIX_MULTIPLY": "Matrix Multiply", "TOPK": "TopK", "LRN": "LRN"}


class attr:
    """A layer's attribute: setting it makes the network forget what it had worked out from this layer on."""

    def __init__(self, convert: Callable[[Any], Any] = lambda value: value, default: Any = None) -> None:
        self.convert, self.default = convert, default

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, layer: ILayer | None, owner: type) -> Any:
        value = self if layer is None else layer._values.get(self.name, self.default)
        return value.ravel() if isinstance(value, np.ndarray) else value

    def __set__(self, layer: ILayer, value: Any) -> None:
        if layer._node is not None and "from_onnx" not in layer._values:
            told = f"{layer._name} came from the ONNX op {layer._node.op_type}, which the interpreter keeps as it is"
            raise AttributeError(f"{told}: change the model instead")
        layer._values[self.name] = self.convert(value)
        layer._values.pop("proto", None)
        layer._node = None
        layer._network._lowering.invalidate(layer._index)


class ILayer:
    """One operation of the network. `get_layer` returns this base class, as TensorRT's does:
    assign `layer.__class__ = trt.IConvolutionLayer` to see a convolution's own attributes."""

    def __init__(self, network: INetworkDefinition, kind: E.LayerType, inputs: list, values: dict) -> None:
        self._network, self._index, self._type = network, len(network._layers), kind
        self._kind = type(self).__name__
        self._inputs, self._values, self._node = list(inputs), values, None
        title = _TITLES.get(kind.name) or "".join(word.capitalize() for word in kind.name.split("_"))
        self._name = f"(Unnamed Layer* {self._index}) [{title}]"
        self.metadata = ""
        self._outputs: list[ITensor] = []

    @property
    def name(self) -> str:
        """The layer's name; until it is given one, its number and kind."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = name
        self._network._lowering.invalidate(self._index)

    @property
    def type(self) -> E.LayerType:
        """What kind of layer it is."""
        return self._type

    num_inputs = property(lambda self: len(self._tensors()))  # weights are not tensors
    num_outputs = property(lambda self: len(self._outputs))

    def _tensors(self) -> list[ITensor]:
        return [x for x in self._inputs if x is not None and not isinstance(x, str)]

    def get_input(self, index: int) -> ITensor | None:
        """The index-th input tensor, None past the end."""
        tensors = self._tensors()
        return tensors[index] if 0 <= index < len(tensors) else None

    def get_output(self, index: int) -> ITensor | None:
        """The index-th output tensor, None and an error past the end."""
        return self._network._item(self._outputs, index, "getOutput", "index >= 0 && index < getNbOutputs()")

    def set_input(self, index: int, tensor: ITensor) -> None:
        """Replace or add an input (a shuffle's second one is its shape, for example)."""
        places = [i for i, x in enumerate(self._inputs) if not isinstance(x, str)]
        if self._node is not None and index < len(places):
            self._inputs[places[index]] = tensor
        else:
            self._inputs += [None] * (index + 1 - len(self._inputs))
            self._inputs[index] = tensor
        self._network._lowering.invalidate(self._index)


class IConvolutionLayer(ILayer):
    """A convolution; `kernel` and `bias` are arrays, the paddings, strides and dilations are Dims."""

    num_output_maps, num_groups = attr(int), attr(int, 1)
    kernel_size_nd, stride_nd, dilation_nd, pre_padding, post_padding = (attr(_dims) for _ in range(5))
    padding_mode = attr(default=E.PaddingMode.EXPLICIT_ROUND_DOWN)
    kernel, bias = attr(as_array), attr(as_array)

    @property
    def padding_nd(self) -> Dims:
        """The padding where it is the same before and behind."""
        return self.pre_padding

    @padding_nd.setter
    def padding_nd(self, padding: Dims) -> None:
        self.pre_padding = self.post_padding = padding


def _kind(name: str, doc: str, base: type[ILayer] = ILayer, **attributes: attr) -> type[ILayer]:
    """A kind of layer from its attributes."""
    return type(name, (base,), {"__doc__": doc, "__module__": __name__, **attributes})


_KINDS = {
    "CONVOLUTION": IConvolutionLayer,
    "DECONVOLUTION": _kind("IDeconvolutionLayer", "A transposed convolution.", IConvolutionLayer),
    "POOLING": _kind("IPoolingLayer", "Maximum or average over a window.", type=attr(), blend_factor=attr(float, 0.0),
                     **{n: attr(_dims) for n in ("window_size_nd", "stride_nd", "pre_padding", "post_padding")},
                     padding_nd=IConvolutionLayer.padding_nd, average_count_excludes_padding=attr(default=True),
                     padding_mode=attr(default=E.PaddingMode.EXPLICIT_ROUND_DOWN)),
    "ACTIVATION": _kind("IActivationLayer", "`alpha` and `beta` mean what the function makes of them.",
                        type=attr(), alpha=attr(float, 0.0), beta=attr(float, 0.0)),
    "SOFTMAX": _kind("ISoftMaxLayer", "Softmax over the axis whose bit is set in `axes`.", axes=attr(int)),
    "MATRIX_MULTIPLY": _kind("IMatrixMultiplyLayer", "`op0`, `op1`: which one to transpose.", op0=attr(), op1=attr()),
    "CONSTANT": _kind("IConstantLayer", "Numbers known at build time.", shape=attr(_dims), weights=attr(as_array)),
    "ELEMENTWISE": _kind("IElementWiseLayer", "Two tensors of equal rank; sizes of 1 are repeated.", op=attr()),
    "UNARY": _kind("IUnaryLayer", "A function of each element.", op=attr()),
    "REDUCE": _kind("IReduceLayer", "Sum, mean, ... over the axes whose bits are set.",
                    op=attr(), axes=attr(int), keep_dims=attr()),
    "TOPK": _kind("ITopKLayer", "The k largest or smallest; output 0 holds the values, output 1 the indices (INT32).",
                  op=attr(), k=attr(int), axes=attr(int), indices_type=attr(default=E.DataType.INT32)),
    "SHUFFLE": _kind("IShuffleLayer", "Transpose, reshape, transpose; a reshape's 0 keeps a size, -1 is worked out.",
                     first_transpose=attr(_dims), second_transpose=attr(_dims), reshape_dims=attr(_dims),
                     zero_is_placeholder=attr(default=True)),
    "SLICE": _kind("ISliceLayer", "A part of a tensor: `start`, `shape` (the size taken, not the end) and `stride`.",
                   **{n: attr(_dims) for n in ("start", "shape", "stride", "axes")},
                   mode=attr(default=E.SampleMode.STRICT_BOUNDS)),
    "CONCATENATION": _kind("IConcatenationLayer", "Tensors one behind the other along `axis`.", axis=attr(int)),
    "GATHER": _kind("IGatherLayer", "Elements chosen by index.",
                    axis=attr(int, 0), mode=attr(default=E.GatherMode.DEFAULT), num_elementwise_dims=attr(int, 0)),
    "SELECT": _kind("ISelectLayer", "The second input where the first is true, the third elsewhere."),
    "RESIZE": _kind("IResizeLayer", "An image enlarged or made smaller, to `shape` or by `scales`.",
                    shape=attr(_dims), scales=attr(list), resize_mode=attr(default=E.InterpolationMode.NEAREST),
                    coordinate_transformation=attr(default=E.ResizeCoordinateTransformation.ASYMMETRIC),
                    nearest_rounding=attr(default=E.ResizeRoundMode.FLOOR), cubic_coeff=attr(float, -0.75)),
    "SCALE": _kind("IScaleLayer", "(x * scale + shift) ** power, per tensor, per channel or per element.",
                   mode=attr(), channel_axis=attr(int), **{n: attr(as_array) for n in ("shift", "scale", "power")}),
    "NORMALIZATION": _kind("INormalizationLayer", "Mean 0, variance 1 over axes whose bits are set; scale and bias.",
                           axes=attr(int), epsilon=attr(float, 1e-5), num_groups=attr(int, 1)),
    "IDENTITY": _kind("IIdentityLayer", "The same numbers again."),
    "CAST": _kind("ICastLayer", "The same numbers in another type.", to_type=attr()),
    "QUANTIZE": _kind("IQuantizeLayer", "Real numbers to 8 bits, by the scale in the second input.",
                      axis=attr(int, -1), to_type=attr()),
    "DEQUANTIZE": _kind("IDequantizeLayer", "8 bits to real numbers, by the scale in the second input.",
                        axis=attr(int, -1), to_type=attr()),
    "SHAPE": _kind("IShapeLayer", "The shape of a tensor, as a tensor (INT64)."),
    "EINSUM": _kind("IEinsumLayer", "Products and sums as an equation says.", equation=attr()),
    "NON_ZERO": _kind("INonZeroLayer", "Indices of the elements that are not 0: how many is known only after the run.",
                      indices_type=attr(default=E.DataType.INT64)),
    "PADDING": _kind("IPaddingLayer", "Zeros around the last two dimensions.",
                     pre_padding_nd=attr(_dims), post_padding_nd=attr(_dims)),
    "PARAMETRIC_RELU": _kind("IParametricReLULayer", "Leaky ReLU with slopes from the second input."),
    "SQUEEZE": _kind("ISqueezeLayer", "Dimensions of size 1 taken away."),
    "UNSQUEEZE": _kind("IUnsqueezeLayer", "Dimensions of size 1 put in."),
    "LRN": _kind("ILRNLayer", "Local response normalization across channels.",
                 window_size=attr(int), alpha=attr(float), beta=attr(float), k=attr(float)),
}  # fmt: skip
KINDS: dict[E.LayerType, type[ILayer]] = {E.LayerType[name]: kind for name, kind in _KINDS.items()}
globals().update({kind.__name__: kind for kind in _KINDS.values()})


__all__ = ["ILayer", *(cls.__name__ for cls in KINDS.values())]
