"""Triton's Python backend around a `tl.Session`: this file is copied into the repository as it is.

Triton starts it in a process of its own, with the system's Python library and without this environment's packages:
the server's TRT_LESSONS_SERVE_PATH names their folders. Tensors cross as DLPack: this backend's own way to NumPy was
compiled for NumPy 1 and reads sizes of 0 from NumPy 2's arrays.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path[:0] = filter(None, os.environ.get("TRT_LESSONS_SERVE_PATH", "").split(os.pathsep))

import numpy as np  # noqa: E402
import triton_python_backend_utils as pb_utils  # noqa: E402


class TritonPythonModel:
    """One instance: one session. Requests that Triton gathered are one batch for the engine."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the plan that lies beside this file; a plan of another backend or version stops the model here."""
        from trt_lessons.sessions.session import Session

        config = json.loads(args["model_config"])
        self.names = [tensor["name"] for tensor in config["input"]]
        self.batched = config["max_batch_size"] > 0
        folder = Path(args["model_repository"]) / args["model_version"]
        self.session = Session(folder / "model.plan")
        for side, found in (("input", self.session.inputs), ("output", self.session.outputs)):
            _agree(config[side], found, 1 if self.batched else 0)

    def execute(self, requests: list) -> list:
        """One response per request. Requests of unequal shapes beyond the batch run one after another."""
        inputs = [{n: np.from_dlpack(pb_utils.get_input_tensor_by_name(r, n)) for n in self.names} for r in requests]
        shapes = {tuple(rows[n].shape[1:] for n in self.names) for rows in inputs}
        together = self.batched and len(shapes) == 1
        try:
            outputs = self._together(inputs) if together else [self.session.infer(rows) for rows in inputs]
        except Exception as error:
            return [pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error))) for _ in requests]
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor.from_dlpack(name, array) for name, array in rows.items()])
            for rows in outputs
        ]

    def _together(self, inputs: list[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
        """One run for all requests, cut apart again."""
        joined = {name: np.concatenate([rows[name] for rows in inputs]) for name in self.names}
        ends = np.cumsum([len(rows[self.names[0]]) for rows in inputs])[:-1]
        outputs = {name: np.split(array, ends) for name, array in self.session.infer(joined).items()}
        return [{name: parts[i] for name, parts in outputs.items()} for i in range(len(inputs))]

    def finalize(self) -> None:
        """Give the engine back."""
        self.session.close()


def _agree(told: list[dict], found: dict, cut: int) -> None:
    """Stop the model where config.pbtxt says another thing than the plan: Triton itself would find out much later."""
    here = {tensor["name"]: [int(n) for n in tensor["dims"]] for tensor in told}
    plan = {name: list(info.shape[cut:]) for name, info in found.items()}
    if here != plan:
        raise pb_utils.TritonModelException(f"config.pbtxt contradicts the plan: it says {here}, the plan has {plan}")
