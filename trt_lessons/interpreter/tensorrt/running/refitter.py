"""Stands for Refitter: other weights for an engine that is built."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import numpy_helper

from .. import enums as E
from ..callbacks import ILogger, Reporter
from ..types import Weights, as_array
from .engine import ICudaEngine


class Refitter(Reporter):
    """Gives an engine built with BuilderFlag.REFIT other weights, without building it again."""

    def __init__(self, engine: ICudaEngine, logger: ILogger) -> None:
        super().__init__(logger)
        self._loaded, self._given, self._names = engine._loaded, {}, engine._loaded.facts["weights"]
        if not engine.refittable:
            self._refuse("createInferRefitter", "condition: e.isRefittable()")
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def _roles(self, names: Iterable[str]) -> tuple[list[str], list[E.WeightsRole]]:
        pairs = [self._names[n] for n in names if self._names[n]]
        return [layer for layer, _ in pairs], [E.WeightsRole.__members__[role] for _, role in pairs]

    def get_all(self) -> tuple[list[str], list[E.WeightsRole]]:
        """Layer names and roles of the weights that can be replaced."""
        return self._roles(self._names)

    def get_missing_weights(self) -> list[str]:
        """Names that still have to be given before the engine is whole."""
        return [n for n in self._loaded.missing if n not in self._given]

    def get_missing(self) -> tuple[list[str], list[E.WeightsRole]]:
        """The same as layer names and roles."""
        return self._roles(self.get_missing_weights())

    def get_all_weights(self) -> list[str]:
        """Names of all weights that can be replaced: those of the ONNX file, or `layer:ROLE` of the layer API."""
        return list(self._names)

    def get_named_weights(self, weights_name: str) -> Weights:
        """The weights that were given under this name and not yet put in; empty ones where none were."""
        given = self._given.get(weights_name)
        return Weights() if given is None else Weights(numpy_helper.to_array(given))

    def get_weights_prototype(self, weights_name: str) -> Weights:
        """Type and count that weights of this name must have; empty for a name the engine does not know."""
        old = self._old(weights_name)
        return Weights() if old is None else Weights(np.zeros(int(np.prod(old.dims)), _kind(old)))

    def set_weights(self, layer_name: str, role: E.WeightsRole, weights: Weights) -> bool:
        """New weights for a layer; False and an error where the layer has none of that role, type or size."""
        name = next((n for n, pair in self._names.items() if pair == [layer_name, role.name]), None)
        if name is None:
            return self._refuse("setWeights", f"there are no weights named {layer_name} {role.name}")
        return self.set_named_weights(name, weights)

    def set_named_weights(
        self, name: str, weights: Weights, location: E.TensorLocation = E.TensorLocation.HOST
    ) -> bool:
        """New weights by their name; False and an error where there are none of that name, type or size."""
        old, call = self._old(name), "setNamedWeights"
        if location != E.TensorLocation.HOST:
            return self._refuse(call, "the interpreter takes weights from host memory; TensorRT from the GPU's too")
        if old is None:
            return self._refuse(call, f"there are no weights named {name}")
        array, count = as_array(weights), int(np.prod(old.dims))
        given = 0 if array is None else array.size
        if given != count:
            return self._refuse(call, f"{name} has {count} weights, {given} were given")
        if array.dtype != _kind(old):
            return self._refuse(call, f"{name} has weights of type {_kind(old)}, {array.dtype} were given")
        self._given[name] = numpy_helper.from_array(array.reshape(tuple(old.dims)), name)
        return True

    def unset_named_weights(self, weights_name: str) -> bool:
        """Take back what was given under this name; False where nothing was."""
        return self._given.pop(weights_name, None) is not None

    def _old(self, name: str | None) -> onnx.TensorProto | None:
        known = name in self._names
        return next((c for c in self._loaded.model.graph.initializer if known and c.name == name), None)

    def refit_cuda_engine_async(self, stream_handle: int) -> bool:
        """The same as refit_cuda_engine: it is done when the call returns."""
        return self.refit_cuda_engine()

    weights_validation, max_threads = True, 1

    def refit_cuda_engine(self) -> bool:
        """Put the new weights in; False and an error while some are missing."""
        if self.get_missing_weights():
            return self._refuse("refitCudaEngine", f"weights are missing: {self.get_missing_weights()}")
        for constant in self._loaded.model.graph.initializer:
            if constant.name in self._given:
                constant.CopyFrom(self._given[constant.name])
        self._loaded.missing.clear()
        self._given.clear()
        self._loaded.load(self._loaded.model)
        return True


def _kind(proto: onnx.TensorProto) -> np.dtype:
    return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(proto.data_type))
