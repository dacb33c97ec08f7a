"""Stands for INetworkDefinition: the network as it is being defined, layer by layer."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from . import enums as E
from . import layers as L
from .callbacks import CONFIG, INTERNAL, Reporter
from .layers import ITensor
from .lowering.limits import MOST_K
from .lowering.loops import LOOPS, folded
from .lowering.lowering import Lowering
from .lowering.shapes import NetworkError
from .lowering.special import SPECIAL
from .lowering.writers import WRITERS
from .types import Dims, Weights, as_array


class INetworkDefinition(L.Owner):
    """Layers, tensors, inputs and outputs. Shapes and types are worked out as soon as they are asked for."""

    def __init__(self, builder: Reporter, flags: int) -> None:
        super().__init__(builder._logger)
        self.builder, self.flags, self.name = builder, flags, "Unnamed Network 0"
        self._layers: list[L.ILayer] = []
        self._inputs: list[ITensor] = []
        self._outputs: list[ITensor] = []
        self._numbered: dict[str, int] = {}
        self._debugged: list[ITensor] = []
        self._lowering = Lowering(self, WRITERS | SPECIAL | LOOPS, folded)

    num_layers = property(lambda self: len(self._layers))
    num_inputs = property(lambda self: len(self._inputs))
    num_outputs = property(lambda self: len(self._outputs))

    def get_flag(self, flag: E.NetworkDefinitionCreationFlag) -> bool:
        """Whether a creation flag is in force: networks are always strongly typed here, as in TensorRT 11."""
        return flag == E.NetworkDefinitionCreationFlag.STRONGLY_TYPED or bool(self.flags >> int(flag) & 1)

    def get_layer(self, index: int) -> L.ILayer | None:
        """The index-th layer, as the base class ILayer; None and an error past the end."""
        bound = f"vector::_M_range_check: __n (which is {index}) >= this->size() (which is {len(self)})"
        layer = self._item(self._layers, index, "getLayer", bound)
        if layer is None:
            return None
        view = object.__new__(L.ILayer)
        view.__dict__ = layer.__dict__
        return view

    def get_input(self, index: int) -> ITensor | None:
        """The index-th input; None and an error past the end."""
        return self._item(self._inputs, index, "getInput", "index < getNbInputs()")

    def get_output(self, index: int) -> ITensor | None:
        """The index-th output; None and an error past the end."""
        return self._item(self._outputs, index, "getOutput", "index < getNbOutputs()")

    def __len__(self) -> int:
        return len(self._layers)

    def __getitem__(self, index: int) -> L.ILayer:
        if index >= len(self):
            raise IndexError("Out of bounds access.")
        return self.get_layer(index if index >= 0 else index + len(self))

    def __iter__(self):
        return (self.get_layer(i) for i in range(self.num_layers))

    def _changed(self, index: int) -> None:
        self._lowering.invalidate(index)

    def _changing(self, layer: L.ILayer) -> None:
        kept = self._lowering.kept.get(layer._index)
        if kept is not None and not layer._values:
            told = f"{layer._name} came from the ONNX op {kept.node.op_type}, which the interpreter keeps as it is"
            raise AttributeError(f"{told}: change the model instead")
        self._lowering.kept.pop(layer._index, None)
        self._lowering.invalidate(layer._index)

    def _role(self, tensor: ITensor) -> str:
        return "input" if tensor in self._inputs else "output" if tensor in self._outputs else ""

    def _holds_shape(self, tensor: ITensor) -> bool:
        if tensor._producer is not None and tensor._producer._type == E.LayerType.SHAPE:
            return True
        with contextlib.suppress(NetworkError):
            self._lowering.update()
            return tensor._name in self._lowering.sizes()
        return False

    def _known(self, tensor: ITensor, what: str, otherwise: object) -> Any:
        wrong = None
        try:
            self._lowering.update()
        except NetworkError as problem:
            wrong = self._lowering.problems.get(tensor._producer._index, str(problem))
        found = self._lowering.types.get(tensor._name)
        if found is not None and found.shape is not None:
            return getattr(found, what)
        if wrong:
            self._fail(INTERNAL, "ITensor::getDimensions", wrong)
        return otherwise

    def add_input(self, name: str | None, dtype: E.DataType, shape: Dims) -> ITensor | None:
        """A new input; None and an error for no name, one that is taken, or a size below -1."""
        if name is None:
            return self._refuse("addInput", "condition: (name) != nullptr") or None
        if min(shape, default=0) < -1:
            return self._refuse("addInput", f"condition: isValidDims(dims, false). {shape} was given") or None
        if name in {t.name for t in self._inputs}:
            return self._refuse("addInput", f"condition: inName != knownInput->getName(). {name} is taken") or None
        tensor = ITensor(self, name, None)
        tensor._dtype, tensor._shape = dtype, Dims(shape)
        self._inputs.append(tensor)
        self._lowering.invalidate(0)
        return tensor

    def mark_output(self, tensor: ITensor) -> None:
        """Make a tensor one of the network's outputs; an input cannot be one."""
        if tensor in self._inputs:
            self._fail(INTERNAL, "markOutput", f"Tensor {tensor._name} cannot be both input and output")
        elif tensor in self._outputs:
            self._fail(CONFIG, "INetworkDefinition::markOutput", f"Tensor {tensor._name} is an output already")
        else:
            self._outputs.append(tensor)

    def unmark_output(self, tensor: ITensor) -> None:
        """Take it away from the outputs again."""
        if tensor not in self._outputs:
            self._refuse("unmarkOutput", f"Tensor {tensor._name} is not an output")
        self._outputs = [t for t in self._outputs if t is not tensor]

    def mark_debug(self, tensor: ITensor) -> bool:
        """Keep a tensor apart for looking at it; the interpreter's contexts call no debug listener."""
        self._debugged = [*(t for t in self._debugged if t is not tensor), tensor]
        return True

    def unmark_debug(self, tensor: ITensor) -> bool:
        """Take that back."""
        self._debugged = [t for t in self._debugged if t is not tensor]
        return True

    def is_debug_tensor(self, tensor: ITensor) -> bool:
        """Whether it is marked so."""
        return any(t is tensor for t in self._debugged)

    def remove_tensor(self, tensor: ITensor) -> None:
        """Take an input away that nothing uses; an error for every other tensor."""
        used = any(tensor is x for layer in self._layers for x in layer._inputs)
        if used or tensor not in self._inputs:
            self._fail(CONFIG, "INetworkDefinition::removeTensor", f"Tensor {tensor._name} is in use")
        else:
            self._inputs = [t for t in self._inputs if t is not tensor]
            self._lowering.invalidate(0)

    def _add(self, kind: str, inputs: Sequence, values: dict | None = None, outputs: int = 1) -> L.ILayer:
        kind = E.LayerType.__members__[kind]
        if any(isinstance(x, ITensor) and x._network is not self for x in inputs):
            return self._refuse(f"add{kind.name}", "condition: containsTensor(input): it is another network's") or None
        layer = L.KINDS.get(kind, L.ILayer)(self, len(self._layers), kind, inputs, values or {})
        suffixes = ["", *(f"_{i}" for i in range(1, outputs))][:outputs]
        layer._outputs = [ITensor(self, f"{layer._name}_output{suffix}", layer) for suffix in suffixes]
        self._layers.append(layer)
        return layer

    def _with_kernel(self, kind: str, input: ITensor, maps: int, size: Dims, **weights: Weights | None) -> L.ILayer:
        ones, zeros = Dims([1] * len(Dims(size))), Dims([0] * len(Dims(size)))
        return self._add(kind, [input], {
            "num_output_maps": int(maps), "kernel_size_nd": Dims(size), "stride_nd": ones, "dilation_nd": ones,
            "pre_padding": zeros, "post_padding": zeros, **{name: as_array(w) for name, w in weights.items()},
        })  # fmt: skip

    def add_convolution_nd(
        self, input: ITensor, num_output_maps: int, kernel_shape: Dims, kernel: Weights, bias: Weights | None = None
    ) -> L.IConvolutionLayer:
        """Over the last `len(kernel_shape)` dimensions; kernel is [maps, channels/groups, *kernel_shape]."""
        return self._with_kernel("CONVOLUTION", input, num_output_maps, kernel_shape, kernel=kernel, bias=bias)

    def add_deconvolution_nd(
        self, input: ITensor, num_output_maps: int, kernel_shape: Dims, kernel: Weights, bias: Weights | None = None
    ) -> L.IDeconvolutionLayer:
        """Transposed convolution; kernel is [channels, maps/groups, *kernel_shape]."""
        return self._with_kernel("DECONVOLUTION", input, num_output_maps, kernel_shape, kernel=kernel, bias=bias)

    def add_pooling_nd(self, input: ITensor, type: E.PoolingType, window_size: Dims) -> L.IPoolingLayer:
        """Maximum or average over windows; `stride_nd` is 1 unless set."""
        window = Dims(window_size)
        ones, zeros = Dims([1] * len(window)), Dims([0] * len(window))
        return self._add("POOLING", [input], {
            "type": type, "window_size_nd": window, "stride_nd": ones, "pre_padding": zeros, "post_padding": zeros,
        })  # fmt: skip

    def add_activation(self, input: ITensor, type: E.ActivationType) -> L.IActivationLayer:
        return self._add("ACTIVATION", [input], {"type": type})

    def add_softmax(self, input: ITensor) -> L.ISoftMaxLayer:
        """Softmax; set `axes` to say over which axis (TensorRT's default is the third from last, or 0)."""
        return self._add("SOFTMAX", [input], {"axes": 1 << max(0, len(input.shape) - 3)})

    def add_matrix_multiply(
        self, input0: ITensor, op0: E.MatrixOperation, input1: ITensor, op1: E.MatrixOperation
    ) -> L.IMatrixMultiplyLayer:
        """A batched matrix product of two tensors of equal rank."""
        return self._add("MATRIX_MULTIPLY", [input0, input1], {"op0": op0, "op1": op1})

    def add_constant(self, shape: Dims, weights: Weights) -> L.IConstantLayer:
        return self._add("CONSTANT", [], {"shape": Dims(shape), "weights": as_array(weights)})

    def add_elementwise(self, input1: ITensor, input2: ITensor, op: E.ElementWiseOperation) -> L.IElementWiseLayer:
        """Two tensors of equal rank and type, element by element."""
        return self._add("ELEMENTWISE", [input1, input2], {"op": op})

    def add_unary(self, input: ITensor, op: E.UnaryOperation) -> L.IUnaryLayer:
        return self._add("UNARY", [input], {"op": op})

    def add_reduce(self, input: ITensor, op: E.ReduceOperation, axes: int, keep_dims: bool) -> L.IReduceLayer:
        """Sum, mean, ... over the axes whose bits are set in `axes`."""
        return self._add("REDUCE", [input], {"op": op, "axes": int(axes), "keep_dims": keep_dims})

    def add_topk(
        self, input: ITensor, op: E.TopKOperation, k: int, axes: int, indices_type: E.DataType = E.DataType.INT32
    ) -> L.ITopKLayer:
        """The k largest or smallest along one axis; None and an error for a k above 3840."""
        if not 0 <= k <= MOST_K:
            return self._refuse("addTopK", f"Invalid TopK K: {k}. Valid range: 0 to {MOST_K}") or None
        return self._add("TOPK", [input], {"op": op, "k": int(k), "axes": int(axes), "indices_type": indices_type}, 2)

    def add_shuffle(self, input: ITensor) -> L.IShuffleLayer:
        """Transpose, reshape, transpose: each as its attribute says."""
        return self._add("SHUFFLE", [input])

    def add_slice(self, input: ITensor, start: Dims, shape: Dims, stride: Dims) -> L.ISliceLayer:
        return self._add("SLICE", [input], {"start": Dims(start), "shape": Dims(shape), "stride": Dims(stride)})

    def add_concatenation(self, inputs: Sequence[ITensor]) -> L.IConcatenationLayer:
        """Tensors one behind the other; `axis` is the third from last unless set."""
        if not inputs:
            return self._refuse("addConcatenation", "condition: nbInputs > 0") or None
        return self._add("CONCATENATION", inputs, {"axis": max(0, len(inputs[0].shape) - 3)})

    def add_gather(self, input: ITensor, indices: ITensor, axis: int) -> L.IGatherLayer:
        """Slices of the input along `axis`, chosen by index."""
        return self._add("GATHER", [input, indices], {"axis": int(axis), "mode": E.GatherMode.DEFAULT})

    def add_gather_v2(self, input: ITensor, indices: ITensor, mode: E.GatherMode) -> L.IGatherLayer:
        return self._add("GATHER", [input, indices], {"mode": mode})

    def add_select(self, condition: ITensor, then_input: ITensor, else_input: ITensor) -> L.ISelectLayer:
        return self._add("SELECT", [condition, then_input, else_input])

    def add_resize(self, input: ITensor) -> L.IResizeLayer:
        """Set `shape` or `scales`, or a second input holding the shape."""
        return self._add("RESIZE", [input])

    def add_scale(
        self, input: ITensor, mode: E.ScaleMode, shift: Weights | None = None, scale: Weights | None = None,
        power: Weights | None = None,
    ) -> L.IScaleLayer:  # fmt: skip
        """(x * scale + shift) ** power; channels are the third axis from the end."""
        return self.add_scale_nd(input, mode, shift, scale, power, len(input.shape) - 3)

    def add_scale_nd(
        self, input: ITensor, mode: E.ScaleMode, shift: Weights | None = None, scale: Weights | None = None,
        power: Weights | None = None, channel_axis: int = 1,
    ) -> L.IScaleLayer:  # fmt: skip
        """As add_scale, the channel axis given."""
        arrays = {"shift": as_array(shift), "scale": as_array(scale), "power": as_array(power)}
        return self._add("SCALE", [input], {"mode": mode, "channel_axis": int(channel_axis), **arrays})

    def add_normalization(self, input: ITensor, scale: ITensor, bias: ITensor, axesMask: int) -> L.INormalizationLayer:
        """Mean 0, variance 1 over the axes, then scale and bias."""
        return self._add("NORMALIZATION", [input, scale, bias], {"axes": int(axesMask)})

    def add_identity(self, input: ITensor) -> L.IIdentityLayer:
        return self._add("IDENTITY", [input])

    def add_cast(self, input: ITensor, to_type: E.DataType) -> L.ICastLayer:
        return self._add("CAST", [input], {"to_type": to_type})

    def add_quantize(self, input: ITensor, scale: ITensor, output_type: E.DataType) -> L.IQuantizeLayer:
        """round(x / scale), within the type's range."""
        return self._add("QUANTIZE", [input, scale], {"to_type": output_type})

    def add_dequantize(self, input: ITensor, scale: ITensor, output_type: E.DataType) -> L.IDequantizeLayer:
        return self._add("DEQUANTIZE", [input, scale], {"to_type": output_type})

    def add_shape(self, input: ITensor) -> L.IShapeLayer:
        return self._add("SHAPE", [input])

    def add_einsum(self, inputs: Sequence[ITensor], equation: str) -> L.IEinsumLayer:
        return self._add("EINSUM", inputs, {"equation": equation})

    def add_non_zero(self, input: ITensor, indices_type: E.DataType = E.DataType.INT32) -> L.INonZeroLayer:
        """Indices of what is not 0, shape (rank, how many)."""
        return self._add("NON_ZERO", [input], {"indices_type": indices_type})

    def add_padding_nd(self, input: ITensor, pre_padding: Dims, post_padding: Dims) -> L.IPaddingLayer:
        values = {"pre_padding_nd": Dims(pre_padding), "post_padding_nd": Dims(post_padding)}
        return self._add("PADDING", [input], values)

    def add_parametric_relu(self, input: ITensor, slopes: ITensor) -> L.IParametricReLULayer:
        """x where x > 0, x * slope elsewhere."""
        return self._add("PARAMETRIC_RELU", [input, slopes])

    def add_squeeze(self, input: ITensor, axes: ITensor | None = None) -> L.ISqueezeLayer:
        return self._add("SQUEEZE", [input] if axes is None else [input, axes])

    def add_unsqueeze(self, input: ITensor, axes: ITensor) -> L.IUnsqueezeLayer:
        return self._add("UNSQUEEZE", [input, axes])

    def add_lrn(self, input: ITensor, window: int, alpha: float, beta: float, k: float) -> L.ILRNLayer:
        if not 1 <= window <= 15 or window % 2 == 0:
            return self._refuse("addLRN", f"condition: an odd window from 1 to 15. {window} was given") or None
        return self._add("LRN", [input], {"window_size": window, "alpha": alpha, "beta": beta, "k": k})

    def add_fill(
        self, shape: Dims, op: E.FillOperation, output_type: E.DataType = E.DataType.FLOAT
    ) -> L.IFillLayer:  # fmt: skip
        """Numbers one behind the other or random ones; `set_input` gives shape, alpha and beta as tensors."""
        return self._add("FILL", [], {"shape": Dims(shape), "operation": op, "to_type": output_type})

    def add_scatter(self, data: ITensor, indices: ITensor, updates: ITensor, mode: E.ScatterMode) -> L.IScatterLayer:
        """`data` with the elements that `indices` point at replaced by `updates`."""
        return self._add("SCATTER", [data, indices, updates], {"mode": mode})

    def add_one_hot(self, indices: ITensor, values: ITensor, depth: ITensor, axis: int) -> L.IOneHotLayer:
        """`values` holds [off, on]; `depth` is the size of the new axis."""
        return self._add("ONE_HOT", [indices, values, depth], {"axis": int(axis)})

    def add_nms(
        self, boxes: ITensor, scores: ITensor, max_output_boxes_per_class: ITensor,
        indices_type: E.DataType = E.DataType.INT32,
    ) -> L.INMSLayer:  # fmt: skip
        """Boxes [batch, count, 4], scores [batch, count, classes]; outputs: indices [kept, 3], and how many."""
        inputs = [boxes, scores, max_output_boxes_per_class]
        return self._add("NMS", inputs, {"indices_type": indices_type}, 2)

    def add_cumulative(
        self, input: ITensor, axis: ITensor, op: E.CumulativeOperation, exclusive: bool, reverse: bool
    ) -> L.ICumulativeLayer:
        """Sums along `axis`, a constant without dimensions."""
        return self._add("CUMULATIVE", [input, axis], {"op": op, "exclusive": exclusive, "reverse": reverse})

    def add_attention(
        self, query: ITensor, key: ITensor, value: ITensor, norm_op: E.AttentionNormalizationOp, causal: bool
    ) -> L.IAttention:
        """softmax(query key^T) value over [batch, heads, length, size]."""
        entry = self._add("ATTENTION_INPUT", [query, key, value], {}, 0)
        values = {"norm_op": norm_op, "causal": bool(causal)}
        return L.IAttention((entry, self._add("ATTENTION_OUTPUT", [query, key, value], values)))

    def add_loop(self) -> L.ILoop:
        """An empty loop: its own calls add what brings tensors in and out."""
        self._numbered["Loop"] = number = self._numbered.get("Loop", -1) + 1
        return L.ILoop(f"(Unnamed Loop* {number})", self._add)

    def add_if_conditional(self) -> L.IIfConditional:
        """An empty conditional: its own calls set the condition and add inputs and outputs."""
        self._numbered["If"] = number = self._numbered.get("If", -1) + 1
        return L.IIfConditional(f"(Unnamed IfConditional* {number})", self._add)
