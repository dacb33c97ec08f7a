"""What is inside an engine, here or on the GPU of the recording: its layers beside the network's.

    digits = tl.inside("layers of digits", report)
    digits.table, digits.fusion, digits.moved_mb
    tl.unfused_mb(model)                 # the same count, if each network layer ran alone

Introduced in lesson 04_2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import backend, compat
from ..errors import ModelFileError
from ..records import recordings
from . import layers
from .built import BuildReport


@dataclass(frozen=True)
class Inside:
    """One engine: network (its layers before the build), table (its layers after), note (where that was)."""

    network: list[dict[str, Any]]
    table: layers.Table
    note: str

    @property
    def fusion(self) -> layers.Fusion:
        """Every network layer beside the engine layers that hold it."""
        return layers.fusion(self.network, self.table)

    @property
    def moved_mb(self) -> float:
        """MB that the engine's layers read and write as activations; layers that do not tell a size count nothing."""
        return sum(row.bytes_moved or 0 for row in self.table) / 1e6

    @property
    def kernels(self) -> list[layers.Row]:
        """The engine layers without those that only look at the same memory in another way."""
        return [row for row in self.table if row.type != "NoOp"]

    def first(self, count: int) -> tuple[list[str], list[tuple[str, list[str]]]]:
        """The first `count` network layers without constants, and [(engine layer, the network layers it holds)] of
        those that hold one of them, as `tl.plots.fusion` draws them."""
        names = [layer["name"] for layer in self.network if layer["type"] != "CONSTANT"][:count]
        held = [(name, inside) for name, inside in self.fusion.held.items() if set(inside) & set(names)]
        return names, held

    def __str__(self) -> str:
        """Where that was, and the table of the engine."""
        return f"{self.note}\n{self.table}"


def inside(name: str, reports: Any) -> Any:
    """An `Inside` for a BuildReport, or {key: Inside} for a dict of them; recorded under `name`.

    reports: BuildReport, {key: BuildReport}, or a function that builds them: it is called only where there is a GPU
        (or no recording). Without a GPU the engine of the recording comes back, and its note says so.
    """
    told = recordings.live_or_recorded(name, lambda: _plain(reports() if callable(reports) else reports))
    if "network" in told.value:
        return _inside(told.value, told.note)
    return {key: _inside(value, told.note) for key, value in told.value.items()}


def _plain(reports: BuildReport | Mapping[Any, BuildReport]) -> dict[Any, Any]:
    """Plain data for the recording."""
    if isinstance(reports, Mapping):
        return {key: _plain(report) for key, report in reports.items()}
    return {"network": reports.network, "layers": reports.layers().to_dict()}


def _inside(told: Mapping[str, Any], note: str) -> Inside:
    return Inside(told["network"], layers.Table.from_dict(told["layers"]), note)


def unfused_mb(model: Any) -> float:
    """MB that the network's layers would read and write as activations in FP32 if each ran alone.

    model: path, bytes or onnx.ModelProto, of fixed shapes; constants are not counted. ModelFileError where the parser
    refuses it or a size is not known.
    """
    data = model.SerializeToString() if hasattr(model, "SerializeToString") else model
    data = data if isinstance(data, bytes) else Path(data).read_bytes()
    log = compat.Log(print_from="ERROR")
    network = compat.create_network(backend.trt.Builder(log))
    parser = backend.trt.OnnxParser(network, log)
    if not parser.parse(data):
        why = parser.get_error(0).desc() if parser.num_errors else ""
        raise ModelFileError("TensorRT's parser refuses the model.", why=why, cure="lesson 03 shows the cures")
    found = [network.get_layer(i) for i in range(network.num_layers)]
    constant = backend.trt.LayerType.CONSTANT
    fixed = {layer.get_output(0).name for layer in found if layer.type == constant}
    return sum(_alone(layer, fixed) for layer in found if layer.type != constant) / 1e6


def _alone(layer: Any, fixed: set[str]) -> int:
    """Bytes of a layer's inputs and outputs; fixed: names of tensors that constants make, which are no activations."""
    ends = [layer.get_input(i) for i in range(layer.num_inputs)]
    ends += [layer.get_output(i) for i in range(layer.num_outputs)]
    shapes = [compat.shape(end.shape) for end in ends if end is not None and end.name not in fixed]
    if any(size < 0 for shape in shapes for size in shape):
        raise ModelFileError(
            f"The size of {layer.name} is not known.",
            why=f"its shapes are {shapes}",
            cure="fix the dimensions of the model's inputs first",
        )
    return sum(4 * math.prod(shape) for shape in shapes)
