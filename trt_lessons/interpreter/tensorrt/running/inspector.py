"""Stands for EngineInspector: what an engine is made of, as onnxruntime really fused it."""

from __future__ import annotations

import json

from .. import enums as E
from ..callbacks import Reporter
from . import plan as P
from .loaded import Loaded


class EngineInspector(Reporter):
    """Reports what onnxruntime really fused, as JSON or one line a layer, marked as the interpreter's."""

    def __init__(self, loaded: Loaded) -> None:
        super().__init__(loaded.logger)
        self._facts, self.execution_context = loaded.facts, None

    def get_engine_information(self, format: E.LayerInformationFormat) -> str:
        """All layers."""
        layers = [self._layer(i) for i in range(len(self._facts["layers"]))]
        if format == E.LayerInformationFormat.ONELINE:
            return "\n".join([f"Made by {P.ENGINE}", *(_line(layer) for layer in layers)])
        titles = {"Name": "name", "Mode": "mode", "Datatype": "dtype", "Dimensions": "shape"}
        io = [{title: tensor[key] for title, key in titles.items()} for tensor in self._facts["io"]]
        return json.dumps({"Layers": layers, "I/O Tensors": io, "Made by": P.ENGINE}, indent=1)

    def get_layer_information(self, layer_index: int, format: E.LayerInformationFormat) -> str:
        """One layer."""
        layer = self._layer(layer_index)
        return _line(layer) if format == E.LayerInformationFormat.ONELINE else json.dumps(layer, indent=1)

    def _layer(self, index: int) -> dict | str:
        layer = self._facts["layers"][index]
        return {"NONE": {}, "DETAILED": layer}.get(self._facts["verbosity"], layer["Name"])


def _line(layer: dict | str) -> str:
    if isinstance(layer, str):
        return layer
    if not layer:
        return ""
    sides = ((f"{t['Name']}{t['Dimensions']}:{t['Datatype']}" for t in layer.get(s, ())) for s in ("Inputs", "Outputs"))
    return f"{layer.get('LayerType', '')} {layer.get('Name', '')}: {' -> '.join(map(', '.join, sides))}"
