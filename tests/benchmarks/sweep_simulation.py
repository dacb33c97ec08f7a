"""A sweep of 500 cases on 20 nodes that Ray simulates on this machine, with failures: makespan against the bound.

    python tests/benchmarks/sweep_simulation.py [NODES CASES SECONDS]

The cases sleep (SECONDS on average, unequal, as builds are), so that 20 nodes fit on two cores; everything else is
real: Ray's scheduler, a worker process per node, the object store, the journal. Every 20th case kills its worker at
its first try, and one node is killed after two fifths of the cases. The bound: the seconds of all cases that were
measured, over the slots that were there. No schedule is shorter; workers that start again come on top.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import onnx
from onnx import helper

from trt_lessons.scale.cases import table
from trt_lessons.scale.cluster import LOCAL, quick
from trt_lessons.scale.sweeping import sweep

NODE = {"node_ip_address": LOCAL, "object_store_memory": 80 * 2**20, "include_log_monitor": False, "num_cpus": 1}


def model(folder: Path) -> str:
    """A network of one node: no worker builds it."""
    ends = [helper.make_tensor_value_info(name, 1, ["n", 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph), folder / "relu.onnx")
    return str(folder / "relu.onnx")


def sleeper(folder: Path, seconds: float) -> Any:
    """What a worker does: sleep between a half and three halves of `seconds`, or die the first time."""

    def run(case: dict[str, Any], *_: Any) -> dict[str, Any]:
        from trt_lessons.records import provenance

        start, number = time.time(), case["batch"]
        first = folder / f"{case['precision']} {number}"
        if number % 20 == 7 and not first.exists():
            first.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(seconds * (0.5 + (number * 0.618) % 1))
        told = {"status": "ok", "value": {"bytes": 1.0}, "provenance": provenance.here().to_dict()}
        return {**told, "seconds": time.time() - start, "started": start}

    return run


def main(nodes: int = 20, count: int = 500, seconds: float = 4.0) -> None:
    """Run it once and print."""
    print(f"{os.cpu_count()} cores, load before: {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as place, quick() as ray:
        from ray import cloudpickle
        from ray.cluster_utils import Cluster

        cloudpickle.register_pickle_by_value(sys.modules["__main__"])
        folder, start = Path(place), time.time()
        made = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False, "no_monitor": True})
        others = [made.add_node(wait=False, **NODE) for _ in range(nodes - 1)]
        made.wait_for_nodes(timeout=300)
        ray.init(address=made.address, log_to_driver=False, logging_level="error")
        warm = ray.remote(scheduling_strategy="SPREAD")(lambda: time.sleep(3))
        ray.get([warm.remote() for _ in range(nodes)])  # every node has its worker
        print(f"{nodes} nodes are up after {time.time() - start:.0f} s")
        cases, lost, rows = table([model(folder)], precision=["fp32", "fp16"], batch=range(1, count // 2 + 1)), [], []

        def tell(line: str) -> None:
            rows.append(line)
            if len(rows) == count * 2 // 5:
                made.remove_node(others[0], allow_graceful=False)
                lost.append(time.time())

        start = time.time()
        found = sweep(cases, folder / "out", tell=tell, run=sleeper(folder, seconds))
        end = max(row["started"] + row["seconds"] for row in found.rows)
        report(found, start, end, lost[0], nodes)
        ray.shutdown()
        made.shutdown()


def report(found: Any, start: float, end: float, lost: float, nodes: int) -> None:
    """Rows, tries, makespan and bound."""
    tries = [json.loads(line) for line in (found.folder / "sweep.jsonl").read_text().splitlines()]
    spent = sum(row["seconds"] for row in tries if row["status"] == "ok")
    bound = (spent - (lost - start)) / (nodes - 1)  # the lost node worked until then: slots x time = spent
    makespan = end - start
    told = Counter(row["status"] for row in tries)
    print(
        f"{len(found.rows)} cases, {Counter(row['status'] for row in found.rows)['ok']} measured; tries: {dict(told)}"
    )
    print(f"makespan {makespan:.1f} s, bound {bound:.1f} s, ratio {makespan / bound:.2f}")


if __name__ == "__main__":
    numbers = sys.argv[1:4]
    main(*(kind(n) for kind, n in zip((int, int, float), numbers, strict=False)))
