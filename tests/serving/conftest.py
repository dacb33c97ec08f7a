"""The network that the servers of these tests hold."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from trt_lessons.scale.serving.client import Client
from trt_lessons.sessions.session import Session


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A matrix product and a ReLU, open batch."""
    weights = numpy_helper.from_array(np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32), "w")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["y"])]
    ends = [helper.make_tensor_value_info(n, 1, ["n", d]) for n, d in (("x", 64), ("y", 32))]
    graph = helper.make_graph(nodes, "product", ends[:1], ends[1:], [weights])
    path = tmp_path_factory.mktemp("models") / "product.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture(scope="session")
def asked() -> Callable[..., dict[int, int]]:
    """The thousand requests."""
    return ask_a_thousand


def ask_a_thousand(url: str, plan: bytes) -> dict[int, int]:
    """1,000 requests of 1 to 4 rows by 16 clients at once: each answer is the session's to the bit. The batches run."""
    rng = np.random.default_rng(1)
    requests = [rng.normal(size=(int(n), 64)).astype(np.float32) for n in rng.integers(1, 5, 1000)]

    def some(first: int) -> list[np.ndarray]:
        with Client(url, "product") as client:
            return [client.infer({"x": rows})["y"] for rows in requests[first::16]]

    with ThreadPoolExecutor(16) as pool:
        shares = list(pool.map(some, range(16)))
    with Session(plan) as session:
        for number, rows in enumerate(requests):
            np.testing.assert_array_equal(shares[number % 16][number // 16], session.infer({"x": rows})["y"])
    with Client(url, "product") as client:
        return client.batches()
