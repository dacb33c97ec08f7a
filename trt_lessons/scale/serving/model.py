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
        from trt_lessons.scale.serving.batching import together
        from trt_lessons.sessions.session import Session

        self.together = together
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
        try:
            outputs = self.together(self.session, inputs) if self.batched else [self.session.infer(i) for i in inputs]
        except Exception as error:
            return [pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error))) for _ in requests]
        return [
            pb_utils.InferenceResponse([pb_utils.Tensor.from_dlpack(name, array) for name, array in rows.items()])
            for rows in outputs
        ]

    def finalize(self) -> None:
        """Give the engine back."""
        self.session.close()


def _agree(told: list[dict], found: dict, cut: int) -> None:
    """Stop the model where config.pbtxt says another thing than the plan: Triton itself would find out much later."""
    here = {tensor["name"]: [int(n) for n in tensor["dims"]] for tensor in told}
    plan = {name: list(info.shape[cut:]) for name, info in found.items()}
    if here != plan:
        raise pb_utils.TritonModelException(f"config.pbtxt contradicts the plan: it says {here}, the plan has {plan}")
