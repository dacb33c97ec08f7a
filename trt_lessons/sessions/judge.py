"""Versions of one network, judged by their logits: engines and models beside the first of them.

Introduced in lesson 04_1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import precision
from ..models.digits import accuracy
from .session import Session


class Judge:
    """Compares one version of a network after the other with the first, prints the verdict and keeps the logits.

        judge = tl.Judge(reports["FP32"], images, labels)
        judge("FP16", reports["FP16"], 0.02)

    A version is a BuildReport, which TensorRT runs, or a model, which `precision.on_cpu` computes.
    """

    def __init__(self, reference: Any, images: np.ndarray, labels: np.ndarray, name: str = "FP32") -> None:
        """reference: the version to compare with, called `name`. images: [n, ...]; labels: [n], the right classes."""
        self.images, self.labels, self.name = images, labels, name
        self.logits = {name: self.answers(reference)}

    def answers(self, version: Any) -> np.ndarray:
        """The first output of a version for all images."""
        if not hasattr(version, "plan"):
            return precision.on_cpu(version, {precision.read(version).graph.input[0].name: self.images})
        with Session(version) as session:
            return next(iter(session.infer(self.images).values()))

    def __call__(self, name: str, version: Any, limit: float) -> None:
        """Print one line. limit: as for `precision.verdict`, a share of the reference's largest logit."""
        self.logits[name] = self.answers(version)
        print(precision.verdict(name, self.logits[name], self.logits[self.name], self.labels, limit))

    def account(self, reports: Mapping[str, Any]) -> dict[str, list[float]]:
        """{name: [accuracy, largest difference as a share, bytes of the plan]} of each report that was judged."""
        judged = {name: logits for name, logits in self.logits.items() if name in reports}
        errors = {name: precision.compare(logits, self.logits[self.name]).relative for name, logits in judged.items()}
        return {name: [accuracy(judged[name], self.labels), errors[name], reports[name].size] for name in judged}
