"""The kinds of layers and their attributes, each with TensorRT's default."""

from __future__ import annotations

from .. import enums as E
from ..types import Dims, as_array
from .base import ILayer, attr
from .control import BOUNDARIES


def _above_0(sizes: Dims) -> bool:
    return min(sizes, default=1) > 0


def _from_0(sizes: Dims) -> bool:
    return min(sizes, default=0) >= 0


class IConvolutionLayer(ILayer):
    """A convolution; `kernel` and `bias` are arrays, the paddings, strides and dilations are Dims."""

    num_output_maps, num_groups = attr(int), attr(int, 1, fits=lambda groups: groups > 0)
    kernel_size_nd, stride_nd, dilation_nd = (attr(Dims, fits=_above_0) for _ in range(3))
    pre_padding, post_padding = (attr(Dims, fits=_from_0) for _ in range(2))
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
    "POOLING": _kind("IPoolingLayer", "Maximum or average over a window.",
                     type=attr(E.PoolingType), blend_factor=attr(float, 0.0),
                     **{n: attr(Dims, fits=_above_0) for n in ("window_size_nd", "stride_nd")},
                     **{n: attr(Dims, fits=_from_0) for n in ("pre_padding", "post_padding")},
                     padding_nd=IConvolutionLayer.padding_nd, average_count_excludes_padding=attr(default=True),
                     padding_mode=attr(default=E.PaddingMode.EXPLICIT_ROUND_DOWN)),
    "ACTIVATION": _kind("IActivationLayer", "`alpha` and `beta` mean what the function makes of them.",
                        type=attr(E.ActivationType), alpha=attr(float, 0.0), beta=attr(float, 0.0)),
    "SOFTMAX": _kind("ISoftMaxLayer", "Softmax over the axis whose bit is set in `axes`.",
                     axes=attr(int, fits=lambda axes: axes.bit_count() == 1)),
    "MATRIX_MULTIPLY": _kind("IMatrixMultiplyLayer", "`op0`, `op1`: which one to transpose.",
                             op0=attr(E.MatrixOperation), op1=attr(E.MatrixOperation)),
    "CONSTANT": _kind("IConstantLayer", "Numbers known at build time.", shape=attr(Dims), weights=attr(as_array)),
    "ELEMENTWISE": _kind("IElementWiseLayer", "Two tensors of equal rank; sizes of 1 are repeated.", op=attr()),
    "UNARY": _kind("IUnaryLayer", "A function of each element.", op=attr()),
    "REDUCE": _kind("IReduceLayer", "Sum, mean, ... over the axes whose bits are set.",
                    op=attr(), axes=attr(int), keep_dims=attr()),
    "TOPK": _kind("ITopKLayer", "The k largest or smallest; output 0 holds the values, output 1 the indices (INT32).",
                  op=attr(), k=attr(int), axes=attr(int), indices_type=attr(default=E.DataType.INT32)),
    "SHUFFLE": _kind("IShuffleLayer", "Transpose, reshape, transpose; a reshape's 0 keeps a size, -1 is worked out.",
                     first_transpose=attr(Dims), second_transpose=attr(Dims), reshape_dims=attr(Dims),
                     zero_is_placeholder=attr(default=True)),
    "SLICE": _kind("ISliceLayer", "A part of a tensor: `start`, `shape` (the size taken, not the end) and `stride`.",
                   **{n: attr(Dims) for n in ("start", "shape", "stride", "axes")},
                   mode=attr(default=E.SampleMode.STRICT_BOUNDS)),
    "CONCATENATION": _kind("IConcatenationLayer", "Tensors one behind the other along `axis`.",
                           axis=attr(int, fits=lambda axis: 0 <= axis < Dims.MAX_DIMS)),
    "GATHER": _kind("IGatherLayer", "Elements chosen by index.",
                    axis=attr(int, 0), mode=attr(default=E.GatherMode.DEFAULT), num_elementwise_dims=attr(int, 0)),
    "SELECT": _kind("ISelectLayer", "The second input where the first is true, the third elsewhere."),
    "RESIZE": _kind("IResizeLayer", "An image enlarged or made smaller, to `shape` or by `scales`.",
                    shape=attr(Dims), scales=attr(list), resize_mode=attr(default=E.InterpolationMode.NEAREST),
                    coordinate_transformation=attr(default=E.ResizeCoordinateTransformation.ASYMMETRIC),
                    nearest_rounding=attr(default=E.ResizeRoundMode.FLOOR), cubic_coeff=attr(float, -0.75)),
    "SCALE": _kind("IScaleLayer", "(x * scale + shift) ** power, per tensor, per channel or per element.",
                   mode=attr(), channel_axis=attr(int), **{n: attr(as_array) for n in ("shift", "scale", "power")}),
    "NORMALIZATION": _kind("INormalizationLayer", "Mean 0, variance 1 over axes whose bits are set; scale and bias.",
                           axes=attr(int), epsilon=attr(float, 1e-5),
                           num_groups=attr(int, 1, fits=lambda groups: groups > 0)),
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
                     pre_padding_nd=attr(Dims), post_padding_nd=attr(Dims)),
    "PARAMETRIC_RELU": _kind("IParametricReLULayer", "Leaky ReLU with slopes from the second input."),
    "SQUEEZE": _kind("ISqueezeLayer", "Dimensions of size 1 taken away."),
    "UNSQUEEZE": _kind("IUnsqueezeLayer", "Dimensions of size 1 put in."),
    "LRN": _kind("ILRNLayer", "Local response normalization across channels.",
                 window_size=attr(int), alpha=attr(float), beta=attr(float), k=attr(float)),
    "FILL": _kind("IFillLayer", "Numbers one behind the other (LINSPACE: alpha + beta * index) or random ones.",
                  shape=attr(Dims), operation=attr(), to_type=attr(default=E.DataType.FLOAT),
                  alpha=attr(default=0.0), beta=attr(default=1.0)),
    "SCATTER": _kind("IScatterLayer", "A tensor with some elements replaced.", mode=attr(), axis=attr(int, 0)),
    "ONE_HOT": _kind("IOneHotLayer", "A new axis: the second value where the index points, else the first.",
                     axis=attr(int, -1)),
    "NMS": _kind("INMSLayer", "The best boxes; those that overlap a better one too much are left out.",
                 bounding_box_format=attr(default=E.BoundingBoxFormat.CORNER_PAIRS), topk_box_limit=attr(int, 200),
                 indices_type=attr(default=E.DataType.INT32)),
    "CUMULATIVE": _kind("ICumulativeLayer", "Sums up to each element along an axis.",
                        op=attr(), exclusive=attr(bool, False), reverse=attr(bool, False)),
}  # fmt: skip
_KINDS |= BOUNDARIES
KINDS: dict[E.LayerType, type[ILayer]] = {E.LayerType.__members__[name]: kind for name, kind in _KINDS.items()}
globals().update({kind.__name__: kind for kind in _KINDS.values()})
NAMES = [kind.__name__ for kind in KINDS.values() if not kind.__name__.startswith("_")]

__all__ = NAMES
