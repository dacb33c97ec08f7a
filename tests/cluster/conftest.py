"""A small model, and a Ray cluster of two nodes on this machine; nothing of Ray's is left behind afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from trt_lessons.scale.cluster import LOCAL, quick

ROOT = Path(__file__).resolve().parents[2]
STORE = 80 * 2**20  # bytes of Ray's object store per node: the least it takes
NODE = {"node_ip_address": LOCAL, "object_store_memory": STORE, "include_log_monitor": False}
HEAD = {"include_dashboard": False, "no_monitor": True}


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Path of a network that is one matrix product, with an open batch."""
    weights = numpy_helper.from_array(np.random.default_rng(0).normal(size=(16, 8)).astype(np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", 1, ["n", 16])],
        [helper.make_tensor_value_info("y", 1, ["n", 8])],
        [weights],
    )
    path = tmp_path_factory.mktemp("models") / "product.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return str(path)


@pytest.fixture(scope="session")
def cluster() -> Iterator[object]:
    """Two nodes: a head, and a second one that has a card which Ray calls H100."""
    with quick() as ray, pytest.MonkeyPatch.context() as patch:
        from ray.cluster_utils import Cluster

        patch.setenv("PYTHONPATH", os.pathsep.join([os.environ["PYTHONPATH"], str(ROOT)]))
        made = Cluster(initialize_head=True, head_node_args={**NODE, **HEAD, "num_cpus": 2})
        made.second = made.add_node(**NODE, num_cpus=1, resources={"accelerator_type:H100": 1})
        ray.init(address=made.address, log_to_driver=False, logging_level="error")
        yield made
        ray.shutdown()
        made.shutdown()
