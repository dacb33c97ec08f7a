"""Stands for ITensor and ILayer: what every tensor and every layer of a network has."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import enums as E
from ..callbacks import USAGE, Reporter
from ..manners import Bound, Mismatch, convert, refused
from ..types import Dims, UnknownDims, as_array

_TITLES = {"ELEMENTWISE": "ElementWise", "MATRIX_MULTIPLY": "Matrix Multiply", "TOPK": "TopK", "LRN": "LRN"}


class Owner(Reporter):
    """What tensors and layers need of the network that they belong to."""

    def _changed(self, index: int) -> None:
        """Forget what was worked out from the index-th layer on."""

    def _changing(self, layer: ILayer) -> None:
        """An attribute of the layer is about to be set; AttributeError where that cannot be."""

    def _known(self, tensor: ITensor, what: str, otherwise: object) -> Any:
        """The tensor's `shape` or `dtype`, worked out; `otherwise` and an error in the log where that fails."""

    def _role(self, tensor: ITensor) -> str:
        """`input`, `output` or an empty text: what the tensor is to the network."""

    def _holds_shape(self, tensor: ITensor) -> bool:
        """Whether the tensor's numbers are sizes."""

    def _item(self, items: list, index: int, where: str, condition: str) -> Any:
        if 0 <= index < len(items):
            return items[index]
        return self._refuse(where, f"condition: {condition}") or None


class ITensor(Bound):
    """A tensor of the network: a name, an element type and a shape (-1: known only at run time)."""

    def __init__(self, network: Owner, name: str, producer: ILayer | None) -> None:
        self._network, self._name, self._producer = network, name, producer
        self._dtype: E.DataType | None = None
        self._shape = Dims()
        self._dimension_names: dict[int, str] = {}
        self.location = E.TensorLocation.DEVICE
        self.allowed_formats = (1 << len(E.TensorFormat.__members__)) - 1

    @property
    def name(self) -> str:
        """Unique within the network; what the engine's inputs and outputs are found by."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        if not isinstance(name, str):
            raise refused("ITensor.name")
        self._name = name
        self._network._changed(0)

    @property
    def shape(self) -> Dims:
        """The shape; only an input's can be set."""
        if self._producer is None:
            return self._shape
        constant = self._producer._type == E.LayerType.CONSTANT
        return self._network._known(self, "shape", self._producer._values["shape"] if constant else UnknownDims())

    @shape.setter
    def shape(self, shape: Sequence[int]) -> None:
        self._shape = Dims(shape)
        self._network._changed(0)

    @property
    def dtype(self) -> E.DataType:
        """The element type; only an input's can be set (networks are strongly typed)."""
        if self._producer is None:
            return self._dtype
        return self._network._known(self, "dtype", E.DataType.FLOAT)

    @dtype.setter
    def dtype(self, dtype: E.DataType) -> None:
        if self.is_network_output:
            told = "a strongly typed network's types follow from its inputs"
            return self._network._fail(USAGE, "ITensor::setType", f"{self._name}: {told}")
        if self._producer is not None:
            told = "Tensor DataType is determined at build time for tensors not marked as input or output."
            return self._network._say(E.Severity.WARNING, told)
        self._dtype = dtype
        self._network._changed(0)

    is_network_input = property(lambda self: self._network._role(self) == "input")
    is_network_output = property(lambda self: self._network._role(self) == "output")

    @property
    def is_shape_tensor(self) -> bool:
        """Whether the tensor holds sizes: an IShapeLayer's output, and an input whose numbers become a shape."""
        return self._network._holds_shape(self)

    def set_dimension_name(self, index: int, name: str) -> None:
        """Name a dimension of an input: those of one name have one size."""
        self._dimension_names[index] = name
        self._network._changed(0)

    is_execution_tensor = property(lambda self: True)

    def get_dimension_name(self, index: int) -> str | None:
        """The name of a dimension of an input (ONNX gives such names), None where it has none."""
        return self._dimension_names.get(index)


class attr:
    """A layer's attribute: setting it makes the network forget what it had worked out from this layer on.

    fits: what a value must be; another one is refused, and the old one stays.
    """

    def __init__(
        self, convert: Callable[[Any], Any] = lambda value: value, default: Any = None,
        fits: Callable[[Any], object] = lambda value: True,
    ) -> None:  # fmt: skip
        self.convert, self.default, self.fits = convert, default, fits
        self.kind = type(default) if isinstance(default, (enum.Enum, bool)) else None
        if convert in (int, float, Dims) or (isinstance(convert, type) and issubclass(convert, enum.Enum)):
            self.kind = convert

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, layer: ILayer | None, owner: type) -> Any:
        value = self if layer is None else layer._values.get(self.name, self.default)
        return value.ravel() if isinstance(value, np.ndarray) else value

    def __set__(self, layer: ILayer, value: Any) -> None:
        if value is None and self.convert is as_array:
            raise refused(f"{type(layer).__name__}.{self.name}")
        try:
            value = self.convert(value) if self.kind is None else convert(self.kind, value)
        except Mismatch:
            raise refused(f"{type(layer).__name__}.{self.name}") from None
        if not self.fits(value):
            where = f"{type(layer).__name__}::set" + "".join(word.capitalize() for word in self.name.split("_"))
            layer._network._fail(USAGE, where, f"Parameter check failed: {self.name} = {value}")
            return
        layer._network._changing(layer)
        layer._values[self.name] = value


class ILayer(Bound):
    """One operation of the network. `get_layer` returns this base class, as TensorRT's does:
    assign `layer.__class__ = trt.IConvolutionLayer` to see a convolution's own attributes."""

    def __init__(self, network: Owner, index: int, kind: E.LayerType, inputs: list, values: dict) -> None:
        self._network, self._index, self._type = network, index, kind
        self._inputs, self._values = list(inputs), values
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
        self._network._changed(self._index)

    @property
    def type(self) -> E.LayerType:
        """What kind of layer it is."""
        return self._type

    num_inputs = property(lambda self: len(self._inputs))  # weights are not tensors
    num_outputs = property(lambda self: len(self._outputs))

    def get_input(self, index: int) -> ITensor | None:
        """The index-th input tensor, None past the end."""
        return self._inputs[index] if 0 <= index < len(self._inputs) else None

    def get_output(self, index: int) -> ITensor | None:
        """The index-th output tensor, None and an error past the end."""
        return self._network._item(self._outputs, index, "getOutput", "index >= 0 && index < getNbOutputs()")

    def set_input(self, index: int, tensor: ITensor) -> None:
        """Replace or add an input (a shuffle's second one is its shape, for example); no layer has more than five."""
        if not 0 <= index < max(5, len(self._inputs)):
            return self._network._fail(USAGE, f"{type(self).__name__}::setInput", f"there is no input {index}")
        self._inputs += [None] * (index + 1 - len(self._inputs))
        self._inputs[index] = tensor
        self._network._changed(self._index)
