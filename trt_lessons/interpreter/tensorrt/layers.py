"""Stands for ILayer and its kinds: what a layer is and holds. How it computes is in `lowering`."""

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


def _same(value: Any) -> Any:
    return value


_TITLES = {"ELEMENTWISE": "ElementWise", "MATRIX_MULTIPLY": "Matrix Multiply", "TOPK": "TopK", "LRN": "LRN"}


class attr:
    """A layer's attribute: setting it makes the network forget what it had worked out from this layer on."""

    def __init__(self, convert: Callable[[Any], Any] = _same, default: Any = None) -> None:
        self.convert, self.default = convert, default

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, layer: ILayer | None, owner: type) -> Any:
        value = self if layer is None else layer._values.get(self.name, self.default)
        return value.ravel() if isinstance(value, np.ndarray) else value

    def __set__(self, layer: ILayer, value: Any) -> None:
        if layer._node is not None and "from_onnx" not in layer._values:
            raise AttributeError(
                f"{layer._name} came from the ONNX op {layer._node.op_type}, which the interpreter keeps as it is: "
                "change the model instead"
            )
        layer._values[self.name] = self.convert(value)
        layer._values.pop("proto", None)
        layer._node = None
        layer._network._lowering.invalidate(layer._index)


class ILayer:
    """One operation of the network. `get_layer` returns this base class, as TensorRT's does:
    assign `layer.__class__ = trt.IConvolutionLayer` to see a convolution's own attributes."""

    def __init__(
        self, network: INetworkDefinition, kind: E.LayerType, inputs: list, outputs: int, values: dict
    ) -> None:
        self._network, self._index, self._type = network, len(network._layers), kind
        self._kind = type(self).__name__
        self._inputs, self._values, self._node = list(inputs), values, None
        title = _TITLES.get(kind.name) or "".join(word.capitalize() for word in kind.name.split("_"))
        self._name = f"(Unnamed Layer* {self._index}) [{title}]"
        self.metadata = ""
        suffix = [""] + [f"_{i}" for i in range(1, outputs)]
        self._outputs = [network._new_tensor(f"{self._name}_output{s}", self) for s in suffix]

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

    @property
    def num_inputs(self) -> int:
        """Number of input tensors (weights are not tensors)."""
        return len(self._tensors())

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

    def get_output_type(self, index: int) -> E.DataType:
        """The element type of the index-th output."""
        return self._outputs[index].dtype

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
    kernel_size_nd, stride_nd, dilation_nd = attr(_dims), attr(_dims), attr(_dims)
    pre_padding, post_padding = attr(_dims), attr(_dims)
    padding_mode = attr(default=E.PaddingMode.EXPLICIT_ROUND_DOWN)
    kernel, bias = attr(as_array), attr(as_array)

    @property
    def padding_nd(self) -> Dims:
        """The padding where it is the same before and behind."""
        return self.pre_padding

    @padding_nd.setter
    def padding_nd(self, padding: Dims) -> None:
        self.pre_padding = self.post_padding = padding


class IDeconvolutionLayer(IConvolutionLayer):
    """A transposed convolution."""


class IPoolingLayer(ILayer):
    """Maximum or average over a window."""

    type = attr()
    window_size_nd, stride_nd = attr(_dims), attr(_dims)
    pre_padding, post_padding = attr(_dims), attr(_dims)
    padding_mode = attr(default=E.PaddingMode.EXPLICIT_ROUND_DOWN)
    average_count_excludes_padding, blend_factor = attr(default=True), attr(float, 0.0)
    padding_nd = IConvolutionLayer.padding_nd


class IActivationLayer(ILayer):
    """An activation; `alpha` and `beta` mean what the function makes of them."""

    type, alpha, beta = attr(), attr(float, 0.0), attr(float, 0.0)


class ISoftMaxLayer(ILayer):
    """Softmax over the axis whose bit is set in `axes`."""

    axes = attr(int)


class IMatrixMultiplyLayer(ILayer):
    """A product of matrices; `op0` and `op1` say which one to transpose."""

    op0, op1 = attr(), attr()


class IConstantLayer(ILayer):
    """Numbers known at build time."""

    shape, weights = attr(_dims), attr(as_array)


class IElementWiseLayer(ILayer):
    """Two tensors of equal rank, element by element; sizes of 1 are repeated."""

    op = attr()


class IUnaryLayer(ILayer):
    """A function of each element."""

    op = attr()


class IReduceLayer(ILayer):
    """Sum, mean, ... over the axes whose bits are set."""

    op, axes, keep_dims = attr(), attr(int), attr()


class ITopKLayer(ILayer):
    """The k largest or smallest; output 0 holds the values, output 1 the indices (INT32)."""

    op, k, axes = attr(), attr(int), attr(int)
    indices_type = attr(default=E.DataType.INT32)


class IShuffleLayer(ILayer):
    """Transpose, reshape, transpose; in `reshape_dims` 0 keeps a size and -1 is worked out."""

    first_transpose, second_transpose, reshape_dims = attr(_dims), attr(_dims), attr(_dims)
    zero_is_placeholder = attr(default=True)


class ISliceLayer(ILayer):
    """A part of a tensor: `start`, `shape` (the size taken, not the end) and `stride`."""

    start, shape, stride = attr(_dims), attr(_dims), attr(_dims)
    mode, axes = attr(default=E.SampleMode.STRICT_BOUNDS), attr(_dims)


class IConcatenationLayer(ILayer):
    """Tensors one behind the other along `axis`."""

    axis = attr(int)


class IGatherLayer(ILayer):
    """Elements chosen by index."""

    axis, mode, num_elementwise_dims = attr(int, 0), attr(default=E.GatherMode.DEFAULT), attr(int, 0)


class ISelectLayer(ILayer):
    """The second input where the first is true, the third elsewhere."""


class IResizeLayer(ILayer):
    """An image enlarged or made smaller, to `shape` or by `scales`."""

    shape, scales = attr(_dims), attr(list)
    resize_mode = attr(default=E.InterpolationMode.NEAREST)
    coordinate_transformation = attr(default=E.ResizeCoordinateTransformation.ASYMMETRIC)
    nearest_rounding = attr(default=E.ResizeRoundMode.FLOOR)
    cubic_coeff = attr(float, -0.75)


class IScaleLayer(ILayer):
    """(x * scale + shift) ** power, the numbers per tensor, per channel or per element."""

    mode, channel_axis = attr(), attr(int)
    shift, scale, power = attr(as_array), attr(as_array), attr(as_array)


class INormalizationLayer(ILayer):
    """Mean 0 and variance 1 over the axes whose bits are set, then scale and bias."""

    axes, epsilon, num_groups = attr(int), attr(float, 1e-5), attr(int, 1)


class IIdentityLayer(ILayer):
    """The same numbers again."""


class ICastLayer(ILayer):
    """The same numbers in another type."""

    to_type = attr()


class IQuantizeLayer(ILayer):
    """Real numbers to 8 bits, by the scale in the second input."""

    axis, to_type = attr(int, -1), attr()


class IDequantizeLayer(IQuantizeLayer):
    """8 bits to real numbers, by the scale in the second input."""


class IShapeLayer(ILayer):
    """The shape of a tensor, as a tensor (INT64)."""


class IEinsumLayer(ILayer):
    """Products and sums as an equation says."""

    equation = attr()


class INonZeroLayer(ILayer):
    """Indices of the elements that are not 0: how many is known only after the run."""

    indices_type = attr(default=E.DataType.INT64)


class IPaddingLayer(ILayer):
    """Zeros around the last two dimensions."""

    pre_padding_nd, post_padding_nd = attr(_dims), attr(_dims)


class IParametricReLULayer(ILayer):
    """Leaky ReLU with slopes from the second input."""


class ISqueezeLayer(ILayer):
    """Dimensions of size 1 taken away."""


class IUnsqueezeLayer(ILayer):
    """Dimensions of size 1 put in."""


class ILRNLayer(ILayer):
    """Local response normalization across channels."""

    window_size, alpha, beta, k = attr(int), attr(float), attr(float), attr(float)


KINDS: dict[E.LayerType, type[ILayer]] = {
    getattr(E.LayerType, kind): cls
    for kind, cls in {
        "CONVOLUTION": IConvolutionLayer, "DECONVOLUTION": IDeconvolutionLayer, "POOLING": IPoolingLayer,
        "ACTIVATION": IActivationLayer, "SOFTMAX": ISoftMaxLayer, "MATRIX_MULTIPLY": IMatrixMultiplyLayer,
        "CONSTANT": IConstantLayer, "ELEMENTWISE": IElementWiseLayer, "UNARY": IUnaryLayer,
        "REDUCE": IReduceLayer, "TOPK": ITopKLayer, "SHUFFLE": IShuffleLayer, "SLICE": ISliceLayer,
        "CONCATENATION": IConcatenationLayer, "GATHER": IGatherLayer, "SELECT": ISelectLayer,
        "RESIZE": IResizeLayer, "SCALE": IScaleLayer, "NORMALIZATION": INormalizationLayer,
        "IDENTITY": IIdentityLayer, "CAST": ICastLayer, "QUANTIZE": IQuantizeLayer,
        "DEQUANTIZE": IDequantizeLayer, "SHAPE": IShapeLayer, "EINSUM": IEinsumLayer,
        "NON_ZERO": INonZeroLayer, "PADDING": IPaddingLayer, "PARAMETRIC_RELU": IParametricReLULayer,
        "SQUEEZE": ISqueezeLayer, "UNSQUEEZE": IUnsqueezeLayer, "LRN": ILRNLayer,
    }.items()
}  # fmt: skip


def weights_of(layer: ILayer) -> dict[E.WeightsRole, np.ndarray]:
    """The arrays that a layer built by the layer API holds, by role (what a Refitter can replace)."""
    names = {"kernel": "KERNEL", "bias": "BIAS", "shift": "SHIFT", "scale": "SCALE", "weights": "CONSTANT"}
    found = {E.WeightsRole[role]: layer._values.get(name) for name, role in names.items()}
    return {role: array for role, array in found.items() if isinstance(array, np.ndarray)}


__all__ = ["ILayer", *(cls.__name__ for cls in KINDS.values())]
