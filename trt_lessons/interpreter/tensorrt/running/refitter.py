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
        return [layer for layer, _ in pairs], [E.WeightsRole[role] for _, role in pairs]

    def get_all(self) -> tuple[list[str], list[E.WeightsRole]]:
        """Layer names and roles of the weights that can be replaced."""
        return self._roles(self._names)

    def get_missing_weights(self) -> list[str]:
        """Names that still have to be given before the engine is whole."""
        return [n for n in self._loaded.missing if n not in self._given]

    def get_missing(self) -> tuple[list[str], list[E.WeightsRole]]:
        """The same as layer names and roles."""
        return self._roles(self.get_missing_weights())

    def set_weights(self, layer_name: str, role: E.WeightsRole, weights: Weights) -> bool:
        """New weights for a layer; False and an error where the layer has none of that role or size."""
        name = next((n for n, pair in self._names.items() if pair == [layer_name, role.name]), None)
        old = next((c for c in self._loaded.model.graph.initializer if c.name == name), None)
        if old is None:
            return self._refuse("setNamedWeights", f"there are no weights named {layer_name} {role.name}")
        array, count = as_array(weights), int(np.prod(old.dims))
        given = 0 if array is None else array.size
        if given != count:
            return self._refuse("setNamedWeights", f"{name} has {count} weights, {given} were given")
        kind = onnx.helper.tensor_dtype_to_np_dtype(old.data_type)
        self._given[name] = numpy_helper.from_array(array.astype(kind).reshape(tuple(old.dims)), name)
        return True

    def refit_cuda_engine(self) -> bool:
        """Put the new weights in; False and an error while some are missing."""
        if self.get_missing_weights():
            return self._refuse("refitCudaEngine", f"weights are missing: {self.get_missing_weights()}")
        for constant in self._loaded.model.graph.initializer:
            if constant.name in self._given:
                constant.CopyFrom(self._given[constant.name])
        self._loaded.missing.clear()
        self._loaded.load(self._loaded.model)
        return True
