"""A plan in memory, shared by its engine and contexts: facts, graph, and onnxruntime's session."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

from ..callbacks import ILogger
from ..types import TO_ONNX
from . import plan as P


class Loaded:
    """A plan in memory."""

    def __init__(self, logger: ILogger, facts: dict, model: bytes) -> None:
        self.logger, self.facts = logger, facts
        self.io: dict[str, dict] = {t["name"]: t for t in facts["io"]}
        self.inputs = [n for n, t in self.io.items() if t["mode"] == "INPUT"]
        self.outputs = [n for n, t in self.io.items() if t["mode"] == "OUTPUT"]
        self.holders = [n for n in self.inputs if self.io[n].get("holds_shape")]  # inputs whose numbers are a shape
        self.missing: set[str] = set(facts.get("stripped", ()))  # weights that a refit has to bring
        self.load(onnx.load_model_from_string(model), model)

    def load(self, model: onnx.ModelProto, data: bytes | None = None) -> None:
        """Make the session of a graph (at the start, and after a refit)."""
        self.model, self.light = model, P.light_model(model)
        self._seen: dict[tuple, dict] = {}
        self.session: ort.InferenceSession | None = None
        if not self.missing:
            self.session = P.session(data or model.SerializeToString(), P.session_options(self.facts["level"], model))
        fixed = {n for n, t in self.io.items() if -1 not in t["shape"]}
        self.open_ended = _data_dependent(model) - fixed

    def numpy(self, name: str) -> np.dtype:
        """The NumPy type of an input or output."""
        return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(TO_ONNX[self.io[name]["dtype"]]))

    def ranges(self, name: str, profile: int) -> list[list[int]]:
        """[min, opt, max] shapes of an input in a profile."""
        return self.facts["profiles"][profile].get(name, [self.io[name]["shape"]] * 3)

    def shapes(self, inputs: dict[str, tuple[int, ...]], numbers: dict[str, np.ndarray]) -> dict[str, tuple]:
        """Shapes of the outputs for given input shapes, and numbers of inputs that hold one; -1: only a run tells."""
        key = (*sorted(inputs.items()), *((n, a.tobytes()) for n, a in numbers.items()))
        if key not in self._seen:
            protos = {n: numpy_helper.from_array(a, n) for n, a in numbers.items()}
            found = P.concrete(self.light, inputs, protos)
            fixed = {n: tuple(self.io[n]["shape"]) for n in self.outputs if -1 not in self.io[n]["shape"]}
            found |= {n: shape for n, shape in fixed.items() if -1 in found.get(n, (-1,))}
            if any(-1 in found.get(n, (-1,)) and n not in self.open_ended for n in self.outputs):
                feeds = {n: numbers[n] if n in numbers else np.zeros(s, self.numpy(n)) for n, s in inputs.items()}
                arrays = P.computed(self.session, self.outputs, feeds)
                told = zip(self.outputs, arrays, strict=True)
                found |= {n: a.shape for n, a in told if n not in self.open_ended}
            self._seen[key] = {n: found.get(n, ()) for n in self.outputs}
        return self._seen[key]


def _data_dependent(model: onnx.ModelProto) -> set[str]:
    """Values whose shape depends on numbers that only a run brings: what a NonZero, an NMS, a while makes."""
    found: set[str] = set()
    for node in model.graph.node:
        endless = node.op_type == "Loop" and not node.input[0]  # how often it turns is known only after the run
        if endless or node.op_type in ("NonZero", "NonMaxSuppression") or found & set(node.input):
            found |= set(node.output)
    return found
