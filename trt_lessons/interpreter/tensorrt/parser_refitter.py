"""Stands for OnnxParserRefitter: the weights of an ONNX file go into an engine that was built from its like."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import TensorProto, helper, numpy_helper

from . import enums as E
from .callbacks import ILogger
from .reading.errors import ErrorList
from .running.refitter import Refitter
from .types import Weights


class OnnxParserRefitter(ErrorList):
    """Gives a Refitter every weight of a file by its name; `refit_cuda_engine` then puts them in."""

    def __init__(self, refitter: Refitter, logger: ILogger) -> None:
        super().__init__(logger)
        self._refitter = refitter

    def refit_from_file(self, model: str) -> bool:
        """Read a file, and give the refitter its weights; False where they do not fit."""
        try:
            data = Path(model).read_bytes()
        except OSError as problem:
            return self._error(E.ErrorCode.MODEL_DESERIALIZE_FAILED, f"cannot open {model}: {problem.strerror}")
        return self.refit_from_bytes(data, model)

    def refit_from_bytes(self, model: bytes, path: str | None = None) -> bool:
        """The same from bytes; `path` is where the model's external data lies."""
        proto = onnx.ModelProto()
        try:
            proto.ParseFromString(bytes(model))
            if path is not None:
                onnx.load_external_data_for_model(proto, str(Path(path).parent))
        except Exception as problem:  # protobuf, onnx and the file system each have errors of their own
            return self._error(E.ErrorCode.MODEL_DESERIALIZE_FAILED, f"Failed to parse ONNX model: {problem}")
        found = _weights(proto.graph)
        wanted = self._refitter.get_all_weights()
        for name in wanted:
            if name not in found:
                return self._error(E.ErrorCode.REFIT_FAILED, f"the model has no weights named {name}")
            if not self._refitter.set_named_weights(name, Weights(numpy_helper.to_array(found[name]))):
                return self._error(E.ErrorCode.REFIT_FAILED, f"the weights {name} do not fit the engine")
        return True


def _weights(graph: onnx.GraphProto) -> dict[str, TensorProto]:
    """Initializers and constants of a graph, by name."""
    constants = {n.output[0]: helper.get_attribute_value(n.attribute[0]) for n in graph.node if n.op_type == "Constant"}
    return {n: c for n, c in constants.items() if isinstance(c, TensorProto)} | {c.name: c for c in graph.initializer}
